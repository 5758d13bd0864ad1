//! Signed JWTs: service tokens (kind `jwt`), and client assertions (RFC 7523) for token endpoints.

use async_trait::async_trait;
use jsonwebtoken::{EncodingKey, Header};
use serde::Serialize;

use super::{
    cache::{CredentialHash, TokenKey},
    lifetime::Lifetime,
    options::{Algorithm, AuthError, AuthOptions},
    source::{TokenError, TokenGrant, TokenSource},
};
use crate::domain::{Clock, Secret, SecretReader};

const LIFETIME_DEFAULT_S: u32 = 300;
/// A client assertion is sent at once, so a minute is enough.
const ASSERTION_LIFETIME_S: u32 = 60;

/// A private key with the JWT header.
pub(super) struct Signer {
    key: EncodingKey,
    header: Header,
    fingerprint: CredentialHash,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a str>,
    iat: i64,
    exp: i64,
    /// Unique for each token: servers refuse an assertion that they have seen before.
    jti: String,
}

impl Signer {
    pub(super) fn new(options: &AuthOptions, secrets: SecretReader<'_>) -> Result<Self, AuthError> {
        let pem = options.secret("private_key", &options.private_key, secrets)?;
        let (key, algorithm) = match options.algorithm.unwrap_or_default() {
            Algorithm::Rs256 => (EncodingKey::from_rsa_pem(pem.expose().as_bytes()), jsonwebtoken::Algorithm::RS256),
            Algorithm::Es256 => (EncodingKey::from_ec_pem(pem.expose().as_bytes()), jsonwebtoken::Algorithm::ES256),
        };
        let wrong =
            |_| AuthError::value("private_key", "is not a private key in PEM for its algorithm (PKCS #8 or #1)");
        let mut header = Header::new(algorithm);
        header.kid.clone_from(&options.key_id);
        Ok(Self { key: key.map_err(wrong)?, header, fingerprint: CredentialHash::of(&pem) })
    }

    fn sign(&self, iss: &str, sub: &str, aud: Option<&str>, now_s: i64, lifetime_s: u32) -> Result<Secret, TokenError> {
        let claims = Claims {
            iss,
            sub,
            aud,
            iat: now_s,
            exp: now_s + i64::from(lifetime_s),
            jti: ulid::Ulid::generate().to_string(),
        };
        let token = jsonwebtoken::encode(&self.header, &claims, &self.key).map_err(|_| TokenError::Signing)?;
        Ok(Secret::new(token))
    }

    pub(super) fn fingerprint(&self) -> CredentialHash {
        self.fingerprint
    }

    /// A client assertion (RFC 7523 2.2) for a token endpoint.
    pub(super) fn assertion(&self, client: &str, audience: &str, now_s: i64) -> Result<Secret, TokenError> {
        self.sign(client, client, Some(audience), now_s, ASSERTION_LIFETIME_S)
    }
}

/// Signs service tokens, which the upstream accepts directly.
pub(super) struct ServiceToken {
    signer: Signer,
    issuer: String,
    subject: String,
    audience: Option<String>,
    lifetime_s: u32,
    clock: Clock,
}

impl ServiceToken {
    pub(super) fn new(options: &AuthOptions, secrets: SecretReader<'_>, clock: Clock) -> Result<Self, AuthError> {
        let issuer = options.issuer.clone().ok_or_else(|| options.missing("issuer"))?;
        Ok(Self {
            signer: Signer::new(options, secrets)?,
            subject: options.subject.clone().unwrap_or_else(|| issuer.clone()),
            issuer,
            audience: options.audience.clone(),
            lifetime_s: options.lifetime_s.unwrap_or(LIFETIME_DEFAULT_S),
            clock,
        })
    }

    pub(super) fn key(&self) -> TokenKey {
        TokenKey {
            endpoint: String::new(),
            client: format!("{}\0{}\0{:?}\0{}", self.issuer, self.subject, self.signer.header, self.lifetime_s),
            scopes: Vec::new(),
            audience: self.audience.clone(),
            resource: None,
            credential: self.signer.fingerprint,
        }
    }
}

#[async_trait]
impl TokenSource for ServiceToken {
    async fn fetch(&self) -> Result<TokenGrant, TokenError> {
        let now_s = self.clock.now().unix_s();
        let token = self.signer.sign(&self.issuer, &self.subject, self.audience.as_deref(), now_s, self.lifetime_s)?;
        Ok(TokenGrant { token, more: Vec::new(), lifetime: Lifetime::Seconds(f64::from(self.lifetime_s)) })
    }
}
