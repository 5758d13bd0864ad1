//! HTTP client of one upstream: authentication, deadline, retries, circuit breaker and limits around each request.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use tokio::{sync::Semaphore, time::timeout_at};
use tracing::Instrument;

use super::{
    BaseUrl, Limits,
    attempt::{self, Answer, CallError},
    auth::{Auth, Generation, Refusal, TokenError},
    breaker::Breaker,
    budget::Budget,
    plain::USER_AGENT,
    request::Request,
};
use crate::{
    domain::{Clock, retry_after},
    telemetry::{metrics, traces},
};

/// Shortest remaining time in which an attempt is still made.
const SENDING_MIN: Duration = Duration::from_millis(20);

/// One upstream. All its requests share a pool of connections.
pub struct Upstream {
    name: String,
    base: BaseUrl,
    auth: Auth,
    limits: Limits,
    http: reqwest::Client,
    places: Semaphore,
    health: Mutex<Health>,
    clock: Clock,
}

struct Health {
    breaker: Breaker,
    budget: Budget,
}

/// A reply with any status.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: StatusCode,
    /// The pause that the upstream asks for (`Retry-After`).
    pub retry_after: Option<Duration>,
    /// The wanted headers that it has, by their names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Bytes,
    /// Whether an earlier attempt of the same request may have been acted upon, whatever this reply says.
    pub in_doubt: bool,
    pub sent_with: SentWith,
}

/// The token that a request was sent with, and whether it had been renewed for that request.
#[derive(Debug, Clone, Copy, Default)]
pub struct SentWith {
    generation: Generation,
    renewed: bool,
}

/// Why there is no reply, and whether an attempt may have been acted upon.
#[derive(Debug, thiserror::Error)]
#[error("there is no usable reply")]
pub struct UpstreamError {
    #[source]
    pub error: CallError,
    pub in_doubt: bool,
}

