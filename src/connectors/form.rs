//! Bodies of requests as forms (`application/x-www-form-urlencoded`), and bodies read back for examples.

use http::{HeaderValue, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Map, Value};

use crate::upstream::Request;

pub(super) const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

/// What stays as it is, by the URL standard.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'*').remove(b'-').remove(b'.').remove(b'_');

pub(super) fn encode(pairs: &[(String, String)]) -> String {
    let encoded = |text| utf8_percent_encode(text, KEPT);
    let pairs = pairs.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// The body of a request as JSON; a form as an object of strings.
pub(super) fn body(request: &Request) -> Option<Value> {
    let body = request.body.as_ref()?;
    if request.headers.get(header::CONTENT_TYPE) != Some(&CONTENT_TYPE) {
        return serde_json::from_slice(body).ok();
    }
    let mut members = Map::new();
    for pair in std::str::from_utf8(body).ok()?.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=')?;
        let decoded = |text| percent_decode_str(text).decode_utf8().ok().map(String::from);
        members.insert(decoded(name)?, decoded(value)?.into());
    }
    Some(Value::Object(members))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_value_ends_it() {
        let pairs = [("To".to_owned(), "+1 & a=b".to_owned()), ("Körper".to_owned(), "\u{20ac}\n".to_owned())];
        assert_eq!(encode(&pairs), "To=%2B1%20%26%20a%3Db&K%C3%B6rper=%E2%82%AC%0A");
    }
}
