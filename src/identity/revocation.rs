//! Revoked customer contexts and tokens: what was issued before the revocation is refused, on every process of a store.

use super::{Caller, Origin, claims::AHEAD_S_MAX};
use crate::domain::{ConversationId, CustomerId, Timestamp};

/// How long a revocation is kept: longer than any accepted token lives.
pub const REVOCATION_KEPT_S: i64 = 31 * 24 * 60 * 60;

/// What is revoked: contexts and tokens issued until now, by whatever accepted clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revoked {
    Customer(CustomerId),
    Conversation(ConversationId),
    /// One context, by its `jti`, whenever it was issued.
    Context(String),
}

/// The revocations of a store.
pub trait Revocations: Send + Sync {
    /// Whether nothing at all is revoked, which is the usual case.
    fn are_none(&self) -> Result<bool, RevocationError>;

    /// The latest revocation that concerns one of these, if there is one. Called for every call: must be quick, and must
    /// see what another process has just written.
    fn latest(&self, sought: &[Revoked]) -> Result<Option<Timestamp>, RevocationError>;
}

/// Why revocations could not be read.
#[derive(Debug, thiserror::Error)]
#[error("the revocations cannot be read")]
pub struct RevocationError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// What a revocation of the caller's token would name; empty for callers without a token.
pub(super) fn of_caller(caller: &Caller) -> Vec<Revoked> {
    if !matches!(caller.origin, Some(Origin::Context | Origin::Argument | Origin::Token(_) | Origin::Code)) {
        return Vec::new();
    }
    let customer =
        caller.customer().into_iter().flat_map(|customer| [&customer.id].into_iter().chain(&customer.linked));
    customer
        .map(|id| Revoked::Customer(id.clone()))
        .chain(caller.conversation.clone().map(Revoked::Conversation))
        .chain(caller.context_id.clone().map(Revoked::Context))
        .collect()
}

/// Whether a token that says that it was issued then is ended by a revocation. The issuer's clock may be ahead, so that
/// what was issued before can say that it was issued after. One that does not say when is older.
pub(super) fn ends(issued_at: Option<Timestamp>, revoked_at: Timestamp) -> bool {
    issued_at.is_none_or(|issued| issued.unix_s() <= revoked_at.unix_s() + AHEAD_S_MAX)
}
