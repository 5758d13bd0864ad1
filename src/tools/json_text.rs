//! JSON as clients write it: repairs what parsers reject.

use std::borrow::Cow;

pub const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Removes a byte order mark, and replaces each lone surrogate escape by U+FFFD: JavaScript leaves them when it
/// truncates a text, and JSON parsers reject them.
pub fn readable(bytes: &[u8]) -> Cow<'_, [u8]> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    match bytes.windows(3).any(|three| matches!(three, [b'\\', b'u', b'd' | b'D'])) {
        true => Cow::Owned(without_half_surrogates(bytes)),
        false => Cow::Borrowed(bytes),
    }
}

fn without_half_surrogates(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [first, behind @ ..] = rest {
        let taken = match (first, behind) {
            (b'\\', [b'u', ..]) => match (escaped(rest), rest.get(6..).and_then(escaped)) {
                (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
                (Some(0xd800..=0xdfff), _) => {
                    out.extend_from_slice(br"\ufffd");
                    rest = &rest[6..];
                    continue;
                }
                _ => 2,
            },
            // An escaped backslash: what follows is no escape.
            (b'\\', [_, ..]) => 2,
            _ => 1,
        };
        out.extend_from_slice(&rest[..taken]);
        rest = &rest[taken..];
    }
    out
}

/// The UTF-16 code unit of a leading escape (`\u` and four digits).
fn escaped(bytes: &[u8]) -> Option<u16> {
    let digits = bytes.strip_prefix(br"\u")?.get(..4)?;
    digits
        .iter()
        .try_fold(0, |unit: u16, digit| Some(unit << 4 | u16::try_from(char::from(*digit).to_digit(16)?).ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn halves_of_pairs_are_replaced_and_nothing_else_is_touched() {
        for (sent, read) in [
            (r#"{"a":"x\ud83d"}"#, r#"{"a":"x\ufffd"}"#),
            (r#"{"a":"\uDE00\ud83d\ude00\ud83d\ud83d\uDE00"}"#, r#"{"a":"\ufffd\ud83d\ude00\ufffd\ud83d\uDE00"}"#),
            (r#"{"a":"\\ud83d"}"#, r#"{"a":"\\ud83d"}"#),
            (r#"{"a":"\\\ud83d\n"}"#, r#"{"a":"\\\ufffd\n"}"#),
            ("\u{feff}{}", "{}"),
            (r#"{"a":"\ud8"#, r#"{"a":"\ud8"#),
            (r#"\"#, r#"\"#),
        ] {
            assert_eq!(String::from_utf8_lossy(&readable(sent.as_bytes())), read, "{sent}");
        }
    }

    proptest! {
        #[test]
        fn what_is_json_stays_what_it_is(text in "\\PC{0,20}", bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let escaped: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
            let sent = format!("{{\"a\":\"{escaped}\"}}");
            let read: Value = serde_json::from_slice(&readable(sent.as_bytes())).unwrap();
            prop_assert_eq!(read["a"].as_str(), Some(text.as_str()));
            readable(&bytes);
        }
    }
}
