//! `frontdesk audit`: lists audit records.

use clap::Args;

use super::{ConfigArgs, existing_store::with_store, output, value_parsers};
use crate::{
    desk::{AuditFilter, AuditLog, StoredAudit, Verdict},
    domain::{ConversationId, CustomerId, Timestamp},
};

/// Show audit records: each decision, its customer and its objects
///
/// One line per decision, newest first: time, tool, verdict, effect, objects, changed fields, conversation, agent, the
/// customer as a keyed hash, and how the customer was determined; for look-ups by staff, the member and the reason. Contains no values and no content.
#[derive(Args)]
pub(super) struct Audit {
    #[command(flatten)]
    config: ConfigArgs,
    /// Only this conversation
    #[arg(long, value_name = "ID")]
    conversation: Option<ConversationId>,
    /// Only this customer, for example cus_ada or shopify:123
    #[arg(long, value_name = "ID")]
    customer: Option<String>,
    /// Only this tool
    #[arg(long)]
    tool: Option<String>,
    /// Only this verdict
    #[arg(long, value_parser = value_parsers::variant::<Verdict>())]
    verdict: Option<Verdict>,
    /// Only since this time: RFC 3339, a date (UTC), or an age such as 90s, 15m, 1h, 2d or 1w
    #[arg(long, value_name = "TIME", value_parser = value_parsers::since)]
    since: Option<Timestamp>,
    /// Only until this time, or the end of this date; formats as for --since
    #[arg(long, value_name = "TIME", value_parser = value_parsers::until)]
    until: Option<Timestamp>,
    /// At most this many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    /// JSON Lines instead of a table
    #[arg(long)]
    json: bool,
}

const TITLES: &[&str] =
    &["time", "tool", "verdict", "effect", "objects", "fields", "conversation", "agent", "customer", "by", "staff"];

impl Audit {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let records = with_store(&self.config, async |store, loaded| {
            let system = &loaded.config.identity.subject_system;
            let customers = self.customer.as_ref().map(|id| CustomerId::readings(system, id)).transpose()?;
            let filter = AuditFilter {
                conversation: self.conversation.clone(),
                customers: customers.unwrap_or_default(),
                tool: self.tool.clone(),
                verdict: self.verdict,
                since: self.since,
                until: self.until,
                limit: self.limit,
                ..AuditFilter::default()
            };
            Ok(store.read(&filter).await?)
        })?;
        output::list(self.json, TITLES, &records, columns)
    }
}

fn columns(record: &StoredAudit) -> Vec<String> {
    let or_empty = |text: &Option<String>| text.clone().unwrap_or_default();
    vec![
        record.at.to_string(),
        record.tool.to_string(),
        record.verdict.as_str().to_owned(),
        record.effect.as_str().to_owned(),
        record.objects.join(","),
        record.fields.join(","),
        or_empty(&record.conversation),
        or_empty(&record.agent),
        or_empty(&record.customer_hash),
        or_empty(&record.origin),
        match (&record.staff, &record.reason) {
            (Some(staff), Some(reason)) => format!("{staff}: {reason}"),
            (Some(staff), None) => staff.clone(),
            _ => String::new(),
        },
    ]
}
