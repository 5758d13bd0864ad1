//! Native text functions for filters, in linear time.
//!
//! jaq's regular expressions count characters from the start for every match, which takes quadratic time; filters over
//! many pieces are slow.

use jaq_core::{
    RunPtr, data,
    native::{self, Fun, bome, v},
};
use jaq_json::{Error, Val, ValR};

use super::{rich_text, values};

type Data = data::JustLut<Val>;

/// The functions by name.
pub(super) fn functions() -> impl Iterator<Item = Fun<Data>> {
    let all: [(&'static str, usize, RunPtr<Data>); 7] = [
        ("replace", 2, |mut cv| {
            // Arguments are popped in reverse order.
            let (to, from) = (cv.0.pop_var(), cv.0.pop_var());
            bome(replace(&cv.1, &from, &to))
        }),
        ("strip_tags", 0, |cv| bome(text(&cv.1).map(|text| Val::from(strip_tags(text))))),
        ("squeeze", 0, |cv| bome(text(&cv.1).map(|text| Val::from(squeeze(text))))),
        ("paragraphs", 0, |cv| bome(text(&cv.1).map(|text| paragraphs(text).into_iter().map(Val::from).collect()))),
        ("html_text", 0, |cv| bome(html_text(&cv.1))),
        ("rich_text", 0, |cv| bome(rich_text(&cv.1))),
        ("rich_text_reason", 0, |cv| Box::new(reason(&cv.1).map(|reason| Ok(Val::from(reason))).into_iter())),
    ];
    all.into_iter().map(|(name, arguments, run)| native::run::<Data>((name, v(arguments), run)))
}

fn text(value: &Val) -> Result<&str, Error> {
    let octets = match value {
        Val::TStr(octets) | Val::BStr(octets) => octets,
        other => return Err(Error::typ(other.clone(), "string")),
    };
    std::str::from_utf8(octets).map_err(Error::str)
}

/// Largest document of rich text, in bytes.
const DOCUMENT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// HTML as Markdown. What is not there stays so.
fn html_text(value: &Val) -> ValR {
    match value {
        Val::Null => Ok(Val::Null),
        value => text(value).map(|text| Val::from(rich_text::html_text(text))),
    }
}

/// A document of rich text as Markdown.
fn rich_text(value: &Val) -> ValR {
    if *value == Val::Null {
        return Ok(Val::Null);
    }
    let document =
        values::from_val(value, DOCUMENT_BYTES_MAX).ok_or_else(|| Error::str("the document is too large"))?;
    rich_text::rich_text(&document).map(Val::from).map_err(Error::str)
}

/// The sentence of an error of `rich_text`, which holds nothing of the document's text.
pub(super) fn reason(error: &Val) -> Option<String> {
    rich_text::reason(text(error).ok()?)
}

/// Replaces every occurrence of a literal string.
fn replace(value: &Val, from: &Val, to: &Val) -> ValR {
    match text(from)? {
        "" => Err(Error::str("nothing is replaced")),
        from => Ok(Val::from(text(value)?.replace(from, text(to)?))),
    }
}

/// Replaces each `<…>` by a space. An unclosed `<` and a lone `>` stay.
fn strip_tags(text: &str) -> String {
    let mut stripped = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, tag)) = rest.split_once('<') {
        let Some((_, after)) = tag.split_once('>') else { break };
        stripped.push_str(before);
        stripped.push(' ');
        rest = after;
    }
    stripped + rest
}

/// Collapses runs of white space to one space and trims the ends.
fn squeeze(text: &str) -> String {
    let mut squeezed = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !squeezed.is_empty() {
            squeezed.push(' ');
        }
        squeezed.push_str(word);
    }
    squeezed
}

/// Splits a text at blank lines. Line endings become `\n`.
fn paragraphs(text: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    for line in text.lines() {
        let blank = line.trim().is_empty();
        match all.last_mut() {
            Some(last) if !blank => {
                if !last.is_empty() {
                    last.push('\n');
                }
                last.push_str(line);
            }
            Some(last) if last.is_empty() => {}
            _ => all.push(String::new()),
        }
    }
    all.retain(|paragraph| !paragraph.is_empty());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_become_spaces_and_what_is_no_tag_stays() {
        for (text, stripped) in [
            ("<p>Hi <b>you</b></p>", " Hi  you  "),
            ("1 < 2", "1 < 2"),
            ("2 > 1 <br>", "2 > 1  "),
            ("a < b <i>c</i>", "a  c "),
            ("", ""),
            ("<", "<"),
        ] {
            assert_eq!(strip_tags(text), stripped, "{text}");
        }
    }

    #[test]
    fn white_space_and_paragraphs() {
        assert_eq!(squeeze(" a \t\n b\u{a0}c "), "a b c");
        assert_eq!(paragraphs("a\r\nb\r\n\r\n \t\n\nc\n"), ["a\nb", "c"]);
        assert_eq!(paragraphs("\n\n"), Vec::<String>::new());
    }
}
