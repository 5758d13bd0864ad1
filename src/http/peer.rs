//! The client's address: that of the connection, or the one that trusted proxies wrote into X-Forwarded-For.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName};

use crate::domain::AllowedAddresses;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Trusted proxies in front.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    /// Number of proxies that a request passes. With 0, X-Forwarded-For is ignored.
    pub count: usize,
    /// Addresses of the proxies.
    pub from: AllowedAddresses,
}

/// The remote address of the connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) IpAddr);

impl Peer {
    /// The client's address. Each proxy appends the address of its peer to X-Forwarded-For. None if there are fewer
    /// entries than proxies, or one is not of a proxy: then the request bypassed them.
    pub(super) fn client(self, headers: &HeaderMap, proxies: &Proxies) -> Option<IpAddr> {
        if proxies.count == 0 || !proxies.from.admit(Some(self.0)) {
            return Some(self.0);
        }
        let values: Vec<&str> =
            headers.get_all(FORWARDED_FOR).iter().map(|value| value.to_str().ok()).collect::<Option<_>>()?;
        let mut entries = values.iter().rev().flat_map(|value| value.rsplit(',')).map(|entry| address(entry.trim()));
        for _ in 1..proxies.count {
            // The entry of a proxy; any other address means that the request bypassed them.
            entries.next().filter(|passed| proxies.from.admit(*passed))?;
        }
        entries.next()?
    }
}

/// Parses an address with or without a port.
fn address(entry: &str) -> Option<IpAddr> {
    entry.parse().ok().or_else(|| entry.parse::<SocketAddr>().map(|address| address.ip()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_our_own_proxies_added_counts() {
        let peer = Peer("10.0.0.1".parse().unwrap());
        let mut headers = HeaderMap::new();
        headers.append(FORWARDED_FOR, "6.6.6.6, 203.0.113.7".parse().unwrap());
        headers.append(FORWARDED_FOR, "10.0.0.2:4711".parse().unwrap());
        let proxies = |count| Proxies { count, ..Proxies::default() };
        let client = |count| peer.client(&headers, &proxies(count)).map(|address| address.to_string());
        assert_eq!(client(0).as_deref(), Some("10.0.0.1"));
        assert_eq!(client(1).as_deref(), Some("10.0.0.2"));
        assert_eq!(client(2).as_deref(), Some("203.0.113.7"));
        assert_eq!(client(4), None);
        for (network, expected) in [("10.0.0.0/8", "203.0.113.7"), ("192.0.2.0/24", "10.0.0.1")] {
            let known = Proxies { count: 2, from: AllowedAddresses::parse(&[network.to_owned()]).unwrap() };
            let client = peer.client(&headers, &known).map(|address| address.to_string());
            assert_eq!(client.as_deref(), Some(expected), "the header counts only from a proxy");
        }
        let mut past_the_first = HeaderMap::new();
        past_the_first.append(FORWARDED_FOR, "6.6.6.6, 198.51.100.1".parse().unwrap());
        let known = Proxies { count: 2, from: AllowedAddresses::parse(&["10.0.0.0/8".to_owned()]).unwrap() };
        assert_eq!(peer.client(&past_the_first, &known), None);
        assert_eq!(peer.client(&HeaderMap::new(), &proxies(1)), None);
        headers.append(FORWARDED_FOR, "unknown".parse().unwrap());
        assert_eq!(peer.client(&headers, &proxies(1)), None);
    }
}
