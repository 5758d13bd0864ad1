//! Texts of customers, platforms and vendors as they may be shown: what is invisible or changes the order of letters is
//! made visible, and what is endless is cut. The templates escape the rest.

/// Longest text in one place, in characters.
const CHARS_MAX: usize = 4_000;

/// A text for display.
pub(super) fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for (n, letter) in text.chars().enumerate() {
        if n == CHARS_MAX {
            shown.push_str(&format!(" … ({} characters)", text.chars().count()));
            break;
        }
        match letter {
            '\n' => shown.push('\n'),
            '\t' => shown.push(' '),
            // The pictures of control characters.
            c @ '\0'..='\u{1f}' => shown.push(char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}')),
            '\u{7f}' => shown.push('\u{2421}'),
            c if is_hidden(c) => shown.push_str(&format!("⟨U+{:04X}⟩", u32::from(c))),
            c => shown.push(c),
        }
    }
    shown
}

/// The same on one line.
pub(super) fn on_one_line(text: &str) -> String {
    shown(text).replace('\n', "\u{240a}")
}

/// Control, formatting and direction: U+0080 to U+009F, soft hyphen, zero width, bidirectional, line and paragraph
/// separators, tags, variation selectors.
fn is_hidden(c: char) -> bool {
    matches!(u32::from(c),
        0x80..=0x9f | 0xad | 0x61c | 0x180e | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0xfe00..=0xfe0f
        | 0xfeff | 0xfff9..=0xfffb | 0xe0000..=0xe0fff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_invisible_is_shown() {
        assert_eq!(shown("a\u{1b}[31mred\u{7f}"), "a\u{241b}[31mred\u{2421}");
        assert_eq!(shown("order\u{202e}1001\u{200b}"), "order⟨U+202E⟩1001⟨U+200B⟩");
        assert_eq!(shown("Größe 大 👍\nnext"), "Größe 大 👍\nnext");
        assert_eq!(on_one_line("a\nb\r"), "a\u{240a}b\u{240d}");
        assert_eq!(shown("<script>"), "<script>", "the templates escape");
    }

    #[test]
    fn an_endless_line_is_cut() {
        let cut = shown(&"x".repeat(1_000_000));
        assert!(cut.chars().count() < CHARS_MAX + 40 && cut.ends_with("(1000000 characters)"), "{}", cut.len());
    }
}
