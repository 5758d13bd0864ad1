//! `frontdesk token`: static bearer tokens of agents.

use std::{path::PathBuf, time::Duration};

use anyhow::bail;
use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::json;

use super::{ConfigArgs, existing_store::with_store, output, secret_file};
use crate::{
    domain::{AgentId, Clock, Scope, Scopes, Timestamp},
    identity::agents::{NewToken, StoredToken},
};

/// Create, list and revoke bearer tokens of agents
///
/// For agents without an authorization server that issues tokens to them. A token is sent as `Authorization: Bearer …`
/// with every request to /mcp. The store keeps only its SHA-256, so it is shown once. Running servers accept it and
/// refuse a revoked one at once.
#[derive(Args)]
pub(super) struct Token {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Subcommand)]
enum TokenCommand {
    New(New),
    List(List),
    Revoke(Revoke),
}

/// Create a token and print it once
///
/// To rotate a token without downtime, create another of the same name, deploy it, and revoke the old one.
#[derive(Args)]
struct New {
    /// Agent id, as it appears in audit records, limits and customer contexts (azp)
    name: AgentId,
    /// orders:read, tickets:write, crm:write, articles:read, customers:verify (one-time codes) or customers:assert
    /// (identity.asserted); may be repeated [default: the first four, and the fifth where verification.enabled is set]
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<Scope>,
    /// Days until it expires
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: u32,
    /// Write the token into this new file (mode 0600) instead of printing it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

/// List tokens, newest first
#[derive(Args)]
struct List {
    /// JSON Lines instead of a table
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Revoke a token at once
#[derive(Args)]
struct Revoke {
    /// Token id, from `token list`
    id: i64,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Token {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self.command {
            TokenCommand::New(command) => command.run(),
            TokenCommand::List(command) => command.run(),
            TokenCommand::Revoke(command) => command.run(),
        }
    }
}

impl New {
    fn run(self) -> anyhow::Result<()> {
        let expires_at = Clock::system().now().plus(DAY * self.days);
        // Created before the token is stored, so that an unwritable file leaves no valid token.
        let file = self.out.as_deref().map(secret_file::create).transpose()?;
        let made = with_store(&self.config, async |store, loaded| {
            let scopes = match self.scopes.is_empty() {
                true => Scopes::of_agents(loaded.config.verification.enabled),
                false => self.scopes.iter().copied().collect(),
            };
            let token = NewToken::make(self.name.clone(), scopes, Some(expires_at))?;
            Ok((store.add_token(&token).await?, token))
        });
        let (id, token) = match (made, &file) {
            (Err(error), Some(file)) => {
                file.remove();
                return Err(error);
            }
            (made, _) => made?,
        };
        if let Some(file) = file {
            file.write(token.token.expose())?;
        }
        let (name, scopes) = (&token.name, token.scopes);
        match (self.json, &self.out) {
            (true, out) => output::json(&json!({
                "id": id,
                "name": name.as_str(),
                "scopes": scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>(),
                "expires_at": expires_at.to_string(),
                "token": out.is_none().then(|| token.token.expose()),
                "file": out,
            })),
            (false, Some(path)) => output::line(format_args!(
                "token {id} of agent {name}, for {scopes}, until {expires_at}, is in {}",
                path.display()
            )),
            (false, None) => {
                output::remark(format_args!(
                    "token {id} of agent {name}, for {scopes}, until {expires_at}; it is not shown again:"
                ));
                output::line(token.token.expose())
            }
        }
    }
}

const TITLES: &[&str] = &["id", "agent", "state", "expires", "scopes"];

/// A token for display, without its hash.
#[derive(Serialize)]
struct Shown {
    id: i64,
    name: String,
    state: &'static str,
    scopes: Vec<&'static str>,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
}

impl List {
    fn run(self) -> anyhow::Result<()> {
        let tokens = with_store(&self.config, async |store, _| Ok(store.tokens().await?))?;
        let now = Clock::system().now();
        let shown = |token: &StoredToken| Shown {
            id: token.id,
            name: token.name.as_str().to_owned(),
            state: state(token, now),
            scopes: token.scopes.iter().map(|scope| scope.as_str()).collect(),
            created_at: token.created_at,
            expires_at: token.expires_at,
            revoked_at: token.revoked_at,
        };
        let tokens: Vec<Shown> = tokens.iter().map(shown).collect();
        output::list(self.json, TITLES, &tokens, |token| {
            vec![
                token.id.to_string(),
                token.name.clone(),
                token.state.to_owned(),
                token.expires_at.map(|at| at.to_string()).unwrap_or_default(),
                token.scopes.join(" "),
            ]
        })
    }
}

fn state(token: &StoredToken, now: Timestamp) -> &'static str {
    match token.expires_at {
        _ if token.revoked_at.is_some() => "revoked",
        Some(at) if at <= now => "expired",
        _ => "valid",
    }
}

impl Revoke {
    fn run(self) -> anyhow::Result<()> {
        let id = self.id;
        let revoked = with_store(&self.config, async |store, _| Ok(store.revoke_token(id).await?))?;
        match revoked {
            Some(now) if self.json => output::json(&json!({ "id": id, "revoked": true, "before": !now })),
            Some(true) => output::line(format_args!("token {id} is revoked")),
            Some(false) => output::line(format_args!("token {id} was already revoked")),
            None => bail!("there is no token {id}; see frontdesk token list"),
        }
    }
}
