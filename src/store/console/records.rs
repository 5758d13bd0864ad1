//! Pages of events, dead letters by cause, calls by minute. Each query looks at so many rows at most.

use std::hash::{DefaultHasher, Hash, Hasher};

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params, types::Value};

use super::DENIED;
use crate::{
    console::{CallMinute, CauseGroup, CauseKey, ConsoleError, ConversationPage, EventPage, EventQuery, Records},
    domain::Timestamp,
    identity::agents::StoredToken,
    inbox::EventState,
    store::{
        Store, StoreError,
        events::{COLUMNS, stored},
    },
};

/// Events that one page looks at, whatever its filter.
const SCANNED_MAX: u32 = 20_000;
/// Dead letters that are grouped, and calls that are counted: the newest.
const GROUPED_MAX: u32 = 50_000;
const COUNTED_MAX: u32 = 200_000;
const GROUPS_MAX: u32 = 100;
/// The id of an event's cause: a hash of source, kind, error and doubt, each told from the next.
const CAUSE: &str = "substr(keyed_hash(json_array(source, kind, error, in_doubt)), 1, 16)";

#[async_trait]
impl Records for Store {
    async fn version(&self) -> Result<u64, ConsoleError> {
        Ok(self
            .read_slow(|connection| {
                let mut hash = DefaultHasher::new();
                let last = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = ?1), 0)";
                let mut statement = connection.prepare_cached(last)?;
                for table in ["audit", "events"] {
                    statement.query_row([table], |row| row.get::<_, i64>(0))?.hash(&mut hash);
                }
                let mut statement = connection.prepare_cached("SELECT state, n FROM event_counts ORDER BY state")?;
                let mut rows = statement.query([])?;
                while let Some(row) = rows.next()? {
                    (row.get::<_, String>(0)?, row.get::<_, i64>(1)?).hash(&mut hash);
                }
                Ok(hash.finish())
            })
            .await?)
    }

    async fn calls(&self, since: Timestamp) -> Result<Vec<CallMinute>, ConsoleError> {
        self.flush_audit().await?;
        Ok(self
            .read_slow(move |connection| {
                // What people and events do is in the audit as well, under names with a space or a point.
                connection
                    .prepare_cached(&format!(
                        "SELECT at / 60000, count(*), sum(verdict IN ({DENIED}, 'rate_limited')),
                             sum(verdict IN ('failed', 'in_doubt'))
                         FROM (SELECT at, verdict, tool FROM audit WHERE at >= ?1 ORDER BY at DESC LIMIT ?2)
                         WHERE tool NOT LIKE '% %' AND tool NOT LIKE '%.%'
                         GROUP BY 1 ORDER BY 1"
                    ))?
                    .query_and_then(params![since.unix_ms(), COUNTED_MAX], |row| {
                        let count = |column| -> Result<u64, StoreError> {
                            Ok(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0))
                        };
                        Ok(CallMinute { minute: row.get(0)?, calls: count(1)?, denied: count(2)?, failed: count(3)? })
                    })?
                    .collect()
            })
            .await?)
    }

    async fn events(&self, query: &EventQuery) -> Result<EventPage, ConsoleError> {
        let query = query.clone();
        Ok(self.read_slow(move |connection| page(connection, &query)).await?)
    }

    async fn causes(&self) -> Result<Vec<CauseGroup>, ConsoleError> {
        Ok(self
            .read_slow(|connection| {
                connection
                    .prepare_cached(&format!(
                        "SELECT source, kind, error, in_doubt, count(*), max(id), min(received_at), max(received_at), {CAUSE}
                         FROM (SELECT id, source, kind, error, in_doubt, received_at FROM events WHERE state = 'dead'
                               ORDER BY id DESC LIMIT ?1)
                         GROUP BY source, kind, error, in_doubt ORDER BY count(*) DESC, max(id) DESC LIMIT ?2"
                    ))?
                    .query_and_then([GROUPED_MAX, GROUPS_MAX], |row| {
                        let time = |column| -> Result<Timestamp, StoreError> {
                            Ok(Timestamp::from_unix_ms(row.get(column)?)?)
                        };
                        Ok(CauseGroup {
                            id: row.get(8)?,
                            key: CauseKey {
                                source: row.get(0)?,
                                kind: row.get(1)?,
                                error: row.get(2)?,
                                in_doubt: row.get(3)?,
                            },
                            events: u64::try_from(row.get::<_, i64>(4)?).unwrap_or(0),
                            newest: row.get(5)?,
                            oldest_at: time(6)?,
                            newest_at: time(7)?,
                        })
                    })?
                    .collect()
            })
            .await?)
    }

    async fn agent_tokens(&self) -> Result<Vec<StoredToken>, ConsoleError> {
        Ok(self.tokens().await?)
    }

    async fn revoke_agent_token(&self, id: i64) -> Result<bool, ConsoleError> {
        Ok(self.revoke_token(id).await?.unwrap_or(false))
    }

    async fn conversations(&self, before: Option<Timestamp>, limit: u32) -> Result<ConversationPage, ConsoleError> {
        self.flush_audit().await?;
        Ok(self.read_slow(move |connection| super::conversations::page(connection, before, limit)).await?)
    }
}

