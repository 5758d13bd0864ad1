//! The metrics that there are. Their names exist only here, so that none can be counted without type, labels and meaning.

use metrics::Unit;

use self::Values::{Of, Words};

/// One metric, as it is scraped and documented.
#[derive(Debug)]
pub struct Metric {
    pub name: &'static str,
    pub kind: Kind,
    pub labels: &'static [Label],
    pub meaning: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

#[derive(Debug)]
pub struct Label {
    pub name: &'static str,
    pub values: Values,
}

/// What a label can be. Few values, by construction.
#[derive(Debug)]
pub enum Values {
    /// One of these words.
    Words(&'static [&'static str]),
    /// What it is taken from.
    Of(&'static str),
}

impl Metric {
    /// As the name says, by the conventions of Prometheus.
    pub fn unit(&self) -> Option<Unit> {
        self.name.ends_with("_seconds").then_some(Unit::Seconds)
    }

    /// The only label and its words; what begins at 0.
    pub(super) fn words(&self) -> Option<(&'static str, &'static [&'static str])> {
        match self.labels {
            [Label { name, values: Words(words) }] if self.kind == Kind::Counter => Some((name, words)),
            _ => None,
        }
    }
}

macro_rules! metrics {
    ($($constant:ident = $kind:ident $name:literal { $($label:literal: $values:expr),* } $meaning:literal;)*) => {
        $(pub(super) const $constant: &str = $name;)*

        /// Every metric of ours.
        pub const ALL: &[Metric] = &[$(Metric {
            name: $name,
            kind: Kind::$kind,
            labels: &[$(Label { name: $label, values: $values }),*],
            meaning: $meaning,
        }),*];
    };
}

const UPSTREAM: Values = Of("an upstream, by its name in the configuration");
const KIND: Values = Of("a kind of event, as `conversation.escalated`");
const TOOL: Values = Of("a tool; of decisions also a kind of event");
const SOURCE: Values = Of("a source of webhooks, by its name in the configuration");
const ROUTE: Values =
    Words(&["mcp", "tools", "openapi", "webhooks", "health", "livez", "readyz", "metrics", "metadata", "other"]);
const DONE: Values = Words(&["ok", "failed"]);

metrics! {
    RECONCILIATIONS = Counter "frontdesk_article_reconciliations_total" {
        "source": SOURCE, "outcome": Words(&["done", "waiting", "incomplete", "failed"])
    }
        "Reconciliations of articles with a CMS, by outcome. `waiting`: removals wait for `--apply`.";
    RECONCILED = Counter "frontdesk_articles_reconciled_total" {
        "source": SOURCE, "change": Words(&["written", "removed"])
    }
        "Articles that a reconciliation wrote or removed, because events of them were lost.";
    REMOVALS_WAITING = Gauge "frontdesk_article_removals_waiting" { "source": SOURCE }
        "Articles that a CMS does not list any more and that stay until `frontdesk articles reconcile --apply`.";
    BUILD_INFO = Gauge "frontdesk_build_info" { "version": Of("the version") }
        "Always 1, labelled with the version.";
    READY = Gauge "frontdesk_ready" {}
        "1 while this process is ready, as on `/readyz`.";
    HTTP_REQUESTS = Counter "frontdesk_http_requests_total" { "route": ROUTE, "status": Of("a status of HTTP") }
        "HTTP requests answered, by route and status.";
    HTTP_DURATION = Histogram "frontdesk_http_request_duration_seconds" { "route": ROUTE }
        "Time from the head of a request to the head of its response.";
    HTTP_CONNECTIONS = Gauge "frontdesk_http_connections" {}
        "Open connections.";
    HTTP_SHED = Counter "frontdesk_http_shed_total"
        { "reason": Words(&["requests", "streams", "answers", "connections"]) }
        "Requests answered with 503, and connections closed, because a limit was reached.";
    AUTHENTICATIONS = Counter "frontdesk_agent_authentications_total"
        { "outcome": Words(&["ok", "absent", "refused", "unavailable"]) }
        "Requests to `/mcp`, by the outcome of authentication.";
    RATE_LIMITED = Counter "frontdesk_rate_limited_total"
        {
        "limit": Words(&[
            "agent", "customer", "source", "address", "code_conversation", "code_agent", "code_address"
        ])
    }
        "Requests, tool calls and one-time codes that a rate limit refused or kept back.";
    LOCKOUTS = Counter "frontdesk_lockouts_total" { "kind": Words(&["customer", "agent"]) }
        "Lockouts of customers, and alerts for agents, after too many denied orders.";
    UNREADABLE_ORDERS = Counter "frontdesk_unreadable_orders_total" {}
        "Orders refused because the owner in the order system's reply cannot be read.";
    KEY_FETCHES = Counter "frontdesk_key_fetches_total" { "outcome": DONE }
        "Fetches of the signing keys (JWKS) of authorization servers.";
    TOOL_CALLS = Counter "frontdesk_tool_calls_total"
        { "tool": TOOL, "verdict": Of("a verdict of the audit, as `allowed` or `foreign`") }
        "Tool calls, by tool and by the verdict in the audit.";
    TOOL_DURATION = Histogram "frontdesk_tool_call_duration_seconds" { "tool": TOOL }
        "Duration of tool calls.";
    WEBHOOKS = Counter "frontdesk_webhooks_received_total" {
        "source": SOURCE,
        "outcome": Words(&[
            "acknowledged", "duplicate", "skipped", "handshake", "rejected", "limited", "unmappable", "conflict", "invalid",
            "too_long", "full", "unavailable", "unknown"
        ])
    }
        "Webhooks received, by source and by outcome for the sender. `unknown` is a source that is not configured.";
    WEBHOOK_REJECTIONS = Counter "frontdesk_webhook_rejections_total" {
        "source": SOURCE,
        "reason": Words(&["address", "missing", "repeated", "malformed", "unsigned", "wrong", "stale", "early"])
    }
        "Webhooks that failed verification, by source and by the check that failed.";
    EVENTS = Counter "frontdesk_events_total"
        { "kind": KIND, "outcome": Words(&["done", "retry", "deferred", "parked", "dead"]) }
        "Attempts to process events, by kind and outcome.";
    EVENT_DURATION = Histogram "frontdesk_event_duration_seconds" { "kind": KIND }
        "Duration of attempts to process events.";
    INBOX_EVENTS = Gauge "frontdesk_inbox_events" { "state": Words(&["pending", "claimed", "dead", "quarantined"]) }
        "Events in the inbox, by state.";
    INBOX_OLDEST = Gauge "frontdesk_inbox_oldest_seconds" {}
        "Age of the oldest waiting event.";
    UPSTREAM_CALLS = Counter "frontdesk_upstream_calls_total" { "upstream": UPSTREAM }
        "Requests to upstreams, not counting retries.";
    UPSTREAM_RETRIES = Counter "frontdesk_upstream_retries_total" { "upstream": UPSTREAM }
        "Retries of requests to upstreams.";
    UPSTREAM_DURATION = Histogram "frontdesk_upstream_request_duration_seconds" {
        "upstream": UPSTREAM,
        "outcome": Words(&["2xx", "3xx", "4xx", "5xx", "no_connection", "timeout", "broken", "too_long"])
    }
        "Duration of single attempts at upstreams, by outcome.";
    BREAKER_OPEN = Gauge "frontdesk_upstream_breaker_open" { "upstream": UPSTREAM }
        "1 while the circuit breaker of the upstream is open.";
    TOKEN_FETCHES = Counter "frontdesk_token_fetches_total" { "outcome": DONE }
        "Tokens for upstreams that were fetched or signed.";
    CODE_DELIVERIES = Counter "frontdesk_code_deliveries_total" { "outcome": DONE }
        "One-time codes handed to the mail server or the connector. Failed ones are lost; customers ask for another.";
    TRACE_EXPORTS = Counter "frontdesk_trace_exports_total" { "outcome": DONE }
        "Batches of spans sent to the collector; failed batches are lost.";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_follow_the_conventions_of_prometheus() {
        let names: BTreeSet<&str> = ALL.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), ALL.len(), "each is declared once");
        for Metric { name, kind, meaning, .. } in ALL {
            assert!(name.starts_with("frontdesk_") && meaning.ends_with('.'), "{name}");
            assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
            assert_eq!(name.ends_with("_duration_seconds"), *kind == Kind::Histogram, "{name}");
        }
    }
}
