//! `frontdesk check`: whether `serve` would start, and what it would serve.

mod online;

use anyhow::{anyhow, bail};
use clap::Args;
use serde_json::json;

use super::{ConfigArgs, block_on, output};
use crate::{
    app,
    config::{self, Config, Inspected, VerificationConfig},
    identity::agents::Authentication,
    store::Store,
    telemetry,
};

/// Check the configuration, the store and the addresses
///
/// Reads every layer (file, .env, environment), every secret and every key, builds the server on a temporary store,
/// verifies the real store, and binds the addresses for a moment. Reports all faults at once. The exit status is 0 if
/// `frontdesk serve` would start here, now, as this user. Changes nothing and creates no store. With --online it also
/// asks every configured upstream (one token where tokens are used, one health request) and the trace collector.
#[derive(Args)]
pub(super) struct Check {
    #[command(flatten)]
    config: ConfigArgs,
    /// Print the effective configuration as TOML; secrets are shown by their source
    #[arg(long)]
    print: bool,
    /// Fetch a token from every configured upstream, send it a health request, and print the results
    #[arg(long)]
    online: bool,
    /// A server is running here: do not report its addresses as taken
    #[arg(long)]
    running: bool,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
}

/// The results.
#[derive(Default)]
struct Report {
    findings: Vec<String>,
    warnings: Vec<String>,
    faults: Vec<String>,
    unknown: Vec<String>,
    answers: Vec<online::Answer>,
}

impl Report {
    fn fault(&mut self, fault: impl Into<anyhow::Error>) {
        let text = format!("{:#}", fault.into());
        if !self.faults.contains(&text) {
            self.faults.push(text);
        }
    }
}

impl Check {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let Inspected { loaded, faults, left_out } = config::inspect(&self.config.overrides());
        let config = &loaded.config;
        telemetry::init(&config.log, &config.traces, None)?;
        loaded.warn();
        let mut report = Report::default();
        match loaded.sources.as_slice() {
            [] => report.findings.push("configuration: defaults only".to_owned()),
            sources => report.findings.extend(sources.iter().map(|source| format!("configuration: {source}"))),
        }
        let readable = faults.is_empty();
        faults.into_iter().for_each(|fault| report.fault(fault));
        // The trial build logs nothing; its warnings are in the report.
        let diagnosis = app::faults(config, &loaded.secrets);
        diagnosis
            .faults
            .into_iter()
            .filter(|fault| !fault.is_explained_by(&left_out))
            .for_each(|fault| report.fault(fault));
        report.warnings = diagnosis.warnings;
        // An unreadable path or address would be checked by its default.
        if readable {
            store(config, &mut report);
            self.addresses(config, &mut report)?;
        }
        describe(config, &mut report);
        match self.online {
            true if report.faults.is_empty() => report.answers = online::ask(config, &loaded.secrets)?,
            true => report.unknown.push("upstreams: not asked, since there are faults".to_owned()),
            false if app::upstreams_in_use(config).is_empty() && config.traces.endpoint.is_none() => {}
            false => {
                report.unknown.push("upstreams and trace collector: whether they answer; --online asks them".to_owned())
            }
        }
        if config.verification.enabled && report.answers.is_empty() {
            report
                .unknown
                .push("verification: whether codes can be sent; --online connects, and sends none".to_owned());
        }
        report.unknown.push("webhooks: whether the senders use these secrets".to_owned());
        report.unknown.push("other users: whether another user could start serve".to_owned());
        let bad = report.answers.iter().filter(|answer| answer.is_bad()).count();
        self.print(config, &report, bad)?;
        match (report.faults.as_slice(), bad) {
            ([], 0) => Ok(()),
            ([], bad) => bail!("{bad} of {} upstreams cannot be used", report.answers.len()),
            // The other faults are printed above.
            ([.., last], _) => {
                bail!("{last} ({}; frontdesk serve would not start)", plural(report.faults.len(), "fault"))
            }
        }
    }

    fn addresses(&self, config: &Config, report: &mut Report) -> anyhow::Result<()> {
        if self.running {
            report.unknown.push("addresses: not tried, because of --running".to_owned());
            return Ok(());
        }
        let taken = block_on(async { Ok(app::try_addresses(config).await) })?;
        for fault in taken {
            report.fault(anyhow!("{:#}; if that is frontdesk itself, say check --running", anyhow::Error::new(fault)));
        }
        Ok(())
    }

    fn print(&self, config: &Config, report: &Report, bad: usize) -> anyhow::Result<()> {
        if self.json {
            return output::json(&json!({
                "ok": report.faults.is_empty() && bad == 0,
                "faults": report.faults,
                "warnings": report.warnings,
                "findings": report.findings,
                "not_checked": report.unknown,
                "upstreams": report.answers,
                "configuration": self.print.then(|| serde_json::to_value(config)).transpose()?,
            }));
        }
        if self.print {
            output::line(toml::to_string(config)?.trim_end())?;
        }
        let say = |text: &str| match self.print {
            true => {
                output::remark(text);
                Ok(())
            }
            false => output::line(text),
        };
        report.findings.iter().try_for_each(|text| say(text))?;
        if self.online && report.answers.is_empty() && report.faults.is_empty() {
            say("online: there is no upstream to ask; the desk uses the embedded store alone")?;
        } else if !report.answers.is_empty() {
            say(&online::table(&report.answers))?;
        }
        report.unknown.iter().try_for_each(|text| say(&format!("not checked: {text}")))?;
        report.warnings.iter().try_for_each(|text| say(&format!("warning: {text}")))?;
        if let [others @ .., _] = report.faults.as_slice() {
            others.iter().for_each(|text| output::remark(format_args!("error: {text}")));
        }
        if report.faults.is_empty() && bad == 0 {
            say("ok")?;
        }
        Ok(())
    }
}

