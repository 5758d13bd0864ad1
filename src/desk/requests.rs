//! Ticket requests while the helpdesk is unavailable: queued, and submitted later, once.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{
    Call, Decision, Desk, DeskError, Effect, EffectKey, Fingerprint, IdempotencyKey, PortError, PortErrorKind, System,
    TicketOutcome, TicketRequest, Verdict, ports::customer,
};
use crate::{
    domain::{AgentId, ConversationId, Customer, CustomerId, Email, Level},
    identity::{Caller, Subject},
    telemetry::causes,
};

/// The tool of the requests: a repeat of its call is the same request.
const TOOL: &str = "create_ticket";
/// Repeat window of a queued request, as long as an event's.
const CLAIM_KEPT: std::time::Duration = std::time::Duration::from_secs(400 * 24 * 60 * 60);

/// Queue of ticket requests.
#[async_trait]
pub trait TicketRequests: Send + Sync {
    /// Queues a request, durably when it returns. One that is queued already is kept once.
    async fn enqueue(&self, request: &QueuedTicket) -> Result<Queued, PortError>;

    /// Whether a request under this key is queued.
    async fn is_queued(&self, effect_key: &EffectKey) -> Result<bool, PortError>;
}

/// Result of queueing a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queued {
    /// Queued, under this event id.
    Waiting(i64),
    /// The caller's idempotency key is that of another queued request.
    KeyReused,
    /// The queue is full.
    Full,
}

/// A queued ticket request. The ownership of the order that it names was checked before.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QueuedTicket {
    pub fingerprint: Fingerprint,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<IdempotencyKey>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agent: Option<AgentId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<ConversationId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    context_id: Option<String>,
    pub customer: CustomerId,
    linked: Vec<CustomerId>,
    level: Level,
    email: Option<Email>,
    email_verified: bool,
    name: Option<String>,
    /// Absent in requests from before there were one-time codes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    email_by_code: Option<Email>,
    request: TicketRequest,
}

impl QueuedTicket {
    fn new(call: &Call, customer: &Customer, request: &TicketRequest) -> Self {
        Self {
            fingerprint: call.fingerprint,
            key: call.idempotency_key.clone(),
            agent: call.caller.agent.clone(),
            conversation: call.caller.conversation.clone(),
            context_id: call.caller.context_id.clone(),
            customer: customer.id.clone(),
            linked: customer.linked.clone(),
            level: customer.level,
            email: customer.email.clone(),
            email_verified: customer.email_verified,
            name: customer.name.clone(),
            email_by_code: customer.email_by_code.clone(),
            request: request.clone(),
        }
    }

    /// The call that made the request.
    fn call(&self) -> Call {
        Call {
            caller: Caller {
                subject: Subject::Customer(Customer {
                    id: self.customer.clone(),
                    linked: self.linked.clone(),
                    level: self.level,
                    email: self.email.clone(),
                    email_verified: self.email_verified,
                    name: self.name.clone(),
                    // Agents do not act for visitors with a typed address.
                    language: None,
                    typed: false,
                    email_by_code: self.email_by_code.clone(),
                }),
                agent: self.agent.clone(),
                conversation: self.conversation.clone(),
                code_conversation: None,
                context_id: self.context_id.clone(),
                origin: None,
                issued_at: None,
            },
            tool: TOOL,
            fingerprint: self.fingerprint,
            idempotency_key: self.key.clone(),
            repeat_window: Some(CLAIM_KEPT),
        }
    }

    /// The effect key, equal to that of the call.
    pub fn effect_key(&self) -> EffectKey {
        EffectKey::of(&self.call(), &self.customer)
    }
}

impl Desk {
    /// Submits a queued request.
    pub async fn submit_queued(&self, waiting: &QueuedTicket) -> Result<TicketOutcome, DeskError> {
        self.submit_request(&waiting.call(), &waiting.request).await
    }

    /// Queues a request that failed because the helpdesk is unavailable; other errors are returned.
    ///
    /// An effect that may exist is settled later under its effect id, whose claim is kept until then.
    pub(super) async fn accept(
        &self,
        call: &Call,
        request: &TicketRequest,
        error: DeskError,
    ) -> Result<TicketOutcome, DeskError> {
        let Some(requests) = self.requests.as_ref().filter(|_| self.options.accept_tickets) else { return Err(error) };
        let customer = customer(&call.caller)?;
        let waiting = QueuedTicket::new(call, customer, request);
        // An effect that cannot be settled: operators are alerted to search for it.
        let settles = !matches!(error, DeskError::InDoubt { can_settle: false, .. });
        if !is_away(&error) {
            let in_doubt = matches!(error, DeskError::InDoubt { .. });
            return match in_doubt && settles && requests.is_queued(&waiting.effect_key()).await? {
                true => Ok(TicketOutcome::Accepted),
                false => Err(error),
            };
        }
        let event = match requests.enqueue(&waiting).await {
            Ok(Queued::Waiting(event)) => event,
            Ok(Queued::KeyReused) => {
                self.note(call, Decision::new(Verdict::KeyReused)).await?;
                return Err(DeskError::KeyReused);
            }
            Ok(Queued::Full) => return Err(error),
            Err(failed) => {
                tracing::error!(error = causes(&failed), "failed to queue a ticket request");
                return Err(error);
            }
        };
        if !settles {
            return Err(error);
        }
        tracing::warn!(event, error = causes(&error), "the helpdesk is unavailable; a ticket request was queued");
        self.note(call, Decision::new(Verdict::Allowed).on("event", event).effect(Effect::Accepted)).await?;
        Ok(TicketOutcome::Accepted)
    }
}

/// Whether the helpdesk is unavailable, rather than the request wrong.
fn is_away(error: &DeskError) -> bool {
    let error = match error {
        DeskError::Port(error) => error,
        DeskError::InDoubt { source: Some(error), .. } => error,
        _ => return false,
    };
    use PortErrorKind::{Denied, Forbidden, Misconfigured, NotDone, RateLimited, Unavailable, Unexpected};
    error.system == System::Helpdesk
        && matches!(
            error.kind,
            Unavailable { .. } | Unexpected | NotDone { .. } | RateLimited { .. } | Denied | Forbidden | Misconfigured
        )
}
