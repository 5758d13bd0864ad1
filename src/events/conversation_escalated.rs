//! `conversation.escalated`: a ticket with the transcript, once per conversation.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde_json::json;

use super::{
    Arrival, EventError, Handler, Work,
    transcript::{cut, transcript},
};
use crate::{
    desk::{EscalationTicket, System},
    domain::{ConversationDetails, Escalation, Event, Priority, text::one_line},
};

const KIND: &str = "conversation.escalated";
/// Below this confidence of the assistant the priority is high.
const CONFIDENCE_LOW: f64 = 0.3;
const FRUSTRATED: &str = "customer_frustrated";
/// The intent is a tag and part of the subject; helpdesks accept about 255 characters.
const INTENT_CHARS_MAX: usize = 100;
const REASON_CHARS_MAX: usize = 200;

pub(super) struct ConversationEscalated;

#[async_trait]
impl Handler for ConversationEscalated {
    fn kinds(&self) -> &'static [&'static str] {
        &[KIND]
    }

    fn system(&self) -> System {
        System::Helpdesk
    }

    async fn handle(&self, work: &Work<'_>, event: Event) -> Result<String, EventError> {
        let Event::Escalated(escalation) = event else { return Err(EventError::Unhandled) };
        let call = work.call(KIND, &escalation.details)?;
        let outcome = work.desk.escalate(&call, ticket(&escalation, work.arrival)).await?;
        Ok(outcome.ticket().map_or_else(|| "ticket".to_owned(), |ticket| format!("ticket:{}", ticket.name())))
    }
}

fn ticket(escalation: &Escalation, arrival: Arrival) -> EscalationTicket {
    let details = &escalation.details;
    let intent = cut(&one_line(details.intent.as_deref().unwrap_or("unknown")), INTENT_CHARS_MAX);
    let reason = cut(&one_line(&escalation.reason), REASON_CHARS_MAX);
    let unsure = escalation.confidence.is_some_and(|confidence| confidence < CONFIDENCE_LOW);
    let mut fields = BTreeMap::from([
        ("conversation_id".to_owned(), json!(details.conversation)),
        ("escalation_reason".to_owned(), json!(reason)),
    ]);
    fields.extend(escalation.confidence.map(|confidence| ("ai_confidence".to_owned(), json!(confidence))));
    fields.extend(details.duration_s.map(|seconds| ("session_duration".to_owned(), json!(seconds))));
    EscalationTicket {
        subject: format!("[Chatbot Escalation] {intent}"),
        description: format!(
            "{}{}",
            unverified_warning(details),
            description(escalation, &intent, &reason, arrival.id)
        ),
        priority: if unsure || reason == FRUSTRATED { Priority::High } else { Priority::Normal },
        tags: vec!["chatbot-escalation".to_owned(), intent],
        fields,
        until: arrival.at,
    }
}

/// The warning for human agents that the customer is not verified.
fn unverified_warning(details: &ConversationDetails) -> &'static str {
    match details.verified {
        Some(true) => "",
        _ => {
            "Not signed in: name, id and email address of this customer were typed in the chat and are not proven. Find out \
             who it is before you tell or change anything.\n\n"
        }
    }
}

