//! Help articles over MCP: in the customer's language, and only what customers of their level may see.

use serde_json::{Value, json};

use crate::{
    identity::context,
    support::{Client, Era, Server, Setup},
};

const ARTICLES: [(&str, &str, &str, &str); 4] = [
    ("warranty", "en", "anonymous", "Warranty"),
    ("warranty", "de", "anonymous", "Garantie"),
    ("lounge", "en", "verified", "Lounge"),
    ("code", "en", "otp", "Code"),
];

fn setup() -> Setup {
    let setup = Setup::context(context::SECRET);
    let file = setup.path().join("articles.jsonl");
    let line = |(id, language, audience, title): &(&str, &str, &str, &str)| {
        json!({
            "type": "article", "id": id, "language": language, "audience": audience, "title": title,
            "body": format!("Zanzibar {title}."), "updated_at": "2026-01-01T00:00:00Z",
        })
        .to_string()
    };
    std::fs::write(&file, ARTICLES.iter().map(line).collect::<Vec<_>>().join("\n")).unwrap();
    setup.import(&file);
    setup
}

fn customer(server: &Server, level: &str, locale: Option<&str>) -> Client {
    let mut claims = context::claims();
    claims["lvl"] = level.into();
    if let Some(locale) = locale {
        claims["locale"] = locale.into();
    }
    server.client().with_header("customer-context", &context::sign(&claims))
}

async fn found(client: &Client, arguments: Value) -> Vec<String> {
    let found = client.call(Era::Modern, "search_articles", arguments).await;
    let articles = found["structuredContent"]["articles"].as_array().unwrap_or_else(|| panic!("{found}")).clone();
    let mut titles: Vec<String> =
        articles.iter().map(|article| article["title"].as_str().unwrap().to_owned()).collect();
    titles.sort();
    titles
}

async fn listed(client: &Client) -> (Vec<String>, String) {
    let list = client.result(Era::Modern, "resources/list", json!({})).await;
    let titles = list["resources"].as_array().unwrap().iter().map(|one| one["title"].as_str().unwrap().to_owned());
    let own = titles.filter(|title| ARTICLES.iter().any(|(.., known)| title == known)).collect();
    (own, list["cacheScope"].as_str().unwrap().to_owned())
}

async fn read(client: &Client, uri: &str) -> Option<String> {
    let read = client.request(Era::Modern, "resources/read", json!({ "uri": uri })).await.json();
    let text = read["result"]["contents"][0]["text"].as_str()?;
    Some(text.lines().next()?.trim_start_matches("# ").to_owned())
}

#[tokio::test]
async fn what_is_for_some_customers_is_shown_from_their_level_on() {
    let setup = setup();
    let server = setup.serve();
    for (level, expected) in [
        ("anonymous", vec!["Warranty"]),
        ("otp", vec!["Code", "Warranty"]),
        ("verified", vec!["Code", "Lounge", "Warranty"]),
    ] {
        let client = customer(&server, level, None);
        assert_eq!(found(&client, json!({ "query": "zanzibar" })).await, expected, "{level}");
        let (mut titles, scope) = listed(&client).await;
        titles.sort();
        assert_eq!(titles, expected, "{level}");
        assert_eq!(scope, "private", "{level}");
        assert_eq!(read(&client, "article://lounge").await.is_some(), expected.contains(&"Lounge"), "{level}");
    }
    // Without a context, and with one that cannot be confirmed: what everybody may see.
    let nobody = server.client();
    assert_eq!(listed(&nobody).await, (vec!["Warranty".to_owned()], "public".to_owned()));
    assert_eq!(read(&nobody, "article://lounge").await, None);
    let forged = server.client().with_header("customer-context", "e30.e30.e30");
    assert_eq!(listed(&forged).await.0, ["Warranty"]);
    // An article that somebody may not see is an article that is not there.
    let hidden = nobody.request(Era::Modern, "resources/read", json!({ "uri": "article://lounge" })).await.json();
    let absent = nobody.request(Era::Modern, "resources/read", json!({ "uri": "article://nothing" })).await.json();
    assert_eq!(hidden["error"]["message"], absent["error"]["message"]);
    assert_eq!(hidden["error"]["code"], absent["error"]["code"]);
}

#[tokio::test]
async fn articles_come_in_the_customers_language() {
    let setup = setup();
    let server = setup.serve();
    let german = customer(&server, "anonymous", Some("de-AT"));
    assert_eq!(found(&german, json!({ "query": "zanzibar" })).await, ["Garantie"]);
    assert_eq!(found(&german, json!({ "query": "zanzibar", "language": "en" })).await, ["Warranty"]);
    assert_eq!(read(&german, "article://warranty").await.as_deref(), Some("Garantie"));
    assert_eq!(read(&german, "article://warranty?language=en").await.as_deref(), Some("Warranty"));
    let french = customer(&server, "verified", Some("fr"));
    assert_eq!(found(&french, json!({ "query": "zanzibar" })).await, ["Code", "Lounge", "Warranty"], "the fallback");
    let unknown = customer(&server, "anonymous", Some("no tag at all"));
    assert_eq!(read(&unknown, "article://warranty").await.as_deref(), Some("Warranty"));
    assert_eq!(found(&unknown, json!({ "query": "zanzibar", "language": "" })).await.len(), 1);
    assert_eq!(found(&unknown, json!({ "query": "garantie" })).await, ["Garantie"], "in whatever language it is");
    for wrong in ["article://warranty?language=", "article://warranty?lang=de", "article://warranty?"] {
        assert_eq!(read(&german, wrong).await, None, "{wrong}");
    }
}
