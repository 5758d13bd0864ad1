//! The schema of a vendor file's examples.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::file_values::{Json, Method};

/// An offline test of an operation: input → expected requests; canned replies → expected result.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// The expected request.
    pub request: ExpectedRequest,
    /// The vendor's reply.
    pub reply: CannedReply,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectedRequest {
    /// Required, except for GraphQL.
    #[serde(default)]
    pub method: Option<Method>,
    /// Path below base_url as it is sent: percent-encoded, with the query. Required, except for GraphQL.
    #[serde(default)]
    pub path: Option<String>,
    /// Required headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// JSON; a form is an object of strings. Default: no body.
    #[serde(default)]
    pub body: Option<Json>,
    /// JSON, for GraphQL, in place of the body: the variables. Default: none.
    #[serde(default)]
    pub variables: Option<Json>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
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

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    /// Nothing was found, and the reply is not the whole.
    Incomplete,
    Unexpected,
}
