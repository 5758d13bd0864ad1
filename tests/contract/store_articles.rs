//! Articles in a store engine: which of two states counts, who sees which variant, and what the search finds.

use std::{sync::Arc, time::Duration};

use frontdesk::{
    desk::{Applied, ArticleOrigin, ArticleReader, ArticleReport, ArticleVersion},
    domain::{ArticleContent, ArticleId, ArticleMark, ArticleState, Language, Level, Timestamp},
};

use crate::store::{Engine, engines};

pub fn language(tag: &str) -> Language {
    Language::parse(tag).unwrap()
}

/// Somebody of a level who reads `wanted`, and otherwise English.
pub fn reader(level: Level, wanted: &[&str]) -> ArticleReader {
    ArticleReader {
        level,
        wanted: wanted.iter().map(|tag| language(tag)).collect(),
        fallback: vec![Language::english()],
    }
}

pub fn anybody() -> ArticleReader {
    reader(Level::Anonymous, &[])
}

/// A state of the article `id`: title and body if it is visible.
pub fn state(id: &str, variant: Option<&str>, content: Option<(&str, &str)>) -> ArticleState {
    ArticleState {
        article: ArticleId::parse(id).unwrap(),
        variant: variant.map(language),
        variants: None,
        version: None,
        content: content.map(|(title, body)| ArticleContent {
            title: title.to_owned(),
            body: body.to_owned(),
            url: None,
            audience: Level::Anonymous,
        }),
    }
}

/// Reports a state that arrives `arrival` seconds after `start`, with the CMS's time, in seconds after `start`.
async fn report(
    engine: &Arc<dyn Engine>,
    start: Timestamp,
    state: &ArticleState,
    arrival: i64,
    changed: Option<u64>,
) -> Applied {
    let mark = changed.map(|s| ArticleMark::Time(start.plus(Duration::from_secs(s))));
    let received_at = start.plus(Duration::from_secs(arrival.unsigned_abs()));
    let version = ArticleVersion::new(arrival, received_at, mark, state.shown_from());
    let origin = ArticleOrigin { source: "cms".to_owned(), report: ArticleReport::Event(arrival) };
    engine.apply(state, version, &origin).await.unwrap()
}

async fn found(engine: &Arc<dyn Engine>, query: &str, reader: &ArticleReader) -> Vec<String> {
    let hits = engine.search(query, reader, 10).await.unwrap();
    hits.into_iter().map(|hit| format!("{}:{}", hit.id, hit.variant.map(String::from).unwrap_or_default())).collect()
}

async fn title(engine: &Arc<dyn Engine>, id: &str, reader: &ArticleReader) -> Option<String> {
    engine.get(&ArticleId::parse(id).unwrap(), reader).await.unwrap().map(|article| article.title)
}

#[tokio::test]
async fn a_late_delivery_of_an_article_changes_nothing() {
    engines(|fixture| async move {
        let fixture = fixture;
        let start = fixture.clock.now();
        let change = async |arrival: i64, at: Option<u64>, body: Option<&str>| -> (Applied, Option<String>) {
            let state = state("returns", None, body.map(|body| ("Returns", body)));
            let applied = report(&fixture.engine, start, &state, 40 + arrival, at).await;
            let article = fixture.engine.get(&state.article, &anybody()).await.unwrap();
            (applied, article.map(|article| article.body))
        };
        let shown = |applied, body: &str| (applied, Some(body.to_owned()));
        assert_eq!(change(1, Some(10), Some("first")).await, shown(Applied::Updated, "first"));
        assert_eq!(change(1, Some(10), Some("first")).await, shown(Applied::Unchanged, "first"));
        assert_eq!(change(2, Some(30), None).await, (Applied::Unpublished, None));
        let overtaken = (Applied::Overtaken, None);
        assert_eq!(change(3, Some(20), Some("second")).await, overtaken, "it was withdrawn afterwards");
        assert_eq!(change(4, Some(30), Some("third")).await, overtaken, "at the same time the removal counts");
        assert_eq!(change(4, Some(31), Some("third")).await, shown(Applied::Published, "third"));
        assert_eq!(change(3, Some(31), Some("second")).await, shown(Applied::Overtaken, "third"), "by arrival");
        assert_eq!(change(5, None, Some("untimed")).await, shown(Applied::Updated, "untimed"), "by arrival");
        assert_eq!(change(6, Some(25), Some("late")).await, shown(Applied::Overtaken, "untimed"));
        assert_eq!(change(4, None, None).await, (Applied::Unpublished, None), "it has happened when it arrived");
        assert_eq!(change(6, Some(40), Some("late")).await, overtaken, "and is remembered");
    })
    .await;
}

