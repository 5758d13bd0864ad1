//! The composition root: the one place that names concrete types and puts the rooms together.

mod alerts;
mod sources;

use std::{
    collections::BTreeMap,
    future::Future,
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use tokio::{
    net::TcpListener,
    sync::{Mutex, Notify},
};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Config, ConfigError, Secrets},
    connectors::{Builder, Connector, ConnectorError, Library, LibraryError, Port},
    desk::{ArticleMirror, BUILTIN, Desk, Turns},
    domain::{Clock, SecretRef},
    events::{Arrival, Handlers, Remedy},
    http::{self, Health, ServeError},
    identity::{Identity, KeyError, Mode},
    inbox::{self, Claimed, Dispatch, Failure, Handled, Intake, Queue, Watch, Worker},
    mcp::{self, EndpointOptions, Parts, Shutdown, StdioError},
    store::{Store, StoreError},
    tools::{Registry, RegistryError},
};

pub use sources::webhook_source;

/// How long writes nobody waits for any more may take to end.
const WRITES_DRAIN: Duration = Duration::from_secs(10);

/// How often a process that does not work events off tries to.
const LOCK_AGAIN: Duration = Duration::from_secs(2);
const HEALTH_EVERY: Duration = Duration::from_secs(2);
const HEALTH_TIMEOUT: Duration = Duration::from_secs(3);
/// A request that was repeated has ended by then.
const SETTLE_MARGIN: Duration = Duration::from_secs(240);

/// A frontdesk that is put together and not serving yet.
pub struct App {
    http: http::Options,
    parts: Parts,
    store: Store,
    store_path: PathBuf,
    intake: Arc<Intake>,
    worker: Worker,
    watch: Watch,
}

