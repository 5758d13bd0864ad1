//! Content negotiation. rmcp requires both media types in `Accept`; about half of the clients in use send one of them,
//! or neither.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, header};
use http_body_util::{BodyExt, Full, combinators::BoxBody};

/// The `Accept` value that rmcp requires.
pub(super) const BOTH: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");

const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");

/// Media type of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accepts {
    /// JSON, or an event stream where the method has one.
    Json,
    /// Event streams only: an answer in JSON is sent as a single event.
    EventStream,
}

impl Accepts {
    /// Parses `Accept` (RFC 9110, section 12.5.1). `streams`: the method answers with an event stream. The error says
    /// what to send.
    pub(super) fn of(headers: &HeaderMap, streams: bool) -> Result<Self, &'static str> {
        let (mut named, mut json, mut events) = (false, false, false);
        for value in headers.get_all(header::ACCEPT) {
            for range in value.to_str().unwrap_or_default().split(',') {
                let mut parts = range.split(';').map(str::trim);
                let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
                named |= !kind.is_empty();
                let excluded = parts.any(|parameter| {
                    let weight = parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q="));
                    weight.is_some_and(|weight| weight.trim().parse() == Ok(0.0_f32))
                });
                if !excluded {
                    json |= matches!(kind.as_str(), "*/*" | "application/*" | "application/json");
                    events |= matches!(kind.as_str(), "*/*" | "text/*" | "text/event-stream");
                }
            }
        }
        match (json || !named, events || !named) {
            (_, false) if streams => Err("this method answers with a stream; send Accept: text/event-stream"),
            (true, _) => Ok(Self::Json),
            (false, true) => Ok(Self::EventStream),
            (false, false) => Err("answers are JSON; send Accept: application/json, text/event-stream"),
        }
    }

    pub(super) async fn answer(
        self,
        answer: Response<BoxBody<Bytes, Infallible>>,
    ) -> Response<BoxBody<Bytes, Infallible>> {
        let kind = answer.headers().get(header::CONTENT_TYPE);
        let in_json = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
        if self == Self::Json || !in_json {
            return answer;
        }
        let (mut parts, body) = answer.into_parts();
        let Ok(json) = body.collect().await.map(http_body_util::Collected::to_bytes);
        let event = [b"event: message\ndata: ".as_slice(), &json, b"\n\n"].concat();
        parts.headers.remove(header::CONTENT_LENGTH);
        parts.headers.insert(header::CONTENT_TYPE, EVENT_STREAM);
        Response::from_parts(parts, Full::new(Bytes::from(event)).boxed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_accepted_is_answered() {
        let of = |accept: Option<&'static str>, streams| {
            let header = accept.map(|accept| (header::ACCEPT, HeaderValue::from_static(accept)));
            Accepts::of(&header.into_iter().collect(), streams).ok()
        };
        for json in [
            None,
            Some(""),
            Some("*/*"),
            Some("application/json"),
            Some("Application/JSON; charset=utf-8"),
            Some("application/json, text/event-stream"),
            Some("text/html, application/*;q=0.1"),
            Some("text/event-stream, */*;q=0.8"),
        ] {
            assert_eq!(of(json, false), Some(Accepts::Json), "{json:?}");
        }
        for events in ["text/event-stream", "text/*", "application/json;q=0, text/event-stream"] {
            assert_eq!(of(Some(events), false), Some(Accepts::EventStream), "{events}");
            assert!(of(Some(events), true).is_some(), "{events}");
        }
        for nothing in ["text/html", "application/json;q=0", "image/*;q=1"] {
            assert_eq!(of(Some(nothing), false), None, "{nothing}");
        }
        assert_eq!(of(Some("application/json"), true), None);
    }
}
