//! A tool call as MCP carries it, and who reads.

use rmcp::{
    ErrorData, RoleServer,
    model::{CallToolRequestParams, CallToolResult, ContentBlock, Extensions, RequestMetaObject},
    service::{NotificationContext, RequestContext},
};
use tracing::Span;

use super::Services;
use crate::{
    identity::{
        CONTEXT_META, Caller, Carried, Evidence, Refusal, Resolved, STAFF_REASON_META, StaffReason, VERIFICATION_META,
    },
    telemetry::traces::RequestSpan,
    tools::{CarriedKey, Incoming, UnknownTool},
};

/// `_meta` member with W3C Trace Context.
const TRACEPARENT_META: &str = "traceparent";

pub(super) async fn run(
    services: &Services,
    request: CallToolRequestParams,
    context: RequestContext<RoleServer>,
) -> Result<CallToolResult, ErrorData> {
    let unknown = |unknown: UnknownTool| ErrorData::invalid_params(unknown.to_string(), None);
    let spec = services.calls.find(&request.name).map_err(unknown)?;
    let incoming = Incoming {
        arguments: request.arguments.unwrap_or_default(),
        idempotency_key: idempotency_key(&context),
        evidence: evidence(&context),
        traceparent: context.meta.get(TRACEPARENT_META).and_then(serde_json::Value::as_str),
        parent: request_span(&context),
    };
    Ok(match services.calls.run(spec, incoming, context.ct.cancelled()).await {
        Ok(reply) => {
            let mut result = CallToolResult::success(vec![ContentBlock::text(reply.text)]);
            result.structured_content = Some(reply.structured);
            result
        }
        // Text only: clients validate structured content against the output schema even on errors.
        Err(refused) => CallToolResult::error(vec![ContentBlock::text(refused.sentence)]),
    })
}

fn idempotency_key(context: &RequestContext<RoleServer>) -> CarriedKey {
    let headers = context.extensions.get::<http::request::Parts>().map(|parts| &parts.headers);
    CarriedKey::of_message(headers, |name| context.meta.get(name))
}

/// The span of the HTTP request; none over stdio.
pub(super) fn request_span(context: &RequestContext<RoleServer>) -> Span {
    let request = context.extensions.get::<http::request::Parts>();
    request.map_or_else(Span::none, |request| RequestSpan::of(&request.extensions))
}

/// The caller that the evidence of a request names, for what everybody may read and some may read more of. One that
/// cannot be confirmed counts as nobody.
pub(super) async fn reader(services: &Services, context: &RequestContext<RoleServer>) -> Option<Box<Caller>> {
    reader_of(services, &evidence(context)).await
}

/// The same for a notification, which has no `_meta` of ours.
pub(super) async fn notifying_reader(
    services: &Services,
    context: &NotificationContext<RoleServer>,
) -> Option<Box<Caller>> {
    reader_of(services, &of_http(&context.extensions)).await
}

async fn reader_of(services: &Services, evidence: &Evidence) -> Option<Box<Caller>> {
    match services.calls.identity.resolve(evidence).await {
        Ok(Resolved::Caller(caller)) => Some(caller),
        Ok(Resolved::FromArgument) | Err(Refusal::Absent(_) | Refusal::NotSignedIn) => None,
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
    // Hosts send null for a slot that is not filled.
    let carried = |name| meta.get(name).filter(|value: &&serde_json::Value| !value.is_null()).map(Carried::of);
    evidence.context_meta = carried(CONTEXT_META);
    evidence.verifications.extend(carried(VERIFICATION_META));
    evidence.staff_reason = meta.get(STAFF_REASON_META).map(|reason| match reason {
        serde_json::Value::String(reason) => StaffReason::Text(reason.clone()),
        _ => StaffReason::Malformed,
    });
    evidence
}
