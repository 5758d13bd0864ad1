//! Which requests may be answered at all: the Host that this console has, and for changes the Origin of its own pages.

use http::{Method, Uri, header};

use super::{ConsoleOptions, Request};
use crate::domain::names_loopback;

/// Where the browser sees the console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    /// Scheme, host and port.
    pub(super) text: String,
    pub(super) is_https: bool,
}

/// Why a request is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotOurs {
    /// Another name, which DNS may have been made to lead here.
    Host,
    /// A page of another site sent the form.
    Origin,
}

impl Origin {
    /// The origin under which the request reached us.
    pub(super) fn of(options: &ConsoleOptions, request: &Request) -> Result<Self, NotOurs> {
        let host = request.header(header::HOST).ok_or(NotOurs::Host)?;
        if let Some(origin) = options.public_url.as_deref().and_then(Self::of_url)
            && origin.text.split("://").nth(1).is_some_and(|public| public.eq_ignore_ascii_case(host))
        {
            return Ok(origin);
        }
        let https = request.encrypted;
        // Of names without a public URL only those of this machine are ours.
        if !names_loopback(host) {
            return Err(NotOurs::Host);
        }
        let scheme = if https { "https" } else { "http" };
        Ok(Self { text: format!("{scheme}://{}", host.to_ascii_lowercase()), is_https: https })
    }

    /// The origin of a URL.
    pub(super) fn of_url(url: &str) -> Option<Self> {
        let uri: Uri = url.parse().ok()?;
        let (scheme, authority) = (uri.scheme_str()?, uri.authority()?);
        let default = if scheme == "https" { ":443" } else { ":80" };
        let authority = authority.as_str().to_ascii_lowercase();
        let host = authority.strip_suffix(default).unwrap_or(&authority);
        Some(Self { text: format!("{scheme}://{host}"), is_https: scheme == "https" })
    }

    /// Whether a page of the console has sent the request. Those that only read may come from anywhere.
    pub(super) fn allows(&self, request: &Request) -> Result<(), NotOurs> {
        if matches!(request.method, Method::GET | Method::HEAD) {
            return Ok(());
        }
        match request.header(header::ORIGIN) {
            Some(origin) if origin.eq_ignore_ascii_case(&self.text) => Ok(()),
            _ => Err(NotOurs::Origin),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;
    use crate::console::Form;

    fn request(method: Method, encrypted: bool, headers: &[(header::HeaderName, &str)]) -> Request {
        let headers: HeaderMap = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        let form = Form::default;
        Request { method, path: "/".to_owned(), query: form(), form: form(), headers, peer: None, encrypted }
    }

    #[test]
    fn only_names_of_this_machine_and_the_public_one_are_ours() {
        let public = ConsoleOptions {
            public_url: Some("https://Desk.example.com:443/".to_owned()),
            ..ConsoleOptions::default()
        };
        let of = |options: &ConsoleOptions, host: &str| {
            Origin::of(options, &request(Method::GET, false, &[(header::HOST, host)])).map(|origin| origin.text)
        };
        let plain = ConsoleOptions::default();
        for host in ["localhost:9464", "127.0.0.1:9464", "[::1]:9464", "LOCALHOST:1"] {
            assert_eq!(of(&plain, host), Ok(format!("http://{}", host.to_ascii_lowercase())));
        }
        for host in ["desk.example.com", "localhost.example.com", "192.0.2.1:9464", "example.com:9464", ""] {
            assert_eq!(of(&plain, host), Err(NotOurs::Host), "{host}");
        }
        assert_eq!(of(&public, "desk.example.com"), Ok("https://desk.example.com".to_owned()));
        assert_eq!(of(&public, "other.example.com"), Err(NotOurs::Host));
        assert!(Origin::of(&plain, &request(Method::GET, false, &[])).is_err());
    }

    #[test]
    fn a_change_comes_from_a_page_of_ours() {
        let ours = Origin { text: "http://localhost:9464".to_owned(), is_https: false };
        let post = |origin: Option<&str>| {
            let headers: Vec<_> = origin.into_iter().map(|origin| (header::ORIGIN, origin)).collect();
            ours.allows(&request(Method::POST, false, &headers))
        };
        assert_eq!(post(Some("http://localhost:9464")), Ok(()));
        for other in ["http://localhost:9465", "https://localhost:9464", "null", "http://127.0.0.1:9464", ""] {
            assert_eq!(post(Some(other)), Err(NotOurs::Origin), "{other}");
        }
        assert_eq!(post(None), Err(NotOurs::Origin));
        assert_eq!(ours.allows(&request(Method::GET, false, &[])), Ok(()));
    }
}
