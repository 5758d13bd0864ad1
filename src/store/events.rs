//! Event rows as [`StoredEvent`]s, for display.

use rusqlite::Row;

use super::{StoreError, holds::NEVER_MS};
use crate::{
    domain::{Timestamp, WaitCause},
    inbox::{EventState, StoredEvent},
};

/// Columns that [`stored`] reads. The last three: the upstream and cause that hold a pending event back, the id of the
/// earlier unfinished event of its subject, and whether the event can be processed.
pub(super) const COLUMNS: &str = "id, source, kind, state, received_at, updated_at, due_at, subject, conversation, claims, failures, \
    error, receipt, in_doubt, parked, waits_for, wait_cause, \
    (SELECT holds.upstream || ' ' || holds.cause FROM holds, json_each(holds.kinds) AS kind \
     WHERE kind.value = events.kind AND (holds.stopped = 1 OR holds.cause = 'outage') \
     ORDER BY holds.stopped DESC LIMIT 1), \
    (SELECT min(other.id) FROM events AS other WHERE other.subject = events.subject AND other.id < events.id \
       AND other.state IN ('pending', 'claimed') AND events.state = 'pending'), \
    payload IS NOT NULL AND identity NOT LIKE 'unmappable:%'";

pub(super) fn stored(row: &Row<'_>) -> Result<StoredEvent, StoreError> {
    let state: String = row.get(3)?;
    let state: EventState = serde_json::from_value(state.into())?;
    let waits = match state {
        EventState::Pending => Some(reason(row)?),
        EventState::Claimed => Some("being processed".to_owned()),
        _ => None,
    };
    let time = |column| -> Result<Timestamp, StoreError> { Ok(Timestamp::from_unix_ms(row.get(column)?)?) };
    Ok(StoredEvent {
        id: row.get(0)?,
        source: row.get(1)?,
        kind: row.get(2)?,
        state,
        received_at: time(4)?,
        updated_at: time(5)?,
        due_at: (matches!(state, EventState::Pending | EventState::Claimed) && row.get::<_, i64>(6)? < NEVER_MS)
            .then(|| time(6))
            .transpose()?,
        subject: row.get(7)?,
        conversation: row.get(8)?,
        claims: row.get(9)?,
        failures: row.get(10)?,
        error: row.get(11)?,
        waits,
        receipt: row.get(12)?,
        in_doubt: row.get(13)?,
        workable: row.get(19)?,
        held: row.get::<_, Option<String>>(16)?.is_some(),
    })
}

/// Why a pending event waits.
fn reason(row: &Row<'_>) -> Result<String, StoreError> {
    let own = row.get::<_, Option<String>>(15)?.zip(row.get::<_, Option<String>>(16)?);
    let (upstream, cause) = match own {
        Some((upstream, cause)) => (upstream, cause),
        None => match row.get::<_, Option<String>>(17)? {
            Some(held) => held.rsplit_once(' ').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap_or_default(),
            None => {
                let earlier: Option<i64> = row.get(18)?;
                let failed: Option<String> = row.get(11)?;
                return Ok(match (earlier, failed) {
                    (Some(earlier), _) => format!("event {earlier} of the same conversation or article comes first"),
                    (None, Some(failed)) => format!("tried again: {failed}"),
                    (None, None) => "queued".to_owned(),
                });
            }
        },
    };
    let parked: bool = row.get(14)?;
    let said = WaitCause::parse(&cause).map_or_else(|| cause.clone(), |cause| cause.said_of(&upstream));
    Ok(if parked { format!("parked: {said}") } else { said })
}
