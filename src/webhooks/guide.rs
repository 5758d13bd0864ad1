//! The guide's three sources: escalations, all chatbot events, and changes of help articles.

use async_trait::async_trait;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    Compared, Identity, Mapped, Source, VerifiedWebhook, Verifier,
    checks::{self, fault},
    payload::{ChatPayload, CmsPayload, Role},
    samples::sample,
    scheme::{Encoding, Hash, HmacScheme, Scheme, SchemeError, SecretForm},
};
use crate::domain::{
    ArticleId, ArticleText, ConversationId, Email, EndedConversation, Escalation, Event, Invalid, Link, Message,
    Secret, Speaker, Talk, Timestamp,
};

const SIGNATURE_HEADER: &str = "x-webhook-signature";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuideKind {
    Escalation,
    Chatbot,
    CmsUpdate,
}

/// One of the three.
pub struct Guide {
    name: String,
    kind: GuideKind,
    verifier: Verifier,
}

impl Guide {
    pub const ALL: [GuideKind; 3] = [GuideKind::Escalation, GuideKind::Chatbot, GuideKind::CmsUpdate];

    /// A source named `name`, as in `/webhooks/{name}`.
    pub fn new(name: &str, kind: GuideKind, secrets: &[Secret]) -> Result<Self, SchemeError> {
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

impl GuideKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Escalation => "escalation",
            Self::Chatbot => "chatbot",
            Self::CmsUpdate => "cms-update",
        }
    }
}

#[async_trait]
impl Source for Guide {
    fn name(&self) -> &str {
        &self.name
    }

    fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    fn sample(&self) -> Option<Vec<u8>> {
        Some(sample(self.kind).as_bytes().to_vec())
    }

    async fn map(&self, webhook: &VerifiedWebhook) -> Mapped {
        match self.kind {
            GuideKind::Escalation => chat(&webhook.body, &["conversation.escalated"]),
            GuideKind::Chatbot => chat(&webhook.body, &["conversation.escalated", "conversation.ended"]),
            GuideKind::CmsUpdate => cms(&webhook.body),
        }
    }
}

/// As much as tells whether an event is one of ours at all.
#[derive(Deserialize)]
struct Head {
    event: Option<Value>,
    action: Option<Value>,
}

/// The error is the fault.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_slice(body)).map_err(|error| {
        let path = error.path().to_string();
        let why = fault(&error.into_inner()).unwrap_or_else(|| "cannot be read".to_owned());
        if path == "." { why } else { format!("{path}: {why}") }
    })
}

fn head(body: &[u8]) -> Option<Head> {
    serde_json::from_slice(body).ok()
}

fn no_json() -> Mapped {
    Mapped::Unmappable {
        kind: "unknown".to_owned(),
        faults: vec!["the body is not a JSON object".to_owned()],
        identity: None,
    }
}

fn chat(body: &[u8], handled: &[&str]) -> Mapped {
    let kind = match head(body) {
        Some(head) => head.event.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned(),
        None => return no_json(),
    };
    if !handled.contains(&kind.as_str()) {
        return Mapped::Skipped;
    }
    let payload: ChatPayload = match read(body) {
        Ok(payload) => payload,
        Err(fault) => return Mapped::Unmappable { kind, faults: vec![fault], identity: None },
    };
    let mut faults = Vec::new();
    let identity = format!("{kind}:{}:{}", payload.data.conversation_id, payload.timestamp);
    let event = match kind.as_str() {
        "conversation.escalated" => escalation(payload, &mut faults).map(Event::Escalated),
        _ => ended(payload, &mut faults).map(Event::Ended),
    };
    match event {
        Some(event) if faults.is_empty() => Mapped::Events {
            acknowledgement: json!({
                "received": true, "conversationId": event.conversation().map(ConversationId::as_str),
            }),
            identity: Identity::Unique(identity),
            events: vec![event],
            compared: Compared::Body,
        },
        _ => Mapped::Unmappable { kind, faults, identity: None },
    }
}

/// Notes a fault, and gives what is good.
fn good<T>(member: &str, parsed: Result<T, Invalid>, faults: &mut Vec<String>) -> Option<T> {
    parsed.map_err(|invalid| faults.push(format!("{member}: {}", invalid.why))).ok()
}

fn needed<T>(member: &str, value: Option<T>, faults: &mut Vec<String>) -> Option<T> {
    if value.is_none() {
        faults.push(format!("{member}: is missing"));
    }
    value
}

