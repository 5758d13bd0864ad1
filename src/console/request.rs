//! A request to the console, without its transport.

use std::net::IpAddr;

use http::{HeaderMap, Method, header};

/// A request. The path is below [`PATH`](super::PATH).
#[derive(Debug)]
pub struct Request {
    pub method: Method,
    pub path: String,
    pub query: Form,
    pub form: Form,
    pub headers: HeaderMap,
    pub peer: Option<IpAddr>,
    /// Whether the connection to this process has TLS.
    pub encrypted: bool,
}

/// The pairs of a form or a query.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// Reads `application/x-www-form-urlencoded`. What is no UTF-8 is replaced.
    pub fn parse(octets: &[u8]) -> Self {
        Self(form_urlencoded::parse(octets).map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }

    /// The value of a field, trimmed; none if it is blank.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.raw(name).map(str::trim).filter(|value| !value.is_empty())
    }

    /// The value of a field as it was sent.
    pub(super) fn raw(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn number(&self, name: &str) -> Option<i64> {
        self.text(name)?.parse().ok()
    }
}

impl Request {
    /// The segments of the path, decoded.
    pub(super) fn segments(&self) -> Vec<String> {
        let segments = self.path.split('/').filter(|segment| !segment.is_empty());
        segments.map(|segment| percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into_owned()).collect()
    }

    pub(super) fn header(&self, name: header::HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The value of a cookie; none if it came more than once, since one of them is somebody else's.
    pub(super) fn cookie(&self, name: &str) -> Option<&str> {
        let lines = self.headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let mut values = pairs.filter(|(other, _)| *other == name).map(|(_, value)| value);
        match (values.next(), values.next()) {
            (Some(value), None) => Some(value),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_cookies(lines: &[&str]) -> Request {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::COOKIE, line.parse().unwrap());
        }
        let form = Form::default;
        let (path, peer) = ("/events/1%2F2//x".to_owned(), None);
        Request { method: Method::GET, path, query: form(), form: form(), headers, peer, encrypted: false }
    }

    #[test]
    fn a_cookie_is_taken_once() {
        assert_eq!(with_cookies(&["a=1; b=2", "c=3"]).cookie("b"), Some("2"));
        assert_eq!(with_cookies(&["a=1; b=2"]).cookie("c"), None);
        assert_eq!(with_cookies(&["b=1; b=2"]).cookie("b"), None, "one of them was planted");
        assert_eq!(with_cookies(&["b=1", "b=2"]).cookie("b"), None);
    }

    #[test]
    fn paths_and_forms_are_decoded() {
        assert_eq!(with_cookies(&[]).segments(), ["events", "1/2", "x"]);
        let form = Form::parse(b"a=1+2&a=%26&b=+&id=7&x");
        assert_eq!((form.text("a"), form.text("b"), form.raw("b")), (Some("1 2"), None, Some(" ")));
        assert_eq!((form.all("a").count(), form.number("id"), form.number("a")), (2, Some(7), None));
    }
}
