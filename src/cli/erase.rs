//! `frontdesk erase`: erases the data held about a customer, a conversation or an email address.

use std::time::Duration;

use anyhow::bail;
use clap::Args;
use serde_json::{Map, Value, json};

use super::{ConfigArgs, existing_store::with_store, output};
use crate::{
    config::Config,
    domain::{Clock, Email, SystemId},
    store::{HeldRows, Store, SubjectQuery},
};

/// Longest duration of a call to the embedded systems.
const CALL: Duration = Duration::from_secs(2);

/// Wait for audit records that a running server has buffered.
const RECORDS: Duration = Duration::from_millis(200);

#[derive(Args)]
#[group(required = true, multiple = false)]
pub(super) struct Which {
    /// Conversation id
    #[arg(long, value_name = "ID")]
    conversation: Option<String>,
    /// Customer id, for example cust_456, or shop:42 with a system
    #[arg(long, value_name = "ID")]
    customer: Option<String>,
    /// Email address of somebody without a customer id: what they did after a one-time code, and their guest orders
    #[arg(long, value_name = "EMAIL")]
    email: Option<Email>,
}

/// Erase the data held about a customer, a conversation or an email address
///
/// Of a customer: contact, orders, notes, earlier field values, results of requests, and the texts of tickets, comments
/// and events in the store; pending events are discarded. Of a conversation: its content. Kept are the facts that
/// effects happened, with time and ticket, and keyed hashes that recognise late repeats. The database files are
/// cleaned, too. Other systems are not touched: erase there yourself. Works beside a running server.
#[derive(Args)]
pub(super) struct Erase {
    #[command(flatten)]
    which: Which,
    /// Only print what would be erased
    #[arg(long)]
    dry_run: bool,
    /// Rewrite the whole file, whatever its size; other processes cannot write meanwhile
    #[arg(long, conflicts_with = "dry_run")]
    compact: bool,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

impl Which {
    pub(super) fn query(&self, usual: &SystemId) -> anyhow::Result<SubjectQuery> {
        Ok(match (&self.customer, &self.conversation, &self.email) {
            (Some(customer), ..) => SubjectQuery::customer(usual, customer)?,
            (None, Some(conversation), _) => SubjectQuery::conversation(conversation),
            (None, None, Some(email)) => SubjectQuery::email(email.clone()),
            (None, None, None) => bail!("name a customer, a conversation or an email address"),
        })
    }
}

impl Erase {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let (erased, path) = with_store(&self.config, async |store, loaded| {
            let query = self.which.query(&loaded.config.identity.subject_system)?;
            let path = loaded.config.store.path.clone();
            let found = store.held_data(&query).await?;
            if !found.known {
                bail!(
                    "{} holds no data about them; searched for {}; if the id is of another system, write that too, as shop:42",
                    path.display(),
                    query.looked_for().join(", ")
                );
            }
            if !found.linked.is_empty() {
                output::remark(format_args!("the same person is known as {}", found.linked.join(", ")));
            }
            if self.dry_run {
                return Ok((found.held, path));
            }
            let erased = store.erase(&query, call(&loaded.config)).await?;
            let mut all = erased.held.clone();
            if let Some(until) = erased.under_way_until {
                output::remark(format_args!("waiting until {until}: a call or event of theirs is still running"));
                let wait = until.unix_ms().saturating_sub(Clock::system().now().unix_ms());
                tokio::time::sleep(Duration::from_millis(u64::try_from(wait).unwrap_or(0))).await;
            }
            tokio::time::sleep(RECORDS).await;
            all.extend(store.erase_rest(&erased).await?);
            Ok((all, path))
        })?;
        if !self.dry_run {
            let scrubbed = Store::scrub(&path, self.compact)?;
            if !scrubbed.log_emptied {
                bail!(
                    "the store is erased, but another process still reads the old state, which stays in {}-wal; run this \
                     again when it has ended",
                    path.display()
                );
            }
            if !scrubbed.compacted {
                output::remark(
                    "the store is large or busy and was not rewritten: unused parts of its pages may hold copies until they are used \
                     again; --compact rewrites it, at a quiet hour",
                );
            }
        }
        self.say(&erased)
    }

    fn say(&self, held: &[HeldRows]) -> anyhow::Result<()> {
        let mut rows: Map<String, Value> = Map::new();
        for held in held {
            let before = rows.get(held.table).and_then(Value::as_u64).unwrap_or(0);
            rows.insert(held.table.to_owned(), json!(before + held.rows));
        }
        if self.json {
            return output::json(&json!({ "dry_run": self.dry_run, "rows": rows }));
        }
        let verb = if self.dry_run { "would erase" } else { "erased" };
        let listed: Vec<String> = rows.iter().map(|(table, rows)| format!("{rows} {table}")).collect();
        match listed.is_empty() {
            true => output::line("nothing is left to erase"),
            false => output::line(format_args!("{verb} {}", listed.join(", "))),
        }
    }
}

/// Longest time that a started call may still run.
fn call(config: &Config) -> Duration {
    // A request is repeated at most once after its deadline.
    let slowest = config.upstreams.values().map(|upstream| upstream.limits.call_timeout_ms).max();
    CALL + Duration::from_millis(2 * slowest.unwrap_or(0))
}
