//! Address rules: what other machines may not reach, and host names and origins that no request can carry.

use http::Uri;

use super::Faults;
use crate::{
    config::{Config, ConfigError},
    domain::{AllowedAddresses, is_loopback, names_loopback},
    http::Proxies,
    identity::{Mode, agents::Authentication},
};

/// Requires authentication where other machines can call, and forbids mode `argument` there.
pub(super) fn beyond_this_machine(config: &Config, faults: &mut Faults) {
    let listen = config.http.listen;
    let (nobody_authenticates, by_argument) =
        (config.agents.authentication == Authentication::None, config.identity.mode == Mode::Argument);
    if is_loopback(listen.ip()) {
        let Some(host) = config.hosts().into_iter().find(|host| !names_loopback(host)) else { return };
        if nobody_authenticates {
            faults.value(
                "agents.authentication",
                format!(
                    "agents reach this server as {host} (http.allowed_hosts, agents.resource), through a proxy, and do not \
                     authenticate; write agents.authentication = \"required\", or remove the name"
                ),
            );
        }
        if by_argument {
            faults.value(
                "identity.mode",
                format!(
                    "is argument, which lets every agent be any customer, and agents reach this server as {host}; write \
                     identity.mode = \"context\", or remove the name from http.allowed_hosts and agents.resource"
                ),
            );
        }
        return;
    }
    let here = format!("http.listen = \"127.0.0.1:{}\"", listen.port());
    if nobody_authenticates {
        faults.value(
            "agents.authentication",
            format!(
                "http.listen = \"{listen}\" can be reached from other machines, and agents do not authenticate; write \
                 agents.authentication = \"required\", or {here}"
            ),
        );
    }
    if by_argument {
        faults.value(
            "identity.mode",
            format!(
                "is argument, which lets every agent be any customer, and http.listen = \"{listen}\" can be reached from \
                 other machines; write identity.mode = \"context\", or {here}"
            ),
        );
    }
    if config.hosts().is_empty() {
        faults.value(
            "http.allowed_hosts",
            "is needed where other machines can call: the host name by which they do; write http.allowed_hosts = \
             [\"desk.example.com\"], or set agents.resource",
        );
    }
}

/// The proxies whose forwarding headers are trusted for a webhook's client address.
pub(crate) fn proxies(config: &Config) -> Result<Proxies, ConfigError> {
    let (count, from) = (config.http.trusted_proxies, &config.http.trusted_proxy_addresses);
    let wrong = |why: String| ConfigError::value("http.trusted_proxy_addresses", why);
    if count == 0 && !from.is_empty() {
        let why = "is of no use with http.trusted_proxies = 0; write how many proxies a webhook comes through";
        return Err(wrong(why.to_owned()));
    }
    Ok(Proxies { count, from: AllowedAddresses::parse(from).map_err(|error| wrong(error.to_string()))? })
}

/// Requires a token where other machines can reach the operations endpoints.
pub(super) fn operations(config: &Config, faults: &mut Faults) {
    let operations = &config.operations;
    if operations.token.is_some() {
        return;
    }
    if operations.enabled && !is_loopback(operations.listen.ip()) {
        faults.value(
            "operations.token",
            format!(
                "is needed, since operations.listen = \"{}\" can be reached from other machines; write operations.token = \
                 {{ env = \"OPERATIONS_TOKEN\" }}, or operations.listen = \"127.0.0.1:{}\"",
                operations.listen,
                operations.listen.port()
            ),
        );
    }
    if operations.metrics_at_http_listen {
        faults.value("operations.token", "is needed with operations.metrics_at_http_listen");
    }
    if operations.enabled && operations.listen == config.http.listen && operations.listen.port() != 0 {
        faults.value("operations.listen", "is http.listen as well; write another port");
    }
}

/// Rejects origins and hosts that no request can carry.
pub(super) fn names(config: &Config, faults: &mut Faults) {
    for (n, origin) in config.http.allowed_origins.iter().enumerate() {
        if let Err(why) = origin_of_browsers(origin) {
            faults.value(&format!("http.allowed_origins[{n}]"), format!("{origin:?} {why}"));
        }
    }
    for (n, host) in config.http.allowed_hosts.iter().enumerate() {
        if let Err(why) = host_of_requests(host) {
            faults.value(&format!("http.allowed_hosts[{n}]"), format!("{host:?} {why}"));
        }
    }
}

