//! Retention: deletes rows older than the configured ages, in the background and in small steps.

use std::time::Duration;

use rusqlite::params;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::{
    Store, StoreError,
    data_map::{Age, DATA_MAP, Kept},
};
use crate::{domain::Timestamp, telemetry::causes};

const EVERY: Duration = Duration::from_secs(60 * 60);
/// Pause between steps, so that other writers get the lock.
const STEP_PAUSE: Duration = Duration::from_millis(50);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Rows removed in one step.
const STEP: u32 = 500;

/// How long rows of growing tables are kept, in days. Tickets, notes, comments, contacts and orders of the embedded
/// systems are kept until they are erased.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "retention")]
pub struct RetentionOptions {
    /// Days that finished events are kept, dead letters included. Their payloads are removed earlier, after
    /// `inbox.payload_days`.
    #[schemars(range(min = 30, max = 36_500))]
    pub events_days: u32,
    /// Days that deduplication keys of deliveries are kept, for sources that sign a time stamp: those refuse an old
    /// delivery by its time. Keys of other sources are kept without limit.
    #[schemars(range(min = 10, max = 36_500))]
    pub deliveries_days: u32,
    /// Days that audit records are kept.
    #[schemars(range(min = 1, max = 36_500))]
    pub audit_days: u32,
    /// Days that results of requests and events are kept in the ledger, to recognise a late repeat. Expired entries are
    /// removed at once.
    #[schemars(range(min = 30, max = 36_500))]
    pub ledger_days: u32,
    /// Days that the link from a conversation to its ticket is kept after its last use. Not shorter than
    /// `desk.conversation_days`.
    #[schemars(range(min = 7, max = 36_500))]
    pub conversation_tickets_days: u32,
    /// Days that earlier values of contact fields are kept after a change under an idempotency key.
    #[schemars(range(min = 1, max = 36_500))]
    pub contact_changes_days: u32,
    /// Days that the version of a removed article is kept, so that a late change does not restore the article.
    #[schemars(range(min = 10, max = 36_500))]
    pub article_versions_days: u32,
}

impl Default for RetentionOptions {
    fn default() -> Self {
        Self {
            events_days: 400,
            deliveries_days: 400,
            audit_days: 400,
            ledger_days: 400,
            conversation_tickets_days: 400,
            contact_changes_days: 30,
            article_versions_days: 400,
        }
    }
}

impl RetentionOptions {
    fn days(&self, age: Age) -> u32 {
        match age {
            Age::Events => self.events_days,
            Age::Deliveries => self.deliveries_days,
            Age::Audit => self.audit_days,
            Age::Ledger => self.ledger_days,
            Age::ConversationTickets => self.conversation_tickets_days,
            Age::ContactChanges => self.contact_changes_days,
            Age::ArticleVersions => self.article_versions_days,
        }
    }
}

