//! The embedded knowledge base, with full-text search (SQLite FTS5).

use std::collections::BTreeMap;

use async_trait::async_trait;
use rusqlite::{Connection, Row, Transaction, params};

use super::{
    Store, StoreError,
    article_states::{self, OWN_LANGUAGE, level, rank},
    search_terms::Query,
};
use crate::{
    desk::{
        Applied, ArticleChanges, ArticleOrigin, ArticlePage, ArticleReader, ArticleVersion, KnowledgeBase, PortError,
        System,
    },
    domain::{Article, ArticleEntry, ArticleHit, ArticleId, ArticleState, Language, Link, Timestamp},
};

const COLUMNS: &str = "a.id, a.variant, a.title, a.url, a.audience, a.updated_at, a.body";
/// Variants of one article that are looked at for one result.
const VARIANTS_MAX: u32 = 8;

#[async_trait]
impl KnowledgeBase for Store {
    async fn search(&self, query: &str, reader: &ArticleReader, limit: u32) -> Result<Vec<ArticleHit>, PortError> {
        let (query, reader) = (query.to_owned(), reader.clone());
        self.read_slow(move |connection| search(connection, &query, &reader, limit))
            .await
            .map_err(|error| error.of(System::KnowledgeBase))
    }

    async fn get(&self, id: &ArticleId, reader: &ArticleReader) -> Result<Option<Article>, PortError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM articles a WHERE a.id = ?1 AND a.audience <= ?2 ORDER BY a.variant"
            ))?;
            let variants = statement.query_and_then(params![id.as_str(), rank(reader.level)], read)?;
            let variants = variants.collect::<Result<Vec<_>, StoreError>>()?;
            Ok(variants.into_iter().min_by_key(|article| suits(reader, article.variant.as_ref())))
        })
        .map_err(|error| error.of(System::KnowledgeBase))
    }

    async fn apply(
        &self,
        state: &ArticleState,
        version: ArticleVersion,
        origin: &ArticleOrigin,
    ) -> Result<Applied, PortError> {
        let (state, origin) = (state.clone(), origin.clone());
        self.write(move |transaction| article_states::apply(transaction, &state, version, &origin))
            .await
            .map_err(|error| error.of(System::KnowledgeBase))
    }

    async fn list(
        &self,
        reader: &ArticleReader,
        after: Option<&ArticleId>,
        limit: u32,
    ) -> Result<ArticlePage, PortError> {
        let after = after.map(|id| id.as_str().to_owned()).unwrap_or_default();
        let reader = reader.clone();
        self.read_slow(move |connection| list(connection, &reader, &after, limit))
            .await
            .map_err(|error| error.of(System::KnowledgeBase))
    }
}

#[async_trait]
impl ArticleChanges for Store {
    async fn generations(&self) -> Result<[i64; 3], PortError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT anonymous, otp, verified FROM article_changes")?;
            Ok(statement.query_row([], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?]))?)
        })
        .map_err(|error| error.of(System::KnowledgeBase))
    }
}

impl Store {
    /// Records the language of articles that have only one. Those that are there are indexed anew if it has changed.
    pub(super) fn set_article_language(connection: &mut Connection, language: &Language) -> Result<(), StoreError> {
        let recorded: String = connection.query_row(&format!("SELECT {OWN_LANGUAGE}"), [], |row| row.get(0))?;
        if recorded == language.primary() {
            return Ok(());
        }
        let transaction = connection.transaction()?;
        transaction.execute(
            "INSERT OR REPLACE INTO store_key (name, value) VALUES ('article_language', CAST(?1 AS BLOB))",
            [language.primary()],
        )?;
        transaction.execute("UPDATE articles SET language = ?1 WHERE variant = ''", [language.primary()])?;
        Ok(transaction.commit()?)
    }
}

/// How well a variant suits a reader; the least is best. First the wanted languages, then the fallback, then an article
/// without variants, then any other.
fn suits(reader: &ArticleReader, variant: Option<&Language>) -> usize {
    let preferred = || reader.wanted.iter().chain(&reader.fallback);
    let Some(variant) = variant else { return 2 * preferred().count() };
    let exact = preferred().position(|language| language == variant).map(|n| 2 * n);
    let primary = preferred().position(|language| language.primary() == variant.primary()).map(|n| 2 * n + 1);
    [exact, primary].into_iter().flatten().min().unwrap_or(2 * preferred().count() + 1)
}

fn search(
    connection: &Connection,
    text: &str,
    reader: &ArticleReader,
    limit: u32,
) -> Result<Vec<ArticleHit>, StoreError> {
    let mut hits: Vec<ArticleHit> = Vec::new();
    let groups = match reader.wanted.is_empty() {
        // Nothing is known of the customer: every language, the usual ones first.
        true => vec![languages(connection, &reader.fallback)?],
        false => vec![primaries(&reader.wanted), primaries(&reader.fallback)],
    };
    // What holds all the words, also in the fallback; a natural-language question rarely does, so then what holds any of
    // them, in the fallback only where there is nothing else.
    for group in &groups {
        for language in group {
            add(connection, text, language, true, reader, limit, &mut hits)?;
        }
    }
    for group in &groups {
        if !hits.is_empty() {
            break;
        }
        for language in group {
            add(connection, text, language, false, reader, limit, &mut hits)?;
        }
    }
    Ok(hits)
}

