//! Webhook source of a vendor file: a signature scheme, and filters from the body to events.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jaq_json::Val;
use serde_json::{Value, json};

use super::{
    build::ConnectorError,
    compile_error::CompileError,
    file::VendorFile,
    filter::{Filter, FilterCompiler, FilterScope, to_val},
    library::{Library, LibraryError},
    outputs, skip,
    threads::FilterThreads,
    vendor,
};
use crate::{
    domain::{ArticleState, Event, Secret},
    webhooks::{
        Compared, DedupKey, Handshake, Mapped, NO_EVENT, PING, Read, Source, VerifiedWebhook, Verifier, read_event,
        read_json,
    },
};

/// Most events in one delivery. A CMS may report as many articles as a body holds.
const EVENTS_MAX: usize = 10_000;
const IDENTITY_CHARS_MAX: usize = 512;

/// A configured webhook source of a vendor.
pub struct WebhookSource {
    name: String,
    verifier: Verifier,
    events: Filter,
    identity: Option<Filter>,
    varies: bool,
    text_chars_max: Option<usize>,
    settings: Val,
    threads: FilterThreads,
    sample: Option<Vec<u8>>,
    handshakes: Vec<Handshake>,
    escalates: bool,
    articles: bool,
}

/// Configuration of a source.
pub struct WebhookSetup<'a> {
    /// Name in `/webhooks/{name}`.
    pub name: &'a str,
    pub connector: &'a str,
    pub secrets: &'a [Secret],
    pub settings: &'a BTreeMap<String, Value>,
}

impl WebhookSource {
    /// Compiles the webhook section of a vendor file.
    pub fn build(library: &Library, threads: &FilterThreads, setup: &WebhookSetup<'_>) -> Result<Self, ConnectorError> {
        let wrong =
            |key: &str, why: String| ConnectorError::Webhook { name: setup.name.to_owned(), key: key.to_owned(), why };
        let file = library.parse(setup.connector).map_err(|error| match error {
            LibraryError::Unknown { .. } => wrong("connector", error.to_string()),
            other => other.into(),
        })?;
        library.finished(&file.name)?;
        if file.webhook.is_none() {
            return Err(wrong("connector", format!("{} sends no webhooks that are understood here", file.name)));
        }
        let compiled = compile(&file)
            .map_err(|source| ConnectorError::Compile { file: library.place(&file.name, &source), source })?;
        compiled.source(&file, threads, setup).map_err(|(key, why)| wrong(&key, why))
    }
}

/// The compiled webhook section.
pub(super) struct CompiledWebhook {
    events: Filter,
    identity: Option<Filter>,
}

pub(super) fn compile(file: &VendorFile) -> Result<CompiledWebhook, CompileError> {
    let value = |key: &str, why: String| CompileError::Value { key: format!("webhook.{key}"), why };
    let Some(section) = &file.webhook else { return Err(value("events", "is missing".to_owned())) };
    Verifier::new(&section.signature, &[]).map_err(|error| value("signature", error.to_string()))?;
    for (name, setting) in &section.settings {
        if setting.required && setting.default.is_some() {
            return Err(value(&format!("settings.{name}"), "is required or has a default, not both".to_owned()));
        }
    }
    let compiler = FilterCompiler::new(&file.definitions)
        .map_err(|source| CompileError::Filter { key: "definitions".to_owned(), source })?;
    let filter = |key: &str, code: &str| {
        compiler.compile(code).map_err(|source| CompileError::Filter { key: format!("webhook.{key}"), source })
    };
    if let Some(unknown) =
        outputs::parse(&section.events).and_then(|term| outputs::unknown_member(&term, outputs::EVENT))
    {
        let known: Vec<&str> = outputs::EVENT.iter().map(|(name, _)| *name).collect();
        let why = format!("gives {unknown}, which is no member of an event; they are {}", known.join(", "));
        return Err(value("events", why));
    }
    // An error in one member leaves the others readable: the reader reports it, and an article that misses one is
    // refused.
    let events = compiler.compile_shielded(&section.events);
    let events = events.map_err(|source| CompileError::Filter { key: "webhook.events".to_owned(), source })?;
    let identity = section.identity.as_ref().map(|code| filter("identity", code)).transpose()?;
    Ok(CompiledWebhook { events, identity })
}

