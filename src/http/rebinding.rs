//! The check of Host and Origin against DNS rebinding and foreign pages, by the rules that the MCP library has for
//! /mcp.

use axum::http::{HeaderMap, HeaderName, StatusCode, Uri, header, uri::Authority};

use crate::domain::{is_loopback_origin, names_loopback};

/// The hosts and origins that requests may name, besides those of loopback.
#[derive(Debug)]
pub(super) struct Rebinding {
    hosts: Vec<Name>,
    origins: Vec<Origin>,
}

/// A host, in lower case and without brackets, with its port.
#[derive(Debug, PartialEq, Eq)]
struct Name {
    host: String,
    port: Option<u16>,
}

#[derive(Debug, PartialEq, Eq)]
struct Origin {
    scheme: String,
    name: Name,
}

/// Why a request is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) status: StatusCode,
    pub(super) why: &'static str,
    /// The setting that would admit it, if one would.
    pub(super) setting: Option<&'static str>,
}

impl Rebinding {
    pub(super) fn new(hosts: &[String], origins: &[String]) -> Self {
        Self {
            hosts: hosts.iter().filter_map(|host| allowed_host(host)).collect(),
            origins: origins.iter().filter_map(|origin| Origin::of(origin)).collect(),
        }
    }

    pub(super) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Refused> {
        let bad = |why| Refused { status: StatusCode::BAD_REQUEST, why, setting: None };
        let host = match values(headers, &header::HOST) {
            (None, _) => uri.authority().map(Authority::as_str).ok_or_else(|| bad("there is no Host header"))?,
            (Some(host), 1) => host.ok_or_else(|| bad("the Host header is not ASCII"))?,
            _ => return Err(bad("there is more than one Host header")),
        };
        if !names_loopback(host) {
            let authority = Authority::try_from(host).map_err(|_| bad("the Host header is malformed"))?;
            if !self.hosts.iter().any(|allowed| allowed.admits(&Name::of(&authority))) {
                let why = "the Host header names another host than this server's";
                return Err(Refused { status: StatusCode::FORBIDDEN, why, setting: Some("http.allowed_hosts") });
            }
        }
        let foreign = |why| Refused { status: StatusCode::FORBIDDEN, why, setting: Some("http.allowed_origins") };
        match values(headers, &header::ORIGIN) {
            (None, _) => Ok(()),
            (Some(Some(origin)), 1) => match is_loopback_origin(origin) || self.admits_origin(origin) {
                true => Ok(()),
                false => Err(foreign("pages of this origin may not call this server")),
            },
            _ => Err(foreign("the Origin header is malformed")),
        }
    }

    fn admits_origin(&self, origin: &str) -> bool {
        let Some(mut origin) = Origin::of(origin) else { return false };
        // RFC 6454, 6.2: the default port is left out.
        origin.name.port = origin.name.port.or(match origin.scheme.as_str() {
            "http" => Some(80),
            "https" => Some(443),
            _ => None,
        });
        self.origins.iter().any(|allowed| allowed.scheme == origin.scheme && allowed.name.admits(&origin.name))
    }
}

/// The first value of a header, None inside if it is not ASCII, and the number of values.
fn values<'a>(headers: &'a HeaderMap, name: &HeaderName) -> (Option<Option<&'a str>>, usize) {
    let mut values = headers.get_all(name).iter();
    let first = values.next().map(|value| value.to_str().ok());
    (first, usize::from(first.is_some()) + values.count())
}

impl Name {
    fn of(authority: &Authority) -> Self {
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        Self { host: host.to_ascii_lowercase(), port: authority.port_u16() }
    }

    /// An allowed name without a port admits any.
    fn admits(&self, other: &Self) -> bool {
        self.host == other.host && self.port.is_none_or(|port| other.port == Some(port))
    }
}

fn allowed_host(text: &str) -> Option<Name> {
    let text = text.trim();
    let bare = || Name { host: text.to_ascii_lowercase(), port: None };
    (!text.is_empty()).then(|| Authority::try_from(text).map_or_else(|_| bare(), |authority| Name::of(&authority)))
}

impl Origin {
    fn of(text: &str) -> Option<Self> {
        let uri = Uri::try_from(text).ok()?;
        let (scheme, authority) = (uri.scheme_str()?, uri.authority()?);
        Some(Self { scheme: scheme.to_ascii_lowercase(), name: Name::of(authority) })
    }
}
