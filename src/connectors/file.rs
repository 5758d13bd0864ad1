//! A vendor file as it is written: TOML, every key known, errors with section and key.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de};

use super::{
    file_values::{Json, Setting},
    webhook_file::{WebhookExample, WebhookSection},
};
use crate::{domain::TextRef, upstream::auth::AuthOptions};

/// One vendor: where it is, how to authenticate, and how each operation of the desk is done there.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VendorFile {
    /// The same as the file's name.
    pub name: String,
    pub title: String,
    /// The vendor's own documentation.
    #[serde(default)]
    pub docs: Option<String>,
    /// What a user has to do at the vendor first.
    #[serde(default)]
    pub about: String,
    /// Left out where every customer of the vendor has an address of their own.
    #[serde(default)]
    pub base_url: Option<TextRef>,
    /// What such an address looks like.
    #[serde(default)]
    pub base_url_example: Option<String>,
    #[serde(default)]
    pub auth: AuthOptions,
    /// Headers of every request.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// What users set, as `$settings` in filters.
    #[serde(default)]
    pub settings: BTreeMap<String, Setting>,
    /// jq definitions (`def name: …;`) that all filters of the file share.
    #[serde(default)]
    pub definitions: String,
    /// How replies of all operations are errors; those of an operation come first.
    #[serde(default)]
    pub errors: Vec<ErrorRule>,
    #[serde(default)]
    pub orders: Option<Orders>,
    #[serde(default)]
    pub helpdesk: Option<Helpdesk>,
    #[serde(default)]
    pub crm: Option<Crm>,
    #[serde(default)]
    pub knowledge: Option<Knowledge>,
    #[serde(default)]
    pub health: Option<Steps>,
    #[serde(default)]
    pub examples: Vec<Example>,
    #[serde(default)]
    pub webhook: Option<WebhookSection>,
    #[serde(default)]
    pub webhook_examples: Vec<WebhookExample>,
}

