//! The composition root: the one place that names concrete types and puts the rooms together.

mod agents;
mod alerts;
mod health;
mod scrape;
mod sources;
mod upstreams;

use std::{future::Future, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::{net::TcpListener, sync::Notify};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Config, ConfigError, Secrets},
    connectors::{ConnectorError, LibraryError},
    desk::{Denials, Desk, Turns},
    domain::{Clock, Secret, SecretRef},
    events::{Arrival, Handlers, Remedy},
    http::{self, Doors, Operations, OperationsOptions, ServeError, Tls, TlsError, TlsOptions},
    identity::{
        Identity, KeyError, Mode,
        agents::{Authentication, OptionsError},
    },
    inbox::{self, Claimed, Dispatch, Failure, Handled, Intake, Queue, Watch, Worker},
    limits::Gate,
    mcp::{self, EndpointOptions, Parts, Shutdown, StdioError},
    store::{Store, StoreError},
    telemetry::{causes, metrics},
    tools::{Registry, RegistryError},
    upstream::DocumentError,
};

use scrape::Scrape;
pub use sources::webhook_source;
pub use upstreams::{Connectors, Mirrors, article_mirrors, connectors};

/// How long writes nobody waits for any more may take to end.
const WRITES_DRAIN: Duration = Duration::from_secs(10);

/// Connections of the people who run it, and of what scrapes for them.
const OPERATIONS_CONNECTIONS_MAX: usize = 64;
/// How often a process that does not work events off tries to.
const LOCK_AGAIN: Duration = Duration::from_secs(2);
/// A request that was repeated has ended by then.
const SETTLE_MARGIN: Duration = Duration::from_secs(240);

/// A frontdesk that is put together and not serving yet.
pub struct App {
    http: http::Options,
    operations: OperationsOptions,
    operations_token: Option<Secret>,
    tls: Option<(Tls, TlsOptions, http::Reader)>,
    /// That requests to /mcp may name.
    hosts: Vec<String>,
    parts: Parts,
    doors: Arc<Doors>,
    store: Store,
    connectors: Connectors,
    store_path: PathBuf,
    intake: Arc<Intake>,
    worker: Worker,
    watch: Watch,
}

/// The addresses that were taken.
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

