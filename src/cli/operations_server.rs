//! Asks a running server at its operations address.

use anyhow::{Context, bail};
use bytes::Bytes;

use crate::{
    config::Loaded,
    domain::Secret,
    upstream::{DocumentError, Fetcher},
};

/// Bound for a hundred webhooks, each with headers and body.
const SHOWN_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The operations address of a server, and its token.
pub(super) struct OperationsServer {
    base: String,
    token: Option<Secret>,
    fetcher: Fetcher,
}

impl OperationsServer {
    /// At `url`, or where the configuration has it.
    pub(super) fn new(loaded: &Loaded, url: Option<String>) -> anyhow::Result<Self> {
        let operations = &loaded.config.operations;
        let base = url.unwrap_or_else(|| format!("http://{}", operations.listen));
        let token = operations.token.as_ref().map(|token| loaded.secrets.read(token)).transpose();
        let token = token.context("failed to read operations.token")?;
        let base = base.trim_end_matches('/').to_owned();
        Ok(Self { base, token, fetcher: Fetcher::new(SHOWN_BYTES_MAX)? })
    }

    /// The answer about a source of webhooks. `query` begins with `?` or is empty.
    pub(super) async fn ask(&self, loaded: &Loaded, what: &str, source: &str, query: &str) -> anyhow::Result<Bytes> {
        let url = format!("{}/{what}/{source}{query}", self.base);
        match self.fetcher.json(&url, self.token.as_ref().map(|token| token.expose())).await {
            Ok(shown) => Ok(shown),
            Err(DocumentError::Status(status)) if status == 404 => {
                let known: Vec<&str> = loaded.config.webhooks.keys().map(String::as_str).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                bail!("the server has no webhook source {source}; configured here are: {known}")
            }
            Err(DocumentError::Status(status)) if status == 401 => {
                bail!("the server requires the token of operations.token; name its configuration with --config")
            }
            Err(error) => Err(error).context(format!(
                "failed to ask {}; is the server running, and is this its operations address?",
                self.base
            )),
        }
    }
}
