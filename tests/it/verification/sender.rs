//! A gateway that takes one-time codes over HTTP, and what agents do with them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Answer, Client, Era, Seen, Server, Setup, Vendor, text};

/// Takes every code.
pub fn gateway() -> Vendor {
    Vendor::always(Answer::text(202, ""))
}

impl Setup {
    /// One-time codes by the connector `http-codes`, with more keys for `[verification]`.
    pub fn codes_by(self, gateway: &Vendor, more: &str) -> Self {
        self.environment("CODES_API_TOKEN", "canary-gateway-token").config(&format!(
            "\n[verification]\nenabled = true\nconnector = \"gateway\"\n{more}\n\
             [upstreams.gateway]\nconnector = \"http-codes\"\nbase_url = \"{}\"\n",
            gateway.url
        ))
    }
}

/// The codes that were sent to an address, after at least `count` have arrived.
pub async fn codes(gateway: &Vendor, address: &str, count: usize) -> Vec<String> {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let seen: Vec<String> = gateway
            .seen()
            .iter()
            .filter(|seen| seen.path == "/codes")
            .map(Seen::json)
            .filter(|body| body["to"] == address)
            .map(|body| body["code"].as_str().unwrap().to_owned())
            .collect();
        if seen.len() >= count {
            return seen;
        }
        assert!(Instant::now() < until, "{} of {count} codes to {address} have arrived", seen.len());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// An agent, as it calls tools.
pub struct Agent(pub Client);

impl Agent {
    pub fn new(server: &Server) -> Self {
        Self(server.client())
    }

    /// The same agent, whose calls carry a customer context.
    pub fn with_context(server: &Server, claims: &Value) -> Self {
        Self(server.client().with_header("customer-context", &crate::identity::context::sign(claims)))
    }

    pub async fn call(&self, tool: &str, arguments: Value) -> Value {
        self.0.call(Era::Modern, tool, arguments).await
    }

    pub async fn send(&self, arguments: Value) -> Value {
        let sent = self.call("send_verification_code", arguments).await;
        assert_eq!(sent["structuredContent"]["minutes"], 10, "{sent}");
        sent
    }

    /// Asks for a code to the address, where no context names the conversation. Returns the handle.
    pub async fn handle(&self, address: &str) -> String {
        let sent = self.send(json!({ "email": address })).await;
        let handle = sent["structuredContent"]["verification"].as_str().unwrap_or_else(|| panic!("no handle: {sent}"));
        assert!(text(&sent).contains(handle), "{sent}");
        handle.to_owned()
    }

    pub async fn check(&self, code: &str, handle: Option<&str>) -> Value {
        let mut arguments = json!({ "code": code });
        if let Some(handle) = handle {
            arguments["verification"] = handle.into();
        }
        self.call("check_verification_code", arguments).await
    }

    /// Proves an address. Returns the handle.
    pub async fn prove(&self, gateway: &Vendor, address: &str) -> String {
        let before = gateway.seen().iter().filter(|seen| seen.json()["to"] == address).count();
        let handle = self.handle(address).await;
        let code = codes(gateway, address, before + 1).await.pop().unwrap();
        let checked = self.check(&code, Some(&handle)).await;
        assert_eq!(checked["structuredContent"], json!({ "confirmed": true }), "{checked}");
        handle
    }

    pub async fn order(&self, number: &str, handle: Option<&str>) -> Value {
        let mut arguments = json!({ "order_id": number });
        if let Some(handle) = handle {
            arguments["verification"] = handle.into();
        }
        self.call("lookup_order", arguments).await
    }
}

/// Whether the order was shown.
pub fn shown(answer: &Value) -> bool {
    answer["structuredContent"]["order_id"].is_string()
}

/// Another code than this.
pub fn wrong(code: &str) -> String {
    let number: u32 = code.parse().unwrap();
    format!("{:06}", (number + 1) % 1_000_000)
}
