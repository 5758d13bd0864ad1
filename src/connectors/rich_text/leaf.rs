//! The inline text of a block while it is collected.

use super::words::{address, is_shown};

struct OpenLink {
    url: String,
    /// Where its text begins.
    start: usize,
}

#[derive(Default)]
pub(super) struct Leaf {
    text: String,
    /// White space counts, and marks are left out.
    pub(super) code: bool,
    link: Option<OpenLink>,
    struck: usize,
    /// Where the struck text begins.
    struck_at: Option<usize>,
    raised: bool,
}

impl Leaf {
    /// Adds text. White space collapses, except in code.
    pub(super) fn text(&mut self, text: &str) {
        if self.raised && !text.is_empty() {
            self.raised = false;
            if text.starts_with(|c: char| c.is_ascii_digit()) && self.text.ends_with(char::is_alphanumeric) {
                self.text.push('^');
            }
        }
        if self.code {
            return self.text.extend(text.chars().filter(|c| *c == '\n' || *c == '\t' || is_shown(*c)));
        }
        for c in text.chars() {
            if c.is_ascii_whitespace() || c == '\u{a0}' {
                if !self.text.is_empty() && !self.text.ends_with([' ', '\n']) {
                    self.text.push(' ');
                }
            } else if is_shown(c) {
                self.text.push(c);
            }
        }
    }

    /// Adds text whose line breaks are meant.
    pub(super) fn lines(&mut self, text: &str) {
        for (n, line) in text.split('\n').enumerate() {
            if n > 0 {
                self.line_break();
            }
            self.text(line);
        }
    }

    pub(super) fn line_break(&mut self) {
        if !self.code {
            self.cut(self.text.trim_end_matches(' ').len());
        }
        self.text.push('\n');
    }

    /// In code, a block is a line.
    pub(super) fn new_line(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push('\n');
        }
    }

    /// What follows is raised by half a line: a number after a number is told apart.
    pub(super) fn raise(&mut self) {
        self.raised = true;
    }

    /// What follows is struck through, and says the opposite without the mark.
    pub(super) fn open_struck(&mut self) {
        self.struck += 1;
        if self.struck == 1 && !self.code {
            self.text.push_str("~~");
            self.struck_at = Some(self.text.len());
        }
    }

    pub(super) fn close_struck(&mut self) {
        self.struck = self.struck.saturating_sub(1);
        if self.struck == 0
            && let Some(start) = self.struck_at.take()
        {
            match self.text.len() == start {
                true => self.cut(start - 2),
                false => self.text.push_str("~~"),
            }
        }
    }

    /// Takes away the end of the text. A link that began in it begins with what follows.
    fn cut(&mut self, length: usize) {
        self.text.truncate(length);
        if let Some(link) = &mut self.link {
            link.start = link.start.min(length);
        }
    }

    /// A link to what is no address of the web or of a person is text alone.
    pub(super) fn open_link(&mut self, url: &str) {
        self.close_link();
        if let Some(url) = address(url) {
            self.link = Some(OpenLink { url, start: self.text.len() });
        }
    }

    pub(super) fn close_link(&mut self) {
        let Some(OpenLink { url, start }) = self.link.take() else { return };
        let Some(text) = self.text.get(start..) else { return };
        let shown = text.trim();
        if self.code || shown.is_empty() || shown == url || url.strip_prefix("mailto:") == Some(shown) {
            return;
        }
        let from = start + (text.len() - text.trim_start().len());
        let to = from + shown.len();
        self.text.insert_str(to, &format!("]({url})"));
        self.text.insert(from, '[');
    }

    /// Ends all that is open.
    pub(super) fn end_marks(&mut self) {
        self.close_link();
        self.struck = self.struck.min(1);
        self.close_struck();
        self.raised = false;
    }

    /// The collected text. What is struck through goes on in what follows.
    pub(super) fn take(&mut self) -> String {
        self.close_link();
        self.raised = false;
        if let Some(start) = self.struck_at {
            match self.text.len() == start {
                true => self.text.truncate(start - 2),
                false => self.text.push_str("~~"),
            }
            self.struck_at = None;
        }
        let text = std::mem::take(&mut self.text);
        if self.struck > 0 && !self.code {
            self.text.push_str("~~");
            self.struck_at = Some(self.text.len());
        }
        text
    }
}
