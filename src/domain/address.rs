//! Lists of IP addresses and networks: the allowed senders of a webhook source, and trusted proxies.

use std::net::IpAddr;

use ipnet::IpNet;

/// The entry of a list that is neither an IP address nor a network.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither an address nor a network, as 203.0.113.7 or 203.0.113.0/24")]
pub struct NotAnAddress(String);

/// Addresses and networks that are allowed. An empty list allows all.
#[derive(Debug, Clone, Default)]
pub struct AllowedAddresses(Vec<IpNet>);

impl AllowedAddresses {
    /// Parses entries of the form `203.0.113.7` or `203.0.113.0/24`. The error names the first that has neither.
    pub fn parse(texts: &[String]) -> Result<Self, NotAnAddress> {
        let parse = |text: &String| {
            let address = || text.parse::<IpAddr>().map(IpNet::from);
            text.parse::<IpNet>().or_else(|_| address()).map_err(|_| NotAnAddress(text.clone()))
        };
        texts.iter().map(parse).collect::<Result<_, _>>().map(Self)
    }

    /// Whether the address is allowed. An unknown address (None) is refused unless the list is empty.
    pub fn admit(&self, address: Option<IpAddr>) -> bool {
        let within = |address: IpAddr| self.0.iter().any(|net| net.contains(&address.to_canonical()));
        self.0.is_empty() || address.is_some_and(within)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_networks_are_told_apart() {
        let allowed = AllowedAddresses::parse(&["203.0.113.0/24".to_owned(), "2001:db8::1".to_owned()]).unwrap();
        for (address, good) in [
            ("203.0.113.9", true),
            ("::ffff:203.0.113.9", true),
            ("203.0.114.9", false),
            ("2001:db8::1", true),
            ("2001:db8::2", false),
        ] {
            assert_eq!(allowed.admit(Some(address.parse().unwrap())), good, "{address}");
        }
        assert!(!allowed.admit(None) && AllowedAddresses::default().admit(None));
        let wrong = AllowedAddresses::parse(&["203.0.113.0/33".to_owned()]).unwrap_err();
        assert!(wrong.to_string().starts_with("\"203.0.113.0/33\" is neither"), "{wrong}");
    }
}
