//! Links that are shown to customers.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::parsed::{Invalid, text_conversions};

/// An absolute `http` or `https` URL. Other schemes, which a chat window might execute, are refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Link(String);

impl Link {
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let invalid = Invalid::new("url", "must be an http or https address");
        let uri: http::Uri = text.parse().map_err(|_| invalid.clone())?;
        match uri.scheme_str() {
            Some("http" | "https") if uri.host().is_some_and(|host| !host.is_empty()) => Ok(Self(text.to_owned())),
            _ => Err(invalid),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

text_conversions!(Link);
