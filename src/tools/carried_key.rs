//! The idempotency key of a call, as transports carry it: in a header, or in `_meta`.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName};
use serde_json::Value;

use crate::desk::IdempotencyKey;

const HEADER: HeaderName = HeaderName::from_static("idempotency-key");
/// The member of `_meta` that carries it by MCP.
const META: &str = "io.frontdesk/idempotency-key";

const FORM: &str =
    "The idempotency key must be a string of 1 to 255 visible ASCII characters. Correct it, or call again without one.";
const DIFFER: &str = "The header Idempotency-Key and _meta io.frontdesk/idempotency-key hold two keys. Nothing was done. Send \
    one of them, or the same in both.";
const HEADER_MALFORMED: &str = "The header Idempotency-Key cannot be read: it must come once, in ASCII, and with both quotes or none. Nothing was done.";

/// The idempotency key of a call, or none.
#[derive(Debug, Clone, PartialEq)]
pub struct CarriedKey(Result<Option<Value>, &'static str>);

/// Why the header cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MalformedKey(&'static str);

impl CarriedKey {
    pub fn none() -> Self {
        Self(Ok(None))
    }

    /// From the header alone.
    pub fn of_header(headers: &HeaderMap) -> Result<Self, MalformedKey> {
        Ok(Self(Ok(in_header(headers)?.map(Value::from))))
    }

    /// From `_meta`, and from the header of the request that brought it, where there was one. Both must agree.
    pub fn of_message<'a>(headers: Option<&HeaderMap>, meta: impl Fn(&str) -> Option<&'a Value>) -> Self {
        let in_meta = meta(META);
        Self(match (headers.map(in_header).transpose().map(Option::flatten), in_meta) {
            (Err(_), _) => Err(HEADER_MALFORMED),
            (Ok(Some(header)), Some(meta)) if *meta != header => Err(DIFFER),
            (Ok(Some(header)), _) => Ok(Some(header.into())),
            (Ok(None), meta) => Ok(meta.cloned()),
        })
    }

    /// The key, or a sentence for the model.
    pub(super) fn parse(self) -> Result<Option<IdempotencyKey>, &'static str> {
        let Some(value) = self.0? else { return Ok(None) };
        value.as_str().and_then(|text| IdempotencyKey::parse(text).ok()).map(Some).ok_or(FORM)
    }
}

/// The key as it is, or as a string of structured fields (RFC 8941), as draft-ietf-httpapi-idempotency-key-header writes
/// it.
fn in_header(headers: &HeaderMap) -> Result<Option<String>, MalformedKey> {
    let mut values = headers.get_all(HEADER).iter();
    let value = match (values.next(), values.next()) {
        (None, _) => return Ok(None),
        (Some(value), None) => value,
        (Some(_), Some(_)) => return Err(MalformedKey("there is more than one Idempotency-Key header")),
    };
    let text = value.to_str().map_err(|_| MalformedKey("the Idempotency-Key header is not ASCII"))?.trim();
    let key = match text.strip_prefix('"') {
        Some(quoted) => unquoted(quoted).ok_or(MalformedKey("the Idempotency-Key header has an unfinished quote"))?,
        None => Cow::Borrowed(text),
    };
    Ok(Some(key.into_owned()))
}

/// The rest of a quoted string (RFC 8941, 4.2.5), which must end with the quote.
fn unquoted(rest: &str) -> Option<Cow<'_, str>> {
    let inside = rest.strip_suffix('"')?;
    if !inside.contains(['"', '\\']) {
        return Some(Cow::Borrowed(inside));
    }
    let (mut text, mut letters) = (String::new(), inside.chars());
    while let Some(letter) = letters.next() {
        match letter {
            '"' => return None,
            '\\' => text.push(letters.next().filter(|escaped| matches!(escaped, '"' | '\\'))?),
            other => text.push(other),
        }
    }
    Some(Cow::Owned(text))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use serde_json::json;

    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (HEADER, HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn a_key_is_taken_bare_and_quoted() {
        let read = |values: &[&str]| in_header(&headers(values)).ok();
        assert_eq!(read(&[]), Some(None));
        for (sent, key) in [
            ("8e03978e-40d5", "8e03978e-40d5"),
            ("\"8e03978e-40d5\"", "8e03978e-40d5"),
            (" a ", "a"),
            ("a\"b", "a\"b"),
            ("\"a\\\"b\\\\c\"", "a\"b\\c"),
            ("", ""),
            ("\"\"", ""),
        ] {
            assert_eq!(read(&[sent]), Some(Some(key.to_owned())), "{sent}");
        }
        for malformed in ["\"", "\"a", "\"a\"b\"", "\"a\\b\"", "\"a\"; p=1", "\"a\\\""] {
            assert_eq!(read(&[malformed]), None, "{malformed}");
        }
        assert_eq!(read(&["a", "a"]), None);
    }

    #[test]
    fn header_and_meta_agree_or_nothing_is_done() {
        let read = |header: Option<&str>, meta: Option<Value>| {
            let headers = header.map(|value| headers(&[value]));
            let key = CarriedKey::of_message(headers.as_ref(), |name| meta.as_ref().filter(|_| name == META));
            key.parse()
        };
        let key = Ok(IdempotencyKey::parse("k-1").ok());
        assert_eq!(read(None, None), Ok(None));
        assert_eq!(read(Some("\"k-1\""), None), key);
        assert_eq!(read(None, Some(json!("k-1"))), key);
        assert_eq!(read(Some("k-1"), Some(json!("k-1"))), key);
        assert_eq!(read(Some("k-1"), Some(json!("k-2"))), Err(DIFFER));
        assert_eq!(read(Some("k-1"), Some(json!(1))), Err(DIFFER));
        assert_eq!(read(Some("\"k"), Some(json!("k-1"))), Err(HEADER_MALFORMED));
        assert_eq!(read(Some(""), None), Err(FORM));
        assert_eq!(read(None, Some(json!(null))), Err(FORM));
    }
}
