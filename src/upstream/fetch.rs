//! Fetches JSON documents, as the keys of an authorization server, by GET within limits.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, StatusCode, header};

use super::plain::plain;

const TIMEOUT: Duration = Duration::from_secs(5);

/// Fetches documents. Redirects are not followed: a document comes from the configured URL alone.
#[derive(Clone)]
pub struct Fetcher {
    http: reqwest::Client,
    bytes_max: usize,
}

/// Why there is no document.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    #[error("no answer")]
    NoAnswer(#[source] reqwest::Error),
    #[error("the answer was {0}")]
    Status(StatusCode),
    #[error("it is longer than {0} bytes")]
    TooLong(usize),
}

impl Fetcher {
    /// `bytes_max` is the longest document that is read.
    pub fn new(bytes_max: usize) -> Result<Self, DocumentError> {
        let http = plain(TIMEOUT).map_err(DocumentError::NoAnswer)?;
        Ok(Self { http, bytes_max })
    }

    /// Fetches a JSON document, with a bearer token if one is given.
    pub async fn json(&self, url: &str, token: Option<&str>) -> Result<Bytes, DocumentError> {
        let failed = |error: reqwest::Error| DocumentError::NoAnswer(error.without_url());
        let accept = HeaderValue::from_static("application/json");
        let mut request = self.http.get(url).header(header::ACCEPT, accept);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let mut answer = request.send().await.map_err(failed)?;
        if !answer.status().is_success() {
            return Err(DocumentError::Status(answer.status()));
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > self.bytes_max {
                return Err(DocumentError::TooLong(self.bytes_max));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }
}
