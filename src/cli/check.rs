//! `frontdesk check`: is the configuration good?

use std::path::Path;

use anyhow::bail;
use clap::Args;

use super::{ConfigArgs, block_on, output, start};
use crate::{
    app::{self, App},
    config::{Config, Secrets},
    connectors::Asked,
    domain::Clock,
    identity::agents::Authentication,
    store::Store,
    telemetry::causes,
};

/// Check the configuration and the store, and say what was found
///
/// Reads every layer (file, .env, environment), every secret and every key, opens the store and reads it through. The exit
/// status is 0 if `frontdesk serve` would start. A store that is missing is not created. With --online it also asks every
/// configured system: one token where tokens are used, one health request.
#[derive(Args)]
pub(super) struct Check {
    #[command(flatten)]
    config: ConfigArgs,
    /// Print the configuration in effect, as TOML; secrets are shown by the place they come from
    #[arg(long)]
    print: bool,
    /// Fetch a token from and send a health request to every configured upstream, and print how it went
    #[arg(long)]
    online: bool,
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
        let scheme = if config.http.tls.is_some() { "https" } else { "http" };
        say(format!("http: would listen on {scheme}://{}/mcp", config.http.listen));
        let issuers: Vec<&str> = config.agents.issuers.iter().map(|issuer| issuer.issuer.as_str()).collect();
        say(match (config.agents.authentication, issuers.as_slice()) {
            (Authentication::None, _) => "agents: whatever reaches the address may call".to_owned(),
            (Authentication::Required, []) => "agents: with tokens of frontdesk token new".to_owned(),
            (Authentication::Required, issuers) => {
                format!("agents: with tokens of frontdesk token new, or of {}", issuers.join(", "))
            }
        });
        say(match config.operations.enabled {
            true => format!("operations: would listen on http://{}/metrics", config.operations.listen),
            false => "operations: no address of their own".to_owned(),
        });
        for (port, name) in
            [("orders", &config.desk.orders), ("helpdesk", &config.desk.helpdesk), ("crm", &config.desk.crm)]
        {
            say(format!("desk: {port} at {name}"));
        }
        match config.webhooks.keys().map(String::as_str).collect::<Vec<_>>().as_slice() {
            [] => say("webhooks: none".to_owned()),
            names => say(format!("webhooks: at /webhooks/ followed by {}", names.join(", "))),
        }
        if self.online {
            online(config, &loaded.secrets, say)?;
        }
        say("ok".to_owned());
        Ok(())
    }
}

/// Asks every upstream in use, and prints a line for each.
fn online(config: &Config, secrets: &Secrets, say: impl Fn(String)) -> anyhow::Result<()> {
    let probes = block_on(async {
        let mut probes = Vec::new();
        for connector in app::connectors(config, secrets, &Clock::system())?.into_values() {
            probes.extend(connector.probe().await);
        }
        Ok(probes)
    })?;
    if probes.is_empty() {
        say("online: there is no upstream to ask; the desk uses the embedded store alone".to_owned());
        return Ok(());
    }
    say(format!(
        "{:<16}  {:<18}  {:<9}  {:<9}  {:>9}  what to do",
        "upstream", "ports", "auth", "reachable", "latency"
    ));
    for probe in &probes {
        let (reachable, advice) = match &probe.result {
            Ok(Asked::Health) => ("yes", "nothing".to_owned()),
            Ok(Asked::Nothing) => ("?", "its connector has no [health]: nothing but a token was asked for".to_owned()),
            Err(error) => ("no", advice(&probe.base_url, probe.health.as_deref(), error.as_ref())),
        };
        let ports = probe.ports.join(",");
        let latency_ms = probe.took.as_millis();
        say(format!(
            "{:<16}  {ports:<18}  {:<9}  {reachable:<9}  {latency_ms:>6} ms  {advice}",
            probe.upstream, probe.auth
        ));
    }
    match probes.iter().filter(|probe| probe.result.is_err()).count() {
        0 => Ok(()),
        failed => bail!("{failed} of {} upstreams cannot be used", probes.len()),
    }
}

/// What went wrong, and where to look.
fn advice(base_url: &str, health: Option<&str>, error: &(dyn std::error::Error + 'static)) -> String {
    let why = causes(error);
    let not_there = why.contains("status 404") || why.contains("not found");
    if let (true, Some(health)) = (not_there, health) {
        return format!(
            "there is nothing at {health} below base_url: base_url lacks its path or has too much of one, or the vendor's \
             API is not switched on there ({base_url}: {why})"
        );
    }
    let step = if why.contains("refuses our credentials") {
        "check the credentials in auth, and what they are allowed"
    } else if why.contains("not set up") {
        "see frontdesk connectors show for what has to be set up"
    } else if why.contains("too many requests") {
        "it answers that there are too many requests: try again later"
    } else if why.contains("token endpoint cannot be reached") {
        "check auth.token_url, DNS, proxy and firewall"
    } else if why.contains("not a token reply") {
        "check auth.token_url: what is there answers, and gives no token"
    } else if why.contains("the token endpoint answered 4") {
        "check auth.token_url, client_id and the client's secret or key"
    } else if why.contains("the token endpoint answered") {
        "the token endpoint answers, and fails: see its own status page"
    } else if why.contains("status 404") || why.contains("not found") || why.contains("unexpected status 3") {
        "check the path of base_url"
    } else if why.contains("the upstream failed") {
        "it answers, and fails: see its own status page"
    } else {
        "check base_url, DNS, proxy and firewall"
    };
    format!("{step} ({base_url}: {why})")
}

/// Puts everything together, and closes it again.
fn try_build(config: &Config, secrets: &Secrets) -> anyhow::Result<()> {
    block_on(async {
        let app = App::build(config, secrets, Clock::system())?;
        Ok(app.store().close().await?)
    })
}
