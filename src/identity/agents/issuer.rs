//! One trusted authorization server: its options, its keys, and the verification of signatures.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    AuthError,
    access_token::{Rules, Unverified},
    jwks::{JwksLocation, Keys},
    metadata::KeyFetcher,
    presets::Preset,
    url::is_safe,
};
use crate::identity::{Algorithm, context::TYP};

/// An authorization server whose access tokens are accepted.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IssuerOptions {
    /// Issuer identifier, exactly as in the iss claim of its tokens. https; http only on this machine.
    pub issuer: String,
    /// URL of its keys (JWKS). By default discovered from its metadata (RFC 8414, OpenID Connect Discovery). https;
    /// http only on this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_url: Option<String>,
    /// The aud claim of its tokens for this server; `agents.resource` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// Accepted signature algorithms: RS256, ES256, EdDSA; all three by default.
    #[serde(default = "all_algorithms")]
    pub algorithms: Vec<Algorithm>,
    /// Product of the authorization server, which decides the typ and the claims of its access tokens; `rfc9068` by
    /// default.
    #[serde(default)]
    pub preset: Preset,
    /// Accepted values of typ in its access tokens; an empty string stands for no typ. By default those of the preset.
    /// Compared without regard to case; some servers write `JWT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub types: Option<Vec<String>>,
    /// The claim that holds the OAuth client id. By default that of the preset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_claim: Option<String>,
    /// The claims that hold scopes; all of them count. By default those of the preset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope_claims: Option<Vec<String>>,
    /// Prefix of its scopes for this server, as `frontdesk/` in `frontdesk/orders:read`. Scopes without it are
    /// ignored.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub scope_prefix: String,
    /// Accepted OAuth clients; all by default. Required where tokens have no aud (preset `cognito`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clients: Vec<String>,
    /// A claim that its tokens have only if a person has signed in, as `auth_time`. Required for `orders:read:any` and
    /// for `identity.mode = "token"`: without it no token of this issuer can be used for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person_claim: Option<String>,
    /// Prefix that is added to its client ids, as `partner/`, so that they differ from those of other issuers.
    /// Required for all issuers but one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
}

fn all_algorithms() -> Vec<Algorithm> {
    vec![Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa]
}

/// Why the options of an issuer are invalid.
#[derive(Debug, thiserror::Error)]
#[error("agents.issuers[{n}].{member}: {why}")]
pub struct OptionsError {
    n: usize,
    member: &'static str,
    why: &'static str,
}

pub(super) struct Issuer {
    name: String,
    algorithms: Vec<Algorithm>,
    rules: Rules,
    keys: Keys,
}

impl Issuer {
    pub(super) fn new(
        n: usize,
        options: &IssuerOptions,
        resource: Option<&str>,
        of_customers: &[String],
        fetcher: Arc<dyn KeyFetcher>,
    ) -> Result<Self, OptionsError> {
        let wrong = |member, why| OptionsError { n, member, why };
        if !is_safe(&options.issuer) || options.issuer.contains(['?', '#']) {
            return Err(wrong("issuer", "must be an https address without query (http only on this machine)"));
        }
        if options.jwks_url.as_deref().is_some_and(|url| !is_safe(url)) {
            return Err(wrong("jwks_url", "must be an https address (http only on this machine)"));
        }
        if options.algorithms.is_empty() || options.algorithms.contains(&Algorithm::Hs256) {
            return Err(wrong("algorithms", "must name some of RS256, ES256 and EdDSA"));
        }
        let form = options.preset.form();
        let owned = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
        let types = options.types.clone().unwrap_or_else(|| owned(form.types));
        if types.is_empty() {
            return Err(wrong("types", "must name at least one; at+jwt is the standard one"));
        }
        if types.iter().any(|typ| typ.eq_ignore_ascii_case(TYP)) {
            return Err(wrong("types", "must not name cctx+jwt: customer contexts are no access tokens"));
        }
        let scope_claims = options.scope_claims.clone().unwrap_or_else(|| owned(form.scope_claims));
        if scope_claims.is_empty() {
            return Err(wrong("scope_claims", "must name at least one; scope is the standard one"));
        }
        if !form.has_audience && options.clients.is_empty() {
            let why = "must name the accepted clients: tokens of this preset have no aud, so that tokens for another \
                            server would be accepted";
            return Err(wrong("clients", why));
        }
        let audience = options.audience.as_deref().or(resource).filter(|audience| !audience.is_empty());
        let audience = audience.ok_or(wrong("audience", "is needed where agents.resource is not set"))?;
        let source = match &options.jwks_url {
            Some(url) => JwksLocation::At(url.clone()),
            None => JwksLocation::Discovered { issuer: options.issuer.clone() },
        };
        Ok(Self {
            name: options.issuer.clone(),
            algorithms: options.algorithms.clone(),
            rules: Rules {
                audience: audience.to_owned(),
                form,
                types,
                client_claims: match &options.client_claim {
                    Some(claim) => vec![claim.clone()],
                    None => owned(form.client_claims),
                },
                scope_claims,
                scope_prefix: options.scope_prefix.clone(),
                clients: options.clients.clone(),
                person_claim: options.person_claim.clone(),
                prefix: options.prefix.clone(),
                of_customers: of_customers.to_vec(),
            },
            keys: Keys::new(options.issuer.clone(), source, fetcher),
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn rules(&self) -> &Rules {
        &self.rules
    }

    pub(super) fn keys_version(&self) -> u64 {
        self.keys.version()
    }

    pub(super) async fn warm_up(&self) {
        self.keys.warm_up().await;
    }

    /// Verifies the signature. Returns the version of the key set that did.
    pub(super) async fn verify(&self, token: &Unverified<'_>) -> Result<u64, AuthError> {
        self.keys.verify(&token.jws, &self.algorithms).await
    }
}
