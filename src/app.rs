//! The composition root: the only module that names concrete types and connects the rooms.

mod agents;
mod alerts;
mod console;
mod desk;
mod error;
mod faults;
mod grants;
mod health;
mod openid;
mod reconcile;
mod reload;
mod requests;
mod scrape;
mod secrets;
mod shutdown;
mod sources;
mod status;
mod upstreams;
mod vault;
mod verification;
mod worker;

use std::{future::Future, net::SocketAddr, path::PathBuf, sync::Arc};

use tokio::{
    net::TcpListener,
    sync::{Notify, mpsc},
};

use crate::{
    config::{Config, Loaded, Secrets},
    desk::CodeSender,
    domain::{Clock, Secret, is_loopback},
    events::Handlers,
    http::{self, AgentAuth, Operations, OperationsOptions, PlainTools, ServeError},
    identity::{Identity, Mode},
    inbox::{self, AlertSink, Intake, Queue, Watch, Worker},
    limits::Gate,
    mcp::{self, EndpointOptions, Services, Shutdown},
    store::Store,
    telemetry::metrics,
    tools::{Calls, Registry},
};

pub use agents::identity;
pub use console::{is_served as serves_console, operator};
use desk::{check_settlement, desk};
pub use error::AppError;
use faults::warnings;
pub use faults::{Diagnosis, faults, try_addresses};
pub use grants::grants;
pub use reconcile::Reconciliations;
use reconcile::ReplaceableReconciliations;
use reload::{Reloader, ReplaceableDispatch, Sites};
use scrape::Scrape;
use secrets::{KeptTls, operations_token, tls};
use shutdown::{close_at, finish};
pub use sources::webhook_source;
pub use status::Status;
pub use upstreams::{Connectors, Mirrors, article_mirrors, connectors, upstreams_in_use};
pub use vault::token_vault;
pub use verification::mail_server;

/// Connection limit of the operations listener: operators and metrics scrapers.
const OPERATIONS_CONNECTIONS_MAX: usize = 64;

/// A fully built server that does not serve yet.
pub struct App {
    http: http::Options,
    operations: OperationsOptions,
    operations_token: Option<Secret>,
    tls: Option<KeptTls>,
    /// Host names that requests to /mcp may carry.
    hosts: Vec<String>,
    services: Services,
    auth: Arc<AgentAuth>,
    store: Store,
    connectors: Connectors,
    store_path: PathBuf,
    shutdown: Shutdown,
    /// The configuration that it was built from, to compare with reloaded ones.
    config: Config,
    secrets: Secrets,
    intake: Arc<Intake>,
    worker: Worker,
    watch: Watch,
    openid: Option<Arc<dyn crate::console::OpenId>>,
    retention: worker::Retention,
    reconciliations: Arc<Reconciliations>,
    /// Warnings about permitted but risky settings.
    warnings: Vec<String>,
}

/// The bound listeners.
pub struct Listening {
    pub main: (TcpListener, SocketAddr),
    pub operations: Option<(TcpListener, SocketAddr)>,
}