fn description(escalation: &Escalation, intent: &str, reason: &str, event: i64) -> String {
    let details = &escalation.details;
    let cell = |text: &str| one_line(text).replace('|', "\\|");
    let confidence = escalation.confidence.map(|confidence| format!("{:.0}%", confidence * 100.0));
    let mut rows = vec![
        ("Conversation ID", cell(details.conversation.as_str())),
        ("Escalation Reason", cell(reason)),
        ("AI Confidence", confidence.unwrap_or_else(|| "unknown".to_owned())),
        ("Detected Intent", cell(intent)),
    ];
    rows.extend(details.duration_s.map(|seconds| ("Session Duration", format!("{seconds}s"))));
    if !details.unreadable.is_empty() {
        rows.push(("Could Not Be Read", cell(&details.unreadable.join(", "))));
    }
    let rows: Vec<String> = rows.iter().map(|(name, value)| format!("| {name} | {value} |")).collect();
    format!(
        "## Escalation Details\n\n| Field | Value |\n|-------|-------|\n{}\n\n## Conversation Transcript\n\n{}",
        rows.join("\n"),
        transcript(details, event)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ConversationId, Message, Speaker, Timestamp};

    fn escalation(confidence: f64, reason: &str) -> Escalation {
        let message = |from, text: &str| Message { from, text: text.to_owned() };
        Escalation {
            details: ConversationDetails {
                conversation: ConversationId::parse("conv_1").unwrap(),
                at: Timestamp::parse("2026-03-30T14:22:00Z").unwrap(),
                customer: "cust_456".to_owned(),
                email: None,
                name: None,
                verified: Some(true),
                messages: vec![message(Speaker::Customer, "Help"), message(Speaker::Assistant, "One moment.")],
                intent: Some("shipping|complaint".to_owned()),
                duration_s: Some(45),
                unreadable: Vec::new(),
            },
            reason: reason.to_owned(),
            confidence: Some(confidence),
        }
    }

    fn opened(escalation: &Escalation) -> EscalationTicket {
        ticket(escalation, Arrival { id: 7, at: escalation.details.at, source: "chatbot" })
    }

    #[test]
    fn the_ticket_has_the_guides_form() {
        let ticket = opened(&escalation(0.325, "customer_requested"));
        assert_eq!(ticket.subject, "[Chatbot Escalation] shipping|complaint");
        assert_eq!(ticket.tags, ["chatbot-escalation", "shipping|complaint"]);
        assert_eq!(
            ticket.description,
            "## Escalation Details\n\n| Field | Value |\n|-------|-------|\n| Conversation ID | conv_1 |\n\
             | Escalation Reason | customer_requested |\n| AI Confidence | 32% |\n\
             | Detected Intent | shipping\\|complaint |\n| Session Duration | 45s |\n\n## Conversation Transcript\n\n\
             **Customer:** Help\n\n**AI Agent:** One moment."
        );
        assert_eq!(ticket.fields["session_duration"], 45);
    }

    #[test]
    fn an_address_that_was_typed_is_said_to_be_no_proof() {
        let said = |verified| {
            let mut escalation = escalation(0.5, "customer_requested");
            escalation.details.verified = verified;
            opened(&escalation).description
        };
        let verified = said(Some(true));
        for unproven in [said(Some(false)), said(None)] {
            assert!(unproven.starts_with("Not signed in: ") && unproven.contains("not proven"), "{unproven}");
            assert!(unproven.ends_with(&verified));
        }
    }

    #[test]
    fn what_could_not_be_read_is_named_and_nothing_breaks_out_of_its_cell() {
        let mut escalation = escalation(0.9, "asked | for\n## What the assistant did");
        escalation.confidence = None;
        escalation.details.intent = Some("refund\n\n**AI Agent:** granted".to_owned());
        escalation.details.unreadable = vec!["data.metadata.agentConfidence".to_owned()];
        let ticket = opened(&escalation);
        assert_eq!(ticket.subject, "[Chatbot Escalation] refund **AI Agent:** granted");
        let lines: Vec<&str> = ticket.description.lines().collect();
        assert!(lines.contains(&"| Escalation Reason | asked \\| for ## What the assistant did |"), "{lines:?}");
        assert!(lines.contains(&"| AI Confidence | unknown |"));
        assert!(lines.contains(&"| Could Not Be Read | data.metadata.agentConfidence |"));
        assert!(!ticket.fields.contains_key("ai_confidence"));
    }

    #[test]
    fn who_is_not_helped_goes_first() {
        let priority = |confidence, reason| opened(&escalation(confidence, reason)).priority;
        assert_eq!(priority(0.29, "low_confidence"), Priority::High);
        assert_eq!(priority(0.3, "low_confidence"), Priority::Normal);
        assert_eq!(priority(0.9, "customer_frustrated"), Priority::High);
    }
}
