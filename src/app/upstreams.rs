//! Builds the connectors that the configuration uses.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    AppError,
    vault::{Vault, vault},
};
use crate::{
    config::{Config, Secrets},
    connectors::{Builder, Connector, Library, Port},
    desk::{ArticleMirror, BUILTIN},
    domain::{Clock, SecretRef},
    upstream::auth::TokenVault,
};

/// Connectors in use, by upstream name.
pub type Connectors = BTreeMap<String, Arc<Connector>>;

pub(super) fn mirrors(config: &Config, connectors: &Connectors) -> Vec<Arc<dyn ArticleMirror>> {
    let named = config.desk.article_mirrors.iter().filter_map(|name| connectors.get(name));
    named.map(|connector| connector.clone() as Arc<dyn ArticleMirror>).collect()
}

/// Article mirrors, by upstream name.
pub type Mirrors = Vec<(String, Arc<dyn ArticleMirror>)>;

/// Builds the configured article mirrors.
pub fn article_mirrors(config: &Config, secrets: &Secrets, clock: &Clock) -> Result<Mirrors, AppError> {
    let names = &config.desk.article_mirrors;
    let used: Vec<(&str, Port)> = names.iter().map(|name| (name.as_str(), Port::Knowledge)).collect();
    let built = build(config, secrets, clock, vault(config, secrets, clock)?, &used)?;
    Ok(built.into_iter().map(|(name, connector)| (name, connector as Arc<dyn ArticleMirror>)).collect())
}

/// Builds the connectors that the desk uses. Refresh tokens are kept in the configured store, which is opened, and
/// created, when one is renewed.
pub fn connectors(config: &Config, secrets: &Secrets, clock: &Clock) -> Result<Connectors, AppError> {
    connectors_with(config, secrets, clock, vault(config, secrets, clock)?)
}

/// Builds the connectors that the desk uses. Without any, no vendor file is compiled.
pub(super) fn connectors_with(
    config: &Config,
    secrets: &Secrets,
    clock: &Clock,
    vault: Option<Arc<Vault>>,
) -> Result<Connectors, AppError> {
    let used = used(config);
    if let Some(name) = config.upstreams.keys().find(|name| used.iter().all(|(used, _)| used != name)) {
        tracing::warn!(
            upstream = name,
            "an upstream is configured and not used; name it in desk.orders, desk.helpdesk, desk.crm, desk.article_mirrors, \
             articles.sources or verification.connector"
        );
    }
    build(config, secrets, clock, vault, &used)
}

/// Names of the upstreams that the desk uses.
pub fn upstreams_in_use(config: &Config) -> Vec<&str> {
    used(config).into_iter().map(|(name, _)| name).collect()
}

/// What each upstream is used for, in words.
pub(super) fn uses(config: &Config) -> Vec<(&str, &'static str)> {
    let word = |port: Port| match port {
        Port::Orders => "orders",
        Port::Helpdesk => "helpdesk",
        Port::Crm => "crm",
        Port::Knowledge => "article mirror",
        Port::Articles => "articles",
        Port::Codes => "one-time codes",
    };
    used(config).into_iter().map(|(name, port)| (name, word(port))).collect()
}

/// Upstreams that the desk uses, each with its port.
fn used(config: &Config) -> Vec<(&str, Port)> {
    let desk = &config.desk;
    let ports = [(&desk.orders, Port::Orders), (&desk.helpdesk, Port::Helpdesk), (&desk.crm, Port::Crm)];
    let ports = ports.into_iter().filter(|(name, _)| *name != BUILTIN);
    let mirrors = desk.article_mirrors.iter().map(|name| (name, Port::Knowledge));
    let lists = config.articles.sources.iter().map(|name| (name, Port::Articles));
    let verification = &config.verification;
    // With a mail server beside it, one of the two is a fault, and nothing is known of what the other needs.
    let codes = verification.connector.iter().filter(|_| verification.enabled && verification.smtp.is_none());
    let codes = codes.map(|name| (name, Port::Codes));
    ports.chain(mirrors).chain(lists).chain(codes).map(|(name, port)| (name.as_str(), port)).collect()
}

/// Faults of the upstreams, each built on its own.
pub(super) fn faults(config: &Config, secrets: &Secrets, clock: &Clock) -> Vec<AppError> {
    let all = used(config);
    let names: std::collections::BTreeSet<&str> = all.iter().map(|(name, _)| *name).collect();
    let vault = match vault(config, secrets, clock) {
        Ok(vault) => vault,
        Err(error) => return vec![error.into()],
    };
    let one = |name: &&str| {
        let used: Vec<(&str, Port)> = all.iter().filter(|(used, _)| used == name).copied().collect();
        build(config, secrets, clock, vault.clone(), &used).err()
    };
    names.iter().filter_map(one).collect()
}

fn build(
    config: &Config,
    secrets: &Secrets,
    clock: &Clock,
    vault: Option<Arc<Vault>>,
    used: &[(&str, Port)],
) -> Result<Connectors, AppError> {
    if used.is_empty() {
        return Ok(Connectors::new());
    }
    let library = Library::with_directory(config.connectors.directory.as_deref())?;
    let read = |secret: &SecretRef| secrets.read(secret);
    let vault = vault.map(|vault| vault as Arc<dyn TokenVault>);
    let builder = Builder::new(library, &config.upstreams, &read, clock.clone(), vault)?
        .with_order_timeout(config.tools.order_timeout());
    let mut built = Connectors::new();
    for (name, _) in used {
        if !built.contains_key(*name) {
            let ports: Vec<Port> = used.iter().filter(|(used, _)| used == name).map(|(_, port)| *port).collect();
            built.insert((*name).to_owned(), Arc::new(builder.build(name, &ports)?));
        }
    }
    Ok(built)
}
