//! Counting. Metrics are declared in `declared.rs`; label values are fixed words or names from the configuration, so there
//! are few series.

use std::{borrow::Cow, time::Duration};

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
pub use metrics_exporter_prometheus::{BuildError, PrometheusHandle};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};

pub use super::declared::{ALL, Kind, Label, Metric, Values};
use super::declared::{
    AUTHENTICATIONS, BREAKER_OPEN, BUILD_INFO, CODE_DELIVERIES, EVENT_DURATION, EVENTS, HTTP_CONNECTIONS,
    HTTP_DURATION, HTTP_REQUESTS, HTTP_SHED, INBOX_EVENTS, INBOX_OLDEST, KEY_FETCHES, LOCKOUTS, RATE_LIMITED, READY,
    RECONCILED, RECONCILIATIONS, REMOVALS_WAITING, TOKEN_FETCHES, TOOL_CALLS, TOOL_DURATION, TRACE_EXPORTS,
    UNREADABLE_ORDERS, UPSTREAM_CALLS, UPSTREAM_DURATION, UPSTREAM_RETRIES, WEBHOOK_REJECTIONS, WEBHOOKS,
};

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
    for metric @ Metric { name, kind, meaning, .. } in ALL {
        match (kind, metric.unit()) {
            (Kind::Counter, _) => describe_counter!(*name, *meaning),
            (Kind::Gauge, None) => describe_gauge!(*name, *meaning),
            (Kind::Gauge, Some(unit)) => describe_gauge!(*name, unit, *meaning),
            (Kind::Histogram, None) => describe_histogram!(*name, *meaning),
            (Kind::Histogram, Some(unit)) => describe_histogram!(*name, unit, *meaning),
        }
    }
}

/// Creates the series of known labels with the value 0, so that a rate sees the first event.
pub(crate) fn begin<'a>(sources: impl Iterator<Item = &'a str>, kinds: impl IntoIterator<Item = &'static str>) {
    for metric in ALL {
        if let Some((label, words)) = metric.words() {
            words.iter().for_each(|word| counter!(metric.name, label => *word).absolute(0));
        }
    }
    counter!(UNREADABLE_ORDERS).absolute(0);
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

/// Creates the series of sources whose articles are reconciled.
pub(crate) fn begin_reconciliations<'a>(sources: impl Iterator<Item = &'a str>) {
    for source in sources {
        for outcome in ["done", "waiting", "incomplete", "failed"] {
            counter!(RECONCILIATIONS, "source" => source.to_owned(), "outcome" => outcome).absolute(0);
        }
        for change in ["written", "removed"] {
            counter!(RECONCILED, "source" => source.to_owned(), "change" => change).absolute(0);
        }
    }
}

pub(crate) fn reconciliation(source: &str, outcome: &'static str, written: u64, removed: u64) {
    counter!(RECONCILIATIONS, "source" => source.to_owned(), "outcome" => outcome).increment(1);
    for (change, articles) in [("written", written), ("removed", removed)] {
        counter!(RECONCILED, "source" => source.to_owned(), "change" => change).increment(articles);
    }
}

pub(crate) fn removals_waiting(source: &str, articles: u64) {
    gauge!(REMOVALS_WAITING, "source" => source.to_owned()).set(articles as f64);
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

/// `limit`: agent, customer, source or address; of one-time codes code_conversation, code_agent or code_address.
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

pub(crate) fn code_delivery(good: bool) {
    counter!(CODE_DELIVERIES, "outcome" => outcome(good)).increment(1);
}

pub(crate) fn token_fetch(good: bool) {
    counter!(TOKEN_FETCHES, "outcome" => outcome(good)).increment(1);
}
