//! `conversation.ended`: writes the outcome of the conversation to the customer's contact, with a note.

use std::time::Duration;

use async_trait::async_trait;

use super::{
    EventError, Handler, Work,
    transcript::{cut, said, speaker},
};
use crate::{
    desk::{ContactUpdate, DeskError, PortError, PortErrorKind, System},
    domain::{ContactFields, EndedConversation, Event, FieldName, FieldValue, Message, Timestamp, text::one_line},
};

const KIND: &str = "conversation.ended";
/// Messages that a summary quotes from the beginning and from the end, and the longest quote.
const QUOTED: usize = 2;
const QUOTED_CHARS_MAX: usize = 280;
/// Accepted clock skew of a platform into the future.
const AHEAD_MAX: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) struct ConversationEnded;

#[async_trait]
impl Handler for ConversationEnded {
    fn kinds(&self) -> &'static [&'static str] {
        &[KIND]
    }

    fn system(&self) -> System {
        System::Crm
    }

    async fn handle(&self, work: &Work<'_>, event: Event) -> Result<String, EventError> {
        let Event::Ended(ended) = event else { return Err(EventError::Unhandled) };
        let details = &ended.details;
        if !details.has_customer() {
            return Ok(skipped("the customer's id could not be read"));
        }
        let Ok(call) = work.call(KIND, details) else { return Ok(skipped("the event names no usable customer")) };
        let verified = details.verified == Some(true);
        if !verified && details.email.is_none() {
            return Ok(skipped("the customer was not signed in, and no usable email address was typed"));
        }
        match work
            .desk
            .end_conversation(&call, fields(&ended)?, summary(&ended), order(details.at, work.arrival.at))
            .await
        {
            Ok(update) => Ok(receipt(&update, verified)),
            // A CRM that identifies contacts by email address has none for this visitor.
            Err(DeskError::Port(PortError { kind: PortErrorKind::EmailRequired, .. })) => {
                Ok(skipped("the CRM needs an email address, and the event has no usable one"))
            }
            // The fields are written; the next attempt only adds the note.
            Err(DeskError::Partly { error, .. }) => Err((*error).into()),
            Err(error) => Err(error.into()),
        }
    }
}

fn skipped(why: &str) -> String {
    format!("skipped: {why}")
}

/// The time by which the later of two conversations is found. It is capped, since a wrong clock would otherwise
/// supersede all later ones.
fn order(at: Timestamp, arrived: Timestamp) -> Timestamp {
    at.min(arrived.plus(AHEAD_MAX))
}

fn receipt(update: &ContactUpdate, verified: bool) -> String {
    let mut receipt = format!("contact:{}", update.contact_id);
    if !update.superseded.is_empty() {
        let fields: Vec<&str> = update.superseded.iter().map(FieldName::as_str).collect();
        receipt.push_str(&format!("; note alone: a later conversation has set {}", fields.join(", ")));
    }
    if !verified {
        receipt.push_str(
            "; not signed in: found by the typed address alone, the note says so, and its id, name, email and phone were left",
        );
    }
    receipt
}

fn outcome(ended: &EndedConversation) -> &'static str {
    match ended.resolved {
        Some(true) => "resolved",
        Some(false) => "unresolved",
        None => "unknown",
    }
}

fn fields(ended: &EndedConversation) -> Result<ContactFields, EventError> {
    let [interaction, resolution, intent] = EndedConversation::CONTACT_FIELDS;
    let set = [
        (interaction, Some(ended.details.at.to_string())),
        (resolution, ended.resolved.map(|_| outcome(ended).to_owned())),
        (intent, ended.details.intent.as_deref().map(one_line)),
    ];
    let mut fields = ContactFields::new();
    for (name, value) in set {
        let Some(value) = value else { continue };
        let name = FieldName::parse(name)?;
        let value = FieldValue::parse(&name, &cut(&value, 255))?;
        fields.insert(name, value);
    }
    Ok(fields)
}

/// The note. Depends only on the event, so that a retry writes the same one.
fn summary(ended: &EndedConversation) -> String {
    let details = &ended.details;
    // The beginning of the first line identifies the note of a conversation.
    let mut lines = vec![format!("Chatbot conversation {}, {}", details.conversation, outcome(ended))];
    if details.verified != Some(true) {
        lines.push("Not proven: the customer was not signed in, and typed this address in the chat.".to_owned());
    }
    lines.extend([
        format!("Intent: {}", one_line(details.intent.as_deref().unwrap_or("unknown"))),
        format!("Messages: {}", details.messages.len()),
    ]);
    lines.extend(details.duration_s.map(|seconds| format!("Duration: {seconds} s")));
    if !details.unreadable.is_empty() {
        lines.push(format!("Could not be read: {}", one_line(&details.unreadable.join(", "))));
    }
    let quote =
        |message: &Message| said(&format!("{}: ", speaker(message.from)), &cut(&message.text, QUOTED_CHARS_MAX));
    if details.messages.len() <= 2 * QUOTED {
        lines.extend(details.messages.iter().map(quote));
    } else {
        lines.extend(details.messages[..QUOTED].iter().map(quote));
        lines.push("…".to_owned());
        lines.extend(details.messages[details.messages.len() - QUOTED..].iter().map(quote));
    }
    FieldValue::harmless(&lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_ahead_outdoes_the_others_for_a_day_at_most() {
        let at = |text: &str| Timestamp::parse(text).unwrap();
        let arrived = at("2026-03-30T14:00:00Z");
        for (ended, counts) in [
            ("2026-03-30T13:00:00Z", "2026-03-30T13:00:00Z"),
            ("2026-03-30T20:00:00Z", "2026-03-30T20:00:00Z"),
            ("2999-01-01T00:00:00Z", "2026-03-31T14:00:00Z"),
        ] {
            assert_eq!(order(at(ended), arrived), at(counts));
        }
    }
}