#[tokio::test]
async fn variants_do_not_replace_each_other() {
    engines(|fixture| async move {
        let fixture = fixture;
        let (engine, start) = (&fixture.engine, fixture.clock.now());
        let english = state("returns-2", Some("en"), Some(("Returns", "Unused parcels come back within 30 days.")));
        let german = state("returns-2", Some("de"), Some(("Rückgabe", "Unbenutzte Pakete nehmen wir 30 Tage zurück.")));
        assert_eq!(report(engine, start, &english, 1, Some(1)).await, Applied::Published);
        assert_eq!(report(engine, start, &german, 2, Some(2)).await, Applied::Published);
        let de = reader(Level::Anonymous, &["de-AT"]);
        assert_eq!(title(engine, "returns-2", &anybody()).await.as_deref(), Some("Returns"));
        assert_eq!(title(engine, "returns-2", &de).await.as_deref(), Some("Rückgabe"));
        assert_eq!(title(engine, "returns-2", &reader(Level::Anonymous, &["fr"])).await.as_deref(), Some("Returns"));
        let page = engine.list(&de, None, 100).await.unwrap();
        let listed: Vec<&str> =
            page.articles.iter().filter(|a| a.id.as_str() == "returns-2").map(|a| a.title.as_str()).collect();
        assert_eq!(listed, ["Rückgabe"], "each article once");

        // Stemmed in their language, and each article once.
        assert_eq!(found(engine, "unbenutztes Paket", &de).await, ["returns-2:de"]);
        assert_eq!(found(engine, "parcel within 30 days unused", &de).await, ["returns-2:en"], "the fallback");
        assert_eq!(found(engine, "unbenutztes Paket", &anybody()).await, ["returns-2:de"], "nothing is known of them");
        assert_eq!(found(engine, "Paket", &reader(Level::Anonymous, &["fr"])).await, [""; 0]);

        let gone = state("returns-2", Some("de"), None);
        assert_eq!(report(engine, start, &gone, 3, Some(3)).await, Applied::Unpublished);
        assert_eq!(title(engine, "returns-2", &de).await.as_deref(), Some("Returns"));
        assert_eq!(report(engine, start, &german, 4, Some(4)).await, Applied::Published);
        // Without a language it is the whole article; what a late delivery says of before that is no longer true.
        assert_eq!(report(engine, start, &state("returns-2", None, None), 5, Some(5)).await, Applied::Unpublished);
        assert_eq!(title(engine, "returns-2", &de).await, None);
        assert_eq!(report(engine, start, &german, 6, Some(4)).await, Applied::Overtaken);
        let french = state("returns-2", Some("fr"), Some(("Retours", "Trente jours.")));
        assert_eq!(
            report(engine, start, &french, 7, Some(3)).await,
            Applied::Overtaken,
            "of a variant not seen before"
        );
        assert_eq!(report(engine, start, &french, 8, Some(9)).await, Applied::Published);
        assert_eq!(title(engine, "returns-2", &de).await.as_deref(), Some("Retours"), "better than nothing");
    })
    .await;
}

#[tokio::test]
async fn variants_that_the_cms_no_longer_names_are_gone() {
    engines(|fixture| async move {
        let fixture = fixture;
        let (engine, start) = (&fixture.engine, fixture.clock.now());
        let named = |variant, title, all: &[&str]| ArticleState {
            variants: Some(all.iter().map(|tag| language(tag)).collect()),
            ..state("terms", Some(variant), Some((title, "Text.")))
        };
        report(engine, start, &named("en-US", "Terms", &["en-US", "de"]), 1, Some(1)).await;
        report(engine, start, &named("de", "Bedingungen", &["en-US", "de"]), 2, Some(1)).await;
        let de = reader(Level::Anonymous, &["de"]);
        assert_eq!(title(engine, "terms", &de).await.as_deref(), Some("Bedingungen"));
        assert_eq!(report(engine, start, &named("en-US", "Terms", &["en-US"]), 3, Some(2)).await, Applied::Updated);
        assert_eq!(title(engine, "terms", &de).await.as_deref(), Some("Terms"));
        let late = named("de", "Bedingungen", &["en-US", "de"]);
        assert_eq!(report(engine, start, &late, 4, Some(1)).await, Applied::Overtaken);
    })
    .await;
}

