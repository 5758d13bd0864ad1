//! `frontdesk check`: is the configuration good?

use std::path::Path;

use anyhow::bail;
use clap::Args;

use super::{ConfigArgs, block_on, output, start};
use crate::{
    app::App,
    config::{Config, Secrets},
    domain::Clock,
    store::Store,
};

/// Check the configuration and the store, and say what was found
///
/// Reads every layer (file, .env, environment), every secret and every key, opens the store and reads it through. The exit
/// status is 0 if `frontdesk serve` would start. A store that is missing is not created.
#[derive(Args)]
pub(super) struct Check {
    #[command(flatten)]
    config: ConfigArgs,
    /// Print the configuration in effect, as TOML; secrets are shown by the place they come from
    #[arg(long)]
    print: bool,
}

impl Check {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let loaded = start(&self.config.overrides())?;
        if self.print {
            output::line(toml::to_string(&loaded.config)?.trim_end())?;
        }
        let config = &loaded.config;
        let say = |text: String| {
            if self.print {
                output::remark(text)
            } else {
                let _ = output::line(text);
            }
        };
        match loaded.sources.as_slice() {
            [] => say("configuration: defaults only".to_owned()),
            sources => sources.iter().for_each(|source| say(format!("configuration: {source}"))),
        }
        let path = &config.store.path;
        match path.exists() {
            true => {
                Store::check(path)?;
                try_build(config, &loaded.secrets)?;
                say(format!("store: {} is sound", path.display()));
            }
            false => {
                let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
                if !parent.is_dir() {
                    bail!(
                        "the directory of store.path, {}, does not exist; create it, or name another file",
                        parent.display()
                    );
                }
                // The same checks on a store that is thrown away.
                let directory = tempfile::tempdir()?;
                let mut trial = config.clone();
                trial.store.path = directory.path().join("frontdesk.db");
                try_build(&trial, &loaded.secrets)?;
                say(format!("store: {} does not exist yet; serve and import create it", path.display()));
            }
        }
        let mode = serde_json::to_value(config.identity.mode)?;
        say(format!("identity: mode {}", mode.as_str().unwrap_or_default()));
        say(format!("http: would listen on http://{}/mcp", config.http.listen));
        say("ok".to_owned());
        Ok(())
    }
}

/// Puts everything together, and closes it again.
fn try_build(config: &Config, secrets: &Secrets) -> anyhow::Result<()> {
    block_on(async {
        let app = App::build(config, secrets, Clock::system())?;
        Ok(app.store().close().await?)
    })
}
