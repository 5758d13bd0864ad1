//! What serde does not check: unknown keys with a suggestion, ranges, and rules across fields.

use std::net::SocketAddr;

use serde_json::{Map, Value};

use super::{Config, ConfigError};

/// Walks a value along its schema: names the first unknown key, or the first number outside its range.
pub(super) fn against_schema(value: &Value, schema: &Value, path: &str) -> Result<(), ConfigError> {
    match value {
        Value::Object(members) => {
            let properties = schema.get("properties").and_then(Value::as_object);
            // A table with names of the user's own.
            let open = schema.get("additionalProperties").filter(|schema| schema.is_object());
            for (name, member) in members {
                let path = join(path, name);
                match (properties.and_then(|properties| properties.get(name)).or(open), properties) {
                    (Some(property), _) => against_schema(member, property, &path)?,
                    (None, Some(properties)) => return Err(unknown_key(&path, name, properties)),
                    (None, None) => {}
                }
            }
            Ok(())
        }
        Value::Array(items) => {
            let Some(item_schema) = schema.get("items") else { return Ok(()) };
            items
                .iter()
                .enumerate()
                .try_for_each(|(n, item)| against_schema(item, item_schema, &format!("{path}[{n}]")))
        }
        Value::Number(number) => {
            let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
            let (min, max) = (bound("minimum"), bound("maximum"));
            let outside =
                number.as_f64().is_some_and(|n| min.is_some_and(|min| n < min) || max.is_some_and(|max| n > max));
            match outside {
                true => Err(ConfigError::value(
                    path,
                    format!(
                        "must be {} to {}",
                        min.unwrap_or(f64::MIN),
                        max.map_or("any".to_owned(), |max| max.to_string())
                    ),
                )),
                false => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

fn unknown_key(path: &str, name: &str, known: &Map<String, Value>) -> ConfigError {
    let near = known
        .keys()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .min()
        .filter(|(distance, candidate)| *distance <= candidate.len().max(3) / 2)
        .map(|(_, candidate)| match path.rsplit_once('.') {
            Some((parent, _)) => format!("{parent}.{candidate}"),
            None => candidate.clone(),
        });
    ConfigError::UnknownKey { key: path.to_owned(), nearest: near }
}

pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// Rules across fields.
pub(super) fn across(config: &Config) -> Result<(), ConfigError> {
    let listen = config.http.listen;
    if !is_loopback(listen) {
        return Err(ConfigError::value(
            "http.listen",
            format!(
                "{listen} can be reached from other machines, and agents cannot authenticate yet; write http.listen = \
                 \"127.0.0.1:{}\"",
                listen.port()
            ),
        ));
    }
    if config.identity.customer.is_some() && config.identity.mode != crate::identity::Mode::Fixed {
        return Err(ConfigError::value(
            "identity.customer",
            "is only for identity.mode = \"fixed\"; remove one of the two",
        ));
    }
    if config.identity.email.is_some() && config.identity.mode != crate::identity::Mode::Fixed {
        return Err(ConfigError::value(
            "identity.email",
            "is only for identity.mode = \"fixed\"; remove one of the two",
        ));
    }
    let alerts = &config.inbox.alerts;
    if alerts.url.is_some() != alerts.secret.is_some() {
        let (there, missing) = if alerts.url.is_some() { ("url", "secret") } else { ("secret", "url") };
        return Err(ConfigError::value(
            &format!("inbox.alerts.{missing}"),
            format!("is needed with inbox.alerts.{there}: alerts that are posted are signed"),
        ));
    }
    for (source, s) in &alerts.silent_after_s {
        let key = format!("inbox.alerts.silent_after_s.{source}");
        if !config.webhooks.contains_key(source) {
            return Err(ConfigError::value(&key, format!("webhooks.{source} is not configured")));
        }
        if *s == 0 {
            return Err(ConfigError::value(&key, "must be at least 1"));
        }
    }
    Ok(())
}

fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}
