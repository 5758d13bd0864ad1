//! One tool call, by whichever transport it came: resolves the customer, enforces the deadline, and handles panics and
//! disconnected clients.

use std::{
    any::Any,
    borrow::Cow,
    future::Future,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::FutureExt;
use serde_json::{Map, Value};
use tokio_util::task::TaskTracker;
use tracing::{Instrument, Span};

use super::{
    carried_key::CarriedKey,
    error::{SHORT_WAIT_S, ToolError, in_words},
    refused::{Code, Refused},
    registry::{CallerSource, Registry, Request},
    step_up::NoCaller,
    tool::{Spec, ToolReply},
};
use crate::{
    desk::{Desk, Verdict},
    domain::{AgentId, Scope},
    identity::{Caller, Evidence, Identity, Remedy, agents::Agent},
    telemetry::{causes, metrics, traces},
};

/// What the model reads when the customer is unknown. The reason is in the log, for the integrator.
const SIGN_IN: &str = "The customer of this conversation could not be confirmed. Tell the customer that you cannot see \
    their data right now, and ask them to sign in again.";
const INTEGRATION: &str = "The customer of this conversation could not be confirmed because of a fault in how this \
    assistant is set up; signing in again does not help. Tell the customer that you cannot see their data right now, and \
    that the company has to look into it.";
const LATER: &str = "The customer of this conversation cannot be confirmed at the moment. Try again in a minute.";

/// Runs tool calls, for every transport.
#[derive(Clone)]
pub struct Calls {
    pub registry: Arc<Registry>,
    pub identity: Arc<Identity>,
    pub desk: Arc<Desk>,
    /// Writes that must finish even if their clients are gone.
    pub writes: TaskTracker,
}

/// A call, as a transport has read it.
#[derive(Debug)]
pub struct Incoming<'a> {
    pub arguments: Map<String, Value>,
    pub idempotency_key: CarriedKey,
    pub evidence: Evidence,
    /// W3C Trace Context of the message, which takes precedence over that of the request.
    pub traceparent: Option<&'a str>,
    /// The span of the request.
    pub parent: Span,
}

/// What became of a call.
pub type Outcome = Result<ToolReply, Refused>;

/// There is no tool of the name that a client sent.
#[derive(Debug, thiserror::Error)]
#[error("unknown tool; the tools are {known}")]
pub struct UnknownTool {
    pub known: String,
}

type Ended = Result<Result<ToolReply, ToolError>, Box<dyn Any + Send>>;

impl Calls {
    pub fn find(&self, tool: &str) -> Result<&Spec, UnknownTool> {
        self.registry.spec(tool).ok_or_else(|| {
            let known: Vec<&str> = self.registry.specs().map(|spec| spec.name).collect();
            UnknownTool { known: known.join(", ") }
        })
    }

    /// Runs a call to its end, until its deadline passes, or until `cancelled` resolves. A write goes on in the
    /// background.
    pub async fn run(&self, spec: &Spec, mut incoming: Incoming<'_>, cancelled: impl Future<Output = ()>) -> Outcome {
        let timed = Timed { tool: spec.name, started: Instant::now() };
        let agent = incoming.evidence.agent.as_ref().map(|agent| agent.id.clone());
        let caller = self.caller(spec, &mut incoming).await;
        let conversation = match &caller {
            Ok(CallerSource::Caller(caller)) => caller.conversation.as_ref().map(|id| id.as_str()),
            _ => None,
        };
        let span = tracing::error_span!(
            parent: &incoming.parent,
            "call",
            tool = spec.name,
            agent = agent.as_ref().map(|agent| agent.as_str()),
            conversation,
            otel.name = traces::if_traced(format_args!("tools/call {}", spec.name)),
            otel.kind = traces::if_traced("server"),
        );
        traces::join(&span, incoming.traceparent);
        // Boxed: wrapping it in a span would move the large future twice.
        let work = Box::pin(self.resolved(spec.name, incoming, caller, agent, cancelled));
        let outcome = work.instrument(span).await;
        drop(timed);
        outcome
    }

    /// Who the customer is, with what the conversation has proven by a one-time code.
    async fn caller(&self, spec: &Spec, incoming: &mut Incoming<'_>) -> Result<CallerSource, NoCaller> {
        self.identity.take_input(&mut incoming.evidence, &mut incoming.arguments);
        let typed = self.registry.take_verification(&mut incoming.arguments);
        let resolved = self.identity.resolve(&incoming.evidence).await;
        self.registry.step_up(spec, &incoming.evidence, typed, resolved, &mut incoming.arguments).await
    }

