//! Retention: what is older than the company wants to keep is removed in the background, a little at a time.

use std::time::Duration;

use rusqlite::params;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::{
    Store, StoreError,
    holdings::{Age, HOLDINGS, Kept},
};
use crate::{domain::Timestamp, telemetry::causes};

const EVERY: Duration = Duration::from_secs(60 * 60);
/// Between two steps, so that other writes get their turn.
const BREATH: Duration = Duration::from_millis(50);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Rows removed in one step.
const STEP: u32 = 500;

/// For how long rows of tables that grow are kept, in days. Tickets, notes, comments, contacts and orders of the embedded
/// desk are kept until they are erased.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "retention")]
pub struct RetentionOptions {
    /// Events that have ended, dead letters too. Their payloads go before, after `inbox.payload_days`.
    #[schemars(range(min = 30, max = 36_500))]
    pub events_days: u32,
    /// By what repeated deliveries are recognised, of sources that sign a time: an old one is refused by that time. Those of
    /// other sources are kept for ever.
    #[schemars(range(min = 10, max = 36_500))]
    pub deliveries_days: u32,
    /// Decisions on calls.
    #[schemars(range(min = 1, max = 36_500))]
    pub audit_days: u32,
    /// What came of requests and events, by which a late repeat is recognised. Entries whose time is over go at once.
    #[schemars(range(min = 30, max = 36_500))]
    pub ledger_days: u32,
    /// Which ticket a conversation has, after its last use. Not shorter than `desk.conversation_days`.
    #[schemars(range(min = 7, max = 36_500))]
    pub conversation_tickets_days: u32,
    /// What contact fields held before a change under an idempotency key.
    #[schemars(range(min = 1, max = 36_500))]
    pub contact_changes_days: u32,
    /// Of articles that were removed: when they were changed last, so that a late report does not bring them back.
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

/// Which rows go: `?1` is now, `?2` the age's bound, `?3` how many, `?4` the sources that sign a time.
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
        // What is in doubt stays until its time is over: somebody may find out. Of before it had a time, that alone counts.
        "ledger" => {
            "DELETE FROM ledger WHERE ?4 IS NOT NULL AND scope IN (
                 SELECT scope FROM ledger
                 WHERE expires_at < ?1 OR (begun_at BETWEEN 1 AND ?2 AND receipt IS NOT NULL) LIMIT ?3)"
        }
        // A request in doubt that is made again has to know what was there before its first attempt.
        "contact_changes" => {
            "DELETE FROM contact_changes WHERE ?1 > ?2 AND ?4 IS NOT NULL AND effect IN (
                 SELECT effect FROM contact_changes WHERE at < ?2 AND NOT EXISTS (
                     SELECT 1 FROM ledger WHERE ledger.effect = contact_changes.effect AND receipt IS NULL)
                 LIMIT ?3)"
        }
        "article_versions" => {
            "DELETE FROM article_versions WHERE ?1 > ?2 AND ?4 IS NOT NULL AND article IN (
                 SELECT article FROM article_versions
                 WHERE at < ?2 AND article NOT IN (SELECT id FROM articles) LIMIT ?3)"
        }
        "conversation_tickets" => {
            "DELETE FROM conversation_tickets WHERE ?1 > ?2 AND ?4 IS NOT NULL AND (conversation, customer) IN (
                 SELECT conversation, customer FROM conversation_tickets WHERE used_at < ?2 LIMIT ?3)"
        }
        "contact_writes" => {
            "DELETE FROM contact_writes WHERE ?1 > ?2 AND ?4 IS NOT NULL AND (contact, field) IN (
                 SELECT contact, field FROM contact_writes WHERE at < ?2 LIMIT ?3)"
        }
        "conversation_ends" => {
            "DELETE FROM conversation_ends WHERE ?1 > ?2 AND ?4 IS NOT NULL AND contact IN (
                 SELECT contact FROM conversation_ends WHERE at < ?2 LIMIT ?3)"
        }
        _ => return None,
    })
}

impl Store {
    /// Removes what is too old, now and every hour, until `closing` is cancelled. `timed` are the sources that sign a time.
    pub async fn keep_retention(self, options: RetentionOptions, timed: Vec<String>, closing: CancellationToken) {
        loop {
            tokio::select! {
                () = closing.cancelled() => return,
                () = self.pass(&options, &timed) => {}
            }
            tokio::select! {
                () = closing.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    async fn pass(&self, options: &RetentionOptions, timed: &[String]) {
        for holding in HOLDINGS {
            let Kept::Days(age) = holding.kept else { continue };
            let before = self.clock.now().minus(DAY * options.days(age));
            let mut removed = 0;
            loop {
                match self.retire(holding.table, before, timed).await {
                    Ok(0) => break,
                    Ok(rows) => removed += rows,
                    Err(error) => {
                        tracing::error!(error = causes(&error), table = holding.table, "failed to remove old rows");
                        break;
                    }
                }
                tokio::time::sleep(BREATH).await;
            }
            if removed > 0 {
                let key = age.key();
                tracing::info!(table = holding.table, removed, key, "rows older than retention.{key} were removed");
            }
        }
    }

    async fn retire(&self, table: &'static str, before: Timestamp, timed: &[String]) -> Result<usize, StoreError> {
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
        for holding in HOLDINGS {
            let limited = holding.kept != Kept::Always;
            assert_eq!(statement(holding.table).is_some(), limited, "{}", holding.table);
        }
    }
}
