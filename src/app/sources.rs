//! Builds the webhook sources: native ones, and those of vendor files.

use super::AppError;
use crate::{
    config::{Config, ConfigError, Secrets},
    connectors::{FilterThreads, Library, WebhookSetup, WebhookSource},
    desk::Desk,
    domain::{AllowedAddresses, Secret},
    webhooks::{ARTICLE_BODY_BYTES_MAX, NativeSource, Route, Source, SourceOptions},
};

/// Warns if sources report customers without an address that the helpdesk needs.
pub(super) fn without_address(desk: &Desk, routes: &[Route]) -> Option<String> {
    let route = routes.iter().find(|route| route.source.escalates())?;
    let waits = desk.helpdesk_needs_email() && desk.options().fallback_requester.is_none();
    waits.then(|| {
        format!(
            "the helpdesk {} needs an email address, and webhooks.{} can report customers without one: their escalations \
             will wait; set desk.fallback_requester to a mailbox of the company",
            desk.options().helpdesk,
            route.source.name()
        )
    })
}

/// The configured webhook sources, with their secrets read. Vendor files are compiled only if a source uses one.
pub(super) fn routes(config: &Config, secrets: &Secrets) -> Result<Vec<Route>, AppError> {
    let mut vendors = Vendors { config, loaded: None };
    let mut routes = Vec::new();
    for (name, options) in &config.webhooks {
        let key = format!("webhooks.{name}.secrets");
        if options.secrets.is_empty() || options.secrets.len() > 2 {
            let why = "needs the secret that the sender signs with, or two while it is being changed; write secrets = \
                [{ env = \"WEBHOOK_SECRET\" }]";
            return Err(ConfigError::value(&key, why).into());
        }
        let read = options.secrets.iter().enumerate().map(|(n, secret)| {
            let failed = |source| ConfigError::Secret { key: format!("{key}[{n}]"), source };
            secrets.read(secret).and_then(|read| read.strong(secret)).map_err(failed)
        });
        let read: Vec<Secret> = read.collect::<Result<_, _>>()?;
        let source = vendors.source(name, options, &read)?;
        let of_articles = source.reports_articles().then_some(ARTICLE_BODY_BYTES_MAX.max(config.http.body_bytes_max));
        routes.push(Route {
            source,
            body_bytes_max: options.body_bytes_max.or(of_articles),
            allowed: AllowedAddresses::parse(&options.allowed_ips)
                .map_err(|error| ConfigError::value(&format!("webhooks.{name}.allowed_ips"), error.to_string()))?,
            customers: options.customers,
        });
    }
    Ok(routes)
}

/// One source, configured or not, with the given secrets.
pub fn webhook_source(config: &Config, name: &str, secrets: &[Secret]) -> Result<Box<dyn Source>, AppError> {
    let options = config.webhooks.get(name).cloned().unwrap_or_default();
    Vendors { config, loaded: None }.source(name, &options, secrets)
}

/// Loads the vendor files on first use.
struct Vendors<'a> {
    config: &'a Config,
    loaded: Option<Library>,
}

impl Vendors<'_> {
    fn source(&mut self, name: &str, options: &SourceOptions, secrets: &[Secret]) -> Result<Box<dyn Source>, AppError> {
        let connector = options.connector.as_deref().unwrap_or(name);
        if let Some(kind) = NativeSource::ALL.into_iter().find(|kind| kind.name() == connector) {
            let failed = |error| ConfigError::value(&format!("webhooks.{name}.secrets"), format!("{error}"));
            return Ok(Box::new(NativeSource::new(name, kind, secrets).map_err(failed)?));
        }
        let library = match &mut self.loaded {
            Some(loaded) => loaded,
            none => none.insert(Library::with_directory(self.config.connectors.directory.as_deref())?),
        };
        let setup = WebhookSetup { name, connector, secrets, settings: &options.settings };
        // Each source has its own filter threads, so that one sender's slow filters do not delay the others.
        Ok(Box::new(WebhookSource::build(library, &FilterThreads::start(name), &setup)?))
    }
}
