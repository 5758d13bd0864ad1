//! Requests for tickets that come while the helpdesk is away: written down, and brought later, once.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{
    Call, Decision, Desk, DeskError, Effect, EffectKey, Fingerprint, IdempotencyKey, PortError, TicketOutcome,
    TicketRequest, Verdict, ports::customer,
};
use crate::{
    domain::{AgentId, ConversationId, Customer, CustomerId, Email, Level},
    identity::{Caller, Subject},
    telemetry::causes,
};

/// The tool whose requests they are: what it asks for again is the same request.
const TOOL: &str = "create_ticket";
/// An effect of a request that waits is recognised for as long as one of an event.
const CLAIM_KEPT: std::time::Duration = std::time::Duration::from_secs(400 * 24 * 60 * 60);

/// Where requests wait until the helpdesk is back.
#[async_trait]
pub trait TicketRequests: Send + Sync {
    /// Writes a request down, durably when it returns; one that waits already is there once.
    async fn take(&self, request: &WaitingTicket) -> Result<Taken, PortError>;

    /// Whether a request under this key waits.
    async fn waits(&self, effect_key: &EffectKey) -> Result<bool, PortError>;
}

/// What became of a request that was to be written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It waits, under this number.
    Waits(i64),
    /// The caller's own key is that of another request that waits.
    KeyReused,
    /// Too many events wait.
    Full,
}

/// A request for a ticket that was written down. Whose order it names was found out before.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WaitingTicket {
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
    request: TicketRequest,
}

impl WaitingTicket {
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
            request: request.clone(),
        }
    }

    /// The call that asked for it.
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
                    // An agent acts for nobody whose address is only typed.
                    typed: false,
                }),
                agent: self.agent.clone(),
                conversation: self.conversation.clone(),
                context_id: self.context_id.clone(),
            },
            tool: TOOL,
            fingerprint: self.fingerprint,
            idempotency_key: self.key.clone(),
            repeat_window: Some(CLAIM_KEPT),
        }
    }

    /// What the ledger knows its effect by: the same as that of the call.
    pub fn effect_key(&self) -> EffectKey {
        EffectKey::of(&self.call(), &self.customer)
    }
}

impl Desk {
    /// Brings a request that was written down.
    pub async fn bring_waiting(&self, waiting: &WaitingTicket) -> Result<TicketOutcome, DeskError> {
        self.bring_request(&waiting.call(), &waiting.request).await
    }

    /// Writes a request down that failed because the helpdesk is away; any other failure is returned as it is.
    ///
    /// What may have been done is settled later under the effect that it has, which does not lapse before.
    pub(super) async fn accept(
        &self,
        call: &Call,
        request: &TicketRequest,
        error: DeskError,
    ) -> Result<TicketOutcome, DeskError> {
        let Some(requests) = self.requests.as_ref().filter(|_| self.options.accept_tickets) else { return Err(error) };
        let customer = customer(&call.caller)?;
        let waiting = WaitingTicket::new(call, customer, request);
        // Nobody can find out whether it was done: people have to look, and are alerted of it.
        let settles = !matches!(error, DeskError::InDoubt { can_settle: false, .. });
        if !is_away(&error) {
            let in_doubt = matches!(error, DeskError::InDoubt { .. });
            return match in_doubt && settles && requests.waits(&waiting.effect_key()).await? {
                true => Ok(TicketOutcome::Accepted),
                false => Err(error),
            };
        }
        let event = match requests.take(&waiting).await {
            Ok(Taken::Waits(event)) => event,
            Ok(Taken::KeyReused) => {
                self.note(call, Decision::new(Verdict::KeyReused)).await?;
                return Err(DeskError::KeyReused);
            }
            Ok(Taken::Full) => return Err(error),
            Err(failed) => {
                tracing::error!(error = causes(&failed), "failed to write a request for a ticket down");
                return Err(error);
            }
        };
        if !settles {
            return Err(error);
        }
        tracing::warn!(event, error = causes(&error), "the helpdesk is away; a request for a ticket was written down");
        self.note(call, Decision::new(Verdict::Allowed).on("event", event).effect(Effect::Accepted)).await?;
        Ok(TicketOutcome::Accepted)
    }
}

/// Whether it is the helpdesk that does not work, and not the request that is wrong.
fn is_away(error: &DeskError) -> bool {
    let error = match error {
        DeskError::Port(error) => error,
        DeskError::InDoubt { source: Some(error), .. } => error,
        _ => return false,
    };
    error.system() == "helpdesk"
        && matches!(
            error,
            PortError::Unavailable { .. }
                | PortError::Unexpected { .. }
                | PortError::NotDone { .. }
                | PortError::RateLimited { .. }
                | PortError::Denied { .. }
                | PortError::Forbidden { .. }
                | PortError::Misconfigured { .. }
        )
}
