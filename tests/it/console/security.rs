//! Who gets in, and what cannot be done to those who are in.

use http::{Method, header};
use serde_json::{Value, json};

use crate::{
    support::{Client, Era, Setup, command, frontdesk, link, member, rows, stderr, stdout},
    webhooks::inbox_ops::{escalated, post, with_webhooks},
};

const PAGES: &[&str] = &[
    "",
    "/",
    "/conversations",
    "/conversations/conv_1",
    "/events",
    "/events/1",
    "/dead",
    "/webhooks",
    "/webhooks/escalation",
    "/webhooks/escalation/doctor",
    "/audit",
    "/audit.jsonl",
    "/people",
    "/live",
];

const FORMS: &[&str] = &[
    "/events/preview",
    "/events/all/replay",
    "/events/all/discard",
    "/events/1/replay",
    "/events/1/discard",
    "/events/1/found",
    "/events/1/not-found",
    "/events/1/reveal",
    "/webhooks/escalation/doctor",
    "/people/1/end",
    "/tokens/1/revoke",
    "/logout",
];

#[tokio::test]
async fn nothing_is_shown_or_changed_without_a_session() {
    let setup = with_webhooks(Setup::ada(), "");
    let server = setup.serve();
    assert_eq!(post(&server.url, "escalation", &escalated("conv_canary")).await, 200);
    let mut strangers = vec![server.stranger(), server.stranger(), server.stranger()];
    strangers[1].cookies.insert("frontdesk_console".to_owned(), "0".repeat(64));
    strangers[2].cookies.insert("__Host-frontdesk_console".to_owned(), "0".repeat(64));
    for stranger in &mut strangers {
        for page in PAGES {
            let answer = stranger.get(&format!("/console{page}")).await;
            assert_eq!(answer.status, 401, "{page}");
            assert!(!answer.page().contains("conv_canary") && answer.page().contains("frontdesk console login"));
        }
        for form in FORMS {
            let answer = stranger.post_bare(&format!("/console{form}"), &[("csrf", ""), ("id", "1")]).await;
            assert_eq!(answer.status, 401, "{form}");
        }
    }
}

#[tokio::test]
async fn a_link_signs_in_once_and_only_by_its_button() {
    let setup = Setup::ada();
    let server = setup.serve();
    let address = link(setup.path(), &server.operations, "Grace <b>", "operator");
    let path = address.strip_prefix(&server.operations).unwrap();
    let mut person = server.stranger();
    // Whatever only looks at a link, as a chat's preview does, does not use it up.
    for _ in 0..2 {
        let asked = person.get(path).await;
        assert_eq!(asked.status, 200);
        assert!(asked.page().contains("Grace &#60;b&#62;") && asked.page().contains("operator"), "{}", asked.page());
        assert!(person.cookies.is_empty());
    }
    let answer = person.sign_in(&address).await;
    assert_eq!((answer.status.as_u16(), answer.location()), (303, "/console"));
    let cookie = answer.headers[header::SET_COOKIE].to_str().unwrap();
    for part in ["frontdesk_console=", "HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Secure") && !cookie.contains(address.rsplit('=').next().unwrap()), "{cookie}");
    assert_eq!(person.get("/console").await.status, 200);
    let mut second = server.stranger();
    assert_eq!(second.sign_in(&address).await.status, 401, "it was used");
    let token = address.rsplit('=').next().unwrap();
    assert_eq!(second.post_bare("/console/login/link", &[("token", token)]).await.status, 401);
    // The store has neither the link's token nor the session's.
    let session = person.cookies["frontdesk_console"].clone();
    let file = std::fs::read(setup.store()).unwrap();
    let wal = std::fs::read(setup.store().with_extension("db-wal")).unwrap_or_default();
    for secret in [token, session.as_str()] {
        assert!(![&file, &wal].iter().any(|file| file.windows(secret.len()).any(|part| part == secret.as_bytes())));
    }
    let audit = stdout(&frontdesk(setup.path(), &["audit", "--json"]));
    assert!(audit.contains("console login") && audit.contains("Grace <b>"), "{audit}");
}

#[tokio::test]
async fn of_many_who_press_the_button_at_once_one_is_signed_in() {
    let setup = Setup::ada();
    let server = setup.serve();
    let address = link(setup.path(), &server.operations, "Grace", "viewer");
    let token = address.rsplit('=').next().unwrap();
    let tries = (0..8).map(|_| {
        let mut stranger = server.stranger();
        async move { stranger.post_bare("/console/login/link", &[("token", token)]).await.status.as_u16() }
    });
    let mut statuses = futures::future::join_all(tries).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [303, 401, 401, 401, 401, 401, 401, 401]);
}

