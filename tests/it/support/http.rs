//! A small MCP client over HTTP, without the MCP library, so that its client cannot hide a fault of its server.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy, rt::TokioExecutor};
use serde_json::{Value, json};

use super::Era;

#[derive(Clone)]
pub struct Client {
    http: legacy::Client<legacy::connect::HttpConnector, Full<Bytes>>,
    url: String,
    headers: HeaderMap,
    /// Merged into every request's `_meta`.
    pub meta: Value,
}

#[derive(Debug)]
pub struct Response {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Response {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {} {:?}", self.status, self.body))
    }
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl Client {
    pub fn new(url: &str) -> Self {
        let http = legacy::Client::builder(TokioExecutor::new()).build_http();
        Self { http, url: url.to_owned(), headers: HeaderMap::new(), meta: json!({}) }
    }

    /// The same client for another URL.
    pub fn at(mut self, url: String) -> Self {
        self.url = url;
        self
    }

    pub fn with_header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.append(name, value.parse().unwrap());
        self
    }

    pub fn with_meta(mut self, name: &str, value: Value) -> Self {
        self.meta[name] = value;
        self
    }

    /// Sends a body unchanged, with the usual headers unless `headers` has them. None if the server is gone.
    pub async fn send(&self, method: Method, headers: HeaderMap, body: Bytes) -> Option<Response> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = self.url.parse().unwrap();
        request.headers_mut().insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
        request.headers_mut().insert(header::ACCEPT, "application/json, text/event-stream".parse().unwrap());
        request.headers_mut().extend(self.headers.clone());
        request.headers_mut().extend(headers);
        let response = self.http.request(request).await.ok()?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.ok()?.to_bytes();
        Some(Response { status: parts.status, headers: parts.headers, body })
    }

    pub async fn post(&self, headers: HeaderMap, body: impl Into<Bytes>) -> Response {
        self.send(Method::POST, headers, body.into()).await.expect("an answer")
    }

    /// Sends one JSON-RPC request in a protocol revision. None if the server is gone.
    pub async fn try_request(&self, era: Era, method: &str, params: Value) -> Option<Response> {
        let (headers, body) = self.message(era, method, params);
        self.send(Method::POST, headers, body.into()).await
    }

    pub async fn request(&self, era: Era, method: &str, params: Value) -> Response {
        self.try_request(era, method, params).await.expect("an answer")
    }

    /// The result of a JSON-RPC request, which must not be an error.
    pub async fn result(&self, era: Era, method: &str, params: Value) -> Value {
        let answer = self.request(era, method, params).await.json();
        assert!(answer.get("error").is_none(), "{answer}");
        answer["result"].clone()
    }

    pub async fn call(&self, era: Era, tool: &str, arguments: Value) -> Value {
        self.result(era, "tools/call", json!({ "name": tool, "arguments": arguments })).await
    }

    pub fn message(&self, era: Era, method: &str, mut params: Value) -> (HeaderMap, String) {
        let mut headers = HeaderMap::new();
        headers.insert("mcp-protocol-version", era.version().parse().unwrap());
        let mut meta = self.meta.clone();
        if era == Era::Modern {
            headers.insert("mcp-method", method.parse().unwrap());
            if let Some(name) = params.get("name").or(params.get("uri")).and_then(Value::as_str) {
                headers.insert("mcp-name", name.parse().unwrap());
            }
            meta["io.modelcontextprotocol/protocolVersion"] = era.version().into();
            meta["io.modelcontextprotocol/clientInfo"] = json!({ "name": "test", "version": "0" });
            meta["io.modelcontextprotocol/clientCapabilities"] = json!({});
        }
        if meta.as_object().is_some_and(|meta| !meta.is_empty()) {
            params["_meta"] = meta;
        }
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        (headers, json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string())
    }
}

/// The text of a tool result.
pub fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap_or_default()
}

pub fn is_error(result: &Value) -> bool {
    result["isError"] == true
}
