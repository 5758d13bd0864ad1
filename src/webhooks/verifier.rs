//! Verifies and makes signatures of a scheme. Any of the configured secrets may have signed; comparisons take constant
//! time.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{
    RawWebhook, Rejection, VerifiedWebhook, WINDOW,
    codec::{Signed, decode, encode, malformed, one, text, within},
    contentful,
    mac::{self, Key},
    scheme::{HmacScheme, Piece, Scheme, SchemeError, SecretForm, TimestampPlace, header_name},
};
use crate::domain::{Secret, Timestamp};

/// Most signatures in a header that are checked.
const SIGNATURES_MAX: usize = 16;

/// A scheme with the secrets of one source.
#[derive(Debug, Clone)]
pub struct Verifier {
    method: Method,
    keys: Vec<Key>,
}

#[derive(Debug, Clone)]
enum Method {
    Hmac(Box<CheckedHmac>),
    Static(HeaderName),
    Contentful,
}

/// A validated scheme.
#[derive(Debug, Clone)]
struct CheckedHmac {
    scheme: HmacScheme,
    names: Names,
    /// An older set of header names. A request uses one set, never a mix.
    older: Option<Names>,
    pieces: Vec<Piece>,
}

/// The header names of a scheme.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Names {
    header: HeaderName,
    id: Option<HeaderName>,
    timestamp: Option<HeaderName>,
}

impl Names {
    /// The names that Svix used before they became Standard Webhooks; both are still sent.
    fn older(&self) -> Option<Self> {
        const fn name(name: &'static str) -> HeaderName {
            HeaderName::from_static(name)
        }
        let standard = Self {
            header: name("webhook-signature"),
            id: Some(name("webhook-id")),
            timestamp: Some(name("webhook-timestamp")),
        };
        (*self == standard).then(|| Self {
            header: name("svix-signature"),
            id: Some(name("svix-id")),
            timestamp: Some(name("svix-timestamp")),
        })
    }
}

impl Verifier {
    /// Errs if the scheme is invalid, or a secret does not have its form.
    pub fn new(scheme: &Scheme, secrets: &[Secret]) -> Result<Self, SchemeError> {
        let (method, form) = match scheme {
            Scheme::Hmac(scheme) => {
                let optional = |name: Option<&String>| name.map(|name| header_name(name)).transpose();
                let names = Names {
                    header: header_name(&scheme.header)?,
                    id: optional(scheme.id.as_ref())?,
                    timestamp: optional(scheme.timestamp.as_ref().and_then(|place| place.header.as_ref()))?,
                };
                let checked =
                    CheckedHmac { older: names.older(), names, pieces: scheme.pieces()?, scheme: scheme.clone() };
                (Method::Hmac(Box::new(checked)), scheme.secret)
            }
            Scheme::Static(scheme) => (Method::Static(header_name(&scheme.header)?), SecretForm::Text),
            Scheme::Contentful(_) => (Method::Contentful, SecretForm::Text),
        };
        let keys = secrets.iter().map(|secret| Key::new(secret, form)).collect::<Result<_, _>>()?;
        Ok(Self { method, keys })
    }

    /// Whether the scheme signs a timestamp, so that old requests are refused.
    pub fn signs_time(&self) -> bool {
        match &self.method {
            Method::Hmac(checked) => checked.scheme.timestamp.is_some(),
            Method::Contentful => true,
            Method::Static(_) => false,
        }
    }

    /// Checks that each header is there once, then the signature over the raw bytes, then the timestamp if the scheme
    /// signs one.
    pub fn verify(&self, source: &str, raw: &RawWebhook, now: Timestamp) -> Result<VerifiedWebhook, Rejection> {
        let signed = match &self.method {
            Method::Hmac(scheme) => scheme.verify(raw, &self.keys, now)?,
            Method::Static(header) => {
                let given = one(&raw.headers, header)?;
                match mac::any(&self.keys, |key| key.is(given)) {
                    true => Signed::default(),
                    false => return Err(Rejection::Wrong),
                }
            }
            Method::Contentful => contentful::verify(raw, &self.keys, now)?,
        };
        Ok(VerifiedWebhook { source: source.to_owned(), body: raw.body.clone(), signed, received_at: now })
    }