#[tokio::test]
async fn guessing_a_link_is_slowed() {
    let setup = Setup::ada();
    let server = setup.serve();
    let mut stranger = server.stranger();
    let mut statuses = Vec::new();
    for n in 0..40 {
        let guess = format!("{n:064x}");
        statuses.push(stranger.post_bare("/console/login/link", &[("token", &guess)]).await.status.as_u16());
    }
    assert_eq!(statuses[0], 401);
    assert!(statuses.contains(&429) && !statuses.contains(&303), "{statuses:?}");
}

#[tokio::test]
async fn other_sites_and_other_names_get_nothing() {
    let setup = with_webhooks(Setup::ada(), "");
    let server = setup.serve();
    let mut person = server.person(setup.path(), "Grace", "lead").await;
    let csrf = person.csrf().await;
    assert_eq!(csrf.len(), 64);
    // Even with the token of the form, another origin changes nothing.
    for origin in ["https://evil.example", "null", "http://127.0.0.1:1", "http://localhost"] {
        let mut other = person.clone().with_header(header::ORIGIN, origin);
        for form in FORMS {
            let answer = other.post_bare(&format!("/console{form}"), &[("csrf", &csrf), ("id", "1")]).await;
            assert_eq!(answer.status, 403, "{origin} {form}");
        }
    }
    // And without the token none of its own pages does.
    for csrf in ["", "0", &"0".repeat(64)] {
        for form in FORMS {
            let answer = person.post_bare(&format!("/console{form}"), &[("csrf", csrf), ("id", "1")]).await;
            assert_eq!(answer.status, 403, "{form}");
        }
    }
    // A name that DNS leads here is not ours, signed in or not.
    for host in ["evil.example", "localhost.evil.example:80", "192.0.2.1"] {
        let mut rebound = person.clone().with_header(header::HOST, host);
        for page in PAGES {
            assert_eq!(rebound.get(&format!("/console{page}")).await.status, 403, "{host} {page}");
        }
    }
    assert_eq!(person.get("/console").await.status, 200, "and the session is still there");
}

