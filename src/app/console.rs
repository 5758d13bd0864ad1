//! Puts the console together.

use std::{collections::BTreeMap, sync::Arc};

use super::{App, Connectors, upstreams, webhook_source};
use crate::{
    config::Config,
    console::{Console, Parts, Sources, Upstream, Upstreams},
    domain::{Clock, Secret, is_loopback},
    http::ConsoleSite,
    operator::Operator,
    store::Store,
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
        operator: operator(config, &app.store, clock),
        intake: app.intake.clone(),
        upstreams: Arc::new(Reachable::of(config, &app.connectors)),
        sources: Arc::new(Configured(config.clone())),
        silent_after_s: config.inbox.alerts.silent_after_s.clone(),
        openid: app.openid.clone(),
        clock: clock.clone(),
    };
    let console = Arc::new(Console::new(config.console.clone(), parts, build::VERSION));
    let encrypted = config.http.tls.is_some() && !is_loopback(config.operations.listen.ip());
    Some(ConsoleSite { console, encrypted })
}

/// What people do with events, on this store.
pub fn operator(config: &Config, store: &Store, clock: &Clock) -> Operator {
    let whole = || Arc::new(store.clone());
    Operator {
        queue: whole(),
        ledger: whole(),
        audit: whole(),
        subject_system: config.identity.subject_system.clone(),
        clock: clock.clone(),
    }
}

/// Whether `operations.listen` serves the console.
pub fn is_served(config: &Config) -> bool {
    let by_default = is_loopback(config.operations.listen.ip());
    config.operations.enabled && config.console.enabled.unwrap_or(by_default)
}

/// The upstreams of this process.
struct Reachable {
    connectors: Connectors,
    uses: BTreeMap<String, Vec<String>>,
}

impl Reachable {
    fn of(config: &Config, connectors: &Connectors) -> Self {
        let mut uses: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, port) in upstreams::uses(config) {
            uses.entry(name.to_owned()).or_default().push(port.to_owned());
        }
        Self { connectors: connectors.clone(), uses }
    }
}

impl Upstreams for Reachable {
    fn upstreams(&self) -> Vec<Upstream> {
        let upstream = |(name, connector): (&String, &Arc<crate::connectors::Connector>)| Upstream {
            name: name.clone(),
            uses: self.uses.get(name).cloned().unwrap_or_default(),
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
