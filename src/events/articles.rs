//! `article.changed`: takes over the state of an article, in the order of the CMS's versions, or else of arrival.

use async_trait::async_trait;

use super::{Arrival, EventError, Handler, Work};
use crate::{
    desk::{Applied, ArticleOrigin, ArticleReport, ArticleVersion, System},
    domain::Event,
};

pub(super) struct Articles;

#[async_trait]
impl Handler for Articles {
    fn kinds(&self) -> &'static [&'static str] {
        &[Event::ARTICLE]
    }

    fn system(&self) -> System {
        System::KnowledgeBase
    }

    async fn handle(&self, work: &Work<'_>, event: Event) -> Result<String, EventError> {
        let Event::Article(state) = event else { return Err(EventError::Unhandled) };
        let Arrival { id, at, source } = work.arrival;
        let version = ArticleVersion::new(id, at, state.version, state.shown_from());
        let origin = ArticleOrigin { source: source.to_owned(), report: ArticleReport::Event(id) };
        let what = match work.desk.apply_article(&state, version, &origin).await? {
            Applied::Published => "published",
            Applied::Updated => "updated",
            Applied::Unpublished => "unpublished",
            Applied::Unchanged => "unchanged",
            Applied::Overtaken => return Ok("superseded".to_owned()),
        };
        Ok(match &state.variant {
            Some(variant) => format!("article:{} {variant} {what}", state.article),
            None => format!("article:{} {what}", state.article),
        })
    }
}
