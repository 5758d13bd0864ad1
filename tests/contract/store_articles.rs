//! Articles in a store engine: which of two changes counts, and what the search finds.

use std::time::Duration;

use frontdesk::{
    desk::{Applied, ArticleChange, ArticleVersion},
    domain::{Article, ArticleId},
};

use crate::store::engines;

#[tokio::test]
async fn a_late_delivery_of_an_article_changes_nothing() {
    engines(|fixture| async move {
        let fixture = fixture;
        let id = ArticleId::parse("returns").unwrap();
        let start = fixture.clock.now();
        let change = async |arrival: i64, at: Option<u64>, body: Option<&str>| -> Option<String> {
            let change = match body {
                Some(body) => ArticleChange::Written(Article {
                    id: id.clone(),
                    title: "Returns".to_owned(),
                    body: body.to_owned(),
                    url: None,
                    updated_at: start,
                }),
                None => ArticleChange::Removed(id.clone()),
            };
            let changed_at = at.map(|s| start.plus(Duration::from_secs(s)));
            let received_at = start.plus(Duration::from_secs(40 + arrival.unsigned_abs()));
            let version = ArticleVersion::new(arrival, received_at, changed_at, body.is_none());
            let applied = fixture.engine.apply(&change, version).await.unwrap();
            let article = fixture.engine.get(&id).await.unwrap().map(|article| article.body);
            (applied == Applied::Done).then_some(article.unwrap_or_else(|| "gone".to_owned()))
        };
        assert_eq!(change(1, Some(10), Some("first")).await.as_deref(), Some("first"));
        assert_eq!(change(2, Some(30), None).await.as_deref(), Some("gone"));
        assert_eq!(change(3, Some(20), Some("second")).await, None, "it was withdrawn afterwards");
        assert_eq!(change(4, Some(30), Some("third")).await, None, "at the same time the removal counts");
        assert_eq!(change(4, Some(31), Some("third")).await.as_deref(), Some("third"));
        assert_eq!(change(3, Some(31), Some("second")).await, None, "two edits of one second: by arrival");
        assert_eq!(change(5, None, Some("untimed")).await.as_deref(), Some("untimed"), "by arrival");
        assert_eq!(change(6, Some(25), Some("late")).await, None);
        let gone = change(4, None, None).await;
        assert_eq!(gone.as_deref(), Some("gone"), "a removal without a time has happened when it arrived");
        assert_eq!(change(6, Some(40), Some("late")).await, None, "and is remembered");
    })
    .await;
}

#[tokio::test]
async fn articles_change_and_the_search_with_them() {
    engines(|fixture| async move {
        let fixture = fixture;
        let search = async |query: &str| -> Vec<String> {
            fixture.engine.search(query, 10).await.unwrap().into_iter().map(|hit| hit.id.to_string()).collect()
        };
        assert_eq!(search("gift cards").await[0], "gift-cards");
        assert_eq!(search("GIFT card codes").await[0], "gift-cards");
        assert!(search("").await.is_empty() && search("!?").await.is_empty());
        assert!(search("zyzzyva").await.is_empty());
    })
    .await;
}
