//! Native webhook format: the sources `escalation`, `chatbot` (both kinds of conversation events) and `cms-update`.

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{
    Compared, DedupKey, Mapped, Source, VerifiedWebhook, Verifier, checks,
    json::{self, Read},
    payload::CmsPayload,
    reader::{self, Form},
    samples::{ENDED, ESCALATED, PUBLISHED},
    scheme::{Encoding, Hash, HmacScheme, Scheme, SchemeError, SecretForm},
    skip::skipped_kind,
};
use crate::domain::{
    ArticleContent, ArticleId, ArticleMark, ArticleState, ConversationId, Event, Invalid, Language, Level, Link,
    Secret, Timestamp,
};

/// Longest timestamp that is part of a deduplication key.
const TIME_CHARS_MAX: usize = 64;
const SIGNATURE_HEADER: &str = "x-webhook-signature";

/// The three native sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NativeKind {
    Escalation,
    Chatbot,
    CmsUpdate,
}

/// A source that sends the native format.
pub struct NativeSource {
    name: String,
    kind: NativeKind,
    verifier: Verifier,
}

impl NativeSource {
    pub const ALL: [NativeKind; 3] = [NativeKind::Escalation, NativeKind::Chatbot, NativeKind::CmsUpdate];

    /// A source named `name`, as in `/webhooks/{name}`.
    pub fn new(name: &str, kind: NativeKind, secrets: &[Secret]) -> Result<Self, SchemeError> {
        let scheme = Scheme::Hmac(HmacScheme {
            header: SIGNATURE_HEADER.to_owned(),
            hash: Hash::Sha256,
            encoding: Encoding::Hex,
            part: None,
            prefix: String::new(),
            several: false,
            signs: "{body}".to_owned(),
            id: None,
            timestamp: None,
            secret: SecretForm::Text,
        });
        Ok(Self { name: name.to_owned(), kind, verifier: Verifier::new(&scheme, secrets)? })
    }
}

impl NativeKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Escalation => "escalation",
            Self::Chatbot => "chatbot",
            Self::CmsUpdate => "cms-update",
        }
    }
}

#[async_trait]
impl Source for NativeSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    fn escalates(&self) -> bool {
        self.kind != NativeKind::CmsUpdate
    }

    fn reports_articles(&self) -> bool {
        self.kind == NativeKind::CmsUpdate
    }

    fn sample(&self) -> Option<Vec<u8>> {
        let sample = match self.kind {
            NativeKind::Escalation => ESCALATED,
            NativeKind::Chatbot => ENDED,
            NativeKind::CmsUpdate => PUBLISHED,
        };
        Some(sample.as_bytes().to_vec())
    }

    fn skip_reason(&self) -> Option<&'static str> {
        Some("Unhandled event type")
    }

    async fn map(&self, webhook: &VerifiedWebhook) -> Mapped {
        match self.kind {
            NativeKind::Escalation => chat(webhook, &["conversation.escalated"]),
            NativeKind::Chatbot => chat(webhook, &["conversation.escalated", "conversation.ended"]),
            NativeKind::CmsUpdate => cms(&webhook.body),
        }
    }
}

/// Parses a payload. The error is a fault without values.
fn read<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_path_to_error::deserialize(value).map_err(checks::placed)
}

fn no_json() -> Mapped {
    Mapped::Unmappable {
        kind: "unknown".to_owned(),
        faults: vec!["the body is not a JSON object".to_owned()],
        dedup_key: None,
    }
}

