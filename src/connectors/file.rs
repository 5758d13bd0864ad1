//! The schema of vendor files (TOML). Unknown keys are errors; errors name section and key.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    file_values::{Json, OneOrMore, Setting},
    webhook_file::{WebhookExample, WebhookSection},
};
use crate::{domain::TextRef, upstream::auth::AuthOptions};

/// A vendor: address, authentication, and how each operation of the desk is performed.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VendorFile {
    /// Equal to the file name.
    pub name: String,
    /// Name of the vendor, for people.
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
    /// Authentication of all requests; users override it key by key.
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
    /// The vendor as the order system.
    #[serde(default)]
    pub orders: Option<Orders>,
    /// The vendor as the helpdesk.
    #[serde(default)]
    pub helpdesk: Option<Helpdesk>,
    /// The vendor as the CRM.
    #[serde(default)]
    pub crm: Option<Crm>,
    /// The vendor as a copy of the help articles.
    #[serde(default)]
    pub knowledge: Option<Knowledge>,
    /// A request that shows that address and credentials are good, for `check --online`.
    #[serde(default)]
    pub health: Option<Steps>,
    /// Offline tests of the operations, for `connectors test`.
    #[serde(default)]
    pub examples: Vec<Example>,
    /// What the vendor sends by itself.
    #[serde(default)]
    pub webhook: Option<WebhookSection>,
    /// Offline tests of the webhook section.
    #[serde(default)]
    pub webhook_examples: Vec<WebhookExample>,
}

/// Address and authentication of one port, if they differ from the vendor's.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Place {
    /// Base URL of this port.
    pub base_url: Option<TextRef>,
    /// Authentication of this port.
    pub auth: Option<AuthOptions>,
}

#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Orders {
    /// Address and authentication, if they differ from the file's.
    #[serde(default)]
    pub at: Place,
    /// Always sends exactly one request.
    pub find: Steps,
}

#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Helpdesk {
    /// Address and authentication, if they differ from the file's.
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
    /// Opens a ticket.
    pub create_ticket: Steps,
    /// Finds a ticket by its external id, to settle a lost answer.
    #[serde(default)]
    pub find_ticket: Option<Steps>,
    /// `add_comment` can raise the priority.
    #[serde(default)]
    pub raises_priority: bool,
    /// Adds an internal comment to a ticket.
    #[serde(default)]
    pub add_comment: Option<Steps>,
}

#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Crm {
    /// Address and authentication, if they differ from the file's.
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
    /// Finds the customer's contact.
    pub find_contact: Steps,
    /// Creates or changes a contact.
    pub upsert_contact: Steps,
    /// Adds a note to a contact.
    #[serde(default)]
    pub log_activity: Option<Steps>,
}

#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Knowledge {
    /// Address and authentication, if they differ from the file's.
    #[serde(default)]
    pub at: Place,
    /// Creates or changes an article.
    pub upsert_article: Steps,
    /// Removes an article.
    pub remove_article: Steps,
}

/// One or several requests; later ones see the earlier replies.
pub type Steps = OneOrMore<Step>;

#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// HTTP method.
    pub method: Method,
    /// Path below base_url; `{name}` is one path segment.
    pub path: String,
    /// Filter: values of the names in `path`. Default: the input's members.
    #[serde(default)]
    pub params: Option<String>,
    /// Filter: the query as an object. Null members are omitted.
    #[serde(default)]
    pub query: Option<String>,
    /// Headers of this request.
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
    /// Error rules for replies to this request, before those of the file.
    #[serde(default)]
    pub errors: Vec<ErrorRule>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

/// An error rule for replies. The first that matches applies.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ErrorRule {
    /// Statuses that it applies to. Default: all.
    #[serde(default)]
    pub status: Vec<u16>,
    /// Filter on the body that has to give true.
    #[serde(default)]
    pub when: Option<String>,
    /// What such a reply means.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
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
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// What the example shows.
    pub name: String,
    /// The operation, as `orders.find`.
    pub operation: String,
    /// Values of the file's settings.
    #[serde(default)]
    pub settings: BTreeMap<String, serde_json::Value>,
    /// JSON: the operation's input; members left out are null.
    pub input: Json,
    /// The requests that are expected, with their replies.
    #[serde(default)]
    pub exchanges: Vec<Exchange>,
    /// JSON: the domain value; every member written here has to be equal. null means not found.
    #[serde(default)]
    pub expect: Option<Json>,
    /// The expected error instead.
    #[serde(default)]
    pub error: Option<ExpectedError>,
}

/// A request and its reply.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// The expected request.
    pub request: ExpectedRequest,
    /// The vendor's reply.
    pub reply: CannedReply,
}

#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectedRequest {
    /// HTTP method.
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

#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CannedReply {
    /// HTTP status.
    pub status: u16,
    /// The raw body: JSON or anything else.
    #[serde(default)]
    pub body: String,
    /// Headers of the reply, as far as `reply_headers` names them.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Seconds of the `Retry-After` header.
    #[serde(default)]
    pub retry_after_s: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub struct ExpectedError {
    /// The meaning of the error.
    #[serde(rename = "as")]
    pub meaning: ExpectedMeaning,
    /// The argument that was refused, or what is not set up.
    #[serde(default)]
    pub field: Option<String>,
    /// Seconds to wait.
    #[serde(default)]
    pub retry_after_s: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
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
}
