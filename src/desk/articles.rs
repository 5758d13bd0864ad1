//! Help articles, for everybody.

use super::{ArticlePage, Call, Decision, Desk, DeskError, Verdict};
use crate::domain::{Article, ArticleHit, ArticleId};

impl Desk {
    pub async fn search_articles(&self, call: &Call, query: &str, limit: u32) -> Result<Vec<ArticleHit>, DeskError> {
        let hits = self.knowledge.search(query, limit).await?;
        self.note(call, Decision::new(Verdict::Allowed)).await?;
        Ok(hits)
    }

    pub async fn article(&self, id: &ArticleId) -> Result<Option<Article>, DeskError> {
        Ok(self.knowledge.get(id).await?)
    }

    pub async fn articles(&self, after: Option<&ArticleId>, limit: u32) -> Result<ArticlePage, DeskError> {
        Ok(self.knowledge.list(after, limit).await?)
    }
}