/// Adds what matches in one language and is no article that is there already.
fn add(
    connection: &Connection,
    text: &str,
    language: &str,
    all: bool,
    reader: &ArticleReader,
    limit: u32,
    hits: &mut Vec<ArticleHit>,
) -> Result<(), StoreError> {
    let query = Query::new(text, language);
    if query.is_empty() || hits.len() >= limit as usize || (!all && query.has_one_term()) {
        return Ok(());
    }
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM articles_text JOIN articles a ON a.n = articles_text.rowid
         WHERE articles_text MATCH ?1 AND a.language = ?2 AND a.audience <= ?3
         ORDER BY bm25(articles_text, 4.0, 1.0), a.id LIMIT ?4"
    ))?;
    let limits = (limit + hits.len() as u32) * VARIANTS_MAX;
    let found = statement.query_and_then(params![query.expression(all), language, rank(reader.level), limits], read)?;
    // The first of an article is its rank; which of its variants is shown depends on the reader.
    let (mut order, mut best) = (Vec::new(), BTreeMap::<ArticleId, Article>::new());
    for article in found {
        let article = article?;
        match best.get(&article.id) {
            None => order.push(article.id.clone()),
            Some(other) if suits(reader, article.variant.as_ref()) >= suits(reader, other.variant.as_ref()) => continue,
            Some(_) => {}
        }
        best.insert(article.id.clone(), article);
    }
    for id in order {
        if hits.len() >= limit as usize {
            break;
        }
        if let Some(article) = best.remove(&id)
            && hits.iter().all(|hit| hit.id != article.id)
        {
            let excerpt = query.excerpt(&article.body, language);
            let Article { id, variant, title, url, updated_at, .. } = article;
            hits.push(ArticleHit { id, variant, title, excerpt, url, updated_at });
        }
    }
    Ok(())
}

fn primaries(languages: &[Language]) -> Vec<String> {
    let mut primaries: Vec<String> = Vec::new();
    for language in languages {
        if primaries.iter().all(|known| known != language.primary()) {
            primaries.push(language.primary().to_owned());
        }
    }
    primaries
}

/// Every language that there is, `first` before the others.
fn languages(connection: &Connection, first: &[Language]) -> Result<Vec<String>, StoreError> {
    let mut all = primaries(first);
    let mut statement = connection.prepare_cached("SELECT DISTINCT language FROM articles ORDER BY language")?;
    for language in statement.query_map([], |row| row.get::<_, String>(0))? {
        let language = language?;
        if !all.contains(&language) {
            all.push(language);
        }
    }
    Ok(all)
}

fn list(connection: &Connection, reader: &ArticleReader, after: &str, limit: u32) -> Result<ArticlePage, StoreError> {
    // SQLite reads the length from the record header without the text.
    let mut statement = connection.prepare_cached(
        "SELECT id, variant, title, octet_length(body) FROM articles WHERE audience <= ?1 AND id > ?2 ORDER BY id, variant",
    )?;
    let mut rows = statement.query(params![rank(reader.level), after])?;
    let (mut articles, mut suited): (Vec<ArticleEntry>, usize) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let (id, body_bytes): (String, i64) = (row.get(0)?, row.get(3)?);
        let suit = suits(reader, variant(row.get(1)?)?.as_ref());
        let entry = ArticleEntry {
            id: ArticleId::parse(&id)?,
            title: row.get(2)?,
            body_bytes: u64::try_from(body_bytes).unwrap_or_default(),
        };
        let another_variant = articles.last().is_some_and(|last| last.id == entry.id);
        if another_variant && suit >= suited {
            continue;
        }
        if another_variant {
            articles.pop();
        } else if articles.len() == limit as usize {
            return Ok(ArticlePage { articles, more: true });
        }
        articles.push(entry);
        suited = suit;
    }
    Ok(ArticlePage { articles, more: false })
}

fn variant(stored: String) -> Result<Option<Language>, StoreError> {
    Ok((!stored.is_empty()).then(|| Language::parse(&stored)).transpose()?)
}

fn read(row: &Row<'_>) -> Result<Article, StoreError> {
    let id: String = row.get(0)?;
    let url: Option<String> = row.get(3)?;
    Ok(Article {
        id: ArticleId::parse(&id)?,
        variant: variant(row.get(1)?)?,
        title: row.get(2)?,
        url: url.map(|url| Link::parse(&url)).transpose()?,
        audience: level(row.get(4)?),
        updated_at: Timestamp::from_unix_ms(row.get(5)?)?,
        body: row.get(6)?,
    })
}

/// Upserts an imported article, which belongs to no source.
pub(super) fn put(transaction: &Transaction<'_>, article: &Article) -> Result<(), StoreError> {
    article_states::write(transaction, article, None)
}