impl CompiledWebhook {
    /// Builds the source. The error is a key of the source's options and what is wrong with it.
    pub(super) fn source(
        &self,
        file: &VendorFile,
        threads: &FilterThreads,
        setup: &WebhookSetup<'_>,
    ) -> Result<WebhookSource, (String, String)> {
        let Some(section) = &file.webhook else { return Err(("connector".to_owned(), "has no webhooks".to_owned())) };
        let settings = vendor::settings(&section.settings, &file.name, setup.settings)
            .map_err(|(key, why)| (format!("settings.{key}"), why))?;
        let verifier = Verifier::new(&section.signature, setup.secrets)
            .map_err(|error| ("secrets".to_owned(), error.to_string()))?;
        let reports = |kind: &str| [&section.events, &file.definitions].iter().any(|code| code.contains(kind));
        let sample = file.webhook_examples.iter().find(|example| example.events.is_some());
        Ok(WebhookSource {
            name: setup.name.to_owned(),
            verifier,
            events: self.events.clone(),
            identity: self.identity.clone(),
            varies: section.varies,
            text_chars_max: section.text_chars_max,
            settings: to_val(&settings),
            threads: threads.clone(),
            escalates: reports("conversation.escalated"),
            articles: reports("visible") || reports("article."),
            sample: sample.map(|example| example.body.clone().into_bytes()),
            handshakes: section.handshakes.clone(),
        })
    }
}

#[async_trait]
impl Source for WebhookSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    fn escalates(&self) -> bool {
        self.escalates
    }

    fn reports_articles(&self) -> bool {
        self.articles
    }

    fn sample(&self) -> Option<Vec<u8>> {
        self.sample.clone()
    }

    fn handshakes(&self) -> &[Handshake] {
        &self.handshakes
    }

    async fn map(&self, webhook: &VerifiedWebhook) -> Mapped {
        // A signed ping.
        if webhook.body().trim_ascii().is_empty() {
            return Mapped::Skipped { why: PING.to_owned() };
        }
        let unmappable = |why: &str| Mapped::Unmappable {
            kind: "unknown".to_owned(),
            faults: vec![why.to_owned()],
            dedup_key: None,
        };
        let Some(Read { value: mut body, damaged }) = read_json(webhook.body()) else {
            return unmappable("the body is not JSON");
        };
        if let Some(chars_max) = self.text_chars_max {
            cut(&mut body, chars_max);
        }
        let signed = webhook.signed();
        let input = json!({ "id": signed.id, "timestamp": signed.timestamp, "headers": signed.headers });
        let scope = FilterScope {
            dot: to_val(&body),
            variables: [to_val(&input), self.settings.clone(), to_val(&json!([])), Val::Null],
        };
        let (events, identity) = (self.events.clone(), self.identity.clone());
        let run = move || {
            let events = events.run(&scope)?;
            // A delivery without events needs no identity.
            let none = matches!(&events, None | Some(Value::Null)) || events == Some(json!([]));
            let identity = match &identity {
                Some(filter) if !none => filter.run(&scope).ok().flatten(),
                _ => None,
            };
            Ok((events, identity))
        };
        match self.threads.run(run).await {
            Ok((None | Some(Value::Null), _)) => Mapped::Skipped { why: NO_EVENT.to_owned() },
            Ok((Some(Value::Array(events)), identity)) => {
                // Their places are those that the filter gave, since faults name them.
                let several = events.len() > 1;
                let (skips, events): (Vec<_>, Vec<_>) =
                    events.into_iter().enumerate().partition(|(_, event)| skip::is_skip(event));
                let why = skip::why(skips.iter().map(|(_, skip)| skip));
                if events.is_empty() {
                    return Mapped::Skipped { why };
                }
                if !skips.is_empty() {
                    tracing::info!(source = self.name, reason = why, "a part of a webhook is skipped");
                }
                self.mapped(webhook, damaged, (several, events), identity)
            }
            Ok((Some(skip), _)) if skip::is_skip(&skip) => Mapped::Skipped { why: skip::why([&skip].into_iter()) },
            Ok(_) => unmappable("the events filter gave no list"),
            Err(error) if error.is_not_now() => Mapped::NotNow { why: error.to_string() },
            Err(error) => unmappable(&format!("events: {error}")),
        }
    }
}

