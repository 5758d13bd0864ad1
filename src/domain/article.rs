//! Help articles.

use serde::{Deserialize, Serialize};

use super::{ArticleId, Language, Level, Link, Timestamp, parsed::Invalid};

/// A published help article in one language, in plain text or Markdown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Article {
    pub id: ArticleId,
    /// The language of this variant; None for an article that has only one.
    pub variant: Option<Language>,
    pub title: String,
    pub body: String,
    pub url: Option<Link>,
    /// The level from which customers may read it.
    pub audience: Level,
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
    pub variant: Option<Language>,
    pub title: String,
    pub excerpt: String,
    pub url: Option<Link>,
    pub updated_at: Timestamp,
}

/// How a CMS tells earlier states of one article from later ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ArticleMark {
    /// A number that grows with every change of the article.
    Number(i64),
    /// The time of the change.
    Time(Timestamp),
}

/// The state of an article, or of one variant of it, as a CMS reports it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "FlatState", into = "FlatState")]
pub struct ArticleState {
    pub article: ArticleId,
    /// The language. None: the article has no variants; or, where it is not visible, all of them.
    pub variant: Option<Language>,
    /// Every variant that the article has, if the CMS says so. The others are gone.
    pub variants: Option<Vec<Language>>,
    pub version: Option<ArticleMark>,
    /// None: it is not visible.
    pub content: Option<ArticleContent>,
}

/// What is shown of an article.
#[derive(Debug, Clone, PartialEq)]
pub struct ArticleContent {
    pub title: String,
    pub body: String,
    pub url: Option<Link>,
    pub audience: Level,
}

impl ArticleState {
    /// The level from which it is visible.
    pub fn shown_from(&self) -> Option<Level> {
        self.content.as_ref().map(|content| content.audience)
    }

    /// The article that is shown.
    pub fn shown(&self, updated_at: Timestamp) -> Option<Article> {
        let ArticleContent { title, body, url, audience } = self.content.clone()?;
        let (id, variant) = (self.article.clone(), self.variant.clone());
        Some(Article { id, variant, title, body, url, audience, updated_at })
    }

    /// Whether this state is about every variant of the article.
    pub fn is_of_all_variants(&self) -> bool {
        self.variant.is_none() && self.content.is_none()
    }
}

/// The form in which filters give states, and in which they are stored.
#[derive(Serialize, Deserialize)]
struct FlatState {
    article: ArticleId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    variant: Option<Language>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    variants: Option<Vec<Language>>,
    visible: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<ArticleMark>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    url: Option<Link>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    audience: Option<Level>,
}

impl TryFrom<FlatState> for ArticleState {
    type Error = Invalid;

    fn try_from(flat: FlatState) -> Result<Self, Invalid> {
        let FlatState { article, variant, variants, visible, version, title, body, url, audience } = flat;
        let needed = |member: &'static str| Invalid::new(member, "is missing, and a visible article needs it");
        let content = match visible {
            true => Some(ArticleContent {
                title: title.ok_or(needed("title"))?,
                body: body.ok_or(needed("body"))?,
                url,
                audience: audience.unwrap_or(Level::Anonymous),
            }),
            false => None,
        };
        Ok(Self { article, variant, variants, version, content })
    }
}

impl From<ArticleState> for FlatState {
    fn from(state: ArticleState) -> Self {
        let ArticleState { article, variant, variants, version, content } = state;
        let visible = content.is_some();
        let (title, body, url, audience) = match content {
            Some(ArticleContent { title, body, url, audience }) => {
                (Some(title), Some(body), url, Some(audience).filter(|level| *level > Level::Anonymous))
            }
            None => (None, None, None, None),
        };
        Self { article, variant, variants, visible, version, title, body, url, audience }
    }
}
