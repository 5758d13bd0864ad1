//! Characters and addresses that are shown.

/// Longest address of a link; a longer one is left out.
const URL_BYTES_MAX: usize = 2048;

/// No control characters, and none that are there only to break or not to break a line.
pub(super) fn is_shown(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{ad}' | '\u{200b}' | '\u{2060}' | '\u{feff}')
}

pub(super) fn longest_run(text: &str, of: char) -> usize {
    let mut longest = 0;
    let mut run = 0;
    for c in text.chars() {
        run = if c == of { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

/// White space as one space, none at the ends.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The address of a link that may be shown.
pub(super) fn address(url: &str) -> Option<String> {
    let url: String = url.trim().chars().filter(|c| !c.is_control()).collect();
    let scheme = url.split_once(':')?.0;
    let known = ["http", "https", "mailto", "tel"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    if !known || url.len() > URL_BYTES_MAX {
        return None;
    }
    let mut written = String::with_capacity(url.len());
    for c in url.chars() {
        match c {
            ' ' => written.push_str("%20"),
            '(' => written.push_str("%28"),
            ')' => written.push_str("%29"),
            '<' => written.push_str("%3C"),
            '>' => written.push_str("%3E"),
            other => written.push(other),
        }
    }
    Some(written)
}
