//! The event queue in SQLite.

use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{OptionalExtension, params};

use super::{
    Store, StoreError,
    claims::{claim, settle},
    deliveries::{accept, remember},
    events::{COLUMNS, stored},
    holds::{self, NEXT},
    watch,
};
use crate::{
    domain::{Timestamp, WaitCause},
    inbox::{
        Accepted, Claimed, Depths, EventFilter, EventState, Hold, NewDelivery, Outcome, Queue, QueueError, Released,
        ReportedHold, SoleWorker, StoredEvent, Unmappable, Vitals,
    },
    telemetry::failpoint,
};

impl From<StoreError> for QueueError {
    fn from(error: StoreError) -> Self {
        Self(Box::new(error))
    }
}

#[async_trait]
impl Queue for Store {
    async fn accept(&self, delivery: NewDelivery) -> Result<Accepted, QueueError> {
        let (now, key) = (self.clock.now(), self.key.clone());
        Ok(self.write(move |transaction| accept(transaction, &delivery, now, &key)).await?)
    }

    async fn keep_unmappable(&self, delivery: Unmappable) -> Result<(), QueueError> {
        let (now, key) = (self.clock.now(), self.key.clone());
        self.write(move |transaction| {
            let hash: String = delivery.body_hash.iter().map(|octet| format!("{octet:02x}")).collect();
            let identity = key.hash(&format!("unmappable:{}", delivery.dedup_key.as_deref().unwrap_or(&hash)));
            let body_hash = key.of_hash(&delivery.body_hash);
            if !remember(transaction, &delivery.source, &identity, &body_hash, now)? {
                return Ok(());
            }
            let identity = format!("unmappable:{identity}");
            let error = format!("unmappable: {}", delivery.why);
            transaction
                .prepare_cached(
                    "INSERT INTO events (source, kind, identity, body_hash, subject, priority, state, due_at, received_at,
                         updated_at, error, payload)
                     VALUES (?1, ?2, ?3, ?4, ?3, 0, 'dead', ?5, ?5, ?5, ?6, ?7)",
                )?
                .execute(params![
                    delivery.source,
                    delivery.kind,
                    identity,
                    body_hash,
                    now.unix_ms(),
                    error,
                    delivery.body
                ])?;
            Ok(())
        })
        .await?;
        Ok(())
    }

    async fn claim(&self, lease: Duration, claims_max: u32, without: &[String]) -> Result<Option<Claimed>, QueueError> {
        let now = self.clock.now();
        let without = serde_json::to_string(without).map_err(StoreError::from)?;
        let due = self.read(|connection| {
            Ok(connection
                .prepare_cached(&format!(
                    "SELECT 1 WHERE EXISTS (SELECT 1 FROM holds WHERE probe_at <= ?1)
                       OR EXISTS (SELECT 1 FROM events AS e INDEXED BY events_due WHERE {NEXT} AND due_at <= ?1 AND {FREE}
                           AND kind NOT IN (SELECT value FROM json_each(?2)))",
                    FREE = holds::FREE
                ))?
                .exists(params![now.unix_ms(), without])?)
        })?;
        // Usually nothing is due, and no write lock is needed.
        if !due {
            return Ok(None);
        }
        let claimed = self.write(move |transaction| claim(transaction, now, lease, claims_max, &without)).await?;
        failpoint::pass("claim");
        Ok(claimed)
    }

    async fn settle(&self, claimed: &Claimed, outcome: Outcome) -> Result<bool, QueueError> {
        let (id, token, now) = (claimed.id, claimed.token, self.clock.now());
        failpoint::pass("done");
        Ok(self.write(move |transaction| settle(transaction, id, token, &outcome, now)).await?)
    }

    async fn answered(&self, claimed: &Claimed, upstream: &str, accepted: bool) -> Result<Released, QueueError> {
        let held = self.read(|connection| {
            Ok(connection.prepare_cached("SELECT 1 FROM holds WHERE upstream = ?1")?.exists([upstream])?)
        })?;
        // Usually there is no hold, and no write is needed.
        if !held && claimed.parked.is_none() {
            return Ok(Released::default());
        }
        let (upstream, parked, now) = (upstream.to_owned(), claimed.parked.clone(), self.clock.now());
        Ok(self
            .write(move |transaction| holds::answered(transaction, &upstream, parked.as_ref(), accepted, now))
            .await?)
    }

    async fn outage_began(&self, upstream: &str, kinds: &[String]) -> Result<bool, QueueError> {
        let (upstream, kinds, now) = (upstream.to_owned(), kinds.to_vec(), self.clock.now());
        Ok(self.write(move |transaction| holds::outage(transaction, &upstream, &kinds, now)).await?)
    }

    async fn resume(&self, upstreams: &[String]) -> Result<(), QueueError> {
        let (upstreams, now) = (upstreams.to_vec(), self.clock.now());
        Ok(self.write(move |transaction| holds::resume(transaction, &upstreams, now)).await?)
    }

    async fn clock_set_back(&self) -> Result<u64, QueueError> {
        let now = self.clock.now();
        Ok(self.write(move |transaction| holds::clock_set_back(transaction, now)).await?)
    }

    async fn holds(&self) -> Result<Vec<Hold>, QueueError> {
        Ok(self.read_slow(holds::all).await?)
    }

    async fn held(&self, upstream: &str, cause: WaitCause) -> Result<u64, QueueError> {
        let upstream = upstream.to_owned();
        Ok(self.read_slow(move |connection| holds::waiting(connection, &upstream, cause)).await?)
    }

    async fn hold_reported(&self, hold: &ReportedHold, over: bool) -> Result<(), QueueError> {
        let hold = hold.clone();
        Ok(self.write(move |transaction| holds::record_alert(transaction, &hold, over)).await?)
    }

    async fn free_leases(&self, _alone: &SoleWorker) -> Result<u64, QueueError> {
        let now = self.clock.now().unix_ms();
        Ok(self
            .write(move |transaction| {
                // And the locks that the dead worker held.
                transaction.prepare_cached("DELETE FROM locks WHERE worker")?.execute([])?;
                Ok(transaction
                    .prepare_cached(
                        "UPDATE events SET state = 'pending', due_at = ?1, token = token + 1 WHERE state = 'claimed'",
                    )?
                    .execute([now])? as u64)
            })
            .await?)
    }

    async fn next_due(&self, without: &[String]) -> Result<Option<Timestamp>, QueueError> {
        let now = self.clock.now().unix_ms();
        let without = serde_json::to_string(without).map_err(StoreError::from)?;
        Ok(self.read(|connection| {
            let due: Option<i64> = connection
                .prepare_cached(&format!(
                    "SELECT min(at) FROM (SELECT min(probe_at) AS at FROM holds UNION ALL SELECT * FROM
                         (SELECT due_at FROM events AS e INDEXED BY events_due
                          WHERE {NEXT} AND {FREE} AND kind NOT IN (SELECT value FROM json_each(?2)) ORDER BY due_at LIMIT 1))",
                    FREE = holds::FREE
                ))?
                .query_row(params![now, without], |row| row.get::<_, Option<i64>>(0))?
                .filter(|at| *at < holds::NEVER_MS);
            Ok(due.map(Timestamp::from_unix_ms).transpose()?)
        })?)
    }

    async fn depths(&self) -> Result<Depths, QueueError> {
        Ok(self.read(|connection| {
            let mut depths = Depths::default();
            let mut statement = connection.prepare_cached("SELECT state, n FROM event_counts")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let n = u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0);
                match row.get_ref(0)?.as_str().unwrap_or_default() {
                    "pending" => depths.pending = n,
                    "claimed" => depths.claimed = n,
                    "dead" => depths.dead = n,
                    "quarantined" => depths.quarantined = n,
                    _ => {}
                }
            }
            Ok(depths)
        })?)
    }

    async fn vitals(&self) -> Result<Vitals, QueueError> {
        Ok(self.read_slow(watch::vitals).await?)
    }

    async fn latest_dead(&self) -> Result<Option<StoredEvent>, QueueError> {
        Ok(self
            .read_slow(|connection| {
                connection
                    .prepare_cached(&format!(
                        "SELECT {COLUMNS} FROM events WHERE state = 'dead' ORDER BY updated_at DESC, id DESC LIMIT 1"
                    ))?
                    .query_and_then([], stored)?
                    .next()
                    .transpose()
            })
            .await?)
    }

    async fn dead_reported(&self, ever: u64) -> Result<(), QueueError> {
        Ok(self.write(move |transaction| watch::dead_reported(transaction, ever)).await?)
    }

    async fn list(&self, filter: &EventFilter) -> Result<Vec<StoredEvent>, QueueError> {
        let filter = filter.clone();
        // Said so that an index is used: of a million events one is found at once.
        let id = if filter.id.is_some() { "id = ?1" } else { "?1 IS NULL" };
        let state = if filter.state.is_some() { "state = ?4" } else { "?4 IS NULL" };
        let conversation = if filter.conversation.is_some() { "conversation = ?5" } else { "?5 IS NULL" };
        Ok(self
            .read_slow(move |connection| {
                connection
                    .prepare_cached(&format!(
                        "SELECT {COLUMNS} FROM events
                         WHERE {id} AND {state} AND {conversation} AND (?2 IS NULL OR source = ?2)
                           AND (?3 IS NULL OR kind = ?3) AND (?6 IS NULL OR received_at >= ?6)
                         ORDER BY id DESC LIMIT ?7"
                    ))?
                    .query_and_then(
                        params![
                            filter.id,
                            filter.source,
                            filter.kind,
                            filter.state.map(EventState::as_str),
                            filter.conversation,
                            filter.since.map(Timestamp::unix_ms),
                            filter.limit
                        ],
                        stored,
                    )?
                    .collect()
            })
            .await?)
    }

    async fn payload(&self, id: i64) -> Result<Option<String>, QueueError> {
        Ok(self.read(|connection| {
            let payload: Option<Option<String>> = connection
                .prepare_cached("SELECT payload FROM events WHERE id = ?1")?
                .query_row([id], |row| row.get(0))
                .optional()?;
            Ok(payload.flatten())
        })?)
    }

    async fn replay(&self, id: i64, force: bool) -> Result<bool, QueueError> {
        let now = self.clock.now().unix_ms();
        Ok(self
            .write(move |transaction| {
                let changed = transaction
                    .prepare_cached(
                        "UPDATE events SET state = 'pending', due_at = ?2, updated_at = ?2, claims = 0, failures = 0,
                             token = token + 1, waits = 0, outage_since = NULL
                         WHERE id = ?1 AND payload IS NOT NULL AND identity NOT LIKE 'unmappable:%'
                           AND ((state = 'dead' AND (in_doubt = 0 OR ?3))
                             OR (state = 'pending' AND wait_cause IS NOT NULL))",
                    )?
                    .execute(params![id, now, force])?;
                Ok(changed == 1)
            })
            .await?)
    }

    async fn found(&self, id: i64, receipt: &str) -> Result<bool, QueueError> {
        let (receipt, now) = (receipt.to_owned(), self.clock.now().unix_ms());
        Ok(self
            .write(move |transaction| {
                let changed = transaction
                    .prepare_cached(
                        "UPDATE events SET state = 'done', receipt = ?2, error = NULL, in_doubt = 0, updated_at = ?3
                         WHERE id = ?1 AND state = 'dead' AND in_doubt = 1",
                    )?
                    .execute(params![id, receipt, now])?;
                Ok(changed == 1)
            })
            .await?)
    }

    async fn discard(&self, id: i64) -> Result<bool, QueueError> {
        let now = self.clock.now().unix_ms();
        Ok(self
            .write(move |transaction| {
                let changed = transaction
                    .prepare_cached(
                        "UPDATE events SET state = 'discarded', updated_at = ?2
                         WHERE id = ?1 AND state IN ('dead', 'quarantined', 'pending')",
                    )?
                    .execute(params![id, now])?;
                Ok(changed == 1)
            })
            .await?)
    }

    async fn prune_payloads(&self, before: Timestamp) -> Result<u64, QueueError> {
        Ok(self
            .write(move |transaction| {
                Ok(transaction
                    .prepare_cached(
                        "UPDATE events SET payload = NULL WHERE id IN (
                             SELECT id FROM events WHERE payload IS NOT NULL AND state NOT IN ('pending', 'claimed')
                               AND updated_at < ?1 ORDER BY updated_at LIMIT 1000)",
                    )?
                    .execute([before.unix_ms()])? as u64)
            })
            .await?)
    }

    async fn last_erasure(&self) -> Result<Option<Timestamp>, QueueError> {
        Ok(self.read(|connection| {
            let at: Option<i64> =
                connection.prepare_cached("SELECT max(at) FROM erasures")?.query_row([], |row| row.get(0))?;
            Ok(at.map(Timestamp::from_unix_ms).transpose()?)
        })?)
    }
}
