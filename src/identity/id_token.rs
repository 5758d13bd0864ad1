//! ID tokens of an OpenID provider (OpenID Connect Core 3.1.3.7), by which people sign in to the console. They are no
//! customers' tokens: nothing here makes a caller.

use std::sync::Arc;

use serde_json::Value;

use super::{
    Algorithm,
    agents::{AuthError, JwksLocation, KeyFetcher, Keys},
    jws::{Claims, Jws},
};
use crate::domain::Timestamp;

/// Clock skew between the provider and this machine, in seconds.
const SKEW_S: f64 = 30.0;
const ALGORITHMS: [Algorithm; 3] = [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa];

/// Verifies ID tokens of one provider for one client.
pub struct IdTokens {
    issuer: String,
    client_id: String,
    keys: Keys,
}

/// A verified ID token.
pub struct IdToken(Claims);

/// Why an ID token is refused. Holds no value of it.
#[derive(Debug, thiserror::Error)]
pub enum IdTokenError {
    #[error("the ID token cannot be read: {0}")]
    Unreadable(String),
    #[error("the ID token is refused: {0}")]
    Refused(&'static str),
    #[error("the signature of the ID token is refused: {0}")]
    Signature(String),
    #[error("the keys of the OpenID provider cannot be had")]
    NoKeys,
}

impl IdTokens {
    pub fn new(issuer: String, client_id: String, fetcher: Arc<dyn KeyFetcher>) -> Self {
        let location = JwksLocation::Discovered { issuer: issuer.clone() };
        let keys = Keys::new(issuer.clone(), location, fetcher);
        Self { issuer, client_id, keys }
    }

    /// Verifies a token that answers to `nonce`.
    pub async fn verify(&self, token: &str, nonce: &str, now: Timestamp) -> Result<IdToken, IdTokenError> {
        let jws = Jws::read(token).map_err(|error| IdTokenError::Unreadable(error.to_string()))?;
        self.keys.verify(&jws, &ALGORITHMS).await.map_err(|error| match error {
            AuthError::Refused(refusal) => IdTokenError::Signature(refusal.to_string()),
            AuthError::NoKeys { .. } => IdTokenError::NoKeys,
            _ => IdTokenError::Refused("it cannot be verified now"),
        })?;
        let claims = jws.claims().map_err(|error| IdTokenError::Unreadable(error.to_string()))?;
        self.check(&claims, nonce, now)?;
        Ok(IdToken(claims))
    }

    fn check(&self, claims: &Claims, nonce: &str, now: Timestamp) -> Result<(), IdTokenError> {
        let text = |name: &str| claims.text(name).ok().flatten();
        let refused = |why| Err(IdTokenError::Refused(why));
        if text("iss") != Some(&self.issuer) {
            return refused("iss is not the provider");
        }
        let audiences = claims.audiences().ok().flatten().unwrap_or_default();
        if !audiences.contains(&self.client_id.as_str()) {
            return refused("aud is not this client");
        }
        let party = claims.get("azp").map(Value::as_str);
        if party.is_some_and(|azp| azp != Some(&self.client_id)) || (audiences.len() > 1 && party.is_none()) {
            return refused("azp is not this client");
        }
        if text("nonce") != Some(nonce) {
            return refused("nonce is not that of this sign-in");
        }
        let time = |name: &str| claims.time(name).ok().flatten();
        let now_s = now.unix_ms() as f64 / 1000.0;
        if time("exp").is_none_or(|exp| exp + SKEW_S <= now_s) {
            return refused("it has expired, or says no exp");
        }
        if time("iat").is_none_or(|iat| iat > now_s + SKEW_S) {
            return refused("iat is missing or in the future");
        }
        if text("sub").is_none_or(str::is_empty) {
            return refused("it has no sub");
        }
        Ok(())
    }
}

impl IdToken {
    pub fn text(&self, claim: &str) -> Option<&str> {
        self.0.text(claim).ok().flatten()
    }

    /// The texts of a claim: a text, or a list of them. A name that begins with `/` is a JSON Pointer.
    pub fn texts(&self, claim: &str) -> Vec<&str> {
        match self.0.get(claim) {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// When the person signed in at the provider, in seconds.
    pub fn signed_in_at_s(&self) -> Option<f64> {
        self.0.time("auth_time").ok().flatten()
    }
}
