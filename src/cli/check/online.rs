//! `check --online`: whether upstreams and the mail server accept the credentials, and whether the trace collector accepts spans.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use serde::Serialize;

use crate::{
    app,
    cli::{block_on, output},
    config::{Config, Secrets},
    connectors::{Asked, Failure, ProbeError},
    domain::Clock,
    mail::{MailError, SmtpSender, SmtpTls},
    telemetry::causes,
    upstream::{
        auth::{TokenError, VaultError},
        post,
    },
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
                    Ok(Asked::Reached) => {
                        let health = probe.health.as_deref().unwrap_or("the request of [health]");
                        let advice = format!(
                            "it was reached and not asked: it has no {health} below base_url ({}), so path and \
                             credentials were not tried",
                            probe.base_url
                        );
                        (Some(true), advice)
                    }
                    Ok(Asked::Nothing) => {
                        let asked = match probe.auth {
                            "oauth2" | "session" => "only a token was fetched",
                            _ => "it was not asked, and its credentials were not tried",
                        };
                        (None, format!("its connector has no [health]: {asked}"))
                    }
                    Err(error) => (Some(false), advice(probe.auth, &probe.base_url, probe.health.as_deref(), error)),
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
        if let Some(server) = app::mail_server(config, secrets)? {
            answers.push(mail_server(&server, config).await);
        }
        if let Some(endpoint) = &config.traces.endpoint {
            answers.push(collector(endpoint).await);
        }
        Ok(answers)
    })
}

