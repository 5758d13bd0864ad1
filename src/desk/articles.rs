//! Help articles: which a customer may read, in which language, and what becomes of a reported state.

use serde::{Deserialize, Serialize};

use super::{
    Applied, ArticleOrigin, ArticlePage, ArticleReader, ArticleVersion, Call, Decision, Desk, DeskError, Verdict,
};
use crate::{
    domain::{Article, ArticleHit, ArticleId, ArticleState, Customer, Language, Level},
    identity::Caller,
};

/// Options of help articles.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "articles")]
pub struct ArticleOptions {
    /// The language of articles that have only one (BCP 47, as `en` or `de-AT`), and what is shown where an article is
    /// not there in the language that is asked for.
    pub language: Language,
    /// Languages that are shown, in this order, where there is nothing in the language that is asked for. By default
    /// the one in `language`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Vec<Language>>,
    /// Upstreams whose connectors list articles (`knowledge.list`). Their articles are compared with what is shown at
    /// start, every `reconcile_every_s` and by `frontdesk articles reconcile`. A source of webhooks of the same name is
    /// the same source.
    pub sources: Vec<String>,
    /// How often articles are reconciled, in seconds; 0: only at start and when asked for.
    pub reconcile_every_s: u64,
}

impl Default for ArticleOptions {
    fn default() -> Self {
        Self { language: Language::english(), fallback: None, sources: Vec::new(), reconcile_every_s: 3600 }
    }
}

impl Desk {
    /// `language` is what the agent asks for; otherwise the customer's own counts.
    pub async fn search_articles(
        &self,
        call: &Call,
        query: &str,
        language: Option<&Language>,
        limit: u32,
    ) -> Result<Vec<ArticleHit>, DeskError> {
        let reader = self.reader(Some(&call.caller), language);
        let hits = self.knowledge.search(query, &reader, limit).await?;
        self.note(call, Decision::new(Verdict::Allowed)).await?;
        Ok(hits)
    }

    /// Takes over a state of an article and copies it to the mirrors. A state older than the known one is ignored.
    pub async fn apply_article(
        &self,
        state: &ArticleState,
        version: ArticleVersion,
        origin: &ArticleOrigin,
    ) -> Result<Applied, DeskError> {
        let applied = self.knowledge.apply(state, version, origin).await?;
        if applied == Applied::Overtaken {
            return Ok(applied);
        }
        for mirror in &self.mirrors {
            match state.shown(version.happened_at()) {
                // A mirror is public: what is for some customers alone is not copied there.
                Some(article) if article.audience == Level::Anonymous => mirror.upsert(&article).await?,
                _ => mirror.remove(&state.article, state.variant.as_ref()).await?,
            }
        }
        Ok(applied)
    }

    /// One article, if the caller may see it. Without a caller, what everybody may see.
    pub async fn article(
        &self,
        caller: Option<&Caller>,
        id: &ArticleId,
        language: Option<&Language>,
    ) -> Result<Option<Article>, DeskError> {
        Ok(self.knowledge.get(id, &self.reader(caller, language)).await?)
    }

    pub async fn articles(
        &self,
        caller: Option<&Caller>,
        after: Option<&ArticleId>,
        limit: u32,
    ) -> Result<ArticlePage, DeskError> {
        Ok(self.knowledge.list(&self.reader(caller, None), after, limit).await?)
    }

    /// What a caller may see, and in which languages.
    fn reader(&self, caller: Option<&Caller>, language: Option<&Language>) -> ArticleReader {
        let customer = caller.and_then(Caller::customer);
        let wanted = language.or(customer.and_then(|customer| customer.language.as_ref()));
        let own = || vec![self.articles.language.clone()];
        ArticleReader {
            level: customer.map_or(Level::Anonymous, Customer::reached),
            wanted: wanted.cloned().into_iter().collect(),
            fallback: self.articles.fallback.clone().unwrap_or_else(own),
        }
    }
}
