//! What some helpdesks do that others do not: replies without a body, and one of two with the same id.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};

use crate::support::{Answer, Era, Seen, Setup, Vendor, is_error, text};

async fn open(setup: &Setup) -> Value {
    let server = setup.serve();
    let arguments = json!({ "subject": "Keyboard", "description": "It does not start." });
    server.client().call(Era::Modern, "create_ticket", arguments).await
}

fn helpscout(vendor: &Vendor) -> Setup {
    Setup::ada().environment("HELPSCOUT_CLIENT_ID", "id").environment("HELPSCOUT_CLIENT_SECRET", "secret").config(
        &format!(
            "[desk]\nhelpdesk = \"helpscout\"\naccept_tickets = false\n[upstreams.helpscout]\nbase_url = \"{}\"\n\
             settings = {{ mailbox_id = 85, external_id_field = 101 }}\n",
            vendor.url
        ),
    )
}

/// Help Scout, whose replies to new conversations have these headers.
fn conversations(headers: &'static [(&'static str, &'static str)]) -> Vendor {
    Vendor::start(move |seen| match seen.path.as_str() {
        "/v2/oauth2/token" => Answer::json(200, json!({ "access_token": "t", "expires_in": 172_800 })),
        _ => headers.iter().fold(Answer::text(201, ""), |answer, (name, value)| answer.with(name, value)),
    })
}

#[tokio::test]
async fn a_ticket_is_read_from_the_headers_of_a_reply_without_a_body() {
    let vendor = conversations(&[
        ("Resource-ID", "123"),
        ("Web-Location", "https://secure.helpscout.net/conversation/123/89"),
        ("Location", "https://api.helpscout.net/v2/conversations/123"),
    ]);
    let answer = open(&helpscout(&vendor)).await;
    assert!(!is_error(&answer) && text(&answer).contains("89"), "{answer}");
    let without = conversations(&[("Location", "https://api.helpscout.net/v2/conversations/123")]);
    let answer = open(&helpscout(&without)).await;
    assert!(is_error(&answer) && text(&answer).contains("not certain yet"), "{answer}");
}

#[tokio::test]
async fn an_import_whose_answer_is_lost_is_sent_again_just_as_it_was() {
    let lost = AtomicBool::new(false);
    let vendor = Vendor::start(move |_| match lost.swap(true, Ordering::SeqCst) {
        false => Answer::text(502, ""),
        true => Answer::json(202, json!({ "status": "accepted", "message_uid": "1eab543f" })),
    });
    let setup = Setup::ada().environment("FRONT_API_TOKEN", "t").config(&format!(
        "[desk]\nhelpdesk = \"front\"\naccept_tickets = false\n[upstreams.front]\nbase_url = \"{}\"\n\
         settings = {{ inbox_id = \"inb_1\", support_address = \"support@acme.example\" }}\n",
        vendor.url
    ));
    let answer = open(&setup).await;
    assert!(!is_error(&answer) && text(&answer).contains("1eab543f"), "{answer}");
    let sent: Vec<Value> = vendor.seen().iter().map(Seen::json).collect();
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0], sent[1], "the same id, and the same time");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let made = sent[0]["created_at"].as_u64().unwrap();
    assert!(made <= now && now - made < 60, "{made}, {now}");
    assert_eq!(sent[0]["external_id"].as_str().unwrap().len(), 26);
}
