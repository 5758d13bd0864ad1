//! Metrics, each declared once. Label values are fixed words or names from the configuration, so there are few series.

use std::{borrow::Cow, time::Duration};

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
pub use metrics_exporter_prometheus::{BuildError, PrometheusHandle};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};

const BUILD_INFO: &str = "frontdesk_build_info";
const HTTP_REQUESTS: &str = "frontdesk_http_requests_total";
const HTTP_DURATION: &str = "frontdesk_http_request_duration_seconds";
const HTTP_CONNECTIONS: &str = "frontdesk_http_connections";
const HTTP_SHED: &str = "frontdesk_http_shed_total";
const AUTHENTICATIONS: &str = "frontdesk_agent_authentications_total";
const RATE_LIMITED: &str = "frontdesk_rate_limited_total";
const UNREADABLE_ORDERS: &str = "frontdesk_unreadable_orders_total";
const LOCKOUTS: &str = "frontdesk_lockouts_total";
const KEY_FETCHES: &str = "frontdesk_key_fetches_total";
const TOOL_CALLS: &str = "frontdesk_tool_calls_total";
const TOOL_DURATION: &str = "frontdesk_tool_call_duration_seconds";
const WEBHOOKS: &str = "frontdesk_webhooks_received_total";
const WEBHOOK_REJECTIONS: &str = "frontdesk_webhook_rejections_total";
const EVENTS: &str = "frontdesk_events_total";
const EVENT_DURATION: &str = "frontdesk_event_duration_seconds";
const INBOX_EVENTS: &str = "frontdesk_inbox_events";
const INBOX_OLDEST: &str = "frontdesk_inbox_oldest_seconds";
const UPSTREAM_CALLS: &str = "frontdesk_upstream_calls_total";
const UPSTREAM_RETRIES: &str = "frontdesk_upstream_retries_total";
const UPSTREAM_DURATION: &str = "frontdesk_upstream_request_duration_seconds";
const BREAKER_OPEN: &str = "frontdesk_upstream_breaker_open";
const READY: &str = "frontdesk_ready";
const TRACE_EXPORTS: &str = "frontdesk_trace_exports_total";
const TOKEN_FETCHES: &str = "frontdesk_token_fetches_total";

/// Histogram buckets in seconds: a look-up in the store takes a millisecond, a helpdesk up to its timeout of five
/// seconds.
const BUCKETS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0];

/// Installs the process-wide recorder. The handle renders it in Prometheus text format. Without it, metrics are no-ops.
pub fn install() -> Result<PrometheusHandle, BuildError> {
    let suffix = Matcher::Suffix("_duration_seconds".to_owned());
    let handle = PrometheusBuilder::new().set_buckets_for_metric(suffix, BUCKETS)?.install_recorder()?;
    describe();
    metrics_process::Collector::default().describe();
    gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    Ok(handle)
}

