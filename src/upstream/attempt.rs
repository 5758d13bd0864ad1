//! One attempt at a request: sends it, reads a bounded reply, and classifies failures by whether the request may have
//! arrived.

use std::{collections::BTreeMap, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::{
    auth::{TokenError, VaultError},
    request::Request,
};
use crate::telemetry::traces;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Why there is no reply. Never holds a URL, which may carry a customer's data, nor a body.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error("nothing is sent for now, after failures in a row")]
    BreakerOpen { wait: Duration },
    #[error("too many concurrent requests")]
    Busy,
    #[error("there is no token to send")]
    Token(#[source] TokenError),
    #[error("no connection")]
    Connect(#[source] reqwest::Error),
    #[error("no reply within {} ms", after.as_millis())]
    Timeout { after: Duration },
    #[error("the connection broke")]
    Broken(#[source] reqwest::Error),
    #[error("its reply is longer than {bytes_max} bytes")]
    TooLong { bytes_max: usize },
    #[error("the address lies outside the base URL")]
    Outside,
    #[error("the deadline passed before it could be sent")]
    Late,
}

impl CallError {
    /// Whether the upstream may have received the request and acted upon it.
    pub fn may_have_arrived(&self) -> bool {
        match self {
            Self::BreakerOpen { .. } | Self::Busy | Self::Token(_) | Self::Connect(_) | Self::Outside | Self::Late => {
                false
            }
            Self::Timeout { .. } | Self::Broken(_) | Self::TooLong { .. } => true,
        }
    }

    /// Whether the upstream or the network is unavailable or overloaded, so that the request itself is not at fault.
    pub fn is_outage(&self) -> bool {
        !matches!(self, Self::TooLong { .. } | Self::Outside) && !self.is_refusal()
    }

    /// Whether the token endpoint refused our credentials.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Token(TokenError::Refused { status: 400 | 401 | 403, code })
            if !matches!(code.as_deref(), Some("temporarily_unavailable" | "server_error" | "slow_down")))
            || matches!(self, Self::Token(TokenError::Characters | TokenError::Signing | TokenError::NoToken { .. }))
            || matches!(self, Self::Token(TokenError::Vault(VaultError::Key)))
    }

    /// Whether the failure counts for the circuit breaker.
    pub(super) fn is_its_fault(&self) -> bool {
        matches!(self, Self::Connect(_) | Self::Timeout { .. } | Self::Broken(_))
    }
}

/// A reply, read completely.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) retry_after: Option<String>,
    /// The wanted headers that it has, by their names in lower case.
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Bytes,
}

/// Sends the request once and reads the whole reply, within `timeout`.
pub(super) async fn send(
    http: &reqwest::Client,
    request: &Request,
    headers: HeaderMap,
    timeout: Duration,
    bytes_max: usize,
) -> Result<Answer, CallError> {
    let mut outgoing = reqwest::Request::new(request.method.clone(), request.url.clone());
    *outgoing.headers_mut() = headers;
    if let Some(traceparent) = traces::traceparent().and_then(|text| HeaderValue::try_from(text).ok()) {
        outgoing.headers_mut().insert(TRACEPARENT, traceparent);
    }
    *outgoing.timeout_mut() = Some(timeout);
    *outgoing.body_mut() = request.body.clone().map(Into::into);
    let failed = |error: reqwest::Error| {
        let error = error.without_url();
        if error.is_connect() {
            CallError::Connect(error)
        } else if error.is_timeout() {
            CallError::Timeout { after: timeout }
        } else {
            CallError::Broken(error)
        }
    };
    let mut response = http.execute(outgoing).await.map_err(failed)?;
    if response.content_length().is_some_and(|length| length > bytes_max as u64) {
        return Err(CallError::TooLong { bytes_max });
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > bytes_max {
            return Err(CallError::TooLong { bytes_max });
        }
        body.extend_from_slice(&chunk);
    }
    let value = |name: &HeaderName| response.headers().get(name)?.to_str().ok().map(str::to_owned);
    let wanted = request.reply_headers.iter().filter_map(|name| Some((name.to_string(), value(name)?)));
    Ok(Answer {
        status: response.status(),
        retry_after: value(&header::RETRY_AFTER),
        headers: wanted.collect(),
        body: body.freeze(),
    })
}
