//! The embedded knowledge base, with full-text search (SQLite FTS5).

use async_trait::async_trait;
use rusqlite::{Connection, Row, Transaction, params};

use super::{Store, StoreError};
use crate::{
    desk::{Applied, ArticleChange, ArticleChanges, ArticlePage, ArticleVersion, KnowledgeBase, PortError, System},
    domain::{Article, ArticleEntry, ArticleHit, ArticleId, Link, Timestamp},
};

/// Words of a query that are used.
const QUERY_WORDS_MAX: usize = 16;
/// English stop words.
const TOPICLESS: &[&str] = &[
    "a", "an", "and", "are", "at", "be", "can", "could", "did", "do", "does", "for", "from", "get", "had", "has",
    "have", "how", "i", "in", "is", "it", "me", "my", "of", "on", "or", "our", "should", "that", "the", "this", "to",
    "want", "was", "we", "what", "when", "where", "which", "who", "why", "will", "with", "would", "you", "your",
];
const COLUMNS: &str = "id, title, url, updated_at, body";

#[async_trait]
impl KnowledgeBase for Store {
    async fn search(&self, query: &str, limit: u32) -> Result<Vec<ArticleHit>, PortError> {
        let words = words(query);
        self.read_slow(move |connection| {
            if words.is_empty() {
                return Ok(Vec::new());
            }
            // All words first; a natural-language question rarely matches them all, so then any of them.
            let strict = matches(connection, &words.join(" AND "), limit)?;
            if !strict.is_empty() || words.len() == 1 {
                return Ok(strict);
            }
            matches(connection, &words.join(" OR "), limit)
        })
        .await
        .map_err(|error| error.of(System::KnowledgeBase))
    }

    async fn get(&self, id: &ArticleId) -> Result<Option<Article>, PortError> {
        self.read(|connection| {
            connection
                .prepare_cached(&format!("SELECT {COLUMNS} FROM articles WHERE id = ?1"))?
                .query_and_then([id.as_str()], read)?
                .next()
                .transpose()
        })
        .map_err(|error| error.of(System::KnowledgeBase))
    }

    async fn apply(&self, change: &ArticleChange, version: ArticleVersion) -> Result<Applied, PortError> {
        let (change, now) = (change.clone(), self.clock.now());
        self.write(move |transaction| apply(transaction, &change, version, now))
            .await
            .map_err(|error| error.of(System::KnowledgeBase))
    }

    async fn list(&self, after: Option<&ArticleId>, limit: u32) -> Result<ArticlePage, PortError> {
        let after = after.map(|id| id.as_str().to_owned()).unwrap_or_default();
        self.read_slow(move |connection| {
            let mut articles = connection
                // SQLite reads the length from the record header without the text.
                .prepare_cached(
                    "SELECT id, title, octet_length(body) FROM articles WHERE id > ?1 ORDER BY id LIMIT ?2",
                )?
                .query_and_then(params![after, limit + 1], entry)?
                .collect::<Result<Vec<_>, _>>()?;
            let more = articles.len() > limit as usize;
            articles.truncate(limit as usize);
            Ok(ArticlePage { articles, more })
        })
        .await
        .map_err(|error| error.of(System::KnowledgeBase))
    }
}

#[async_trait]
impl ArticleChanges for Store {
    async fn generation(&self) -> Result<i64, PortError> {
        self.read(|connection| {
            Ok(connection.prepare_cached("SELECT n FROM article_changes")?.query_row([], |row| row.get(0))?)
        })
        .map_err(|error| error.of(System::KnowledgeBase))
    }
}

fn matches(connection: &Connection, expression: &str, limit: u32) -> Result<Vec<ArticleHit>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT a.id, a.title, a.url, a.updated_at, snippet(articles_text, 1, '', '', '…', 40)
         FROM articles_text JOIN articles a ON a.n = articles_text.rowid
         WHERE articles_text MATCH ?1 ORDER BY bm25(articles_text, 4.0, 1.0), a.id LIMIT ?2",
    )?;
    let hits = statement.query_and_then(params![expression, limit], read)?;
    hits.map(|row| {
        let Article { id, title, body: excerpt, url, updated_at } = row?;
        Ok(ArticleHit { id, title, excerpt, url, updated_at })
    })
    .collect()
}

