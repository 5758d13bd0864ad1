//! A client of the tools by plain HTTP.

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::Value;

use super::{Client, Response, Server};

#[derive(Clone)]
pub struct Plain {
    client: Client,
    pub base: String,
}

impl Server {
    pub fn plain(&self) -> Plain {
        Plain { client: self.client(), base: self.url.trim_end_matches("/mcp").to_owned() }
    }
}

impl Plain {
    /// For a client whose URL ends in /mcp.
    pub fn beside(client: &Client, mcp: &str) -> Self {
        Self { client: client.clone(), base: mcp.trim_end_matches("/mcp").to_owned() }
    }

    pub fn with_header(mut self, name: &'static str, value: &str) -> Self {
        self.client = self.client.with_header(name, value);
        self
    }

    pub fn with_token(self, token: &str) -> Self {
        self.with_header("authorization", &format!("Bearer {token}"))
    }

    pub async fn send(&self, method: Method, path: &str, body: impl Into<Bytes>) -> Response {
        let client = self.client.clone().at(format!("{}{path}", self.base));
        client.send(method, HeaderMap::new(), body.into()).await.expect("an answer")
    }

    pub async fn get(&self, path: &str) -> Response {
        self.send(Method::GET, path, "").await
    }

    pub async fn call(&self, tool: &str, arguments: Value) -> Response {
        self.send(Method::POST, &format!("/tools/{tool}"), arguments.to_string()).await
    }
}
