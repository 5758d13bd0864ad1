//! `frontdesk context revoke`: ends customer contexts before they expire.

use clap::Args;
use serde_json::json;

use super::super::{ConfigArgs, existing_store::with_store, output};
use crate::{
    domain::{Clock, ConversationId, CustomerId},
    identity::{CONTEXT_ID_CHARS_MAX, Revoked},
};

/// End customer contexts at once
///
/// Contexts of this customer or conversation that were issued until now are refused from the next call on, by every
/// process on the store; so are tokens of identity.tokens and conversations that a one-time code has raised. Since the
/// backend's clock may be 30 s ahead, what is issued in the next 30 s is refused, too. A context that the backend issues
/// later is good again: stop the backend from issuing them. Customers whom an agent asserts (identity.asserted) have no
/// token to end: revoke the agent's token.
#[derive(Args)]
#[group(id = "what", required = true, multiple = false, args = ["customer", "conversation", "jti"])]
pub(super) struct RevokeArgs {
    /// Those of this customer: cus_ada, or with its system shop:42
    #[arg(long, value_name = "ID")]
    customer: Option<String>,
    /// Those of this conversation (cid)
    #[arg(long, value_name = "ID")]
    conversation: Option<ConversationId>,
    /// The one with this id (jti)
    #[arg(long, value_name = "ID", value_parser = context_id)]
    jti: Option<String>,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

impl RevokeArgs {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let (revoked, until) = with_store(&self.config, async |store, loaded| {
            let system = &loaded.config.identity.subject_system;
            let mut revoked = Vec::new();
            if let Some(customer) = &self.customer {
                revoked.extend(CustomerId::readings(system, customer)?.into_iter().map(Revoked::Customer));
            }
            revoked.extend(self.conversation.clone().map(Revoked::Conversation));
            revoked.extend(self.jti.clone().map(Revoked::Context));
            for one in &revoked {
                store.revoke_contexts(one).await?;
            }
            Ok((revoked, Clock::system().now().plus(loaded.config.identity.longest_life())))
        })?;
        let words = |one: &Revoked| match one {
            Revoked::Customer(id) => format!("customer {id}"),
            Revoked::Conversation(id) => format!("conversation {id}"),
            Revoked::Context(id) => format!("context {id}"),
        };
        let words: Vec<String> = revoked.iter().map(words).collect();
        match self.json {
            true => output::json(&json!({ "revoked": words, "matters_until": until.to_string() })),
            false => output::line(format!(
                "revoked until now: {}; by {until} all that were issued before have expired",
                words.join(", ")
            )),
        }
    }
}

fn context_id(text: &str) -> Result<String, String> {
    match text.trim().is_empty() || text.chars().count() > CONTEXT_ID_CHARS_MAX {
        true => Err(format!("an id has 1 to {CONTEXT_ID_CHARS_MAX} characters")),
        false => Ok(text.to_owned()),
    }
}
