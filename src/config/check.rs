//! What serde does not check: unknown keys with a suggestion, ranges, and rules across fields.

use std::net::SocketAddr;

use http::Uri;
use serde_json::{Map, Value};

use super::{Config, ConfigError};
use crate::{
    http::Proxies,
    identity::{
        Mode,
        agents::{Authentication, is_safe},
    },
    webhooks::AllowedAddresses,
};

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
    agents(config)?;
    beyond_this_machine(config)?;
    operations(config)?;
    if let Some(endpoint) = &config.traces.endpoint {
        let uri = endpoint.parse::<Uri>().ok().filter(|uri| uri.host().is_some());
        if uri.is_none_or(|uri| !matches!(uri.scheme_str(), Some("http" | "https"))) {
            return Err(ConfigError::value("traces.endpoint", "must be an address, as http://127.0.0.1:4318"));
        }
    }
    if config.identity.customer.is_some() && config.identity.mode != Mode::Fixed {
        return Err(ConfigError::value(
            "identity.customer",
            "is only for identity.mode = \"fixed\"; remove one of the two",
        ));
    }
    if config.identity.email.is_some() && config.identity.mode != Mode::Fixed {
        return Err(ConfigError::value(
            "identity.email",
            "is only for identity.mode = \"fixed\"; remove one of the two",
        ));
    }
    if config.identity.context.azp_required && config.agents.authentication == Authentication::None {
        return Err(ConfigError::value(
            "identity.context.azp_required",
            "compares the context with the agent that has authenticated, and agents do not; write agents.authentication = \
             \"required\", or remove the line",
        ));
    }
    proxies(config)?;
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

/// Who may call, and how they show it.
fn agents(config: &Config) -> Result<(), ConfigError> {
    let agents = &config.agents;
    let required = agents.authentication == Authentication::Required;
    if !agents.issuers.is_empty() {
        if !required {
            return Err(ConfigError::value(
                "agents.authentication",
                "agents.issuers is configured, and nobody is asked for a token; write agents.authentication = \"required\"",
            ));
        }
        if agents.resource.is_none() {
            return Err(ConfigError::value(
                "agents.resource",
                "is needed with agents.issuers: the address of /mcp as agents know it; write agents.resource = \
                 \"https://…/mcp\"",
            ));
        }
    }
    if let Some(resource) = &agents.resource {
        let uri = resource.parse::<Uri>().ok().filter(|uri| uri.host().is_some() && uri.query().is_none());
        if uri.is_none() || !is_safe(resource) || resource.contains('#') {
            return Err(ConfigError::value(
                "agents.resource",
                "must be an https address without query and fragment, as https://desk.example.com/mcp (http only on this \
                 machine)",
            ));
        }
    }
    let mut prefixes: Vec<&str> = agents.issuers.iter().map(|issuer| issuer.prefix.as_str()).collect();
    prefixes.sort_unstable();
    if prefixes.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(ConfigError::value(
            "agents.issuers",
            "two issuers could have a client of the same id; write a prefix of its own for each but one, as prefix = \
             \"partner/\"",
        ));
    }
    let mut names: Vec<&str> = agents.issuers.iter().map(|issuer| issuer.issuer.as_str()).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(ConfigError::value("agents.issuers", format!("{} is there twice; remove one", twice[0])));
    }
    if config.identity.mode == Mode::Token && agents.issuers.is_empty() {
        return Err(ConfigError::value(
            "agents.issuers",
            "identity.mode is token: the customers' access tokens come from an issuer; write [[agents.issuers]] with issuer",
        ));
    }
    if config.identity.mode == Mode::Token {
        if agents.issuers.len() > 1 {
            return Err(ConfigError::value(
                "agents.issuers",
                "identity.mode is token: one person's sub at one issuer can be another's at the next; keep one issuer, or \
                 choose identity.mode = \"context\"",
            ));
        }
        if agents.issuers.iter().any(|issuer| issuer.person_claim.is_none()) {
            return Err(ConfigError::value(
                "agents.issuers[0].person_claim",
                "identity.mode is token: name a claim that tokens have only when a person has signed in, as person_claim = \
                 \"auth_time\"; a client's own token must not pass for a customer's",
            ));
        }
    }
    Ok(())
}

