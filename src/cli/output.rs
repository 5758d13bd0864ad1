//! Output of commands: results to standard output, everything else to standard error.
//!
//! Much of it comes from customers, vendors and strangers. Everything printed goes through [`visible`], so that it
//! cannot move the cursor, set the terminal's title or reverse the reading direction.

use std::{
    borrow::Cow,
    fmt::Write as _,
    io::{self, Write},
};

use serde::Serialize;

/// Prints one or more lines of a result. A closed pipe (`| head`) is no error.
pub(super) fn line(text: impl std::fmt::Display) -> anyhow::Result<()> {
    match writeln!(io::stdout().lock(), "{}", visible(&text.to_string())) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// Prints a result as JSON on one line.
pub(super) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    line(serde_json::to_string(value)?)
}

/// Prints raw bytes, such as a script. A closed pipe is no error.
pub(super) fn raw(bytes: &[u8]) -> anyhow::Result<()> {
    match io::stdout().lock().write_all(bytes) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// Prints a message to standard error.
pub(super) fn remark(text: impl std::fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "{}", visible(&text.to_string()));
}

/// Prints an error with its causes on one line.
pub(super) fn error(error: &anyhow::Error) {
    remark(format_args!("error: {error:#}"));
}

/// Prints a list as JSON Lines or as a table. An empty list prints nothing to standard output.
pub(super) fn list<T: Serialize>(
    as_json: bool,
    titles: &[&str],
    items: &[T],
    columns: impl Fn(&T) -> Vec<String>,
) -> anyhow::Result<()> {
    if as_json {
        return items.iter().try_for_each(json);
    }
    if items.is_empty() {
        remark("there is nothing to list");
        return Ok(());
    }
    let rows: Vec<Vec<String>> = items.iter().map(columns).collect();
    line(table(titles, &rows))
}

/// A table with a header; each cell on one line.
pub(super) fn table(titles: &[&str], rows: &[Vec<String>]) -> String {
    let header = titles.iter().map(|title| title.to_uppercase()).collect::<Vec<_>>();
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|text| cell(text)).collect()).collect();
    let all = || std::iter::once(&header).chain(&rows);
    let width = |n: usize| all().filter_map(|row| row.get(n)).map(|text| text.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..titles.len()).map(width).collect();
    let written = all().map(|row| {
        let cells = row.iter().zip(&widths).map(|(text, width)| format!("{text:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    });
    written.collect::<Vec<_>>().join("\n")
}

/// The text of one cell: on one line, `-` if empty.
fn cell(text: &str) -> String {
    match text {
        "" => "-".to_owned(),
        text => visible(text).replace('\n', "\\n").replace('\t', "\\t").replace('\r', "\\r"),
    }
}

/// Makes a text safe for a terminal: control characters, and characters that change how others are read, become
/// `\u001b` escapes, which mean the same in JSON.
pub(super) fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let ends_a_line = c == '\r' && chars.peek() == Some(&'\n');
        if ends_a_line || !is_hidden(c) {
            shown.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(shown, "\\u{unit:04x}");
        }
    }
    Cow::Owned(shown)
}

/// Controls other than tab and line feed, bidirectional controls (Unicode Standard Annex 9), and invisible characters
/// that are no part of a letter or an emoji.
fn is_hidden(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        '\u{061c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' => true,
        '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' => true,
        '\u{e0000}'..='\u{e007f}' => true,
        c => c.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_printed_reaches_the_terminal_as_a_control() {
        let every: String = ('\0'..=char::MAX).filter(|c| c.is_control() && !matches!(c, '\n' | '\t')).collect();
        assert!(visible(&every).is_ascii());
        assert_eq!(visible("\u{1b}]0;x\u{7}\u{9b}2J"), "\\u001b]0;x\\u0007\\u009b2J");
        assert_eq!(visible("a\u{202e}b\u{e0041}\u{200b}"), "a\\u202eb\\udb40\\udc41\\u200b");
        for kept in ["Zoë\tMüller\n", "名前", "👩‍👩‍👧", "a\r\nb", "می‌خواهم"] {
            assert_eq!(visible(kept), kept);
        }
        assert_eq!(visible("over\rwritten"), "over\\u000dwritten");
    }

    #[test]
    fn json_that_is_printed_is_the_same_json() {
        let value = serde_json::json!({ "text": "a\u{202e}\u{7f}\u{9b}\u{1b}\u{e0041}\nb" });
        let printed = visible(&value.to_string()).into_owned();
        assert!(printed.is_ascii());
        assert_eq!(serde_json::from_str::<serde_json::Value>(&printed).unwrap(), value);
    }

    #[test]
    fn a_table_has_a_header_and_a_line_for_each_row() {
        let rows = vec![vec!["1".to_owned(), "x\n2  forged".to_owned()], vec!["22".to_owned(), String::new()]];
        assert_eq!(table(&["id", "text"], &rows), "ID  TEXT\n1   x\\n2  forged\n22  -");
        assert_eq!(table(&["id"], &[]), "ID");
    }
}
