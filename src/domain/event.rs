//! What chat platforms and content systems report, in one form whoever sent it.

use serde::{Deserialize, Serialize};

use super::{ArticleId, ConversationId, Email, Link, Timestamp};

/// Something that happened elsewhere and has to have an effect here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum Event {
    /// A person is to take over.
    #[serde(rename = "conversation.escalated")]
    Escalated(Escalation),
    #[serde(rename = "conversation.ended")]
    Ended(EndedConversation),
    #[serde(rename = "article.published")]
    ArticlePublished(ArticleText),
    #[serde(rename = "article.updated")]
    ArticleUpdated(ArticleText),
    #[serde(rename = "article.unpublished")]
    ArticleUnpublished {
        article: ArticleId,
        /// When it was, if the CMS says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        changed_at: Option<Timestamp>,
    },
}

/// Whose conversation it was, as the platform that signed it says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Talk {
    pub conversation: ConversationId,
    pub at: Timestamp,
    /// The platform's customer id, without a system.
    pub customer: String,
    pub email: Option<Email>,
    pub name: Option<String>,
    /// Whether the customer had signed in, so that id and address are proven: as the platform says, or else by what its
    /// source is trusted with ([`Event::settle_proof`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<bool>,
    pub messages: Vec<Message>,
    pub intent: Option<String>,
    pub duration_s: Option<u64>,
    /// Members that could not be read, by their names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<String>,
}

impl Talk {
    /// The system of a customer whose id could not be read.
    pub const NOBODY: &'static str = "unknown";

    /// Whether it is known whose conversation it was.
    pub fn has_customer(&self) -> bool {
        self.customer.split_once(':').is_none_or(|(system, _)| system != Self::NOBODY)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Escalation {
    #[serde(flatten)]
    pub talk: Talk,
    pub reason: String,
    /// 0 to 1, if it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EndedConversation {
    #[serde(flatten)]
    pub talk: Talk,
    /// None: it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved: Option<bool>,
}

impl EndedConversation {
    /// Every field of a contact that the end of a conversation sets.
    pub const CONTACT_FIELDS: [&'static str; 3] =
        ["last_chatbot_interaction", "chatbot_resolution_status", "chatbot_detected_intent"];
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    pub from: Speaker,
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Speaker {
    Customer,
    Assistant,
    /// Whose words they are could not be read.
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArticleText {
    pub article: ArticleId,
    pub title: String,
    pub body: String,
    pub url: Option<Link>,
    /// When it was changed, if the CMS says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_at: Option<Timestamp>,
}

impl Event {
    /// Every kind there is.
    pub const KINDS: [&'static str; 5] =
        ["conversation.escalated", "conversation.ended", "article.published", "article.updated", "article.unpublished"];

    pub fn kind(&self) -> &'static str {
        match self {
            Self::Escalated(_) => "conversation.escalated",
            Self::Ended(_) => "conversation.ended",
            Self::ArticlePublished(_) => "article.published",
            Self::ArticleUpdated(_) => "article.updated",
            Self::ArticleUnpublished { .. } => "article.unpublished",
        }
    }

    /// What happens to one of these happens in order: a conversation, or an article.
    pub fn subject(&self) -> String {
        match self {
            Self::Escalated(Escalation { talk, .. }) | Self::Ended(EndedConversation { talk, .. }) => {
                format!("conversation:{}", talk.conversation)
            }
            Self::ArticlePublished(text) | Self::ArticleUpdated(text) => format!("article:{}", text.article),
            Self::ArticleUnpublished { article, .. } => format!("article:{article}"),
        }
    }

    /// The conversation that it is about.
    pub fn talk(&self) -> Option<&Talk> {
        match self {
            Self::Escalated(Escalation { talk, .. }) | Self::Ended(EndedConversation { talk, .. }) => Some(talk),
            _ => None,
        }
    }

    /// Where the platform does not say whether the customer had signed in: whether that source's customers have.
    pub fn settle_proof(&mut self, signed_in: bool) {
        if let Self::Escalated(Escalation { talk, .. }) | Self::Ended(EndedConversation { talk, .. }) = self {
            talk.verified.get_or_insert(signed_in);
        }
    }

    pub fn conversation(&self) -> Option<&ConversationId> {
        self.talk().map(|talk| &talk.conversation)
    }

    /// The customer that it is about, as the platform names them.
    pub fn customer(&self) -> Option<&str> {
        self.talk().map(|talk| talk.customer.as_str())
    }

    /// A higher one is worked off first: somebody is waiting.
    pub fn priority(&self) -> i64 {
        match self {
            Self::Escalated(_) => 1,
            _ => 0,
        }
    }
}
