//! Scope checks. Over HTTP a call beyond the token's scopes is answered 403 before rmcp sees it; the handler checks
//! again, for messages that the guard cannot parse.

use std::{future::Future, sync::Arc};

use http::{HeaderValue, StatusCode, header, request};
use rmcp::ErrorData;
use tracing::Instrument;

use super::{
    Services,
    envelope::{Answer, Envelope, refuse},
};
use crate::{
    domain::Scope,
    identity::{
        Evidence,
        agents::{Agent, Challenge, Reason},
    },
    telemetry::traces::RequestSpan,
    tools::Calls,
};

/// The scope that the agent's token lacks for a method, if any.
fn missing(calls: &Calls, agent: &Agent, method: &str, name: Option<&str>, staff: bool) -> Option<Scope> {
    match method {
        "tools/call" => calls.missing_scope(Some(agent), name?, staff),
        "resources/list" | "resources/read" | "resources/templates/list" => missing_for_articles(Some(agent)),
        _ => None,
    }
}

fn missing_for_articles(agent: Option<&Agent>) -> Option<Scope> {
    let needed = Scope::ArticlesRead;
    agent.is_some_and(|agent| !agent.scopes.allow(needed)).then_some(needed)
}

/// Admits a message, or answers it with 403 and a challenge that names all scopes to request.
pub(super) async fn check(
    services: &Services,
    challenge: &Challenge,
    request: &request::Parts,
    envelope: &Envelope,
) -> Result<(), Box<Answer>> {
    let Some(agent) = request.extensions.get::<Evidence>().and_then(|evidence| evidence.agent.as_deref()) else {
        return Ok(());
    };
    let (Some(method), name) = (envelope.method.as_deref(), envelope.name()) else { return Ok(()) };
    let Some(needed) = missing(&services.calls, agent, method, name, envelope.is_of_staff()) else { return Ok(()) };
    let refusing = refuse_message(services, challenge, agent, envelope, needed);
    Err(refusing.instrument(RequestSpan::of(&request.extensions)).await)
}

async fn refuse_message(
    services: &Services,
    challenge: &Challenge,
    agent: &Agent,
    envelope: &Envelope,
    needed: Scope,
) -> Box<Answer> {
    let (method, name) = (envelope.method.as_deref().unwrap_or_default(), envelope.name());
    tracing::warn!(agent = %agent.id, method, needed = needed.as_str(), "the agent's token lacks a scope");
    if let Some(tool) = name.filter(|_| method == "tools/call") {
        services.calls.note_scope_refused(agent, tool).await;
    }
    let why = format!("the access token needs the scope {needed}");
    let mut answer = refuse(StatusCode::FORBIDDEN, envelope.id(), rmcp::model::ErrorCode::INVALID_REQUEST, &why);
    let header = challenge.header(Reason::InsufficientScope { granted: agent.scopes, needed });
    if let Ok(value) = HeaderValue::try_from(header) {
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, value);
    }
    answer
}

/// The same check for a message that the guard could not parse: a future that records the refusal and gives the error.
pub(super) fn refuse_call<'a>(
    services: &'a Services,
    agent: Option<Arc<Agent>>,
    tool: &'a str,
) -> Option<impl Future<Output = ErrorData> + use<'a>> {
    let missing = services.calls.missing_scope(agent.as_deref(), tool, false)?;
    Some(async move {
        if let Some(agent) = agent {
            services.calls.note_scope_refused(&agent, tool).await;
        }
        insufficient(missing)
    })
}

pub(super) fn check_articles(agent: Option<&Agent>) -> Result<(), ErrorData> {
    missing_for_articles(agent).map_or(Ok(()), |missing| Err(insufficient(missing)))
}

fn insufficient(missing: Scope) -> ErrorData {
    ErrorData::invalid_request(format!("the access token needs the scope {missing}"), None)
}
