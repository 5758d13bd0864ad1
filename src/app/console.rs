//! Puts the console together.

use std::sync::Arc;

use super::{App, Connectors, upstreams, webhook_source};
use crate::{
    config::Config,
    console::{Console, Parts, Sources, Upstream, Upstreams},
    domain::{Secret, is_loopback},
    http::ConsoleSite,
    operator::Operator,
    telemetry::build,
};

/// The console, if it is served.
pub(super) fn console(app: &App) -> Option<ConsoleSite> {
    let (config, clock) = (&app.config, &app.worker.clock);
    if !is_served(config) {
        return None;
    }
    let whole = || Arc::new(app.store.clone());
    let parts = Parts {
        sessions: whole(),
        records: whole(),
        queue: whole(),
        audit: whole(),
        operator: Operator {
            queue: whole(),
            ledger: whole(),
            audit: whole(),
            subject_system: config.identity.subject_system.clone(),
            clock: clock.clone(),
        },
        intake: app.intake.clone(),
        upstreams: Arc::new(Reachable { config: config.clone(), connectors: app.connectors.clone() }),
        sources: Arc::new(Configured(config.clone())),
        silent_after_s: config.inbox.alerts.silent_after_s.clone(),
        openid: app.openid.clone(),
        clock: clock.clone(),
    };
    let console = Arc::new(Console::new(config.console.clone(), parts, build::VERSION));
    let encrypted = config.http.tls.is_some() && !is_loopback(config.operations.listen.ip());
    Some(ConsoleSite { console, encrypted })
}

/// Whether `operations.listen` serves the console.
pub fn is_served(config: &Config) -> bool {
    let by_default = is_loopback(config.operations.listen.ip());
    config.operations.enabled && config.console.enabled.unwrap_or(by_default)
}

/// The upstreams of this process.
struct Reachable {
    config: Config,
    connectors: Connectors,
}

impl Upstreams for Reachable {
    fn upstreams(&self) -> Vec<Upstream> {
        let uses = upstreams::uses(&self.config);
        let upstream = |(name, connector): (&String, &Arc<crate::connectors::Connector>)| Upstream {
            name: name.clone(),
            uses: uses.iter().filter(|(used, _)| used == name).map(|(_, port)| (*port).to_owned()).collect(),
            broken: connector.is_open(),
        };
        self.connectors.iter().map(upstream).collect()
    }
}

/// The configured sources.
struct Configured(Config);

impl Sources for Configured {
    fn with_secret(&self, source: &str, secret: Secret) -> Result<Box<dyn crate::webhooks::Source>, String> {
        webhook_source(&self.0, source, &[secret]).map_err(|error| crate::telemetry::causes(&error).to_string())
    }
}
