//! Takes over reported states of articles: one row for each variant, and the version of each for what comes late.

use rusqlite::{OptionalExtension, Transaction, params};

use super::StoreError;
use crate::{
    desk::{Applied, ArticleOrigin, ArticleReport, ArticleVersion},
    domain::{Article, ArticleState, Language, Level, Timestamp},
};

/// The language of articles without variants, as it is recorded in the store.
pub(super) const OWN_LANGUAGE: &str =
    "coalesce((SELECT CAST(value AS TEXT) FROM store_key WHERE name = 'article_language'), 'en')";
/// The variant that stands for the whole article in `article_versions`.
const ALL: &str = "*";

/// How a level is stored.
pub(super) fn rank(level: Level) -> i64 {
    match level {
        Level::Anonymous => 0,
        Level::Otp => 1,
        Level::Verified => 2,
    }
}

pub(super) fn level(rank: i64) -> Level {
    match rank {
        ..=0 => Level::Anonymous,
        1 => Level::Otp,
        _ => Level::Verified,
    }
}

/// Applies a state unless a later one is recorded. A version is kept after a removal, so that a late change does not
/// restore the article.
pub(super) fn apply(
    transaction: &Transaction<'_>,
    state: &ArticleState,
    version: ArticleVersion,
    origin: &ArticleOrigin,
) -> Result<Applied, StoreError> {
    let id = state.article.as_str();
    if state.is_of_all_variants() {
        return remove_all(transaction, id, version, origin);
    }
    let variant = state.variant.as_ref().map_or("", Language::as_str);
    // A removal of the whole article counts for each variant, and a variant takes the place of the article without one in
    // the same language: the CMS names now what it did not name before.
    let known = known(transaction, id, variant)?;
    let whole = recorded(transaction, id, ALL)?.map(|whole| ArticleVersion { shown_from: None, ..whole });
    let unnamed = match variant {
        "" => None,
        _ if is_own_language(transaction, variant)? => self::known(transaction, id, "")?,
        _ => None,
    };
    if [&known, &whole, &unnamed].into_iter().flatten().any(|known| !replaces(version, known, origin)) {
        return Ok(Applied::Overtaken);
    }
    record(transaction, id, variant, version.over(known.as_ref()))?;
    let replaced = match unnamed {
        Some(_) => remove(transaction, id, "")?,
        None => false,
    };
    let others = match &state.variants {
        Some(variants) => remove_others(transaction, id, variant, variants, version, origin)?,
        None => false,
    };
    let Some(article) = state.shown(version.happened_at()) else {
        let removed = remove(transaction, id, variant)?;
        return Ok(if removed || replaced || others { Applied::Unpublished } else { Applied::Unchanged });
    };
    let before = shown(transaction, id, variant)?;
    write(transaction, &article, Some(origin))?;
    Ok(match before {
        _ if others => Applied::Updated,
        None if replaced => Applied::Updated,
        None => Applied::Published,
        Some(before) if before == described(&article) => Applied::Unchanged,
        Some(_) => Applied::Updated,
    })
}

/// A listing tells how it is now, however coarse the CMS's times are: it counts unless an event has come since it began, or
/// it shows what was before.
fn replaces(version: ArticleVersion, known: &ArticleVersion, origin: &ArticleOrigin) -> bool {
    match origin.report {
        ArticleReport::Listing(_) => version.arrival >= known.arrival && !version.is_before(known),
        ArticleReport::Event(_) => version.replaces(known),
    }
}

/// Removes every variant that is not later than the removal, which is remembered.
fn remove_all(
    transaction: &Transaction<'_>,
    id: &str,
    version: ArticleVersion,
    origin: &ArticleOrigin,
) -> Result<Applied, StoreError> {
    let (mut later, mut removed) = (false, false);
    for variant in variants(transaction, id)? {
        match known(transaction, id, &variant)? {
            Some(known) if !replaces(version, &known, origin) => later = true,
            known => {
                record(transaction, id, &variant, version.over(known.as_ref()))?;
                removed |= remove(transaction, id, &variant)?;
            }
        }
    }
    let before = recorded(transaction, id, ALL)?.map(|before| ArticleVersion { shown_from: None, ..before });
    if before.is_none_or(|before| replaces(version, &before, origin)) {
        record(transaction, id, ALL, version)?;
    }
    Ok(match (removed, later) {
        (true, _) => Applied::Unpublished,
        (false, true) => Applied::Overtaken,
        (false, false) => Applied::Unchanged,
    })
}

/// Removes the variants that the CMS no longer names.
fn remove_others(
    transaction: &Transaction<'_>,
    id: &str,
    own: &str,
    named: &[Language],
    version: ArticleVersion,
    origin: &ArticleOrigin,
) -> Result<bool, StoreError> {
    let removal = ArticleVersion { shown_from: None, ..version };
    let mut removed = false;
    for variant in variants(transaction, id)? {
        if variant == own || named.iter().any(|language| language.as_str() == variant) {
            continue;
        }
        let known = known(transaction, id, &variant)?;
        if known.as_ref().is_none_or(|known| replaces(removal, known, origin)) {
            record(transaction, id, &variant, removal.over(known.as_ref()))?;
            removed |= remove(transaction, id, &variant)?;
        }
    }
    Ok(removed)
}

