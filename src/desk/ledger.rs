//! The ledger: requested effects and their results. A repeated request finds its first result here.

use async_trait::async_trait;

use super::{EffectKey, Fence, Fingerprint, LinkedTicket, Plan, PortError, Target, audit::AuditRecord};
use crate::domain::{ConversationId, CustomerId, EffectId, FieldName, Priority, Ticket, TicketId, Timestamp};

/// Durable record of effects, shared by the processes on a store.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Records the claim before a system is called, or returns what is known of it. Durable when it returns.
    async fn begin(&self, claim: &Claim) -> Result<Begin, PortError>;

    /// Commits the receipt together with the audit record of the call.
    async fn finish(&self, effect: &EffectId, receipt: serde_json::Value, audit: AuditRecord) -> Result<(), PortError>;

    /// Registers another call that sends the same request. False if the effect is no longer in doubt: then call
    /// [`Ledger::begin`] again.
    async fn join(&self, effect: &EffectId) -> Result<bool, PortError>;

    /// Records that the call has ended and the effect stays in doubt.
    async fn leave(&self, effect: &EffectId) -> Result<(), PortError>;

    /// Restarts an effect in doubt that was found not to exist, by a compare-and-set on its begin time `since`. Of
    /// concurrent callers one gets true.
    async fn begin_again(&self, effect: &EffectId, since: Timestamp) -> Result<bool, PortError>;

    /// The target of an unfinished effect; the inner option is none if it was not stored.
    async fn target(&self, effect_key: &EffectKey) -> Result<Option<Option<Target>>, PortError>;

    /// An unfinished effect, other than `but`, that opens a ticket for this conversation, and when it was begun.
    async fn unsettled(
        &self,
        conversation: &EffectKey,
        but: &EffectKey,
    ) -> Result<Option<(EffectId, Timestamp)>, PortError>;

    /// Links a customer's conversation to a ticket and records its use. `priority` is the ticket's new priority, if
    /// known. Does nothing if the fencing token is stale.
    async fn link_ticket(
        &self,
        conversation: &ConversationId,
        customer: &CustomerId,
        ticket: &Ticket,
        priority: Option<Priority>,
        fence: &Fence,
    ) -> Result<(), PortError>;

    /// The ticket of a customer's conversation; [`LinkedTicket::None`] if it was last used before `since`.
    async fn linked_ticket(
        &self,
        conversation: &ConversationId,
        customer: &CustomerId,
        since: Timestamp,
    ) -> Result<LinkedTicket, PortError>;

    /// Records that the conversation's ticket takes no more comments.
    async fn close_link(
        &self,
        conversation: &ConversationId,
        customer: &CustomerId,
        ticket: &TicketId,
    ) -> Result<(), PortError>;

    /// Records that `effect` sets these fields of a contact, and returns those that it may set: all of them the `first`
    /// time; for a repeat, those that no other effect has set since.
    async fn take_fields(
        &self,
        contact: &EffectKey,
        fields: Vec<FieldName>,
        effect: &EffectId,
        first: bool,
    ) -> Result<Vec<FieldName>, PortError>;

    /// Records that a contact's conversation ended at `at`. False if a later end is recorded.
    async fn take_end(&self, contact: &EffectKey, at: Timestamp) -> Result<bool, PortError>;

    /// Undoes [`Ledger::take_fields`], or [`Ledger::take_end`] if `ended` is given, after a write that certainly
    /// failed.
    async fn give_back(
        &self,
        contact: &EffectKey,
        effect: &EffectId,
        ended: Option<Timestamp>,
    ) -> Result<(), PortError>;

    /// Removes the claim of an effect that certainly does not exist, so that the next request is a new one. If other
    /// calls have joined, it stays in doubt until they end.
    async fn release(&self, effect: &EffectId) -> Result<(), PortError>;

    /// Removes the claim under a key after an operator found no effect. A finished effect stays.
    async fn forget(&self, effect_key: &EffectKey) -> Result<(), PortError>;

    /// The external id of the effect under a key.
    async fn effect_of(&self, effect_key: &EffectKey) -> Result<Option<EffectId>, PortError>;
}

/// A claim on an effect.
#[derive(Debug, Clone)]
pub struct Claim {
    pub effect_key: EffectKey,
    /// Hash of the arguments: the caller's idempotency key cannot be reused with others.
    pub fingerprint: Fingerprint,
    /// When the same request counts as a new one.
    pub expires_at: Timestamp,
    /// The customer, stored as a keyed hash, for erasure.
    pub customer: CustomerId,
    /// The customer's ids in other systems.
    pub linked: Vec<CustomerId>,
    pub conversation: Option<ConversationId>,
    pub plan: Plan,
}

/// State of a claim.
#[derive(Debug, Clone)]
pub enum Begin {
    /// New: the caller may produce the effect.
    Fresh { effect: EffectId },
    /// Begun before and not finished: the effect may exist.
    InDoubt {
        effect: EffectId,
        since: Timestamp,
        /// The call that began it has ended without a result; otherwise it may still run.
        ended: bool,
    },
    /// Done before, with this receipt.
    Done { receipt: serde_json::Value },
    /// The caller's idempotency key was used with other arguments.
    KeyReused,
    /// Begun before and erased since: the result is not disclosed, and the effect is not repeated.
    Erased,
}