    async fn resolved(
        &self,
        tool: &'static str,
        incoming: Incoming<'_>,
        caller: Result<CallerSource, NoCaller>,
        agent: Option<AgentId>,
        cancelled: impl Future<Output = ()>,
    ) -> Outcome {
        let caller = match caller {
            Ok(caller) => caller,
            Err(NoCaller::Refused(refusal)) => {
                tracing::warn!(reason = %refusal, "customer context refused");
                let caller = Caller { origin: refusal.origin(agent.as_ref()), ..Caller::nobody(agent) };
                self.note_refused(tool, &caller, Verdict::IdentityRefused).await;
                let (code, sentence) = match refusal.remedy() {
                    Remedy::SignIn => (Code::NotConfirmed, SIGN_IN),
                    Remedy::Integrator => (Code::Integration, INTEGRATION),
                    Remedy::Later => (Code::Unavailable, LATER),
                };
                return Err(Refused::new(code, sentence));
            }
            Err(NoCaller::Told { verdict, error, caller }) => {
                self.note_refused(tool, &caller, verdict).await;
                return Err(error.into_refused());
            }
            Err(NoCaller::Failed(error)) => {
                tracing::error!(error = causes(&error), "failed to look up what a conversation has proven");
                self.note_refused(tool, &Caller::nobody(agent), Verdict::Failed).await;
                return Err(error.into_refused());
            }
        };
        let Incoming { arguments, idempotency_key, .. } = incoming;
        let request = Request { tool, arguments, idempotency_key, agent, caller };
        let deadline = self.registry.deadline(tool);
        let registry = self.registry.clone();
        let writes = registry.writes(tool);
        let call = AssertUnwindSafe(async move { registry.call(request).await }).catch_unwind();
        if writes {
            // This future is dropped when the client disconnects; a started write must still be recorded.
            let task = self.writes.spawn(call.in_current_span());
            let ended = async move { task.await.unwrap_or_else(|error| Err(Box::new(error))) };
            within(deadline, cancelled, ended, "Repeat the same call to learn its result; it is not done twice.").await
        } else {
            let next = format!("Try again in {}.", in_words(SHORT_WAIT_S));
            within(deadline, cancelled, call, &next).await
        }
    }

    /// The scope that the agent's token lacks for a tool, if any. None is missing where agents do not authenticate.
    /// `staff` says whether a member of staff gives a reason.
    pub fn missing_scope(&self, agent: Option<&Agent>, tool: &str, staff: bool) -> Option<Scope> {
        let (agent, spec) = (agent?, self.registry.spec(tool)?);
        let needed = spec.staff_scope.filter(|_| staff).unwrap_or(spec.scope);
        (!agent.scopes.allow(needed)).then_some(needed)
    }

    /// The tools that the agent's scopes allow, as they are for this agent; all where agents do not authenticate.
    pub fn offered(&self, agent: Option<&Agent>) -> Vec<Cow<'_, Spec>> {
        let takes_input = self.identity.takes_input(agent.map(|agent| &agent.id));
        let allowed = self.registry.specs().filter(|spec| self.missing_scope(agent, spec.name, false).is_none());
        let own = |spec| if takes_input { Cow::Owned(Spec::with_context_argument(spec)) } else { Cow::Borrowed(spec) };
        allowed.map(own).collect()
    }

    /// Audits a call beyond the token's scopes.
    pub async fn note_scope_refused(&self, agent: &Agent, tool: &str) {
        self.note_refused(tool, &Caller::nobody(Some(agent.id.clone())), Verdict::ScopeRefused).await;
    }

    async fn note_refused(&self, tool: &str, caller: &Caller, verdict: Verdict) {
        if let Err(error) = self.registry.note_refused(tool, caller, verdict).await {
            tracing::error!(error = causes(&error), "failed to record a refusal");
        }
    }
}

/// Records the duration of a call, however it ends.
struct Timed {
    tool: &'static str,
    started: Instant,
}

impl Drop for Timed {
    fn drop(&mut self) {
        metrics::tool_duration(self.tool, self.started.elapsed());
    }
}

/// Waits for the end until the deadline passes or the client cancels.
async fn within(
    deadline: Duration,
    cancelled: impl Future<Output = ()>,
    ended: impl Future<Output = Ended>,
    next: &str,
) -> Outcome {
    let ended = tokio::select! {
        // First: an outcome that is ready needs no timer.
        biased;
        ended = ended => ended,
        () = tokio::time::sleep(deadline) => {
            tracing::warn!(deadline_ms = deadline.as_millis() as u64, "tool call overran its deadline");
            let refused = Refused::new(Code::Timeout, format!("This takes longer than it should. {next}"));
            return Err(refused.again_in(SHORT_WAIT_S));
        }
        () = cancelled => return Err(Refused::new(Code::Cancelled, "The call was cancelled.")),
    };
    match ended {
        Ok(result) => result.map_err(ToolError::into_refused),
        // The panic hook has logged the location.
        Err(_) => {
            Err(Refused::new(Code::Failed, "The tool failed. Tell the customer that it could not be done right now."))
        }
    }
}
