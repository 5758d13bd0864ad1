//! Whose request it is: the address of the connection, or what trusted proxies say in X-Forwarded-For.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Who is at the other end of the connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) IpAddr);

impl Peer {
    /// The client behind so many proxies of our own, each of which adds the address that it sees on the right. None, if
    /// there are fewer entries than proxies: then the request came past them.
    pub(super) fn client(self, headers: &HeaderMap, trusted_proxies: usize) -> Option<IpAddr> {
        if trusted_proxies == 0 {
            return Some(self.0);
        }
        let values: Vec<&str> =
            headers.get_all(FORWARDED_FOR).iter().map(|value| value.to_str().ok()).collect::<Option<_>>()?;
        let entry = values.iter().rev().flat_map(|value| value.rsplit(',')).nth(trusted_proxies - 1)?.trim();
        let with_port = || entry.parse::<SocketAddr>().map(|address| address.ip()).ok();
        entry.parse().ok().or_else(with_port)
    }
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
        let client = |proxies| peer.client(&headers, proxies).map(|address| address.to_string());
        assert_eq!(client(0).as_deref(), Some("10.0.0.1"));
        assert_eq!(client(1).as_deref(), Some("10.0.0.2"));
        assert_eq!(client(2).as_deref(), Some("203.0.113.7"));
        assert_eq!(client(4), None);
        assert_eq!(peer.client(&HeaderMap::new(), 1), None);
        headers.append(FORWARDED_FOR, "unknown".parse().unwrap());
        assert_eq!(peer.client(&headers, 1), None);
    }
}
