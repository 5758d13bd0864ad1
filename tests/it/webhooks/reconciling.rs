//! Reconciliation of articles with a CMS that lists them: what was lost on the way is healed, and nothing goes unasked.

use std::{
    collections::BTreeMap,
    process::{Output, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use http::HeaderMap;
use serde_json::{Value, json};

use crate::support::{Answer, Client, Seen, Setup, Vendor, command, stderr, stdout};

const CMS_SECRET: &str = "a-long-random-text";

const FILE: &str = r#"
name = "cms"
title = "CMS"

[knowledge.list]
method = "GET"
path = "/articles"
query = '{ page: (.cursor // 1) }'
reply = '{ articles: [.articles[] | { article: .id, variant: .lang, visible, version: .at, title, body, audience }], next, complete }'

[webhook]
events = '[{ article: .id, variant: .lang, visible, version: .at, title, body, audience }]'

[webhook.signature]
kind = "static"
header = "authorization"
"#;

/// A CMS with pages of two articles.
#[derive(Default)]
struct Cms {
    articles: BTreeMap<String, Value>,
    complete: Option<bool>,
    /// What the second page answers instead.
    second: Option<Answer>,
    /// A next page that never ends.
    endless: bool,
}

impl Cms {
    fn put(&mut self, id: &str, at: u64, title: &str) {
        let at = format!("2026-11-24T12:00:{at:02}Z");
        let state = json!({ "id": id, "visible": true, "at": at, "title": title, "body": format!("{title}.") });
        self.articles.insert(id.to_owned(), state);
    }

    fn page(&mut self, seen: &Seen) -> Answer {
        let page: usize = seen.path.split("page=").nth(1).and_then(|page| page.parse().ok()).unwrap_or(1);
        if page == 2
            && let Some(answer) = &self.second
        {
            return answer.clone();
        }
        let all: Vec<Value> = self.articles.values().cloned().collect();
        let shown: Vec<&Value> = all.iter().skip(2 * (page - 1)).take(2).collect();
        let next = (self.endless || 2 * page < all.len()).then_some(if self.endless { 1 } else { page + 1 });
        Answer::json(200, json!({ "articles": shown, "next": next, "complete": self.complete }))
    }
}

struct Place {
    setup: Setup,
    cms: Arc<Mutex<Cms>>,
    vendor: Vendor,
}

fn place() -> Place {
    let cms = Arc::new(Mutex::new(Cms::default()));
    let state = cms.clone();
    let vendor = Vendor::start(move |seen| state.lock().unwrap().page(seen));
    let setup = Setup::ada().environment("CMS_SECRET", CMS_SECRET).config(&format!(
        "[articles]\nsources = [\"cms\"]\nreconcile_every_s = 0\n[upstreams.cms]\nbase_url = \"{}\"\n\
         [webhooks.cms]\nsecrets = [{{ env = \"CMS_SECRET\" }}]\n",
        vendor.url
    ));
    std::fs::create_dir(setup.path().join("connectors")).unwrap();
    std::fs::write(setup.path().join("connectors/cms.toml"), FILE).unwrap();
    Place { setup, cms, vendor }
}

impl Place {
    fn cms(&self) -> std::sync::MutexGuard<'_, Cms> {
        self.cms.lock().unwrap()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = command(self.setup.path());
        command.args(arguments).env("CMS_SECRET", CMS_SECRET).output().unwrap()
    }

    fn reconcile(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[&["articles", "reconcile", "--json"], arguments].concat());
        serde_json::from_str(stdout(&output).lines().last().unwrap_or_else(|| panic!("{}", stderr(&output)))).unwrap()
    }

    /// Titles of what is shown of a source.
    fn shown(&self, source: &str) -> Vec<String> {
        let output = self.run(&["articles", "list", "--json", "--source", source]);
        let rows = stdout(&output);
        let rows = rows.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        rows.map(|row| row["title"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn what_was_lost_is_healed_in_both_directions_and_imported_articles_stay() {
    let place = place();
    let imported = place.shown("imported");
    assert!(!imported.is_empty());
    for (n, title) in ["One", "Two", "Three", "Four", "Five"].iter().enumerate() {
        place.cms().put(&format!("a{n}"), 1, title);
    }
    // One of the imported articles, with another text.
    place.cms().put("returns", 1, "Not ours");
    let first = place.reconcile(&[]);
    assert_eq!(
        (&first["state"], &first["written"], &first["skipped"]),
        (&json!("done"), &json!(5), &json!(1)),
        "{first}"
    );
    assert_eq!(place.shown("cms"), ["One", "Two", "Three", "Four", "Five"]);
    // A lost edit, a lost withdrawal, a lost deletion, and one that is for members from now on.
    place.cms().put("a0", 2, "One again");
    place.cms().articles.get_mut("a1").unwrap()["visible"] = json!(false);
    place.cms().articles.remove("a2");
    place.cms().articles.get_mut("a3").unwrap()["audience"] = json!("verified");
    let second = place.reconcile(&[]);
    assert_eq!((&second["state"], &second["removed"]), (&json!("done"), &json!(2)), "{second}");
    assert_eq!(place.shown("cms"), ["One again", "Four", "Five"]);
    assert_eq!(place.shown("imported"), imported);
    let found = |level: &str| stdout(&place.run(&["articles", "search", "four", "--json", "--level", level]));
    assert!(found("verified").contains("a3") && !found("anonymous").contains("a3"));
    // Nothing differs: nothing is written, and the listing is read once.
    place.vendor.forget();
    let third = place.reconcile(&[]);
    assert_eq!((&third["written"], &third["removed"]), (&json!(0), &json!(0)), "{third}");
    assert_eq!(place.vendor.count("GET"), 3);
    let show = stdout(&place.run(&["articles", "show", "a0"]));
    assert!(show.contains("One again") && show.contains("written by reconciliation"), "{show}");
}

#[tokio::test]
async fn an_empty_listing_and_too_many_removals_wait_to_be_applied() {
    let place = place();
    for n in 0..20 {
        place.cms().put(&format!("a{n:02}"), 1, &format!("T{n}"));
    }
    assert_eq!(place.reconcile(&[])["state"], "done");
    let all = std::mem::take(&mut place.cms().articles);
    let empty = place.reconcile(&[]);
    assert_eq!((&empty["state"], &empty["waiting"]), (&json!("waiting"), &json!(20)), "{empty}");
    assert!(empty["error"].as_str().unwrap().contains("empty"), "{empty}");
    assert_eq!(place.shown("cms").len(), 20);
    // Three of twenty are more than a tenth, and two are not.
    place.cms().articles = all.clone().into_iter().skip(3).collect();
    assert_eq!(place.reconcile(&[])["state"], "waiting");
    assert_eq!(place.shown("cms").len(), 20);
    let output = place.run(&["articles", "reconcile"]);
    assert!(!output.status.success() && stdout(&output).contains("--apply"), "{}", stdout(&output));
    place.cms().articles = all.into_iter().skip(2).collect();
    assert_eq!(place.reconcile(&[])["state"], "done");
    assert_eq!(place.shown("cms").len(), 18);
    place.cms().articles.clear();
    let applied = place.reconcile(&["--apply"]);
    assert_eq!((&applied["state"], &applied["removed"]), (&json!("done"), &json!(18)), "{applied}");
    assert!(place.shown("cms").is_empty());
}

#[tokio::test]
async fn removals_that_wait_are_reported_to_people() {
    let place = place();
    let receiver = Vendor::always(Answer::text(204, ""));
    let alerts = format!("[inbox.alerts]\nurl = \"{}\"\nsecret = {{ env = \"CMS_SECRET\" }}\n", receiver.url);
    let place = Place { setup: place.setup.config(&alerts), ..place };
    for n in 0..20 {
        place.cms().put(&format!("a{n:02}"), 1, &format!("T{n}"));
    }
    assert_eq!(place.reconcile(&[])["state"], "done");
    place.cms().articles.clear();
    let server = place.setup.serve();
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while receiver.seen().is_empty() && std::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let alert = receiver.seen().remove(0).json();
    let expected = (&json!("removals_waiting"), &json!(20), &json!("cms"));
    assert_eq!((&alert["kind"], &alert["count"], &alert["source"]), expected, "{alert}");
    assert!(alert["text"].as_str().unwrap().contains("frontdesk articles reconcile --apply"), "{alert}");
    server.terminate();
}

#[tokio::test]
async fn a_listing_that_breaks_off_or_never_ends_removes_nothing() {
    let place = place();
    for n in 0..6 {
        place.cms().put(&format!("a{n}"), 1, &format!("T{n}"));
    }
    assert_eq!(place.reconcile(&[])["state"], "done");
    place.cms().articles.remove("a5");
    place.cms().articles.get_mut("a0").unwrap()["visible"] = json!(false);
    place.cms().second = Some(Answer::text(400, "{}"));
    let broken = place.reconcile(&[]);
    assert_eq!(broken["state"], "failed", "{broken}");
    assert_eq!(place.shown("cms").len(), 6);
    place.cms().second = None;
    place.cms().endless = true;
    let endless = place.reconcile(&[]);
    assert!(endless["error"].as_str().unwrap().contains("repeats a cursor"), "{endless}");
    assert_eq!(place.shown("cms").len(), 6);
    // What is not complete says nothing of what is absent; what it says to be invisible counts.
    place.cms().endless = false;
    place.cms().complete = Some(false);
    let partial = place.reconcile(&[]);
    assert_eq!((&partial["state"], &partial["removed"]), (&json!("incomplete"), &json!(1)), "{partial}");
    assert_eq!(place.shown("cms").len(), 5);
    place.cms().complete = None;
    assert_eq!(place.reconcile(&[])["removed"], 1);
    assert_eq!(place.shown("cms").len(), 4);
}

#[tokio::test]
async fn an_event_that_arrives_during_a_listing_counts() {
    let place = place();
    for n in 0..3 {
        place.cms().put(&format!("a{n}"), 1, &format!("T{n}"));
    }
    let server = place.setup.serve();
    assert_eq!(place.reconcile(&[])["state"], "done");
    // While the second page is on its way, an article of the first page is withdrawn, and another one is made.
    place.cms().put("a0", 2, "Late");
    place.cms().second = Some(Answer::json(200, json!({ "articles": [], "next": null })).late(Duration::from_secs(2)));
    place.vendor.forget();
    let mut asked = command(place.setup.path());
    asked.args(["articles", "reconcile", "--json"]).env("CMS_SECRET", CMS_SECRET).stdout(Stdio::piped());
    let asked = asked.spawn().unwrap();
    while !place.vendor.seen().iter().any(|seen| seen.path.contains("page=2")) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut headers = HeaderMap::new();
    headers.insert("authorization", CMS_SECRET.parse().unwrap());
    let client = Client::new(&format!("{}/webhooks/cms", server.url.trim_end_matches("/mcp")));
    for event in [
        json!({ "id": "a0", "visible": false, "at": "2026-11-24T12:00:09Z" }),
        json!({ "id": "a9", "visible": true, "at": "2026-11-24T12:00:09Z", "title": "New", "body": "x" }),
    ] {
        assert_eq!(client.post(headers.clone(), event.to_string()).await.status, 200);
    }
    let done = stdout(&asked.wait_with_output().unwrap());
    let done: Value = serde_json::from_str(done.lines().last().unwrap()).unwrap();
    assert!(done["state"] == "done" || done["state"] == "waiting", "{done}");
    let shown = place.shown("cms");
    assert!(!shown.contains(&"Late".to_owned()) && shown.contains(&"New".to_owned()), "{shown:?}");
}

#[tokio::test]
async fn a_kill_in_the_middle_is_healed_by_the_next_start() {
    let place = place();
    for n in 0..4 {
        place.cms().put(&format!("a{n}"), 1, &format!("T{n}"));
    }
    assert_eq!(place.reconcile(&[])["state"], "done");
    place.cms().articles.remove("a3");
    place.cms().put("a0", 2, "New");
    place.cms().second = Some(Answer::Hang);
    place.vendor.forget();
    let server = place.setup.serve();
    while !place.vendor.seen().iter().any(|seen| seen.path.contains("page=2")) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    server.kill_9();
    place.cms().second = None;
    let _server = place.setup.serve();
    for _ in 0..600 {
        if place.shown("cms") == ["New", "T1", "T2"] {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{:?}", place.shown("cms"));
}
