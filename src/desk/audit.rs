//! The audit log: every decision, with ids and never with content.

use std::borrow::Cow;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{Call, PortError};
use crate::{
    domain::{AgentId, ConversationId, CustomerId, Timestamp},
    identity::{Caller, Origin},
};

/// Storage of audit records.
#[async_trait]
pub trait AuditLog: Send + Sync {
    /// Accepts a record. The record of an effect is durable when this returns; others may be written in a batch a
    /// moment later. A record passed to [`Ledger::finish`](super::Ledger::finish) is committed with the receipt.
    async fn record(&self, record: AuditRecord) -> Result<(), PortError>;

    /// The newest records that match the filter, newest first.
    async fn read(&self, filter: &AuditFilter) -> Result<Vec<StoredAudit>, PortError>;

    /// The same, for paging: it looks at so many records at most, and says where to go on.
    async fn page(&self, filter: &AuditFilter) -> Result<AuditPage, PortError>;
}

/// An audit record before it is stored.
#[derive(Debug, Clone)]
pub struct AuditRecord {
    pub at: Timestamp,
    pub agent: Option<AgentId>,
    /// Stored only as a keyed hash.
    pub customer: Option<CustomerId>,
    /// The person who looked or acted.
    pub staff: Option<AuditedPerson>,
    pub conversation: Option<ConversationId>,
    pub context_id: Option<String>,
    /// How the customer was determined.
    pub origin: Option<Origin>,
    pub tool: Cow<'static, str>,
    pub decision: Decision,
}

/// A person of the company on record. It opens nothing: what may be read is decided by the caller of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditedPerson {
    pub name: String,
    /// Why, in their own words, where a reason is asked for.
    pub reason: Option<String>,
}

/// A decision and the records that it is about.
#[derive(Debug, Clone)]
pub struct Decision {
    pub verdict: Verdict,
    /// `order:1001`, `ticket:T-1001`, `contact:…`; of a one-time code `limit:address`, `reason:denied`.
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

    /// The record of a decision on the caller alone, before there was a call.
    pub fn of_caller(caller: &Caller, tool: &'static str, at: Timestamp, decision: Decision) -> Self {
        Self {
            at,
            agent: caller.agent.clone(),
            customer: caller.customer().map(|customer| customer.id.clone()),
            staff: caller
                .staff()
                .map(|member| AuditedPerson { name: member.id().to_owned(), reason: Some(member.reason().to_owned()) }),
            conversation: caller.conversation.clone().or_else(|| caller.code_conversation.clone()),
            context_id: caller.context_id.clone(),
            origin: caller.origin.clone(),
            tool: tool.into(),
            decision,
        }
    }
}

/// Verdict on a call. The model sees one denial where the audit distinguishes several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The record is the customer's, and the call was done.
    Allowed,
    /// Shown to a staff member who gave a reason.
    Staff,
    /// The record does not exist.
    Absent,
    /// The record is another customer's.
    Foreign,
    /// The reply does not say whose record it is.
    Unreadable,
    /// A guest order, and the customer has not verified its email address.
    GuestUnproven,
    /// The customer needs a higher level of authentication.
    StepUp,
    /// The customer context was missing or wrong.
    IdentityRefused,
    /// The agent's token lacks the scope.
    ScopeRefused,
    /// The arguments were refused before any look-up.
    InvalidArguments,
    /// Too many calls.
    RateLimited,
    /// An idempotency key was used again with other arguments.
    KeyReused,
    /// A system behind the desk failed.
    Failed,
    /// It is unknown whether a system behind the desk has done it.
    InDoubt,
    /// A one-time code was handed to its sender.
    CodeSent,
    /// A limit kept a one-time code back; the caller was not told.
    CodeLimited,
    /// The mail server or the upstream did not take a one-time code; the caller was not told.
    CodeFailed,
    /// The one-time code was right, and proves its address.
    CodeRight,
    /// The one-time code was wrong.
    CodeWrong,
    /// The one-time code was expired, used or never sent.
    CodeExpired,
}

impl Verdict {
    pub const ALL: [Self; 20] = [
        Self::Allowed,
        Self::Staff,
        Self::Absent,
        Self::Foreign,
        Self::Unreadable,
        Self::GuestUnproven,
        Self::StepUp,
        Self::IdentityRefused,
        Self::ScopeRefused,
        Self::InvalidArguments,
        Self::RateLimited,
        Self::KeyReused,
        Self::Failed,
        Self::InDoubt,
        Self::CodeSent,
        Self::CodeFailed,
        Self::CodeLimited,
        Self::CodeRight,
        Self::CodeWrong,
        Self::CodeExpired,
    ];

    /// Name in the database, metrics and JSON.
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
            Self::CodeSent => "code_sent",
            Self::CodeLimited => "code_limited",
            Self::CodeFailed => "code_failed",
            Self::CodeRight => "code_right",
            Self::CodeWrong => "code_wrong",
            Self::CodeExpired => "code_expired",
        }
    }
}

/// Effect of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    None,
    /// A record was created.
    Created,
    /// It was done before; nothing was sent again.
    Repeated,
    /// A record was changed.
    Changed,
    /// It was queued, and is done later.
    Accepted,
}

impl Effect {
    /// Name in the database, metrics and JSON.
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

/// Filter for audit records.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    pub conversation: Option<ConversationId>,
    /// Any of these; all customers if empty.
    pub customers: Vec<CustomerId>,
    pub tool: Option<String>,
    pub agent: Option<String>,
    /// A record that the decision was about, as `order:1001`.
    pub object: Option<String>,
    pub verdict: Option<Verdict>,
    /// Only ids below this one.
    pub before: Option<i64>,
    /// Only ids above this one. A page of them begins with the oldest.
    pub after: Option<i64>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    pub limit: u32,
}

/// A page of audit records.
#[derive(Debug, Clone, Default)]
pub struct AuditPage {
    /// By id, newest first.
    pub records: Vec<StoredAudit>,
    /// Where the next page begins; none at the end.
    pub next: Option<i64>,
}

/// A stored audit record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredAudit {
    pub id: i64,
    pub at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// HMAC-SHA-256 of the customer id under the store's key: the first 16 bytes in hexadecimal. Distinguishes
    /// customers without identifying them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_hash: Option<String>,
    /// The person who looked or acted; `reason` is why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub staff: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_id: Option<String>,
    /// How the customer was determined, as `asserted by captain`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
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
            "code_sent",
            "code_limited",
            "code_failed",
            "code_right",
            "code_wrong",
            "code_expired",
        ];
        for word in verdicts {
            assert_eq!(serde_json::from_value::<Verdict>(word.into()).unwrap().as_str(), word);
        }
        for word in ["none", "created", "repeated", "changed", "accepted"] {
            assert_eq!(serde_json::from_value::<Effect>(word.into()).unwrap().as_str(), word);
        }
    }
}
