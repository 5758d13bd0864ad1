//! One tool call: resolves the customer, enforces the deadline, and handles panics and disconnected clients.

use std::{
    any::Any,
    future::Future,
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

use futures::FutureExt;
use rmcp::{
    ErrorData, RoleServer,
    model::{CallToolRequestParams, CallToolResult, ContentBlock, Extensions, RequestMetaObject},
    service::{NotificationContext, RequestContext},
};

use tracing::{Instrument, Span};

use super::Services;
use crate::{
    desk::Verdict,
    domain::AgentId,
    identity::{
        CONTEXT_META, Caller, Carried, Evidence, Refusal, Resolved, STAFF_REASON_META, StaffReason, VERIFICATION_META,
    },
    telemetry::{causes, metrics, traces, traces::RequestSpan},
    tools::{CallerSource, Request, ToolError, ToolReply},
};

/// `_meta` member with the caller's idempotency key.
const IDEMPOTENCY_META: &str = "io.frontdesk/idempotency-key";

/// `_meta` member with W3C Trace Context.
const TRACEPARENT_META: &str = "traceparent";

/// What the model reads when the customer is unknown. The reason is in the log, for the integrator.
const IDENTITY_SENTENCE: &str = "The customer of this conversation could not be confirmed. Tell the customer that you \
    cannot see their data right now, and ask them to sign in again.";

type Outcome = Result<Result<ToolReply, ToolError>, Box<dyn Any + Send>>;

pub(super) async fn run(
    services: &Services,
    request: CallToolRequestParams,
    context: RequestContext<RoleServer>,
) -> Result<CallToolResult, ErrorData> {
    let Some(spec) = services.registry.spec(&request.name) else {
        let known: Vec<&str> = services.registry.specs().map(|spec| spec.name).collect();
        return Err(ErrorData::invalid_params(format!("unknown tool; the tools are {}", known.join(", ")), None));
    };
    let timed = Timed { tool: spec.name, started: Instant::now() };
    let evidence = evidence(&context);
    let agent = evidence.agent.as_ref().map(|agent| agent.id.clone());
    let caller = services.identity.resolve(&evidence).map(|resolved| match resolved {
        Resolved::Caller(caller) => CallerSource::Caller(caller),
        Resolved::FromArgument => CallerSource::Argument,
    });
    let conversation = match &caller {
        Ok(CallerSource::Caller(caller)) => caller.conversation.as_ref().map(|id| id.as_str()),
        _ => None,
    };
    let span = tracing::error_span!(
        parent: &request_span(&context),
        "call",
        tool = spec.name,
        agent = agent.as_ref().map(|agent| agent.as_str()),
        conversation,
        otel.name = traces::if_traced(format_args!("tools/call {}", spec.name)),
        otel.kind = traces::if_traced("server"),
    );
    // The message's trace context takes precedence over that of the HTTP request.
    traces::join(&span, context.meta.get(TRACEPARENT_META).and_then(serde_json::Value::as_str));
    // Boxed: wrapping it in a span would move the large future twice.
    let work = Box::pin(resolved(services, request, context, caller, agent, spec.name));
    let result = work.instrument(span).await;
    drop(timed);
    Ok(result)
}

/// Runs a call of a known tool.
async fn resolved(
    services: &Services,
    request: CallToolRequestParams,
    context: RequestContext<RoleServer>,
    caller: Result<CallerSource, Refusal>,
    agent: Option<AgentId>,
    tool: &'static str,
) -> CallToolResult {
    let caller = match caller {
        Ok(caller) => caller,
        Err(refusal) => {
            tracing::warn!(reason = %refusal, "customer context refused");
            if let Err(error) = services.registry.note_refused(&request.name, agent, Verdict::IdentityRefused).await {
                tracing::error!(error = causes(&error), "failed to record a refusal");
            }
            return refused(IDENTITY_SENTENCE);
        }
    };
    let request = Request {
        tool: request.name.into_owned(),
        arguments: request.arguments.unwrap_or_default(),
        idempotency_key: context.meta.get(IDEMPOTENCY_META).cloned(),
        agent,
        caller,
    };
    let deadline = services.registry.deadline(tool);
    let writes = services.registry.writes(&request.tool);
    let registry = services.registry.clone();
    let call = AssertUnwindSafe(async move { registry.call(request).await }).catch_unwind();
    if writes {
        // This future is dropped when the client disconnects; a started write must still be recorded.
        let task = services.shutdown.writes.spawn(call.in_current_span());
        let outcome = async move { task.await.unwrap_or_else(|error| Err(Box::new(error))) };
        within(deadline, &context, outcome, "Repeat the same call to learn its result; it is not done twice.").await
    } else {
        within(deadline, &context, call, "Try again in a minute.").await
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

/// Waits for the outcome until the deadline passes or the client cancels.
async fn within(
    deadline: Duration,
    context: &RequestContext<RoleServer>,
    outcome: impl Future<Output = Outcome>,
    next: &str,
) -> CallToolResult {
    let outcome = tokio::select! {
        // First: an outcome that is ready needs no timer.
        biased;
        outcome = outcome => outcome,
        () = tokio::time::sleep(deadline) => {
            tracing::warn!(deadline_ms = deadline.as_millis() as u64, "tool call overran its deadline");
            return refused(&format!("This takes longer than it should. {next}"));
        }
        () = context.ct.cancelled() => return refused("The call was cancelled."),
    };
    match outcome {
        Ok(Ok(reply)) => {
            let mut result = CallToolResult::success(vec![ContentBlock::text(reply.text)]);
            result.structured_content = Some(reply.structured);
            result
        }
        Ok(Err(error)) => refused(&error.sentence()),
        // The panic hook has logged the location.
        Err(_) => refused("The tool failed. Tell the customer that it could not be done right now."),
    }
}

/// Text only: clients validate structured content against the output schema even on errors.
fn refused(sentence: &str) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(sentence)])
}