    /// The header that holds the secret itself, if the scheme has one.
    pub fn secret_header(&self) -> Option<&HeaderName> {
        match &self.method {
            Method::Static(header) => Some(header),
            Method::Hmac(_) | Method::Contentful => None,
        }
    }

    /// The headers that a sender adds, signed with the first secret.
    pub fn sign(&self, path: &str, id: &str, body: &[u8], now: Timestamp) -> HeaderMap {
        let Some(key) = self.keys.first() else { return HeaderMap::new() };
        match &self.method {
            Method::Hmac(scheme) => scheme.sign(key, id, body, now),
            Method::Static(header) => {
                let value = HeaderValue::from_bytes(key.octets());
                value.map(|value| HeaderMap::from_iter([(header.clone(), value)])).unwrap_or_default()
            }
            Method::Contentful => contentful::sign(path, key, body, now),
        }
    }

    /// The expected form of the headers, in words.
    pub fn form(&self) -> String {
        match &self.method {
            Method::Hmac(scheme) => scheme.form(),
            Method::Static(header) => format!("{header}: the configured secret itself, as it is"),
            Method::Contentful => contentful::FORM.to_owned(),
        }
    }
}

impl CheckedHmac {
    fn verify(&self, raw: &RawWebhook, keys: &[Key], now: Timestamp) -> Result<Signed, Rejection> {
        let there = |names: &&Names| raw.headers.contains_key(&names.header);
        let names = std::iter::once(&self.names).chain(&self.older).find(there).unwrap_or(&self.names);
        let value = one(&raw.headers, &names.header)?;
        let id = names.id.as_ref().map(|name| text(&raw.headers, name, "an id")).transpose()?;
        let (candidates, listed_time) = self.read(&names.header, value)?;
        let time = match (&names.timestamp, &self.scheme.timestamp) {
            (Some(name), Some(place)) => Some(text(&raw.headers, name, place.unit.form())?),
            _ => listed_time,
        };
        let signed_by = |key: &Key| {
            let mut mac = key.mac(self.scheme.hash);
            for piece in &self.pieces {
                match piece {
                    Piece::Literal(literal) => mac.update(literal.as_bytes()),
                    Piece::Id => mac.update(id.unwrap_or_default().as_bytes()),
                    Piece::Timestamp => mac.update(time.unwrap_or_default().as_bytes()),
                    Piece::Body => mac.update(&raw.body),
                }
            }
            // Compares every one, so that the time does not show which one it was.
            candidates.iter().filter(|candidate| mac.is(candidate)).count() > 0
        };
        if !mac::any(keys, signed_by) {
            return Err(Rejection::Wrong);
        }
        if let (Some(time), Some(place)) = (time, &self.scheme.timestamp) {
            let header = names.timestamp.as_ref().unwrap_or(&names.header);
            let at = place.unit.read(time).ok_or_else(|| malformed(header, place.unit.form()))?;
            within(at, now)?;
        }
        Ok(Signed { id: id.map(str::to_owned), timestamp: time.map(str::to_owned), headers: BTreeMap::new() })
    }

