//! `frontdesk serve`: MCP over HTTP.

use std::net::SocketAddr;

use clap::Args;

use super::{ConfigArgs, block_on, output, start, stop_signal};
use crate::{app::App, domain::Clock};

/// Serve agents over HTTP
///
/// Serves MCP (Streamable HTTP, stateless) at /mcp until SIGTERM or Ctrl-C. Prints one line when it is ready. By default
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
        let loaded = start(&overrides)?;
        block_on(async move {
            let app = App::build(&loaded.config, &loaded.secrets, Clock::system())?;
            let stop = stop_signal()?;
            let (listener, address) = app.listen().await?;
            output::line(format_args!("listening on http://{address}/mcp"))?;
            Ok(app.serve(listener, stop).await?)
        })
    }
}
