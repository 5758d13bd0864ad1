//! Why a customer's token that somebody else signed was refused.

use super::remedy::Remedy;

/// Why a token that somebody else signed was refused. Holds no value of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefusal {
    #[error("no key has its algorithm and kid")]
    NoKey,
    #[error("the issuer's keys are not known at the moment")]
    NoKeysYet,
    #[error("its signature does not verify")]
    Signature,
    #[error("it is an access token and not an ID token, by its typ, scope, client_id or aud, and so an agent's")]
    OfAgent,
    #[error("it was not made for the configured audience (aud)")]
    Audience,
    #[error("it has several audiences and no azp")]
    NoClient,
    #[error("its azp is not one of the configured clients")]
    Client,
    #[error("it has expired")]
    Expired,
    #[error("it is not valid yet; compare the clocks of both machines")]
    NotYetValid,
    #[error("it has neither exp nor iat, and so would be good for ever")]
    NoLifetime,
    #[error("it lives longer than lifetime_max_s, {0} s")]
    LivesTooLong(i64),
    #[error("it is that of somebody who has not signed in")]
    Nobody,
    #[error(
        "its customer is an address, {claim}, and nothing in it proves that the address is theirs (email_verified)"
    )]
    Unproven { claim: String },
    #[error("its claim {claim} is missing")]
    Missing { claim: String },
    #[error("its claim {claim} is refused: {why}")]
    Claim { claim: String, why: &'static str },
}

impl TokenRefusal {
    pub(super) fn remedy(&self) -> Remedy {
        match self {
            Self::Expired | Self::Nobody => Remedy::SignIn,
            Self::NoKeysYet => Remedy::Later,
            _ => Remedy::Integrator,
        }
    }
}
