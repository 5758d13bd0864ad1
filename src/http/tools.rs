//! The tools by plain HTTP, beside MCP: `POST /tools/{name}`, `GET /tools`, `GET /openapi.json`. The calls run as those
//! of /mcp do.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    Json,
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use futures::future::BoxFuture;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tower::Service;
use tracing::Instrument;

use super::{
    Options,
    auth::AgentAuth,
    rebinding::Rebinding,
    responses::{ErrorForm, Rejection},
    tool_call,
};
use crate::{
    identity::{
        Evidence, Mode, STAFF_REASON_HEADER, StaffReason,
        agents::{Agent, Challenge, Reason},
    },
    limits::{BodyReader, Gate, Pass, is_json},
    telemetry::traces::RequestSpan,
    tools::{About, Calls, Incoming, OpenApiVersion, Spec, UnknownVersion, openapi, server_of},
};

/// What the tools by plain HTTP need.
pub struct PlainTools {
    pub calls: Arc<Calls>,
    /// Allowed `Host` values, besides those of loopback.
    pub allowed_hosts: Vec<String>,
    /// The URL of the MCP endpoint as agents reach it, where it is configured.
    pub resource: Option<String>,
    /// Cancels what has not finished in time at shutdown.
    pub kill: CancellationToken,
}

/// Whether the address belongs to this endpoint.
pub(super) fn is_here(path: &str) -> bool {
    path == "/tools" || path.starts_with("/tools/") || matches!(path, "/openapi.json" | "/openapi.json/")
}

/// The endpoint, as a tower service.
#[derive(Clone)]
pub(super) struct Endpoint(Arc<Shared>);

struct Shared {
    tools: PlainTools,
    rebinding: Rebinding,
    bodies: BodyReader,
    challenge: Challenge,
    gate: Gate,
    authenticated: bool,
    /// Of this listener.
    scheme: &'static str,
}

impl Endpoint {
    pub(super) fn new(tools: PlainTools, auth: &AgentAuth, gate: Gate, options: &Options) -> Self {
        Self(Arc::new(Shared {
            rebinding: Rebinding::new(&tools.allowed_hosts, &options.allowed_origins),
            bodies: auth.bodies.clone(),
            challenge: auth.challenge.clone(),
            authenticated: auth.agents.is_some(),
            scheme: if options.tls.is_some() { "https" } else { "http" },
            gate,
            tools,
        }))
    }
}

impl Service<Request> for Endpoint {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let shared = self.0.clone();
        Box::pin(async move { Ok(shared.answer(request).await) })
    }
}

impl Shared {
    async fn answer(&self, request: Request) -> Response {
        let (mut parts, body) = request.into_parts();
        let expects = parts.headers.contains_key(header::EXPECT);
        let mut body = Some(body);
        match self.route(&mut parts, &mut body).await {
            Ok(response) => response,
            Err(rejection) => rejection.after(ErrorForm::Problem, &self.bodies, expects, body).await,
        }
    }

    /// Answers the request, or rejects it. `body` is taken where it is read.
    async fn route(&self, parts: &mut Parts, body: &mut Option<Body>) -> Result<Response, Rejection> {
        self.rebinding.check(&parts.uri, &parts.headers).map_err(|refused| {
            let rejection = Rejection::new(refused.status, refused.why);
            match refused.setting {
                Some(setting) => rejection.with_next(format!("The operator of this server can allow it in {setting}.")),
                None => rejection,
            }
        })?;
        let evidence = parts.extensions.remove::<Evidence>().unwrap_or_default();
        let agent = evidence.agent.clone();
        match parts.uri.path().trim_matches('/') {
            "tools" => {
                let _pass = self.enter_to_read(&parts.method)?;
                let tools: Vec<Value> =
                    self.tools.calls.offered(agent.as_deref()).iter().map(|spec| spec.to_json()).collect();
                Ok(listed(json!({ "tools": tools })))
            }
            "openapi.json" => {
                let _pass = self.enter_to_read(&parts.method)?;
                Ok(listed(self.described(parts, agent.as_deref())?))
            }
            path => {
                let name = path.strip_prefix("tools/").unwrap_or(path);
                self.call(name, parts, evidence, body).await
            }
        }
    }

    fn enter_to_read(&self, method: &Method) -> Result<Pass, Rejection> {
        match *method {
            Method::GET | Method::HEAD => self.enter(),
            _ => Err(only("GET, HEAD")),
        }
    }

    fn enter(&self) -> Result<Pass, Rejection> {
        self.gate.enter().map_err(|wait| {
            let why = "too many requests are being processed";
            Rejection::new(StatusCode::SERVICE_UNAVAILABLE, why).again_in(wait.seconds())
        })
    }