fn describe() {
    describe_gauge!(BUILD_INFO, "Always 1, labelled with the version.");
    describe_counter!(HTTP_REQUESTS, "HTTP requests answered, by route and status.");
    describe_histogram!(HTTP_DURATION, Unit::Seconds, "Time from the head of a request to the head of its response.");
    describe_gauge!(HTTP_CONNECTIONS, "Open connections.");
    describe_counter!(HTTP_SHED, "Requests answered with 503, and connections closed, because a limit was reached.");
    describe_counter!(AUTHENTICATIONS, "Requests to /mcp, by the outcome of authentication.");
    describe_counter!(RATE_LIMITED, "Requests and tool calls refused by a rate limit.");
    describe_counter!(LOCKOUTS, "Lockouts of customers, and alerts for agents, after too many denied orders.");
    describe_counter!(
        UNREADABLE_ORDERS,
        "Orders refused because the owner in the order system's reply cannot be read."
    );
    describe_counter!(KEY_FETCHES, "Fetches of the signing keys (JWKS) of authorization servers.");
    describe_counter!(TOOL_CALLS, "Tool calls, by tool and by the verdict in the audit.");
    describe_histogram!(TOOL_DURATION, Unit::Seconds, "Duration of tool calls.");
    describe_counter!(WEBHOOKS, "Webhooks received, by source and by outcome for the sender.");
    describe_counter!(WEBHOOK_REJECTIONS, "Webhooks that failed verification, by source and by the check that failed.");
    describe_counter!(EVENTS, "Attempts to process events, by kind and outcome.");
    describe_histogram!(EVENT_DURATION, Unit::Seconds, "Duration of attempts to process events.");
    describe_gauge!(INBOX_EVENTS, "Events in the inbox, by state.");
    describe_gauge!(INBOX_OLDEST, Unit::Seconds, "Age of the oldest waiting event.");
    describe_counter!(UPSTREAM_CALLS, "Requests to upstreams, not counting retries.");
    describe_counter!(UPSTREAM_RETRIES, "Retries of requests to upstreams.");
    describe_histogram!(UPSTREAM_DURATION, Unit::Seconds, "Duration of single attempts at upstreams, by outcome.");
    describe_gauge!(BREAKER_OPEN, "1 while the circuit breaker of the upstream is open.");
    describe_gauge!(READY, "1 while this process is ready, as on /readyz.");
    describe_counter!(TRACE_EXPORTS, "Batches of spans sent to the collector; failed batches are lost.");
    describe_counter!(TOKEN_FETCHES, "Tokens for upstreams that were fetched or signed.");
}

/// Creates the series of known labels with the value 0, so that a rate sees the first event.
pub(crate) fn begin<'a>(sources: impl Iterator<Item = &'a str>, kinds: impl IntoIterator<Item = &'static str>) {
    let zero = |name: &'static str, label: &'static str, values: &[&'static str]| {
        values.iter().for_each(|value| counter!(name, label => *value).absolute(0));
    };
    zero(HTTP_SHED, "reason", &["requests", "streams", "connections"]);
    zero(AUTHENTICATIONS, "outcome", &["ok", "absent", "refused", "unavailable"]);
    zero(RATE_LIMITED, "limit", &["agent", "customer", "source", "address"]);
    zero(LOCKOUTS, "kind", &["customer", "agent"]);
    counter!(UNREADABLE_ORDERS).absolute(0);
    zero(KEY_FETCHES, "outcome", &["ok", "failed"]);
    zero(TOKEN_FETCHES, "outcome", &["ok", "failed"]);
    zero(TRACE_EXPORTS, "outcome", &["ok", "failed"]);
    for source in sources {
        for outcome in ["acknowledged", "rejected", "limited", "full", "unavailable"] {
            counter!(WEBHOOKS, "source" => source.to_owned(), "outcome" => outcome).absolute(0);
        }
        for check in ["missing", "malformed", "wrong", "stale"] {
            counter!(WEBHOOK_REJECTIONS, "source" => source.to_owned(), "reason" => check).absolute(0);
        }
    }
    for kind in kinds {
        for outcome in ["done", "retry", "deferred", "parked", "dead"] {
            counter!(EVENTS, "kind" => kind, "outcome" => outcome).absolute(0);
        }
    }
}

fn outcome(good: bool) -> &'static str {
    if good { "ok" } else { "failed" }
}

pub(crate) fn http_request(route: &'static str, status: u16, took: Duration) {
    counter!(HTTP_REQUESTS, "route" => route, "status" => status_label(status)).increment(1);
    histogram!(HTTP_DURATION, "route" => route).record(took);
}

/// Avoids an allocation for the common statuses.
fn status_label(status: u16) -> Cow<'static, str> {
    match status {
        200 => "200".into(),
        202 => "202".into(),
        401 => "401".into(),
        403 => "403".into(),
        429 => "429".into(),
        503 => "503".into(),
        other => other.to_string().into(),
    }
}

