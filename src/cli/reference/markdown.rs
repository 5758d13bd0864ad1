//! Markdown as it is committed: wrapped, and with nothing in it that would be read as something else.

/// The longest line outside tables.
const WIDTH: usize = 120;

/// What stands above every page.
pub(super) const GENERATED: &str = "<!-- Written by `frontdesk schema`; edit the code. -->";

/// Paragraphs, wrapped, with a blank line after each.
pub(super) fn paragraphs(text: &str) -> String {
    text.split("\n\n").map(|paragraph| format!("{}\n\n", wrap(&escape(paragraph)))).collect()
}

fn wrap(text: &str) -> String {
    let (mut lines, mut line) = (Vec::new(), String::new());
    for word in text.split_whitespace() {
        // A list or a heading begins with such a word, if it begins a line.
        let marker = matches!(word, "-" | "+" | "*" | "#") || word.ends_with(['.', ')']) && starts_a_list(word);
        if !line.is_empty() && !marker && line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines.join("\n")
}

fn starts_a_list(word: &str) -> bool {
    word.len() > 1 && word[..word.len() - 1].bytes().all(|b| b.is_ascii_digit())
}

/// A text that is no Markdown but for code in backticks.
pub(super) fn escape(text: &str) -> String {
    let parts = text.split('`').enumerate().map(|(n, part)| match n % 2 {
        0 => part.replace('<', "&lt;").replace('*', "\\*"),
        _ => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("`")
}

pub(super) fn code(text: &str) -> String {
    format!("`{text}`")
}

/// A table; a text is in one line, and `|` is no border.
pub(super) fn table(titles: &[&str], rows: &[Vec<String>]) -> String {
    let row = |cells: &[String]| {
        let cells = cells.iter().map(|cell| cell.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|"));
        let cells = cells.map(|cell| if cell.is_empty() { " |".to_owned() } else { format!(" {cell} |") });
        format!("|{}\n", cells.collect::<String>())
    };
    let titles: Vec<String> = titles.iter().map(|title| (*title).to_owned()).collect();
    let rule = format!("|{}\n", "---|".repeat(titles.len()));
    format!("{}{rule}{}\n", row(&titles), rows.iter().map(|cells| row(cells)).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_short_and_words_begin_no_list() {
        let text = format!("{} - and # 12. `a  b` <x> *y*", "word ".repeat(200));
        let wrapped = paragraphs(&text);
        assert!(wrapped.lines().all(|line| line.chars().count() <= WIDTH + 8), "{wrapped}");
        assert!(wrapped.lines().all(|line| !line.starts_with(['-', '#', '1'])), "{wrapped}");
        assert!(wrapped.contains("&lt;x> \\*y\\*"), "{wrapped}");
        assert_eq!(wrap(&"x".repeat(200)), "x".repeat(200));
    }

    #[test]
    fn a_cell_stays_in_its_column() {
        let text = table(&["A", "B"], &[vec!["a|b\nc".to_owned(), String::new()]]);
        assert_eq!(text, "| A | B |\n|---|---|\n| a\\|b c | |\n\n");
    }
}