/// Why it could not be put together, or ended badly.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error("invalid configuration")]
    Config(#[from] ConfigError),
    #[error("invalid configuration: identity.context.keys")]
    Key(#[from] KeyError),
    #[error("invalid configuration")]
    Tools(#[from] RegistryError),
    #[error("invalid configuration")]
    Connector(#[from] ConnectorError),
    #[error("invalid configuration: connectors.directory")]
    Library(#[from] LibraryError),
    #[error("invalid configuration")]
    Agents(#[from] OptionsError),
    #[error("failed to make a client for the keys of issuers")]
    Fetcher(#[from] DocumentError),
    #[error("invalid configuration")]
    Tls(#[source] TlsError),
    #[error("failed to start counting")]
    Metrics(#[from] metrics::BuildError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error(transparent)]
    Stdio(#[from] StdioError),
}

impl App {
    /// Opens the store and puts everything together. Time comes from `clock`.
    pub fn build(config: &Config, secrets: &Secrets, clock: Clock) -> Result<Self, AppError> {
        // Cheap checks first: a wrong key should not leave a new store behind.
        let options = config.identity.options(secrets)?;
        let identity = Identity::new(options, config.identity.subject_system.clone(), clock.clone())?;
        let connectors = connectors(config, secrets, &clock)?;
        let routes = sources::routes(config, secrets)?;
        let sink = alerts::sink(config, secrets)?;
        let token = config.operations.token.as_ref().map(|token| secrets.read(token)).transpose();
        let operations_token =
            token.map_err(|source| ConfigError::Secret { key: "operations.token".to_owned(), source })?;
        let read = secrets.clone();
        let reader: http::Reader = Arc::new(move |place: &SecretRef| read.read(place));
        let tls = config.http.tls.clone().map(|options| Ok((Tls::new(&options, &reader)?, options, reader)));
        let tls = tls.transpose().map_err(|source: TlsError| AppError::Tls(source))?;
        let store = Store::open(&config.store.path, clock.clone())?;
        let doors = Arc::new(agents::doors(config, &store, clock.clone())?);
        let embedded = Arc::new(store.clone());
        let options = config.desk.clone();
        let desk = Arc::new(Desk {
            orders: match connectors.get(&options.orders) {
                Some(connector) => connector.clone(),
                None => embedded.clone(),
            },
            helpdesk: match connectors.get(&options.helpdesk) {
                Some(connector) => connector.clone(),
                None => embedded.clone(),
            },
            crm: match connectors.get(&options.crm) {
                Some(connector) => connector.clone(),
                None => embedded.clone(),
            },
            knowledge: embedded.clone(),
            changes: embedded.clone(),
            ledger: embedded.clone(),
            audit: embedded,
            clock,
            options,
            turns: Turns::default(),
            denials: Denials::new(&config.limits),
            mirrors: upstreams::mirrors(config, &connectors),
        });
        let arrived = Arc::new(Notify::new());
        let queue: Arc<dyn Queue> = Arc::new(store.clone());
        let intake =
            Intake::new(routes, queue.clone(), arrived.clone(), desk.clock.clone(), &config.inbox, &config.limits);
        let handlers = Handlers::new(config.identity.subject_system.clone());
        let watch =
            Watch { queue: queue.clone(), sink, clock: desk.clock.clone(), options: config.inbox.alerts.clone() };
        let worker = Worker {
            queue,
            dispatch: Arc::new(Dispatcher { handlers, desk: desk.clone() }),
            arrived,
            clock: desk.clock.clone(),
            options: config.inbox.clone(),
        };
        let settle_after = desk.helpdesk.settlement().find_after;
        if let Some(after) = settle_after.filter(|after| desk.options.repeat_window() <= *after + SETTLE_MARGIN) {
            let why = format!(
                "must be longer than the {} s after which {} is believed to have no ticket, and 240 s more",
                after.as_secs(),
                desk.options.helpdesk
            );
            return Err(ConfigError::value("desk.repeat_window_s", why).into());
        }
        if config.http.trusted_proxies > 0 && config.agents.authentication == Authentication::None {
            tracing::warn!(
                "http.trusted_proxies says that a proxy is in front, and agents do not authenticate: let it pass /webhooks/ \
                 alone, or set agents.authentication = \"required\""
            );
        }
        let beyond = !config.http.listen.ip().to_canonical().is_loopback();
        if beyond && config.http.tls.is_none() && config.http.trusted_proxies == 0 {
            tracing::warn!(
                "http.listen can be reached from other machines without TLS: tokens and answers can be read on the way; set \
                 http.tls, or http.trusted_proxies if a proxy does it"
            );
        }
        let by_argument = identity.mode() == Mode::Argument;
        if by_argument {
            tracing::warn!(
                "identity.mode is argument: the agent itself says who the customer is, so anybody who can talk to the \
                 agent can be anybody; use it only with trusted agents on this machine"
            );
        }
        let registry = Registry::new(&config.tools, by_argument, &config.limits, desk.clone())?;
        let parts =
            Parts { registry: Arc::new(registry), identity: Arc::new(identity), desk, shutdown: Shutdown::default() };
        let intake = Arc::new(intake);
        Ok(Self {
            http: config.http.clone(),
            operations: config.operations.clone(),
            operations_token,
            tls,
            hosts: config.hosts(),
            parts,
            doors,
            store,
            connectors,
            store_path: config.store.path.clone(),
            intake,
            worker,
            watch,
        })
    }

    /// The store behind it.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Takes the addresses, so that what is printed next is true.
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

    /// Serves HTTP until `stop` resolves, then drains: streams end, running calls finish, the rest is cut.
    pub async fn serve(
        self,
        listening: Listening,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), AppError> {
        let shutdown = self.parts.shutdown.clone();
        close_at(stop, &shutdown);
        let gate = Gate::requests(self.http.requests_max);
        let options = EndpointOptions {
            allowed_hosts: self.hosts.clone(),
            allowed_origins: self.http.allowed_origins.clone(),
            bodies: self.doors.bodies.clone(),
            challenge: self.doors.challenge.clone(),
            gate: gate.clone(),
        };
        warm_up(self.doors.clone());
        let clock = self.parts.desk.clock.clone();
        // Where nobody can read them, nothing is counted.
        let read = self.operations.enabled || self.operations.metrics_at_http_listen;
        let handle = if read { Some(metrics::install()?) } else { None };
        let health =
            Arc::new(health::Checks::new(self.store.clone(), self.connectors.clone(), shutdown.closing.clone()));
        let scrape =
            Scrape { handle, store: self.store.clone(), connectors: self.connectors, clock, health: health.clone() };
        scrape.keep(shutdown.closing.clone());
        scrape.begin(&self.intake);
        let operations = Operations {
            metrics: Arc::new(scrape),
            health,
            intake: self.intake,
            token: self.operations_token,
            metrics_for_the_world: self.operations.metrics_at_http_listen,
        };
        let router = http::router(mcp::endpoint(self.parts, options), self.doors, &operations, gate, &self.http);
        let tls = self.tls.map(|(tls, options, reader)| {
            tokio::spawn(tls.clone().keep_current(options, reader, shutdown.closing.clone()));
            tls
        });
        // What leaves this machine is not to be read on the way.
        let tls_beside = tls.clone().filter(|_| !self.operations.listen.ip().to_canonical().is_loopback());
        // Until the very end: whoever watches wants to see that, too.
        let beside = listening.operations.map(|(listener, _)| {
            let (router, ends) = (http::operations(operations), shutdown.kill.clone());
            let options = http::Options { connections_max: OPERATIONS_CONNECTIONS_MAX, ..self.http.clone() };
            tokio::spawn(
                async move { http::serve(listener, router, &options, tls_beside, http::Counted::No, ends).await },
            )
        });
        let working = tokio::spawn(work(self.worker, self.watch, self.store_path, shutdown.closing.clone()));
        http::raise_descriptors(self.http.connections_max);
        let closing = shutdown.closing.clone();
        http::serve(listening.main.0, router, &self.http, tls, http::Counted::Yes, closing).await;
        let _ = working.await;
        let finished = finish(&shutdown, &self.store).await;
        if let Some(beside) = beside {
            beside.abort();
        }
        finished
    }

    /// Serves one client over standard input and output, until it closes its end or `stop` resolves.
    pub async fn stdio(self, stop: impl Future<Output = ()> + Send + 'static) -> Result<(), AppError> {
        let shutdown = self.parts.shutdown.clone();
        close_at(stop, &shutdown);
        let ended = mcp::stdio(self.parts).await;
        finish(&shutdown, &self.store).await?;
        Ok(ended?)
    }
}

/// Keys are there before the first call asks for them.
fn warm_up(doors: Arc<Doors>) {
    tokio::spawn(async move {
        if let Some(agents) = &doors.agents {
            agents.warm_up().await;
        }
    });
}

/// Works events off, and looks after them, as soon as no other process on this store does.
async fn work(worker: Worker, watch: Watch, store: PathBuf, closing: CancellationToken) {
    loop {
        match Store::work_lock(&store) {
            Ok(Some(_lock)) => {
                let (queue, clock, options) = (worker.queue.clone(), worker.clock.clone(), worker.options.clone());
                let retention = inbox::keep_retention(queue, clock, options, closing.clone());
                tokio::join!(worker.run(closing.clone()), watch.run(closing), retention);
                return;
            }
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "failed to take the lock of the worker"),
        }
        tokio::select! {
            () = closing.cancelled() => return,
            () = tokio::time::sleep(LOCK_AGAIN) => {}
        }
    }
}

/// Event handlers as the inbox asks for them.
struct Dispatcher {
    handlers: Handlers,
    desk: Arc<Desk>,
}

#[async_trait]
impl Dispatch for Dispatcher {
    async fn handle(&self, event: &Claimed) -> Result<Handled, Failure> {
        let arrival = Arrival { id: event.id, at: event.received_at };
        match self.handlers.handle(&self.desk, arrival, &event.kind, &event.payload).await {
            Ok(receipt) => Ok(Handled { receipt }),
            Err(cause) => {
                let error = causes(&cause);
                Err(match cause.remedy() {
                    Remedy::Retry { in_doubt } => Failure::Retry { error, in_doubt },
                    Remedy::Defer { after } => Failure::Defer { error, after },
                    Remedy::Closed { after, tried } => Failure::Closed { error, after, tried },
                    Remedy::GiveUp { in_doubt } => Failure::Dead { error, in_doubt },
                })
            }
        }
    }
}

/// The first phase of the end begins when `stop` resolves.
fn close_at(stop: impl Future<Output = ()> + Send + 'static, shutdown: &Shutdown) {
    let closing = shutdown.closing.clone();
    tokio::spawn(async move {
        stop.await;
        closing.cancel();
    });
}

/// The second phase of the end: cut what still runs, but let begun writes and waiting records reach the disk.
async fn finish(shutdown: &Shutdown, store: &Store) -> Result<(), AppError> {
    shutdown.kill.cancel();
    shutdown.writes.close();
    if tokio::time::timeout(WRITES_DRAIN, shutdown.writes.wait()).await.is_err() {
        tracing::warn!(
            "writes were still running at the end; they are in doubt in the ledger, and a repeat settles them"
        );
    }
    Ok(store.close().await?)
}
