//! `check --online`: whether upstreams accept the credentials, and whether the trace collector accepts spans.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use serde::Serialize;

use crate::{
    app,
    cli::{block_on, output},
    config::{Config, Secrets},
    connectors::Asked,
    domain::Clock,
    telemetry::causes,
    upstream::post,
};

/// Result for one upstream or the collector.
#[derive(Serialize)]
pub(super) struct Answer {
    upstream: String,
    ports: Vec<String>,
    auth: String,
    /// None if it could not be determined.
    reachable: Option<bool>,
    latency_ms: u64,
    advice: String,
}

impl Answer {
    pub(super) fn is_bad(&self) -> bool {
        self.reachable == Some(false)
    }
}

/// Asks every upstream in use and the trace collector.
pub(super) fn ask(config: &Config, secrets: &Secrets) -> anyhow::Result<Vec<Answer>> {
    block_on(async {
        let mut answers = Vec::new();
        for connector in app::connectors(config, secrets, &Clock::system())?.into_values() {
            for probe in connector.probe().await {
                let (reachable, advice) = match &probe.result {
                    Ok(Asked::Health) => (Some(true), "nothing".to_owned()),
                    Ok(Asked::Nothing) => {
                        (None, "its connector has no [health]: only a token was requested".to_owned())
                    }
                    Err(error) => (Some(false), advice(&probe.base_url, probe.health.as_deref(), error.as_ref())),
                };
                answers.push(Answer {
                    upstream: probe.upstream.to_string(),
                    ports: probe.ports.iter().map(ToString::to_string).collect(),
                    auth: probe.auth.to_string(),
                    reachable,
                    latency_ms: u64::try_from(probe.took.as_millis()).unwrap_or(u64::MAX),
                    advice,
                });
            }
        }
        if let Some(endpoint) = &config.traces.endpoint {
            answers.push(collector(endpoint).await);
        }
        Ok(answers)
    })
}

/// Sends an empty export request, which OTLP collectors accept.
async fn collector(endpoint: &str) -> Answer {
    let began = std::time::Instant::now();
    let headers =
        HeaderMap::from_iter([(http::header::CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"))]);
    let url = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
    let (reachable, advice) = match post(&url, headers, Bytes::new().to_vec()).await {
        Ok((200..=299, _)) => (Some(true), "nothing".to_owned()),
        Ok((401 | 403, _)) => (
            None,
            "it wants credentials, which serve takes from OTEL_EXPORTER_OTLP_HEADERS and check does not send"
                .to_owned(),
        ),
        Ok((status, _)) => (
            Some(false),
            format!("traces would be lost: it answers {status}; check the path of traces.endpoint ({endpoint})"),
        ),
        Err(error) => {
            let why = causes(&error);
            (
                Some(false),
                format!("traces would be lost; check traces.endpoint, DNS, proxy and firewall ({endpoint}: {why})"),
            )
        }
    };
    Answer {
        upstream: "traces.endpoint".to_owned(),
        ports: vec!["traces".to_owned()],
        auth: "-".to_owned(),
        reachable,
        latency_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        advice,
    }
}

pub(super) fn table(answers: &[Answer]) -> String {
    let rows: Vec<Vec<String>> = answers
        .iter()
        .map(|answer| {
            let reachable = match answer.reachable {
                Some(true) => "yes",
                Some(false) => "no",
                None => "?",
            };
            vec![
                answer.upstream.clone(),
                answer.ports.join(","),
                answer.auth.clone(),
                reachable.to_owned(),
                format!("{} ms", answer.latency_ms),
                answer.advice.clone(),
            ]
        })
        .collect();
    output::table(&["upstream", "ports", "auth", "reachable", "latency", "what to do"], &rows)
}

/// The likely cause of an error, and what to check.
fn advice(base_url: &str, health: Option<&str>, error: &(dyn std::error::Error + 'static)) -> String {
    let why = causes(error);
    let not_there = why.contains("status 404") || why.contains("not found");
    if let (true, Some(health)) = (not_there, health) {
        return format!(
            "there is nothing at {health} below base_url: base_url lacks its path or has too much of one, or the vendor's \
             API is not switched on there ({base_url}: {why})"
        );
    }
    let step = if why.contains("refuses our credentials") {
        "check the credentials in auth, and what they are allowed"
    } else if why.contains("not set up") {
        "see frontdesk connectors show for what has to be set up"
    } else if why.contains("too many requests") {
        "it answers that there are too many requests: try again later"
    } else if why.contains("token endpoint cannot be reached") {
        "check auth.token_url, DNS, proxy and firewall"
    } else if why.contains("not a token reply") {
        "check auth.token_url: what is there answers, and gives no token"
    } else if why.contains("the token endpoint answered 4") {
        "check auth.token_url, client_id and the client's secret or key"
    } else if why.contains("the token endpoint answered") {
        "the token endpoint answers, and fails: see its own status page"
    } else if why.contains("status 404") || why.contains("not found") || why.contains("unexpected status 3") {
        "check the path of base_url"
    } else if why.contains("the upstream failed") {
        "it answers, and fails: see its own status page"
    } else {
        "check base_url, DNS, proxy and firewall"
    };
    format!("{step} ({base_url}: {why})")
}
