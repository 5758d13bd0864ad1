//! POST requests outside of upstreams: webhooks sent from the command line, spans for the trace collector, alerts.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};

use super::plain::plain;
use crate::domain::Schedule;

/// Posts a body once. Returns status and text of the response.
pub async fn post(url: &str, headers: HeaderMap, body: Vec<u8>) -> Result<(u16, String), reqwest::Error> {
    let http = plain(TIMEOUT)?;
    let answer = http.post(url).headers(headers).body(body).send().await?;
    Ok((answer.status().as_u16(), answer.text().await?))
}

/// Sends requests that others have built, and blocks the calling thread until the response is there.
pub struct Blocking {
    http: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

/// Longest response body that is kept.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

impl Blocking {
    pub fn new() -> std::io::Result<Self> {
        let http = plain(TIMEOUT).map_err(std::io::Error::other)?;
        Ok(Self { http, runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()? })
    }

    /// The error holds no URL, which may be a secret.
    pub fn post(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, reqwest::Error> {
        let sent = self.runtime.block_on(async {
            let mut answer = self.http.execute(request.try_into()?).await?;
            let (status, mut body) = (answer.status(), BytesMut::new());
            while let Some(chunk) = answer.chunk().await? {
                body.extend_from_slice(&chunk[..chunk.len().min(ANSWER_BYTES_MAX - body.len())]);
            }
            let mut response = http::Response::new(body.freeze());
            *response.status_mut() = status;
            Ok(response)
        });
        sent.map_err(reqwest::Error::without_url)
    }
}

/// Sends webhooks to one URL, with retries. Only the status of the response counts.
pub struct WebhookSender {
    http: reqwest::Client,
    url: reqwest::Url,
}

/// Why a message was not accepted. Holds no URL, which may be a secret.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    #[error("it is not an http or https address")]
    Address,
    #[error("there is no answer")]
    NoAnswer(#[source] reqwest::Error),
    #[error("the answer was {0}")]
    Refused(StatusCode),
}

const TIMEOUT: Duration = Duration::from_secs(10);
const SCHEDULE: Schedule = Schedule { retries: 3, base: Duration::from_secs(1), cap: Duration::from_secs(10) };
/// Time limit for all attempts and pauses of one message.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(40);

impl WebhookSender {
    pub fn new(url: &str) -> Result<Self, PostError> {
        let url = reqwest::Url::parse(url).map_err(|_| PostError::Address)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(PostError::Address);
        }
        let http = plain(TIMEOUT).map_err(PostError::NoAnswer)?;
        Ok(Self { http, url })
    }

    /// Sends the message, with up to three retries after 408, 429, 5xx or no response. Every attempt has the same
    /// headers and body.
    pub async fn send(&self, headers: &HeaderMap, body: &Bytes) -> Result<(), PostError> {
        let begun = Instant::now();
        for made in 1.. {
            let sent = self.http.post(self.url.clone()).headers(headers.clone()).body(body.clone()).send().await;
            let (error, again) = match sent {
                Ok(answer) if answer.status().is_success() => break,
                Ok(answer) => {
                    let status = answer.status();
                    let again = status.is_server_error()
                        || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT);
                    (PostError::Refused(status), again)
                }
                Err(error) => (PostError::NoAnswer(error.without_url()), true),
            };
            let remains = MESSAGE_TIMEOUT.saturating_sub(begun.elapsed());
            match SCHEDULE.next_attempt(made, None, remains, fastrand::f64()) {
                Some(pause) if again => tokio::time::sleep(pause).await,
                _ => return Err(error),
            }
        }
        Ok(())
    }
}
