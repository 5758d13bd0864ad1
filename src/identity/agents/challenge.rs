//! Challenges for refused agents: `WWW-Authenticate` (RFC 6750 3) and protected resource metadata (RFC 9728).

use serde_json::{Value, json};

use super::Options;
use crate::domain::{Scope, Scopes};

/// Well-known path of the metadata (RFC 9728 3.1).
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// Why a request is refused: the error codes of RFC 6750 3.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason<'a> {
    /// No token: the challenge has no error code (RFC 6750 3.1).
    NoToken,
    InvalidRequest(&'a str),
    InvalidToken(&'a str),
    /// The scopes of the token, and the scope that is missing.
    InsufficientScope {
        granted: Scopes,
        needed: Scope,
    },
}

/// Builds challenges.
#[derive(Debug, Clone)]
pub struct Challenge {
    /// What an agent should ask for that has no token.
    scopes: Scopes,
    metadata_url: Option<String>,
    metadata: Option<Value>,
}

impl Challenge {
    /// `sends_codes`: one-time codes are enabled. Elsewhere authorization servers are not asked for a scope that they
    /// may not know.
    pub fn new(options: &Options, sends_codes: bool) -> Self {
        let resource = options.resource.as_deref().filter(|_| !options.issuers.is_empty());
        let scopes = Scopes::of_agents(sends_codes);
        Self {
            scopes,
            metadata_url: resource.map(metadata_url),
            metadata: resource.map(|resource| metadata(resource, options, scopes)),
        }
    }

    /// The metadata document (RFC 9728 2), if issuers are configured.
    pub fn metadata(&self) -> Option<&Value> {
        self.metadata.as_ref()
    }

    /// The value of `WWW-Authenticate`.
    pub fn header(&self, reason: Reason<'_>) -> String {
        let mut members = Vec::new();
        let mut member = |name: &str, value: &str| {
            // RFC 6750 3 allows neither quotes nor backslashes in a value.
            members.push(format!("{name}=\"{}\"", value.replace(['"', '\\'], "'")));
        };
        let error = match reason {
            Reason::NoToken => None,
            Reason::InvalidRequest(why) => Some(("invalid_request", why.to_owned())),
            Reason::InvalidToken(why) => Some(("invalid_token", why.to_owned())),
            Reason::InsufficientScope { needed, .. } => Some(("insufficient_scope", format!("it needs {needed}"))),
        };
        if let Some((error, description)) = &error {
            member("error", error);
            member("error_description", description);
        }
        if let Some(url) = &self.metadata_url {
            member("resource_metadata", url);
        }
        let scopes: Scopes = match reason {
            // A token with the missing scope alone would lose the others.
            Reason::InsufficientScope { granted, needed } => granted.with(needed),
            _ => self.scopes,
        };
        member("scope", &scopes.to_string());
        format!("Bearer {}", members.join(", "))
    }
}

fn metadata(resource: &str, options: &Options, scopes: Scopes) -> Value {
    let issuers: Vec<&str> = options.issuers.iter().map(|issuer| issuer.issuer.as_str()).collect();
    let staff = options.issuers.iter().any(|issuer| issuer.person_claim.is_some());
    let of_staff = Some(Scope::OrdersReadAny).filter(|_| staff);
    let scopes: Vec<&str> = scopes.iter().chain(of_staff).map(|scope| scope.as_str()).collect();
    json!({
        "resource": resource,
        "authorization_servers": issuers,
        "scopes_supported": scopes,
        "bearer_methods_supported": ["header"],
        "resource_name": "frontdesk",
    })
}

fn split(resource: &str) -> (&str, &str) {
    let after_scheme = resource.find("://").map_or(0, |at| at + 3);
    match resource[after_scheme..].find('/') {
        Some(slash) => resource.split_at(after_scheme + slash),
        None => (resource, ""),
    }
}

fn metadata_url(resource: &str) -> String {
    let (origin, _) = split(resource);
    format!("{origin}{}", metadata_path(resource))
}

/// The path of a resource's metadata: the well-known path in front of its own path (RFC 9728 3.1).
pub fn metadata_path(resource: &str) -> String {
    let (_, path) = split(resource);
    format!("{WELL_KNOWN}{}", path.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge() -> Challenge {
        let options: Options = serde_json::from_value(json!({
            "resource": "https://desk.example.com/a/mcp",
            "issuers": [{ "issuer": "https://login.example.com" }],
        }))
        .unwrap();
        Challenge::new(&options, false)
    }

    #[test]
    fn all_scopes_stand_in_one_challenge() {
        let granted = Scopes::known("articles:read orders:read");
        let header = challenge().header(Reason::InsufficientScope { granted, needed: Scope::CrmWrite });
        assert_eq!(
            header,
            "Bearer error=\"insufficient_scope\", error_description=\"it needs crm:write\", \
             resource_metadata=\"https://desk.example.com/.well-known/oauth-protected-resource/a/mcp\", \
             scope=\"orders:read crm:write articles:read\""
        );
    }

    #[test]
    fn without_issuers_nobody_is_sent_anywhere() {
        let challenge = Challenge::new(&Options::default(), false);
        assert!(challenge.metadata().is_none());
        assert_eq!(
            challenge.header(Reason::NoToken),
            "Bearer scope=\"orders:read tickets:write crm:write articles:read\""
        );
        assert_eq!(
            Challenge::new(&Options::default(), true).header(Reason::NoToken),
            "Bearer scope=\"orders:read tickets:write crm:write articles:read customers:verify\""
        );
    }
}
