//! Headers, times and encodings of signatures, as all schemes read and write them.

use std::collections::BTreeMap;

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use http::{HeaderMap, HeaderName};
use serde::{Deserialize, Serialize};

use super::{Rejection, WINDOW, scheme::Encoding};
use crate::domain::Timestamp;

/// The signed values besides the body.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    pub id: Option<String>,
    pub timestamp: Option<String>,
    pub headers: BTreeMap<String, String>,
}

/// The value of a header that must occur exactly once.
pub(super) fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<&'a [u8], Rejection> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().ok_or_else(|| Rejection::Missing(name.to_string()))?;
    match values.next() {
        None => Ok(value.as_bytes()),
        Some(_) => Err(Rejection::Repeated(name.to_string())),
    }
}

/// The value of a header that must occur exactly once, as a string that is not empty.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &HeaderName, form: &str) -> Result<&'a str, Rejection> {
    let text = std::str::from_utf8(one(headers, name)?).ok().filter(|text| !text.is_empty());
    text.ok_or_else(|| malformed(name, form))
}

pub(super) fn malformed(header: &HeaderName, form: &str) -> Rejection {
    Rejection::Malformed { header: header.to_string(), form: form.to_owned() }
}

pub(super) fn within(at: Timestamp, now: Timestamp) -> Result<(), Rejection> {
    let away_ms = now.unix_ms().saturating_sub(at.unix_ms());
    let seconds = away_ms.unsigned_abs().div_ceil(1000);
    match (away_ms.unsigned_abs() <= WINDOW.as_millis() as u64, away_ms > 0) {
        (true, _) => Ok(()),
        (false, true) => Err(Rejection::Stale { seconds }),
        (false, false) => Err(Rejection::Early { seconds }),
    }
}

pub(super) fn decode(encoding: Encoding, text: &str) -> Option<Vec<u8>> {
    match encoding {
        Encoding::Hex => {
            let digit = |c: u8| char::from(c).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            let pairs = text.as_bytes().chunks_exact(2);
            let whole = pairs.remainder().is_empty();
            pairs.map(|pair| Some(digit(pair[0])? * 16 + digit(pair[1])?)).collect::<Option<_>>().filter(|_| whole)
        }
        Encoding::Base64 => STANDARD.decode(text).ok(),
        Encoding::Base64url => URL_SAFE_NO_PAD.decode(text).ok(),
    }
}

pub(super) fn encode(encoding: Encoding, octets: &[u8]) -> String {
    match encoding {
        Encoding::Hex => octets.iter().map(|octet| format!("{octet:02x}")).collect(),
        Encoding::Base64 => STANDARD.encode(octets),
        Encoding::Base64url => URL_SAFE_NO_PAD.encode(octets),
    }
}