/// The words of a query, each quoted, so that none is FTS5 syntax. Stop words are used only when there are no others.
fn words(query: &str) -> Vec<String> {
    let all: Vec<String> =
        query.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase).collect();
    let topical: Vec<&String> = all.iter().filter(|word| !TOPICLESS.contains(&word.as_str())).collect();
    let chosen = if topical.is_empty() { all.iter().collect() } else { topical };
    chosen.into_iter().take(QUERY_WORDS_MAX).map(|word| format!("\"{word}\"")).collect()
}

fn entry(row: &Row<'_>) -> Result<ArticleEntry, StoreError> {
    let id: String = row.get(0)?;
    let body_bytes: i64 = row.get(2)?;
    Ok(ArticleEntry {
        id: ArticleId::parse(&id)?,
        title: row.get(1)?,
        body_bytes: u64::try_from(body_bytes).unwrap_or_default(),
    })
}

fn read(row: &Row<'_>) -> Result<Article, StoreError> {
    let id: String = row.get(0)?;
    let url: Option<String> = row.get(2)?;
    Ok(Article {
        id: ArticleId::parse(&id)?,
        title: row.get(1)?,
        url: url.map(|url| Link::parse(&url)).transpose()?,
        updated_at: Timestamp::from_unix_ms(row.get(3)?)?,
        body: row.get(4)?,
    })
}

/// Applies a change unless a newer version is recorded. The version is kept after a removal, as a tombstone, so that a
/// late change does not restore the article.
fn apply(
    transaction: &Transaction<'_>,
    change: &ArticleChange,
    version: ArticleVersion,
    now: Timestamp,
) -> Result<Applied, StoreError> {
    let id = change.article();
    if let Some(known) = known(transaction, id)?
        && !version.replaces(&known)
    {
        return Ok(Applied::Overtaken);
    }
    transaction
        .prepare_cached(
            "INSERT INTO article_versions (article, arrival, changed_at, at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (article) DO UPDATE
             SET arrival = excluded.arrival, at = excluded.at, changed_at = coalesce(excluded.changed_at, changed_at)",
        )?
        .execute(params![id.as_str(), version.arrival, version.changed_at.map(Timestamp::unix_ms), now.unix_ms()])?;
    match change {
        ArticleChange::Written(article) => put(transaction, article)?,
        ArticleChange::Removed(id) => {
            transaction.prepare_cached("DELETE FROM articles WHERE id = ?1")?.execute([id.as_str()])?;
        }
    }
    Ok(Applied::Done)
}

/// The recorded version of an article. An article that is not in the index was removed.
fn known(transaction: &Transaction<'_>, id: &ArticleId) -> Result<Option<ArticleVersion>, StoreError> {
    transaction
        .prepare_cached(
            "SELECT arrival, at, changed_at, NOT EXISTS (SELECT 1 FROM articles WHERE id = article)
             FROM article_versions WHERE article = ?1",
        )?
        .query_and_then([id.as_str()], |row| {
            let changed_at: Option<i64> = row.get(2)?;
            Ok(ArticleVersion {
                arrival: row.get(0)?,
                received_at: Timestamp::from_unix_ms(row.get(1)?)?,
                changed_at: changed_at.map(Timestamp::from_unix_ms).transpose()?,
                removed: row.get(3)?,
            })
        })?
        .next()
        .transpose()
}

/// Upserts an article by id.
pub(super) fn put(transaction: &Transaction<'_>, article: &Article) -> Result<(), StoreError> {
    transaction
        .prepare_cached(
            "INSERT INTO articles (id, title, body, url, updated_at) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (id) DO UPDATE SET title = excluded.title, body = excluded.body, url = excluded.url,
                 updated_at = excluded.updated_at",
        )?
        .execute(params![
            article.id.as_str(),
            article.title,
            article.body,
            article.url.as_ref().map(|url| url.as_str()),
            article.updated_at.unix_ms()
        ])?;
    Ok(())
}