    /// The OpenAPI description that the query asks for.
    fn described(&self, parts: &Parts, agent: Option<&Agent>) -> Result<Value, Rejection> {
        let malformed = |why: String| Rejection::new(StatusCode::BAD_REQUEST, why);
        let (mut version, mut only) = (OpenApiVersion::default(), None);
        for member in parts.uri.query().unwrap_or_default().split('&').filter(|member| !member.is_empty()) {
            let (name, value) = member.split_once('=').unwrap_or((member, ""));
            let value = percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned();
            match name {
                "version" => {
                    version = value.parse().map_err(|unknown: UnknownVersion| malformed(unknown.to_string()))?
                }
                "tool" => only = Some(value),
                _ => return Err(malformed("the query may hold version and tool only".to_owned())),
            }
        }
        let specs = self.tools.calls.offered(agent);
        if let Some(only) = &only
            && specs.iter().all(|spec| spec.name != only)
        {
            let known: Vec<&str> = specs.iter().map(|spec| spec.name).collect();
            let next = format!("The tools that this token may call are {}.", known.join(", "));
            return Err(unknown_tool("there is no tool of this name for the agent").with_next(next));
        }
        let identity = &self.tools.calls.identity;
        let about = About {
            version,
            server: self.server(parts),
            authenticated: self.authenticated,
            context_header: (identity.mode() == Mode::Context)
                .then(|| identity.context_header(agent.map(|agent| &agent.id)).to_owned()),
        };
        let asked = specs.iter().filter(|spec| only.as_ref().is_none_or(|only| spec.name == only));
        Ok(openapi(asked.map(AsRef::as_ref), &about))
    }

    /// The URL in front of `/tools`: from the configuration, or as the client reached it.
    fn server(&self, parts: &Parts) -> String {
        if let Some(resource) = &self.tools.resource {
            return server_of(resource).to_owned();
        }
        let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let host = host.or(parts.uri.authority().map(|authority| authority.as_str())).unwrap_or("localhost");
        format!("{}://{host}", self.scheme)
    }

    async fn call(
        &self,
        name: &str,
        parts: &Parts,
        mut evidence: Evidence,
        body: &mut Option<Body>,
    ) -> Result<Response, Rejection> {
        let calls = &self.tools.calls;
        let spec = calls.find(name).map_err(|unknown| {
            unknown_tool("there is no tool of this name").with_next(format!("The tools are {}.", unknown.known))
        })?;
        if parts.method != Method::POST {
            return Err(only("POST").with_next("POST the arguments as JSON. GET /openapi.json describes them."));
        }
        if parts.headers.contains_key(header::CONTENT_ENCODING) {
            return Err(Rejection::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "encoded bodies are not accepted"));
        }
        let idempotency_key = tool_call::idempotency_key(&parts.headers)?;
        let bytes = self.bodies.read(body.take().unwrap_or_default()).await;
        let bytes = bytes.map_err(|error| Rejection::new(error.status(), error.to_string()))?;
        let parent = RequestSpan::of(&parts.extensions);
        evidence.staff_reason = staff_reason(&parts.headers);
        let staff = evidence.staff_reason.is_some();
        if let Some(agent) = evidence.agent.clone()
            && let Some(rejection) = self.beyond_scopes(&agent, spec, staff).instrument(parent.clone()).await
        {
            return Err(rejection);
        }
        if !is_json(&parts.headers) && !bytes.is_empty() {
            return Err(Rejection::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "the Content-Type must be application/json",
            ));
        }
        let tool_call::Body { arguments, customer } = tool_call::Body::read(&bytes)?;
        evidence.customer_member = customer;
        // Only now: a slowly sent body must not occupy capacity.
        let _pass = self.enter()?;
        let incoming = Incoming { arguments, idempotency_key, evidence, traceparent: None, parent };
        let outcome = calls.run(spec, incoming, self.tools.kill.cancelled()).await;
        Ok(tool_call::answer(outcome, tool_call::prefers_status(&parts.headers)))
    }

    /// Rejects a call beyond the token's scopes.
    async fn beyond_scopes(&self, agent: &Agent, spec: &Spec, staff: bool) -> Option<Rejection> {
        let needed = self.tools.calls.missing_scope(Some(agent), spec.name, staff)?;
        tracing::warn!(agent = %agent.id, tool = spec.name, needed = needed.as_str(), "the agent's token lacks a scope");
        self.tools.calls.note_scope_refused(agent, spec.name).await;
        let rejection = Rejection::new(StatusCode::FORBIDDEN, format!("the access token needs the scope {needed}"))
            .with_code("insufficient_scope")
            .with_next("Get a token with this scope from the operator or the authorization server.");
        let challenge = self.challenge.header(Reason::InsufficientScope { granted: agent.scopes, needed });
        Some(match HeaderValue::try_from(challenge) {
            Ok(challenge) => rejection.with_header(header::WWW_AUTHENTICATE, challenge),
            Err(_) => rejection,
        })
    }
}

/// Why a member of staff asks, if one does.
fn staff_reason(headers: &HeaderMap) -> Option<StaffReason> {
    let mut values = headers.get_all(STAFF_REASON_HEADER).iter();
    let reason = values.next()?;
    Some(match (str::from_utf8(reason.as_bytes()), values.next()) {
        (Ok(reason), None) => StaffReason::Text(reason.to_owned()),
        _ => StaffReason::Malformed,
    })
}

/// Depends on the token.
fn listed(document: Value) -> Response {
    let no_store: [(HeaderName, &str); 1] = [(header::CACHE_CONTROL, "no-store")];
    (no_store, Json(document)).into_response()
}

fn only(methods: &'static str) -> Rejection {
    let rejection = Rejection::new(StatusCode::METHOD_NOT_ALLOWED, format!("the methods here are {methods}"));
    rejection.with_header(header::ALLOW, HeaderValue::from_static(methods))
}

fn unknown_tool(why: &str) -> Rejection {
    Rejection::new(StatusCode::NOT_FOUND, why).with_code("unknown_tool")
}