/// The span of the HTTP request; none over stdio.
pub(super) fn request_span(context: &RequestContext<RoleServer>) -> Span {
    let request = context.extensions.get::<http::request::Parts>();
    request.map_or_else(Span::none, |request| RequestSpan::of(&request.extensions))
}

/// The caller that the evidence of a request names, for what everybody may read and some may read more of. One that
/// cannot be confirmed counts as nobody.
pub(super) fn reader(services: &Services, context: &RequestContext<RoleServer>) -> Option<Box<Caller>> {
    reader_of(services, &evidence(context))
}

/// The same for a notification, which has no `_meta` of ours.
pub(super) fn notifying_reader(services: &Services, context: &NotificationContext<RoleServer>) -> Option<Box<Caller>> {
    reader_of(services, &of_http(&context.extensions))
}

fn reader_of(services: &Services, evidence: &Evidence) -> Option<Box<Caller>> {
    match services.identity.resolve(evidence) {
        Ok(Resolved::Caller(caller)) => Some(caller),
        Ok(Resolved::FromArgument) | Err(Refusal::Absent | Refusal::NotSignedIn) => None,
        Err(refusal) => {
            tracing::warn!(reason = %refusal, "customer context refused; only public articles are shown");
            None
        }
    }
}

fn of_http(extensions: &Extensions) -> Evidence {
    let evidence = extensions.get::<http::request::Parts>().and_then(|parts| parts.extensions.get::<Evidence>());
    evidence.cloned().unwrap_or_default()
}

/// The evidence of the transport and of `_meta`.
fn evidence(context: &RequestContext<RoleServer>) -> Evidence {
    let mut evidence = of_http(&context.extensions);
    let meta: &RequestMetaObject = &context.meta;
    evidence.context_meta = meta.get(CONTEXT_META).map(Carried::of);
    evidence.verifications.extend(meta.get(VERIFICATION_META).map(Carried::of));
    evidence.staff_reason = meta.get(STAFF_REASON_META).map(|reason| match reason {
        serde_json::Value::String(reason) => StaffReason::Text(reason.clone()),
        _ => StaffReason::Malformed,
    });
    evidence
}
