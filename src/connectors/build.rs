//! Builds configured connectors: a vendor file plus address, credentials and settings of an upstream.

use std::{collections::BTreeMap, io, path::PathBuf, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    compile_error::CompileError,
    compiled::Operations,
    connector::Connector,
    endpoints::Endpoints,
    file::{Place, VendorFile},
    filter::to_val,
    library::{Library, LibraryError},
    order_number,
    threads::FilterThreads,
    vendor::{self, Vendor},
};
use crate::{
    domain::{Clock, SecretError, SecretReader, SystemId, TextRef},
    upstream::{
        BaseUrl, Limits, Upstream, UrlError,
        auth::{Auth, AuthError, AuthOptions, TokenCache, TokenVault},
    },
};

/// Where vendor files are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "connectors")]
pub struct Options {
    /// Directory of your own vendor files, one `NAME.toml` each. A file with the name of a shipped connector replaces
    /// it. Default: the directory `connectors` beside the configuration file, if it exists. Relative to the
    /// configuration file if it is written there; relative to the working directory if it comes from a variable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory: Option<PathBuf>,
}

/// One of the company's systems, reached through a connector.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "upstream")]
pub struct UpstreamOptions {
    /// Name of the connector, shipped or your own. Default: the upstream's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connector: Option<String>,
    /// Base URL, for example `https://api.example.com/v2`; every request stays below it. It holds for all ports that
    /// the upstream stands behind. Default: that of the vendor file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_url: Option<TextRef>,
    /// Allow plain http to another machine, for `base_url` and `auth.token_url`. Tokens and customer data can then be
    /// read in transit.
    pub plain_http: bool,
    /// Authentication; each key overrides that of the vendor file. Another `kind` than there starts afresh, and
    /// another `client_auth` drops the secret of the other method. A key that does not belong to the kind is an error.
    #[serde(skip_serializing_if = "is_default")]
    pub auth: AuthOptions,
    /// System of its customer ids, for example `shop` in `shop:42`: lower case letters, digits, `-` and `_`, 32 at
    /// most. Default: the upstream's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<SystemId>,
    /// Settings that the vendor file declares; `frontdesk connectors show NAME` lists them. Any other name is an
    /// error.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, Value>,
    /// Deadlines, retries and size limits. A request is retried if it may be repeated, after 408, 500, 502, 503, 504,
    /// a time-out or a broken connection; and in any case if it has certainly not been acted upon: no connection, no
    /// token, 429. Retries are a fifth of the requests at most, with a reserve of ten. The limits hold for each
    /// address that the connector names: one that has an address for each port counts each by itself.
    #[serde(skip_serializing_if = "is_default")]
    pub limits: Limits,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Why a connector cannot be built. Names the configuration key, or the file and its key.
#[derive(Debug, thiserror::Error)]
pub enum ConnectorError {
    #[error(transparent)]
    Library(#[from] LibraryError),
    #[error("{file}")]
    Compile {
        file: String,
        #[source]
        source: CompileError,
    },
    #[error("upstreams.{upstream}.{key}: {why}")]
    Value { upstream: String, key: String, why: String },
    #[error("webhooks.{name}.{key}: {why}")]
    Webhook { name: String, key: String, why: String },
    #[error("upstreams.{upstream}.base_url")]
    Url {
        upstream: String,
        #[source]
        source: UrlError,
    },
    #[error("failed to read upstreams.{upstream}.base_url")]
    Secret {
        upstream: String,
        #[source]
        source: SecretError,
    },
    #[error("upstreams.{upstream}")]
    Auth {
        upstream: String,
        #[source]
        source: AuthError,
    },
    #[error("failed to start a proxy on 127.0.0.1")]
    Detour(#[source] io::Error),
    #[error("failed to set up TLS")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Default lag of a vendor's contact search, in seconds.
const CONTACT_SETTLES_AFTER_S: u64 = 900;

/// A port of the desk that an upstream can serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Port {
    Orders,
    Helpdesk,
    Crm,
    /// A mirror of articles.
    Knowledge,
    /// A list of articles.
    Articles,
    /// The sender of one-time codes.
    Codes,
}

impl Port {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::Helpdesk => "helpdesk",
            Self::Crm => "crm",
            Self::Knowledge => "knowledge",
            Self::Articles => "articles",
            Self::Codes => "codes",
        }
    }
}

/// Builds connectors from the configuration.
pub struct Builder<'a> {
    library: Library,
    upstreams: &'a BTreeMap<String, UpstreamOptions>,
    secrets: SecretReader<'a>,
    tokens: TokenCache,
    clock: Clock,
    /// How long finding an order may take, whatever the upstream's limits.
    order_timeout: Duration,
    detour: Option<Detour<'a>>,
    drafts: bool,
}

