//! What a customer's token says, for the integrator who wonders why it is refused.

use super::{Caller, Evidence, Identity, Mode, Refusal, Resolved, Verification, context::TYP, jws::Jws};

/// A token, as this server reads it. Holds claims, never the token or its signature.
#[derive(Debug)]
pub struct Inspection {
    /// `customer context`, or the profile that it is for.
    pub kind: Option<String>,
    pub algorithm: Option<String>,
    pub kid: Option<String>,
    /// The names of its claims.
    pub claims: Vec<String>,
    /// The caller that it names, or the first reason why it would be refused.
    pub outcome: Result<Box<Caller>, Refusal>,
}

impl Identity {
    /// Reads the token of a call. `header` is the one that it would come in, where that is not a carrier of customer
    /// contexts.
    pub async fn inspect(&self, token: &str, header: Option<&str>, evidence: &Evidence) -> Inspection {
        let outcome = match self.resolve(evidence).await {
            Ok(Resolved::Caller(caller)) => Ok(caller),
            Ok(Resolved::FromArgument) => Err(Refusal::NotAccepted),
            Err(refusal) => Err(refusal),
        };
        let jws = Jws::read(token).ok();
        let kind = jws.as_ref().and_then(|jws| match &self.verification {
            Verification::Context(_) if jws.header.typ().eq_ignore_ascii_case(TYP) => {
                Some("customer context".to_owned())
            }
            Verification::Context(judge) => {
                judge.tokens.profile_of(header, jws).map(|profile| format!("identity.tokens {}", profile.name))
            }
            _ => None,
        });
        let claims = jws.as_ref().and_then(|jws| jws.claims().ok());
        Inspection {
            kind,
            algorithm: jws.as_ref().map(|jws| jws.header.alg.clone()),
            kid: jws.as_ref().and_then(|jws| jws.header.kid.clone()),
            claims: claims.map(|claims| claims.names().map(str::to_owned).collect()).unwrap_or_default(),
            outcome,
        }
    }

    /// Whether customers are named by tokens here.
    pub fn reads_tokens(&self) -> bool {
        self.mode() == Mode::Context
    }
}
