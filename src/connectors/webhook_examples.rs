//! Runs the webhook examples of a vendor file: captured bytes, and the events they map to.

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::{
    example_result::{ExampleResult, differs},
    file::VendorFile,
    threads::FilterThreads,
    webhook::{CompiledWebhook, WebhookSetup},
    webhook_file::{Skipped, WebhookExample},
};
use crate::{
    domain::{AllowedAddresses, Secret},
    webhooks::{Customers, DedupKey, Mapped, RawWebhook, Route},
};

/// Operation name of webhook examples in results.
const OPERATION: &str = "webhook";

pub(super) async fn run(file: &VendorFile, compiled: &CompiledWebhook, threads: &FilterThreads) -> Vec<ExampleResult> {
    let mut results = Vec::new();
    for example in &file.webhook_examples {
        let failure = run_one(file, compiled, threads, example).await.err();
        let (example, operation) = (example.name.clone(), OPERATION.to_owned());
        results.push(ExampleResult { example, operation, failure, notes: Vec::new() });
    }
    results
}

pub(super) async fn run_one(
    file: &VendorFile,
    compiled: &CompiledWebhook,
    threads: &FilterThreads,
    example: &WebhookExample,
) -> Result<(), String> {
    let secrets: Vec<Secret> = example.secrets.iter().cloned().map(Secret::new).collect();
    let setup =
        WebhookSetup { name: &file.name, connector: &file.name, secrets: &secrets, settings: &example.settings };
    let source = compiled.source(file, threads, &setup).map_err(|(key, why)| format!("{key} {why}"))?;
    let mut headers = HeaderMap::new();
    for (name, value) in &example.headers {
        let parsed = HeaderName::try_from(name).ok().zip(HeaderValue::from_str(value).ok());
        let (name, value) = parsed.ok_or_else(|| format!("headers.{name} is not a header"))?;
        headers.append(name, value);
    }
    let path = example.path.clone().unwrap_or_else(|| format!("/webhooks/{}", file.name));
    let raw = RawWebhook { headers, body: example.body.clone().into(), path, address: None };
    let route = Route {
        source: Box::new(source),
        allowed: AllowedAddresses::default(),
        customers: Customers::default(),
        body_bytes_max: None,
    };
    match (route.is_handshake(&raw), example.handshake) {
        (true, true) => return Ok(()),
        (false, true) => return Err("expected a handshake, and it is none".to_owned()),
        (true, false) => return Err("it is a handshake".to_owned()),
        (false, false) => {}
    }
    let source = route.source;
    let webhook = match (source.verifier().verify(source.name(), &raw, example.at), &example.rejected) {
        (Err(rejection), Some(check)) if rejection.check() == check => return Ok(()),
        (Err(rejection), _) => return Err(format!("rejected ({}): {rejection}", rejection.check())),
        (Ok(_), Some(check)) => return Err(format!("expected the rejection {check}, and its signature is good")),
        (Ok(webhook), None) => webhook,
    };
    let mapped = source.map(&webhook).await;
    if let (Skipped::Because(part), Mapped::Skipped { why }) = (&example.skipped, &mapped)
        && !why.contains(part.as_str())
    {
        return Err(format!("expected that it is skipped for a reason with {part:?}, got {why:?}"));
    }
    let got = describe(mapped);
    let expected = match (&example.events, example.skipped.is_expected(), &example.unmappable) {
        (Some(events), false, None) => json!({ "events": events.0, "unmappable": null }),
        (Some(events), false, Some(faults)) => json!({ "events": events.0, "unmappable": faults }),
        (None, true, None) => json!("skipped"),
        (None, false, Some(faults)) => json!({ "unmappable": faults }),
        _ => return Err("write one of events (with unmappable, where some cannot be mapped), skipped, unmappable, rejected and handshake".to_owned()),
    };
    if let Some(why) = differs("the delivery", &expected, &got) {
        return Err(why);
    }
    match &example.identity {
        Some(identity) if got["identity"] != **identity => {
            Err(format!("expected the identity {identity}, got {}", got["identity"]))
        }
        _ => Ok(()),
    }
}

fn describe(mapped: Mapped) -> Value {
    match mapped {
        Mapped::Skipped { .. } => json!("skipped"),
        Mapped::Unmappable { faults, .. } => json!({ "unmappable": faults }),
        Mapped::NotNow { why } => json!({ "not now": why }),
        Mapped::Events {
            dedup_key: DedupKey::Unique(identity) | DedupKey::Latest(identity), events, faults, ..
        } => {
            let mut described = json!({ "identity": identity, "events": events });
            if !faults.is_empty() {
                described["unmappable"] = faults.into();
            }
            described
        }
    }
}
