//! Support tickets.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ConversationId, Customer, Link, OrderId, TicketId};

/// A ticket that is wanted. The requester is the customer of the call, never somebody the agent names.
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
    /// Further facts by name, for custom fields.
    pub fields: BTreeMap<String, Value>,
}

/// Something to add to a ticket, for the people who work on it.
#[derive(Debug, Clone)]
pub struct Comment {
    /// Plain text.
    pub text: String,
    /// What the ticket's priority is raised to, if it is lower.
    pub priority: Option<Priority>,
}

/// A ticket as the helpdesk keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// By which the helpdesk's API knows it.
    pub id: TicketId,
    /// The number that people see in the helpdesk, where it is not the id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<TicketId>,
    pub status: TicketStatus,
    /// Where the customer can follow it, if the helpdesk has such a page.
    pub url: Option<Link>,
}

impl Ticket {
    /// What people call it.
    pub fn name(&self) -> &TicketId {
        self.number.as_ref().unwrap_or(&self.id)
    }
}

/// How urgent a ticket is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    Low,
    #[default]
    Normal,
    High,
    Urgent,
}

/// Where a ticket stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TicketStatus {
    Open,
    Pending,
    Solved,
    Closed,
    Unknown,
}
