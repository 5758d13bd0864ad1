//! `frontdesk serve`: MCP over HTTP.

use std::net::SocketAddr;

use clap::Args;

use super::{ConfigArgs, block_on, output, signals, start_traced};
use crate::{
    app::{self, App},
    config::Loaded,
    domain::Clock,
    telemetry::build,
};

/// Serve agents over HTTP
///
/// Serves MCP (Streamable HTTP, stateless) at /mcp until SIGTERM or Ctrl-C; a second signal ends at once. SIGHUP
/// reloads the configuration and its secrets; the log names the keys that need a restart. Prints where it listens, and
/// where metrics and console are, when it is ready. By default every call needs a signed customer context; see
/// `frontdesk context mint --help`.
#[derive(Args)]
pub(super) struct Serve {
    #[command(flatten)]
    config: ConfigArgs,
    /// Address and port to listen on; overrides http.listen
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
}

impl Serve {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let mut overrides = self.config.overrides();
        overrides.keys.extend(self.listen.map(|listen| ("http.listen", listen.to_string())));
        let (loaded, _traces) = start_traced(&overrides)?;
        block_on(async move {
            let app = App::build(&loaded.config, &loaded.secrets, Clock::system())?;
            let (stop, reloads) = signals::stop_and_reload(overrides)?;
            let listening = app.listen().await?;
            let scheme = if loaded.config.http.tls.is_some() { "https" } else { "http" };
            output::line(format_args!("listening on {scheme}://{}/mcp", listening.main.1))?;
            match &listening.operations {
                Some((_, address)) => output::line(format_args!("metrics at http://{address}/metrics"))?,
                None => output::line("no metrics: operations.enabled is false")?,
            }
            if let Some((_, address)) = &listening.operations
                && app::serves_console(&loaded.config)
            {
                let public =
                    loaded.config.console.public_url.as_deref().map(|url| url.trim_end_matches('/').to_owned());
                let base = public.unwrap_or_else(|| format!("http://{address}"));
                // A free port is known to nobody else.
                let url =
                    if loaded.config.operations.listen.port() == 0 { format!(" --url {base}") } else { String::new() };
                output::line(format_args!("console at {base}/console (sign in: frontdesk console login{url})"))?;
            }
            let operations = listening.operations.as_ref().map(|(_, address)| address.to_string());
            say_start(&loaded, listening.main.1, operations.as_deref().unwrap_or("none"));
            let ended = app.serve(listening, stop, reloads).await;
            tracing::info!(clean = ended.is_ok(), "ended");
            Ok(ended?)
        })
    }
}

/// Logs version, configuration and addresses: the first line to look for in an incident.
fn say_start(loaded: &Loaded, listen: SocketAddr, operations: &str) {
    let config = &loaded.config;
    let none = |names: Vec<&str>| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let layers: Vec<String> = loaded.sources.iter().map(ToString::to_string).collect();
    let mut upstreams = app::upstreams_in_use(config);
    upstreams.dedup();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        commit = build::COMMIT,
        configuration = none(layers.iter().map(String::as_str).collect()),
        store = %config.store.path.display(),
        %listen,
        operations,
        sources = none(config.webhooks.keys().map(String::as_str).collect()),
        upstreams = none(upstreams),
        "started"
    );
}
