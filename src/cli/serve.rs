//! `frontdesk serve`: MCP over HTTP.

use std::net::SocketAddr;

use clap::Args;

use super::{ConfigArgs, block_on, output, start_traced, stop_signal};
use crate::{app::App, domain::Clock};

/// Serve agents over HTTP
///
/// Serves MCP (Streamable HTTP, stateless) at /mcp until SIGTERM or Ctrl-C. Prints two lines when it is ready: where it
/// listens, and where its metrics are. By default
/// every call needs a signed customer context; see `frontdesk context mint --help`.
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
            let stop = stop_signal()?;
            let listening = app.listen().await?;
            let scheme = if loaded.config.http.tls.is_some() { "https" } else { "http" };
            output::line(format_args!("listening on {scheme}://{}/mcp", listening.main.1))?;
            match &listening.operations {
                Some((_, address)) => output::line(format_args!("metrics at http://{address}/metrics"))?,
                None => output::line("no metrics: operations.enabled is false")?,
            }
            Ok(app.serve(listening, stop).await?)
        })
    }
}
