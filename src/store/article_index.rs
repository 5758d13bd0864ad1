//! What the index shows, for reconciliations, and the record of these.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::{
    Store, StoreError,
    article_states::{level, rank},
};
use crate::{
    desk::{
        ArticleIndex, ArticleKey, ListingBegin, PortError, Reconciliation, ReconciliationCounts, ReconciliationState,
        Shown, ShownArticle, System,
    },
    domain::{ArticleId, ArticleMark, ArticleState, Language, Timestamp},
};

/// Reconciliations of each source that are kept.
const KEPT: i64 = 50;
const COLUMNS: &str =
    "id, source, asked_at, ended_at, apply, state, pages, listed, written, removed, waiting, skipped, error";

#[async_trait]
impl ArticleIndex for Store {
    async fn shown(&self) -> Result<Shown, PortError> {
        self.read_slow(shown).await.map_err(|error| error.of(System::KnowledgeBase))
    }

    async fn shows(&self, state: &ArticleState, source: &str) -> Result<bool, PortError> {
        let Some(content) = &state.content else { return Ok(false) };
        let variant = state.variant.as_ref().map_or("", Language::as_str);
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT 1 FROM articles WHERE id = ?1 AND variant = ?2 AND source = ?3 AND title = ?4 AND body = ?5
                   AND url IS ?6 AND audience = ?7",
            )?;
            let url = content.url.as_ref().map(|url| url.as_str());
            Ok(statement.exists(params![
                state.article.as_str(),
                variant,
                source,
                content.title,
                content.body,
                url,
                rank(content.audience)
            ])?)
        })
        .map_err(|error| error.of(System::KnowledgeBase))
    }

    async fn listing_begin(&self) -> Result<ListingBegin, PortError> {
        let at = self.clock().now();
        self.write(move |transaction| {
            // The listing gets a number among the events: later than those that have arrived, earlier than the next.
            let arrival: Option<i64> = transaction
                .prepare_cached("UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = 'events' RETURNING seq")?
                .query_row([], |row| row.get(0))
                .optional()?;
            if arrival.is_none() {
                transaction.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('events', 1)", [])?;
            }
            Ok(ListingBegin { arrival: arrival.unwrap_or(1), at })
        })
        .await
        .map_err(|error| error.of(System::KnowledgeBase))
    }

    async fn ask(&self, source: &str, apply: bool) -> Result<Reconciliation, PortError> {
        let (source, now) = (source.to_owned(), self.clock().now());
        self.write(move |transaction| ask(transaction, &source, apply, now))
            .await
            .map_err(|error| error.of(System::KnowledgeBase))
    }

    async fn next_asked(&self, first: bool) -> Result<Option<Reconciliation>, PortError> {
        let now = self.clock().now();
        self.write(move |transaction| {
            if first {
                transaction.execute(
                    "UPDATE reconciliations SET state = 'failed', ended_at = ?1, error = 'its process ended'
                     WHERE state = 'running'",
                    [now.unix_ms()],
                )?;
            }
            one(transaction, "state = 'asked' ORDER BY id LIMIT 1", &[])
        })
        .await
        .map_err(|error| error.of(System::KnowledgeBase))
    }

    async fn note(&self, reconciliation: &Reconciliation) -> Result<(), PortError> {
        let noted = reconciliation.clone();
        self.write(move |transaction| note(transaction, &noted)).await.map_err(|error| error.of(System::KnowledgeBase))
    }

    async fn reconciliation(&self, id: i64) -> Result<Option<Reconciliation>, PortError> {
        self.read(|connection| one(connection, "id = ?1", &[&id])).map_err(|error| error.of(System::KnowledgeBase))
    }

    async fn last_reconciliations(&self) -> Result<Vec<Reconciliation>, PortError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM reconciliations
                 WHERE id IN (SELECT max(id) FROM reconciliations WHERE state <> 'asked' GROUP BY source) ORDER BY source"
            ))?;
            let all = statement.query_and_then([], read)?;
            all.collect::<Result<Vec<_>, StoreError>>()
        })
        .map_err(|error| error.of(System::KnowledgeBase))
    }
}

