//! Lenient JSON parser for webhooks: accepts a byte order mark, lone surrogates, invalid UTF-8, control characters in
//! strings, and numbers out of range.

use serde_json::Value;

/// Values nested deeper than this become null.
const DEPTH_MAX: usize = 100;

/// A parsed body.
#[derive(Debug, Clone, PartialEq)]
pub struct Read {
    pub value: Value,
    /// Whether a value was replaced by null: a number out of range, or one nested too deep.
    pub damaged: bool,
}

/// Parses a body. Lone surrogates and invalid UTF-8 become U+FFFD. None if it is not JSON.
pub fn read(body: &[u8]) -> Option<Read> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    if let Ok(value) = serde_json::from_slice(body) {
        return Some(Read { value, damaged: false });
    }
    let text = String::from_utf8_lossy(body);
    let (mended, damaged) = mend(&text);
    serde_json::from_str(&mended).ok().map(|value| Read { value, damaged })
}

/// Replaces tokens that the parser refuses, and says whether a value was lost. Does not validate the structure.
fn mend(text: &str) -> (String, bool) {
    let (mut out, mut rest, mut depth, mut damaged) = (String::with_capacity(text.len()), text, 0, false);
    while let Some(next) = rest.chars().next() {
        let keep = depth <= DEPTH_MAX;
        let (token, mended) = match next {
            '"' => {
                let token = &rest[..string_end(rest)];
                (token, Some(strings(token)))
            }
            '-' | '0'..='9' => {
                let end =
                    rest.find(|c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E')).unwrap_or(rest.len());
                let token = &rest[..end];
                let fits = token.parse::<f64>().map_or(true, f64::is_finite);
                damaged |= !fits;
                (token, (!fits).then(|| "null".to_owned()))
            }
            '{' | '[' => {
                depth += 1;
                if depth == DEPTH_MAX + 1 {
                    damaged = true;
                    out.push_str("null");
                }
                (&rest[..1], None)
            }
            '}' | ']' => {
                let closes = depth > DEPTH_MAX;
                depth = depth.saturating_sub(1);
                if closes {
                    rest = &rest[1..];
                    continue;
                }
                (&rest[..1], None)
            }
            other => (&rest[..other.len_utf8()], None),
        };
        if keep && depth <= DEPTH_MAX {
            out.push_str(mended.as_deref().unwrap_or(token));
        }
        rest = &rest[token.len()..];
    }
    (out, damaged)
}

/// The length of the string literal that `text` begins with.
fn string_end(text: &str) -> usize {
    let mut escaped = false;
    for (at, octet) in text.bytes().enumerate().skip(1) {
        match octet {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Replaces lone surrogates in a string literal, and escapes control characters.
fn strings(token: &str) -> String {
    let mut out = String::with_capacity(token.len());
    let mut rest = token;
    while let Some(next) = rest.chars().next() {
        let unit = |text: &str| {
            let hex = text.strip_prefix("\\u")?.get(..4)?;
            u16::from_str_radix(hex, 16).ok().filter(|_| hex.bytes().all(|octet| octet.is_ascii_hexdigit()))
        };
        let taken = match (next, unit(rest)) {
            ('\\', Some(0xd800..=0xdbff)) if matches!(rest.get(6..).and_then(unit), Some(0xdc00..=0xdfff)) => 12,
            ('\\', Some(0xd800..=0xdfff)) => {
                out.push_str("\\ufffd");
                rest = &rest[6..];
                continue;
            }
            ('\\', Some(_)) => 6,
            ('\\', None) => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            (control, _) if u32::from(control) < 0x20 => {
                out.push_str(&format!("\\u{:04x}", u32::from(control)));
                rest = &rest[1..];
                continue;
            }
            (other, _) => other.len_utf8(),
        };
        out.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn value(body: &str) -> Option<Value> {
        read(body.as_bytes()).map(|read| read.value)
    }

    #[test]
    fn what_javascript_cuts_is_read() {
        assert_eq!(value(r#"{"a":"x \ud83d"}"#), Some(json!({ "a": "x \u{fffd}" })));
        assert_eq!(
            value(r#"["\ude00\ud83d\ude00\ud83d","\\ud83d"]"#),
            Some(json!(["\u{fffd}\u{1f600}\u{fffd}", "\\ud83d"]))
        );
        assert_eq!(value("\u{feff}{\"a\":1}"), Some(json!({ "a": 1 })));
        assert_eq!(value("{\"a\":\"one\ntwo\"}"), Some(json!({ "a": "one\ntwo" })));
        assert_eq!(read(b"[\"\xff\"]").unwrap().value, json!(["\u{fffd}"]));
        for no in ["", "nonsense", "{\"a\":", "{\"a\":\"\\ud83d", "\"\\", "\"\\u", "{]"] {
            assert_eq!(value(no), None, "{no}");
        }
    }

    #[test]
    fn what_fits_into_nothing_is_null_and_said() {
        let read = |body: &str| read(body.as_bytes()).unwrap();
        assert_eq!(
            read(r#"{"a":1e999,"b":"1e999"}"#),
            Read { value: json!({ "a": null, "b": "1e999" }), damaged: true }
        );
        let deep = format!("{{\"a\":{}{},\"b\":1}}", "[".repeat(500), "]".repeat(500));
        let deep = read(&deep);
        assert!(deep.damaged && deep.value["b"] == 1);
    }

    proptest! {
        #[test]
        fn what_is_json_stays_as_it_is(text in ".*", number in -1e300f64..1e300) {
            let body = json!({ "a": [text, number, null, true], "b": { "c": "\u{1f600}\\" } }).to_string();
            let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap();
            prop_assert_eq!(parse(&mend(&body).0), parse(&body));
        }

        #[test]
        fn no_body_is_too_strange(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            read(&body);
        }

        #[test]
        fn no_string_is_too_strange(text in r#"["\\u{}\[\]0-9a-fD8,e\n]{0,60}"#) {
            read(text.as_bytes());
        }
    }
}
