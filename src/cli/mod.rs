//! The command line: one file per subcommand. `anyhow` is used here alone.

mod articles;
mod audit;
mod backup;
mod check;
mod completions;
mod connectors;
mod console;
mod context;
mod demo;
mod demo_traffic;
mod erase;
mod events;
mod existing_store;
mod export;
mod import;
mod init;
mod live;
mod man;
mod openapi;
mod operations_server;
mod output;
mod reference;
mod schema;
mod secret_file;
mod serve;
mod signals;
mod status;
mod stdio;
mod tail;
mod tickets;
mod token;
mod value_parsers;
mod webhooks;

use std::{future::Future, path::PathBuf, process::ExitCode, sync::Arc};

use bytes::Bytes;
use clap::{Args, Parser, Subcommand};

use crate::{
    config::{self, Loaded, Overrides},
    telemetry::{
        self,
        traces::{Post, Traces},
    },
    upstream::Blocking,
};

/// The server between support chatbots and a company's systems.
///
/// LLM agents look up orders, open tickets and update the CRM through it (Model Context Protocol, over stdio and
/// Streamable HTTP). Each call is bound to exactly one customer, whom the agent cannot choose.
#[derive(Parser)]
#[command(version = telemetry::build::VERSION, max_term_width = 100, after_help = "Try it: frontdesk demo")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Demo(demo::Demo),
    Init(Box<init::Init>),
    Serve(serve::Serve),
    Stdio(stdio::Stdio),
    Import(import::Import),
    Context(context::Context),
    Articles(articles::Articles),
    Audit(audit::Audit),
    Events(events::Events),
    Webhooks(webhooks::Webhooks),
    Status(status::StatusCommand),
    Tail(tail::Tail),
    Tickets(tickets::Tickets),
    Console(console::Console),
    Token(token::Token),
    Erase(erase::Erase),
    Export(export::Export),
    Backup(backup::Backup),
    Restore(backup::Restore),
    Check(check::Check),
    Connectors(connectors::Connectors),
    Schema(schema::SchemaCommand),
    #[command(name = "openapi")]
    OpenApi(openapi::OpenApi),
    Completions(completions::Completions),
    #[command(hide = true)]
    Man(man::Man),
}

/// Arguments for the configuration file and the store.
#[derive(Args, Clone, Default)]
struct ConfigArgs {
    /// Configuration file [default: frontdesk.toml in the working directory, if it exists]
    #[arg(long, value_name = "FILE", env = "FRONTDESK_CONFIG")]
    config: Option<PathBuf>,
    /// Store file; overrides store.path
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
}

impl ConfigArgs {
    fn overrides(&self) -> Overrides {
        let mut overrides = Overrides { file: self.config.clone(), ..Overrides::default() };
        if let Some(store) = &self.store {
            overrides.keys.push(("store.path", store.display().to_string()));
        }
        overrides
    }

    /// Loads the configuration and sets up logging.
    fn load(&self) -> anyhow::Result<Loaded> {
        start(&self.overrides())
    }
}

/// Loads the configuration and sets up logging.
fn start(overrides: &Overrides) -> anyhow::Result<Loaded> {
    let loaded = config::load(overrides)?;
    telemetry::init(&loaded.config.log, &loaded.config.traces, None)?;
    loaded.warn();
    Ok(loaded)
}

/// The same for `serve` and `stdio`, with traces. Dropping the returned [`Traces`] flushes them.
fn start_traced(overrides: &Overrides) -> anyhow::Result<(Loaded, Option<Traces>)> {
    let loaded = config::load(overrides)?;
    let traces = &loaded.config.traces;
    let post: Option<Arc<dyn Post>> = match traces.endpoint {
        Some(_) => Some(Arc::new(Sender(Blocking::new()?))),
        None => None,
    };
    let kept = telemetry::init(&loaded.config.log, traces, post)?;
    loaded.warn();
    Ok((loaded, kept))
}

/// Exports spans with the HTTP client of the upstream room.
struct Sender(Blocking);

impl Post for Sender {
    fn post(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(self.0.post(request)?)
    }
}

/// Runs the command line. Exit status: 0 success, 1 failure, 2 usage error.
pub fn run() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Demo(command) => command.run(),
        Command::Init(command) => command.run(),
        Command::Serve(command) => command.run(),
        Command::Stdio(command) => command.run(),
        Command::Import(command) => command.run(),
        Command::Context(command) => command.run(),
        Command::Articles(command) => command.run(),
        Command::Audit(command) => command.run(),
        Command::Events(command) => command.run(),
        Command::Webhooks(command) => command.run(),
        Command::Status(command) => command.run(),
        Command::Tail(command) => command.run(),
        Command::Tickets(command) => command.run(),
        Command::Console(command) => command.run(),
        Command::Token(command) => command.run(),
        Command::Erase(command) => command.run(),
        Command::Export(command) => command.run(),
        Command::Backup(command) => command.run(),
        Command::Restore(command) => command.run(),
        Command::Check(command) => command.run(),
        Command::Connectors(command) => command.run(),
        Command::Schema(command) => command.run(),
        Command::OpenApi(command) => command.run(),
        Command::Completions(command) => command.run(),
        Command::Man(command) => command.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&error);
            ExitCode::FAILURE
        }
    }
}

/// Runs a future on a new runtime.
fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}