fn talk(payload: &ChatPayload, duration_s: Option<u64>, faults: &mut Vec<String>) -> Option<Talk> {
    let data = &payload.data;
    let conversation = good("data.conversationId", ConversationId::parse(&data.conversation_id), faults);
    let at = good("timestamp", Timestamp::parse(&payload.timestamp), faults);
    let email = data.customer_email.as_deref().filter(|email| !email.is_empty()).map(Email::parse).transpose();
    let email = good("data.customerEmail", email, faults);
    faults.extend(checks::customer(&data.customer_id).map(|why| format!("data.customerId: {why}")));
    faults.extend(checks::messages(data.messages.len()).map(|why| format!("data.messages: {why}")));
    let messages = data.messages.iter().map(|message| Message {
        from: match message.role {
            Role::User => Speaker::Customer,
            Role::Assistant => Speaker::Assistant,
        },
        text: message.content.clone(),
    });
    Some(Talk {
        conversation: conversation?,
        at: at?,
        customer: data.customer_id.clone(),
        email: email?,
        name: data.customer_name.clone().filter(|name| !name.is_empty()),
        verified: data.customer_verified,
        messages: messages.collect(),
        intent: data.metadata.detected_intent.clone().filter(|intent| !intent.is_empty()),
        duration_s,
    })
}

fn escalation(payload: ChatPayload, faults: &mut Vec<String>) -> Option<Escalation> {
    let metadata = &payload.data.metadata;
    let confidence = needed("data.metadata.agentConfidence", metadata.agent_confidence, faults);
    let wrong = confidence.and_then(checks::confidence);
    faults.extend(wrong.map(|why| format!("data.metadata.agentConfidence: {why}")));
    let reason = needed("data.metadata.escalationReason", metadata.escalation_reason.clone(), faults);
    needed("data.metadata.detectedIntent", metadata.detected_intent.as_ref(), faults);
    let talk = talk(&payload, metadata.session_duration_seconds, faults);
    Some(Escalation { talk: talk?, reason: reason?, confidence: confidence? })
}

fn ended(payload: ChatPayload, faults: &mut Vec<String>) -> Option<EndedConversation> {
    let metadata = &payload.data.metadata;
    let resolved = needed("data.metadata.resolved", metadata.resolved, faults);
    let talk = talk(&payload, metadata.duration_seconds, faults);
    Some(EndedConversation { talk: talk?, resolved: resolved? })
}

fn cms(body: &[u8]) -> Mapped {
    let action = match head(body) {
        Some(head) => head.action.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned(),
        None => return no_json(),
    };
    if !["published", "updated", "unpublished"].contains(&action.as_str()) {
        return Mapped::Skipped;
    }
    let kind = format!("article.{action}");
    let payload: CmsPayload = match read(body) {
        Ok(payload) => payload,
        Err(fault) => return Mapped::Unmappable { kind, faults: vec![fault], identity: None },
    };
    let mut faults = Vec::new();
    let article = good("articleId", ArticleId::parse(&payload.article_id), &mut faults);
    let event = match action.as_str() {
        "unpublished" => article.map(|article| Event::ArticleUnpublished { article, changed_at: None }),
        _ => text(article, payload, &mut faults).map(|text| match action.as_str() {
            "published" => Event::ArticlePublished(text),
            _ => Event::ArticleUpdated(text),
        }),
    };
    match event {
        Some(event) if faults.is_empty() => Mapped::Events {
            identity: Identity::Latest(event.subject()),
            events: vec![event],
            acknowledgement: json!({ "received": true }),
            compared: Compared::Body,
        },
        _ => Mapped::Unmappable { kind, faults, identity: None },
    }
}

fn text(article: Option<ArticleId>, payload: CmsPayload, faults: &mut Vec<String>) -> Option<ArticleText> {
    let title = needed("title", payload.title.filter(|title| !title.trim().is_empty()), faults);
    faults.extend(title.as_deref().and_then(checks::title).map(|why| format!("title: {why}")));
    let body = needed("content", payload.content, faults);
    let url = payload.url.as_deref().filter(|url| !url.is_empty()).map(Link::parse).transpose();
    let url = good("url", url, faults);
    Some(ArticleText { article: article?, title: title?, body: body?, url: url?, changed_at: None })
}
