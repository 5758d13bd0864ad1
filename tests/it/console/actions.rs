//! What people put right at the console: replay, discard, settle, reveal, and the doctor of webhooks.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use serde_json::{Value, json};

use crate::{
    support::{Answer, Server, Setup, Vendor, frontdesk, member, rows, settled, sign_hex, stdout},
    webhooks::inbox_ops::{ended, escalated, post, with_webhooks},
};

/// A server whose helpdesk refuses every ticket until it is mended, with events that have died of it.
async fn outage(count: usize) -> (Setup, Server, Helpdesk) {
    let helpdesk = Helpdesk::that(Answer::json(422, json!({ "error": "unprocessable" })));
    let setup = with_webhooks(Setup::ada(), "[inbox]\nretries = 0").shop(&["helpdesk"], &helpdesk.vendor);
    let server = setup.serve();
    for n in 0..count {
        assert_eq!(post(&server.url, "escalation", &escalated(&format!("conv_{n}"))).await, 200);
    }
    settled(&setup.store()).await;
    (setup, server, helpdesk)
}

/// A helpdesk that does something wrong until it is mended.
struct Helpdesk {
    vendor: Vendor,
    mended: Arc<AtomicBool>,
}

impl Helpdesk {
    fn that(does: Answer) -> Self {
        let mended = Arc::new(AtomicBool::new(false));
        let is_mended = mended.clone();
        let vendor = Vendor::start(move |seen| match (seen.method.as_str(), is_mended.load(Ordering::SeqCst)) {
            ("POST", true) => {
                Answer::json(201, json!({ "id": "HD-1", "status": "open", "url": "https://help.example.com/HD-1" }))
            }
            ("POST", false) => does.clone(),
            _ => Answer::json(404, json!({})),
        });
        Self { vendor, mended }
    }

    fn mend(&self) {
        self.mended.store(true, Ordering::SeqCst);
    }
}

fn states(setup: &Setup) -> Vec<String> {
    rows(&setup.store(), "SELECT state FROM events ORDER BY id")
}

#[tokio::test]
async fn forty_dead_letters_of_an_outage_are_put_right_from_their_cause() {
    let (setup, server, helpdesk) = outage(40).await;
    let mut person = server.person(setup.path(), "Grace", "operator").await;
    let dead = person.get("/console/dead").await.page();
    assert!(dead.contains(">40</a>"), "one cause: {dead}");
    let id = member(&dead, "name=\"cause\" value=\"").unwrap();
    let cause = [("all", "yes"), ("state", "dead"), ("cause", id.as_str())];
    let form: Vec<(&str, &str)> = cause.into_iter().chain([("do", "replay")]).collect();
    let preview = person.post("/console/events/preview", &form).await.page();
    assert!(preview.contains("40 of 40 events will be queued again") && preview.contains("Replay 40"), "{preview}");
    let up_to = member(&preview, "name=\"up_to\" value=\"").unwrap();
    assert!(states(&setup).iter().all(|state| state == "dead"), "a preview changes nothing");
    // What dies after the preview is not in its count.
    assert_eq!(post(&server.url, "escalation", &escalated("conv_late")).await, 200);
    settled(&setup.store()).await;
    helpdesk.mend();
    // Somebody else has replayed the newest of them meanwhile: the others' cause is the same.
    let mut other = server.person(setup.path(), "Ada", "operator").await;
    assert!(other.post("/console/events/40/replay", &[]).await.location().ends_with("done=replayed"));
    settled(&setup.store()).await;
    let form: Vec<(&str, &str)> = cause.into_iter().chain([("up_to", up_to.as_str())]).collect();
    let done = person.post("/console/events/all/replay", &form).await;
    assert!(done.location().ends_with("done=replayed-39"), "{}", done.location());
    settled(&setup.store()).await;
    let states = states(&setup);
    assert_eq!(states.iter().filter(|state| *state == "done").count(), 40, "{states:?}");
    assert_eq!(states[40], "dead", "the late one stays");
    let shown = person.get(done.location()).await.page();
    assert!(shown.contains("39 events are queued again."), "{shown}");
    let audit = stdout(&frontdesk(setup.path(), &["audit", "--json", "--tool", "events replay", "--limit", "100"]));
    let by: Vec<Value> = audit.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(by.len(), 40);
    assert_eq!(
        by.iter().filter(|record| record["staff"] == "Grace" && record["agent"].is_null()).count(),
        39,
        "{audit}"
    );
}

