//! A request as a vendor's router sees it.

use base64::{Engine, engine::general_purpose::STANDARD};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::support::{Answer, Seen};

/// The access token that every token endpoint gives out.
pub const TOKEN: &str = "access-token-1";

pub struct Call<'a> {
    seen: &'a Seen,
    /// Method and path, decoded, as `GET /orders/1`.
    pub route: String,
    pub query: Vec<(String, String)>,
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// Pairs of a query, or of a form.
fn pairs(text: &str) -> Vec<(String, String)> {
    let words = text.split('&').filter(|pair| !pair.is_empty());
    let split = words.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    split.map(|(name, value)| (decoded(&name.replace('+', " ")), decoded(&value.replace('+', " ")))).collect()
}

impl<'a> Call<'a> {
    pub fn new(seen: &'a Seen) -> Self {
        let (path, query) = seen.path.split_once('?').unwrap_or((&seen.path, ""));
        Self { seen, route: format!("{} {}", seen.method, decoded(path)), query: pairs(query) }
    }

    /// What follows in the route, as the id in `GET /orders/1`: one segment.
    pub fn after(&self, prefix: &str) -> Option<&str> {
        self.route.strip_prefix(prefix).filter(|rest| !rest.is_empty() && !rest.contains('/'))
    }

    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A parameter of the query that is none of these.
    pub fn unknown(&self, known: &[&str]) -> Option<&str> {
        self.query.iter().map(|(name, _)| name.as_str()).find(|name| !known.contains(name))
    }

    pub fn header(&self, name: &str) -> &str {
        self.seen.header(name).unwrap_or("")
    }

    /// The JSON body; null if it is none, or not said to be.
    pub fn json(&self) -> Value {
        match self.header("content-type").contains("json") {
            true => self.seen.json(),
            false => Value::Null,
        }
    }

    /// Whether it carries the access token.
    pub fn has_token(&self) -> bool {
        self.header("authorization") == format!("Bearer {TOKEN}")
    }

    /// Whether it carries this name and password (RFC 7617).
    pub fn is_basic(&self, name: &str, password: &str) -> bool {
        self.header("authorization") == format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))
    }

    /// The token endpoint (RFC 6749, 4.4 and 6) for the client `client` with the secret `secret`: by `Authorization` or in
    /// the body. `more` is what else the reply says.
    pub fn token(&self, grant: &str, in_body: bool, more: Value) -> Answer {
        let refused = |error: &str| Answer::json(401, json!({ "error": error }));
        if !self.header("content-type").starts_with("application/x-www-form-urlencoded") {
            return refused("invalid_request");
        }
        let form = pairs(std::str::from_utf8(&self.seen.body).unwrap());
        let is = |name: &str, wanted: &str| form.iter().any(|(known, value)| known == name && value == wanted);
        let known = match in_body {
            true => is("client_id", "client") && is("client_secret", "secret"),
            false => self.is_basic("client", "secret"),
        };
        if !known {
            return refused("invalid_client");
        }
        if !is("grant_type", grant) || grant == "refresh_token" && !is("refresh_token", "refresh-token") {
            return refused("invalid_grant");
        }
        let mut reply = json!({ "access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600 });
        for (name, value) in more.as_object().unwrap() {
            reply[name] = value.clone();
        }
        Answer::json(200, reply)
    }
}
