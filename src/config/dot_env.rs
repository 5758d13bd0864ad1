//! `.env` reader: lines `NAME=VALUE`, taken literally. Nothing in a value is expanded, so that no secret is altered
//! unnoticed.

use std::collections::BTreeMap;

/// Longest quoted PEM key, in lines.
const PEM_LINES_MAX: usize = 200;

/// The parsed file.
#[derive(Clone, Default)]
pub(super) struct DotEnv {
    values: BTreeMap<String, Line>,
    /// The numbers of lines that are not of the form `NAME=VALUE`.
    pub(super) foreign: Vec<usize>,
}

/// A value and its line number.
#[derive(Clone)]
struct Line {
    number: usize,
    value: Result<String, &'static str>,
}

/// The names that the text of a `.env` gives a value, be it an empty one.
pub fn names(text: &str) -> Vec<String> {
    DotEnv::read(text).names().map(str::to_owned).collect()
}

impl DotEnv {
    /// Parses a file. The rules:
    ///
    /// - Skipped: a byte order mark, empty lines, lines that begin with `#`, the word `export`, and every line that is not
    ///   `NAME=VALUE` (its number is in [`DotEnv::foreign`]).
    /// - White space around name and value is trimmed. One pair of quotes around a value is removed.
    /// - Everything else is part of the value: `$`, backslashes, quotes inside, `=`.
    /// - A PEM key in quotes may span several lines.
    /// - Where programs disagree (a ` #` outside quotes, a quote that ends early), reading the value is an error.
    pub(super) fn read(text: &str) -> Self {
        let mut read = Self::default();
        let mut lines = text.strip_prefix('\u{feff}').unwrap_or(text).lines().enumerate();
        while let Some((n, line)) = lines.next() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let Some((name, value)) = named(line) else {
                read.foreign.push(n + 1);
                continue;
            };
            let value = match opened_pem(value) {
                Some(quote) => pem(value, quote, &mut lines),
                None => one_line(value),
            };
            read.values.insert(name.to_owned(), Line { number: n + 1, value });
        }
        read
    }

    /// The value of a name. An error says why its line is ambiguous, without the value.
    pub(super) fn get(&self, name: &str) -> Option<Result<&str, String>> {
        let Line { number, value } = self.values.get(name)?;
        Some(value.as_deref().map_err(|why| format!("line {number} of .env ({name}): {why}")))
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }
}

/// `NAME=VALUE`, or `export NAME=VALUE`.
fn named(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once('=')?;
    let name = name.trim();
    let name = name.strip_prefix("export").filter(|rest| rest.starts_with([' ', '\t'])).map_or(name, str::trim);
    let first = name.bytes().next()?;
    let good = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (!first.is_ascii_digit() && name.bytes().all(good)).then_some((name, value.trim()))
}

fn one_line(value: &str) -> Result<String, &'static str> {
    if let Some(quote) = value.chars().next().filter(|c| matches!(c, '"' | '\'')) {
        let inside = &value[1..];
        let Some(end) = inside.find(quote) else { return Ok(value.to_owned()) };
        let (inside, rest) = (&inside[..end], &inside[end + 1..]);
        let comment = rest.starts_with([' ', '\t']) && rest.trim_start().starts_with('#') && !rest.contains(quote);
        return match rest.is_empty() || comment {
            true => Ok(inside.to_owned()),
            false => Err("a quote inside quotes of the same kind; put the other kind around the value"),
        };
    }
    match value.contains(" #") || value.contains("\t#") {
        true => Err("a # behind white space could be a comment or part of the value; put quotes around the value"),
        false => Ok(value.to_owned()),
    }
}

/// The opening quote of a PEM key that continues on the next line.
fn opened_pem(value: &str) -> Option<char> {
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    (value[1..].starts_with("-----BEGIN ") && !value[1..].contains(quote)).then_some(quote)
}

fn pem<'a>(
    first: &str,
    quote: char,
    lines: &mut impl Iterator<Item = (usize, &'a str)>,
) -> Result<String, &'static str> {
    let mut value = first[1..].to_owned();
    for (_, line) in lines.take(PEM_LINES_MAX) {
        value.push('\n');
        match line.split_once(quote) {
            Some((last, _)) => {
                value.push_str(last);
                return Ok(value);
            }
            None => value.push_str(line),
        }
    }
    Err("the quote before -----BEGIN is never closed")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value(text: &str) -> Option<Result<String, String>> {
        DotEnv::read(text).get("S").map(|value| value.map(str::to_owned))
    }

    #[test]
    fn values_stand_as_they_are_written() {
        let cases = [
            ("S=ab$cd12", "ab$cd12"),
            ("S=ab$$cd", "ab$$cd"),
            ("S=${HOME}", "${HOME}"),
            ("S=ab\\ncd", "ab\\ncd"),
            ("S=ab'cd", "ab'cd"),
            ("S='abc", "'abc"),
            ("S=a#b", "a#b"),
            ("S=a=b==", "a=b=="),
            ("S={\"a\":\"b\"}", "{\"a\":\"b\"}"),
            ("S=two words", "two words"),
            ("  export S = x \r\n", "x"),
            ("\u{feff}S=x", "x"),
            ("S=\"a $b \\n # c\" # a comment", "a $b \\n # c"),
            ("S='it is \"it\"'", "it is \"it\""),
            ("S=", ""),
            ("S=\"\"", ""),
            ("S=old\nS=new", "new"),
            ("S='-----BEGIN KEY-----\nab\n-----END KEY-----'\nT=1", "-----BEGIN KEY-----\nab\n-----END KEY-----"),
        ];
        for (text, wanted) in cases {
            assert_eq!(value(text), Some(Ok(wanted.to_owned())), "{text}");
        }
    }

    #[test]
    fn what_programs_read_differently_is_refused_with_its_line() {
        for text in ["S=abc #def", "T=1\nS=\"a\"b\"", "S='a' 'b'", "S=\"-----BEGIN KEY-----\nnever closed"] {
            let error = value(text).unwrap().unwrap_err();
            assert!(error.contains("line ") && error.contains("(S)") && !error.contains("def"), "{error}");
        }
    }

    #[test]
    fn lines_of_other_programs_are_counted_and_passed_over() {
        let read = DotEnv::read("MY-VAR=1\n# c\njust words\nS=x\n1A=2\n=3\n");
        assert_eq!(read.foreign, [1, 3, 5, 6]);
        assert_eq!(read.names().collect::<Vec<_>>(), ["S"]);
    }

    proptest! {
        /// Whatever a value holds, it comes out as it went in, or it is refused.
        #[test]
        fn no_value_changes_in_silence(secret in "[ -~]{0,40}", quote in "['\"]?") {
            let written = format!("S={quote}{secret}{quote}");
            if let Some(Ok(read)) = value(&written) {
                let trimmed = secret.trim();
                let unquoted = trimmed.len() > 1 && ["'", "\""].iter().any(|q| trimmed.starts_with(q));
                prop_assert!(read == secret || quote.is_empty() && (read == trimmed || unquoted)
                    || written.trim() == format!("S={read}"), "{written} was read as {read}");
            }
        }
    }
}
