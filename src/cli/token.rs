//! `frontdesk token`: static bearer tokens of agents.

use std::time::Duration;

use anyhow::{anyhow, bail};
use clap::{Args, Subcommand};
use serde_json::json;

use super::{ConfigArgs, block_on, output};
use crate::{
    domain::{AgentId, Clock, Scope, Timestamp},
    identity::agents::{NewToken, StoredToken},
    store::Store,
};

/// Make, list and revoke bearer tokens of agents
///
/// For agents that no authorization server issues tokens to. A token is sent as `Authorization: Bearer …` with every
/// request to /mcp. The store keeps its SHA-256 alone, so it is shown once. Running servers notice at once.
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

/// Make a token and print it, once
///
/// To replace one without a gap, make another of the same name, hand it over, and revoke the old one.
#[derive(Args)]
struct New {
    /// The agent, as audit, limits and customer contexts (azp) name it
    name: AgentId,
    /// orders:read, tickets:write, crm:write or articles:read; may be given several times [default: all four]
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<Scope>,
    /// Days until it expires
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: u32,
    #[command(flatten)]
    config: ConfigArgs,
}

/// List tokens, the newest first
#[derive(Args)]
struct List {
    /// JSON Lines instead of columns
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Refuse a token from now on
#[derive(Args)]
struct Revoke {
    /// As `token list` shows it
    id: i64,
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

/// Opens the store of the configuration; makes one only where that makes sense.
fn open(config: &ConfigArgs, create: bool) -> anyhow::Result<Store> {
    let loaded = config.load()?;
    let path = &loaded.config.store.path;
    if !create && !path.exists() {
        return Err(anyhow!("there is no store at {}; name it with --store or store.path", path.display()));
    }
    Ok(Store::open(path, Clock::system())?)
}

impl New {
    fn run(self) -> anyhow::Result<()> {
        let scopes = if self.scopes.is_empty() { Scope::AGENTS.to_vec() } else { self.scopes };
        let expires_at = Clock::system().now().plus(DAY * self.days);
        let token = NewToken::make(self.name, scopes.into_iter().collect(), Some(expires_at))?;
        let id = block_on(async {
            let store = open(&self.config, true)?;
            let id = store.add_token(&token).await?;
            store.close().await?;
            Ok(id)
        })?;
        output::remark(format_args!(
            "token {id} of agent {}, for {}, until {expires_at}; it is not shown again:",
            token.name, token.scopes
        ));
        output::line(token.token.expose())
    }
}

impl List {
    fn run(self) -> anyhow::Result<()> {
        let tokens = block_on(async {
            let store = open(&self.config, false)?;
            let tokens = store.tokens().await?;
            store.close().await?;
            Ok(tokens)
        })?;
        let now = Clock::system().now();
        for token in &tokens {
            let text = |time: Option<Timestamp>| time.map(|time| time.to_string());
            match self.json {
                true => output::line(json!({
                    "id": token.id,
                    "name": token.name,
                    "state": state(token, now),
                    "scopes": token.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>(),
                    "created_at": token.created_at.to_string(),
                    "expires_at": text(token.expires_at),
                    "revoked_at": text(token.revoked_at),
                }))?,
                false => output::line(format_args!(
                    "{:>4}  {:<24}  {:<8}  until {:<24}  {}",
                    token.id,
                    token.name.as_str(),
                    state(token, now),
                    text(token.expires_at).unwrap_or_else(|| "-".to_owned()),
                    token.scopes
                ))?,
            }
        }
        Ok(())
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
        let revoked = block_on(async {
            let store = open(&self.config, false)?;
            let revoked = store.revoke_token(id).await?;
            store.close().await?;
            Ok(revoked)
        })?;
        match revoked {
            Some(true) => output::line(format_args!("token {id} is revoked")),
            Some(false) => output::line(format_args!("token {id} had been revoked before")),
            None => bail!("there is no token {id}; see frontdesk token list"),
        }
    }
}
