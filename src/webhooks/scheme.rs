//! Signature schemes as data: names of headers, encoding, and the signed text.

use http::HeaderName;
use serde::Deserialize;

use crate::domain::Timestamp;

/// How a sender authenticates a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Scheme {
    Hmac(HmacScheme),
    /// A header with a shared secret. It authenticates the sender but does not protect the body.
    Static(StaticScheme),
    /// Contentful's request verification.
    Contentful(ContentfulScheme),
}

/// An HMAC in a header.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HmacScheme {
    /// The header with the signature.
    pub header: String,
    /// The hash; `sha256` if left out.
    #[serde(default)]
    pub hash: Hash,
    /// The encoding; `hex` if left out.
    #[serde(default)]
    pub encoding: Encoding,
    /// The name of the signature in a header that is a list, as `t=…,v1=…`. It may occur several times.
    #[serde(default)]
    pub part: Option<String>,
    /// The prefix of the signature.
    #[serde(default)]
    pub prefix: String,
    /// Whether the header may hold several signatures, separated by spaces. Those without the prefix are ignored.
    #[serde(default)]
    pub several: bool,
    /// Template of the signed text, with `{body}`, `{id}` and `{timestamp}`.
    #[serde(default = "body")]
    pub signs: String,
    /// The header with the id.
    #[serde(default)]
    pub id: Option<String>,
    /// Where the time is that is signed.
    #[serde(default)]
    pub timestamp: Option<TimestampPlace>,
    /// The form of the secret.
    #[serde(default)]
    pub secret: SecretForm,
}

fn body() -> String {
    "{body}".to_owned()
}

/// A shared secret in a header.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StaticScheme {
    /// The header with the secret.
    pub header: String,
}

/// Has no settings.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContentfulScheme {}

/// Where the timestamp is: in its own header, or a part of the signature header.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimestampPlace {
    /// A header of its own.
    #[serde(default)]
    pub header: Option<String>,
    /// A part of the signature's header.
    #[serde(default)]
    pub part: Option<String>,
    /// Its form.
    pub unit: Unit,
}

/// The hash of the HMAC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Hash {
    #[default]
    Sha256,
    Sha1,
}

/// The encoding of a signature.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    #[default]
    Hex,
    Base64,
    /// Without padding.
    Base64url,
}

/// The form of a timestamp: Unix time in seconds or milliseconds, or RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    S,
    Ms,
    Rfc3339,
}

/// How the key is derived from the secret.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SecretForm {
    /// The octets of the secret.
    #[default]
    Text,
    /// The secret is `whsec_` and the key in base64 (Standard Webhooks).
    Whsec,
}

/// A piece of the signed text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Literal(String),
    Id,
    Timestamp,
    Body,
}

/// Why a scheme, or a secret for it, is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SchemeError(pub(super) String);

impl HmacScheme {
    /// Parses the template of the signed text.
    pub(super) fn pieces(&self) -> Result<Vec<Piece>, SchemeError> {
        let wrong = |why: &str| Err(SchemeError(format!("signs: {why}")));
        let mut pieces = Vec::new();
        let mut rest = self.signs.as_str();
        while let Some((literal, after)) = rest.split_once('{') {
            if !literal.is_empty() {
                pieces.push(Piece::Literal(literal.to_owned()));
            }
            let Some((name, after)) = after.split_once('}') else { return wrong("has a brace without its partner") };
            pieces.push(match name {
                "id" => Piece::Id,
                "timestamp" => Piece::Timestamp,
                "body" => Piece::Body,
                _ => return wrong("names something else than {id}, {timestamp} and {body}"),
            });
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Literal(rest.to_owned()));
        }
        let times = |piece| pieces.iter().filter(|other| **other == piece).count();
        if times(Piece::Body) != 1 {
            return wrong("has to hold {body}, once");
        }
        if times(Piece::Timestamp) != usize::from(self.timestamp.is_some())
            || times(Piece::Id) != usize::from(self.id.is_some())
        {
            return wrong("id and timestamp are given if they are signed, and only then");
        }
        if let Some(place) = &self.timestamp
            && (place.header.is_some() == place.part.is_some() || (place.part.is_some() && self.part.is_none()))
        {
            return Err(SchemeError("timestamp: write either header, or part beside the signature's".to_owned()));
        }
        Ok(pieces)
    }
}

impl Hash {
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha1 => 20,
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "HMAC-SHA256",
            Self::Sha1 => "HMAC-SHA1",
        }
    }
}

impl Encoding {
    /// The form of a signature, in words.
    pub(super) fn form(self, hash: Hash) -> String {
        match self {
            Self::Hex => format!("{} hexadecimal digits", hash.bytes() * 2),
            Self::Base64 => format!("{} bytes in base64", hash.bytes()),
            Self::Base64url => format!("{} bytes in base64url without padding", hash.bytes()),
        }
    }
}

impl Unit {
    pub(super) fn read(self, text: &str) -> Option<Timestamp> {
        let number = || text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<i64>().ok()).flatten();
        match self {
            Self::S => Timestamp::from_unix_ms(number()?.checked_mul(1000)?).ok(),
            Self::Ms => Timestamp::from_unix_ms(number()?).ok(),
            Self::Rfc3339 => Timestamp::parse(text).ok(),
        }
    }

    pub(super) fn write(self, time: Timestamp) -> String {
        match self {
            Self::S => time.unix_s().to_string(),
            Self::Ms => time.unix_ms().to_string(),
            Self::Rfc3339 => time.to_string(),
        }
    }

    pub(super) fn form(self) -> &'static str {
        match self {
            Self::S => "a Unix time in seconds",
            Self::Ms => "a Unix time in milliseconds",
            Self::Rfc3339 => "a time as RFC 3339",
        }
    }
}

pub(super) fn header_name(name: &str) -> Result<HeaderName, SchemeError> {
    HeaderName::try_from(name).map_err(|_| SchemeError(format!("{name:?} is not a header name")))
}