async fn bind(key: &'static str, listen: SocketAddr) -> Result<(TcpListener, SocketAddr), ServeError> {
    let failed = |source| ServeError::Listen { key, listen, source };
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

impl App {
    /// Opens the store and builds the server. Time comes from `clock`.
    pub fn build(config: &Config, secrets: &Secrets, clock: Clock) -> Result<Self, AppError> {
        Self::build_with(config, secrets, clock, None)
    }

    /// The same, with a sender of one-time codes in the place of the configured one.
    pub fn build_with(
        config: &Config,
        secrets: &Secrets,
        clock: Clock,
        sender: Option<Arc<dyn CodeSender>>,
    ) -> Result<Self, AppError> {
        let shutdown = Shutdown::default();
        let ends = (shutdown.clone(), shutdown.generation());
        Self::assemble(None, config, secrets, clock, ends, Arc::new(Notify::new()), sender)
    }

    /// Builds on a store that is already open, for a reload.
    fn on(
        store: Store,
        config: &Config,
        secrets: &Secrets,
        clock: Clock,
        ends: (Shutdown, Shutdown),
        arrived: Arc<Notify>,
    ) -> Result<Self, AppError> {
        Self::assemble(Some(&store), config, secrets, clock, ends, arrived, None)
    }

    fn assemble(
        on: Option<&Store>,
        config: &Config,
        secrets: &Secrets,
        clock: Clock,
        (shutdown, generation): (Shutdown, Shutdown),
        arrived: Arc<Notify>,
        sender: Option<Arc<dyn CodeSender>>,
    ) -> Result<Self, AppError> {
        // Cheap checks first: a configuration fault must not leave a new store behind.
        let identity = identity(config, secrets, clock.clone())?;
        let vault = vault::vault(config, secrets, &clock)?;
        let connectors = upstreams::connectors_with(config, secrets, &clock, vault.clone())?;
        let sender = match sender {
            Some(sender) => Some(sender),
            None => verification::sender(config, secrets, &connectors)?,
        };
        let routes = sources::routes(config, secrets)?;
        let timed = routes.iter().filter(|route| route.source.verifier().signs_time());
        let timed = timed.map(|route| route.source.name().to_owned()).collect();
        let sink = alerts::sink(config, secrets)?;
        let operations_token = operations_token(config, secrets)?;
        let openid = openid::provider(config, secrets, &clock)?;
        let tls = tls(config, secrets)?;
        let store = match on {
            Some(running) => running.clone(),
            None => Store::open_in(&config.store.path, clock.clone(), &config.articles.language)?,
        };
        if let Some(vault) = vault {
            vault.bind(&store, &shutdown.writes);
        }
        let auth = Arc::new(agents::auth(config, &store, &identity.headers(), clock.clone())?);
        let identity = identity.with_revocations(Arc::new(store.clone()));
        let requests = requests::Requests {
            store: store.clone(),
            arrived: arrived.clone(),
            waiting_max: config.inbox.waiting_max,
        };
        let on_their_way = shutdown.writes.clone();
        let verifications = sender.map(|sender| verification::verifications(config, &store, sender, on_their_way));
        let desk = Arc::new(desk(config, &store, &connectors, requests, verifications, clock.clone()));
        check_settlement(&desk)?;
        let reconciliations = Arc::new(Reconciliations::new(config, &store, desk.clone(), &connectors, sink.clone()));
        let by_argument = identity.mode() == Mode::Argument;
        let registry = Registry::new(&config.tools, by_argument, &config.limits, desk.clone())?;
        let mut warnings = warnings(config);
        warnings.extend(sources::without_address(&desk, &routes));
        warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        let queue: Arc<dyn Queue> = Arc::new(store.clone());
        let handlers = Handlers::new(config.identity.subject_system.clone());
        let alerts = config.inbox.alerts.clone();
        let (inbox, limits) = (&config.inbox, &config.limits);
        let intake = Arc::new(Intake::new(routes, queue.clone(), arrived.clone(), clock.clone(), inbox, limits));
        Ok(Self {
            http: config.http.clone(),
            operations: config.operations.clone(),
            operations_token,
            tls,
            hosts: config.hosts(),
            auth,
            intake: intake.clone(),
            watch: Watch { queue: queue.clone(), sink, clock: clock.clone(), options: alerts },
            worker: Worker {
                queue,
                dispatch: Arc::new(worker::Dispatcher { handlers, desk: desk.clone(), intake }),
                arrived,
                clock,
                options: config.inbox.clone(),
                first_failures: inbox::FirstFailures::default(),
            },
            services: Services {
                calls: Arc::new(Calls {
                    registry: Arc::new(registry),
                    identity: Arc::new(identity),
                    desk,
                    writes: shutdown.writes.clone(),
                }),
                shutdown: generation,
            },
            reconciliations,
            openid,
            retention: worker::Retention { store: store.clone(), options: config.retention.clone(), timed },
            store,
            connectors,
            store_path: config.store.path.clone(),
            shutdown,
            config: config.clone(),
            secrets: secrets.clone(),
            warnings,
        })
    }

    /// The server's store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Binds the listeners, so that the printed addresses are real.
    pub async fn listen(&self) -> Result<Listening, AppError> {
        let operations = &self.operations;
        Ok(Listening {
            main: bind("http.listen", self.http.listen).await?,
            operations: match operations.enabled {
                true => Some(bind("operations.listen", operations.listen).await?),
                false => None,
            },
        })
    }

    /// Builds the HTTP sites: the main one and the operations one.
    fn sites(&self, handle: Option<metrics::PrometheusHandle>) -> Sites {
        let gate = Gate::requests(self.http.requests_max);
        let options = EndpointOptions {
            allowed_hosts: self.hosts.clone(),
            allowed_origins: self.http.allowed_origins.clone(),
            bodies: self.auth.bodies.clone(),
            challenge: self.auth.challenge.clone(),
            gate: gate.clone(),
        };
        warm_up(self.auth.clone(), self.services.calls.identity.clone());
        let (store, connectors, closing) = (self.store.clone(), self.connectors.clone(), self.shutdown.closing.clone());
        let health = Arc::new(health::Checks::new(store.clone(), connectors.clone(), closing));
        let clock = self.worker.clock.clone();
        let sources = self.intake.sources().map(str::to_owned).collect();
        let listed = self.config.articles.sources.clone();
        let scrape = Scrape { handle, store, connectors, clock, health: health.clone(), sources, listed };
        scrape.begin(&self.intake);
        let operations = Operations {
            metrics: Arc::new(scrape),
            health,
            intake: self.intake.clone(),
            token: self.operations_token.clone(),
            metrics_at_http_listen: self.operations.metrics_at_http_listen,
        };
        let tools = PlainTools {
            calls: self.services.calls.clone(),
            allowed_hosts: self.hosts.clone(),
            resource: self.config.agents.resource.clone(),
            kill: self.shutdown.kill.clone(),
        };
        let endpoint = mcp::endpoint(self.services.clone(), options);
        let console = console::console(self);
        Sites {
            main: http::service(endpoint, tools, self.auth.clone(), &operations, gate, &self.http),
            operations: http::operations(operations, console).into(),
        }
    }

    /// Serves HTTP until `stop` resolves, then drains: event streams end, running calls finish within the drain
    /// timeout, the rest is cancelled. Configurations received from `reloads` replace the current one.
    pub async fn serve(
        mut self,
        listening: Listening,
        stop: impl Future<Output = ()> + Send + 'static,
        reloads: mpsc::Receiver<Loaded>,
    ) -> Result<(), AppError> {
        let shutdown = self.shutdown.clone();
        close_at(stop, &shutdown);
        // Metrics are recorded only if they can be scraped.
        let read = self.operations.enabled || self.operations.metrics_at_http_listen;
        let handle = if read { Some(metrics::install()?) } else { None };
        scrape::keep(handle.clone(), shutdown.closing.clone());
        let sites = self.sites(handle.clone());
        let (service, service_beside) = (sites.main.clone(), sites.operations.clone());
        let dispatch = Arc::new(ReplaceableDispatch::new(self.worker.dispatch.clone()));
        self.worker.dispatch = dispatch.clone();
        let alerts = self.watch.sink.take().map(|sink| Arc::new(alerts::ReplaceableSink::new(sink)));
        self.watch.sink = alerts.clone().map(|sink| sink as Arc<dyn AlertSink>);
        let reconciliations = Arc::new(ReplaceableReconciliations::new(self.reconciliations));
        let reloader = Reloader {
            running: self.config,
            secrets: self.secrets,
            store: self.store.clone(),
            arrived: self.worker.arrived.clone(),
            handle,
            shutdown: shutdown.clone(),
            generation: self.services.shutdown.clone(),
            sites,
            dispatch,
            alerts,
            reconciliations: reconciliations.clone(),
        };
        tokio::spawn(reloader.run(reloads));
        let tls = self.tls.map(|(tls, options, reader)| {
            tokio::spawn(tls.clone().keep_current(options, reader, shutdown.closing.clone()));
            tls
        });
        // Traffic that leaves this machine is encrypted.
        let tls_beside = tls.clone().filter(|_| !is_loopback(self.operations.listen.ip()));
        // The operations listener ends last, so that the shutdown can be observed.
        let operations = listening.operations.map(|(listener, _)| {
            let (service, ends) = (service_beside, shutdown.kill.clone());
            let options = http::Options { connections_max: OPERATIONS_CONNECTIONS_MAX, ..self.http.clone() };
            tokio::spawn(
                async move { http::serve(listener, service, &options, tls_beside, http::Counted::No, ends).await },
            )
        });
        let working = tokio::spawn(worker::run(
            self.worker,
            self.watch,
            self.retention,
            reconciliations,
            self.store_path,
            shutdown.closing.clone(),
        ));
        http::raise_descriptors(self.http.connections_max);
        let closing = shutdown.closing.clone();
        http::serve(listening.main.0, service, &self.http, tls, http::Counted::Yes, closing).await;
        let _ = working.await;
        let finished = finish(&shutdown, &self.store).await;
        if let Some(operations) = operations {
            operations.abort();
        }
        finished
    }

    /// Serves one client over standard input and output, until it closes its end or `stop` resolves.
    pub async fn stdio(self, stop: impl Future<Output = ()> + Send + 'static) -> Result<(), AppError> {
        let shutdown = self.shutdown.clone();
        close_at(stop, &shutdown);
        // Ticket requests queued during an outage are processed here, unless another process is the worker.
        let working = tokio::spawn(worker::run(
            self.worker,
            self.watch,
            self.retention,
            Arc::new(ReplaceableReconciliations::new(self.reconciliations)),
            self.store_path,
            shutdown.closing.clone(),
        ));
        let ended = mcp::stdio(self.services).await;
        shutdown.closing.cancel();
        let _ = working.await;
        finish(&shutdown, &self.store).await?;
        Ok(ended?)
    }
}

/// Fetches verification keys before the first call.
fn warm_up(auth: Arc<AgentAuth>, identity: Arc<Identity>) {
    tokio::spawn(async move {
        identity.warm_up().await;
        if let Some(agents) = &auth.agents {
            agents.warm_up().await;
        }
    });
}
