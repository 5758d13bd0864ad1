//! Customers' tokens that others sign: a shop's login, a platform. What a token says of itself decides for exactly one
//! profile, before any key is tried.

mod judge;
mod overlap;
mod presets;
mod profile;

use std::sync::Arc;

pub use overlap::Overlap;
pub use presets::{EmailVerified, Nobody, PresetForm, TokenPreset};
pub use profile::{EmailProof, PublishedKeys, TokenKeys, TokenProfile};

use super::{
    Caller, KeyError, Refusal,
    agents::{AuthError, JwksLocation, KeyFetcher, Keys, TokenRefusal as AccessTokenRefusal},
    jws::{Claims, Jws},
    keys::Algorithm,
    token_refusal::TokenRefusal,
    verifying_keys::{Unverified, VerifyingKeys},
};
use crate::domain::{AgentId, Timestamp};

/// Verifies the tokens of all profiles.
pub(super) struct Tokens(Vec<Verifier>);

struct Verifier {
    profile: TokenProfile,
    name: Arc<str>,
    keys: VerificationKeys,
}

enum VerificationKeys {
    Configured(VerifyingKeys),
    Published(Keys, Vec<Algorithm>),
}

impl Tokens {
    /// `fetcher` is needed where keys are published.
    pub(super) fn new(profiles: Vec<TokenProfile>, fetcher: Option<&Arc<dyn KeyFetcher>>) -> Result<Self, TokensError> {
        if let Some(overlap) = overlap::first(&profiles) {
            return Err(TokensError::Overlap(overlap));
        }
        let verifier = |profile: TokenProfile| {
            let keys = match &profile.keys {
                TokenKeys::Configured(keys) => VerificationKeys::Configured(VerifyingKeys::new(keys)?),
                TokenKeys::Published { at, algorithms } => {
                    let issuer = profile.issuer.clone().unwrap_or_else(|| profile.name.clone());
                    let location = match at {
                        PublishedKeys::At(url) => JwksLocation::At(url.clone()),
                        PublishedKeys::Discovered => JwksLocation::Discovered { issuer: issuer.clone() },
                    };
                    let fetcher = fetcher.ok_or(TokensError::NoFetcher)?.clone();
                    VerificationKeys::Published(Keys::new(issuer, location, fetcher), algorithms.clone())
                }
            };
            Ok(Verifier { name: profile.name.as_str().into(), profile, keys })
        };
        profiles.into_iter().map(verifier).collect::<Result<_, _>>().map(Self)
    }

    /// The headers that profiles of their own name.
    pub(super) fn headers(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|verifier| verifier.profile.header.as_deref())
    }

    pub(super) async fn warm_up(&self) {
        for verifier in &self.0 {
            if let VerificationKeys::Published(keys, _) = &verifier.keys {
                keys.warm_up().await;
            }
        }
    }

    /// Verifies a token that came in `header`, None for the carriers of customer contexts.
    pub(super) async fn verify(
        &self,
        header: Option<&str>,
        jws: &Jws<'_>,
        agent: Option<&AgentId>,
        now: Timestamp,
    ) -> Result<Caller, Refusal> {
        let claims = jws.claims()?;
        let verifier = self.the_one(header, jws, &claims).ok_or(Refusal::Typ)?;
        let refused = |why| Refusal::Token { profile: verifier.profile.name.clone(), why };
        verifier.check_signature(jws).await.map_err(refused)?;
        judge::judge(&verifier.profile, &verifier.name, jws, &claims, agent, now).map_err(refused)
    }

    /// The name of the profile that a token is for.
    pub(super) fn profile_of(&self, header: Option<&str>, jws: &Jws<'_>) -> Option<&TokenProfile> {
        let claims = jws.claims().ok()?;
        self.the_one(header, jws, &claims).map(|verifier| &verifier.profile)
    }

    /// The one profile that the token fits. That it is one was checked at the start.
    fn the_one(&self, header: Option<&str>, jws: &Jws<'_>, claims: &Claims) -> Option<&Verifier> {
        let mut fitting = self.0.iter().filter(|verifier| verifier.profile.fits(header, &jws.header, claims));
        fitting.next().filter(|_| fitting.next().is_none())
    }
}

impl Verifier {
    async fn check_signature(&self, jws: &Jws<'_>) -> Result<(), TokenRefusal> {
        match &self.keys {
            VerificationKeys::Configured(keys) => keys.verify(jws).map_err(|unverified| match unverified {
                Unverified::NoKey => TokenRefusal::NoKey,
                Unverified::Signature => TokenRefusal::Signature,
            }),
            VerificationKeys::Published(keys, algorithms) => match keys.verify(jws, algorithms).await {
                Ok(_) => Ok(()),
                Err(AuthError::NoKeys { .. }) => Err(TokenRefusal::NoKeysYet),
                Err(AuthError::Refused(AccessTokenRefusal::NoKey | AccessTokenRefusal::Algorithm)) => {
                    Err(TokenRefusal::NoKey)
                }
                Err(_) => Err(TokenRefusal::Signature),
            },
        }
    }
}

/// Why the profiles cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Overlap(Overlap),
    #[error("the keys of identity.tokens are on the network, and nothing is there to fetch them")]
    NoFetcher,
}
