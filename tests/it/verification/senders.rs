//! Gateways that fail, are slow or answer twice: the agent is told the same, at once.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::sender::{Agent, codes, gateway, shown};
use crate::{
    identity::context,
    support::{Answer, Setup, Vendor, is_error, rows, text},
};

fn setup(gateway: &Vendor) -> Setup {
    Setup::context(context::SECRET).codes_by(gateway, "")
}

#[tokio::test]
async fn whatever_the_gateway_does_the_answer_is_the_same_and_waits_for_nothing() {
    let well = gateway();
    let answer = async |gateway: &Vendor| {
        let setup = setup(gateway);
        let server = setup.serve();
        let agent = Agent::new(&server);
        // Warmed up, so that the first connection to the store is not what is measured.
        agent.call("check_verification_code", json!({ "code": "123456" })).await;
        let began = Instant::now();
        let sent = agent.send(json!({ "email": "ada@example.com" })).await;
        let took = began.elapsed();
        codes(gateway, "ada@example.com", 1).await;
        let handle = sent["structuredContent"]["verification"].as_str().unwrap().to_owned();
        let (_, log) = server.terminate();
        // What became of it, for operators: in the conversation of the record before.
        let failed =
            "SELECT a.objects FROM audit a JOIN audit b ON b.verdict = 'code_sent' AND b.conversation = a.conversation
                      WHERE a.verdict = 'code_failed'";
        (text(&sent).replace(&handle, "HANDLE"), took, log, rows(&setup.store(), failed))
    };
    let (expected, .., failed) = answer(&well).await;
    assert_eq!(failed, [""; 0]);
    for (what, broken, in_log, reason) in [
        ("refuses the credentials", Answer::text(401, ""), "refuses our credentials", "denied"),
        (
            "refuses the address",
            Answer::json(422, json!({ "error": "ada@example.com is unknown" })),
            "did not accept",
            "not_accepted",
        ),
        ("fails", Answer::text(500, "ada@example.com"), "failed to send a one-time code", "unavailable"),
        ("breaks off", Answer::Break, "failed to send a one-time code", "unavailable"),
        ("is slow", Answer::text(202, "").late(Duration::from_secs(3)), "", ""),
    ] {
        let gateway = Vendor::always(broken);
        let (sent, took, log, failed) = answer(&gateway).await;
        let reasons: Vec<String> =
            Some(reason).filter(|r| !r.is_empty()).map(|r| format!("[\"reason:{r}\"]")).into_iter().collect();
        assert_eq!(failed, reasons, "the gateway {what}");
        assert_eq!(sent, expected, "the gateway {what}");
        assert!(took < Duration::from_secs(2), "the gateway {what}: {took:?}");
        assert!(log.contains(in_log), "the gateway {what}: {log}");
        assert!(!log.contains("ada@"), "the gateway {what}: {log}");
    }
}

#[tokio::test]
async fn a_code_on_its_way_outlives_the_server_that_was_asked_for_it() {
    let tries = AtomicUsize::new(0);
    // The first attempt fails; the second one comes after a pause.
    let gateway = Vendor::start(move |_| match tries.fetch_add(1, Ordering::SeqCst) {
        0 => Answer::text(503, ""),
        _ => Answer::text(202, ""),
    });
    let setup = setup(&gateway);
    let server = setup.serve();
    Agent::new(&server).handle("ada@example.com").await;
    let (status, log) = server.terminate();
    assert!(status.success(), "{log}");
    let sent = codes(&gateway, "ada@example.com", 2).await;
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0], sent[1], "the same code is sent again");
    let ids: Vec<_> = gateway.seen().iter().map(|seen| seen.header("idempotency-key").map(str::to_owned)).collect();
    assert!(ids[0].is_some() && ids[0] == ids[1]);
}

#[tokio::test]
async fn a_gateway_that_answers_twice_confuses_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, mut arrived) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let sender = sender.clone();
            tokio::spawn(async move {
                let (mut buffer, mut text) = (vec![0; 4096], String::new());
                while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                    text.push_str(&String::from_utf8_lossy(&buffer[..read]));
                    let Some((_, body)) = text.split_once("\r\n\r\n") else { continue };
                    let Ok(body) = serde_json::from_str::<serde_json::Value>(body) else { continue };
                    sender.send(body["code"].as_str().unwrap().to_owned()).unwrap();
                    text.clear();
                    let twice = "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n\
                                 HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n";
                    stream.write_all(twice.as_bytes()).await.unwrap();
                }
            });
        }
    });
    let setup = Setup::context(context::SECRET).environment("CODES_API_TOKEN", "t").config(&format!(
        "[verification]\nenabled = true\nconnector = \"http-codes\"\n[upstreams.http-codes]\nbase_url = \"{url}\"\n"
    ));
    let server = setup.serve();
    let agent = Agent::new(&server);
    for _ in 0..3 {
        let handle = agent.handle("guest@example.com").await;
        let code = tokio::time::timeout(Duration::from_secs(20), arrived.recv()).await.unwrap().unwrap();
        assert!(!is_error(&agent.check(&code, Some(&handle)).await));
        assert!(shown(&agent.order("3001", Some(&handle)).await));
    }
}
