//! `search_articles`: searches the company's help articles.

use std::fmt;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    error::ToolError,
    tool::{Hints, Tool},
};
use crate::{
    desk::{Call, Desk},
    domain::{Language, Level, Scope},
};

/// Default number of articles.
const LIMIT_DEFAULT: u32 = 5;

pub(super) struct SearchArticles;

#[derive(Deserialize, JsonSchema)]
pub(super) struct Input {
    /// A few words in that language.
    #[schemars(length(min = 1, max = 300))]
    query: String,
    /// As de; left out: the customer's.
    #[schemars(length(max = 35))]
    language: Option<String>,
    /// Articles at most; 0 or left out: 5.
    #[schemars(range(min = 1, max = 10))]
    limit: Option<u32>,
}

/// Articles, best match first.
#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    articles: Vec<Found>,
}

#[derive(Serialize, JsonSchema)]
struct Found {
    /// Whole text: resource article://{article_id}
    article_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<String>,
    title: String,
    excerpt: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    // RFC 3339, UTC.
    updated_at: String,
}

#[async_trait]
impl Tool for SearchArticles {
    const NAME: &'static str = "search_articles";
    const TITLE: &'static str = "Search help articles";
    const DESCRIPTION: &'static str = "Search the company's published help articles: policies, how-tos, shipping, \
        returns, payment. Use it before you answer a general question, and answer from what it finds. It knows nothing \
        of customers or orders.";
    const HINTS: Hints = Hints { read_only: true, destructive: false, idempotent: true, open_world: false };
    const LEVEL: Level = Level::Anonymous;
    const SCOPE: Scope = Scope::ArticlesRead;

    type Input = Input;
    type Output = Output;

    async fn call(&self, desk: &Desk, call: &Call, input: Input) -> Result<Output, ToolError> {
        // A preference: one that cannot be read counts as none.
        let language = input.language.and_then(|tag| Language::parse(&tag).ok());
        let hits =
            desk.search_articles(call, &input.query, language.as_ref(), input.limit.unwrap_or(LIMIT_DEFAULT)).await?;
        let articles = hits
            .into_iter()
            .map(|hit| Found {
                article_id: hit.id.to_string(),
                language: hit.variant.map(String::from),
                title: hit.title,
                excerpt: hit.excerpt,
                url: hit.url.map(|url| url.to_string()),
                updated_at: hit.updated_at.to_string(),
            })
            .collect();
        Ok(Output { articles })
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.articles.is_empty() {
            return write!(f, "No article matches. Try other words, or offer a ticket.");
        }
        for (n, article) in self.articles.iter().enumerate() {
            let separator = if n == 0 { "" } else { "\n\n" };
            let language = article.language.iter().fold(String::new(), |_, language| format!(", {language}"));
            write!(f, "{separator}{} ({}{language})\n{}", article.title, article.article_id, article.excerpt)?;
            if let Some(url) = &article.url {
                write!(f, "\n{url}")?;
            }
        }
        Ok(())
    }
}