#[tokio::test]
async fn those_selected_are_discarded_with_a_reason() {
    let (setup, server, _helpdesk) = outage(3).await;
    let mut lead = server.person(setup.path(), "Grace", "lead").await;
    let preview = lead.post("/console/events/preview", &[("do", "discard"), ("id", "1"), ("id", "2")]).await.page();
    assert!(preview.contains("2 of 2 events will be discarded"), "{preview}");
    for reason in ["", "why", &"x".repeat(501), "two\nlines of it"] {
        let answer = lead.post("/console/events/all/discard", &[("id", "1"), ("id", "2"), ("reason", reason)]).await;
        assert_eq!(answer.status, 422, "{reason}");
    }
    assert_eq!(states(&setup), ["dead", "dead", "dead"]);
    let form = [("id", "1"), ("id", "2"), ("reason", "tests of the platform")];
    assert!(lead.post("/console/events/all/discard", &form).await.location().ends_with("done=discarded-2"));
    assert_eq!(states(&setup), ["discarded", "discarded", "dead"]);
    let audit = stdout(&frontdesk(setup.path(), &["audit", "--json", "--tool", "events discard"]));
    assert_eq!(audit.matches("tests of the platform").count(), 2, "{audit}");
    // Again, and nothing is left to do.
    assert!(lead.post("/console/events/all/discard", &form).await.location().ends_with("done=left"));
    let nothing = lead.post("/console/events/preview", &[("do", "discard")]).await;
    assert_eq!(nothing.status, 422, "nothing was selected");
    assert_eq!(lead.post("/console/events/preview", &[("do", "explode"), ("id", "1")]).await.status, 404);
    assert_eq!(
        lead.post("/console/events/all/discard", &[("id", "99"), ("reason", "a good reason")]).await.status,
        404
    );
}

#[tokio::test]
async fn an_effect_in_doubt_is_settled_as_found_or_not() {
    // The helpdesk has made a ticket, and its answer was lost; it cannot be searched.
    let helpdesk = Helpdesk::that(Answer::Break);
    let setup = with_webhooks(Setup::ada(), "[inbox]\nretries = 0").shop(&["helpdesk"], &helpdesk.vendor);
    let server = setup.serve();
    for conversation in ["conv_found", "conv_not"] {
        assert_eq!(post(&server.url, "escalation", &escalated(conversation)).await, 200);
    }
    settled(&setup.store()).await;
    assert_eq!(rows(&setup.store(), "SELECT in_doubt FROM events"), ["1", "1"], "{:?}", states(&setup));
    let mut person = server.person(setup.path(), "Grace", "operator").await;
    let overview = person.get("/console").await.page();
    assert!(overview.contains("of them in doubt"), "{overview}");
    let listed = person.get("/console/events?state=dead&in_doubt=yes").await.page();
    assert_eq!(listed.matches("conversation.escalated</td>").count(), 2, "{listed}");
    let page = person.get("/console/events/1").await.page();
    let external = rows(&setup.store(), "SELECT effect FROM ledger WHERE receipt IS NULL");
    assert!(external.iter().any(|id| page.contains(id.as_str())), "the id to look for: {page}");
    // A replay would make it twice, so it is not offered, and does not work.
    assert!(!page.contains("/console/events/1/replay"), "{page}");
    assert!(person.post("/console/events/1/replay", &[]).await.location().ends_with("done=left"));
    assert_eq!(person.post("/console/events/1/found", &[("found", " ")]).await.status, 422);
    assert!(person.post("/console/events/1/found", &[("found", "HD-77")]).await.location().ends_with("done=settled"));
    assert_eq!(rows(&setup.store(), "SELECT state || ' ' || receipt FROM events WHERE id = 1"), ["done ticket:HD-77"]);
    let again = person.post("/console/events/1/found", &[("found", "HD-78")]).await;
    assert_eq!(again.status, 409, "somebody was faster");
    assert!(again.page().contains("nothing to settle"), "{}", again.page());
    helpdesk.mend();
    assert!(person.post("/console/events/2/not-found", &[]).await.location().ends_with("done=replayed"));
    settled(&setup.store()).await;
    assert_eq!(rows(&setup.store(), "SELECT state FROM events WHERE id = 2"), ["done"]);
}

#[tokio::test]
async fn what_a_customer_wrote_is_shown_with_a_reason_on_record() {
    let (setup, server, _helpdesk) = outage(1).await;
    let mut lead = server.person(setup.path(), "Grace", "lead").await;
    let before = lead.get("/console/events/1").await.page();
    assert!(!before.contains("ada@example.com"), "{before}");
    assert_eq!(lead.post("/console/events/1/reveal", &[("reason", "no")]).await.status, 422);
    let shown = lead.post("/console/events/1/reveal", &[("reason", "Complaint 4711")]).await.page();
    assert!(shown.contains("ada@example.com"), "{shown}");
    let audit = stdout(&frontdesk(setup.path(), &["audit", "--json", "--tool", "console reveal"]));
    let record: Value = serde_json::from_str(audit.lines().next().unwrap()).unwrap();
    assert_eq!((&record["staff"], &record["reason"]), (&json!("Grace"), &json!("Complaint 4711")));
    assert_eq!((&record["objects"], &record["conversation"]), (&json!(["event:1"]), &json!("conv_0")));
}

