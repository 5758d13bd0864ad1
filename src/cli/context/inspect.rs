//! `frontdesk context inspect`: what a customer's token gives, or the first reason why it would be refused.

use std::{io::Read, sync::Arc};

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::json;

use super::super::{ConfigArgs, block_on, output};
use crate::{
    app,
    config::Config,
    domain::{AgentId, Clock, Timestamp},
    identity::{
        Caller, Identity, Inspection, Sent,
        agents::{Agent, Authentication, Holder},
    },
    store::Store,
};

/// Longest input that is read.
const INPUT_BYTES_MAX: u64 = 64 * 1024;

/// Say what a customer's token gives, or why it would be refused
///
/// Reads the token from standard input and judges it as a call would be: a customer context, or a token of
/// identity.tokens. Prints the profile, when it expires, what each of its claims gives, and the first reason why it
/// would be refused; never the token. Revocations count if there is a store. The exit status is 1 if it would be refused.
/// Headers of identity.asserted hold no token and cannot be inspected.
#[derive(Args)]
pub(super) struct InspectArgs {
    /// The agent that would send it
    #[arg(long, value_name = "ID")]
    agent: Option<AgentId>,
    /// The header that it would come in [default: that of the agent's customer contexts, or of the one profile that it
    /// fits]
    #[arg(long, value_name = "NAME")]
    header: Option<String>,
    /// It would come as the argument customer_context
    #[arg(long, conflicts_with = "header")]
    as_argument: bool,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

/// A token with what the server would do with a call that brings it.
struct Judged {
    inspection: Inspection,
    /// What the judgement rests on.
    notes: Vec<String>,
    refused: Option<String>,
    now: Timestamp,
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
        let judged = block_on(async {
            let clock = Clock::system();
            let identity = app::identity(&loaded.config, &loaded.secrets, clock.clone())?;
            if !identity.reads_tokens() {
                bail!("identity.mode is not context: no token names the customer");
            }
            self.check_header(&identity)?;
            let path = &loaded.config.store.path;
            let store = if path.is_file() { Some(Store::open(path, clock.clone())?) } else { None };
            let identity = match &store {
                Some(store) => identity.with_revocations(Arc::new(store.clone())),
                None => identity,
            };
            let (agent, notes, unknown) = self.calling(&loaded.config, store.as_ref(), clock.now()).await?;
            let sent = Sent { agent, header: self.header.as_deref(), as_argument: self.as_argument };
            let inspection = identity.inspect(token, sent).await;
            if let Some(store) = store {
                store.close().await?;
            }
            let refused = inspection.outcome.as_ref().err().map(ToString::to_string).or(unknown);
            Ok(Judged { inspection, notes, refused, now: clock.now() })
        })?;
        match self.json {
            true => output::json(&to_json(&judged))?,
            false => output::line(in_words(&judged))?,
        }
        match judged.refused {
            Some(_) => bail!("the token would be refused"),
            None => Ok(()),
        }
    }

    /// Refuses headers that hold no token.
    fn check_header(&self, identity: &Identity) -> anyhow::Result<()> {
        let Some(header) = &self.header else { return Ok(()) };
        if identity.asserts_in(header) {
            bail!(
                "{header} is a header of identity.asserted: it holds no token, and what it is worth depends on the agent's \
                 token, its scope customers:assert, its address and the other headers of the call; inspect reads customer \
                 contexts and tokens of identity.tokens alone"
            );
        }
        let known = identity.headers();
        if !known.iter().any(|name| name.eq_ignore_ascii_case(header)) {
            bail!("no customer is read from the header {header}; those that are read are {}", known.join(", "));
        }
        Ok(())
    }

