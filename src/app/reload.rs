//! Reload: replaces the running configuration. Connections stay open, and running requests finish with the old one.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use async_trait::async_trait;
use serde_json::Value;
use tokio::{
    sync::{Notify, mpsc},
    time::{MissedTickBehavior, interval},
};

use super::{
    App, AppError,
    alerts::{self, ReplaceableSink},
    reconcile::ReplaceableReconciliations,
};
use crate::{
    config::{Config, Loaded, Secrets},
    http::HttpService,
    inbox::{Claimed, Dispatch, Failure, Handled},
    mcp::Shutdown,
    store::Store,
    telemetry::{causes, metrics::PrometheusHandle},
};

/// Sections and keys that take effect only at a restart.
const FIXED: &[&str] = &[
    "store",
    "articles.language",
    "log",
    "traces",
    "inbox",
    "retention",
    "operations.enabled",
    "operations.listen",
    "http.listen",
    "http.tls",
    "http.connections_max",
    "http.head_timeout_ms",
    "http.idle_timeout_ms",
    "http.streams_max",
    "http.drain_timeout_ms",
];

/// How often the files of secrets are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The event dispatcher, replaceable at a reload.
pub(super) struct ReplaceableDispatch(RwLock<Arc<dyn Dispatch>>);

impl ReplaceableDispatch {
    pub(super) fn new(dispatch: Arc<dyn Dispatch>) -> Self {
        Self(RwLock::new(dispatch))
    }

    fn now(&self) -> Arc<dyn Dispatch> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn replace(&self, dispatch: Arc<dyn Dispatch>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = dispatch;
    }
}

#[async_trait]
impl Dispatch for ReplaceableDispatch {
    async fn handle(&self, event: &Claimed) -> Result<Handled, Failure> {
        self.now().handle(event).await
    }

    fn upstream(&self, kind: &str) -> String {
        self.now().upstream(kind)
    }

    fn upstreams(&self) -> BTreeMap<String, Vec<String>> {
        self.now().upstreams()
    }
}

/// The HTTP sites of one configuration: main and operations.
pub(super) struct Sites {
    pub(super) main: HttpService,
    pub(super) operations: HttpService,
}

/// The replaceable parts of a running server.
pub(super) struct Reloader {
    pub(super) running: Config,
    pub(super) secrets: Secrets,
    pub(super) store: Store,
    pub(super) arrived: Arc<Notify>,
    pub(super) handle: Option<PrometheusHandle>,
    pub(super) shutdown: Shutdown,
    /// Shutdown signal of the current generation: its event streams end with it.
    pub(super) generation: Shutdown,
    pub(super) sites: Sites,
    pub(super) dispatch: Arc<ReplaceableDispatch>,
    pub(super) alerts: Option<Arc<ReplaceableSink>>,
    pub(super) reconciliations: Arc<ReplaceableReconciliations>,
}

