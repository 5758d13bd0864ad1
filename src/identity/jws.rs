//! Compact JWS (RFC 7515) as it arrives: taken apart, nothing verified.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::domain::{StrictJsonError, strict_json};

/// Longest token that is parsed, in octets.
pub(super) const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// Most audiences in one token.
const AUDIENCES_MAX: usize = 32;

/// Why a token cannot be read. Holds no value of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("it is not a compact JWS")]
    NotCompact,
    #[error("it is longer than 8 KiB")]
    TooLong,
    #[error("it is not base64url")]
    NotBase64,
    #[error("its header is not JSON with alg")]
    Header,
    #[error("its header names an extension (crit, b64), and none is understood")]
    Extension,
    #[error("its claims are not a JSON object")]
    Claims,
    /// RFC 7519 4: such a token may be rejected.
    #[error("its header or its claims have a member twice")]
    Twice,
}

/// A token, taken apart.
pub(super) struct Jws<'a> {
    /// The signed part: header and payload.
    pub(super) message: &'a str,
    pub(super) signature: &'a str,
    pub(super) header: Header,
    payload: &'a str,
}

#[derive(Deserialize)]
pub(super) struct Header {
    pub(super) alg: String,
    typ: Option<String>,
    pub(super) kid: Option<String>,
    crit: Option<Value>,
    b64: Option<Value>,
}

impl Header {
    /// The type; empty without one. RFC 7515 4.1.9: `application/` may be omitted.
    pub(super) fn typ(&self) -> &str {
        let typ = self.typ.as_deref().unwrap_or_default();
        typ.get(.."application/".len())
            .filter(|start| start.eq_ignore_ascii_case("application/"))
            .map_or(typ, |start| &typ[start.len()..])
    }
}

impl<'a> Jws<'a> {
    pub(super) fn read(token: &'a str) -> Result<Self, Unreadable> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Unreadable::TooLong);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(Unreadable::NotCompact)?;
        let (header, payload) = message.split_once('.').ok_or(Unreadable::NotCompact)?;
        if payload.contains('.') {
            return Err(Unreadable::NotCompact);
        }
        let header = unique(&decode(header)?, Unreadable::Header)?;
        let header: Header = serde_json::from_value(header).map_err(|_| Unreadable::Header)?;
        if header.crit.is_some() || header.b64.is_some() {
            return Err(Unreadable::Extension);
        }
        Ok(Self { message, signature, header, payload })
    }

    /// The claims. Before the signature is checked they may only decide which key it is checked with.
    pub(super) fn claims(&self) -> Result<Claims, Unreadable> {
        match unique(&decode(self.payload)?, Unreadable::Claims)? {
            Value::Object(claims) => Ok(Claims(claims)),
            _ => Err(Unreadable::Claims),
        }
    }
}

fn unique(json: &[u8], otherwise: Unreadable) -> Result<Value, Unreadable> {
    strict_json(json).map_err(|error| match error {
        StrictJsonError::Twice(_) => Unreadable::Twice,
        StrictJsonError::Syntax(_) => otherwise,
    })
}

fn decode(part: &str) -> Result<Vec<u8>, Unreadable> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Unreadable::NotBase64)
}

/// The claims of a token (RFC 7519), read one by one.
pub(super) struct Claims(Map<String, Value>);

/// What a claim is instead of what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Misfit(pub(super) &'static str);

impl Claims {
    /// A claim that is present and not null. A name that begins with `/` is a JSON Pointer (RFC 6901).
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        let found = match name.strip_prefix('/') {
            Some(path) => {
                let mut parts = path.split('/').map(|part| part.replace("~1", "/").replace("~0", "~"));
                let first = self.0.get(&parts.next()?)?;
                parts.try_fold(first, |value, part| value.get(&part))
            }
            None => self.0.get(name),
        };
        found.filter(|value| !value.is_null())
    }

    /// All of them, to be read as a form.
    pub(super) fn into_value(self) -> Value {
        Value::Object(self.0)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, Misfit> {
        self.get(name).map(|value| value.as_str().ok_or(Misfit("it must be a string"))).transpose()
    }

    /// A NumericDate (RFC 7519 2), possibly with a fraction.
    pub(super) fn time(&self, name: &str) -> Result<Option<f64>, Misfit> {
        let seconds = |value: &Value| value.as_f64().filter(|time| (0.0..1e12).contains(time));
        self.get(name).map(|value| seconds(value).ok_or(Misfit("it must be a number of seconds"))).transpose()
    }

    /// `aud`: a string or an array of strings (RFC 7519 4.1.3).
    pub(super) fn audiences(&self) -> Result<Option<Vec<&str>>, Misfit> {
        let wrong = Misfit("it must be a string or an array of strings");
        match self.get("aud") {
            None => Ok(None),
            Some(Value::String(one)) => Ok(Some(vec![one])),
            Some(Value::Array(several)) if several.len() <= AUDIENCES_MAX => {
                several.iter().map(Value::as_str).collect::<Option<_>>().ok_or(wrong).map(Some)
            }
            Some(_) => Err(wrong),
        }
    }
}