#[tokio::test]
async fn every_page_forbids_frames_and_other_peoples_code() {
    let setup = with_webhooks(Setup::ada(), "");
    let server = setup.serve();
    let mut person = server.person(setup.path(), "Grace", "lead").await;
    let mut pages: Vec<String> =
        PAGES.iter().filter(|page| **page != "/live").map(|page| format!("/console{page}")).collect();
    pages.push("/console/login".to_owned());
    pages.push("/console/nothing".to_owned());
    for page in pages {
        let answer = person.get(&page).await;
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        for part in
            ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"]
        {
            assert!(policy.contains(part), "{page}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{page}");
        for (name, value) in [
            ("x-frame-options", "DENY"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "same-origin"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(answer.headers[name], value, "{page}");
        }
        let html = answer.page();
        for inline in ["<style", " style=", " onclick=", " onload=", "javascript:", "http://", "https://"] {
            assert!(!html.contains(inline), "{page} has {inline}");
        }
        assert!(html.matches("<script").count() == html.matches("<script src=\"/console/assets/").count(), "{page}");
    }
}

#[tokio::test]
async fn each_role_does_its_own_and_no_more() {
    let setup = with_webhooks(Setup::ada(), "");
    let server = setup.serve();
    let platform_secret = post(&server.url, "escalation", &escalated("conv_1")).await;
    assert_eq!(platform_secret, 200);
    // Role by form: 403 for those below it, and anything else for those who may.
    type Form<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);
    let forms: &[Form<'_>] = &[
        ("/events/preview", &[("do", "replay"), ("id", "1")], "operator"),
        ("/events/preview", &[("do", "discard"), ("id", "1")], "lead"),
        ("/events/all/replay", &[("id", "1")], "operator"),
        ("/events/all/discard", &[("id", "1"), ("reason", "a test of roles")], "lead"),
        ("/events/1/replay", &[], "operator"),
        ("/events/1/not-found", &[], "operator"),
        ("/events/1/found", &[("found", "T-1")], "operator"),
        ("/events/1/discard", &[("reason", "a test of roles")], "lead"),
        ("/events/1/reveal", &[("reason", "a test of roles")], "lead"),
        ("/webhooks/escalation/doctor", &[("body", "{}")], "operator"),
        ("/people/999/end", &[], "lead"),
        ("/tokens/999/revoke", &[], "lead"),
    ];
    for (n, role) in ["viewer", "operator", "lead"].into_iter().enumerate() {
        let mut person = server.person(setup.path(), role, role).await;
        for page in PAGES.iter().filter(|page| **page != "/live" && !page.ends_with("/doctor")) {
            assert_eq!(person.get(&format!("/console{page}")).await.status, 200, "{role} {page}");
        }
        for (form, members, needed) in forms {
            let answer = person.post(&format!("/console{form}"), members).await;
            let may = n >= ["viewer", "operator", "lead"].iter().position(|other| other == needed).unwrap();
            assert_eq!(answer.status == 403, !may, "{role} {form} {members:?}: {}", answer.status);
            if !may {
                assert!(answer.page().contains(&format!("needs the role {needed}")), "{}", answer.page());
            }
        }
    }
    // What a viewer sees of a payload is its form.
    let mut viewer = server.person(setup.path(), "Vi", "viewer").await;
    let page = viewer.get("/console/events/1").await.page();
    assert!(page.contains("confidence") && !page.contains("ada@example.com"), "{page}");
}

#[tokio::test]
async fn read_only_and_never_revealed_hold_for_leads_too() {
    let setup = with_webhooks(Setup::ada(), "[console]\nread_only = true\nreveal = \"never\"");
    let server = setup.serve();
    assert_eq!(post(&server.url, "escalation", &escalated("conv_1")).await, 200);
    let mut lead = server.person(setup.path(), "Grace", "lead").await;
    for form in ["/events/1/replay", "/events/1/discard", "/events/all/replay", "/events/1/not-found"] {
        let answer = lead.post(&format!("/console{form}"), &[("id", "1"), ("reason", "a good reason")]).await;
        assert_eq!(answer.status, 403, "{form}");
        assert!(answer.page().contains("read only"), "{}", answer.page());
    }
    let answer = lead.post("/console/events/1/reveal", &[("reason", "a good reason")]).await;
    assert_eq!(answer.status, 422);
    let page = lead.get("/console/events/1").await.page();
    assert!(!page.contains("ada@example.com") && page.contains("shown to nobody"), "{page}");
}

#[tokio::test]
async fn a_session_ends_when_it_is_ended_and_by_itself() {
    let setup = Setup::ada();
    let server = setup.serve();
    let mut lead = server.person(setup.path(), "Grace", "lead").await;
    let mut viewer = server.person(setup.path(), "Vi", "viewer").await;
    let people = lead.get("/console/people").await.page();
    let id = member(&people, "action=\"/console/people/").unwrap();
    let id = id.strip_suffix("/end").unwrap();
    assert_eq!(lead.post(&format!("/console/people/{id}/end"), &[]).await.location(), "/console/people?done=ended");
    assert_eq!(viewer.get("/console").await.status, 401, "at once");
    // A cookie that was planted before is not what a session begins with.
    let mut planted = server.stranger();
    planted.cookies.insert("frontdesk_console".to_owned(), "f".repeat(64));
    let answer = planted.sign_in(&link(setup.path(), &server.operations, "Vi", "viewer")).await;
    assert_eq!(answer.status, 303);
    assert_ne!(planted.cookies["frontdesk_console"], "f".repeat(64));
    let old = planted.clone();
    assert_eq!(planted.post("/console/logout", &[]).await.location(), "/console/login");
    assert!(planted.cookies.is_empty());
    assert_eq!(old.clone().get("/console").await.status, 401, "the cookie alone is worth nothing");
    // By time: idle for longer than idle_minutes, and beyond its end.
    for column in ["used_at", "expires_at"] {
        let mut person = server.person(setup.path(), "Vi", "viewer").await;
        rows(&setup.store(), &format!("UPDATE console_sessions SET {column} = 1 WHERE person = 'Vi' RETURNING id"));
        assert_eq!(person.get("/console").await.status, 401, "{column}");
    }
}

#[tokio::test]
async fn what_weighs_most_needs_a_recent_sign_in() {
    let setup = with_webhooks(Setup::ada(), "");
    let server = setup.serve();
    assert_eq!(post(&server.url, "escalation", &escalated("conv_1")).await, 200);
    let mut lead = server.person(setup.path(), "Grace", "lead").await;
    rows(&setup.store(), "UPDATE console_sessions SET began_at = began_at - 11 * 60000 RETURNING id");
    for form in ["/events/1/reveal", "/events/1/discard", "/events/all/discard", "/tokens/1/revoke"] {
        let answer = lead.post(&format!("/console{form}"), &[("id", "1"), ("reason", "a good reason")]).await;
        assert_eq!(answer.status, 401, "{form}");
        assert!(answer.page().contains("within the last 10 minutes"), "{}", answer.page());
    }
    assert_eq!(lead.post("/console/events/1/replay", &[]).await.status, 303, "a replay does not");
    assert_eq!(lead.get("/console").await.status, 200);
}

#[tokio::test]
async fn a_public_address_has_a_cookie_of_its_own_host() {
    let setup = Setup::ada().config("[console]\npublic_url = \"https://desk.example.com\"");
    let server = setup.serve();
    let mut person = server
        .stranger()
        .with_header(header::HOST, "desk.example.com")
        .with_header(header::ORIGIN, "https://desk.example.com");
    let answer = person.sign_in(&link(setup.path(), &server.operations, "Grace", "viewer")).await;
    assert_eq!(answer.status, 303, "{answer:?}");
    let cookie = answer.headers[header::SET_COOKIE].to_str().unwrap();
    assert!(cookie.starts_with("__Host-frontdesk_console=") && cookie.contains("; Secure"), "{cookie}");
    assert!(cookie.contains("Path=/;") && !cookie.contains("Domain"), "{cookie}");
    assert_eq!(person.get("/console").await.status, 200);
    let mut plain = person.clone().with_header(header::ORIGIN, "http://desk.example.com");
    assert_eq!(plain.post_bare("/console/logout", &[]).await.status, 403, "another scheme is another origin");
}

#[tokio::test]
async fn beyond_this_machine_it_is_off_or_encrypted() {
    let run = |console: &str, arguments: &[&str]| {
        let setup = Setup::ada().config(&format!(
            "[operations]\nlisten = \"0.0.0.0:0\"\ntoken = {{ env = \"OPERATIONS_TOKEN\" }}\n[console]\n{console}"
        ));
        let ended =
            command(setup.path()).env("OPERATIONS_TOKEN", "a-token-of-enough-octets").args(arguments).output().unwrap();
        (ended.status.success(), stdout(&ended) + &stderr(&ended))
    };
    let (good, said) = run("enabled = true", &["check"]);
    assert!(!good && said.contains("console.enabled") && said.contains("[http.tls]"), "{said}");
    let (good, said) = run("enabled = true\npublic_url = \"http://desk.example.com\"", &["check"]);
    assert!(!good && said.contains("console.public_url"), "{said}");
    let (good, said) = run("enabled = true\npublic_url = \"https://desk.example.com/x\"", &["check"]);
    assert!(!good && said.contains("without a path"), "{said}");
    let public = "enabled = true\npublic_url = \"https://desk.example.com\"";
    let (good, said) = run(public, &["check"]);
    assert!(good, "{said}");
    let (good, said) = run(public, &["console", "login", "--as", "Grace"]);
    assert!(good && said.starts_with("https://desk.example.com/console/login/link?token="), "{said}");
    // By default it is not there.
    let (good, said) = run("", &["check"]);
    assert!(good, "{said}");
    let (good, said) = run("", &["console", "login", "--as", "Grace"]);
    assert!(!good && said.contains("is not served"), "{said}");
    let off = Setup::ada().config("[console]\nenabled = false");
    let server = off.serve();
    assert_eq!(server.stranger().get("/console").await.status, 404);
}

#[tokio::test]
async fn the_console_takes_forms_of_a_bounded_size_and_no_other_methods() {
    let setup = Setup::ada();
    let server = setup.serve();
    let person = server.person(setup.path(), "Grace", "lead").await;
    let client = Client::new(&server.operations).at(format!("{}/console/events/preview", server.operations));
    let cookie = format!("frontdesk_console={}", person.cookies["frontdesk_console"]);
    let mut headers = http::HeaderMap::new();
    headers.insert(header::COOKIE, cookie.parse().unwrap());
    headers.insert(header::ORIGIN, server.operations.parse().unwrap());
    let json = client.send(Method::POST, headers.clone(), "{}".into()).await.unwrap();
    assert_eq!(json.status, 415);
    assert_eq!(client.send(Method::PUT, headers.clone(), "".into()).await.unwrap().status, 405);
    headers.insert(header::CONTENT_TYPE, "application/x-www-form-urlencoded".parse().unwrap());
    let long = "a".repeat(3 * 1024 * 1024);
    let answer = client.send(Method::POST, headers, long.into()).await;
    assert!(answer.is_none_or(|answer| answer.status == 413));
}

#[tokio::test]
async fn the_console_is_no_way_to_call_a_tool() {
    let setup = Setup::ada();
    let server = setup.serve();
    let client = server.client().at(format!("{}/console", server.operations));
    let answer = client.request(Era::Modern, "tools/list", json!({})).await;
    assert_eq!(answer.status, 415);
    assert!(serde_json::from_slice::<Value>(&answer.body).is_err());
}