/// The variants that are shown.
fn variants(transaction: &Transaction<'_>, id: &str) -> Result<Vec<String>, StoreError> {
    let mut statement = transaction.prepare_cached("SELECT variant FROM articles WHERE id = ?1 ORDER BY variant")?;
    let variants = statement.query_map([id], |row| row.get(0))?;
    Ok(variants.collect::<Result<_, _>>()?)
}

fn is_own_language(transaction: &Transaction<'_>, variant: &str) -> Result<bool, StoreError> {
    let own: String = transaction.prepare_cached(&format!("SELECT {OWN_LANGUAGE}"))?.query_row([], |row| row.get(0))?;
    Ok(Language::parse(variant)?.primary() == own)
}

/// The recorded version of a variant. One that is not shown was removed.
fn known(transaction: &Transaction<'_>, id: &str, variant: &str) -> Result<Option<ArticleVersion>, StoreError> {
    let Some(version) = recorded(transaction, id, variant)? else { return Ok(None) };
    let shown_from = shown(transaction, id, variant)?.map(|(.., audience)| level(audience));
    Ok(Some(ArticleVersion { shown_from, ..version }))
}

fn recorded(transaction: &Transaction<'_>, id: &str, variant: &str) -> Result<Option<ArticleVersion>, StoreError> {
    transaction
        .prepare_cached(
            "SELECT arrival, at, changed_at, number FROM article_versions WHERE article = ?1 AND variant = ?2",
        )?
        .query_and_then([id, variant], |row| {
            let changed_at: Option<i64> = row.get(2)?;
            Ok(ArticleVersion {
                arrival: row.get(0)?,
                received_at: Timestamp::from_unix_ms(row.get(1)?)?,
                changed_at: changed_at.map(Timestamp::from_unix_ms).transpose()?,
                number: row.get(3)?,
                shown_from: None,
            })
        })?
        .next()
        .transpose()
}

fn record(transaction: &Transaction<'_>, id: &str, variant: &str, version: ArticleVersion) -> Result<(), StoreError> {
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO article_versions (article, variant, arrival, changed_at, number, at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            id,
            variant,
            version.arrival,
            version.changed_at.map(Timestamp::unix_ms),
            version.number,
            version.received_at.unix_ms()
        ])?;
    Ok(())
}

/// What readers see of an article, to tell whether a state changes it.
type Shown = (String, String, Option<String>, i64);

fn described(article: &Article) -> Shown {
    let url = article.url.as_ref().map(|url| url.as_str().to_owned());
    (article.title.clone(), article.body.clone(), url, rank(article.audience))
}

fn shown(transaction: &Transaction<'_>, id: &str, variant: &str) -> Result<Option<Shown>, StoreError> {
    let mut statement =
        transaction.prepare_cached("SELECT title, body, url, audience FROM articles WHERE id = ?1 AND variant = ?2")?;
    let shown = statement
        .query_row([id, variant], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .optional()?;
    Ok(shown)
}

fn remove(transaction: &Transaction<'_>, id: &str, variant: &str) -> Result<bool, StoreError> {
    let removed =
        transaction.prepare_cached("DELETE FROM articles WHERE id = ?1 AND variant = ?2")?.execute([id, variant])?;
    Ok(removed > 0)
}

/// Upserts one variant. Without an origin it is imported, and belongs to no source.
pub(super) fn write(
    transaction: &Transaction<'_>,
    article: &Article,
    origin: Option<&ArticleOrigin>,
) -> Result<(), StoreError> {
    let (event, listing) = match origin.map(|origin| origin.report) {
        Some(ArticleReport::Event(id)) => (Some(id), None),
        Some(ArticleReport::Listing(id)) => (None, Some(id)),
        None => (None, None),
    };
    transaction
        .prepare_cached(&format!(
            "INSERT INTO articles (id, variant, language, title, body, url, updated_at, audience, source, event, listing)
             VALUES (?1, ?2, coalesce(?3, {OWN_LANGUAGE}), ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
             ON CONFLICT (id, variant) DO UPDATE SET language = excluded.language, title = excluded.title,
                 body = excluded.body, url = excluded.url, updated_at = excluded.updated_at,
                 audience = excluded.audience, source = excluded.source, event = excluded.event,
                 listing = excluded.listing"
        ))?
        .execute(params![
            article.id.as_str(),
            article.variant.as_ref().map_or("", Language::as_str),
            article.variant.as_ref().map(Language::primary),
            article.title,
            article.body,
            article.url.as_ref().map(|url| url.as_str()),
            article.updated_at.unix_ms(),
            rank(article.audience),
            origin.map(|origin| origin.source.as_str()),
            event,
            listing
        ])?;
    Ok(())
}
