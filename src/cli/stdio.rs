//! `frontdesk stdio`: MCP over standard input and output.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;

use super::{ConfigArgs, block_on, signals, start_traced};
use crate::{app::App, domain::Clock, identity::Mode, store};

/// Serve one agent over standard input and output
///
/// For agent hosts that start their servers as subprocesses. With --customer the whole process acts for that customer;
/// otherwise the configuration defines how the customer is determined. Reads no file from the working directory: name
/// the configuration with --config.
#[derive(Args)]
pub(super) struct Stdio {
    /// Configuration file; none is read from the working directory
    #[arg(long, value_name = "FILE", env = "FRONTDESK_CONFIG")]
    config: Option<PathBuf>,
    /// Store file; overrides store.path
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
    /// Customer id that every call acts for; sets identity.mode to fixed
    #[arg(long, value_name = "ID")]
    customer: Option<String>,
    /// The customer's email address; overrides identity.email
    #[arg(long, value_name = "ADDRESS", requires = "customer")]
    email: Option<String>,
}

impl Stdio {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let mut overrides = ConfigArgs { config: self.config, store: self.store }.overrides();
        overrides.not_from_here = true;
        if let Some(customer) = self.customer {
            overrides.keys.push(("identity.mode", "fixed".to_owned()));
            overrides.keys.push(("identity.customer", customer));
        }
        overrides.keys.extend(self.email.map(|email| ("identity.email", email)));
        let (loaded, _traces) = start_traced(&overrides)?;
        if loaded.config.store.path == store::Options::default().path {
            bail!(
                "name the store with --store FILE, or a configuration with --config FILE; stdio reads none from the working directory"
            );
        }
        if loaded.config.identity.mode == Mode::Token {
            bail!(
                "identity.mode is token, and no token comes over stdio; use --customer, or identity.mode = \"context\""
            );
        }
        block_on(async move {
            let app = App::build(&loaded.config, &loaded.secrets, Clock::system())?;
            let stop = signals::stop()?;
            Ok(app.stdio(stop).await?)
        })
    }
}
