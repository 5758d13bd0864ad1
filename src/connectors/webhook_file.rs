//! The schema of a vendor file's webhook section and its examples.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::file_values::{Json, Setting};
use crate::{
    domain::Timestamp,
    webhooks::{Handshake, Scheme},
};

/// A vendor's webhooks: how they are signed, and how they map to events.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookSection {
    /// What a user has to set up at the vendor first.
    #[serde(default)]
    pub about: String,
    /// How a delivery is signed.
    pub signature: Scheme,
    /// Filter on the body: an array of canonical events. No output, null and an empty array skip the delivery, and so
    /// does `{ skip: "why" }`, which may also stand in the array. The reason is logged: no customer data.
    pub events: String,
    /// Filter on the body: the delivery's deduplication key, equal in repeats and unique otherwise. It sees signed data
    /// only. Without it, or where it gives no string, the hash of the body is the key, which fits vendors whose ids or
    /// times are coarser than their changes.
    #[serde(default)]
    pub identity: Option<String>,
    /// Strings of the body are truncated to this many characters before filters run. Not for articles, which must not
    /// be published truncated.
    #[serde(default)]
    pub text_chars_max: Option<usize>,
    /// Repeats differ in the body, for example by an attempt counter: they are compared by their events, not by their
    /// bytes.
    #[serde(default)]
    pub varies: bool,
    /// Unsigned requests by which the vendor tests the address.
    #[serde(default)]
    pub handshakes: Vec<Handshake>,
    /// Settings of the user, available to filters as `$settings`.
    #[serde(default)]
    pub settings: BTreeMap<String, Setting>,
}

/// Whether an example expects that the delivery is skipped.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(untagged, expecting = "expected true, or a text that is part of the reason")]
pub enum Skipped {
    Is(bool),
    Because(String),
}

impl Default for Skipped {
    fn default() -> Self {
        Self::Is(false)
    }
}

impl Skipped {
    pub(super) fn is_expected(&self) -> bool {
        !matches!(self, Self::Is(false))
    }
}

/// A captured delivery and its expected mapping.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookExample {
    /// What the example shows.
    pub name: String,
    /// Values of the section's settings.
    #[serde(default)]
    pub settings: BTreeMap<String, serde_json::Value>,
    /// Secrets in plain text; they sign nothing else.
    pub secrets: Vec<String>,
    /// Time of arrival.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// Default: `/webhooks/NAME`.
    #[serde(default)]
    pub path: Option<String>,
    /// The headers that came, with the signature.
    pub headers: BTreeMap<String, String>,
    /// The exact body.
    pub body: String,
    /// JSON: the expected events; every member written here has to be equal.
    #[serde(default)]
    pub events: Option<Json>,
    /// The deduplication key, if it is to be compared.
    #[serde(default)]
    pub identity: Option<String>,
    /// Expects a delivery without events: true, or a text that is part of the reason.
    #[serde(default)]
    pub skipped: Skipped,
    /// Expects one of `handshakes`.
    #[serde(default)]
    pub handshake: bool,
    /// Expected faults, as they are answered.
    #[serde(default)]
    pub unmappable: Option<Vec<String>>,
    /// Expected failing check: missing, repeated, malformed, unsigned, wrong, stale or early.
    #[serde(default)]
    pub rejected: Option<String>,
}
