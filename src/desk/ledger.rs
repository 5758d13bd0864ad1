//! The ledger: what has been asked for, and what came of it. It lets a repeated request find its first answer.

use async_trait::async_trait;

use super::{EffectKey, Fence, Fingerprint, LinkedTicket, Plan, PortError, Target, audit::AuditRecord};
use crate::domain::{ConversationId, CustomerId, EffectId, FieldName, Priority, Ticket, TicketId, Timestamp};

/// The book of effects. Survives a restart; several processes may share it.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Enters the claim before a system is called, or says what is known of it. Durable when it returns.
    async fn begin(&self, claim: &Claim) -> Result<Begin, PortError>;

    /// Records the result, and the audit record of the call that brought it about, in one commit.
    async fn finish(&self, effect: &EffectId, receipt: serde_json::Value, audit: AuditRecord) -> Result<(), PortError>;

    /// Another call is about to send the same request. False if the effect is not in doubt any more: then begin anew.
    async fn join(&self, effect: &EffectId) -> Result<bool, PortError>;

    /// The call ends, and the effect stays in doubt.
    async fn leave(&self, effect: &EffectId) -> Result<(), PortError>;

    /// An effect in doubt, begun at `since`, has turned out not to exist and is tried once more. Of several that ask at
    /// once, one is told true.
    async fn begin_again(&self, effect: &EffectId, since: Timestamp) -> Result<bool, PortError>;

    /// Where the effect under a key goes, if it was begun and never finished; none inside, if that was not kept.
    async fn target(&self, effect_key: &EffectKey) -> Result<Option<Option<Target>>, PortError>;

    /// An effect that was to open a ticket for this conversation and was never finished, other than `but`.
    async fn unsettled(
        &self,
        conversation: &EffectKey,
        but: &EffectKey,
    ) -> Result<Option<(EffectId, Timestamp)>, PortError>;

    /// Remembers which ticket a customer's conversation has, and that it was used. `priority`: what it has now, if that is
    /// known to be another. Whoever has lost the lock replaces nothing.
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

    /// The ticket of a customer's conversation takes no more comments.
    async fn close_link(
        &self,
        conversation: &ConversationId,
        customer: &CustomerId,
        ticket: &TicketId,
    ) -> Result<(), PortError>;

    /// Enters that `effect` sets these fields of a contact, and says which of them it may set: all of them when it is the
    /// `first` time, and of a repeated effect those that no other one has set since.
    async fn take_fields(
        &self,
        contact: &EffectKey,
        fields: Vec<FieldName>,
        effect: &EffectId,
        first: bool,
    ) -> Result<Vec<FieldName>, PortError>;

    /// Enters that a contact's conversation ended at `at`. False if a later one is entered already.
    async fn take_end(&self, contact: &EffectKey, at: Timestamp) -> Result<bool, PortError>;

    /// What was entered by [`Ledger::take_fields`], or [`Ledger::take_end`] where it was an end, was certainly not done.
    async fn give_back(
        &self,
        contact: &EffectKey,
        effect: &EffectId,
        ended: Option<Timestamp>,
    ) -> Result<(), PortError>;

    /// The effect has certainly not come about: the next request is a fresh one. Unless others have joined in: then it stays
    /// in doubt until they know.
    async fn release(&self, effect: &EffectId) -> Result<(), PortError>;

    /// The same, by what was asked for: somebody has looked for an effect in doubt and found none. One that is known to
    /// have come about stays.
    async fn forget(&self, effect_key: &EffectKey) -> Result<(), PortError>;
}

/// A request for an effect.
#[derive(Debug, Clone)]
pub struct Claim {
    pub effect_key: EffectKey,
    /// The arguments: under a key of the caller's own, others are refused.
    pub fingerprint: Fingerprint,
    /// From then on the same request is a new one.
    pub expires_at: Timestamp,
    /// Whose it is, so that it is erased with them: kept as a keyed hash.
    pub customer: CustomerId,
    /// The same person in other systems.
    pub linked: Vec<CustomerId>,
    pub conversation: Option<ConversationId>,
    pub plan: Plan,
}

/// What the ledger knows of a claim.
#[derive(Debug, Clone)]
pub enum Begin {
    /// Not seen before: the effect may be brought about.
    Fresh { effect: EffectId },
    /// Begun before and never finished: it may or may not have happened.
    InDoubt {
        effect: EffectId,
        since: Timestamp,
        /// The call that began it has ended, and did not learn the result. Otherwise it may be under way.
        ended: bool,
    },
    /// Done before, with this receipt.
    Done { receipt: serde_json::Value },
    /// The caller's own key was used with other arguments.
    KeyReused,
    /// Done or begun before, and erased since: nobody is told what came of it, and it is not done again.
    Erased,
}
