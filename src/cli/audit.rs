//! `frontdesk audit`: what was decided.

use anyhow::anyhow;
use clap::Args;

use super::{ConfigArgs, block_on, output};
use crate::{
    desk::{AuditFilter, AuditLog, StoredAudit, Verdict},
    domain::{Clock, ConversationId, CustomerId, Timestamp},
    store::Store,
};

/// Show what was decided, for whom and about what
///
/// One line per decision, the newest first: time, tool, verdict, effect, objects, changed fields, conversation, agent and
/// the customer as a keyed hash; for a member of staff who looked, who and why. Holds no values and no content.
#[derive(Args)]
pub(super) struct Audit {
    #[command(flatten)]
    config: ConfigArgs,
    /// Only this conversation
    #[arg(long, value_name = "ID")]
    conversation: Option<ConversationId>,
    /// Only this customer, as cus_ada or shopify:123
    #[arg(long, value_name = "ID")]
    customer: Option<String>,
    /// Only this tool
    #[arg(long)]
    tool: Option<String>,
    /// Only this verdict, as allowed, absent, foreign, guest_unproven, step_up, identity_refused, scope_refused,
    /// invalid_arguments, rate_limited, key_reused, failed, in_doubt, staff
    #[arg(long, value_parser = verdict)]
    verdict: Option<Verdict>,
    /// Only since this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    /// Only until this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
    /// At most this many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    /// JSON Lines instead of columns
    #[arg(long)]
    json: bool,
}

fn verdict(word: &str) -> Result<Verdict, String> {
    serde_json::from_value(word.into()).map_err(|_| "there is no such verdict".to_owned())
}

impl Audit {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let loaded = self.config.load()?;
        let path = &loaded.config.store.path;
        if !path.exists() {
            return Err(anyhow!("there is no store at {}; name it with --store or store.path", path.display()));
        }
        let system = &loaded.config.identity.subject_system;
        let customer = self.customer.map(|id| CustomerId::parse_or_in(system, &id));
        let filter = AuditFilter {
            conversation: self.conversation,
            customer: customer.transpose()?,
            tool: self.tool,
            verdict: self.verdict,
            since: self.since,
            until: self.until,
            limit: self.limit,
        };
        let records = block_on(async {
            let store = Store::open(path, Clock::system())?;
            let records = store.read(&filter).await?;
            store.close().await?;
            Ok(records)
        })?;
        for record in &records {
            match self.json {
                true => output::line(serde_json::to_string(record)?)?,
                false => output::line(columns(record)?)?,
            }
        }
        Ok(())
    }
}

fn columns(record: &StoredAudit) -> anyhow::Result<String> {
    let word = |value: serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let list = |items: &[String]| if items.is_empty() { "-".to_owned() } else { items.join(",") };
    Ok(format!(
        "{:<24}  {:<15}  {:<17}  {:<8}  {}  {}  {}  {}  {}{}",
        record.at.to_string(),
        record.tool,
        word(serde_json::to_value(record.verdict)?),
        word(serde_json::to_value(record.effect)?),
        list(&record.objects),
        list(&record.fields),
        or_dash(&record.conversation),
        or_dash(&record.agent),
        or_dash(&record.customer_hash),
        match (&record.staff, &record.reason) {
            (Some(staff), Some(reason)) => format!("  {staff}: {reason}"),
            _ => String::new(),
        }
    ))
}