fn chat(webhook: &VerifiedWebhook, handled: &[&str]) -> Mapped {
    let Some(root) = json::read(&webhook.body).map(|read| read.value).filter(Value::is_object) else {
        return no_json();
    };
    let kind = root.get("event").and_then(Value::as_str).unwrap_or_default();
    if !handled.contains(&kind) {
        return Mapped::Skipped { why: skipped_kind("event", kind) };
    }
    let event = match reader::conversation(&root, Form::Native, kind, webhook.received_at()) {
        Ok(event) => event,
        Err(faults) => return Mapped::Unmappable { kind: kind.to_owned(), faults, dedup_key: None },
    };
    let conversation = event.conversation().map(ConversationId::as_str).unwrap_or_default();
    let dedup_key =
        match root.get("timestamp").and_then(Value::as_str).filter(|at| !at.is_empty() && at.len() <= TIME_CHARS_MAX) {
            Some(at) => format!("{kind}:{conversation}:{at}"),
            // Without a timestamp, the hash of the body is the key.
            None => {
                let hash: String = webhook.body_hash().iter().map(|octet| format!("{octet:02x}")).collect();
                format!("{kind}:{conversation}:sha256-{hash}")
            }
        };
    Mapped::Events {
        acknowledgement: json!({ "received": true, "conversationId": conversation }),
        dedup_key: DedupKey::Unique(dedup_key),
        events: vec![event],
        compared: Compared::Body,
        faults: Vec::new(),
    }
}

/// The parsed value; otherwise adds a fault.
fn good<T>(member: &str, parsed: Result<T, Invalid>, faults: &mut Vec<String>) -> Option<T> {
    parsed.map_err(|invalid| faults.push(format!("{member}: {}", invalid.why))).ok()
}

fn needed<T>(member: &str, value: Option<T>, faults: &mut Vec<String>) -> Option<T> {
    if value.is_none() {
        faults.push(format!("{member}: is missing"));
    }
    value
}

/// A visible article has to be complete: any fault makes the webhook unmappable.
fn cms(body: &[u8]) -> Mapped {
    let Some(Read { value, damaged }) = json::read(body).filter(|read| read.value.is_object()) else {
        return no_json();
    };
    let action = value.get("action").and_then(Value::as_str).unwrap_or_default().to_owned();
    if !["published", "updated", "unpublished"].contains(&action.as_str()) {
        return Mapped::Skipped { why: skipped_kind("action", &action) };
    }
    let visible = action != "unpublished";
    let payload: CmsPayload = match read(value) {
        Ok(payload) => payload,
        Err(fault) => {
            return Mapped::Unmappable { kind: Event::ARTICLE.to_owned(), faults: vec![fault], dedup_key: None };
        }
    };
    let mut faults = Vec::new();
    if damaged && visible {
        faults.push("the body: something of it cannot be kept".to_owned());
    }
    match state(payload, visible, &mut faults) {
        Some(state) if faults.is_empty() => {
            let event = Event::Article(state);
            Mapped::Events {
                dedup_key: DedupKey::Latest(event.subject()),
                events: vec![event],
                acknowledgement: json!({ "received": true }),
                compared: Compared::Body,
                faults: Vec::new(),
            }
        }
        _ => Mapped::Unmappable { kind: Event::ARTICLE.to_owned(), faults, dedup_key: None },
    }
}

fn state(payload: CmsPayload, visible: bool, faults: &mut Vec<String>) -> Option<ArticleState> {
    let article = good("articleId", ArticleId::parse(&payload.article_id), faults);
    let language = payload.language.as_deref().filter(|tag| !tag.is_empty()).map(Language::parse).transpose();
    let variant = good("language", language, faults);
    let changed = payload.updated_at.as_deref().filter(|at| !at.is_empty()).map(Timestamp::parse).transpose();
    let version = good("updatedAt", changed, faults);
    let content = match visible {
        true => Some(content(payload, faults)?),
        false => None,
    };
    Some(ArticleState {
        article: article?,
        variant: variant?,
        variants: None,
        version: version?.map(ArticleMark::Time),
        content,
    })
}

fn content(payload: CmsPayload, faults: &mut Vec<String>) -> Option<ArticleContent> {
    let title = needed("title", payload.title.filter(|title| !title.trim().is_empty()), faults);
    faults.extend(title.as_deref().and_then(checks::title).map(|why| format!("title: {why}")));
    let body = needed("content", payload.content, faults);
    let url = payload.url.as_deref().filter(|url| !url.is_empty()).map(Link::parse).transpose();
    let url = good("url", url, faults);
    let audience = payload.audience.unwrap_or(Level::Anonymous);
    Some(ArticleContent { title: title?, body: body?, url: url?, audience })
}
