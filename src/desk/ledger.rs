//! The ledger: what has been asked for, and what came of it. It lets a repeated request find its first answer.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Call, Fence, LinkedTicket, Plan, PortError, Target, audit::AuditRecord};
use crate::domain::{
    ContactId, ConversationId, Customer, CustomerId, EffectId, FieldName, Invalid, Priority, Ticket, TicketId,
    Timestamp,
};

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

/// What makes two requests the same (SHA-256 over its parts).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EffectKey([u8; 32]);

/// The canonical arguments of a call (SHA-256).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fingerprint([u8; 32]);

/// A caller's own idempotency key: 1 to 255 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if text.is_empty() || text.len() > 255 || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Invalid::new("idempotency key", "must have 1 to 255 visible ASCII characters"));
        }
        Ok(Self(text.to_owned()))
    }

    /// The key of what has a fingerprint.
    pub fn of(fingerprint: &Fingerprint) -> Self {
        Self(fingerprint.0.iter().map(|octet| format!("{octet:02x}")).collect())
    }
}

impl EffectKey {
    /// Same customer, tool and own key; or, without one, same customer, conversation, tool and arguments.
    pub fn of(call: &Call, customer: &CustomerId) -> Self {
        let customer = customer.to_string();
        let conversation = call.caller.conversation.as_ref().map_or("", |id| id.as_str());
        Self(match &call.idempotency_key {
            Some(IdempotencyKey(key)) => digest(&[b"key", customer.as_bytes(), call.tool.as_bytes(), key.as_bytes()]),
            None => digest(&[
                b"arguments",
                customer.as_bytes(),
                conversation.as_bytes(),
                call.tool.as_bytes(),
                &call.fingerprint.0,
            ]),
        })
    }

    /// The fields of a contact that a call sets under the caller's own key; the note of the call is another effect.
    pub(super) fn of_fields(call: &Call, customer: &CustomerId) -> Self {
        Self(digest(&[b"fields", &Self::of(call, customer).0]))
    }

    /// The contact of a customer, whatever is changed of it.
    pub(super) fn of_contact(customer: &Customer) -> Self {
        Self(digest(&[b"contact", Self::identity(customer).as_bytes()]))
    }

    /// The lock of making a contact for a customer.
    pub(super) fn of_making(customer: &Customer) -> Self {
        Self(digest(&[b"making a contact", Self::identity(customer).as_bytes()]))
    }

    /// That a customer gets a contact.
    pub(super) fn of_new_contact(customer: &Customer) -> Self {
        Self(digest(&[b"new contact", Self::identity(customer).as_bytes()]))
    }

    /// A contact, by whichever customer it was found.
    pub fn of_contact_id(contact: &ContactId) -> Self {
        Self(digest(&[b"contact id", contact.as_str().as_bytes()]))
    }

    /// What contacts of a customer are known by: of somebody who has only typed an address, that.
    fn identity(customer: &Customer) -> String {
        match customer.address().filter(|_| customer.typed) {
            Some(address) => format!("address {}", address.canonical()),
            None => customer.id.to_string(),
        }
    }

    /// Of the ticket that a customer has in a conversation.
    pub(super) fn of_conversation(conversation: &ConversationId, customer: &CustomerId) -> Self {
        Self(digest(&[b"conversation", conversation.as_str().as_bytes(), customer.to_string().as_bytes()]))
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// In hexadecimal.
    pub fn to_hex(&self) -> String {
        self.0.iter().map(|octet| format!("{octet:02x}")).collect()
    }

    #[cfg(test)]
    pub(super) fn of_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl Fingerprint {
    /// Of a call that changes nothing.
    pub const NONE: Self = Self([0; 32]);

    /// Fingerprint of arguments whose members are in a fixed order.
    pub fn of(canonical: &[u8]) -> Self {
        Self(digest(&[canonical]))
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Each part goes in with its length in front, so that no two lists of parts read the same.
fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}