impl Reloader {
    /// Applies received configurations, and secrets whose files have changed, until the server stops.
    pub(super) async fn run(mut self, mut reloads: mpsc::Receiver<Loaded>) {
        let closing = self.shutdown.closing.clone();
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = closing.cancelled() => return,
                Some(loaded) = reloads.recv() => self.reload(&loaded),
                _ = looks.tick() => {
                    let secrets = self.secrets.clone();
                    // A directory of secrets may be on a network.
                    let changed = tokio::task::spawn_blocking(move || secrets.changed_files()).await;
                    if let Some(changed) = changed.ok().filter(|changed| !changed.is_empty()) {
                        self.reload_secrets(&changed);
                    }
                }
            }
        }
    }

    fn reload(&mut self, loaded: &Loaded) {
        match self.build(&loaded.config, &loaded.secrets) {
            Ok(()) => {
                let (taken, fixed): (Vec<String>, Vec<String>) =
                    changed(&self.running, &loaded.config).into_iter().partition(|key| !is_fixed(key));
                tracing::info!(changed = list(&taken), "reloaded: secrets were read again");
                if !fixed.is_empty() {
                    tracing::warn!(keys = list(&fixed), "these changes take effect only after a restart");
                }
                self.running = with_fixed(loaded.config.clone(), &self.running);
                self.secrets = loaded.secrets.clone();
            }
            Err(error) => {
                tracing::error!(error = causes(&error), "not reloaded; the previous configuration stays in effect");
            }
        }
    }

    /// Takes over secrets whose files have changed. The configuration stays the running one.
    fn reload_secrets(&mut self, files: &[PathBuf]) {
        let files = list(&files.iter().map(|path| path.display().to_string()).collect::<Vec<_>>());
        let (running, secrets) = (self.running.clone(), self.secrets.clone());
        match self.build(&running, &secrets) {
            Ok(()) => tracing::info!(files, "secrets were read again, because their files have changed"),
            Err(error) => {
                let error = causes(&error);
                tracing::error!(files, error, "the new secrets cannot be used; the old ones stay in use");
            }
        }
    }

    fn build(&mut self, config: &Config, secrets: &Secrets) -> Result<(), AppError> {
        let generation = self.shutdown.generation();
        let clock = self.store.clock();
        // Where alerts go is fixed, and how they are signed is not.
        let sink = alerts::sink(&self.running, secrets)?;
        let new = App::on(
            self.store.clone(),
            config,
            secrets,
            clock,
            (self.shutdown.clone(), generation.clone()),
            self.arrived.clone(),
        )?;
        let sites = new.sites(self.handle.clone());
        self.sites.main.replace(&sites.main);
        self.sites.operations.replace(&sites.operations);
        self.dispatch.replace(new.worker.dispatch);
        self.reconciliations.replace(new.reconciliations);
        // Ends the old event streams; clients reconnect under the new configuration.
        std::mem::replace(&mut self.generation, generation).closing.cancel();
        if let (Some(alerts), Some(sink)) = (&self.alerts, sink) {
            alerts.replace(sink);
        }
        Ok(())
    }
}

/// The new configuration with the fixed keys' old values, so that every reload reports them again.
fn with_fixed(mut new: Config, started: &Config) -> Config {
    new.store = started.store.clone();
    new.log = started.log.clone();
    new.traces = started.traces.clone();
    new.inbox = started.inbox.clone();
    new.retention = started.retention.clone();
    new.operations.enabled = started.operations.enabled;
    new.operations.listen = started.operations.listen;
    new.http.listen = started.http.listen;
    new.http.tls = started.http.tls.clone();
    new.http.connections_max = started.http.connections_max;
    new.http.head_timeout_ms = started.http.head_timeout_ms;
    new.http.idle_timeout_ms = started.http.idle_timeout_ms;
    new.http.streams_max = started.http.streams_max;
    new.http.drain_timeout_ms = started.http.drain_timeout_ms;
    new
}

fn list(keys: &[String]) -> String {
    if keys.is_empty() { "nothing".to_owned() } else { keys.join(", ") }
}

fn is_fixed(key: &str) -> bool {
    let below = |fixed: &&&str| key.strip_prefix(**fixed).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    FIXED.iter().any(|fixed| below(&fixed))
}

/// Keys whose values differ.
fn changed(old: &Config, new: &Config) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    if let (Ok(old), Ok(new)) = (serde_json::to_value(old), serde_json::to_value(new)) {
        differ(&old, &new, "", &mut keys);
    }
    keys
}

fn differ(old: &Value, new: &Value, path: &str, keys: &mut BTreeSet<String>) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            for name in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                let of = |members: &serde_json::Map<String, Value>| members.get(name).cloned().unwrap_or_default();
                differ(&of(old), &of(new), &path, keys);
            }
        }
        (old, new) if old != new => {
            keys.insert(path.to_owned());
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_told_by_its_key_and_what_is_fixed_stays() {
        let old = Config::default();
        let mut new = Config::default();
        new.desk.repeat_window_s = 5;
        new.http.listen = "127.0.0.1:1".parse().unwrap();
        new.tools.contact_fields.clear();
        let keys = changed(&old, &new);
        assert_eq!(keys, ["desk.repeat_window_s", "http.listen", "tools.contact_fields"].map(str::to_owned).into());
        let fixed: Vec<&String> = keys.iter().filter(|key| is_fixed(key)).collect();
        assert_eq!(fixed, ["http.listen"]);
        assert!(!is_fixed("http.allowed_hosts") && is_fixed("store.path") && !is_fixed("storefront"));
        let kept = with_fixed(new.clone(), &old);
        assert_eq!(changed(&kept, &new), ["http.listen".to_owned()].into(), "and is told again next time");
    }
}
