//! The composition root: the one place that names concrete types and puts the rooms together.

use std::{collections::BTreeMap, future::Future, net::SocketAddr, sync::Arc, time::Duration};

use tokio::net::TcpListener;

use crate::{
    config::{Config, ConfigError, Secrets},
    connectors::{Builder, Connector, ConnectorError, Library, LibraryError, Port},
    desk::{ArticleMirror, BUILTIN, Desk, Turns},
    domain::{Clock, SecretRef},
    http::{self, ServeError},
    identity::{Identity, KeyError, Mode},
    mcp::{self, EndpointOptions, Parts, Shutdown, StdioError},
    store::{Store, StoreError},
    tools::{Registry, RegistryError},
};

/// How long writes nobody waits for any more may take to end.
const WRITES_DRAIN: Duration = Duration::from_secs(10);

/// A request that was repeated has ended by then.
const SETTLE_MARGIN: Duration = Duration::from_secs(240);

/// A frontdesk that is put together and not serving yet.
pub struct App {
    http: http::Options,
    parts: Parts,
    store: Store,
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
            ledger: embedded.clone(),
            audit: embedded,
            clock,
            options,
            turns: Turns::default(),
        });
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
        Ok(Self { http: config.http.clone(), parts, store })
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
        let router = http::router(mcp::endpoint(self.parts, options));
        http::serve(listener, router, &self.http, shutdown.closing.clone()).await;
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
