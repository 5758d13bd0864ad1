//! Presets for the access tokens of well-known authorization servers that deviate from RFC 9068.

use serde::{Deserialize, Serialize};

/// A product of an authorization server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// RFC 9068, with the client claims of servers that nearly follow it.
    #[default]
    Rfc9068,
    /// Okta: no typ, client in cid, scopes in scp.
    Okta,
    /// Microsoft Entra ID, tokens of version 1: client in appid, scopes in scp (people) and roles (applications).
    EntraV1,
    /// Auth0: client in azp, scopes in scope, and in permissions with role-based access control.
    Auth0,
    /// Amazon Cognito: no typ and no aud; token_use marks access tokens. Requires clients.
    Cognito,
}

/// The form of a preset's tokens.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    /// Accepted values of `typ`; an empty string stands for no `typ`.
    pub(super) types: &'static [&'static str],
    /// Claims for the client id; the first one that is present counts.
    pub(super) client_claims: &'static [&'static str],
    /// Claims for scopes; all of them count.
    pub(super) scope_claims: &'static [&'static str],
    /// Whether tokens have `aud`. Without it only listed clients are accepted.
    pub(super) has_audience: bool,
    /// Whether `token_use` must be present; it must be `access`.
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
