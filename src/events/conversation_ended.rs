//! `conversation.ended`: what came of it goes to the customer's contact, with a note.

use async_trait::async_trait;

use super::{EventError, Handler, Work};
use crate::domain::{ContactFields, EndedConversation, Event, FieldName, FieldValue, Message, Speaker};

const KIND: &str = "conversation.ended";
/// Messages that a summary quotes at each end, and how much of each.
const QUOTED: usize = 2;
const QUOTED_CHARS_MAX: usize = 280;

pub(super) struct ConversationEnded;

#[async_trait]
impl Handler for ConversationEnded {
    fn kinds(&self) -> &'static [&'static str] {
        &[KIND]
    }

    async fn handle(&self, work: &Work<'_>, event: Event) -> Result<String, EventError> {
        let Event::Ended(ended) = event else { return Err(EventError::Unhandled) };
        let call = work.call(KIND, &ended.talk)?;
        let update = work.desk.update_contact(&call, fields(&ended)?, Some(summary(&ended))).await?;
        Ok(format!("contact:{}", update.contact_id))
    }
}

fn outcome(ended: &EndedConversation) -> &'static str {
    if ended.resolved { "resolved" } else { "unresolved" }
}

fn fields(ended: &EndedConversation) -> Result<ContactFields, EventError> {
    let mut fields = ContactFields::new();
    let mut set = |name: &str, value: &str| -> Result<(), EventError> {
        let name = FieldName::parse(name)?;
        let value = FieldValue::parse(&name, &cut(value, 255))?;
        fields.insert(name, value);
        Ok(())
    };
    set("last_chatbot_interaction", &ended.talk.at.to_string())?;
    set("chatbot_resolution_status", outcome(ended))?;
    if let Some(intent) = &ended.talk.intent {
        set("chatbot_detected_intent", intent)?;
    }
    Ok(fields)
}

/// The same conversation always gives the same note.
fn summary(ended: &EndedConversation) -> String {
    let talk = &ended.talk;
    let mut lines = vec![
        format!("Chatbot conversation {}, {}", talk.conversation, outcome(ended)),
        format!("Intent: {}", talk.intent.as_deref().unwrap_or("unknown")),
        format!("Messages: {}", talk.messages.len()),
    ];
    lines.extend(talk.duration_s.map(|seconds| format!("Duration: {seconds} s")));
    let quote = |message: &Message| {
        let speaker = if message.from == Speaker::Customer { "Customer" } else { "AI Agent" };
        format!("{speaker}: {}", cut(&message.text, QUOTED_CHARS_MAX))
    };
    if talk.messages.len() <= 2 * QUOTED {
        lines.extend(talk.messages.iter().map(quote));
    } else {
        lines.extend(talk.messages[..QUOTED].iter().map(quote));
        lines.push("…".to_owned());
        lines.extend(talk.messages[talk.messages.len() - QUOTED..].iter().map(quote));
    }
    FieldValue::harmless(&lines.join("\n"))
}

fn cut(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((at, _)) => format!("{}…", &text[..at]).chars().take(chars_max).collect(),
        None => text.to_owned(),
    }
}