    /// The agent as the server would know it, what that rests on, and why the server would not know it.
    async fn calling(
        &self,
        config: &Config,
        store: Option<&Store>,
        now: Timestamp,
    ) -> anyhow::Result<(Option<Arc<Agent>>, Vec<String>, Option<String>)> {
        let none = |note: &str| Ok((None, vec![note.to_owned()], None));
        let required = config.agents.authentication == Authentication::Required;
        let Some(id) = self.agent.clone() else {
            return match required {
                true => none("agents authenticate here: with --agent ID, azp is compared and its own carriers count"),
                false => Ok((None, Vec::new(), None)),
            };
        };
        if !required {
            return none("agents do not authenticate here: no call has an agent, and --agent and azp mean nothing");
        }
        let tokens = match store {
            Some(store) => store.tokens().await?,
            None => Vec::new(),
        };
        let is_good = |until: Option<Timestamp>| until.is_none_or(|until| until > now);
        let own =
            tokens.iter().find(|token| token.name == id && token.revoked_at.is_none() && is_good(token.expires_at));
        let agent = |scopes| Some(Arc::new(Agent { id: id.clone(), scopes, holder: Holder::Named }));
        Ok(match (own, config.agents.issuers.is_empty()) {
            (Some(token), _) => (agent(token.scopes), Vec::new(), None),
            (None, false) => {
                let note =
                    format!("no static token is named {id}; whether an issuer has a client of this id is not known");
                (agent(Default::default()), vec![note], None)
            }
            (None, true) => {
                let why =
                    format!("no agent {id} can authenticate: no valid token has this name (frontdesk token list)");
                (agent(Default::default()), Vec::new(), Some(why))
            }
        })
    }
}

fn in_words(judged: &Judged) -> String {
    let inspection = &judged.inspection;
    let mut lines = Vec::new();
    let mut line = |name: &str, value: String| lines.push(format!("{name:<14} {value}"));
    line("kind", inspection.kind.clone().unwrap_or_else(|| "nothing that this configuration reads".to_owned()));
    line(
        "read from",
        match &inspection.header {
            Some(header) => format!("the header {header} (--header {header})"),
            None => "the argument customer_context".to_owned(),
        },
    );
    if let Some(algorithm) = &inspection.algorithm {
        let kid = inspection.kid.as_deref().map_or("no kid".to_owned(), |kid| format!("kid {kid}"));
        line("signed with", format!("{algorithm}, {kid}"));
    }
    if let Some(expires) = inspection.expires_at {
        line("expires", format!("{expires}, {}", in_seconds(expires.unix_s() - judged.now.unix_s())));
    }
    if !inspection.claims.is_empty() {
        line("claims", String::new());
        for (claim, meaning) in &inspection.claims {
            line(&format!("  {claim}"), meaning.clone().unwrap_or_else(|| "not used".to_owned()));
        }
    }
    if let Ok(caller) = &inspection.outcome {
        for (name, value) in gives(caller) {
            line(name, value);
        }
    }
    for header in &inspection.fitting {
        line("hint", format!("a profile takes it in another header: --header {header}"));
    }
    judged.notes.iter().for_each(|note| line("note", note.clone()));
    match &judged.refused {
        Some(why) => line("refused", why.clone()),
        None => line("accepted", "yes".to_owned()),
    }
    lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n")
}

fn in_seconds(left: i64) -> String {
    match left {
        ..=0 => format!("{} s ago", -left),
        left => format!("in {left} s"),
    }
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

fn to_json(judged: &Judged) -> serde_json::Value {
    let inspection = &judged.inspection;
    let caller = inspection.outcome.as_ref().ok();
    let claims = inspection.claims.iter().map(|(claim, meaning)| (claim.clone(), json!(meaning)));
    json!({
        "kind": inspection.kind,
        "header": inspection.header,
        "fitting_headers": inspection.fitting,
        "alg": inspection.algorithm,
        "kid": inspection.kid,
        "expires_at": inspection.expires_at.map(|at| at.to_string()),
        "claims": claims.collect::<serde_json::Map<_, _>>(),
        "notes": judged.notes,
        "accepted": judged.refused.is_none(),
        "refused": judged.refused,
        "gives": caller.map(|caller| {
            gives(caller).into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect::<serde_json::Map<_, _>>()
        }),
    })
}
