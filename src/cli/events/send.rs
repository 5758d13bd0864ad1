//! `frontdesk events send` and `verify`: sends a signed webhook, and explains why one was refused.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow, bail};
use clap::Args;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::ConfigArgs;
use crate::{
    app,
    cli::{block_on, output, value_parsers},
    config::Loaded,
    domain::{Clock, Event, Secret, Timestamp},
    upstream::post,
    webhooks::{Mapped, RawWebhook},
};

/// Sign a webhook and send it, as its platform would
///
/// Sends a sample or a file, signed by the source's scheme with the configured secret. Where only the body identifies
/// an event, a sample sent twice is a duplicate.
#[derive(Args)]
pub(super) struct Send {
    /// Source: escalation, chatbot, cms-update, a connector with webhooks, or a configured name
    source: String,
    /// File with the body to send; - is standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// URL to send it to [default: http.listen of the configuration]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Environment variable with the secret, instead of the configured one
    #[arg(long, value_name = "NAME")]
    secret_env: Option<String>,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Explain why a webhook was refused
///
/// Give the headers and the body exactly as they were sent. Prints the check that fails and the form of a valid
/// signature, never the secret.
#[derive(Args)]
pub(super) struct Verify {
    /// Source: escalation, chatbot, cms-update, a connector with webhooks, or a configured name
    source: String,
    /// File with the exact body; - is standard input
    #[arg(long, value_name = "FILE")]
    body: PathBuf,
    /// A header, for example 'x-webhook-signature: 4f0c…'; may be repeated
    #[arg(long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// Time of arrival, for schemes that sign the time: RFC 3339, or an age such as 90s, 15m or 1h [default: now]
    #[arg(long, value_name = "TIME", value_parser = value_parsers::since)]
    at: Option<Timestamp>,
    /// Request path, for schemes that sign it [default: /webhooks/SOURCE]
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// Environment variable with the secret, instead of the configured one
    #[arg(long, value_name = "NAME")]
    secret_env: Option<String>,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

fn secrets(loaded: &Loaded, source: &str, from_env: Option<&String>) -> anyhow::Result<Vec<Secret>> {
    if let Some(name) = from_env {
        let text = std::env::var(name).unwrap_or_default();
        if text.is_empty() {
            bail!("the environment variable {name} is not set, or empty; it has to hold the secret (.env is not read)");
        }
        return Ok(vec![Secret::new(text)]);
    }
    let configured = loaded.config.webhooks.get(source).map(|options| options.secrets.as_slice()).unwrap_or_default();
    if configured.is_empty() {
        bail!("webhooks.{source}.secrets is not configured; configure it, or give --secret-env NAME");
    }
    configured.iter().map(|secret| Ok(loaded.secrets.read(secret)?)).collect()
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    if path == Path::new("-") {
        let mut body = Vec::new();
        std::io::stdin().lock().read_to_end(&mut body)?;
        return Ok(body);
    }
    std::fs::read(path).with_context(|| format!("failed to read {}", path.display()))
}

impl Send {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let loaded = self.config.load()?;
        let secrets = secrets(&loaded, &self.source, self.secret_env.as_ref())?;
        let source = app::webhook_source(&loaded.config, &self.source, &secrets)?;
        let body = match &self.file {
            Some(path) => read(path)?,
            None => source.sample().context("this source has no sample; give --file")?,
        };
        let base = self.url.unwrap_or_else(|| format!("http://{}", loaded.config.http.listen));
        let url = match base.contains("/webhooks/") {
            true => base,
            false => format!("{}/webhooks/{}", base.trim_end_matches('/'), self.source),
        };
        let path = url.parse::<http::Uri>().with_context(|| format!("{url} is not an address"))?.path().to_owned();
        let id = format!("msg_{}", ulid::Ulid::generate());
        let mut headers = source.verifier().sign(&path, &id, &body, Clock::system().now());
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        let (status, answer) = block_on(async { Ok(post(&url, headers, body).await?) })
            .with_context(|| format!("failed to post to {url}"))?;
        match self.json {
            true => output::json(&json!({ "status": status, "answer": answer }))?,
            false => output::line(format_args!("{status} {answer}"))?,
        }
        match status {
            200..=299 => Ok(()),
            _ => bail!("the webhook was not accepted"),
        }
    }
}

impl Verify {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let loaded = self.config.load()?;
        let secrets = secrets(&loaded, &self.source, self.secret_env.as_ref())?;
        let mut headers = HeaderMap::new();
        for header in &self.headers {
            let (name, value) =
                header.split_once(':').ok_or_else(|| anyhow!("a header is written as 'name: value'"))?;
            headers.append(HeaderName::try_from(name.trim())?, HeaderValue::from_str(value.trim())?);
        }
        let body = read(&self.body)?;
        let ends_in_a_line_break = body.ends_with(b"\n");
        let source = app::webhook_source(&loaded.config, &self.source, &secrets)?;
        let path = self.path.unwrap_or_else(|| format!("/webhooks/{}", self.source));
        let raw = RawWebhook { headers, body: body.into(), path, address: None };
        let now = self.at.unwrap_or_else(|| Clock::system().now());
        let say = |text: String| if self.json { Ok(()) } else { output::line(text) };
        let print_json = |value: Value| if self.json { output::json(&value) } else { Ok(()) };
        let webhook = match source.verifier().verify(source.name(), &raw, now) {
            Ok(webhook) => webhook,
            Err(rejection) => {
                let form = source.verifier().form();
                print_json(json!({ "signature": rejection.to_string(), "good_one": form.to_string(), "status": 401 }))?;
                say(format!("signature: {rejection}"))?;
                say(format!("a good one: {form}"))?;
                if ends_in_a_line_break {
                    say("the body ends in a line break: was that sent, too?".to_owned())?;
                }
                bail!("this request is answered 401");
            }
        };
        say("signature: good".to_owned())?;
        match block_on(async { Ok(source.map(&webhook).await) })? {
            Mapped::NotNow { why } => bail!("the webhook could not be mapped: {why}"),
            Mapped::Skipped { why } => {
                print_json(json!({ "signature": "good", "status": 200, "skipped": true, "why": why }))?;
                say(format!("event: none; it is answered 200 and skipped: {why}"))
            }
            Mapped::Unmappable { kind, faults, .. } => {
                print_json(json!({ "signature": "good", "status": 422, "kind": kind, "faults": faults }))?;
                say(format!("event: {kind}, with members missing or wrong: {}", faults.join("; ")))?;
                bail!("this request is answered 422");
            }
            Mapped::Events { events, .. } => {
                let one = |event: &Event| json!({ "kind": event.kind(), "subject": event.subject() });
                let all: Vec<Value> = events.iter().map(one).collect();
                print_json(json!({ "signature": "good", "status": 200, "events": all }))?;
                events.iter().try_for_each(|event| say(format!("event: {} about {}", event.kind(), event.subject())))
            }
        }
    }
}
