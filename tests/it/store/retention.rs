//! What is too old goes, table by table; what is still needed stays, however old it is.

use std::{path::Path, time::Duration};

use frontdesk::{
    domain::Clock,
    store::{RetentionOptions, Store},
};
use tokio_util::sync::CancellationToken;

use crate::support::{Setup, frontdesk, rows, stderr};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Rows of every table with a limit: `old` ones are past it, and `n` of the plain kind are made, more than one step removes.
fn fill(store: &Path, now: i64, days: i64, n: u32) {
    let (old, young) = (now - (days + 1) * DAY_MS, now - (days - 1) * DAY_MS);
    let connection = rusqlite::Connection::open(store).unwrap();
    // The index of articles needs it; here nobody searches.
    let plain = rusqlite::functions::FunctionFlags::SQLITE_UTF8;
    connection.create_scalar_function("search_terms", 2, plain, |call| call.get::<String>(0)).unwrap();
    let many = format!("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {n})");
    let event = |states: &[&str], at: i64| {
        let values = states.iter().map(|state| {
            format!("('chatbot', 'conversation.ended', 'i', x'00', 'old', 0, '{state}', {at}, {at}, {at})")
        });
        format!(
            "INSERT INTO events (source, kind, identity, body_hash, subject, priority, state, due_at, received_at, updated_at)
             VALUES {};",
            values.collect::<Vec<_>>().join(", ")
        )
    };
    let later = now + DAY_MS;
    let sql = format!(
        "{many} INSERT INTO audit (at, tool, verdict, objects, fields, effect)
             SELECT {old}, 'lookup_order', 'allowed', '[]', '[]', 'none' FROM n;
         INSERT INTO audit (at, tool, verdict, objects, fields, effect)
             VALUES ({young}, 'lookup_order', 'allowed', '[]', '[]', 'none');
         {}{}
         {many} INSERT INTO deliveries (source, identity, body_hash, at) SELECT 'timed', 'old' || i, x'00', {old} FROM n;
         INSERT INTO deliveries (source, identity, body_hash, at)
             VALUES ('timed', 'young', x'00', {young}), ('untimed', 'old', x'00', {old});
         INSERT INTO ledger (scope, effect, fingerprint, expires_at, receipt, begun_at) VALUES
             (x'01', 'over', x'00', {old}, '{{}}', {young}), (x'02', 'old', x'00', {later}, '{{}}', {old}),
             (x'03', 'doubt', x'00', {later}, NULL, {old}), (x'04', 'young', x'00', {later}, '{{}}', {young}),
             (x'05', 'ancient', x'00', {later}, '{{}}', 0);
         INSERT INTO conversation_tickets (conversation, customer, ticket, used_at) VALUES
             ('old', 'c', '{{}}', {old}), ('young', 'c', '{{}}', {young});
         INSERT INTO contact_changes (effect, contact, before, at) VALUES
             ('old', 'c', '{{}}', {old}), ('doubt', 'c', '{{}}', {old}), ('young', 'c', '{{}}', {young});
         INSERT INTO articles (id, variant, language, title, body, updated_at) VALUES ('there', '', 'en', 't', 'b', 1);
         INSERT INTO article_versions (article, variant, arrival, at) VALUES
             ('there', '', 1, {old}), ('gone', '', 2, {old}), ('there', '*', 2, {old}), ('fresh', '', 3, {young});",
        event(&["done", "dead", "discarded", "quarantined", "pending", "claimed"], old),
        event(&["done", "dead"], young),
    );
    connection.execute_batch(&sql).unwrap();
}

#[tokio::test]
async fn what_is_old_goes_in_small_steps_and_what_is_needed_stays() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("frontdesk.db");
    let clock = Clock::movable();
    let store = Store::open(&path, clock.clone()).unwrap();
    fill(&path, clock.now().unix_ms(), 100, 1200);
    let days = RetentionOptions {
        events_days: 100,
        deliveries_days: 100,
        audit_days: 100,
        ledger_days: 100,
        conversation_tickets_days: 100,
        contact_changes_days: 100,
        article_versions_days: 100,
    };
    let closing = CancellationToken::new();
    let keeping = tokio::spawn(store.clone().keep_retention(days, vec!["timed".to_owned()], closing.clone()));
    // The last of the tables that the pass comes to.
    while !rows(&path, "SELECT article FROM article_versions WHERE article = 'gone'").is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    closing.cancel();
    keeping.await.unwrap();
    let one = |query: &str| rows(&path, query).join(" ");
    assert_eq!(one("SELECT count(*) FROM audit"), "1");
    assert_eq!(one("SELECT state FROM events ORDER BY id"), "pending claimed done dead");
    assert_eq!(one("SELECT state || n FROM event_counts WHERE n > 0 ORDER BY state"), "claimed1 dead1 done1 pending1");
    assert_eq!(one("SELECT source || identity FROM deliveries ORDER BY source"), "timedyoung untimedold");
    assert_eq!(one("SELECT effect FROM ledger ORDER BY scope"), "doubt young ancient");
    assert_eq!(one("SELECT conversation FROM conversation_tickets"), "young");
    assert_eq!(one("SELECT effect FROM contact_changes ORDER BY effect"), "doubt young");
    assert_eq!(one("SELECT article FROM article_versions ORDER BY article"), "fresh there");
    store.close().await.unwrap();
}

#[test]
fn repeated_deliveries_are_recognised_for_ten_days_at_least() {
    let setup = Setup::empty().config("[retention]\ndeliveries_days = 9\n");
    let refused = frontdesk(setup.path(), &["check", "--config", "frontdesk.toml"]);
    assert!(!refused.status.success());
    assert!(stderr(&refused).contains("retention.deliveries_days"), "{}", stderr(&refused));
}
