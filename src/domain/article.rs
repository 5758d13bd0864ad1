//! Help articles.

use super::{ArticleId, Link, Timestamp};

/// A published help article, in plain text or Markdown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Article {
    pub id: ArticleId,
    pub title: String,
    pub body: String,
    pub url: Option<Link>,
    pub updated_at: Timestamp,
}

/// An article in a listing, without its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArticleEntry {
    pub id: ArticleId,
    pub title: String,
    pub body_bytes: u64,
}

/// A search result: an article with the matching passage.
#[derive(Debug, Clone)]
pub struct ArticleHit {
    pub id: ArticleId,
    pub title: String,
    pub excerpt: String,
    pub url: Option<Link>,
    pub updated_at: Timestamp,
}