/// Another way to the upstreams: where a base URL is reached, and what changes in the limits.
#[derive(Clone, Copy)]
struct Detour<'a> {
    through: &'a dyn Fn(&BaseUrl) -> io::Result<BaseUrl>,
    limits: &'a dyn Fn(&mut Limits),
}

impl<'a> Builder<'a> {
    pub fn new(
        library: Library,
        upstreams: &'a BTreeMap<String, UpstreamOptions>,
        secrets: SecretReader<'a>,
        clock: Clock,
        vault: Option<Arc<dyn TokenVault>>,
    ) -> Result<Self, ConnectorError> {
        let tokens = TokenCache::new(clock.clone(), vault).map_err(|error| ConnectorError::Tls(Box::new(error)))?;
        let order_timeout = Duration::MAX;
        Ok(Self { library, upstreams, secrets, tokens, clock, order_timeout, detour: None, drafts: false })
    }

    /// The same, with a bound on how long finding an order may take.
    pub fn with_order_timeout(self, order_timeout: Duration) -> Self {
        Self { order_timeout, ..self }
    }

    /// The same, with requests that go through something else. Tokens are fetched where they are always fetched.
    pub fn detoured<'b>(
        &'b self,
        through: &'b dyn Fn(&BaseUrl) -> io::Result<BaseUrl>,
        limits: &'b dyn Fn(&mut Limits),
    ) -> Builder<'b> {
        Builder { detour: Some(Detour { through, limits }), drafts: self.drafts, ..self.with_drafts() }
    }

    /// The same, which also builds from files with holes, to try them out.
    pub fn with_drafts(&self) -> Builder<'_> {
        Builder {
            library: self.library.clone(),
            upstreams: self.upstreams,
            secrets: self.secrets,
            tokens: self.tokens.clone(),
            clock: self.clock.clone(),
            order_timeout: self.order_timeout,
            detour: self.detour,
            drafts: true,
        }
    }

    /// Builds the connector of an upstream for the given ports. A name without a section under `[upstreams]` means the
    /// connector of that name.
    pub fn build(&self, name: &str, ports: &[Port]) -> Result<Connector, ConnectorError> {
        let options = self.upstreams.get(name).cloned().unwrap_or_default();
        let wrong =
            |key: &str, why: String| ConnectorError::Value { upstream: name.to_owned(), key: key.to_owned(), why };
        let file = self.library.parse(options.connector.as_deref().unwrap_or(name)).map_err(|error| match error {
            LibraryError::Unknown { .. } => wrong("connector", error.to_string()),
            other => other.into(),
        })?;
        if !self.drafts {
            self.library.finished(&file.name)?;
        }
        let there = file.ports();
        if let Some(missing) = ports.iter().find(|port| !there.contains(&port.as_str())) {
            let why = format!("{} has no {}; it has {}", file.name, missing.as_str(), there.join(", "));
            return Err(wrong("connector", why));
        }
        let operations = Operations::compile(&file)
            .map_err(|source| ConnectorError::Compile { file: self.library.place(&file.name, &source), source })?;
        let settings = vendor::settings(&file.settings, &file.name, &options.settings)
            .map_err(|(key, why)| wrong(&format!("settings.{key}"), why))?;
        let settings = to_val(&settings);
        if let Some(filter) = &operations.order_number {
            order_number::check(filter, &settings).map_err(|why| {
                let source = CompileError::Value { key: "orders.number".to_owned(), why };
                ConnectorError::Compile { file: self.library.place(&file.name, &source), source }
            })?;
        }
        let system = match &options.system {
            Some(system) => system.clone(),
            None => SystemId::parse(name)
                .map_err(|invalid| wrong("system", format!("is needed here: the upstream's name {}", invalid.why)))?,
        };
        let mut made: Vec<(Place, Arc<Upstream>)> = Vec::new();
        let mut place = |port: Port, own: Option<&Place>| -> Result<Option<Arc<Upstream>>, ConnectorError> {
            let lists = port == Port::Knowledge && ports.contains(&Port::Articles);
            let Some(own) = own.filter(|_| lists || ports.contains(&port)) else { return Ok(None) };
            let place = Place {
                base_url: own.base_url.clone().or_else(|| file.base_url.clone()),
                auth: Some(own.auth.clone().unwrap_or_else(|| file.auth.clone())),
                protocol: None,
            };
            if let Some((_, upstream)) = made.iter().find(|(known, _)| *known == place) {
                return Ok(Some(upstream.clone()));
            }
            let upstream = Arc::new(self.upstream(name, &options, &file, &place)?);
            made.push((place, upstream.clone()));
            Ok(Some(upstream))
        };
        let endpoints = Endpoints {
            orders: place(Port::Orders, file.orders.as_ref().map(|port| &port.at))?,
            helpdesk: place(Port::Helpdesk, file.helpdesk.as_ref().map(|port| &port.at))?,
            crm: place(Port::Crm, file.crm.as_ref().map(|port| &port.at))?,
            knowledge: place(Port::Knowledge, file.knowledge.as_ref().map(|port| &port.at))?,
            codes: place(Port::Codes, file.codes.as_ref().map(|port| &port.at))?,
        };
        let (helpdesk, crm) = (file.helpdesk.as_ref(), file.crm.as_ref());
        Ok(Connector {
            name: name.to_owned(),
            vendor_name: file.name.clone(),
            helpdesk_settlement: vendor::settlement(
                operations.create_ticket.as_ref(),
                helpdesk.and_then(|port| port.idempotency_ttl_s),
                helpdesk.and_then(|port| port.settle_after_s),
            ),
            comment_settlement: vendor::settlement(
                operations.add_comment.as_ref(),
                helpdesk.and_then(|port| port.idempotency_ttl_s).filter(|_| operations.keyed_comments()),
                None,
            ),
            contact_settlement: vendor::settlement(
                operations.upsert_contact.as_ref(),
                None,
                Some(crm.and_then(|port| port.settle_after_s).unwrap_or(CONTACT_SETTLES_AFTER_S)),
            ),
            note_settlement: vendor::settlement(
                operations.log_activity.as_ref(),
                crm.and_then(|port| port.idempotency_ttl_s),
                None,
            ),
            ticket_needs_email: helpdesk.is_some_and(|port| port.needs_email),
            raises_priority: helpdesk.is_some_and(|port| port.raises_priority),
            contact_needs_email: crm.is_some_and(|port| port.needs_email),
            code_minutes: file.codes.as_ref().and_then(|port| port.minutes),
            vendor: Vendor { operations: Arc::new(operations), settings, system, threads: FilterThreads::start(name) },
            endpoints,
            clock: self.clock.clone(),
            order_timeout: self.order_timeout,
            suspended_until: Default::default(),
        })
    }

    fn upstream(
        &self,
        name: &str,
        options: &UpstreamOptions,
        file: &VendorFile,
        place: &Place,
    ) -> Result<Upstream, ConnectorError> {
        let upstream = || name.to_owned();
        let address = options.base_url.as_ref().or(place.base_url.as_ref()).ok_or_else(|| {
            let example = file.base_url_example.as_deref().unwrap_or("https://…");
            let why = format!("is missing; write base_url = {example:?} under [upstreams.{name}]");
            ConnectorError::Value { upstream: upstream(), key: "base_url".to_owned(), why }
        })?;
        let address =
            address.read(self.secrets).map_err(|source| ConnectorError::Secret { upstream: upstream(), source })?;
        let base = BaseUrl::parse(&address, options.plain_http)
            .map_err(|source| ConnectorError::Url { upstream: upstream(), source })?;
        let auth = options.auth.over(&place.auth.clone().unwrap_or_default());
        let auth = Auth::new(&auth, &base, options.plain_http, self.secrets, &self.tokens)
            .map_err(|source| ConnectorError::Auth { upstream: upstream(), source })?;
        let (mut base, mut limits) = (base, options.limits.clone());
        if let Some(detour) = self.detour {
            base = (detour.through)(&base).map_err(ConnectorError::Detour)?;
            (detour.limits)(&mut limits);
        }
        Upstream::new(name, base, auth, limits, self.clock.clone())
            .map_err(|error| ConnectorError::Tls(Box::new(error)))
    }
}
