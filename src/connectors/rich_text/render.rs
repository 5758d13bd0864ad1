//! The renderer of all readers: blocks and inline text to Markdown-like text, in linear time.
//!
//! Nesting beyond what a reader can follow adds no indentation, so that the output stays as long as the input.

use super::{
    leaf::Leaf,
    words::{longest_run, one_line},
};

/// Deepest indentation of lists, and deepest mark of quotes.
const INDENT_MAX: usize = 8;
const QUOTES_MAX: usize = 3;

/// What the inline text that is collected becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Paragraph,
    Heading(usize),
    Code,
}

struct List {
    /// The number of the next item, in an ordered list.
    next: Option<u64>,
    /// Identifies the outermost list.
    root: u64,
    /// The marker of the item that was opened last, until it is written.
    marker: Option<String>,
    /// Width of that marker.
    width: usize,
}

/// The outermost table.
struct Table {
    id: u64,
    /// Complete cells of the row.
    row: Vec<String>,
    /// The open cell.
    cell: Option<String>,
    has_header: bool,
}

/// What was written last, for the blank line before what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    Block,
    Item(u64),
    Row(u64),
}

pub(super) struct Renderer {
    out: String,
    /// The inline text that is being collected.
    pub(super) leaf: Leaf,
    style: Style,
    /// Styles below the current one.
    styles: Vec<Style>,
    lists: Vec<List>,
    quotes: usize,
    table: Option<Table>,
    table_depth: usize,
    roots: u64,
    last: Option<Written>,
}

impl Renderer {
    pub(super) fn new() -> Self {
        Self {
            out: String::new(),
            leaf: Leaf::default(),
            style: Style::Paragraph,
            styles: Vec::new(),
            lists: Vec::new(),
            quotes: 0,
            table: None,
            table_depth: 0,
            roots: 0,
            last: None,
        }
    }

    pub(super) fn finish(mut self) -> String {
        self.flush();
        if self.table.is_some() {
            self.table_depth = 1;
            self.close_table();
        }
        self.out
    }

    /// The end of a block, and the beginning of another.
    pub(super) fn boundary(&mut self) {
        match self.leaf.code {
            true => self.leaf.new_line(),
            false => self.flush(),
        }
    }

    pub(super) fn rule(&mut self) {
        self.flush();
        if self.table.is_none() && self.lists.is_empty() {
            self.write("---", Written::Block);
        }
    }

    pub(super) fn open_heading(&mut self, level: usize) {
        self.open_style(Style::Heading(level.clamp(1, 6)));
    }

    pub(super) fn open_code(&mut self) {
        self.open_style(Style::Code);
    }

    /// Ends a heading or code.
    pub(super) fn close_style(&mut self) {
        self.flush();
        self.style = self.styles.pop().unwrap_or(Style::Paragraph);
        self.leaf.code = self.style == Style::Code;
    }

    fn open_style(&mut self, style: Style) {
        self.flush();
        self.styles.push(self.style);
        self.style = style;
        self.leaf.code = style == Style::Code;
    }

    pub(super) fn open_quote(&mut self) {
        self.flush();
        self.quotes += 1;
    }

    pub(super) fn close_quote(&mut self) {
        self.flush();
        self.quotes = self.quotes.saturating_sub(1);
    }

    /// A list; with the number of its first item, an ordered one.
    pub(super) fn open_list(&mut self, start: Option<u64>) {
        self.flush();
        let root = self.lists.first().map(|list| list.root).unwrap_or_else(|| self.root());
        self.lists.push(List { next: start, root, marker: None, width: 2 });
    }

    pub(super) fn close_list(&mut self) {
        self.flush();
        self.lists.pop();
    }

    /// An item of the innermost list; one without a list gets one.
    pub(super) fn open_item(&mut self, mark: Option<&str>) {
        self.flush();
        if self.lists.is_empty() {
            return;
        }
        if let Some(list) = self.lists.last_mut() {
            let marker = match (&mut list.next, mark) {
                (_, Some(mark)) => format!("- {mark} "),
                (Some(next), None) => {
                    let marker = format!("{next}. ");
                    *next = next.saturating_add(1);
                    marker
                }
                (None, None) => "- ".to_owned(),
            };
            list.width = if marker.starts_with('-') { 2 } else { marker.len() };
            list.marker = Some(marker);
        }
    }

    pub(super) fn close_item(&mut self) {
        self.flush();
        if let Some(list) = self.lists.last_mut() {
            list.marker = None;
        }
    }

