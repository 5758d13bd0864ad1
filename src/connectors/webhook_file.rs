//! The webhook section of a vendor file, and its examples, as they are written.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::file_values::{Json, Setting};
use crate::{
    domain::Timestamp,
    webhooks::{Handshake, Scheme},
};

/// What a vendor sends by itself: how it is signed, and what it means.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSection {
    /// What a user has to do at the vendor first.
    #[serde(default)]
    pub about: String,
    pub signature: Scheme,
    /// Filter on the body: a list of canonical events. Nothing, null and an empty list are skipped.
    pub events: String,
    /// Filter on the body: what is the same in repeats of one delivery, and in no other. It sees only what is signed.
    pub identity: String,
    /// Texts of the body are cut to this many characters before filters see them: customers write as much as they like. Not
    /// for articles, of which half must not be published.
    #[serde(default)]
    pub text_chars_max: Option<usize>,
    /// The vendor writes into the body how often it has tried: repeats are compared by their events, not by their bytes.
    #[serde(default)]
    pub varies: bool,
    /// How the vendor asks, without a signature, whether somebody is there.
    #[serde(default)]
    pub handshakes: Vec<Handshake>,
    /// What users set, as `$settings` in the filters.
    #[serde(default)]
    pub settings: BTreeMap<String, Setting>,
}

/// A delivery as it was captured, and what it means.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookExample {
    pub name: String,
    #[serde(default)]
    pub settings: BTreeMap<String, serde_json::Value>,
    /// The secrets, in the open: they sign nothing else.
    pub secrets: Vec<String>,
    /// The time at which it arrives.
    pub at: Timestamp,
    /// `/webhooks/NAME` if left out.
    #[serde(default)]
    pub path: Option<String>,
    pub headers: BTreeMap<String, String>,
    /// Byte by byte.
    pub body: String,
    /// JSON: the events, of which every member written here has to be equal.
    #[serde(default)]
    pub events: Option<Json>,
    #[serde(default)]
    pub identity: Option<String>,
    /// It is of a kind without an effect.
    #[serde(default)]
    pub skipped: bool,
    /// It is one of `handshakes`.
    #[serde(default)]
    pub handshake: bool,
    /// What is missing or wrong, as it is answered.
    #[serde(default)]
    pub unmappable: Option<Vec<String>>,
    /// The check that fails: missing, repeated, malformed, unsigned, wrong, stale or early.
    #[serde(default)]
    pub rejected: Option<String>,
}