/// Where the operations of one port are, if not where the others are.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Place {
    pub base_url: Option<TextRef>,
    pub auth: Option<AuthOptions>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Orders {
    #[serde(default)]
    pub at: Place,
    /// Always exactly one request.
    pub find: Steps,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Helpdesk {
    #[serde(default)]
    pub at: Place,
    /// The vendor opens no ticket without the customer's email address.
    #[serde(default)]
    pub needs_email: bool,
    /// How old an effect must be before `find_ticket` is believed when it finds nothing, in seconds.
    #[serde(default)]
    pub settle_after_s: Option<u64>,
    /// For how long the vendor recognises an idempotency key, in seconds.
    #[serde(default)]
    pub idempotency_ttl_s: Option<u64>,
    pub create_ticket: Steps,
    #[serde(default)]
    pub find_ticket: Option<Steps>,
    /// `add_comment` sets the priority that it is given.
    #[serde(default)]
    pub raises_priority: bool,
    #[serde(default)]
    pub add_comment: Option<Steps>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crm {
    #[serde(default)]
    pub at: Place,
    /// The vendor makes no contact without the customer's email address.
    #[serde(default)]
    pub needs_email: bool,
    /// How old a contact must be before `find_contact` is believed when it does not find it, in seconds; 900 if left out.
    #[serde(default)]
    pub settle_after_s: Option<u64>,
    /// For how long the vendor recognises an idempotency key, in seconds.
    #[serde(default)]
    pub idempotency_ttl_s: Option<u64>,
    pub find_contact: Steps,
    pub upsert_contact: Steps,
    #[serde(default)]
    pub log_activity: Option<Steps>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Knowledge {
    #[serde(default)]
    pub at: Place,
    pub upsert_article: Steps,
    pub remove_article: Steps,
}

/// One request, or a few of which a later one sees the earlier replies.
#[derive(Debug, Clone)]
pub struct Steps(pub Vec<Step>);

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub method: Method,
    /// Below base_url; `{name}` is one path segment.
    pub path: String,
    /// Filter: what the names in `path` stand for, where it is not the input's own members.
    #[serde(default)]
    pub params: Option<String>,
    /// Filter: the query, as an object. Members that are null are left out.
    #[serde(default)]
    pub query: Option<String>,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Filter: the JSON body.
    #[serde(default)]
    pub body: Option<String>,
    /// Filter on the reply's body: the result, or what later steps see. The body itself if left out.
    #[serde(default)]
    pub reply: Option<String>,
    /// Filter: false skips this request; its place in `$replies` is null.
    #[serde(default)]
    pub when: Option<String>,
    /// It changes nothing, as a search by POST. True for GET if left out.
    #[serde(default)]
    pub safe: Option<bool>,
    /// Doing it twice is the same as doing it once. True for GET, PUT, DELETE and whatever is safe, if left out.
    #[serde(default)]
    pub repeatable: Option<bool>,
    /// A change that is not what the operation is for, as the contact that a ticket needs: it does not count as done.
    #[serde(default)]
    pub preparatory: bool,
    /// The header by which the vendor recognises a request that it has seen.
    #[serde(default)]
    pub idempotency_header: Option<String>,
    #[serde(default)]
    pub errors: Vec<ErrorRule>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

/// When a reply is an error, and which. The first rule that fits counts.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorRule {
    /// Statuses that it is for; all if left out.
    #[serde(default)]
    pub status: Vec<u16>,
    /// Filter on the body that has to be true.
    #[serde(default)]
    pub when: Option<String>,
    #[serde(rename = "as")]
    pub meaning: Meaning,
    /// Filter: `invalid`: the member of the input that was not accepted.
    #[serde(default)]
    pub field: Option<String>,
    /// Filter: `rate_limited`: seconds to wait, where Retry-After does not say it.
    #[serde(default)]
    pub retry_after_s: Option<String>,
}

/// What an error means to the desk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Meaning {
    /// It is a success after all.
    Ok,
    NotFound,
    /// Our credentials are refused.
    Denied,
    /// Our credentials are good, and this one record is not for them.
    Forbidden,
    /// Something is not set up at the vendor or in the settings, as a custom field or a permission.
    Misconfigured,
    RateLimited,
    Invalid,
    Unavailable,
    InDoubt,
    EmailRequired,
    /// The ticket takes no more comments: it is closed, merged or gone.
    Closed,
}

/// An operation that is run without the vendor: input → expected requests; replies → expected result.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    pub name: String,
    pub operation: String,
    #[serde(default)]
    pub settings: BTreeMap<String, serde_json::Value>,
    /// JSON.
    pub input: Json,
    #[serde(default)]
    pub exchanges: Vec<Exchange>,
    /// JSON: the domain value, of which every member written here has to be equal; null for "nothing found".
    #[serde(default)]
    pub expect: Option<Json>,
    /// The error instead.
    #[serde(default)]
    pub error: Option<ExpectedError>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    pub request: ExpectedRequest,
    pub reply: CannedReply,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedRequest {
    pub method: Method,
    /// Below base_url, as it is sent: percent-encoded, with the query.
    pub path: String,
    /// Headers that have to be there.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// JSON; no body if left out.
    #[serde(default)]
    pub body: Option<Json>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CannedReply {
    pub status: u16,
    /// As it arrives: JSON, or whatever else a vendor sends.
    #[serde(default)]
    pub body: String,
    #[serde(default)]
    pub retry_after_s: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub struct ExpectedError {
    #[serde(rename = "as")]
    pub meaning: ExpectedMeaning,
    #[serde(default)]
    pub field: Option<String>,
    #[serde(default)]
    pub retry_after_s: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExpectedMeaning {
    NotFound,
    Denied,
    Forbidden,
    Misconfigured,
    RateLimited,
    Invalid,
    Unavailable,
    InDoubt,
    EmailRequired,
    Closed,
    Unexpected,
}

impl<'de> Deserialize<'de> for Steps {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Steps;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a request as a table, or several as an array of tables")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Steps, A::Error> {
                Step::deserialize(de::value::MapAccessDeserializer::new(map)).map(|step| Steps(vec![step]))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Steps, A::Error> {
                let mut steps = Vec::new();
                while let Some(step) = items.next_element()? {
                    steps.push(step);
                }
                match steps.is_empty() {
                    true => Err(de::Error::custom("needs at least one request")),
                    false => Ok(Steps(steps)),
                }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl Method {
    pub(super) fn http(self) -> http::Method {
        match self {
            Self::Get => http::Method::GET,
            Self::Post => http::Method::POST,
            Self::Put => http::Method::PUT,
            Self::Patch => http::Method::PATCH,
            Self::Delete => http::Method::DELETE,
        }
    }

    /// RFC 9110 9.2.2.
    pub(super) fn is_idempotent(self) -> bool {
        !matches!(self, Self::Post | Self::Patch)
    }
}

impl VendorFile {
    /// Reads a file's text. The error names the key.
    pub fn parse(text: &str) -> Result<Self, String> {
        // The place, never the line itself: a secret may stand there.
        let line = |error: &toml::de::Error| match error.span().and_then(|span| text.get(..span.start)) {
            Some(before) => format!("line {}: ", before.matches('\n').count() + 1),
            None => String::new(),
        };
        let deserializer = toml::Deserializer::parse(text.strip_prefix('\u{feff}').unwrap_or(text))
            .map_err(|error| format!("{}{}", line(&error), error.message()))?;
        serde_path_to_error::deserialize(deserializer).map_err(|error| {
            let path = error.path().to_string();
            let inner = error.into_inner();
            format!("{}{path}: {}", line(&inner), inner.message())
        })
    }

    /// The ports that it serves, for people.
    pub fn ports(&self) -> Vec<&'static str> {
        let all = [
            ("orders", self.orders.is_some()),
            ("helpdesk", self.helpdesk.is_some()),
            ("crm", self.crm.is_some()),
            ("knowledge", self.knowledge.is_some()),
        ];
        all.into_iter().filter(|(_, there)| *there).map(|(name, _)| name).collect()
    }
}
