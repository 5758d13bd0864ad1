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
pub(super) struct Tokens {
    verifiers: Vec<Verifier>,
    /// Audiences of agents' access tokens.
    of_agents: Vec<String>,
}

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
    pub(super) fn new(
        profiles: Vec<TokenProfile>,
        of_agents: Vec<String>,
        fetcher: Option<&Arc<dyn KeyFetcher>>,
    ) -> Result<Self, TokensError> {
        let mut names: Vec<&str> = profiles.iter().map(|profile| profile.name.as_str()).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|two| two[0] == two[1]) {
            return Err(TokensError::SameName(twice[0].to_owned()));
        }
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
        let verifiers = profiles.into_iter().map(verifier).collect::<Result<_, TokensError>>()?;
        Ok(Self { verifiers, of_agents })
    }

    /// The headers that profiles of their own name.
    pub(super) fn headers(&self) -> impl Iterator<Item = &str> {
        self.verifiers.iter().filter_map(|verifier| verifier.profile.header.as_deref())
    }

    /// Whether some come as customer contexts do.
    pub(super) fn come_as_contexts(&self) -> bool {
        self.verifiers.iter().any(|verifier| verifier.profile.header.is_none())
    }

    pub(super) async fn warm_up(&self) {
        for verifier in &self.verifiers {
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
        judge::judge(&verifier.profile, &verifier.name, jws, &claims, &self.of_agents, agent, now).map_err(refused)
    }

    /// The profile that a token is for.
    pub(super) fn profile_of(&self, header: Option<&str>, jws: &Jws<'_>, claims: &Claims) -> Option<&TokenProfile> {
        self.the_one(header, jws, claims).map(|verifier| &verifier.profile)
    }

    /// The headers in which some profile takes the token.
    pub(super) fn headers_of(&self, jws: &Jws<'_>, claims: &Claims) -> Vec<String> {
        let mut found: Vec<String> = self.headers().map(str::to_owned).collect();
        found.sort_unstable();
        found.dedup();
        found.retain(|header| self.the_one(Some(header), jws, claims).is_some());
        found
    }

    /// The one profile that the token fits. That it is one was checked at the start.
    fn the_one(&self, header: Option<&str>, jws: &Jws<'_>, claims: &Claims) -> Option<&Verifier> {
        let fitting = self.verifiers.iter().filter(|verifier| verifier.profile.fits(header, &jws.header, claims));
        overlap::the_one(fitting, |verifier| &verifier.profile, claims)
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
    #[error("two entries of identity.tokens are called {0}; give one of them a name of its own, as name = \"{0}-2\"")]
    SameName(String),
    #[error("the keys of identity.tokens are on the network, and nothing is there to fetch them")]
    NoFetcher,
}