pub(crate) fn http_connections(open: usize) {
    gauge!(HTTP_CONNECTIONS).set(open as f64);
}

/// `what`: requests, streams, answers (long responses) or connections.
pub(crate) fn shed(what: &'static str) {
    counter!(HTTP_SHED, "reason" => what).increment(1);
}

/// `outcome`: ok, absent, refused or unavailable.
pub(crate) fn authentication(outcome: &'static str) {
    counter!(AUTHENTICATIONS, "outcome" => outcome).increment(1);
}

/// `limit`: agent, customer, source or address.
pub(crate) fn rate_limited(limit: &'static str) {
    counter!(RATE_LIMITED, "limit" => limit).increment(1);
}

/// `kind`: customer or agent.
pub(crate) fn lockout(kind: &'static str) {
    counter!(LOCKOUTS, "kind" => kind).increment(1);
}

pub(crate) fn unreadable_order() {
    counter!(UNREADABLE_ORDERS).increment(1);
}

pub(crate) fn key_fetch(good: bool) {
    counter!(KEY_FETCHES, "outcome" => outcome(good)).increment(1);
}

/// `tool` and `verdict` as in the audit record.
pub(crate) fn tool_call(tool: Cow<'static, str>, verdict: &'static str) {
    counter!(TOOL_CALLS, "tool" => tool, "verdict" => verdict).increment(1);
}

pub(crate) fn tool_duration(tool: &'static str, took: Duration) {
    histogram!(TOOL_DURATION, "tool" => tool).record(took);
}

/// `source`: a configured source, or `unknown`.
pub(crate) fn webhook(source: &str, outcome: &'static str) {
    counter!(WEBHOOKS, "source" => source.to_owned(), "outcome" => outcome).increment(1);
}

pub(crate) fn webhook_rejected(source: &str, check: &'static str) {
    counter!(WEBHOOK_REJECTIONS, "source" => source.to_owned(), "reason" => check).increment(1);
}

/// `outcome`: done, retry, deferred, parked or dead.
pub(crate) fn event(kind: &str, outcome: &'static str, took: Duration) {
    counter!(EVENTS, "kind" => kind.to_owned(), "outcome" => outcome).increment(1);
    histogram!(EVENT_DURATION, "kind" => kind.to_owned()).record(took);
}

pub(crate) fn inbox(state: &'static str, events: u64) {
    gauge!(INBOX_EVENTS, "state" => state).set(events as f64);
}

pub(crate) fn inbox_oldest(age: Duration) {
    gauge!(INBOX_OLDEST).set(age.as_secs_f64());
}

pub(crate) fn upstream_call(upstream: &str, retries: u32) {
    counter!(UPSTREAM_CALLS, "upstream" => upstream.to_owned()).increment(1);
    counter!(UPSTREAM_RETRIES, "upstream" => upstream.to_owned()).increment(retries.into());
}

/// `outcome`: 2xx … 5xx, no_connection, timeout, broken or too_long.
pub(crate) fn upstream_attempt(upstream: &str, outcome: &'static str, took: Duration) {
    histogram!(UPSTREAM_DURATION, "upstream" => upstream.to_owned(), "outcome" => outcome).record(took);
}

pub(crate) fn breaker(upstream: &str, open: bool) {
    gauge!(BREAKER_OPEN, "upstream" => upstream.to_owned()).set(if open { 1.0 } else { 0.0 });
}

pub(crate) fn ready(ready: bool) {
    gauge!(READY).set(if ready { 1.0 } else { 0.0 });
}

/// Samples memory, file descriptors and CPU time of this process.
pub(crate) fn process() {
    metrics_process::Collector::default().collect();
}

pub(crate) fn trace_export(good: bool) {
    counter!(TRACE_EXPORTS, "outcome" => outcome(good)).increment(1);
}

pub(crate) fn token_fetch(good: bool) {
    counter!(TOKEN_FETCHES, "outcome" => outcome(good)).increment(1);
}
