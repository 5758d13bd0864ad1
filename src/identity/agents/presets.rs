//! What the access tokens of well-known authorization servers look like, where it is not as RFC 9068 says.

use serde::{Deserialize, Serialize};

/// A kind of authorization server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// As RFC 9068 says, and what many servers write that nearly do.
    #[default]
    Rfc9068,
    /// Okta: no typ, the client in cid, scopes in scp.
    Okta,
    /// Microsoft Entra ID, tokens of version 1: the client in appid, scopes in scp (of people) and roles (of applications).
    EntraV1,
    /// Auth0: the client in azp, scopes in scope, and permissions where role-based access control is on.
    Auth0,
    /// Amazon Cognito: no typ and no aud; token_use tells access tokens from others. Needs clients.
    Cognito,
}

/// What a token of a preset has to look like.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    /// `typ` of the header; an empty one stands for none.
    pub(super) types: &'static [&'static str],
    /// The first of them that is there holds the client.
    pub(super) client_claims: &'static [&'static str],
    /// All of them count.
    pub(super) scope_claims: &'static [&'static str],
    /// Whether `aud` says for whom a token was made. Without it only named clients are let in.
    pub(super) has_audience: bool,
    /// `token_use` has to be there, and be `access`.
    pub(super) needs_token_use: bool,
}

impl Preset {
    pub(super) fn form(self) -> Form {
        let rfc_9068 = Form {
            types: &["at+jwt"],
            client_claims: &["client_id", "azp", "cid", "appid"],
            scope_claims: &["scope", "scp"],
            has_audience: true,
            needs_token_use: false,
        };
        match self {
            Self::Rfc9068 => rfc_9068,
            Self::Okta => Form { types: &[""], client_claims: &["cid"], scope_claims: &["scp"], ..rfc_9068 },
            Self::EntraV1 => {
                Form { types: &["JWT"], client_claims: &["appid"], scope_claims: &["scp", "roles"], ..rfc_9068 }
            }
            Self::Auth0 => Form {
                types: &["JWT", "at+jwt"],
                client_claims: &["azp", "client_id"],
                scope_claims: &["scope", "permissions"],
                ..rfc_9068
            },
            Self::Cognito => Form {
                types: &[""],
                client_claims: &["client_id"],
                scope_claims: &["scope"],
                has_audience: false,
                needs_token_use: true,
            },
        }
    }
}
