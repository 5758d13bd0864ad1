//! The claims of a customer context and their validation, pure: the time is an argument.

use serde::{Deserialize, Serialize};

use super::{Caller, Origin, Refusal, Subject};
use crate::domain::{AgentId, ConversationId, Customer, CustomerId, Email, Language, Level, SystemId, Timestamp};

/// Longest lifetime of a customer context that any agent may use in any conversation, from `iat` to `exp`, in seconds.
pub const LIFETIME_S: i64 = 15 * 60;
/// Longest lifetime that can be configured, in seconds.
pub const LIFETIME_S_MAX: i64 = 24 * 60 * 60;
/// Accepted clock skew of whoever signs into the future, in seconds. Expiry has no leeway.
pub const AHEAD_S_MAX: i64 = 30;
/// Longest id of a context or token (`jti`), in characters.
pub const CONTEXT_ID_CHARS_MAX: usize = 128;
/// Most linked ids in one context.
const LINKED_MAX: usize = 32;

/// The claims of a customer context. Times are in seconds (RFC 7519 NumericDate), as integers.
#[derive(Serialize, Deserialize)]
pub(super) struct Claims {
    pub iss: String,
    pub aud: String,
    pub sub: String,
    pub iat: i64,
    pub exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub azp: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cid: Option<String>,
    pub lvl: Level,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(default)]
    pub email_verified: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The customer's language (OpenID Connect's claim).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub linked: Vec<String>,
}

/// The expected values of claims.
pub(super) struct Expected<'a> {
    pub issuer: &'a str,
    pub audience: &'a str,
    pub azp: Option<&'a str>,
    pub azp_required: bool,
    pub lifetime_s_max: i64,
    /// Whether the context came among the arguments alone.
    pub as_argument: bool,
    /// The authenticated agent.
    pub agent: Option<&'a AgentId>,
    pub subject_system: &'a SystemId,
}

impl Claims {
    /// The caller that the claims describe, if they are valid at `now`.
    pub(super) fn into_caller(self, expected: &Expected<'_>, now: Timestamp) -> Result<Caller, Refusal> {
        self.check(expected, now.unix_s())?;
        let refused = |claim| move |invalid: crate::domain::Invalid| Refusal::Claim { claim, why: invalid.why };
        if self.linked.len() > LINKED_MAX {
            return Err(Refusal::Claim { claim: "linked", why: "must name at most 32 ids" });
        }
        let linked =
            self.linked.iter().map(|id| CustomerId::parse(id).map_err(refused("linked"))).collect::<Result<_, _>>()?;
        if self.jti.as_ref().is_some_and(|jti| jti.chars().count() > CONTEXT_ID_CHARS_MAX) {
            return Err(Refusal::Claim { claim: "jti", why: "must have at most 128 characters" });
        }
        if self.name.as_ref().is_some_and(|name| name.chars().count() > 200 || name.chars().any(char::is_control)) {
            return Err(Refusal::Claim {
                claim: "name",
                why: "must have at most 200 characters and no control characters",
            });
        }
        Ok(Caller {
            subject: Subject::Customer(Customer {
                id: CustomerId::new(expected.subject_system.clone(), &self.sub).map_err(refused("sub"))?,
                linked,
                level: self.lvl,
                email: self.email.as_deref().map(Email::parse).transpose().map_err(refused("email"))?,
                email_verified: self.email_verified,
                name: self.name,
                // A preference: one that cannot be read counts as none.
                language: self.locale.and_then(|tag| Language::parse(&tag).ok()),
                typed: false,
                email_by_code: None,
            }),
            agent: match expected.agent {
                Some(agent) => Some(agent.clone()),
                None => self.azp.as_deref().map(AgentId::parse).transpose().map_err(refused("azp"))?,
            },
            conversation: self.cid.as_deref().map(ConversationId::parse).transpose().map_err(refused("cid"))?,
            code_conversation: None,
            context_id: self.jti,
            origin: Some(Origin::Context),
            issued_at: Timestamp::from_unix_ms(self.iat.saturating_mul(1000)).ok(),
        })
    }

    fn check(&self, expected: &Expected<'_>, now_s: i64) -> Result<(), Refusal> {
        if self.iss != expected.issuer {
            return Err(Refusal::Issuer);
        }
        if self.aud != expected.audience {
            return Err(Refusal::Audience);
        }
        if expected.azp.is_some() && self.azp.as_deref() != expected.azp {
            return Err(Refusal::AuthorizedParty);
        }
        if expected.azp_required && self.azp.is_none() {
            return Err(Refusal::NoAuthorizedParty);
        }
        // A context that was minted for another agent may be stolen.
        if let (Some(agent), Some(azp)) = (expected.agent, self.azp.as_deref())
            && agent.as_str() != azp
        {
            return Err(Refusal::OtherAgent);
        }
        if self.exp <= now_s {
            return Err(Refusal::Expired);
        }
        if self.iat > now_s.saturating_add(AHEAD_S_MAX)
            || self.nbf.is_some_and(|nbf| nbf > now_s.saturating_add(AHEAD_S_MAX))
        {
            return Err(Refusal::NotYetValid);
        }
        let lifetime_s = self.exp.saturating_sub(self.iat);
        if lifetime_s > expected.lifetime_s_max {
            return Err(Refusal::LivesTooLong(expected.lifetime_s_max));
        }
        // What lives for a conversation is good for that conversation and that agent alone.
        for (claim, value) in [("cid", &self.cid), ("azp", &self.azp)] {
            if value.is_none() && expected.as_argument {
                return Err(Refusal::InputNeeds(claim));
            }
            if value.is_none() && lifetime_s > LIFETIME_S {
                return Err(Refusal::LongLived(claim));
            }
        }
        Ok(())
    }
}