fn plural(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// Checks the real store without changing it.
fn store(config: &Config, report: &mut Report) {
    let path = &config.store.path;
    let shown = path.display();
    match Store::check(path) {
        Ok(Some(format)) if format.found == format.known => report.findings.push(format!("store: {shown} is sound")),
        Ok(Some(format)) => report.findings.push(format!(
            "store: {shown} is sound, of format {}; serve migrates it to format {}, which an older frontdesk cannot read",
            format.found, format.known
        )),
        Ok(None) => {
            report.findings.push(format!("store: {shown} does not exist yet; serve and import create it"));
        }
        Err(error) => report.fault(error),
    }
}

/// Describes what would be served.
fn describe(config: &Config, report: &mut Report) {
    let mut say = |text: String| report.findings.push(text);
    let mode = serde_json::to_value(config.identity.mode).unwrap_or_default();
    say(format!("identity: mode {}", mode.as_str().unwrap_or_default()));
    app::grants(config).into_iter().for_each(|grant| say(format!("identity: {grant}")));
    let scheme = if config.http.tls.is_some() { "https" } else { "http" };
    say(format!("http: would listen on {scheme}://{}/mcp", config.http.listen));
    let issuers: Vec<&str> = config.agents.issuers.iter().map(|issuer| issuer.issuer.as_str()).collect();
    say(match (config.agents.authentication, issuers.as_slice()) {
        (Authentication::None, _) => {
            "agents: not authenticated; every client that reaches the address may call".to_owned()
        }
        (Authentication::Required, []) => "agents: with tokens of frontdesk token new".to_owned(),
        (Authentication::Required, issuers) => {
            format!("agents: with tokens of frontdesk token new, or of {}", issuers.join(", "))
        }
    });
    say(match config.operations.enabled {
        true => format!("operations: would listen on http://{}/metrics", config.operations.listen),
        false => "operations: disabled".to_owned(),
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
    if let Some(endpoint) = &config.traces.endpoint {
        say(format!("traces: to {endpoint}"));
    }
    say(format!("verification: {}", sender(&config.verification)));
}

/// What sends one-time codes, in words.
fn sender(verification: &VerificationConfig) -> String {
    match (verification.enabled, &verification.smtp, &verification.connector) {
        (false, ..) => "no one-time codes".to_owned(),
        (true, Some(smtp), None) => {
            let tls = serde_json::to_value(smtp.tls).unwrap_or_default();
            format!(
                "one-time codes by mail at {}:{}, tls {}, from {}",
                smtp.host,
                smtp.port(),
                tls.as_str().unwrap_or_default(),
                verification.from.as_deref().unwrap_or("nobody yet")
            )
        }
        (true, None, Some(connector)) => format!("one-time codes by upstream {connector}"),
        (true, ..) => "one-time codes, and nothing that sends them".to_owned(),
    }
}
