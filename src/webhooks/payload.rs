//! Payloads of the native webhook format.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::domain::Level;

/// `POST /webhooks/escalation` and `/webhooks/chatbot`. Other members are ignored.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(title = "Chatbot event")]
pub struct ChatPayload<M = ChatMetadata> {
    /// conversation.escalated or conversation.ended; others are skipped.
    pub event: String,
    /// Time of the event, as RFC 3339.
    pub timestamp: String,
    pub data: ChatData<M>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChatData<M = ChatMetadata> {
    pub conversation_id: String,
    pub customer_id: String,
    pub customer_email: Option<String>,
    pub customer_name: Option<String>,
    /// Whether the customer was signed in; by default as webhooks.NAME.customers says.
    #[serde(default)]
    pub customer_verified: Option<bool>,
    pub messages: Vec<ChatMessage>,
    pub metadata: M,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct ChatMessage {
    pub role: Role,
    pub content: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    User,
    Assistant,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChatMetadata {
    /// conversation.escalated: confidence of the assistant, 0 to 1.
    pub agent_confidence: Option<f64>,
    /// conversation.escalated.
    pub escalation_reason: Option<String>,
    pub detected_intent: Option<String>,
    /// conversation.escalated.
    pub session_duration_seconds: Option<u64>,
    /// conversation.ended.
    pub resolved: Option<bool>,
    /// conversation.ended.
    pub duration_seconds: Option<u64>,
}

/// The payload of conversation.escalated.
pub type EscalatedPayload = ChatPayload<EscalatedMetadata>;

/// The payload of conversation.ended.
pub type EndedPayload = ChatPayload<EndedMetadata>;

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EscalatedMetadata {
    #[schemars(range(min = 0.0, max = 1.0))]
    pub agent_confidence: f64,
    pub escalation_reason: String,
    pub detected_intent: String,
    pub session_duration_seconds: Option<u64>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndedMetadata {
    pub resolved: bool,
    pub detected_intent: Option<String>,
    pub duration_seconds: Option<u64>,
}

/// `POST /webhooks/cms-update`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "CMS event")]
pub struct CmsPayload {
    pub article_id: String,
    /// published, updated or unpublished; others are skipped.
    pub action: String,
    /// published, updated: plain text or Markdown.
    pub content: Option<String>,
    /// published, updated.
    pub title: Option<String>,
    pub url: Option<String>,
    /// The language of this variant of the article, as de or de-AT, where it has several. unpublished without it takes
    /// all of them away.
    pub language: Option<String>,
    /// The CMS's time of the change, as RFC 3339. Without it the order of arrival counts.
    pub updated_at: Option<String>,
    /// The level from which customers may read it: anonymous (everybody, the default), otp or verified.
    pub audience: Option<Level>,
}
