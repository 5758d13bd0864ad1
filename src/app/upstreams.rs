//! The company's own systems: which connectors the desk is configured to use, built once.

use std::{collections::BTreeMap, sync::Arc};

use super::AppError;
use crate::{
    config::{Config, Secrets},
    connectors::{Builder, Connector, Library, Port},
    desk::{ArticleMirror, BUILTIN},
    domain::{Clock, SecretRef},
};

/// The connectors in use, by the name of their upstream.
pub type Connectors = BTreeMap<String, Arc<Connector>>;

pub(super) fn mirrors(config: &Config, connectors: &Connectors) -> Vec<Arc<dyn ArticleMirror>> {
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
