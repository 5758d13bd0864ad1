//! Cleans text from customers, vendors and content systems, once, where it enters.
//!
//! Control, bidi and invisible characters can make a text look different from what it says, to people and to models
//! (Unicode TR 36, "Trojan Source").

use std::borrow::Cow;

/// Longest run of invisible characters that is kept, as emoji have them.
const INVISIBLE_RUN_MAX: usize = 3;

/// Cleans a text of several lines: removes control characters other than tab and line feed, bidi overrides, tag
/// characters and runs of zero-width characters. Every other character stays.
pub fn lines(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len());
    let mut run = String::new();
    let mut before = None;
    for c in text.chars() {
        match kind(c, before) {
            Kind::Invisible => run.push(c),
            kind => {
                end_run(&mut clean, &mut run);
                match kind {
                    Kind::Break => clean.push('\n'),
                    Kind::Plain => clean.push(c),
                    _ => {}
                }
            }
        }
        before = Some(c);
    }
    end_run(&mut clean, &mut run);
    // Removing a character may have joined two runs of invisible ones.
    match clean == text {
        true => Cow::Borrowed(text),
        false => Cow::Owned(lines(&clean).into_owned()),
    }
}

/// Cleans a text and makes it one line: each run of line breaks and tabs becomes a space.
pub fn line(text: &str) -> Cow<'_, str> {
    let clean = lines(text);
    match clean.contains(['\n', '\t']) {
        true => Cow::Owned(clean.split(['\n', '\t']).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")),
        false => clean,
    }
}

/// Text on one line, with a space for each run of control characters and line breaks; nothing else is taken out.
pub fn one_line(text: &str) -> String {
    text.split(|c: char| c.is_control() || is_break(c)).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Every character that some program shows as a line break.
pub(crate) fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    /// A line break other than line feed.
    Break,
    /// Zero width. A single one may join or separate letters, or select the form of an emoji.
    Invisible,
    Removed,
}

fn kind(c: char, before: Option<char>) -> Kind {
    match c {
        '\t' | '\n' if before == Some('\r') && c == '\n' => Kind::Removed,
        '\t' | '\n' => Kind::Plain,
        '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => Kind::Break,
        '\u{feff}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{206f}' | '\u{fff9}'..='\u{fffb}' => Kind::Removed,
        '\u{e0000}'..='\u{e007f}' => Kind::Removed,
        '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2065}' | '\u{61c}' | '\u{180e}' | '\u{34f}' => Kind::Invisible,
        c if is_selector(c) => Kind::Invisible,
        c if c.is_control() || (c as u32) & 0xfffe == 0xfffe => Kind::Removed,
        _ => Kind::Plain,
    }
}

fn is_plain(c: char) -> bool {
    kind(c, None) == Kind::Plain
}

/// Variation selectors: they select the form of the character before.
fn is_selector(c: char) -> bool {
    matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{180b}'..='\u{180d}' | '\u{e0100}'..='\u{e01ef}')
}

/// Keeps a run of invisible characters if it is short and alternates between selectors and others.
fn end_run(clean: &mut String, run: &mut String) {
    let marks: Vec<char> = run.drain(..).collect();
    let doubled = marks.windows(2).any(|pair| is_selector(pair[0]) == is_selector(pair[1]));
    if !doubled && marks.len() <= INVISIBLE_RUN_MAX {
        clean.extend(marks);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_people_write_stays_and_what_nobody_sees_goes() {
        let stays = [
            "Größe 43,\n\tin Blau – 50 % 🎉",
            "👩‍👩‍👧‍👦 ❤️‍🔥 👍🏽 🏳️‍🌈 🇬🇧",
            "می‌خواهم",
            "क्‍ष",
            "العربية ‏(abc)",
            "e\u{301}",
            "１２３ ㌔",
            "",
        ];
        for text in stays {
            assert_eq!(lines(text), text);
        }
        let goes = [
            ("a\r\nb\rc\u{85}d\u{2028}e", "a\nb\nc\nd\ne"),
            ("a\0b\u{1b}[31mc\u{9b}d\u{7f}", "ab[31mcd"),
            ("safe\u{202e}gpj.exe\u{2066}x\u{2069}", "safegpj.exex"),
            ("hi\u{e0069}\u{e0067}\u{e006e}", "hi"),
            ("a\u{200b}\u{200b}b\u{200d}\u{200c}\u{2060}c", "abc"),
            ("a\u{200b}\u{0}\u{200b}b", "ab"),
            ("x\u{fe0f}\u{fe01}\u{e0101}y", "xy"),
            ("x\u{fe0f}\u{200d}\u{fe0f}\u{200d}y", "xy"),
            ("\u{feff}text", "text"),
        ];
        for (text, clean) in goes {
            assert_eq!(lines(text), clean, "{text:?}");
        }
        assert_eq!(line("one\r\n\ttwo\n"), "one two");
    }

    proptest! {
        #[test]
        fn cleaning_is_complete_and_once_is_enough(
            text in proptest::collection::vec(prop_oneof![
                any::<char>(),
                proptest::sample::select(vec!['\u{200b}', '\u{200d}', '\u{fe0f}', '\u{202e}', '\u{e0041}', '\r', '\n', '\0', 'a']),
            ], 0..40)
        ) {
            let text: String = text.into_iter().collect();
            let clean = lines(&text).into_owned();
            prop_assert_eq!(lines(&clean), clean.as_str());
            let dangerous = |c: char| (c.is_control() && c != '\n' && c != '\t')
                || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{e0000}'..='\u{e007f}');
            prop_assert!(!clean.contains(dangerous));
            let zero_width = |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}');
            let chars: Vec<char> = clean.chars().collect();
            prop_assert!(!chars.windows(2).any(|pair| pair.iter().all(|c| zero_width(*c))));
            prop_assert!(!line(&text).contains(['\n', '\t']));
        }

        #[test]
        fn one_line_has_no_break_and_loses_nothing_else(text in "(.|\n|\r|\u{2028}|\u{85})*") {
            let line = one_line(&text);
            prop_assert!(!line.contains(is_break) && !line.contains(char::is_control));
            let visible = |text: &str| text.chars().filter(|c| !c.is_control() && !is_break(*c) && *c != ' ').collect::<String>();
            prop_assert_eq!(visible(&line), visible(&text));
        }
    }
}
