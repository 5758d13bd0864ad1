//! Events reported by chat platforms and content systems, in one form for every source.

use serde::{Deserialize, Serialize};

use super::{ArticleState, ConversationId, Email, Timestamp};

/// An event that has an effect here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum Event {
    /// A human agent shall take over the conversation.
    #[serde(rename = "conversation.escalated")]
    Escalated(Escalation),
    #[serde(rename = "conversation.ended")]
    Ended(EndedConversation),
    /// The state of a help article.
    #[serde(rename = "article.changed")]
    Article(ArticleState),
}

/// The conversation of an event and its customer, as stated by the platform that signed the webhook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConversationDetails {
    pub conversation: ConversationId,
    pub at: Timestamp,
    /// The platform's customer id, without a system.
    pub customer: String,
    pub email: Option<Email>,
    pub name: Option<String>,
    /// Whether the customer was signed in, so that id and address are verified: as the platform says, or else the
    /// default of the source ([`Event::set_default_verified`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<bool>,
    pub messages: Vec<Message>,
    pub intent: Option<String>,
    pub duration_s: Option<u64>,
    /// Names of members that could not be parsed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<String>,
}

impl ConversationDetails {
    /// The system of a customer whose id could not be parsed.
    pub const UNKNOWN_SYSTEM: &'static str = "unknown";

    /// Whether the customer is known.
    pub fn has_customer(&self) -> bool {
        self.customer.split_once(':').is_none_or(|(system, _)| system != Self::UNKNOWN_SYSTEM)
    }
}

/// A conversation that a human agent shall take over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Escalation {
    #[serde(flatten)]
    pub details: ConversationDetails,
    pub reason: String,
    /// 0 to 1; None if it could not be parsed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
}

/// A conversation that has ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EndedConversation {
    #[serde(flatten)]
    pub details: ConversationDetails,
    /// None if it could not be parsed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved: Option<bool>,
}

impl EndedConversation {
    /// The contact fields that the end of a conversation sets.
    pub const CONTACT_FIELDS: [&'static str; 3] =
        ["last_chatbot_interaction", "chatbot_resolution_status", "chatbot_detected_intent"];
}

/// One message of a transcript.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    pub from: Speaker,
    pub text: String,
}

/// The author of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Speaker {
    Customer,
    Assistant,
    /// The author could not be parsed.
    Unknown,
}

impl Event {
    /// The kind of articles' states.
    pub const ARTICLE: &'static str = "article.changed";
    /// Every kind of event.
    pub const KINDS: [&'static str; 3] = ["conversation.escalated", "conversation.ended", Self::ARTICLE];

    pub fn kind(&self) -> &'static str {
        match self {
            Self::Escalated(_) => "conversation.escalated",
            Self::Ended(_) => "conversation.ended",
            Self::Article(_) => Self::ARTICLE,
        }
    }

    /// The key for ordering: events with the same subject, a conversation or an article, are processed in order.
    pub fn subject(&self) -> String {
        match self {
            Self::Escalated(Escalation { details, .. }) | Self::Ended(EndedConversation { details, .. }) => {
                format!("conversation:{}", details.conversation)
            }
            Self::Article(state) => format!("article:{}", state.article),
        }
    }

    /// The conversation and its customer, for events of a conversation.
    pub fn details(&self) -> Option<&ConversationDetails> {
        match self {
            Self::Escalated(Escalation { details, .. }) | Self::Ended(EndedConversation { details, .. }) => {
                Some(details)
            }
            _ => None,
        }
    }

    /// Sets `verified` where the platform did not: `signed_in` is the default of the source.
    pub fn set_default_verified(&mut self, signed_in: bool) {
        if let Self::Escalated(Escalation { details, .. }) | Self::Ended(EndedConversation { details, .. }) = self {
            details.verified.get_or_insert(signed_in);
        }
    }

    /// The id of the conversation, for events of a conversation.
    pub fn conversation(&self) -> Option<&ConversationId> {
        self.details().map(|details| &details.conversation)
    }

    /// The customer's id as the platform sent it.
    pub fn customer(&self) -> Option<&str> {
        self.details().map(|details| details.customer.as_str())
    }

    /// Events of higher priority are processed first: for an escalation a customer is waiting.
    pub fn priority(&self) -> i64 {
        match self {
            Self::Escalated(_) => 1,
            _ => 0,
        }
    }
}
