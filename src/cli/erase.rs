//! `frontdesk erase`: what is held of a customer or a conversation is removed; that it was dealt with stays.

use std::time::Duration;

use anyhow::bail;
use clap::Args;
use serde_json::{Map, Value, json};

use super::{ConfigArgs, output, stored::with_store};
use crate::{
    config::Config,
    domain::{Clock, SystemId},
    store::{Held, Store, Whom},
};

/// How long a call to the embedded desk may be under way.
const CALL: Duration = Duration::from_secs(2);

/// A running server writes records of reads a moment after it has answered them.
const RECORDS: Duration = Duration::from_millis(200);

#[derive(Args)]
#[group(required = true, multiple = false)]
pub(super) struct Which {
    /// The conversation
    #[arg(long, value_name = "ID")]
    conversation: Option<String>,
    /// The customer, as cust_456; or with their system, as shop:42
    #[arg(long, value_name = "ID")]
    customer: Option<String>,
}

/// Remove what is held of a customer or a conversation
///
/// Of a customer: contact, orders, notes, earlier values, what came of requests, and the texts of tickets, comments and
/// events in the store; what waits is discarded. Of a conversation: what was said in it. It stays on record that something
/// was done, when and in what ticket, and keyed hashes by which a late repeat is recognised. The files of the store are
/// cleaned, too. Records in other systems are not touched: erase them there. Works beside a running server.
#[derive(Args)]
pub(super) struct Erase {
    #[command(flatten)]
    which: Which,
    /// Only say what would be removed
    #[arg(long)]
    dry_run: bool,
    /// Rewrite the whole file, whatever its size: others cannot write meanwhile
    #[arg(long, conflicts_with = "dry_run")]
    compact: bool,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

impl Which {
    pub(super) fn whom(&self, usual: &SystemId) -> anyhow::Result<Whom> {
        Ok(match (&self.customer, &self.conversation) {
            (Some(customer), _) => Whom::customer(usual, customer)?,
            (None, Some(conversation)) => Whom::conversation(conversation),
            (None, None) => bail!("name a customer or a conversation"),
        })
    }
}

impl Erase {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let (erased, path) = with_store(&self.config, async |store, loaded| {
            let whom = self.which.whom(&loaded.config.identity.subject_system)?;
            let path = loaded.config.store.path.clone();
            let found = store.holdings(&whom).await?;
            if !found.known {
                bail!(
                    "nothing is held of them in {}; looked for {}; write the id with its system, as shop:42, if it is another's",
                    path.display(),
                    whom.looked_for().join(", ")
                );
            }
            if !found.linked.is_empty() {
                output::remark(format_args!("the same person is known as {}", found.linked.join(", ")));
            }
            if self.dry_run {
                return Ok((found.held, path));
            }
            let erased = store.erase(&whom, call(&loaded.config)).await?;
            let mut all = erased.held.clone();
            if let Some(until) = erased.under_way_until {
                output::remark(format_args!("waiting until {until}: something of theirs was under way"));
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
                    "it is erased from the store, but another process reads the old state and keeps it in {}-wal; run this \
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

    fn say(&self, held: &[Held]) -> anyhow::Result<()> {
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

/// How long a call that has begun may go on.
fn call(config: &Config) -> Duration {
    // A request is repeated once at most after its time is over.
    let slowest = config.upstreams.values().map(|upstream| upstream.limits.call_timeout_ms).max();
    CALL + Duration::from_millis(2 * slowest.unwrap_or(0))
}
