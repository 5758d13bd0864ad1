//! Help articles, which are public.

use super::{Applied, ArticleChange, ArticlePage, ArticleVersion, Call, Decision, Desk, DeskError, Verdict};
use crate::domain::{Article, ArticleHit, ArticleId};

impl Desk {
    pub async fn search_articles(&self, call: &Call, query: &str, limit: u32) -> Result<Vec<ArticleHit>, DeskError> {
        let hits = self.knowledge.search(query, limit).await?;
        self.note(call, Decision::new(Verdict::Allowed)).await?;
        Ok(hits)
    }

    /// Applies a change and copies it to the mirrors. A change older than the stored version is ignored.
    pub async fn change_article(&self, change: &ArticleChange, version: ArticleVersion) -> Result<Applied, DeskError> {
        let applied = self.knowledge.apply(change, version).await?;
        if applied == Applied::Done {
            for mirror in &self.mirrors {
                match change {
                    ArticleChange::Written(article) => mirror.upsert(article).await?,
                    ArticleChange::Removed(id) => mirror.remove(id).await?,
                }
            }
        }
        Ok(applied)
    }

    pub async fn article(&self, id: &ArticleId) -> Result<Option<Article>, DeskError> {
        Ok(self.knowledge.get(id).await?)
    }

    pub async fn articles(&self, after: Option<&ArticleId>, limit: u32) -> Result<ArticlePage, DeskError> {
        Ok(self.knowledge.list(after, limit).await?)
    }
}