fn shown(connection: &Connection) -> Result<Shown, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT a.id, a.variant, a.source, a.audience, coalesce(v.arrival, 0), v.changed_at, v.number
         FROM articles a LEFT JOIN article_versions v ON v.article = a.id AND v.variant = a.variant",
    )?;
    let mut rows = statement.query([])?;
    let mut shown = Shown::new();
    while let Some(row) = rows.next()? {
        let (id, variant): (String, String) = (row.get(0)?, row.get(1)?);
        let key = ArticleKey {
            article: ArticleId::parse(&id)?,
            variant: (!variant.is_empty()).then(|| Language::parse(&variant)).transpose()?,
        };
        let (changed_at, number): (Option<i64>, Option<i64>) = (row.get(5)?, row.get(6)?);
        let changed_at = changed_at.map(Timestamp::from_unix_ms).transpose()?;
        let article = ShownArticle {
            key: key.clone(),
            source: row.get(2)?,
            audience: level(row.get(3)?),
            arrival: row.get(4)?,
            mark: number.map(ArticleMark::Number).or(changed_at.map(ArticleMark::Time)),
        };
        shown.insert(key, article);
    }
    Ok(shown)
}

fn ask(transaction: &Transaction<'_>, source: &str, apply: bool, now: Timestamp) -> Result<Reconciliation, StoreError> {
    if let Some(asked) = one(transaction, "state = 'asked' AND source = ?1 AND apply >= ?2", &[&source, &apply])? {
        return Ok(asked);
    }
    transaction
        .prepare_cached("INSERT INTO reconciliations (source, asked_at, apply, state) VALUES (?1, ?2, ?3, 'asked')")?
        .execute(params![source, now.unix_ms(), apply])?;
    let id = transaction.last_insert_rowid();
    transaction
        .prepare_cached(
            "DELETE FROM reconciliations WHERE source = ?1 AND state NOT IN ('asked', 'running') AND id <= (
                 SELECT id FROM reconciliations WHERE source = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
        )?
        .execute(params![source, KEPT])?;
    Ok(Reconciliation {
        id,
        source: source.to_owned(),
        asked_at: now,
        ended_at: None,
        apply,
        state: ReconciliationState::Asked,
        counts: ReconciliationCounts::default(),
        error: None,
    })
}

fn note(transaction: &Transaction<'_>, noted: &Reconciliation) -> Result<(), StoreError> {
    let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let counts = noted.counts;
    transaction
        .prepare_cached(
            "UPDATE reconciliations SET ended_at = ?2, state = ?3, pages = ?4, listed = ?5, written = ?6, removed = ?7,
                 waiting = ?8, skipped = ?9, error = ?10 WHERE id = ?1",
        )?
        .execute(params![
            noted.id,
            noted.ended_at.map(Timestamp::unix_ms),
            noted.state.as_str(),
            count(counts.pages),
            count(counts.listed),
            count(counts.written),
            count(counts.removed),
            count(counts.waiting),
            count(counts.skipped),
            noted.error
        ])?;
    Ok(())
}

fn one(
    connection: &Connection,
    condition: &str,
    values: &[&dyn rusqlite::ToSql],
) -> Result<Option<Reconciliation>, StoreError> {
    let mut statement =
        connection.prepare_cached(&format!("SELECT {COLUMNS} FROM reconciliations WHERE {condition}"))?;
    statement.query_and_then(values, read)?.next().transpose()
}

fn read(row: &Row<'_>) -> Result<Reconciliation, StoreError> {
    let ended_at: Option<i64> = row.get(3)?;
    let state: String = row.get(5)?;
    let count = |n: usize| -> Result<u64, StoreError> { Ok(u64::try_from(row.get::<_, i64>(n)?).unwrap_or_default()) };
    Ok(Reconciliation {
        id: row.get(0)?,
        source: row.get(1)?,
        asked_at: Timestamp::from_unix_ms(row.get(2)?)?,
        ended_at: ended_at.map(Timestamp::from_unix_ms).transpose()?,
        apply: row.get(4)?,
        state: ReconciliationState::parse(&state).unwrap_or(ReconciliationState::Failed),
        counts: ReconciliationCounts {
            pages: count(6)?,
            listed: count(7)?,
            written: count(8)?,
            removed: count(9)?,
            waiting: count(10)?,
            skipped: count(11)?,
        },
        error: row.get(12)?,
    })
}