#[tokio::test]
async fn the_doctor_says_what_is_wrong_with_a_webhook_and_no_secret() {
    let setup = with_webhooks(Setup::ada(), "");
    let server = setup.serve();
    let mut person = server.person(setup.path(), "Grace", "operator").await;
    let secret = "your-shared-secret";
    let body = escalated("conv_1").to_string();
    let right = sign_hex(body.as_bytes(), secret);
    let mut verify = async |headers: &str, body: &str, other: &str| {
        let form = [("headers", headers), ("body", body), ("unwrap", "yes"), ("secret", other)];
        let answer = person.post("/console/webhooks/escalation/doctor", &form).await;
        (answer.status.as_u16(), answer.page())
    };
    let header = |signature: &str| format!("x-webhook-signature: {signature}");
    let (_, page) = verify(&header(&right), &body, "").await;
    assert!(page.contains("The signature is good.") && page.contains("conversation.escalated"), "{page}");
    let (_, page) = verify("content-type: application/json", &body, "").await;
    assert!(page.contains("the header x-webhook-signature is missing"), "{page}");
    // Another secret, or another body.
    let wrong = sign_hex(body.as_bytes(), "another-secret-of-the-platform");
    let (_, page) = verify(&header(&wrong), &body, "").await;
    assert!(page.contains("no configured secret") && page.contains("none of the usual changes"), "{page}");
    let (_, page) = verify(&header(&wrong), &body, "another-secret-of-the-platform").await;
    assert!(page.contains("The signature is good."), "{page}");
    let pretty = serde_json::to_string_pretty(&escalated("conv_1")).unwrap();
    let (_, page) = verify(&header(&right), &pretty, "").await;
    assert!(page.contains("without spaces between its members") && page.contains("differ from byte 2"), "{page}");
    let (_, page) = verify(&header(&sign_hex(format!("{body}\n").as_bytes(), secret)), &body, "").await;
    assert!(page.contains("with a line break at its end"), "{page}");
    let unusable = json!({ "event": "conversation.escalated" }).to_string();
    let (_, page) = verify(&header(&sign_hex(unusable.as_bytes(), secret)), &unusable, "").await;
    assert!(page.contains("the body cannot be used"), "{page}");
    for (headers, other, status) in [("no colon", "", 422), ("a: b", "short", 422)] {
        assert_eq!(verify(headers, "{}", other).await.0, status);
    }
    // Never the secret, and never a signature that would be right.
    let (_, page) = verify(&header(&wrong), &body, "another-secret-of-the-platform").await;
    assert!(!page.contains("another-secret"), "{page}");
    let (_, page) = verify(&header(&wrong), &body, "").await;
    assert!(!page.contains(&right) && !page.contains(&right[..16]) && !page.contains(secret), "{page}");
    // Nothing was accepted.
    assert!(states(&setup).is_empty());
}

#[tokio::test]
async fn two_people_who_do_the_same_do_it_once() {
    let (setup, server, helpdesk) = outage(1).await;
    helpdesk.mend();
    let people =
        [server.person(setup.path(), "Ada", "operator").await, server.person(setup.path(), "Grace", "operator").await];
    let both = people
        .into_iter()
        .map(|mut person| async move { person.post("/console/events/1/replay", &[]).await.location().to_owned() });
    let mut answers = futures::future::join_all(both).await;
    answers.sort();
    assert_eq!(answers, ["/console/events/1?done=left", "/console/events/1?done=replayed"]);
    settled(&setup.store()).await;
    let audit = stdout(&frontdesk(setup.path(), &["audit", "--json", "--tool", "events replay"]));
    assert_eq!(audit.lines().count(), 1, "{audit}");
    assert_eq!(post(&server.url, "chatbot", &ended("conv_9")).await, 200);
}

#[tokio::test]
async fn an_agents_token_is_revoked_at_once() {
    let setup = Setup::ada().config("[agents]\nauthentication = \"required\"");
    let token = setup.token(&["bot"]);
    let server = setup.serve();
    let plain = server.plain().with_token(&token);
    let order = json!({ "order_id": "1001" });
    assert_eq!(plain.call("lookup_order", order.clone()).await.status, 200);
    let mut lead = server.person(setup.path(), "Grace", "lead").await;
    let page = lead.get("/console/people").await.page();
    assert!(page.contains("Revoke token 1 of bot") && !page.contains(&token), "{page}");
    assert!(lead.post("/console/tokens/1/revoke", &[]).await.location().ends_with("done=revoked"));
    assert_eq!(plain.call("lookup_order", order).await.status, 401);
    assert!(lead.post("/console/tokens/1/revoke", &[]).await.location().ends_with("done=left"));
    assert!(lead.get("/console/people").await.page().contains("revoked"));
}
