//! `frontdesk console`: lets people into the console.

use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde_json::json;

use super::{ConfigArgs, existing_store::with_store, output, value_parsers};
use crate::{
    app,
    config::Config,
    console::{Link, PATH, Role, Sessions, Token},
    domain::{Clock, is_loopback},
};

/// Life of a link to sign in.
const LINK_LIFE: Duration = Duration::from_secs(5 * 60);
const NAME_CHARS_MAX: usize = 100;

/// Let people into the console
///
/// The console is served at /console of operations.listen. Nothing is shown there without signing in.
#[derive(Args)]
pub(super) struct Console {
    #[command(subcommand)]
    command: ConsoleCommand,
}

#[derive(Subcommand)]
enum ConsoleCommand {
    Login(Login),
}

/// Print a link to sign in with: once, within five minutes
///
/// Whoever opens it is signed in with this name and role. Actions are in the audit under the name.
#[derive(Args)]
struct Login {
    /// Name of the person, for the audit [default: the user of this shell]
    #[arg(long = "as", value_name = "NAME")]
    name: Option<String>,
    /// What the person may do
    #[arg(long, value_parser = value_parsers::variant::<Role>(), default_value = "lead")]
    role: Role,
    /// Address of the console, if it is neither console.public_url nor operations.listen
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

impl Console {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self.command {
            ConsoleCommand::Login(command) => command.run(),
        }
    }
}

impl Login {
    fn run(self) -> anyhow::Result<()> {
        let person = name(self.name)?;
        let role = self.role;
        let (link, url) = with_store(&self.config, async |store, loaded| {
            if !app::serves_console(&loaded.config) {
                bail!(
                    "the console is not served with this configuration: see console.enabled, operations.enabled and \
                     operations.listen"
                );
            }
            let base = match &self.url {
                Some(url) => given(url)?,
                None => base(&loaded.config)?,
            };
            let link = new_link(store, person, role, &Clock::system()).await?;
            Ok((link.1, address(&base, &link.0)))
        })?;
        match self.json {
            true => output::json(&json!({
                "url": url, "person": link.person, "role": link.role.as_str(), "expires_at": link.expires_at
            })),
            false => {
                output::line(&url)?;
                output::remark(format_args!(
                    "signs {} in as {}, once, until {}",
                    link.person,
                    link.role.as_str(),
                    link.expires_at
                ));
                Ok(())
            }
        }
    }
}

/// Makes a link to sign in.
pub(super) async fn new_link(
    sessions: &dyn Sessions,
    person: String,
    role: Role,
    clock: &Clock,
) -> anyhow::Result<(Token, Link)> {
    let token = Token::fresh().context("failed to get random numbers")?;
    let link = Link { person, role, expires_at: clock.now().plus(LINK_LIFE) };
    sessions.add_link(&token.hash(), link.clone()).await?;
    Ok((token, link))
}

/// The address of a link below that of the console's host.
pub(super) fn address(base: &str, token: &Token) -> String {
    format!("{}{PATH}/login/link?token={}", base.trim_end_matches('/').trim_end_matches(PATH), token.expose())
}

/// An address that somebody gave: a link to nowhere would be of no use.
fn given(url: &str) -> anyhow::Result<String> {
    let uri = url.parse::<http::Uri>().ok().filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")));
    match uri {
        Some(uri) if uri.host().is_some() && uri.port_u16() != Some(0) => Ok(url.to_owned()),
        _ => bail!("--url is not the address of a console, as http://127.0.0.1:9464"),
    }
}

/// Where the server with this configuration has the console.
fn base(config: &Config) -> anyhow::Result<String> {
    if let Some(url) = &config.console.public_url {
        return Ok(url.clone());
    }
    let listen = config.operations.listen;
    if listen.port() == 0 {
        bail!("operations.listen takes a free port, which serve prints; give its address with --url");
    }
    if !is_loopback(listen.ip()) {
        bail!("give the console's address with --url, or set console.public_url");
    }
    Ok(format!("http://{listen}"))
}

fn name(given: Option<String>) -> anyhow::Result<String> {
    let from_shell = || ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok());
    let name = given.or_else(from_shell).unwrap_or_default().trim().to_owned();
    let fits = (1..=NAME_CHARS_MAX).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    match fits {
        true => Ok(name),
        false => bail!("give the person's name with --as: 1 to {NAME_CHARS_MAX} characters"),
    }
}
