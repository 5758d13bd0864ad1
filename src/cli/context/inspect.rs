//! `frontdesk context inspect`: what a customer's token gives, or the first reason why it would be refused.

use std::{io::Read, sync::Arc};

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::json;

use super::super::{ConfigArgs, block_on, output};
use crate::{
    app,
    domain::{AgentId, Clock, Secret},
    identity::{
        CONTEXT_HEADER, Caller, CarriedHeader, Evidence, Inspection,
        agents::{Agent, Holder},
    },
    store::Store,
};

/// Longest input that is read.
const INPUT_BYTES_MAX: u64 = 64 * 1024;

/// Say what a customer's token gives, or why it would be refused
///
/// Reads the token from standard input and judges it as a call would be: a customer context, or a token of
/// identity.tokens. Prints the profile, the names of its claims, what they give, and the first reason why it would be
/// refused; never the token. Revocations count if there is a store.
#[derive(Args)]
pub(super) struct InspectArgs {
    /// The agent that would send it
    #[arg(long, value_name = "ID")]
    agent: Option<AgentId>,
    /// The header that it would come in [default: that of customer contexts]
    #[arg(long, value_name = "NAME")]
    header: Option<String>,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

impl InspectArgs {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let loaded = self.config.load()?;
        let mut token = String::new();
        let read = std::io::stdin().take(INPUT_BYTES_MAX).read_to_string(&mut token);
        read.context("failed to read the token from standard input")?;
        let token = token.trim();
        if token.is_empty() {
            bail!("no token came on standard input; write: printf %s \"$TOKEN\" | frontdesk context inspect");
        }
        let inspection = block_on(async {
            let identity = app::identity(&loaded.config, &loaded.secrets, Clock::system())?;
            if !identity.reads_tokens() {
                bail!("identity.mode is not context: no token names the customer");
            }
            let path = &loaded.config.store.path;
            let store = if path.is_file() { Some(Store::open(path, Clock::system())?) } else { None };
            let identity = match &store {
                Some(store) => identity.with_revocations(Arc::new(store.clone())),
                None => identity,
            };
            let own = self.header.as_deref().map(str::to_ascii_lowercase).filter(|header| header != CONTEXT_HEADER);
            let agent =
                self.agent.clone().map(|id| Arc::new(Agent { id, scopes: Default::default(), holder: Holder::Named }));
            let name = own.clone().unwrap_or_else(|| identity.context_header(self.agent.as_ref()).to_owned());
            let header = CarriedHeader { name, value: Secret::new(token.to_owned()) };
            let evidence = Evidence { agent, headers: vec![header], ..Evidence::default() };
            let inspection = identity.inspect(token, own.as_deref(), &evidence).await;
            if let Some(store) = store {
                store.close().await?;
            }
            Ok(inspection)
        })?;
        match self.json {
            true => output::json(&to_json(&inspection)),
            false => output::line(in_words(&inspection)),
        }
    }
}

fn in_words(inspection: &Inspection) -> String {
    let mut lines = Vec::new();
    let mut line = |name: &str, value: String| lines.push(format!("{name:<14} {value}"));
    line("kind", inspection.kind.clone().unwrap_or_else(|| "nothing that this configuration reads".to_owned()));
    if let Some(algorithm) = &inspection.algorithm {
        let kid = inspection.kid.as_deref().map_or("no kid".to_owned(), |kid| format!("kid {kid}"));
        line("signed with", format!("{algorithm}, {kid}"));
        line("claims", inspection.claims.join(", "));
    }
    match &inspection.outcome {
        Err(refusal) => line("refused", refusal.to_string()),
        Ok(caller) => {
            for (name, value) in gives(caller) {
                line(name, value);
            }
            line("accepted", "yes".to_owned());
        }
    }
    lines.join("\n")
}

/// What the caller's tools see.
fn gives(caller: &Caller) -> Vec<(&'static str, String)> {
    let Some(customer) = caller.customer() else { return Vec::new() };
    let level = serde_json::to_value(customer.level).ok();
    let email = customer
        .email
        .as_ref()
        .map(|email| format!("{email}, {}", if customer.email_verified { "proven" } else { "not proven" }));
    let linked = customer.linked.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    [
        ("customer", Some(customer.id.to_string())),
        ("linked", Some(linked).filter(|linked| !linked.is_empty())),
        ("level", level.and_then(|level| level.as_str().map(str::to_owned))),
        ("email", email),
        ("name", customer.name.clone()),
        ("language", customer.language.as_ref().map(ToString::to_string)),
        ("conversation", caller.conversation.as_ref().map(ToString::to_string)),
        ("agent", caller.agent.as_ref().map(ToString::to_string)),
    ]
    .into_iter()
    .filter_map(|(name, value)| value.map(|value| (name, value)))
    .collect()
}

fn to_json(inspection: &Inspection) -> serde_json::Value {
    let caller = inspection.outcome.as_ref().ok();
    json!({
        "kind": inspection.kind,
        "alg": inspection.algorithm,
        "kid": inspection.kid,
        "claims": inspection.claims,
        "accepted": caller.is_some(),
        "refused": inspection.outcome.as_ref().err().map(ToString::to_string),
        "gives": caller.map(|caller| {
            gives(caller).into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect::<serde_json::Map<_, _>>()
        }),
    })
}