/// Connects to the mail server of one-time codes, as for a message, and quits.
async fn mail_server(server: &SmtpSender, config: &Config) -> Answer {
    let began = std::time::Instant::now();
    let result = server.probe().await;
    let smtp = config.verification.smtp.as_ref();
    let authenticates = smtp.is_some_and(|smtp| smtp.username.is_some());
    let starttls = smtp.is_some_and(|smtp| smtp.tls == SmtpTls::Starttls);
    let (reachable, advice) = match &result {
        Ok(()) => (Some(true), "nothing".to_owned()),
        Err(error) => {
            let step = match error {
                MailError::Denied(_) => "check username and password, and that the account may send by SMTP",
                // A server that waits for a handshake says nothing, or breaks off.
                MailError::Late | MailError::NoConnection(_) if starttls => {
                    "check host, port, DNS and firewall; a server that is encrypted from the first octet, as on port 465, \
                     needs tls = \"implicit\""
                }
                MailError::Encryption(_) => "check tls, port and host: the certificate has to be for that name",
                MailError::Busy(_) => "it answers, and takes nothing now: try again later",
                MailError::Refused(_) => "it answers, and refuses this machine: ask whoever runs it",
                MailError::Unexpected => {
                    "check tls and port: it does not offer STARTTLS, or no way to authenticate that is known here"
                }
                _ => "check host, port, DNS and firewall",
            };
            (Some(false), format!("codes would be lost: {step} ({}: {})", server.address(), causes(error)))
        }
    };
    Answer {
        upstream: "verification.smtp".to_owned(),
        ports: vec!["codes".to_owned()],
        auth: if authenticates { "smtp" } else { "none" }.to_owned(),
        reachable,
        latency_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        advice,
    }
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
fn advice(auth: &str, base_url: &str, health: Option<&str>, error: &ProbeError) -> String {
    let why = causes(error);
    let is_absent = |failure: &Failure| matches!(failure, Failure::NotFound { .. }) || failure.status() == Some(404);
    if let (true, Some(health)) = (error.failure().is_some_and(is_absent), health) {
        return format!(
            "there is nothing at {health} below base_url: base_url lacks its path or has too much of one, or the vendor's \
             API is not switched on there ({base_url}: {why})"
        );
    }
    let step = match (error.token(), error.failure()) {
        (Some(TokenError::Vault(VaultError::Key)), _) => "check store.encryption_key",
        (Some(TokenError::Vault(_)), _) => "check that the store can be written, and that no other process hangs",
        (Some(TokenError::Refused { code: Some(code), .. }), _)
            if matches!(code.as_str(), "invalid_grant" | "invalid_code") =>
        {
            "the refresh token is not accepted any more: authorize frontdesk at the vendor again, and put the new token \
             where auth.refresh_token says"
        }
        (Some(TokenError::NoToken { .. }), _) => {
            "see in the vendor's documentation where a login's reply has its token, and check token_pointer, \
             token_header or token_cookie and the credentials in login_body"
        }
        (Some(TokenError::Unreachable(_)), _) => "check auth.token_url or auth.login_url, DNS, proxy and firewall",
        (Some(TokenError::Unreadable), _) => "check auth.token_url: what is there answers, and gives no token",
        (Some(TokenError::Refused { status: 400..=499, .. }), _) if auth == "session" => {
            "check auth.login_url, and the credentials in login_body, login_headers or username and password"
        }
        (Some(TokenError::Refused { status: 400..=499, .. }), _) => {
            "check auth.token_url, client_id and the client's secret or key"
        }
        (Some(TokenError::Refused { .. }), _) => "the token endpoint answers, and fails: see its own status page",
        (_, Some(Failure::Denied { .. })) => "check the credentials in auth, and what they are allowed",
        (_, Some(Failure::Misconfigured { .. })) => "see frontdesk connectors show for what has to be set up",
        (_, Some(Failure::RateLimited { .. })) => "it answers that there are too many requests: try again later",
        (_, Some(Failure::Status { status: 300..=399 })) => "check the path of base_url",
        (_, Some(failure)) if is_absent(failure) => "check the path of base_url",
        (
            _,
            Some(
                Failure::SaysError { .. }
                | Failure::NotHealthy { .. }
                | Failure::GraphQl { .. }
                | Failure::Misfit(_)
                | Failure::NotJson { status: 200..=299 },
            ),
        ) => "it answers, and not as a request with good credentials is: check auth and the path of base_url",
        (_, Some(Failure::Unavailable { .. })) => "it answers, and fails: see its own status page",
        _ => "check base_url, DNS, proxy and firewall",
    };
    format!("{step} ({base_url}: {why})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        connectors::OperationError,
        upstream::{CallError, UpstreamError},
    };

    #[test]
    fn the_advice_follows_from_what_failed() {
        let health = |failure| ProbeError::Operation(OperationError { operation: "health", failure, in_doubt: false });
        let refused = |status| TokenError::Refused { status, code: None };
        let within = |error| Failure::Upstream(UpstreamError { error: CallError::Token(error), in_doubt: false });
        for (error, step) in [
            (ProbeError::Token(TokenError::Unreachable("no answer")), "check auth.token_url or auth.login_url, DNS"),
            (ProbeError::Token(TokenError::Vault(VaultError::Key)), "check store.encryption_key"),
            (ProbeError::Token(TokenError::Vault(VaultError::Busy)), "that no other process hangs"),
            (
                ProbeError::Token(TokenError::Refused { status: 400, code: Some("invalid_grant".to_owned()) }),
                "authorize frontdesk at the vendor again",
            ),
            (ProbeError::Token(TokenError::NoToken { status: 200 }), "check token_pointer"),
            (ProbeError::Token(TokenError::Unreadable), "what is there answers, and gives no token"),
            (ProbeError::Token(refused(401)), "client_id"),
            (ProbeError::Token(refused(503)), "the token endpoint answers, and fails"),
            (health(within(refused(400))), "client_id"),
            (health(Failure::Denied { status: 401 }), "check the credentials"),
            (health(Failure::Misconfigured { status: 400, field: None }), "connectors show"),
            (health(Failure::RateLimited { status: 429, retry_after: None }), "try again later"),
            (health(Failure::NotFound { status: 404 }), "check the path of base_url"),
            (health(Failure::NotJson { status: 404 }), "check the path of base_url"),
            (health(Failure::Status { status: 302 }), "check the path of base_url"),
            (health(Failure::Unavailable { status: 503 }), "it answers, and fails"),
            (health(Failure::NotJson { status: 200 }), "check auth and the path of base_url"),
            (health(Failure::SaysError { status: 200 }), "check auth and the path of base_url"),
            (health(Failure::GraphQl { status: 200, code: None }), "check auth and the path of base_url"),
            (
                health(Failure::Upstream(UpstreamError { error: CallError::Late, in_doubt: false })),
                "check base_url, DNS",
            ),
        ] {
            let advice = advice("oauth2", "https://api.example.com", None, &error);
            assert!(advice.contains(step) && advice.contains("(https://api.example.com: "), "{error:?}: {advice}");
        }
        let login = advice("session", "https://api.example.com", None, &ProbeError::Token(refused(401)));
        assert!(login.contains("check auth.login_url"), "{login}");
        let absent =
            advice("none", "https://api.example.com", Some("GET /me"), &health(Failure::NotFound { status: 404 }));
        assert!(absent.starts_with("there is nothing at GET /me below base_url"), "{absent}");
    }
}
