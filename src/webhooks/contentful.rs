//! Contentful's request verification: an HMAC over method, path, the headers that the request lists as signed, and
//! body.
//!
//! As in Contentful's node-apps-toolkit: `METHOD\npath\nname:value;name:value\nbody`, names sorted, in hex.

use std::collections::{BTreeMap, BTreeSet};

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{
    RawWebhook, Rejection,
    codec::{Signed, decode, encode, malformed, one, text, within},
    mac::{self, Code, Key},
    scheme::{Encoding, Hash, Unit},
};
use crate::domain::Timestamp;

const SIGNATURE: HeaderName = HeaderName::from_static("x-contentful-signature");
const SIGNED_HEADERS: HeaderName = HeaderName::from_static("x-contentful-signed-headers");
const TIMESTAMP: HeaderName = HeaderName::from_static("x-contentful-timestamp");

/// Most headers that may be signed.
const NAMES_MAX: usize = 32;

pub(super) const FORM: &str = "x-contentful-signature: 64 hexadecimal digits, the HMAC-SHA256 under the signing secret of \
    POST, the path, the signed headers as name:value joined by ; in the order of their names, and the body, joined by line \
    breaks; x-contentful-signed-headers names those headers, and x-contentful-timestamp is among them: a Unix time in \
    milliseconds, at most 300 s away from now";

pub(super) fn verify(raw: &RawWebhook, keys: &[Key], now: Timestamp) -> Result<Signed, Rejection> {
    let value = one(&raw.headers, &SIGNATURE)?;
    let form = Encoding::Hex.form(Hash::Sha256);
    let signature = std::str::from_utf8(value).ok().and_then(|text| decode(Encoding::Hex, text));
    let signature = signature.filter(|octets| octets.len() == 32).ok_or_else(|| malformed(&SIGNATURE, &form))?;
    let names = text(&raw.headers, &SIGNED_HEADERS, "names of headers")?;
    let names: BTreeSet<String> = names.split(',').take(NAMES_MAX).map(|name| name.trim().to_lowercase()).collect();
    if !names.contains(TIMESTAMP.as_str()) {
        return Err(Rejection::Unsigned(TIMESTAMP.to_string()));
    }
    let mut headers = BTreeMap::new();
    for name in names {
        let parsed = HeaderName::try_from(&name).map_err(|_| malformed(&SIGNED_HEADERS, "names of headers"))?;
        let value = std::str::from_utf8(one(&raw.headers, &parsed)?).map_err(|_| malformed(&parsed, "a string"))?;
        headers.insert(name, value.trim().to_owned());
    }
    let signed_by = |key: &Key| {
        let code = canonical(key, &raw.path, &headers, &raw.body);
        code.is(&signature)
    };
    if !mac::any(keys, signed_by) {
        return Err(Rejection::Wrong);
    }
    let time = headers.get(TIMESTAMP.as_str()).cloned().unwrap_or_default();
    within(Unit::Ms.read(&time).ok_or_else(|| malformed(&TIMESTAMP, Unit::Ms.form()))?, now)?;
    Ok(Signed { id: None, timestamp: Some(time), headers })
}

fn canonical(key: &Key, path: &str, headers: &BTreeMap<String, String>, body: &[u8]) -> Code {
    let headers: Vec<String> = headers.iter().map(|(name, value)| format!("{name}:{value}")).collect();
    let mut code = key.mac(Hash::Sha256);
    code.update(format!("POST\n{path}\n{}\n", headers.join(";")).as_bytes());
    code.update(body);
    code
}

pub(super) fn sign(path: &str, key: &Key, body: &[u8], now: Timestamp) -> HeaderMap {
    let time = Unit::Ms.write(now);
    let names = format!("{SIGNED_HEADERS},{TIMESTAMP}");
    let headers = BTreeMap::from([(SIGNED_HEADERS.to_string(), names.clone()), (TIMESTAMP.to_string(), time.clone())]);
    let signature = encode(Encoding::Hex, &canonical(key, path, &headers, body).finish());
    let all = [(SIGNATURE, signature), (SIGNED_HEADERS, names), (TIMESTAMP, time)];
    all.into_iter().filter_map(|(name, value)| Some((name, HeaderValue::from_str(&value).ok()?))).collect()
}
