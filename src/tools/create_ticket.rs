//! `create_ticket`: opens a ticket for the staff, once per request.

use std::fmt;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    Options,
    error::{RegistryError, ToolError},
    lookup_order::LookupOrder,
    refused::Code,
    schema,
    tool::{Hints, Tool},
};
use crate::{
    desk::{Call, Desk, DeskError, TicketOutcome, TicketRequest},
    domain::{Level, OrderId, Priority, Scope, TicketStatus, text::one_line},
};

/// For an order that does not exist or is not provably the customer's. A ticket needs no order.
const NO_ORDER: &str = "No order with this number can be shown for this customer, so no ticket was opened. Call create_ticket \
    again without order_id, and write the number that the customer gave into the description.";

const WITHOUT_ORDER: &str = "To open the ticket now, call create_ticket again without order_id.";

pub(super) struct CreateTicket {
    order_id_pattern: String,
    /// Naming an order requires the level of seeing one.
    order_level: Level,
}

impl CreateTicket {
    pub(super) fn new(options: &Options) -> Result<Self, RegistryError> {
        Ok(Self {
            order_id_pattern: options.order_id_pattern.clone(),
            order_level: options.levels.get(LookupOrder::NAME).copied().unwrap_or(LookupOrder::LEVEL),
        })
    }
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct Input {
    /// The matter in one line.
    #[schemars(length(min = 1, max = 200))]
    subject: String,
    /// What happened, what the customer wants, what you tried; plain text.
    #[schemars(length(min = 1, max = 10_000))]
    description: String,
    /// low, normal, high (customer is blocked) or urgent (harm is imminent); usually empty.
    priority: Option<Priority>,
    /// One word to sort by, as returns; or empty.
    #[schemars(length(max = 64))]
    category: Option<String>,
    /// The order it is about; else empty.
    #[schemars(with = "Option<String>")]
    order_id: Option<OrderId>,
}

// What became of the request.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Opened,
    Repeated,
    Added,
    Accepted,
}

// The ticket. None yet if the outcome is `accepted`.
#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    #[serde(skip_serializing_if = "Option::is_none")]
    ticket_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<TicketStatus>,
    // Where the customer can follow the ticket.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    outcome: Outcome,
    // True if outcome is opened.
    created: bool,
}

#[async_trait]
impl Tool for CreateTicket {
    const NAME: &'static str = "create_ticket";
    const TITLE: &'static str = "Create support ticket";
    const DESCRIPTION: &'static str = "Open a support ticket, or add to the one that the conversation has, so that a \
        person takes over. Use it when the customer asks for a human, or the other tools have no answer. Do not use it for \
        what lookup_order can answer. Tell the customer the ticket_id. Repeats are safe.";
    const HINTS: Hints = Hints { read_only: false, destructive: false, idempotent: true, open_world: false };
    const LEVEL: Level = Level::Anonymous;
    const SCOPE: Scope = Scope::TicketsWrite;
    const TAKES_KEY: bool = true;

    type Input = Input;
    type Output = Output;

    fn refine(&self, input_schema: &mut Map<String, Value>) {
        schema::set_pattern(input_schema, "order_id", &self.order_id_pattern);
    }

    /// Removes the default priority, and the # of an order number.
    fn canonical(&self, arguments: &mut Map<String, Value>) {
        if arguments.get("priority").is_some_and(|priority| priority == "normal") {
            arguments.remove("priority");
        }
        if let Some(Value::String(id)) = arguments.get_mut("order_id")
            && id.starts_with('#')
        {
            id.remove(0);
        }
    }

    async fn call(&self, desk: &Desk, call: &Call, input: Input) -> Result<Output, ToolError> {
        let names_order = input.order_id.is_some();
        if names_order && call.caller.customer().is_none_or(|customer| customer.reached() < self.order_level) {
            return Err(ToolError::step_up_at(desk, self.order_level).or(WITHOUT_ORDER));
        }
        // A one-time code is worth nothing where seeing the order takes a sign-in.
        let without_code = (names_order && self.order_level == Level::Verified).then(|| call.without_code());
        let call = without_code.as_ref().unwrap_or(call);
        let request = TicketRequest {
            // A line break in a subject would start a header in systems that turn tickets into mail.
            subject: one_line(&input.subject),
            description: input.description,
            priority: input.priority.unwrap_or_default(),
            category: input.category.as_deref().map(one_line),
            order_id: input.order_id,
        };
        let outcome = desk.open_ticket(call, request).await.map_err(|error| match error {
            DeskError::NotFound => ToolError::refused(Code::NotFound, NO_ORDER),
            other => other.into(),
        })?;
        let ticket = outcome.ticket();
        Ok(Output {
            ticket_id: ticket.map(|ticket| ticket.name().to_string()),
            status: ticket.map(|ticket| ticket.status),
            url: ticket.and_then(|ticket| ticket.url.as_ref()).map(|url| url.to_string()),
            created: matches!(outcome, TicketOutcome::Opened(_)),
            outcome: match outcome {
                TicketOutcome::Opened(_) => Outcome::Opened,
                TicketOutcome::Repeated(_) => Outcome::Repeated,
                TicketOutcome::Added(_) => Outcome::Added,
                TicketOutcome::Accepted => Outcome::Accepted,
            },
        })
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.ticket_id.as_deref().unwrap_or_default();
        match (self.outcome, self.status.unwrap_or(TicketStatus::Unknown)) {
            (Outcome::Opened, TicketStatus::Open) => write!(f, "Ticket {id} is open.")?,
            (Outcome::Opened, TicketStatus::Pending) => write!(f, "Ticket {id} has been opened and is pending.")?,
            (Outcome::Opened, TicketStatus::Solved) => write!(f, "Ticket {id} has been opened and is solved already.")?,
            (Outcome::Opened, TicketStatus::Closed) => write!(f, "Ticket {id} has been opened and is closed already.")?,
            (Outcome::Opened, TicketStatus::Unknown) => {
                write!(f, "Ticket {id} has been opened. Where it stands is not known.")?
            }
            (Outcome::Repeated, _) => {
                write!(f, "This request is with ticket {id} already; it has not been made a second time.")?
            }
            (Outcome::Added, _) => {
                write!(f, "The request has been added to ticket {id}, which this conversation has already.")?
            }
            (Outcome::Accepted, _) => f.write_str(
                "The helpdesk cannot take it right now. The request is taken down and becomes a ticket later; there is \
                 no ticket number yet, so tell the customer of none. To learn it, repeat the same call later.",
            )?,
        }
        match &self.url {
            Some(url) => write!(f, " It can be followed at {url}"),
            None => Ok(()),
        }
    }
}
