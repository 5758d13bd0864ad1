//! Articles for people: what is shown, to whom, and what wrote it.

use rusqlite::params;
use serde::Serialize;

use super::{Store, StoreError, article_states::level};
use crate::domain::{ArticleId, Level, Timestamp};

/// An article or one variant of it.
#[derive(Debug, Clone, Serialize)]
pub struct StoredArticle {
    pub article: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    pub title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    pub audience: Level,
    pub updated_at: Timestamp,
    /// None: it was imported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listing: Option<i64>,
}

impl StoredArticle {
    pub fn written_by(&self) -> String {
        match (self.event, self.listing) {
            (Some(event), _) => format!("event {event}"),
            (None, Some(listing)) => format!("reconciliation {listing}"),
            (None, None) => "import".to_owned(),
        }
    }
}

impl Store {
    /// Articles that are shown: one with its text, or those of a source (`imported`: of none) without.
    pub async fn stored_articles(
        &self,
        id: Option<&ArticleId>,
        source: Option<&str>,
        limit: u32,
    ) -> Result<Vec<StoredArticle>, StoreError> {
        let (id, source) = (id.map(|id| id.as_str().to_owned()), source.map(str::to_owned));
        self.read_slow(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, variant, title, CASE WHEN ?1 IS NOT NULL THEN body END, url, audience, updated_at,
                        source, event, listing
                 FROM articles WHERE (?1 IS NULL OR id = ?1) AND (?2 IS NULL OR coalesce(source, 'imported') = ?2)
                 ORDER BY id, variant LIMIT ?3",
            )?;
            let all = statement.query_and_then(params![id, source, limit], |row| {
                let variant: String = row.get(1)?;
                Ok(StoredArticle {
                    article: row.get(0)?,
                    variant: Some(variant).filter(|variant| !variant.is_empty()),
                    title: row.get(2)?,
                    body: row.get(3)?,
                    url: row.get(4)?,
                    audience: level(row.get(5)?),
                    updated_at: Timestamp::from_unix_ms(row.get(6)?)?,
                    source: row.get(7)?,
                    event: row.get(8)?,
                    listing: row.get(9)?,
                })
            })?;
            all.collect::<Result<Vec<_>, StoreError>>()
        })
        .await
    }
}
