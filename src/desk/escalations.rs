//! Escalated conversations: one ticket per conversation.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    AuditFilter, Call, Desk, DeskError, StoredAudit, TicketOutcome, Verdict, ports::customer, target::Urgency,
    tickets::Submission,
};
use crate::domain::{NewTicket, Priority, Timestamp};

/// Most audit lines that are added to the handoff.
const HANDOFF_LINES_MAX: u32 = 50;

/// The ticket of an escalation.
#[derive(Debug, Clone)]
pub struct EscalationTicket {
    pub subject: String,
    pub description: String,
    pub priority: Priority,
    pub tags: Vec<String>,
    pub fields: BTreeMap<String, Value>,
    /// The handoff lists the agent's actions until this time, so that a retry sends the same text.
    pub until: Timestamp,
}

impl Desk {
    /// Opens the ticket of an escalated conversation, or comments on the one that it has.
    pub async fn escalate(&self, call: &Call, request: EscalationTicket) -> Result<TicketOutcome, DeskError> {
        let requester = customer(&call.caller)?.clone();
        let conversation = call.caller.conversation.clone().ok_or(DeskError::NotFound)?;
        let description = format!("{}{}", request.description, self.handoff(call, request.until).await?);
        let comment = description.clone();
        let ticket = NewTicket {
            requester,
            conversation: Some(conversation),
            subject: request.subject,
            description,
            priority: request.priority,
            category: None,
            order_id: None,
            tags: request.tags,
            fields: request.fields,
        };
        // The transcript belongs to the existing ticket, even if its priority cannot be raised.
        self.submit(call, &Submission { ticket, comment, urgency: Urgency::Wished(request.priority), fallback: true })
            .await
    }

    /// The agent's actions for this customer in this conversation, from the audit.
    async fn handoff(&self, call: &Call, until: Timestamp) -> Result<String, DeskError> {
        let filter = AuditFilter {
            conversation: call.caller.conversation.clone(),
            customers: call.caller.customer().map(|customer| customer.id.clone()).into_iter().collect(),
            until: Some(until),
            limit: HANDOFF_LINES_MAX,
            ..AuditFilter::default()
        };
        let records = self.audit.read(&filter).await?;
        let lines: Vec<String> = records.iter().rev().filter(|record| record.tool != call.tool).map(line).collect();
        Ok(match lines.is_empty() {
            true => String::new(),
            false => format!("\n\n## What the assistant did\n\n{}", lines.join("\n")),
        })
    }
}

fn line(record: &StoredAudit) -> String {
    let verdict = match record.verdict {
        Verdict::Allowed => "",
        Verdict::Absent | Verdict::Foreign | Verdict::GuestUnproven => ": not found for this customer",
        Verdict::StepUp => ": the customer had to prove more of who they are",
        Verdict::InvalidArguments => ": with arguments that were not accepted",
        Verdict::InDoubt => ": it is not known whether it was done",
        _ => ": it was not done",
    };
    // The audit has contacts as hashes, which are meaningless to staff.
    let named = record.objects.iter().map(|object| if object.starts_with("contact:") { "contact" } else { object });
    let objects = named.collect::<Vec<_>>().join(", ");
    let objects = if objects.is_empty() { objects } else { format!(" {objects}") };
    let line = format!("- {} {}{objects}{verdict}", record.at, record.tool);
    // A vendor's id must not form a heading or another message.
    let is_break = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    line.split(is_break).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}
