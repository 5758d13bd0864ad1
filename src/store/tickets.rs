//! Tickets of the embedded helpdesk, listed for operators.

use rusqlite::{Row, params};
use serde::Serialize;

use super::{Store, StoreError, helpdesk};
use crate::domain::{TicketId, Timestamp};

/// A ticket with its comments, for display.
#[derive(Debug, Clone, Serialize)]
pub struct StoredTicket {
    pub id: TicketId,
    pub created_at: Timestamp,
    pub status: String,
    pub priority: String,
    pub subject: String,
    /// `system:id`
    pub customer: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<String>,
    pub tags: Vec<String>,
    pub description: String,
    pub comments: Vec<String>,
}

impl Store {
    /// The newest tickets, newest first, or the one with this id.
    pub async fn tickets(&self, id: Option<&TicketId>, limit: u32) -> Result<Vec<StoredTicket>, StoreError> {
        // -1 matches no row: the id is not of this helpdesk.
        let number = id.map(|id| helpdesk::number(id).unwrap_or(-1));
        self.read_slow(move |connection| {
            let mut tickets = connection
                .prepare_cached(
                    "SELECT n, created_at, status, priority, subject, customer, email, conversation, order_number, tags,
                         description
                     FROM tickets WHERE ?1 IS NULL OR n = ?1 ORDER BY n DESC LIMIT ?2",
                )?
                .query_and_then(params![number, limit], read)?
                .collect::<Result<Vec<_>, _>>()?;
            let mut comments = connection.prepare_cached("SELECT text FROM comments WHERE ticket = ?1 ORDER BY n")?;
            for ticket in &mut tickets {
                let number = helpdesk::number(&ticket.id);
                ticket.comments = comments.query_map([number], |row| row.get(0))?.collect::<Result<_, _>>()?;
            }
            Ok(tickets)
        })
        .await
    }
}

fn read(row: &Row<'_>) -> Result<StoredTicket, StoreError> {
    let tags: String = row.get(9)?;
    Ok(StoredTicket {
        id: helpdesk::id(row.get(0)?)?,
        created_at: Timestamp::from_unix_ms(row.get(1)?)?,
        status: row.get(2)?,
        priority: row.get(3)?,
        subject: row.get(4)?,
        customer: row.get(5)?,
        email: row.get(6)?,
        conversation: row.get(7)?,
        order_id: row.get(8)?,
        tags: serde_json::from_str(&tags)?,
        description: row.get(10)?,
        comments: Vec::new(),
    })
}
