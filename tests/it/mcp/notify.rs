//! Clients that listen hear of changes of help articles, whoever made them.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy, rt::TokioExecutor};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::{
    support::{Client, Era, Server, Setup, StdioClient},
    webhooks::inbox_ops::{post, with_webhooks},
};

const CHANGED: &str = "notifications/resources/list_changed";

/// Opens `subscriptions/listen`; its messages as they come.
fn listen(server: &Server, filter: Value) -> UnboundedReceiver<Value> {
    let (headers, body) =
        Client::new(&server.url).message(Era::Modern, "subscriptions/listen", json!({ "notifications": filter }));
    let mut request = Request::post(&server.url).body(Full::new(Bytes::from(body))).unwrap();
    request.headers_mut().extend(headers);
    request.headers_mut().insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
    request.headers_mut().insert(header::ACCEPT, "application/json, text/event-stream".parse().unwrap());
    let (heard, messages) = unbounded_channel();
    tokio::spawn(async move {
        let http = legacy::Client::builder(TokioExecutor::new()).build_http();
        let mut body = http.request(request).await.unwrap().into_body();
        let mut text = String::new();
        while let Some(Ok(frame)) = body.frame().await {
            text.push_str(&String::from_utf8_lossy(&frame.into_data().unwrap_or_default()));
            while let Some((line, rest)) = text.split_once('\n') {
                if let Some(message) = line.strip_prefix("data:").and_then(|data| serde_json::from_str(data).ok()) {
                    let _ = heard.send(message);
                }
                text = rest.to_owned();
            }
        }
    });
    messages
}

async fn next(messages: &mut UnboundedReceiver<Value>) -> Option<Value> {
    tokio::time::timeout(Duration::from_secs(4), messages.recv()).await.ok().flatten()
}

/// Another process changes an article, if `title` is new.
fn import(setup: &Setup, title: &str) {
    let file = setup.path().join("articles.jsonl");
    let record = json!({
        "type": "article", "id": "returns", "title": title, "body": "Within 30 days.", "updated_at": "2026-01-01T00:00:00Z"
    });
    std::fs::write(&file, record.to_string()).unwrap();
    setup.import(&file);
}

#[tokio::test]
async fn a_client_that_listens_over_http_hears_of_an_import_and_of_a_webhook() {
    let setup = with_webhooks(Setup::ada(), "");
    let server = setup.serve();
    let mut messages = listen(&server, json!({ "resourcesListChanged": true, "toolsListChanged": true }));
    let opened = next(&mut messages).await.unwrap();
    assert_eq!(opened["params"]["notifications"], json!({ "resourcesListChanged": true }), "{opened}");
    import(&setup, "Returns, new");
    let heard = next(&mut messages).await.expect("an import is heard of");
    assert_eq!(heard["method"], CHANGED, "{heard}");
    import(&setup, "Returns, new");
    assert!(next(&mut messages).await.is_none(), "nothing has changed");
    let article = json!({ "articleId": "new-one", "action": "published", "title": "T", "content": "C" });
    assert_eq!(post(&server.url, "cms-update", &article).await, 200);
    assert_eq!(next(&mut messages).await.expect("a webhook is heard of")["method"], CHANGED);
}

#[tokio::test]
async fn who_did_not_ask_hears_nothing() {
    let setup = Setup::ada();
    let server = setup.serve();
    let mut messages = listen(&server, json!({}));
    assert!(next(&mut messages).await.is_some(), "the acknowledgement");
    import(&setup, "Returns, new");
    assert!(next(&mut messages).await.is_none());
}

#[tokio::test]
async fn in_the_older_era_it_goes_over_stdio_only_and_nothing_else_is_promised() {
    let setup = Setup::ada();
    let store = setup.store();
    let mut client = StdioClient::start(setup.path(), &["--store", store.to_str().unwrap(), "--customer", "cus_ada"]);
    let opened = client.initialize();
    assert_eq!(opened["result"]["capabilities"]["resources"]["listChanged"], true, "{opened}");
    // So that the session is open for certain.
    client.request("ping", json!({}));
    import(&setup, "Returns, new");
    assert_eq!(client.read()["method"], CHANGED);
    assert!(client.close().success());

    let server = setup.serve();
    let hello = json!({
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "test", "version": "0" }
    });
    let opened = server.client().result(Era::Legacy, "initialize", hello).await;
    assert!(opened["capabilities"]["resources"].is_object(), "{opened}");
    assert!(opened["capabilities"]["resources"].get("listChanged").is_none(), "{opened}");
    let found = server.client().result(Era::Modern, "server/discover", json!({})).await;
    assert_eq!(found["capabilities"]["resources"]["listChanged"], true, "{found}");
}
