//! Writes a real delivery as a webhook example with made-up values, and only if that example maps to the same.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    file::VendorFile,
    record::RecordError,
    redact::Redactor,
    threads::FilterThreads,
    toml_text::{block, quoted},
    vendor,
    webhook::{self, CompiledWebhook, WebhookSetup},
    webhook_examples,
    webhook_file::WebhookExample,
};
use crate::{
    domain::{Event, Secret, Timestamp},
    webhooks::{Mapped, RawWebhook, Source},
};

/// Attempts with other made-up values.
const ATTEMPTS: usize = 8;
/// Secrets of examples, one for each form. They sign nothing else.
const SECRETS: [&str; 2] = ["an-example-secret", "whsec_YW4tZXhhbXBsZS1zZWNyZXQ"];
const ID: &str = "msg_example";
/// The made-up time of arrival.
const AT: &str = "2026-01-01T12:00:00Z";

/// A delivery as it came.
pub struct Captured<'a> {
    /// Name of the example.
    pub name: &'a str,
    pub body: &'a str,
    /// The settings of its source.
    pub settings: &'a BTreeMap<String, Value>,
    pub saw: Saw,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Saw {
    /// Kinds of events; of articles whether they are visible.
    Events(Vec<(String, Option<bool>)>),
    /// The reason.
    Skipped(String),
    /// The faults.
    Unmappable(Vec<String>),
}

/// The delivery as a `[[webhook_examples]]` entry of the vendor file `text`.
pub async fn record_webhook(text: &str, captured: Captured<'_>) -> Result<String, RecordError> {
    let wrong = |why: String| RecordError::File(why.into());
    let file = VendorFile::parse(text).map_err(wrong)?;
    let compiled = webhook::compile(&file).map_err(|source| RecordError::File(Box::new(source)))?;
    let body: Value = serde_json::from_str(captured.body)
        .map_err(|_| RecordError::Differs("its body is not JSON, whose values could be replaced".to_owned()))?;
    let threads = FilterThreads::start(&file.name);
    let signer = Signer::new(&file, &compiled, &threads, captured.settings).map_err(wrong)?;
    let declared = file.webhook.as_ref().map(|section| &section.settings);
    let kept = declared.map(|declared| vendor::settings(declared, &file.name, captured.settings)).transpose();
    let kept = kept.map_err(|(key, why)| wrong(format!("settings.{key} {why}")))?.unwrap_or_default();
    let mut why = String::new();
    for _ in 0..ATTEMPTS {
        match attempt(&file, &signer, &captured, &body, &kept).await {
            Ok(example) => {
                check(&file, &compiled, &threads, &example).await.map_err(RecordError::Differs)?;
                return Ok(example);
            }
            Err(differs) => why = differs,
        }
    }
    Err(RecordError::Differs(why))
}

/// The source with a made-up secret.
struct Signer {
    secret: &'static str,
    source: super::WebhookSource,
}

impl Signer {
    fn new(
        file: &VendorFile,
        compiled: &CompiledWebhook,
        threads: &FilterThreads,
        settings: &BTreeMap<String, Value>,
    ) -> Result<Self, String> {
        let mut why = String::new();
        for secret in SECRETS {
            let secrets = [Secret::new(secret.to_owned())];
            let setup = WebhookSetup { name: &file.name, connector: &file.name, secrets: &secrets, settings };
            match compiled.source(file, threads, &setup) {
                Ok(source) => return Ok(Self { secret, source }),
                Err((key, wrong)) => why = format!("{key} {wrong}"),
            }
        }
        Err(why)
    }
}

async fn attempt(
    file: &VendorFile,
    signer: &Signer,
    captured: &Captured<'_>,
    body: &Value,
    settings: &Value,
) -> Result<String, String> {
    let mut redactor = Redactor::new(file, [settings]);
    redactor.see(body);
    let made_up = redactor.value(body);
    let text = made_up.to_string();
    let at = Timestamp::parse(AT).map_err(|invalid| invalid.to_string())?;
    let path = format!("/webhooks/{}", file.name);
    let headers = signer.source.verifier().sign(&path, ID, text.as_bytes(), at);
    let raw = RawWebhook { headers: headers.clone(), body: text.clone().into(), path, address: None };
    let webhook = signer.source.verifier().verify(&file.name, &raw, at);
    let webhook = webhook.map_err(|rejection| format!("it cannot be signed again: {rejection}"))?;
    let (saw, expected) = match signer.source.map(&webhook).await {
        Mapped::Events { events, faults, .. } => {
            let written = json!(events);
            let mut lines = vec![format!("events = {}", block(&written.to_string()))];
            if !faults.is_empty() {
                lines.push(format!("unmappable = {}", toml::Value::from(faults)));
            }
            (Saw::Events(events.iter().map(kind).collect()), (lines, Some(written)))
        }
        Mapped::Skipped { why } => {
            let line = format!("skipped = {}", quoted(&why));
            (Saw::Skipped(why), (vec![line], None))
        }
        Mapped::Unmappable { faults, .. } => {
            let line = format!("unmappable = {}", toml::Value::from(faults.clone()));
            (Saw::Unmappable(faults), (vec![line], None))
        }
        Mapped::NotNow { why } => return Err(why),
    };
    if saw != captured.saw {
        return Err(
            "with made-up values, or without headers that the vendor signs, it maps to something else".to_owned()
        );
    }
    let (expected, events) = expected;
    // A file's own reason may quote the body.
    let said = match &saw {
        Saw::Events(_) => Value::Null,
        Saw::Skipped(why) => json!(why),
        Saw::Unmappable(faults) => json!(faults),
    };
    let shown = [Some(made_up), events, Some(said)];
    if let Some(left) = shown.iter().flatten().find_map(|value| redactor.left_in(value)) {
        return Err(format!("{left:?} of the real delivery would have been left in the example"));
    }
    let mut lines = vec!["[[webhook_examples]]".to_owned(), format!("name = {}", quoted(captured.name))];
    for (name, value) in captured.settings {
        if let Ok(value) = toml::Value::try_from(value) {
            lines.push(format!("settings.{} = {value}", quoted(name)));
        }
    }
    lines.push(format!("secrets = [{}]", quoted(signer.secret)));
    lines.push(format!("at = {}", quoted(AT)));
    lines.extend(expected);
    lines.push(format!("body = {}", block(&text)));
    lines.push("\n[webhook_examples.headers]".to_owned());
    for (name, value) in &headers {
        lines.push(format!("{name} = {}", quoted(value.to_str().unwrap_or_default())));
    }
    Ok(lines.join("\n") + "\n")
}

fn kind(event: &Event) -> (String, Option<bool>) {
    let visible = match event {
        Event::Article(state) => Some(state.content.is_some()),
        Event::Escalated(_) | Event::Ended(_) => None,
    };
    (event.kind().to_owned(), visible)
}

/// Whether the example passes as it is written.
async fn check(
    file: &VendorFile,
    compiled: &CompiledWebhook,
    threads: &FilterThreads,
    text: &str,
) -> Result<(), String> {
    #[derive(Deserialize)]
    struct Entries {
        webhook_examples: Vec<WebhookExample>,
    }
    let entries: Entries = toml::from_str(text).map_err(|error| error.message().to_owned())?;
    for entry in &entries.webhook_examples {
        webhook_examples::run_one(file, compiled, threads, entry).await?;
    }
    Ok(())
}