/// The `DELETE` of a table: `?1` is now, `?2` the age limit (both Unix milliseconds), `?3` the number of rows, `?4` the
/// sources that sign a time stamp, as JSON.
fn statement(table: &str) -> Option<&'static str> {
    Some(match table {
        "events" => {
            "DELETE FROM events WHERE ?1 > ?2 AND ?4 IS NOT NULL AND id IN (
                 SELECT id FROM events WHERE state IN ('done', 'dead', 'discarded', 'quarantined') AND updated_at < ?2
                 ORDER BY updated_at LIMIT ?3)"
        }
        "deliveries" => {
            "DELETE FROM deliveries WHERE ?1 > ?2 AND (source, identity) IN (
                 SELECT source, identity FROM deliveries
                 WHERE source IN (SELECT value FROM json_each(?4)) AND at < ?2 LIMIT ?3)"
        }
        "audit" => {
            "DELETE FROM audit WHERE ?1 > ?2 AND ?4 IS NOT NULL AND id IN (
                 SELECT id FROM audit WHERE at < ?2 ORDER BY at LIMIT ?3)"
        }
        // An effect in doubt stays until it expires: an operator may settle it. `begun_at` is 0 in entries from before
        // it existed; those go by `expires_at` alone.
        "ledger" => {
            "DELETE FROM ledger WHERE ?4 IS NOT NULL AND scope IN (
                 SELECT scope FROM ledger
                 WHERE expires_at < ?1 OR (begun_at BETWEEN 1 AND ?2 AND receipt IS NOT NULL) LIMIT ?3)"
        }
        // A repeat of a request in doubt needs the values from before its first attempt.
        "contact_changes" => {
            "DELETE FROM contact_changes WHERE ?1 > ?2 AND ?4 IS NOT NULL AND effect IN (
                 SELECT effect FROM contact_changes WHERE at < ?2 AND NOT EXISTS (
                     SELECT 1 FROM ledger WHERE ledger.effect = contact_changes.effect AND receipt IS NULL)
                 LIMIT ?3)"
        }
        "article_versions" => {
            "DELETE FROM article_versions WHERE ?1 > ?2 AND ?4 IS NOT NULL AND (article, variant) IN (
                 SELECT article, variant FROM article_versions
                 WHERE at < ?2 AND (article, variant) NOT IN (SELECT id, variant FROM articles) LIMIT ?3)"
        }
        "conversation_tickets" => {
            "DELETE FROM conversation_tickets WHERE ?1 > ?2 AND ?4 IS NOT NULL AND (conversation, customer) IN (
                 SELECT conversation, customer FROM conversation_tickets WHERE used_at < ?2 LIMIT ?3)"
        }
        "contact_writes" => {
            "DELETE FROM contact_writes WHERE ?1 > ?2 AND ?4 IS NOT NULL AND (contact, field) IN (
                 SELECT contact, field FROM contact_writes WHERE at < ?2 LIMIT ?3)"
        }
        "verification_codes" => {
            "DELETE FROM verification_codes WHERE ?2 IS NOT NULL AND ?4 IS NOT NULL AND key_hash IN (
                 SELECT key_hash FROM verification_codes WHERE expires_at <= ?1 LIMIT ?3)"
        }
        "proven_addresses" => {
            "DELETE FROM proven_addresses WHERE ?2 IS NOT NULL AND ?4 IS NOT NULL AND key_hash IN (
                 SELECT key_hash FROM proven_addresses WHERE expires_at <= ?1 LIMIT ?3)"
        }
        "console_links" => {
            "DELETE FROM console_links WHERE ?2 IS NOT NULL AND ?4 IS NOT NULL AND token_hash IN (
                 SELECT token_hash FROM console_links WHERE expires_at <= ?1 LIMIT ?3)"
        }
        "console_sessions" => {
            "DELETE FROM console_sessions WHERE ?2 IS NOT NULL AND ?4 IS NOT NULL AND id IN (
                 SELECT id FROM console_sessions WHERE expires_at <= ?1 LIMIT ?3)"
        }
        "conversation_ends" => {
            "DELETE FROM conversation_ends WHERE ?1 > ?2 AND ?4 IS NOT NULL AND contact IN (
                 SELECT contact FROM conversation_ends WHERE at < ?2 LIMIT ?3)"
        }
        _ => return None,
    })
}

impl Store {
    /// Removes expired rows at once and then every hour, until `closing` is cancelled. `timed` are the sources that
    /// sign a time stamp.
    pub async fn keep_retention(self, options: RetentionOptions, timed: Vec<String>, closing: CancellationToken) {
        loop {
            tokio::select! {
                () = closing.cancelled() => return,
                () = self.run_retention(&options, &timed) => {}
            }
            tokio::select! {
                () = closing.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    async fn run_retention(&self, options: &RetentionOptions, timed: &[String]) {
        for entry in DATA_MAP {
            let now = self.clock.now();
            let (before, limit) = match entry.kept {
                Kept::Always => continue,
                Kept::Days(age) => (now.minus(DAY * options.days(age)), Some(age.key())),
                Kept::UntilExpired => (now, None),
            };
            let mut removed = 0;
            loop {
                match self.delete_step(entry.table, before, timed).await {
                    Ok(0) => break,
                    Ok(rows) => removed += rows,
                    Err(error) => {
                        tracing::error!(error = causes(&error), table = entry.table, "failed to remove old rows");
                        break;
                    }
                }
                tokio::time::sleep(STEP_PAUSE).await;
            }
            if removed > 0
                && let Some(key) = limit
            {
                tracing::info!(table = entry.table, removed, key, "rows older than retention.{key} were removed");
            }
        }
    }

    async fn delete_step(&self, table: &'static str, before: Timestamp, timed: &[String]) -> Result<usize, StoreError> {
        let (now, timed) = (self.clock.now().unix_ms(), serde_json::to_string(timed)?);
        let Some(statement) = statement(table) else { return Ok(0) };
        self.write(move |transaction| {
            let mut statement = transaction.prepare_cached(statement)?;
            Ok(statement.execute(params![now, before.unix_ms(), STEP, timed])?)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_with_a_limit_has_a_statement() {
        for entry in DATA_MAP {
            let limited = entry.kept != Kept::Always;
            assert_eq!(statement(entry.table).is_some(), limited, "{}", entry.table);
        }
    }
}
