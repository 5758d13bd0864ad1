//! One tool call: whose it is, how long it may take, and what becomes of a panic or a caller that hangs up.

use std::{any::Any, future::Future, panic::AssertUnwindSafe};

use futures::FutureExt;
use rmcp::{
    ErrorData, RoleServer,
    model::{CallToolRequestParams, CallToolResult, ContentBlock, RequestMetaObject},
    service::RequestContext,
};

use super::Parts;
use crate::{
    domain::Secret,
    identity::{CONTEXT_META, Evidence, Resolved},
    tools::{Reply, Request, ToolError, Who},
};

/// The member of `_meta` that carries a caller's own idempotency key.
const IDEMPOTENCY_META: &str = "io.frontdesk/idempotency-key";

/// What a model reads when the customer cannot be known. The reason is in the log, for the integrator.
const IDENTITY_SENTENCE: &str = "The customer of this conversation could not be confirmed. Tell the customer that you \
    cannot see their data right now, and ask them to sign in again.";

type Outcome = Result<Result<Reply, ToolError>, Box<dyn Any + Send>>;

pub(super) async fn run(
    parts: &Parts,
    request: CallToolRequestParams,
    context: RequestContext<RoleServer>,
) -> Result<CallToolResult, ErrorData> {
    if !parts.registry.specs().any(|spec| spec.name == request.name) {
        let known: Vec<&str> = parts.registry.specs().map(|spec| spec.name).collect();
        return Err(ErrorData::invalid_params(format!("unknown tool; the tools are {}", known.join(", ")), None));
    }
    let who = match parts.identity.resolve(&evidence(&context)) {
        Ok(Resolved::Caller(caller)) => Who::Caller(caller),
        Ok(Resolved::FromArgument) => Who::Argument,
        Err(refusal) => {
            tracing::warn!(tool = %request.name, reason = %refusal, "customer context refused");
            if let Err(error) = parts.registry.note_identity_refused(&request.name).await {
                tracing::error!(error = &error as &dyn std::error::Error, "failed to record a refusal");
            }
            return Ok(refused(IDENTITY_SENTENCE));
        }
    };
    let request = Request {
        tool: request.name.into_owned(),
        arguments: request.arguments.unwrap_or_default(),
        idempotency_key: context.meta.get(IDEMPOTENCY_META).cloned(),
        who,
    };
    let writes = parts.registry.writes(&request.tool);
    let registry = parts.registry.clone();
    let call = AssertUnwindSafe(async move { registry.call(request).await }).catch_unwind();
    if writes {
        // Our own future is dropped when nobody waits any more; a write that has begun must still be put on record.
        let task = parts.shutdown.writes.spawn(call);
        let outcome = async move { task.await.unwrap_or_else(|error| Err(Box::new(error))) };
        Ok(within(parts, &context, outcome, "Repeat the same call to learn its result; it is not done twice.").await)
    } else {
        Ok(within(parts, &context, call, "Try again in a minute.").await)
    }
}

/// Waits for the outcome, but not longer than the deadline, and not when the client has gone.
async fn within(
    parts: &Parts,
    context: &RequestContext<RoleServer>,
    outcome: impl Future<Output = Outcome>,
    next: &str,
) -> CallToolResult {
    let outcome = tokio::select! {
        outcome = outcome => outcome,
        () = tokio::time::sleep(parts.registry.deadline()) => {
            tracing::warn!(deadline_ms = parts.registry.deadline().as_millis() as u64, "tool call overran its deadline");
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
        // The panic hook has logged the place.
        Err(_) => refused("The tool failed. Tell the customer that it could not be done right now."),
    }
}

/// Text alone: clients check structured content against the output schema even on errors.
fn refused(sentence: &str) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(sentence)])
}

/// What the transport collected, and what `_meta` holds.
fn evidence(context: &RequestContext<RoleServer>) -> Evidence {
    let of_http = context.extensions.get::<http::request::Parts>().and_then(|parts| parts.extensions.get::<Evidence>());
    let mut evidence = of_http.cloned().unwrap_or_default();
    let meta: &RequestMetaObject = &context.meta;
    match meta.get(CONTEXT_META) {
        None => {}
        Some(serde_json::Value::String(token)) => evidence.context_meta = Some(Secret::new(token.clone())),
        Some(_) => evidence.context_meta_malformed = true,
    }
    evidence
}