    /// The signatures and the timestamp, if any, of the signature header.
    fn read<'a>(&self, header: &HeaderName, value: &'a [u8]) -> Result<(Vec<Vec<u8>>, Option<&'a str>), Rejection> {
        let scheme = &self.scheme;
        let form = || scheme.encoding.form(scheme.hash);
        let wrong = || malformed(header, &format!("{}{}", self.before(), form()));
        let value = std::str::from_utf8(value).map_err(|_| wrong())?;
        let mut time = None;
        let texts: Vec<&str> = match &scheme.part {
            None if scheme.several => value.split(' ').filter(|text| text.starts_with(&scheme.prefix)).collect(),
            None => vec![value],
            Some(name) => {
                let parts: Vec<(&str, &str)> =
                    value.split(',').filter_map(|part| part.trim_matches(' ').split_once('=')).collect();
                let of = |name: &str| parts.iter().filter(|part| part.0 == name).map(|part| part.1).collect::<Vec<_>>();
                if let Some(TimestampPlace { part: Some(name), unit, .. }) = &scheme.timestamp {
                    match of(name)[..] {
                        [one] => time = Some(one),
                        [] => return Err(malformed(header, &format!("{name}=, {}", unit.form()))),
                        _ => return Err(Rejection::Repeated(format!("{header} ({name})"))),
                    }
                }
                of(name)
            }
        };
        // A malformed signature is skipped: another one may be valid.
        let signature = |text: &str| {
            let octets = decode(scheme.encoding, text.strip_prefix(&scheme.prefix)?)?;
            (octets.len() == scheme.hash.bytes()).then_some(octets)
        };
        let candidates: Vec<Vec<u8>> = texts.into_iter().filter_map(signature).take(SIGNATURES_MAX).collect();
        match candidates.is_empty() {
            true => Err(wrong()),
            false => Ok((candidates, time)),
        }
    }

    /// The text before a signature.
    fn before(&self) -> String {
        match &self.scheme.part {
            Some(part) => format!("{part}={}", self.scheme.prefix),
            None => self.scheme.prefix.clone(),
        }
    }

    fn sign(&self, key: &Key, id: &str, body: &[u8], now: Timestamp) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let mut set = |name: &HeaderName, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name.clone(), value);
            }
        };
        let time = self.scheme.timestamp.as_ref().map(|place| place.unit.write(now)).unwrap_or_default();
        let mut mac = key.mac(self.scheme.hash);
        for piece in &self.pieces {
            match piece {
                Piece::Literal(literal) => mac.update(literal.as_bytes()),
                Piece::Id => mac.update(id.as_bytes()),
                Piece::Timestamp => mac.update(time.as_bytes()),
                Piece::Body => mac.update(body),
            }
        }
        let mut value = self.before() + &encode(self.scheme.encoding, &mac.finish());
        match &self.scheme.timestamp {
            Some(TimestampPlace { part: Some(part), .. }) => value = format!("{part}={time},{value}"),
            Some(_) => self.names.timestamp.iter().for_each(|name| set(name, &time)),
            None => {}
        }
        self.names.id.iter().for_each(|name| set(name, id));
        set(&self.names.header, &value);
        headers
    }

    fn form(&self) -> String {
        let scheme = &self.scheme;
        let mut form = format!(
            "{}: {}{}, the {} of {} under the shared secret",
            self.names.header,
            match self.before() {
                before if before.is_empty() => String::new(),
                before => format!("{before} and "),
            },
            scheme.encoding.form(scheme.hash),
            scheme.hash.as_str(),
            match scheme.signs.as_str() {
                "{body}" => "the raw body",
                other => other,
            }
        );
        if self.before().is_empty() {
            form.push_str(", without a prefix");
        }
        if let Some(place) = &scheme.timestamp {
            let place_name = match (&self.names.timestamp, &place.part) {
                (Some(name), _) => format!("in the header {name}"),
                (None, part) => format!("as {}= in the same header", part.as_deref().unwrap_or_default()),
            };
            form.push_str(&format!(
                "; the timestamp {place_name} is {}, at most {} s away from now",
                place.unit.form(),
                WINDOW.as_secs()
            ));
        }
        if let Some(id) = &self.names.id {
            form.push_str(&format!("; the id is in the header {id}"));
        }
        if scheme.secret == SecretForm::Whsec {
            form.push_str("; the key is what whsec_ encodes in base64");
        }
        if let Some(older) = &self.older {
            form.push_str(&format!("; or all of it under the names of {}", older.header));
        }
        form
    }
}
