//! Sends alerts of the inbox as signed webhooks.

use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, header::CONTENT_TYPE};

use crate::{
    config::{Config, ConfigError, Secrets},
    inbox::{Alert, AlertError, AlertSink},
    upstream::WebhookSender,
    webhooks::{Verifier, standard},
};

struct Webhook {
    to: WebhookSender,
    key: Verifier,
}

/// The alert sink, if one is configured.
pub(super) fn sink(config: &Config, secrets: &Secrets) -> Result<Option<Arc<dyn AlertSink>>, ConfigError> {
    let options = &config.inbox.alerts;
    let (Some(url), Some(secret)) = (&options.url, &options.secret) else { return Ok(None) };
    let failed = |member: &str| {
        let key = format!("inbox.alerts.{member}");
        |source| ConfigError::Secret { key, source }
    };
    let url = url.read(&|kept| secrets.read(kept)).map_err(failed("url"))?;
    let secret = secrets.read(secret).and_then(|read| read.strong(secret)).map_err(failed("secret"))?;
    let to = WebhookSender::new(&url).map_err(|error| ConfigError::value("inbox.alerts.url", error.to_string()))?;
    let wrong = |_| ConfigError::value("inbox.alerts.secret", "what follows whsec_ must be base64");
    let key = standard(&secret).map_err(wrong)?;
    Ok(Some(Arc::new(Webhook { to, key })))
}

/// A sink that can be replaced while alerts are sent.
pub(super) struct ReplaceableSink(RwLock<Arc<dyn AlertSink>>);

impl ReplaceableSink {
    pub(super) fn new(sink: Arc<dyn AlertSink>) -> Self {
        Self(RwLock::new(sink))
    }

    pub(super) fn replace(&self, sink: Arc<dyn AlertSink>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = sink;
    }
}

#[async_trait]
impl AlertSink for ReplaceableSink {
    async fn send(&self, alert: &Alert) -> Result<(), AlertError> {
        let now = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        now.send(alert).await
    }
}

#[async_trait]
impl AlertSink for Webhook {
    async fn send(&self, alert: &Alert) -> Result<(), AlertError> {
        let body = Bytes::from(serde_json::to_vec(alert).map_err(|error| AlertError(error.into()))?);
        let id = format!("alert_{}", ulid::Ulid::generate());
        let mut headers = self.key.sign("", &id, &body, alert.at);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.to.send(&headers, &body).await.map_err(|error| AlertError(error.into()))
    }
}