impl Upstream {
    /// `name` is the label in metrics and traces.
    pub fn new(name: &str, base: BaseUrl, auth: Auth, limits: Limits, clock: Clock) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_millis(limits.connect_timeout_ms))
            .user_agent(USER_AGENT)
            .build()?;
        let breaker = Breaker::new(limits.breaker_failures, Duration::from_millis(limits.breaker_open_ms));
        Ok(Self {
            name: name.to_owned(),
            places: Semaphore::new(limits.concurrent_max),
            health: Mutex::new(Health { breaker, budget: Budget::default() }),
            base,
            auth,
            limits,
            http,
            clock,
        })
    }

    pub fn base(&self) -> &BaseUrl {
        &self.base
    }

    pub fn auth(&self) -> &Auth {
        &self.auth
    }

    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Opens the breaker: processing its replies exceeds our limits.
    pub fn trip(&self) {
        self.health().breaker.trip(Instant::now());
    }

    /// Whether the breaker is open.
    pub fn is_open(&self) -> bool {
        self.closed_for().is_some()
    }

    /// The time for which the breaker stays open, if it is.
    pub fn closed_for(&self) -> Option<Duration> {
        self.health().breaker.closed_for(Instant::now())
    }

    /// Sends a request with retries and returns the last reply. `deadline` bounds all attempts and pauses together.
    ///
    /// A 401 gets one more attempt with a new token, if tokens are fetched. Retried are `repeatable` requests after
    /// transient failures, and any request that was certainly not acted upon (no connection, no token, 429).
    pub async fn call(&self, request: &Request, deadline: Instant) -> Result<Reply, UpstreamError> {
        self.health().budget.deposit();
        let (mut made, mut renewed) = (0, false);
        let mut in_doubt = false;
        loop {
            let outcome = self.attempt(request, deadline).await;
            if let Ok((answer, generation)) = &outcome
                && answer.status == StatusCode::UNAUTHORIZED
                && !renewed
                && self.auth.refused(*generation, Refusal::Expired)
            {
                renewed = true;
                continue;
            }
            made += 1;
            let (again, asked, unclear) = match &outcome {
                Ok((answer, _)) => {
                    let refused = answer.status == StatusCode::TOO_MANY_REQUESTS;
                    let again = refused || (request.repeatable && is_transient(answer.status));
                    (again, self.retry_after(answer), is_unclear(answer.status))
                }
                Err(error) => (may_repeat(error, request.repeatable), None, error.may_have_arrived()),
            };
            let remains = deadline.saturating_duration_since(Instant::now());
            let pause = self.limits.schedule().next_attempt(made, asked, remains, fastrand::f64());
            match pause.filter(|_| again && self.health().budget.withdraw()) {
                Some(pause) => {
                    in_doubt |= unclear;
                    tokio::time::sleep(pause).await;
                }
                None => {
                    metrics::upstream_call(&self.name, made - 1);
                    return match outcome {
                        Ok((answer, generation)) => Ok(Reply {
                            status: answer.status,
                            retry_after: self.retry_after(&answer),
                            headers: answer.headers,
                            body: answer.body,
                            in_doubt,
                            sent_with: SentWith { generation, renewed },
                        }),
                        Err(error) => Err(UpstreamError { in_doubt: in_doubt || unclear, error }),
                    };
                }
            }
        }
    }

    /// Drops the token that a reply refuses. Returns whether the request may be sent again with a new one: once at
    /// most, and never if a 401 has already had it renewed.
    pub fn renew(&self, sent_with: SentWith, refusal: Refusal) -> bool {
        !sent_with.renewed && self.auth.refused(sent_with.generation, refusal)
    }

    /// Reports that the new token was accepted after [`Refusal::Denied`].
    pub fn renewal_helped(&self) {
        self.auth.accepted_again();
    }

    fn retry_after(&self, answer: &Answer) -> Option<Duration> {
        answer.retry_after.as_deref().and_then(|header| retry_after(header, self.clock.now()))
    }

    async fn attempt(&self, request: &Request, deadline: Instant) -> Result<(Answer, Generation), CallError> {
        // `BaseUrl::join` guarantees this; checked again because a token goes along.
        if !self.base.contains(&request.url) {
            return Err(CallError::Outside);
        }
        let place = timeout_at(deadline.into(), self.places.acquire()).await;
        let Ok(Ok(_place)) = place else { return Err(CallError::Busy) };
        self.health().breaker.admit(Instant::now()).map_err(|wait| CallError::BreakerOpen { wait })?;
        let mut headers = request.headers.clone();
        headers.entry(header::ACCEPT).or_insert(HeaderValue::from_static("application/json"));
        let token = timeout_at(deadline.into(), self.auth.apply(&mut headers)).await;
        let generation = match token {
            Ok(applied) => applied.map_err(CallError::Token)?,
            Err(_) => return Err(CallError::Token(TokenError::Unreachable("it took too long"))),
        };
        let remains = deadline.saturating_duration_since(Instant::now());
        // Sent so late, the reply would be missed, and a write would be in doubt.
        if remains < SENDING_MIN {
            return Err(CallError::Late);
        }
        let timeout = remains.min(Duration::from_millis(self.limits.attempt_timeout_ms));
        let span = tracing::info_span!(
            "upstream",
            upstream = self.name,
            http.request.method = %request.method,
            http.response.status_code = tracing::field::Empty,
            otel.name = traces::if_traced(tracing::field::display(&request.method)),
            otel.kind = traces::if_traced("client"),
        );
        let started = Instant::now();
        let sent = attempt::send(&self.http, request, headers, timeout, self.limits.reply_bytes_max);
        let sent = sent.instrument(span.clone()).await;
        if let Ok(answer) = &sent {
            span.record("http.response.status_code", answer.status.as_u16());
        }
        metrics::upstream_attempt(&self.name, outcome(&sent), started.elapsed());
        let failed = match &sent {
            Ok(answer) => answer.status.is_server_error(),
            Err(error) => error.is_its_fault(),
        };
        let mut health = self.health();
        match failed {
            true => health.breaker.failed(Instant::now()),
            false => health.breaker.succeeded(),
        }
        drop(health);
        Ok((sent?, generation))
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The outcome of an attempt as a metric label.
fn outcome(sent: &Result<Answer, CallError>) -> &'static str {
    match sent {
        Ok(answer) => match answer.status.as_u16() / 100 {
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            _ => "5xx",
        },
        Err(CallError::Timeout { .. }) => "timeout",
        Err(CallError::TooLong { .. }) => "too_long",
        Err(CallError::Broken(_)) => "broken",
        Err(_) => "no_connection",
    }
}

/// Whether the status leaves open if the request was acted upon.
pub(super) fn is_unclear(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT
}

/// Whether the same request may succeed a moment later.
fn is_transient(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 500 | 502 | 503 | 504)
}

fn may_repeat(error: &CallError, repeatable: bool) -> bool {
    match error {
        CallError::Connect(_) | CallError::Token(_) => true,
        CallError::Timeout { .. } | CallError::Broken(_) => repeatable,
        // Retrying would defeat these limits.
        CallError::BreakerOpen { .. } | CallError::Busy | CallError::TooLong { .. } => false,
        CallError::Outside | CallError::Late => false,
    }
}
