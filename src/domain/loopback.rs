//! What loopback is, for every room: `localhost` (RFC 6761 6.3), 127.0.0.0/8 (RFC 1122 3.2.1.3), ::1 (RFC 4291 2.5.3),
//! and these IPv4 addresses written as IPv6.
//!
//! Names below `localhost` are left out: some resolvers ask the DNS for them. So are 0.0.0.0 and ::, which stand for
//! every address of a machine, and IPv4 addresses in other forms than four decimal numbers.

use std::net::{IpAddr, Ipv6Addr};

/// Whether an address is loopback.
pub fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Whether a host is loopback, as addresses and `Host` headers write it: with or without a port, an IPv6 address with
/// or without brackets, a name in any letters and perhaps with the dot of the root.
pub fn names_loopback(host: &str) -> bool {
    if let Ok(address) = host.parse::<Ipv6Addr>() {
        return is_loopback(address.into());
    }
    let is_port = |port: &str| port.bytes().all(|b| b.is_ascii_digit());
    if let Some((inside, after)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (after.is_empty() || after.strip_prefix(':').is_some_and(is_port))
            && inside.parse::<Ipv6Addr>().is_ok_and(|address| is_loopback(address.into()));
    }
    let name = match host.split_once(':') {
        Some((name, port)) if is_port(port) => name,
        Some(_) => return false,
        None => host,
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(is_loopback)
}

/// Whether a page with this `Origin` comes from this machine, by http or https.
pub fn is_loopback_origin(origin: &str) -> bool {
    origin.split_once("://").is_some_and(|(scheme, host)| matches!(scheme, "http" | "https") && names_loopback(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_one_thing() {
        for (host, loopback) in [
            ("localhost", true),
            ("localhost:8080", true),
            ("LocalHost", true),
            ("localhost.", true),
            ("localhost.:80", true),
            ("127.0.0.1", true),
            ("127.0.0.1:0", true),
            ("127.0.0.2", true),
            ("127.255.255.254", true),
            ("127.0.0.1.", true),
            ("::1", true),
            ("[::1]", true),
            ("[::1]:9464", true),
            ("0:0:0:0:0:0:0:1", true),
            ("::ffff:127.0.0.1", true),
            ("[::ffff:7f00:2]:80", true),
            ("", false),
            (".", false),
            (":80", false),
            ("localhost..", false),
            ("localhost:x", false),
            ("localhost:80:80", false),
            ("localhost.example.com", false),
            ("app.localhost", false),
            ("ada@localhost", false),
            ("localhost/", false),
            (" localhost", false),
            ("127.0.0.1.example.com", false),
            ("127.1", false),
            ("0x7f.0.0.1", false),
            ("2130706433", false),
            ("128.0.0.1", false),
            ("126.255.255.255", false),
            ("0.0.0.0", false),
            ("192.0.2.1", false),
            ("::", false),
            ("::2", false),
            ("[::1", false),
            ("::1]", false),
            ("[::1]x", false),
            ("[127.0.0.1]", false),
            ("[localhost]", false),
            ("::ffff:192.0.2.1", false),
            ("desk.example.com", false),
        ] {
            assert_eq!(names_loopback(host), loopback, "{host:?}");
        }
        for (origin, loopback) in [
            ("http://localhost", true),
            ("https://localhost:5173", true),
            ("http://127.0.0.9:6274", true),
            ("http://[::1]:3000", true),
            ("localhost", false),
            ("null", false),
            ("ftp://localhost", false),
            ("http://localhost/x", false),
            ("http://localhost.example.com", false),
            ("https://example.com", false),
        ] {
            assert_eq!(is_loopback_origin(origin), loopback, "{origin:?}");
        }
    }
}
