//! Secrets across rooms: which are named and whether two are the same, the operations token, and TLS.

use std::sync::Arc;

use serde_json::Value;

use super::{AppError, upstreams};
use crate::{
    config::{Config, ConfigError, Secrets},
    domain::{Secret, SecretRef},
    http::{self, Tls, TlsOptions},
    identity::Mode,
};

/// Reads the token that protects the operations endpoints.
pub(super) fn operations_token(config: &Config, secrets: &Secrets) -> Result<Option<Secret>, ConfigError> {
    let strong = |place: &SecretRef| secrets.read(place).and_then(|token| token.strong(place));
    let token = config.operations.token.as_ref().map(strong).transpose();
    token.map_err(|source| ConfigError::Secret { key: "operations.token".to_owned(), source })
}

pub(super) type KeptTls = (Tls, TlsOptions, http::Reader);

pub(super) fn tls(config: &Config, secrets: &Secrets) -> Result<Option<KeptTls>, AppError> {
    let Some(options) = config.http.tls.clone() else { return Ok(None) };
    // TLS looks at its files by itself.
    let secrets = secrets.apart();
    let reader: http::Reader = Arc::new(move |place: &SecretRef| secrets.read(place));
    Ok(Some((Tls::new(&options, &reader).map_err(AppError::Tls)?, options, reader)))
}

/// The secret references of what is used, with their configuration keys.
pub(super) fn named(config: &Config) -> Vec<(String, SecretRef)> {
    let mut named = Vec::new();
    let Ok(mut all) = serde_json::to_value(config) else { return named };
    let used = upstreams::upstreams_in_use(config);
    if let Some(upstreams) = all.get_mut("upstreams").and_then(Value::as_object_mut) {
        upstreams.retain(|name, _| used.contains(&name.as_str()));
    }
    if config.identity.mode != Mode::Context {
        all["identity"] = Value::Null;
    }
    if !config.verification.enabled || !config.verification.has_mail_server() {
        all["verification"] = Value::Null;
    }
    gather(&all, String::new(), &mut named);
    named
}

/// Collects the secret references with their configuration keys.
fn gather(value: &Value, path: String, named: &mut Vec<(String, SecretRef)>) {
    match value {
        Value::Object(members) => {
            if let Ok(place) = serde_json::from_value::<SecretRef>(value.clone()) {
                named.push((path, place));
                return;
            }
            for (name, member) in members.iter().filter(|(name, _)| *name != "settings") {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                gather(member, path, named);
            }
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, item)| gather(item, format!("{path}[{n}]"), named));
        }
        _ => {}
    }
}

/// Secrets that sign customers' identities and are used for anything else: whoever has the one could sign the other. Two
/// sources of webhooks may have one secret, since one app of a vendor has one.
pub(super) fn shared(config: &Config, secrets: &Secrets) -> Vec<ConfigError> {
    let read = |(key, place): (String, SecretRef)| secrets.read(&place).ok().map(|secret| (key, secret));
    let all: Vec<(String, Secret)> = named(config).into_iter().filter_map(read).collect();
    let signs = |key: &str| key.starts_with("identity.") && key.ends_with(".secret");
    let mut found = Vec::new();
    for (n, (key, secret)) in all.iter().enumerate() {
        let same = |(other, with): &&(String, Secret)| (signs(key) || signs(other)) && secret.expose() == with.expose();
        if let Some((other, _)) = all[..n].iter().find(same) {
            let why =
                format!("holds the secret of {other}: whoever has it for one could sign for the other; make another");
            found.push(ConfigError::value(key, why));
        }
    }
    found
}