/// A page of events. By id, state or conversation there is an index; for the rest the newest rows are looked at.
fn page(connection: &Connection, query: &EventQuery) -> Result<EventPage, StoreError> {
    let filter = &query.filter;
    let (order, range) = if filter.id.is_some() {
        ("DESC", "id = ?4")
    } else if query.after.is_some() {
        ("ASC", "id > ?4")
    } else if filter.conversation.is_some() {
        ("DESC", "conversation = ?4 AND (?1 IS NULL OR id < ?1) AND (?2 IS NULL OR id <= ?2)")
    } else if filter.state.is_some() {
        ("DESC", "state = ?3 AND (?1 IS NULL OR id < ?1) AND (?2 IS NULL OR id <= ?2)")
    } else {
        ("DESC", "(?1 IS NULL OR id < ?1) AND (?2 IS NULL OR id <= ?2)")
    };
    let (before, up_to, state) = (query.before, query.up_to, filter.state.map(EventState::as_str));
    // What the range of rows is chosen by, besides the state.
    let chosen = match (filter.id.or(query.after), &filter.conversation) {
        (Some(id), _) => Value::Integer(id),
        (None, Some(conversation)) => Value::Text(conversation.clone()),
        (None, None) => Value::Null,
    };
    let events = connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM events WHERE id IN (SELECT id FROM events WHERE {range} ORDER BY id {order} LIMIT ?5)
               AND (?3 IS NULL OR state = ?3) AND (?6 IS NULL OR source = ?6) AND (?7 IS NULL OR kind = ?7)
               AND (?8 IS NULL OR received_at >= ?8) AND (?11 IS NULL OR conversation = ?11)
               AND (?9 IS NULL OR {CAUSE} = ?9) AND (NOT ?12 OR in_doubt = 1)
             ORDER BY id {order} LIMIT ?10"
        ))?
        .query_and_then(
            params![
                before,
                up_to,
                state,
                chosen,
                SCANNED_MAX,
                filter.source,
                filter.kind,
                filter.since.map(Timestamp::unix_ms),
                query.cause,
                filter.limit,
                filter.conversation,
                query.in_doubt
            ],
            stored,
        )?
        .collect::<Result<Vec<_>, StoreError>>()?;
    if query.after.is_some() || filter.id.is_some() {
        return Ok(EventPage { events, next: None });
    }
    if events.len() == filter.limit as usize {
        let next = events.last().map(|event| event.id);
        return Ok(EventPage { events, next });
    }
    // The last row that was looked at, if there are further ones.
    let last: Option<(i64, i64)> = connection
        .prepare_cached(&format!(
            "SELECT id, received_at FROM events WHERE {range} ORDER BY id DESC LIMIT 1 OFFSET ?5"
        ))?
        .query_row(params![before, up_to, state, chosen, SCANNED_MAX - 1], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let older = last.filter(|(_, at)| filter.since.is_none_or(|since| *at >= since.unix_ms()));
    Ok(EventPage { events, next: older.map(|(id, _)| id) })
}