/// What may not be reached from other machines.
fn beyond_this_machine(config: &Config) -> Result<(), ConfigError> {
    let listen = config.http.listen;
    let public: Vec<String> = config.hosts().into_iter().filter(|host| !is_own_name(host)).collect();
    if is_loopback(listen) {
        return match public.first() {
            Some(host) if config.agents.authentication == Authentication::None => Err(ConfigError::value(
                "agents.authentication",
                format!(
                    "agents reach this server as {host} (http.allowed_hosts, agents.resource), through a proxy, and do not \
                     authenticate; write agents.authentication = \"required\", or remove the name"
                ),
            )),
            Some(host) if config.identity.mode == Mode::Argument => Err(ConfigError::value(
                "identity.mode",
                format!(
                    "is argument, which lets every agent be any customer, and agents reach this server as {host}; write \
                     identity.mode = \"context\", or remove the name from http.allowed_hosts and agents.resource"
                ),
            )),
            _ => Ok(()),
        };
    }
    let here = format!("http.listen = \"127.0.0.1:{}\"", listen.port());
    if config.agents.authentication == Authentication::None {
        return Err(ConfigError::value(
            "agents.authentication",
            format!(
                "http.listen = \"{listen}\" can be reached from other machines, and agents do not authenticate; write \
                 agents.authentication = \"required\", or {here}"
            ),
        ));
    }
    if config.identity.mode == Mode::Argument {
        return Err(ConfigError::value(
            "identity.mode",
            format!(
                "is argument, which lets every agent be any customer, and http.listen = \"{listen}\" can be reached from \
                 other machines; write identity.mode = \"context\", or {here}"
            ),
        ));
    }
    if config.hosts().is_empty() {
        return Err(ConfigError::value(
            "http.allowed_hosts",
            "is needed where other machines can call: the host name by which they do; write http.allowed_hosts = \
             [\"desk.example.com\"], or set agents.resource",
        ));
    }
    Ok(())
}

/// Who is believed when they say whom a webhook comes from.
pub(crate) fn proxies(config: &Config) -> Result<Proxies, ConfigError> {
    let (count, from) = (config.http.trusted_proxies, &config.http.trusted_proxy_addresses);
    let wrong = |why: String| ConfigError::value("http.trusted_proxy_addresses", why);
    if count == 0 && !from.is_empty() {
        let why = "is of no use with http.trusted_proxies = 0; write how many proxies a webhook comes through";
        return Err(wrong(why.to_owned()));
    }
    Ok(Proxies { count, from: AllowedAddresses::parse(from).map_err(|error| wrong(error.to_string()))? })
}

/// Who may read metrics and rejected webhooks.
fn operations(config: &Config) -> Result<(), ConfigError> {
    let operations = &config.operations;
    if operations.token.is_some() {
        return Ok(());
    }
    if operations.enabled && !is_loopback(operations.listen) {
        return Err(ConfigError::value(
            "operations.token",
            format!(
                "is needed, since operations.listen = \"{}\" can be reached from other machines; write operations.token = \
                 {{ env = \"OPERATIONS_TOKEN\" }}, or operations.listen = \"127.0.0.1:{}\"",
                operations.listen,
                operations.listen.port()
            ),
        ));
    }
    if operations.metrics_at_http_listen {
        return Err(ConfigError::value("operations.token", "is needed with operations.metrics_at_http_listen"));
    }
    Ok(())
}

/// The host of an address, without its port.
pub(super) fn host(address: &str) -> Option<String> {
    address.parse::<Uri>().ok()?.host().map(|host| host.trim_matches(['[', ']']).to_owned())
}

/// A name that this machine has for itself.
fn is_own_name(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// Whether nobody but this machine reaches an address.
pub(crate) fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}