#[tokio::test]
async fn an_article_gets_the_name_of_its_language() {
    engines(|fixture| async move {
        let fixture = fixture;
        let (engine, start) = (&fixture.engine, fixture.clock.now());
        // As before the CMS's languages were read.
        report(engine, start, &state("old", None, Some(("Old", "Text."))), 1, Some(1)).await;
        let german = state("old", Some("de"), Some(("Alt", "Text.")));
        assert_eq!(report(engine, start, &german, 2, Some(2)).await, Applied::Published);
        assert_eq!(title(engine, "old", &anybody()).await.as_deref(), Some("Old"));
        let english = state("old", Some("en-GB"), Some(("New", "Text.")));
        assert_eq!(report(engine, start, &english, 3, Some(3)).await, Applied::Updated);
        assert_eq!(title(engine, "old", &anybody()).await.as_deref(), Some("New"));
        let page = engine.list(&anybody(), None, 100).await.unwrap();
        assert_eq!(page.articles.iter().filter(|article| article.id.as_str() == "old").count(), 1);
        assert_eq!(report(engine, start, &state("old", Some("en-GB"), None), 4, Some(4)).await, Applied::Unpublished);
        assert_eq!(title(engine, "old", &anybody()).await.as_deref(), Some("Alt"));
    })
    .await;
}

#[tokio::test]
async fn what_is_for_some_customers_is_for_no_others() {
    engines(|fixture| async move {
        let fixture = fixture;
        let (engine, start) = (&fixture.engine, fixture.clock.now());
        let mut members = state("perks", None, Some(("Perks", "Zanzibar lounge for members.")));
        members.content.as_mut().unwrap().audience = Level::Verified;
        let before = engine.generations().await.unwrap();
        assert_eq!(report(engine, start, &members, 1, Some(1)).await, Applied::Published);
        let after = engine.generations().await.unwrap();
        assert_eq!(before[..2], after[..2], "nobody else is told that there is something");
        assert_ne!(before[2], after[2]);
        for (level, sees) in [(Level::Anonymous, false), (Level::Otp, false), (Level::Verified, true)] {
            let reader = reader(level, &[]);
            assert_eq!(title(engine, "perks", &reader).await.is_some(), sees, "{level:?}");
            assert_eq!(!found(engine, "zanzibar lounge", &reader).await.is_empty(), sees, "{level:?}");
            let page = engine.list(&reader, None, 1000).await.unwrap();
            assert_eq!(page.articles.iter().any(|article| article.id.as_str() == "perks"), sees, "{level:?}");
        }
        // To those who may see it no longer, a restriction is a removal.
        let public = state("perks", None, Some(("Perks", "Zanzibar lounge for members.")));
        assert_eq!(report(engine, start, &public, 2, Some(2)).await, Applied::Updated);
        assert!(title(engine, "perks", &anybody()).await.is_some());
        let before = engine.generations().await.unwrap();
        assert_eq!(report(engine, start, &members, 3, Some(3)).await, Applied::Updated);
        assert_ne!(engine.generations().await.unwrap()[0], before[0]);
        assert!(title(engine, "perks", &anybody()).await.is_none());
        assert!(found(engine, "zanzibar", &anybody()).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn articles_change_and_the_search_with_them() {
    engines(|fixture| async move {
        let fixture = fixture;
        let search = async |query: &str| -> Vec<String> {
            let hits = fixture.engine.search(query, &anybody(), 10).await.unwrap();
            hits.into_iter().map(|hit| hit.id.to_string()).collect()
        };
        assert_eq!(search("gift cards").await[0], "gift-cards");
        assert_eq!(search("GIFT card codes").await[0], "gift-cards");
        assert!(search("").await.is_empty() && search("!?").await.is_empty());
        assert!(search("zyzzyva").await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn scripts_without_spaces_are_searched() {
    engines(|fixture| async move {
        let fixture = fixture;
        let (engine, start) = (&fixture.engine, fixture.clock.now());
        let texts = [
            ("zh", "退货政策", "商品可在三十天内退货，运费由我们承担。"),
            ("ja", "返品について", "未使用の商品は三十日以内に返品できます。"),
            ("ko", "반품 안내", "사용하지 않은 상품은 30일 이내에 반품할 수 있습니다."),
        ];
        for (n, (tag, title, body)) in texts.into_iter().enumerate() {
            let written = state(&format!("cjk-{tag}"), Some(tag), Some((title, body)));
            assert_eq!(report(engine, start, &written, n as i64 + 1, Some(1)).await, Applied::Published);
        }
        for (tag, query) in [("zh", "怎么退货"), ("zh", "运费"), ("ja", "返品"), ("ja", "未使用"), ("ko", "반품은")]
        {
            let found = found(engine, query, &reader(Level::Anonymous, &[tag])).await;
            assert_eq!(found.first(), Some(&format!("cjk-{tag}:{tag}")), "{query}");
        }
    })
    .await;
}
