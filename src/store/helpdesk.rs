//! The embedded helpdesk.

use async_trait::async_trait;
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::{Store, StoreError};
use crate::{
    desk::{Created, Helpdesk, PortError, PortErrorKind, Settlement, System},
    domain::{Comment, EffectId, NewTicket, Priority, Ticket, TicketId, TicketStatus, Timestamp},
};

/// The first ticket is T-1001.
const NUMBER_BASE: i64 = 1000;

#[async_trait]
impl Helpdesk for Store {
    async fn create_ticket(&self, ticket: &NewTicket, effect: &EffectId) -> Result<Created<Ticket>, PortError> {
        let (ticket, effect, now) = (ticket.clone(), effect.clone(), self.clock.now());
        self.write(move |transaction| insert(transaction, &ticket, &effect, now))
            .await
            .map_err(|error| error.of(System::Helpdesk))
    }

    async fn find_ticket(&self, effect: &EffectId) -> Result<Option<Ticket>, PortError> {
        self.read(|connection| {
            connection
                .prepare_cached("SELECT n, status FROM tickets WHERE effect = ?1")?
                .query_and_then([effect.as_str()], read)?
                .next()
                .transpose()
        })
        .map_err(|error| error.of(System::Helpdesk))
    }

    async fn add_comment(&self, ticket: &TicketId, comment: &Comment, effect: &EffectId) -> Result<(), PortError> {
        let (number, comment, effect, now) = (number(ticket), comment.clone(), effect.clone(), self.clock.now());
        let added = self
            .write(move |transaction| add_comment(transaction, number, &comment, &effect, now))
            .await
            .map_err(|error| error.of(System::Helpdesk))?;
        match added {
            true => Ok(()),
            false => Err(PortError::new(System::Helpdesk, PortErrorKind::Closed, "the ticket is closed or not there")),
        }
    }

    fn raises_priority(&self) -> bool {
        true
    }

    fn settlement(&self) -> Settlement {
        Settlement::Unique
    }

    fn comment_settlement(&self) -> Settlement {
        Settlement::Unique
    }
}

/// The row number of a ticket id; none for an id that this helpdesk did not issue.
pub(super) fn number(ticket: &TicketId) -> Option<i64> {
    let number: i64 = ticket.as_str().strip_prefix("T-")?.parse().ok()?;
    number.checked_sub(NUMBER_BASE)
}

/// Adds a comment once per effect; false if the ticket is closed or does not exist. A solved or pending ticket is
/// reopened, so that staff see the comment.
fn add_comment(
    transaction: &Transaction<'_>,
    ticket: Option<i64>,
    comment: &Comment,
    effect: &EffectId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let known = transaction.prepare_cached("SELECT 1 FROM comments WHERE effect = ?1")?.exists([effect.as_str()])?;
    if known {
        return Ok(true);
    }
    let found: Option<String> = transaction
        .prepare_cached("SELECT priority FROM tickets WHERE n = ?1 AND status <> 'closed'")?
        .query_row([ticket], |row| row.get(0))
        .optional()?;
    let Some(priority) = found else { return Ok(false) };
    transaction
        .prepare_cached(
            "INSERT INTO comments (effect, ticket, text, at, customer_hash, conversation_hash)
             SELECT ?1, ?2, ?3, ?4, max(customer_hash), max(conversation_hash) FROM ledger WHERE effect = ?1",
        )?
        .execute(params![effect.as_str(), ticket, comment.text, now.unix_ms()])?;
    let raised = comment.priority.filter(|wanted| *wanted > priority_of(&priority)).map(priority_word);
    transaction
        .prepare_cached(
            "UPDATE tickets SET priority = coalesce(?2, priority),
                 status = CASE status WHEN 'solved' THEN 'open' WHEN 'pending' THEN 'open' ELSE status END
             WHERE n = ?1",
        )?
        .execute(params![ticket, raised])?;
    Ok(true)
}

/// Inserts a ticket once per effect: a repeat returns the existing ticket.
fn insert(
    transaction: &Transaction<'_>,
    ticket: &NewTicket,
    effect: &EffectId,
    now: Timestamp,
) -> Result<Created<Ticket>, StoreError> {
    let requester = &ticket.requester;
    let fresh = transaction
        .prepare_cached(
            "INSERT INTO tickets (effect, customer, email, name, conversation, subject, description, priority, category,
                 order_number, created_at, tags, fields)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) ON CONFLICT (effect) DO NOTHING",
        )?
        .execute(params![
            effect.as_str(),
            requester.id.to_string(),
            requester.address().map(|email| email.as_str()),
            requester.name,
            ticket.conversation.as_ref().map(|id| id.as_str()),
            ticket.subject,
            ticket.description,
            priority_word(ticket.priority),
            ticket.category,
            ticket.order_id.as_ref().map(|id| id.number()),
            now.unix_ms(),
            serde_json::to_string(&ticket.tags)?,
            serde_json::to_string(&ticket.fields)?,
        ])?
        == 1;
    let record = transaction
        .prepare_cached("SELECT n, status FROM tickets WHERE effect = ?1")?
        .query_and_then([effect.as_str()], read)?
        .next()
        .unwrap_or(Err(rusqlite::Error::QueryReturnedNoRows.into()))?;
    Ok(Created { record, fresh })
}

/// The ticket id of a row.
pub(super) fn id(number: i64) -> Result<TicketId, StoreError> {
    Ok(TicketId::parse(&format!("T-{}", NUMBER_BASE + number))?)
}

fn read(row: &Row<'_>) -> Result<Ticket, StoreError> {
    let id = id(row.get(0)?)?;
    let status = match row.get_ref(1)?.as_str().unwrap_or_default() {
        "open" => TicketStatus::Open,
        "pending" => TicketStatus::Pending,
        "solved" => TicketStatus::Solved,
        "closed" => TicketStatus::Closed,
        _ => TicketStatus::Unknown,
    };
    Ok(Ticket { id, number: None, status, url: None })
}

pub(super) fn priority_of(word: &str) -> Priority {
    match word {
        "low" => Priority::Low,
        "high" => Priority::High,
        "urgent" => Priority::Urgent,
        _ => Priority::Normal,
    }
}

pub(super) fn priority_word(priority: Priority) -> &'static str {
    match priority {
        Priority::Low => "low",
        Priority::Normal => "normal",
        Priority::High => "high",
        Priority::Urgent => "urgent",
    }
}