/// Truncates every string and marks the cut with `…`.
fn cut(value: &mut Value, chars_max: usize) {
    match value {
        Value::String(text) => {
            if let Some((end, _)) = text.char_indices().nth(chars_max) {
                text.truncate(end);
                text.push('…');
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| cut(item, chars_max)),
        Value::Object(members) => members.values_mut().for_each(|member| cut(member, chars_max)),
        _ => {}
    }
}

impl WebhookSource {
    /// Reads the events, each with its place, and whether the filter gave several.
    fn mapped(
        &self,
        webhook: &VerifiedWebhook,
        damaged: bool,
        (several, events): (bool, Vec<(usize, Value)>),
        identity: Option<Value>,
    ) -> Mapped {
        let kind = events.first().map_or("unknown", |(_, event)| kind_of(event)).to_owned();
        let unmappable = |why: &str| Mapped::Unmappable { kind, faults: vec![why.to_owned()], dedup_key: None };
        if events.len() > EVENTS_MAX {
            return unmappable("holds too many events");
        }
        let identity = match identity {
            Some(Value::String(text)) if !text.is_empty() && text.chars().count() <= IDENTITY_CHARS_MAX => Some(text),
            _ => None,
        };
        let arrived = webhook.received_at();
        let (mut read, mut faults, mut faulty) = (Vec::new(), Vec::new(), None);
        for (n, event) in events {
            let reasons = reasons(&event);
            let result = read_event(event, arrived).and_then(|event| match &event {
                // A truncated article is never published.
                Event::Article(ArticleState { content: Some(_), .. }) if damaged => {
                    Err((Event::ARTICLE.to_owned(), vec!["the body: something of it cannot be kept".to_owned()]))
                }
                _ => Ok(event),
            });
            match result {
                Ok(event) => read.push(event),
                Err((kind, whys)) => {
                    faulty.get_or_insert(kind);
                    let whys = if reasons.is_empty() { whys } else { reasons };
                    faults.extend(whys.into_iter().map(|why| if several { format!("events[{n}] {why}") } else { why }));
                }
            }
        }
        let by_body = || format!("sha256-{}", hex(&webhook.body_hash()));
        match faulty {
            Some(kind) if read.is_empty() => {
                Mapped::Unmappable { kind, faults, dedup_key: Some(identity.unwrap_or_else(by_body)) }
            }
            _ => Mapped::Events {
                dedup_key: match (identity, states(&read)) {
                    (Some(identity), _) => DedupKey::Unique(identity),
                    (None, Some(subject)) => DedupKey::Latest(subject),
                    (None, None) => DedupKey::Unique(by_body()),
                },
                events: read,
                acknowledgement: json!({ "received": true }),
                compared: if self.varies { Compared::Events } else { Compared::Body },
                faults,
            },
        }
    }
}

/// Why members of an event could not be made, where that is known.
fn reasons(event: &Value) -> Vec<String> {
    let members = event.as_object().into_iter().flatten();
    members.filter_map(|(name, value)| Some(format!("{name}: {}", outputs::reason(value)?))).collect()
}

/// The subject of a delivery that holds only states of articles with a version. They may be taken over again without
/// harm, so only a repeat of the last one is left out: the same deletion may happen twice.
fn states(events: &[Event]) -> Option<String> {
    let mut subject = String::new();
    for event in events {
        let Event::Article(ArticleState { version: Some(_), article, .. }) = event else { return None };
        subject.push_str(&format!("article:{article} "));
    }
    Some(subject.trim_end().to_owned())
}

/// The kind of an event as a filter gives it; a state of an article says none.
fn kind_of(event: &Value) -> &str {
    let kind = event.get("kind").and_then(Value::as_str);
    match kind {
        Some(kind) if !kind.starts_with("article.") => kind,
        None if event.get("article").is_none() => "unknown",
        _ => Event::ARTICLE,
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