/// Checks an origin as browsers send it (RFC 6454, section 6.2): scheme, host, port unless it is the default, and
/// nothing else.
fn origin_of_browsers(origin: &str) -> Result<(), String> {
    let never = |why: &str| Err(format!("is sent by no browser: {why}"));
    if origin.contains('*') {
        return never("there are no wildcards; write each origin, as https://app.example.com");
    }
    if origin == "null" {
        return Err("is what every sandboxed page and local file sends; write the origins that may call".to_owned());
    }
    let Ok(uri) = origin.parse::<Uri>() else {
        return never("it is no address; write it as https://app.example.com (a name in other letters as xn--…)");
    };
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return never("scheme or host is missing; write it as https://app.example.com");
    };
    let named = authority.as_str().rsplit('@').next().unwrap_or_default();
    let should = format!("{scheme}://{named}").to_lowercase();
    let port = named.strip_prefix(authority.host()).filter(|port| !port.is_empty());
    let port_is_good = port.is_none_or(|port| port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok()));
    if authority.host().is_empty() || !port_is_good {
        return never("write it as https://app.example.com or https://app.example.com:8443");
    }
    match origin == should {
        true => Ok(()),
        false => {
            never(&format!("it has scheme, host and port, in small letters, and nothing after them; write {should}"))
        }
    }
}

/// Checks a host as requests carry it: without scheme and path.
fn host_of_requests(host: &str) -> Result<(), String> {
    if host.contains('*') {
        return Err("is the host of no request: there are no wildcards; write each name".to_owned());
    }
    if let Some((_, rest)) = host.split_once("://") {
        let name = rest.split('/').next().unwrap_or_default();
        return Err(format!("is an address and the host of no request; write {name:?}"));
    }
    let bracketed = format!("[{host}]");
    let name = if host.parse::<std::net::Ipv6Addr>().is_ok() { bracketed.as_str() } else { host };
    let authority = name.parse::<http::uri::Authority>().ok().filter(|authority| !authority.as_str().contains('@'));
    match authority {
        Some(authority) if !authority.host().is_empty() => Ok(()),
        _ => Err("is the host of no request; write it as desk.example.com".to_owned()),
    }
}

/// The host of a URL, without its port.
pub(in crate::config) fn host(address: &str) -> Option<String> {
    address.parse::<Uri>().ok()?.host().map(|host| host.trim_matches(['[', ']']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_one_that_a_browser_can_send() {
        for good in [
            "https://app.example.com",
            "http://app.example.com:8080",
            "https://app.example.com:443",
            "http://[2001:db8::1]:3000",
            "chrome-extension://abcdefghijklmnop",
            "https://xn--mller-kva.example",
        ] {
            assert_eq!(origin_of_browsers(good), Ok(()), "{good}");
        }
        for (bad, hint) in [
            ("https://app.example.com/", "write https://app.example.com"),
            ("https://App.Example.com", "write https://app.example.com"),
            ("https://app.example.com/chat?x=1", "write https://app.example.com"),
            ("https://ada@app.example.com", "write https://app.example.com"),
            ("app.example.com", "https://app.example.com"),
            ("https://", "https://app.example.com"),
            ("*", "wildcards"),
            ("https://*.example.com", "wildcards"),
            ("null", "sandboxed"),
            ("https://müller.example", "xn--"),
            (" https://app.example.com", "https://app.example.com"),
            ("https://app.example.com:", "https://app.example.com"),
            ("https://app.example.com:99999", "https://app.example.com"),
            ("", "https://app.example.com"),
        ] {
            assert!(origin_of_browsers(bad).is_err_and(|why| why.contains(hint)), "{bad}");
        }
    }

    #[test]
    fn a_host_is_one_that_a_request_can_name() {
        for good in ["desk.example.com", "desk.example.com:8443", "192.0.2.1", "::1", "[::1]:80", "desk"] {
            assert_eq!(host_of_requests(good), Ok(()), "{good}");
        }
        for bad in ["https://desk.example.com/mcp", "*.example.com", "desk.example.com/mcp", "a@b", "", "desk example"]
        {
            assert!(host_of_requests(bad).is_err(), "{bad}");
        }
    }
}
