//! The audit log: every decision, with references and never with content.

use std::borrow::Cow;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{Call, PortError};
use crate::{
    domain::{AgentId, ConversationId, CustomerId, Timestamp},
    identity::{Caller, StaffMember},
};

/// Where decisions are kept.
#[async_trait]
pub trait AuditLog: Send + Sync {
    /// Takes a record in. The record of an effect is durable when this returns; others may be written a moment later,
    /// together. What the ledger finishes carries its record there, in the same commit.
    async fn record(&self, record: AuditRecord) -> Result<(), PortError>;

    /// The newest records that pass the filter, newest first.
    async fn read(&self, filter: &AuditFilter) -> Result<Vec<StoredAudit>, PortError>;
}

/// One decision, before it is stored.
#[derive(Debug, Clone)]
pub struct AuditRecord {
    pub at: Timestamp,
    pub agent: Option<AgentId>,
    /// Stored only as a keyed hash.
    pub customer: Option<CustomerId>,
    /// Who of the company looked, and why.
    pub staff: Option<StaffMember>,
    pub conversation: Option<ConversationId>,
    pub context_id: Option<String>,
    pub tool: Cow<'static, str>,
    pub decision: Decision,
}

/// What was decided, about what.
#[derive(Debug, Clone)]
pub struct Decision {
    pub verdict: Verdict,
    /// `order:1001`, `ticket:T-1001`, `contact:…`.
    pub objects: Vec<String>,
    /// Names of the fields that changed, never their values.
    pub fields: Vec<String>,
    pub effect: Effect,
}

impl Decision {
    pub fn new(verdict: Verdict) -> Self {
        Self { verdict, objects: Vec::new(), fields: Vec::new(), effect: Effect::None }
    }

    pub fn on(mut self, kind: &str, id: impl std::fmt::Display) -> Self {
        self.objects.push(format!("{kind}:{id}"));
        self
    }

    pub fn effect(mut self, effect: Effect) -> Self {
        self.effect = effect;
        self
    }
}

impl AuditRecord {
    /// The record of a decision about a call.
    pub fn of(call: &Call, at: Timestamp, decision: Decision) -> Self {
        Self::of_caller(&call.caller, call.tool, at, decision)
    }

    /// The record of a decision that fell before there was a call, on the caller alone.
    pub fn of_caller(caller: &Caller, tool: &'static str, at: Timestamp, decision: Decision) -> Self {
        Self {
            at,
            agent: caller.agent.clone(),
            customer: caller.customer().map(|customer| customer.id.clone()),
            staff: caller.staff().cloned(),
            conversation: caller.conversation.clone(),
            context_id: caller.context_id.clone(),
            tool: tool.into(),
            decision,
        }
    }
}

/// How a call was decided. The model sees one denial where the audit tells three.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It was the customer's own, and it was done.
    Allowed,
    /// A member of staff saw it, with a reason.
    Staff,
    /// There is no such record.
    Absent,
    /// The record is another customer's.
    Foreign,
    /// What came back does not tell whose it is.
    Unreadable,
    /// A guest's order, and the email is not proven to be the customer's.
    GuestUnproven,
    /// The customer has to prove more of who they are.
    StepUp,
    /// The customer context was missing or wrong.
    IdentityRefused,
    /// The agent's token does not reach so far.
    ScopeRefused,
    /// The arguments were refused before anything was looked at.
    InvalidArguments,
    /// Too many calls.
    RateLimited,
    /// An idempotency key came back with other arguments.
    KeyReused,
    /// A system behind the desk failed.
    Failed,
    /// A system behind the desk was asked to do it, and does not say whether it has.
    InDoubt,
}

impl Verdict {
    /// The word that it is stored and counted under, which is also its form in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Staff => "staff",
            Self::Absent => "absent",
            Self::Foreign => "foreign",
            Self::Unreadable => "unreadable",
            Self::GuestUnproven => "guest_unproven",
            Self::StepUp => "step_up",
            Self::IdentityRefused => "identity_refused",
            Self::ScopeRefused => "scope_refused",
            Self::InvalidArguments => "invalid_arguments",
            Self::RateLimited => "rate_limited",
            Self::KeyReused => "key_reused",
            Self::Failed => "failed",
            Self::InDoubt => "in_doubt",
        }
    }
}

/// What happened to the outside world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    None,
    /// Something new exists.
    Created,
    /// It had been done before; nothing happened.
    Repeated,
    /// A record was changed.
    Changed,
    /// It is written down, and is done later.
    Accepted,
}

impl Effect {
    /// The word that it is stored and counted under, which is also its form in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Created => "created",
            Self::Repeated => "repeated",
            Self::Accepted => "accepted",
            Self::Changed => "changed",
        }
    }
}

/// Which records to read.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    pub conversation: Option<ConversationId>,
    /// Any of these; all, if there is none.
    pub customers: Vec<CustomerId>,
    pub tool: Option<String>,
    pub verdict: Option<Verdict>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    pub limit: u32,
}

/// A record as it is stored and shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredAudit {
    pub id: i64,
    pub at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// HMAC-SHA-256 of the customer id under the store's own key, hex, cut to 16 octets: tells customers apart, names nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_hash: Option<String>,
    /// The member of staff who looked, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub staff: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_id: Option<String>,
    pub tool: String,
    pub verdict: Verdict,
    pub objects: Vec<String>,
    pub fields: Vec<String>,
    pub effect: Effect,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_json() {
        let verdicts = [
            "allowed",
            "staff",
            "absent",
            "foreign",
            "guest_unproven",
            "step_up",
            "identity_refused",
            "scope_refused",
            "invalid_arguments",
            "rate_limited",
            "key_reused",
            "failed",
            "in_doubt",
        ];
        for word in verdicts {
            assert_eq!(serde_json::from_value::<Verdict>(word.into()).unwrap().as_str(), word);
        }
        for word in ["none", "created", "repeated", "changed", "accepted"] {
            assert_eq!(serde_json::from_value::<Effect>(word.into()).unwrap().as_str(), word);
        }
    }
}
