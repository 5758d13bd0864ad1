//! `article.published`, `article.updated`, `article.unpublished`: updates the knowledge base, in the order of the CMS's
//! timestamps, or else of arrival.

use async_trait::async_trait;

use super::{EventError, Handler, Work};
use crate::{
    desk::{Applied, ArticleChange, ArticleVersion, System},
    domain::{Article, Event},
};

pub(super) struct Articles;

#[async_trait]
impl Handler for Articles {
    fn kinds(&self) -> &'static [&'static str] {
        &["article.published", "article.updated", "article.unpublished"]
    }

    fn system(&self) -> System {
        System::KnowledgeBase
    }

    async fn handle(&self, work: &Work<'_>, event: Event) -> Result<String, EventError> {
        let arrival = work.arrival.id;
        let (change, changed_at) = match event {
            Event::ArticlePublished(text) | Event::ArticleUpdated(text) => {
                let article = Article {
                    id: text.article,
                    title: text.title,
                    body: text.body,
                    url: text.url,
                    updated_at: work.desk.now(),
                };
                (ArticleChange::Written(article), text.changed_at)
            }
            Event::ArticleUnpublished { article, changed_at } => (ArticleChange::Removed(article), changed_at),
            _ => return Err(EventError::Unhandled),
        };
        let id = change.article().clone();
        let removed = matches!(change, ArticleChange::Removed(_));
        let version = ArticleVersion::new(arrival, work.arrival.at, changed_at, removed);
        Ok(match work.desk.change_article(&change, version).await? {
            Applied::Done => format!("article:{id}"),
            Applied::Overtaken => "superseded".to_owned(),
        })
    }
}
