//! Rows of the inbox, as they are shown.

use rusqlite::Row;

use super::StoreError;
use crate::{
    domain::Timestamp,
    inbox::{EventState, StoredEvent},
};

/// What [`stored`] reads.
pub(super) const COLUMNS: &str = "id, source, kind, state, received_at, updated_at, due_at, subject, conversation, claims, failures, \
    error, receipt, in_doubt";

pub(super) fn word(state: EventState) -> &'static str {
    match state {
        EventState::Pending => "pending",
        EventState::Claimed => "claimed",
        EventState::Done => "done",
        EventState::Dead => "dead",
        EventState::Discarded => "discarded",
        EventState::Quarantined => "quarantined",
    }
}

pub(super) fn stored(row: &Row<'_>) -> Result<StoredEvent, StoreError> {
    let state: String = row.get(3)?;
    let state: EventState = serde_json::from_value(state.into())?;
    let time = |column| -> Result<Timestamp, StoreError> { Ok(Timestamp::from_unix_ms(row.get(column)?)?) };
    Ok(StoredEvent {
        id: row.get(0)?,
        source: row.get(1)?,
        kind: row.get(2)?,
        state,
        received_at: time(4)?,
        updated_at: time(5)?,
        due_at: matches!(state, EventState::Pending | EventState::Claimed).then(|| time(6)).transpose()?,
        subject: row.get(7)?,
        conversation: row.get(8)?,
        claims: row.get(9)?,
        failures: row.get(10)?,
        error: row.get(11)?,
        receipt: row.get(12)?,
        in_doubt: row.get(13)?,
    })
}
