//! The base URL of an upstream. Every request stays below it, whatever a path parameter holds.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;

use crate::domain::names_loopback;

/// Percent-encoded in a path segment: all but the unreserved characters of RFC 3986 2.3.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Scheme, host, port and path prefix of all requests to an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl(Url);

/// Why a URL is refused. Never holds the value of a parameter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    #[error("must be an absolute https address, as https://api.example.com/v2")]
    NotAbsolute,
    #[error("must not hold a user name, a password, a query or a fragment")]
    Parts,
    #[error(
        "is plain http to another machine, where anybody on the way could read tokens; use https, or set plain_http = true"
    )]
    PlainHttp,
    #[error("the path names {{{0}}}, which is not a parameter here")]
    UnknownParameter(String),
    #[error("the path parameter {0} is empty, '.' or '..'")]
    Segment(String),
    #[error("the path does not begin with /, or has an open brace")]
    Template,
    #[error("the address would leave the base URL")]
    Outside,
}

impl BaseUrl {
    pub fn parse(text: &str, plain_http: bool) -> Result<Self, UrlError> {
        let url = Url::parse(text).map_err(|_| UrlError::NotAbsolute)?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(UrlError::NotAbsolute);
        }
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            return Err(UrlError::Parts);
        }
        let base = Self(url);
        if base.0.scheme() == "http" && !plain_http && !names_loopback(base.0.host_str().unwrap_or_default()) {
            return Err(UrlError::PlainHttp);
        }
        Ok(base)
    }

    pub(super) fn url(&self) -> &Url {
        &self.0
    }

    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The same path at another address, by plain http.
    pub(super) fn at(&self, address: std::net::SocketAddr) -> Self {
        Url::parse(&format!("http://{address}{}", self.0.path())).map_or_else(|_| self.clone(), Self)
    }

    /// The URL of `template` below this base. `{name}` is replaced by a parameter, encoded as one path segment.
    pub fn join<'a>(
        &self,
        template: &str,
        parameter: impl Fn(&str) -> Option<&'a str>,
        query: &[(String, String)],
    ) -> Result<Url, UrlError> {
        let mut path = String::from(self.0.path().trim_end_matches('/'));
        if !template.starts_with('/') {
            return Err(UrlError::Template);
        }
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, behind) = after.split_once('}').ok_or(UrlError::Template)?;
            let value = parameter(name).ok_or_else(|| UrlError::UnknownParameter(name.to_owned()))?;
            if matches!(value, "" | "." | "..") {
                return Err(UrlError::Segment(name.to_owned()));
            }
            path.push_str(before);
            path.extend(utf8_percent_encode(value, SEGMENT));
            rest = behind;
        }
        path.push_str(rest);
        let mut url = self.0.clone();
        url.set_path(&path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        // The URL parser must not have normalised the path: dot segments would lead out of the base.
        if url.path() != path || !self.contains(&url) {
            return Err(UrlError::Outside);
        }
        Ok(url)
    }

    /// Whether a URL is below this base: same scheme, host and port, and a path that begins with the segments of this
    /// one.
    pub fn contains(&self, url: &Url) -> bool {
        let own = self.0.path().trim_end_matches('/');
        self.0.origin() == url.origin()
            && url.path().strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Resolves an absolute URL, or a path on this host (`/oauth/tokens`), as token endpoints are written.
    pub fn resolve(&self, address: &str, plain_http: bool) -> Result<Self, UrlError> {
        match address.starts_with('/') && !address.starts_with("//") {
            true => {
                let mut url = self.0.clone();
                url.set_path(address);
                Ok(Self(url))
            }
            false => Self::parse(address, plain_http),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn base() -> BaseUrl {
        BaseUrl::parse("https://api.example.com/v2/", false).unwrap()
    }

    fn join(id: &str) -> Result<String, UrlError> {
        base().join("/orders/{id}/items", |name| (name == "id").then_some(id), &[]).map(String::from)
    }

    #[test]
    fn a_parameter_is_one_segment() {
        assert_eq!(join("1001").unwrap(), "https://api.example.com/v2/orders/1001/items");
        assert_eq!(join("a/b?c#d%2e").unwrap(), "https://api.example.com/v2/orders/a%2Fb%3Fc%23d%252e/items");
        assert_eq!(join("..\\..").unwrap(), "https://api.example.com/v2/orders/..%5C../items");
        assert_eq!(join("@evil.com:80").unwrap(), "https://api.example.com/v2/orders/%40evil.com%3A80/items");
        for way_up in ["", ".", ".."] {
            assert_eq!(join(way_up), Err(UrlError::Segment("id".to_owned())));
        }
    }

    #[test]
    fn a_template_cannot_leave_the_base() {
        for template in ["/../admin", "/orders/../../admin", "/%2e%2e/admin", "/.%2E/x", "//evil.com/", "orders"] {
            assert!(base().join(template, |_| None, &[]).is_err() || template.starts_with("//"), "{template}");
        }
        let double = base().join("//evil.com/x", |_| None, &[]).unwrap();
        assert_eq!(double.host_str(), Some("api.example.com"));
        assert_eq!(base().join("/{x}", |_| None, &[]), Err(UrlError::UnknownParameter("x".to_owned())));
    }

    #[test]
    fn queries_are_encoded() {
        let query = [("q".to_owned(), "a b&c=d".to_owned())];
        let url = base().join("/search", |_| None, &query).unwrap();
        assert_eq!(url.as_str(), "https://api.example.com/v2/search?q=a+b%26c%3Dd");
    }

    #[test]
    fn bases_that_would_leak_are_refused() {
        assert_eq!(BaseUrl::parse("http://api.example.com", false), Err(UrlError::PlainHttp));
        assert!(BaseUrl::parse("http://api.example.com", true).is_ok());
        assert_eq!(BaseUrl::parse("http://localhost.example.com", false), Err(UrlError::PlainHttp));
        for local in [
            "http://127.0.0.1:80",
            "http://127.0.0.2",
            "http://LOCALHOST./x",
            "http://[::1]:1",
            "http://[::ffff:127.0.0.1]",
        ] {
            assert!(BaseUrl::parse(local, false).is_ok(), "{local}");
        }
        assert_eq!(BaseUrl::parse("https://user:pass@example.com", false), Err(UrlError::Parts));
        for bad in ["", "/v2", "api.example.com", "ftp://example.com", "https:///"] {
            assert!(BaseUrl::parse(bad, false).is_err(), "{bad}");
        }
        assert_eq!(base().resolve("/oauth/tokens", false).unwrap().as_str(), "https://api.example.com/oauth/tokens");
    }

    proptest! {
        #[test]
        fn whatever_the_parameter_the_address_stays_in_its_place(id in "\\PC{1,40}") {
            if let Ok(url) = base().join("/orders/{id}", |_| Some(&id), &[]) {
                prop_assert!(base().contains(&url));
                prop_assert_eq!(url.path_segments().unwrap().count(), 3);
                prop_assert!(url.query().is_none() && url.fragment().is_none());
            }
        }
    }
}
