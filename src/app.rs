//! The composition root: the one place that names concrete types and puts the rooms together.

mod agents;
mod alerts;
mod health;
mod requests;
mod scrape;
mod sources;
mod upstreams;
mod work;

use std::{future::Future, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use tokio::{net::TcpListener, sync::Notify};

use crate::{
    config::{Config, ConfigError, Secrets, is_loopback},
    connectors::{ConnectorError, LibraryError},
    desk::{Denials, Desk, Turns},
    domain::{Clock, Secret, SecretRef},
    events::Handlers,
    http::{self, Doors, Operations, OperationsOptions, ServeError, Tls, TlsError, TlsOptions},
    identity::{
        Identity, KeyError, Mode,
        agents::{Authentication, OptionsError},
    },
    inbox::{self, Intake, Queue, Watch, Worker},
    limits::Gate,
    mcp::{self, EndpointOptions, Parts, Shutdown, StdioError},
    store::{Store, StoreError},
    telemetry::metrics,
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
/// A request that was repeated has ended by then.
const SETTLE_MARGIN: Duration = Duration::from_secs(240);

/// A frontdesk that is put together and not serving yet.
pub struct App {
    http: http::Options,
    operations: OperationsOptions,
    operations_token: Option<Secret>,
    tls: Option<KeptTls>,
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
    keeping: work::Keeping,
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
        let timed = routes.iter().filter(|route| route.source.verifier().signs_time());
        let timed = timed.map(|route| route.source.name().to_owned()).collect();
        let sink = alerts::sink(config, secrets)?;
        let strong = |place: &SecretRef| secrets.read(place).and_then(|token| token.strong(place));
        let token = config.operations.token.as_ref().map(strong).transpose();
        let operations_token =
            token.map_err(|source| ConfigError::Secret { key: "operations.token".to_owned(), source })?;
        let tls = tls(config, secrets)?;
        let store = Store::open(&config.store.path, clock.clone())?;
        let doors = Arc::new(agents::doors(config, &store, clock.clone())?);
        let arrived = Arc::new(Notify::new());
        let requests = requests::Requests {
            store: store.clone(),
            arrived: arrived.clone(),
            waiting_max: config.inbox.waiting_max,
        };
        let desk = Arc::new(desk(config, &store, &connectors, requests, clock.clone()));
        check_settlement(&desk)?;
        let by_argument = identity.mode() == Mode::Argument;
        let registry = Registry::new(&config.tools, by_argument, &config.limits, desk.clone())?;
        warn(config);
        if desk.helpdesk.needs_email()
            && desk.options.fallback_requester.is_none()
            && let Some(route) = routes.iter().find(|route| route.source.escalates())
        {
            tracing::warn!(
                "the helpdesk {} needs an email address, and webhooks.{} can report customers without one: their escalations \
                 will wait; set desk.fallback_requester to a mailbox of the company",
                desk.options.helpdesk,
                route.source.name()
            );
        }
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
            doors,
            intake: intake.clone(),
            watch: Watch { queue: queue.clone(), sink, clock: clock.clone(), options: alerts },
            worker: Worker {
                queue,
                dispatch: Arc::new(work::Dispatcher { handlers, desk: desk.clone(), intake }),
                arrived,
                clock,
                options: config.inbox.clone(),
                away: inbox::FirstAway::default(),
            },
            parts: Parts {
                registry: Arc::new(registry),
                identity: Arc::new(identity),
                desk,
                shutdown: Shutdown::default(),
            },
            keeping: work::Keeping { store: store.clone(), options: config.retention.clone(), timed },
            store,
            connectors,
            store_path: config.store.path.clone(),
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
        let site = http::site(mcp::endpoint(self.parts, options), self.doors, &operations, gate, &self.http);
        let tls = self.tls.map(|(tls, options, reader)| {
            tokio::spawn(tls.clone().keep_current(options, reader, shutdown.closing.clone()));
            tls
        });
        // What leaves this machine is not to be read on the way.
        let tls_beside = tls.clone().filter(|_| !is_loopback(self.operations.listen));
        // Until the very end: whoever watches wants to see that, too.
        let beside = listening.operations.map(|(listener, _)| {
            let (site, ends) = (http::operations(operations).into(), shutdown.kill.clone());
            let options = http::Options { connections_max: OPERATIONS_CONNECTIONS_MAX, ..self.http.clone() };
            tokio::spawn(
                async move { http::serve(listener, site, &options, tls_beside, http::Counted::No, ends).await },
            )
        });
        let working =
            tokio::spawn(work::work(self.worker, self.watch, self.keeping, self.store_path, shutdown.closing.clone()));
        http::raise_descriptors(self.http.connections_max);
        let closing = shutdown.closing.clone();
        http::serve(listening.main.0, site, &self.http, tls, http::Counted::Yes, closing).await;
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
        // What was written down while the helpdesk was away is brought by this process, unless another one does that.
        let working =
            tokio::spawn(work::work(self.worker, self.watch, self.keeping, self.store_path, shutdown.closing.clone()));
        let ended = mcp::stdio(self.parts).await;
        shutdown.closing.cancel();
        let _ = working.await;
        finish(&shutdown, &self.store).await?;
        Ok(ended?)
    }
}

type KeptTls = (Tls, TlsOptions, http::Reader);

fn tls(config: &Config, secrets: &Secrets) -> Result<Option<KeptTls>, AppError> {
    let Some(options) = config.http.tls.clone() else { return Ok(None) };
    let secrets = secrets.clone();
    let reader: http::Reader = Arc::new(move |place: &SecretRef| secrets.read(place));
    Ok(Some((Tls::new(&options, &reader).map_err(AppError::Tls)?, options, reader)))
}

/// The desk, in front of the systems that the configuration names, or of the store.
fn desk(config: &Config, store: &Store, connectors: &Connectors, requests: requests::Requests, clock: Clock) -> Desk {
    let embedded = Arc::new(store.clone());
    let options = config.desk.clone();
    Desk {
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
        locks: embedded.clone(),
        requests: Some(Arc::new(requests)),
        audit: embedded,
        clock,
        options,
        turns: Turns::default(),
        denials: Denials::new(&config.limits),
        mirrors: upstreams::mirrors(config, connectors),
    }
}

/// A repeat must be recognised for longer than it takes to tell whether the first request was done.
fn check_settlement(desk: &Desk) -> Result<(), ConfigError> {
    let settle_after = desk.helpdesk.settlement().find_after;
    match settle_after.filter(|after| desk.options.repeat_window() <= *after + SETTLE_MARGIN) {
        None => Ok(()),
        Some(after) => {
            let why = format!(
                "must be longer than the {} s after which {} is believed to have no ticket, and 240 s more",
                after.as_secs(),
                desk.options.helpdesk
            );
            Err(ConfigError::value("desk.repeat_window_s", why))
        }
    }
}

/// Says what is allowed and seldom meant.
fn warn(config: &Config) {
    if config.http.trusted_proxies > 0 && config.agents.authentication == Authentication::None {
        tracing::warn!(
            "http.trusted_proxies says that a proxy is in front, and agents do not authenticate: let it pass /webhooks/ \
             alone, or set agents.authentication = \"required\""
        );
    }
    if !is_loopback(config.http.listen) && config.http.tls.is_none() && config.http.trusted_proxies == 0 {
        tracing::warn!(
            "http.listen can be reached from other machines without TLS: tokens and answers can be read on the way; set \
             http.tls, or http.trusted_proxies if a proxy does it"
        );
    }
    if config.identity.mode == Mode::Argument {
        tracing::warn!(
            "identity.mode is argument: the agent itself says who the customer is, so anybody who can talk to the \
             agent can be anybody; use it only with trusted agents on this machine"
        );
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