/// The connectors in use, by the name of their upstream.
pub type Connectors = BTreeMap<String, Arc<Connector>>;

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
        let store = Store::open(&config.store.path, clock.clone())?;
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
            mirrors: mirrors(config, &connectors),
        });
        let arrived = Arc::new(Notify::new());
        let queue: Arc<dyn Queue> = Arc::new(store.clone());
        let intake = Intake::new(routes, queue.clone(), arrived.clone(), desk.clock.clone(), &config.inbox);
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
        let by_argument = identity.mode() == Mode::Argument;
        if by_argument {
            tracing::warn!(
                "identity.mode is argument: the agent itself says who the customer is, so anybody who can talk to the \
                 agent can be anybody; use it only with trusted agents on this machine"
            );
        }
        let registry = Registry::new(&config.tools, by_argument, desk.clone())?;
        let parts =
            Parts { registry: Arc::new(registry), identity: Arc::new(identity), desk, shutdown: Shutdown::default() };
        let intake = Arc::new(intake);
        Ok(Self {
            http: config.http.clone(),
            parts,
            store,
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

    /// Takes the address, so that what is printed next is true.
    pub async fn listen(&self) -> Result<(TcpListener, SocketAddr), AppError> {
        let listen = self.http.listen;
        let failed = |source| ServeError::Listen { listen, source };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok((listener, address))
    }

    /// Serves HTTP until `stop` resolves, then drains: streams end, running calls finish, the rest is cut.
    pub async fn serve(
        self,
        listener: TcpListener,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), AppError> {
        let shutdown = self.parts.shutdown.clone();
        close_at(stop, &shutdown);
        let options = EndpointOptions {
            allowed_hosts: self.http.allowed_hosts.clone(),
            allowed_origins: self.http.allowed_origins.clone(),
            body_bytes_max: self.http.body_bytes_max,
        };
        let health = Arc::new(StoreHealth { store: self.store.clone(), last: Mutex::default() });
        let router = http::router(mcp::endpoint(self.parts, options), self.intake, health, &self.http);
        let working = tokio::spawn(work(self.worker, self.watch, self.store_path, shutdown.closing.clone()));
        http::serve(listener, router, &self.http, shutdown.closing.clone()).await;
        let _ = working.await;
        finish(&shutdown, &self.store).await
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
                let error = chain(&cause);
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

/// An error with its causes, each once. Nothing that a vendor said is in them.
fn chain(error: &dyn std::error::Error) -> String {
    let mut parts = vec![error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !parts.contains(&text) {
            parts.push(text);
        }
        source = cause.source();
    }
    parts.join(": ")
}

/// Whether the store can be written, asked at most every few seconds.
struct StoreHealth {
    store: Store,
    last: Mutex<Option<(Instant, bool)>>,
}

#[async_trait]
impl Health for StoreHealth {
    async fn checks(&self) -> Vec<(&'static str, bool)> {
        let mut last = self.last.lock().await;
        let good = match *last {
            Some((at, good)) if at.elapsed() < HEALTH_EVERY => good,
            _ => {
                let probe = tokio::time::timeout(HEALTH_TIMEOUT, self.store.probe()).await;
                matches!(probe, Ok(Ok(())))
            }
        };
        if last.is_none_or(|(at, _)| at.elapsed() >= HEALTH_EVERY) {
            *last = Some((Instant::now(), good));
        }
        drop(last);
        vec![("store", good), ("inbox", good && self.store.depths().await.is_ok())]
    }
}

fn mirrors(config: &Config, connectors: &Connectors) -> Vec<Arc<dyn ArticleMirror>> {
    let named = config.desk.article_mirrors.iter().filter_map(|name| connectors.get(name));
    named.map(|connector| connector.clone() as Arc<dyn ArticleMirror>).collect()
}

/// The places that help articles are copied to, by the name of their upstream.
pub type Mirrors = Vec<(String, Arc<dyn ArticleMirror>)>;

/// The mirrors in use.
pub fn article_mirrors(config: &Config, secrets: &Secrets, clock: &Clock) -> Result<Mirrors, AppError> {
    let names = &config.desk.article_mirrors;
    let used: Vec<(&str, Port)> = names.iter().map(|name| (name.as_str(), Port::Knowledge)).collect();
    let built = build(config, secrets, clock, &used)?;
    Ok(built.into_iter().map(|(name, connector)| (name, connector as Arc<dyn ArticleMirror>)).collect())
}

/// The connectors that the desk is configured to use. None are built, and nothing is compiled, where there are none.
pub fn connectors(config: &Config, secrets: &Secrets, clock: &Clock) -> Result<Connectors, AppError> {
    let desk = &config.desk;
    let ports = [(&desk.orders, Port::Orders), (&desk.helpdesk, Port::Helpdesk), (&desk.crm, Port::Crm)];
    let ports = ports.into_iter().filter(|(name, _)| *name != BUILTIN);
    let mirrors = desk.article_mirrors.iter().map(|name| (name, Port::Knowledge));
    let used: Vec<(&str, Port)> = ports.chain(mirrors).map(|(name, port)| (name.as_str(), port)).collect();
    if let Some(name) = config.upstreams.keys().find(|name| used.iter().all(|(used, _)| used != name)) {
        tracing::warn!(
            upstream = name,
            "an upstream is configured and not used; name it in desk.orders, desk.helpdesk, desk.crm or desk.article_mirrors"
        );
    }
    build(config, secrets, clock, &used)
}

fn build(config: &Config, secrets: &Secrets, clock: &Clock, used: &[(&str, Port)]) -> Result<Connectors, AppError> {
    if used.is_empty() {
        return Ok(Connectors::new());
    }
    let library = Library::with_directory(config.connectors.directory.as_deref())?;
    let read = |secret: &SecretRef| secrets.read(secret);
    let builder = Builder::new(library, &config.upstreams, &read, clock.clone())?;
    let mut built = Connectors::new();
    for (name, _) in used {
        if !built.contains_key(*name) {
            let ports: Vec<Port> = used.iter().filter(|(used, _)| used == name).map(|(_, port)| *port).collect();
            built.insert((*name).to_owned(), Arc::new(builder.build(name, &ports)?));
        }
    }
    Ok(built)
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
