//! The schema of vendor files (TOML). Unknown keys are errors; errors name section and key.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    example_file::Example,
    file_values::{Method, OneOrMore, Protocol, Query, Setting},
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
    /// Protocol of all requests, where a port does not name another.
    #[serde(default)]
    pub protocol: Protocol,
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
    /// The vendor as the sender of one-time codes.
    #[serde(default)]
    pub codes: Option<Codes>,
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
    /// Texts of the files NAME.graphql beside it, by file name.
    #[serde(skip)]
    pub queries: BTreeMap<String, String>,
}

/// Address and authentication of one port, if they differ from the vendor's.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Place {
    /// Base URL of this port.
    pub base_url: Option<TextRef>,
    /// Authentication of this port.
    pub auth: Option<AuthOptions>,
    /// Protocol of this port.
    pub protocol: Option<Protocol>,
}

#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Orders {
    /// Address and authentication, if they differ from the file's.
    #[serde(default)]
    pub at: Place,
    /// Filter on an order number, as a string: its normal form. Numbers are compared by it, and `find` gets it.
    #[serde(default)]
    pub number: Option<String>,
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
    #[serde(default)]
    pub upsert_article: Option<Steps>,
    /// Removes an article.
    #[serde(default)]
    pub remove_article: Option<Steps>,
    /// Lists the articles that there are, page by page.
    #[serde(default)]
    pub list: Option<Steps>,
    /// Reads one article that the list gives without its text.
    #[serde(default)]
    pub get: Option<Steps>,
}

#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Codes {
    /// Address and authentication, if they differ from the file's.
    #[serde(default)]
    pub at: Place,
    /// How long a code lasts at the vendor, in minutes, where it keeps codes itself: `verification.code_minutes` has to
    /// be the same.
    #[serde(default)]
    pub minutes: Option<u32>,
    /// Sends a one-time code that frontdesk has made.
    pub send: Steps,
}

/// One or several requests; later ones see the earlier replies.
pub type Steps = OneOrMore<Step>;

#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Required, except for GraphQL: POST.
    #[serde(default)]
    pub method: Option<Method>,
    /// Path below base_url; `{name}` is one path segment. Required, except for GraphQL: `/graphql`.
    #[serde(default)]
    pub path: Option<String>,
    /// The GraphQL document, with one operation.
    #[serde(default)]
    pub graphql: Option<Query>,
    /// Filter: the variables of the GraphQL operation, as an object.
    #[serde(default)]
    pub variables: Option<String>,
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
    /// Filter: the body as a form, in place of `body`: an object of strings and numbers. Null members are omitted.
    #[serde(default)]
    pub form: Option<String>,
    /// Filter on the reply's body: the result, or what later steps see. Default: the body.
    #[serde(default)]
    pub reply: Option<String>,
    /// Headers that stand in for the body of a reply that has none, as an object by their names in lower case.
    #[serde(default)]
    pub reply_headers: Vec<String>,
    /// Filter on the reply's body, for look-ups: unless it gives true, an empty result is an error, because what was
    /// looked for may be in the part that did not come.
    #[serde(default)]
    pub complete: Option<String>,
    /// Filter: unless it gives true, this request is skipped and its entry in `$replies` is null.
    #[serde(default)]
    pub when: Option<String>,
    /// The request changes nothing, for example a search by POST. Default: true for GET and for a GraphQL query.
    #[serde(default)]
    pub safe: Option<bool>,
    /// The request is idempotent. Default: true for GET, PUT, DELETE and safe requests.
    #[serde(default)]
    pub repeatable: Option<bool>,
    /// The request is a preparation, for example creating the contact that a ticket needs. It does not count as the
    /// effect.
    #[serde(default)]
    pub preparatory: bool,
    /// For `[health]`: there need not be such a request. With status 404, 405 or 501 the system is reached, and was not
    /// asked.
    #[serde(default)]
    pub optional: bool,
    /// Name of the vendor's idempotency header.
    #[serde(default)]
    pub idempotency_header: Option<String>,
    /// Error rules for replies to this request, before those of the file.
    #[serde(default)]
    pub errors: Vec<ErrorRule>,
}

/// An error rule for replies. The first that matches applies.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ErrorRule {
    /// Statuses that it applies to. Default: all.
    #[serde(default)]
    pub status: Vec<u16>,
    /// For GraphQL: `extensions.code` of errors that it applies to. Default: all.
    #[serde(default)]
    pub code: Vec<String>,
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
    /// The token is no longer valid: it is renewed, and the request is sent again once.
    TokenExpired,
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