    /// A table. One inside of another is words of a cell.
    pub(super) fn open_table(&mut self) {
        self.flush();
        self.table_depth += 1;
        if self.table_depth == 1 {
            let id = self.root();
            self.table = Some(Table { id, row: Vec::new(), cell: None, has_header: false });
        }
    }

    pub(super) fn close_table(&mut self) {
        self.close_row();
        self.table_depth = self.table_depth.saturating_sub(1);
        if self.table_depth == 0 {
            self.table = None;
        }
    }

    pub(super) fn close_row(&mut self) {
        self.close_cell();
        let Some(table) = self.table.as_mut().filter(|_| self.table_depth == 1) else { return };
        let row = std::mem::take(&mut table.row);
        if row.iter().all(String::is_empty) {
            return;
        }
        // A row of one cell is layout, or a caption of what follows.
        if let [cell] = row.as_slice() {
            return self.write(cell, Written::Block);
        }
        let cells: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
        let mut lines = format!("| {} |", cells.join(" | "));
        let id = table.id;
        if !std::mem::replace(&mut table.has_header, true) {
            lines.push_str("\n|");
            lines.push_str(&" --- |".repeat(row.len()));
        }
        self.write(&lines, Written::Row(id));
    }

    pub(super) fn open_cell(&mut self) {
        self.close_cell();
        if let Some(table) = self.table.as_mut().filter(|_| self.table_depth == 1) {
            table.cell = Some(String::new());
        }
    }

    pub(super) fn close_cell(&mut self) {
        self.flush();
        if let Some(table) = self.table.as_mut().filter(|_| self.table_depth == 1)
            && let Some(cell) = table.cell.take()
        {
            table.row.push(cell);
        }
    }

    fn root(&mut self) -> u64 {
        self.roots += 1;
        self.roots
    }

    /// Writes the collected text as the block that it is.
    fn flush(&mut self) {
        let leaf = self.leaf.take();
        let code = self.style == Style::Code;
        let leaf = if code { leaf.trim_matches('\n').trim_end() } else { leaf.trim() };
        if leaf.trim().is_empty() {
            return;
        }
        if let Some(cell) = self.table.as_mut().and_then(|table| table.cell.as_mut()) {
            return join(cell, &one_line(leaf));
        }
        let root = self.lists.first().map(|list| list.root);
        let kind = root.map_or(Written::Block, Written::Item);
        match self.style {
            Style::Heading(level) if root.is_none() => {
                self.write(&format!("{} {}", "#".repeat(level), one_line(leaf)), kind);
            }
            Style::Code => {
                let fence = "`".repeat(longest_run(leaf, '`').max(2) + 1);
                self.write(&format!("{fence}\n{leaf}\n{fence}"), kind);
            }
            Style::Heading(_) | Style::Paragraph => self.write(leaf, kind),
        }
    }

    /// Writes lines below the marks of quotes and lists.
    fn write(&mut self, lines: &str, kind: Written) {
        let tight = matches!(
            (self.last, kind),
            (Some(Written::Item(one)), Written::Item(other)) | (Some(Written::Row(one)), Written::Row(other))
                if one == other
        );
        let quote = "> ".repeat(self.quotes.min(QUOTES_MAX));
        if self.last.is_some() {
            self.out.push('\n');
            if !tight {
                self.out.push_str(quote.trim_end());
                self.out.push('\n');
            }
        }
        self.last = Some(kind);
        let depth = self.lists.len().min(INDENT_MAX);
        let above: usize = self.lists.iter().take(depth.saturating_sub(1)).map(|list| list.width).sum();
        let (marker, width) = match self.lists.last_mut() {
            Some(list) => (list.marker.take(), list.width),
            None => (None, 0),
        };
        let mut blank = false;
        let mut first = true;
        for line in lines.split('\n') {
            // Of several empty lines one is kept.
            if std::mem::replace(&mut blank, line.trim().is_empty()) && blank && self.style != Style::Code {
                continue;
            }
            if !first {
                self.out.push('\n');
            }
            self.out.push_str(if blank { quote.trim_end() } else { quote.as_str() });
            match (&marker, first, blank) {
                (_, _, true) => {}
                (Some(marker), true, false) => {
                    self.out.extend(std::iter::repeat_n(' ', above));
                    self.out.push_str(marker);
                }
                _ => self.out.extend(std::iter::repeat_n(' ', above + width)),
            }
            self.out.push_str(line.trim_end());
            first = false;
        }
    }
}

fn join(cell: &mut String, words: &str) {
    if !cell.is_empty() && !words.is_empty() {
        cell.push(' ');
    }
    cell.push_str(words);
}
