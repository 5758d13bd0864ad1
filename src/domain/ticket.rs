//! Support tickets.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ConversationId, Customer, Link, OrderId, TicketId};

/// A ticket to be created. The requester is the customer of the call, never a person whom the agent names.
#[derive(Debug, Clone)]
pub struct NewTicket {
    pub requester: Customer,
    pub conversation: Option<ConversationId>,
    /// One line of plain text.
    pub subject: String,
    /// Plain text.
    pub description: String,
    pub priority: Priority,
    pub category: Option<String>,
    pub order_id: Option<OrderId>,
    pub tags: Vec<String>,
    /// Values of custom fields, by name.
    pub fields: BTreeMap<String, Value>,
}

/// An internal comment to be added to a ticket.
#[derive(Debug, Clone)]
pub struct Comment {
    /// Plain text.
    pub text: String,
    /// Raise the ticket's priority to this, if it is lower.
    pub priority: Option<Priority>,
}

/// A ticket in the helpdesk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// The id in the helpdesk's API.
    pub id: TicketId,
    /// The number that people see in the helpdesk, where it differs from the id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<TicketId>,
    pub status: TicketStatus,
    /// The page where the customer can follow the ticket, if the helpdesk has one.
    pub url: Option<Link>,
}

impl Ticket {
    /// The number, or else the id.
    pub fn name(&self) -> &TicketId {
        self.number.as_ref().unwrap_or(&self.id)
    }
}

/// The priority of a ticket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    Low,
    #[default]
    Normal,
    High,
    Urgent,
}

/// The status of a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TicketStatus {
    Open,
    Pending,
    Solved,
    Closed,
    Unknown,
}
