//! The schema of vendor files (TOML). Unknown keys are errors; errors name section and key.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de};

use super::{
    file_values::{Json, Setting},
    webhook_file::{WebhookExample, WebhookSection},
};
use crate::{domain::TextRef, upstream::auth::AuthOptions};

/// A vendor: address, authentication, and how each operation of the desk is performed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VendorFile {
    /// Equal to the file name.
    pub name: String,
    pub title: String,
    /// URL of the vendor's documentation.
    #[serde(default)]
    pub docs: Option<String>,
    /// What a user has to set up at the vendor first.
    #[serde(default)]
    pub about: String,
    /// Absent if each customer of the vendor has their own address.
    #[serde(default)]
    pub base_url: Option<TextRef>,
    /// Example of such an address.
    #[serde(default)]
    pub base_url_example: Option<String>,
    #[serde(default)]
    pub auth: AuthOptions,
    /// Headers of all requests.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Settings of the user, available to filters as `$settings`.
    #[serde(default)]
    pub settings: BTreeMap<String, Setting>,
    /// jq definitions (`def name: …;`) shared by all filters of the file.
    #[serde(default)]
    pub definitions: String,
    /// Error rules for replies of all operations; an operation's own rules are tried first.
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

/// Address and authentication of one port, if they differ from the vendor's.
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
    /// Always sends exactly one request.
    pub find: Steps,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Helpdesk {
    #[serde(default)]
    pub at: Place,
    /// The vendor needs the customer's email address for a ticket.
    #[serde(default)]
    pub needs_email: bool,
    /// Age in seconds of an effect from which an empty `find_ticket` proves that there is no ticket.
    #[serde(default)]
    pub settle_after_s: Option<u64>,
    /// Lifetime of an idempotency key at the vendor, in seconds.
    #[serde(default)]
    pub idempotency_ttl_s: Option<u64>,
    pub create_ticket: Steps,
    #[serde(default)]
    pub find_ticket: Option<Steps>,
    /// `add_comment` can raise the priority.
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
    /// The vendor needs the customer's email address for a contact.
    #[serde(default)]
    pub needs_email: bool,
    /// Age in seconds of a contact from which an empty `find_contact` proves that there is none. Default 900.
    #[serde(default)]
    pub settle_after_s: Option<u64>,
    /// Lifetime of an idempotency key at the vendor, in seconds.
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

/// One or several requests; later ones see the earlier replies.
#[derive(Debug, Clone)]
pub struct Steps(pub Vec<Step>);

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub method: Method,
    /// Path below base_url; `{name}` is one path segment.
    pub path: String,
    /// Filter: values of the names in `path`. Default: the input's members.
    #[serde(default)]
    pub params: Option<String>,
    /// Filter: the query as an object. Null members are omitted.
    #[serde(default)]
    pub query: Option<String>,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Filter: the JSON body.
    #[serde(default)]
    pub body: Option<String>,
    /// Filter on the reply's body: the result, or what later steps see. Default: the body.
    #[serde(default)]
    pub reply: Option<String>,
    /// Headers that stand in for the body of a reply that has none, as an object by their names in lower case.
    #[serde(default)]
    pub reply_headers: Vec<String>,
    /// Filter: unless it gives true, this request is skipped and its entry in `$replies` is null.
    #[serde(default)]
    pub when: Option<String>,
    /// The request changes nothing, for example a search by POST. Default: true for GET.
    #[serde(default)]
    pub safe: Option<bool>,
    /// The request is idempotent. Default: true for GET, PUT, DELETE and safe requests.
    #[serde(default)]
    pub repeatable: Option<bool>,
    /// The request is a preparation, for example creating the contact that a ticket needs. It does not count as the
    /// effect.
    #[serde(default)]
    pub preparatory: bool,
    /// Name of the vendor's idempotency header.
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

/// An error rule for replies. The first that matches applies.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorRule {
    /// Statuses that it applies to. Default: all.
    #[serde(default)]
    pub status: Vec<u16>,
    /// Filter on the body that has to give true.
    #[serde(default)]
    pub when: Option<String>,
    #[serde(rename = "as")]
    pub meaning: Meaning,
    /// Filter, for `invalid`: the input member that was refused; for `misconfigured`: what is not set up.
    #[serde(default)]
    pub field: Option<String>,
    /// Filter, for `rate_limited`: seconds to wait, if there is no Retry-After.
    #[serde(default)]
    pub retry_after_s: Option<String>,
}

/// Meaning of an error for the desk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Meaning {
    /// A success.
    Ok,
    NotFound,
    /// The credentials are refused.
    Denied,
    /// The credentials are valid but have no access to this record.
    Forbidden,
    /// Something is not set up at the vendor or in the settings, such as a custom field or a permission.
    Misconfigured,
    RateLimited,
    Invalid,
    Unavailable,
    InDoubt,
    EmailRequired,
    /// The ticket takes no more comments: it is closed, merged or deleted.
    Closed,
}

/// An offline test of an operation: input → expected requests; canned replies → expected result.
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
    /// JSON: the domain value; every member written here has to be equal. null means not found.
    #[serde(default)]
    pub expect: Option<Json>,
    /// The expected error instead.
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
    /// Path below base_url as it is sent: percent-encoded, with the query.
    pub path: String,
    /// Required headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// JSON. Default: no body.
    #[serde(default)]
    pub body: Option<Json>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CannedReply {
    pub status: u16,
    /// The raw body: JSON or anything else.
    #[serde(default)]
    pub body: String,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
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

    /// RFC 9110, section 9.2.2.
    pub(super) fn is_idempotent(self) -> bool {
        !matches!(self, Self::Post | Self::Patch)
    }
}

impl VendorFile {
    /// Parses a file. The error names the key.
    pub fn parse(text: &str) -> Result<Self, String> {
        // Position only: the line may contain a secret.
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

    /// Names of the ports that it serves.
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
