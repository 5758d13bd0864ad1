//! Dispatch of http.listen: /mcp and /tools go directly to their endpoints, since most requests are calls, and all else
//! to a router.

use std::{
    convert::Infallible,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use axum::{
    Router,
    extract::Request,
    http::{HeaderValue, Method, header, request::Parts},
    response::{IntoResponse, Response},
};
use futures::future::BoxFuture;
use tower::{Layer, Service, ServiceExt};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use super::{
    Options,
    auth::AgentAuth,
    layers::{self, Observed},
    responses::ErrorForm,
    tool_call::PREFERENCE_APPLIED,
    tools,
};
use crate::{domain::is_loopback_origin, telemetry::traces::RequestSpan};

/// The service of one listener. Clones share it; [`HttpService::replace`] takes effect for all connections with the
/// next request.
#[derive(Clone)]
pub struct HttpService(Arc<RwLock<Served>>);

#[derive(Clone)]
struct Served {
    agents: Option<Agents>,
    rest: Router,
}

/// The endpoints for agents.
#[derive(Clone)]
struct Agents {
    mcp: Endpoint,
    tools: Endpoint,
}

type Endpoint = Arc<dyn Fn(Request) -> BoxFuture<'static, Response> + Send + Sync>;

impl From<Router> for HttpService {
    fn from(rest: Router) -> Self {
        Self(Arc::new(RwLock::new(Served { agents: None, rest })))
    }
}

impl HttpService {
    pub(super) fn with_agents(self, mcp: Endpoint, tools: Endpoint) -> Self {
        self.0.write().unwrap_or_else(PoisonError::into_inner).agents = Some(Agents { mcp, tools });
        self
    }

    /// Serves what `other` serves, from the next request on.
    pub fn replace(&self, other: &Self) {
        let other = other.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = other;
    }

    pub(super) fn answer(&self, request: Request) -> BoxFuture<'static, Response> {
        let served = self.0.read().unwrap_or_else(PoisonError::into_inner);
        match (&served.agents, request.uri().path()) {
            // Many people and some clients write a trailing slash.
            (Some(agents), "/mcp" | "/mcp/") => (agents.mcp)(request),
            (Some(agents), path) if tools::is_here(path) => (agents.tools)(request),
            _ => {
                let rest = served.rest.clone();
                Box::pin(async move { rest.oneshot(request).await.into_response() })
            }
        }
    }
}

/// An endpoint for agents behind authentication, request ids and CORS. Its errors have the form `form`.
pub(super) fn guarded<S, R>(endpoint: S, auth: Arc<AgentAuth>, form: ErrorForm, options: &Options) -> Endpoint
where
    S: Service<Request, Response = R, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    R: IntoResponse + 'static,
{
    let guarded = move |request: Request| {
        let (auth, endpoint) = (auth.clone(), endpoint.clone());
        let span = RequestSpan::of(request.extensions());
        async move { auth.handle(request, &span, form, |request| endpoint.oneshot(request)).await }
    };
    let direct = guarded.clone();
    let in_browsers = cors(options).layer(tower::service_fn(move |request| {
        let answer = guarded(request);
        async move { Ok::<_, Infallible>(answer.await) }
    }));
    Arc::new(move |mut request| {
        let observed = Observed::begin(&request);
        request.extensions_mut().insert(RequestSpan(observed.span.clone()));
        match is_of_browser(&request) {
            true => {
                let answer = in_browsers.clone().oneshot(request);
                Box::pin(async move { observed.end(answer.await.into_response()) })
            }
            false => {
                let answer = direct(request);
                Box::pin(async move { observed.end(answer.await) })
            }
        }
    })
}

fn is_of_browser(request: &Request) -> bool {
    request.method() == Method::OPTIONS || request.headers().contains_key(header::ORIGIN)
}

/// CORS for pages of the allowed origins, as the MCP Inspector needs it. It only informs the browser: the endpoint
/// checks the origin itself.
fn cors(options: &Options) -> CorsLayer {
    let allowed: Vec<String> = options.allowed_origins.iter().map(|origin| without_default_port(origin)).collect();
    let allow = move |origin: &HeaderValue, _: &Parts| {
        let origin = origin.to_str().unwrap_or_default();
        is_loopback_origin(origin) || allowed.iter().any(|allowed| *allowed == without_default_port(origin))
    };
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(allow))
        .allow_methods([Method::POST, Method::GET, Method::DELETE])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([header::WWW_AUTHENTICATE, header::RETRY_AFTER, layers::REQUEST_ID, PREFERENCE_APPLIED])
        .max_age(Duration::from_secs(600))
}

/// Removes the default port, which browsers omit from an origin.
fn without_default_port(origin: &str) -> String {
    let port = if origin.starts_with("https://") { ":443" } else { ":80" };
    origin.strip_suffix(port).unwrap_or(origin).to_owned()
}
