//! Reconciliation: makes the index show what a CMS lists, whatever was lost on the way. What a listing means is decided
//! in `article_list.rs`.

use std::{sync::Arc, time::Duration};

use super::{
    Applied, ArticleIndex, ArticleKey, ArticleList, ArticleOrigin, ArticleReport, ArticleVersion, Desk, DeskError,
    Listed, ListedPage, Listing, ListingBegin, ListingFault, PortError, PortErrorKind, Reconciliation,
    ReconciliationState, Removal, Shown, removal, removed_states,
};
use crate::{domain::ArticleState, telemetry::causes};

/// How long after the first listing the second one begins.
const SECOND_AFTER: Duration = Duration::from_secs(1);
/// Longest pause that an upstream may ask for between two pages, and how often.
const PAUSE_MAX: Duration = Duration::from_secs(300);
const PAUSES_MAX: u32 = 20;
const PAUSE: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    #[error("the listing broke off after {pages} pages; nothing was removed")]
    List {
        pages: u64,
        #[source]
        source: PortError,
    },
    #[error("{fault}; nothing was removed")]
    Listing {
        #[source]
        fault: ListingFault,
    },
    #[error("failed to write an article")]
    Write(#[source] DeskError),
    #[error("failed to read or write the index")]
    Index(#[source] PortError),
}

/// Reconciles one source.
pub struct Reconciler<'a> {
    pub desk: &'a Desk,
    pub index: &'a dyn ArticleIndex,
    pub list: Arc<dyn ArticleList>,
}

/// One listing, read to its end.
struct Pass {
    listing: Listing,
    begin: ListingBegin,
    /// Not visible, as the CMS says.
    hidden: Vec<ArticleState>,
}

impl Reconciler<'_> {
    /// Runs a reconciliation that was asked for, and records what becomes of it.
    pub async fn run(&self, mut asked: Reconciliation) -> Result<Reconciliation, PortError> {
        asked.state = ReconciliationState::Running;
        self.index.note(&asked).await?;
        let (state, error) = match self.reconcile(&mut asked).await {
            Ok((state, why)) => (state, why),
            Err(error) => (ReconciliationState::Failed, Some(causes(&error))),
        };
        let done = Reconciliation { state, error, ended_at: Some(self.desk.now()), ..asked };
        self.index.note(&done).await?;
        Ok(done)
    }

    async fn reconcile(
        &self,
        run: &mut Reconciliation,
    ) -> Result<(ReconciliationState, Option<String>), ReconcileError> {
        let first = self.pass(run).await?;
        // What the CMS says to be invisible goes at once.
        let shown = self.hide(run, &first).await?;
        let absent = first.listing.absent(&shown, &run.source, first.begin);
        if absent.is_empty() {
            return Ok((ReconciliationState::Done, None));
        }
        if !first.listing.is_complete() {
            let why = format!("{} articles are not listed, and the listing is not complete", absent.len());
            return Ok((ReconciliationState::Incomplete, Some(why)));
        }
        // What is absent once may be on its way from one page to another.
        tokio::time::sleep(SECOND_AFTER).await;
        let second = self.pass(run).await?;
        let shown = self.hide(run, &second).await?;
        if !second.listing.is_complete() {
            let why = format!("{} articles are not listed, and the listing is not complete", absent.len());
            return Ok((ReconciliationState::Incomplete, Some(why)));
        }
        // Of both listings the earlier beginning counts: what has changed since stays.
        let again = second.listing.absent(&shown, &run.source, first.begin);
        let absent = absent.intersection(&again).cloned().collect();
        let empty = first.listing.is_empty() || second.listing.is_empty();
        match removal(&absent, empty, &shown, &run.source, run.apply) {
            Removal::Nothing => Ok((ReconciliationState::Done, None)),
            Removal::Waits { articles, why } => {
                run.counts.waiting = articles;
                Ok((ReconciliationState::Waiting, Some(why)))
            }
            Removal::Goes(keys) => {
                for state in removed_states(&keys, &shown) {
                    self.remove(run, &state, first.begin).await?;
                }
                Ok((ReconciliationState::Done, None))
            }
        }
    }

    /// Reads a listing to its end. What is visible is taken over page by page; nothing is removed.
    async fn pass(&self, run: &mut Reconciliation) -> Result<Pass, ReconcileError> {
        let begin = self.index.listing_begin().await.map_err(ReconcileError::Index)?;
        let shown = self.shown().await?;
        let mut pass = Pass { listing: Listing::new(), begin, hidden: Vec::new() };
        let (mut cursor, mut pauses) = (None, 0);
        run.counts.listed = 0;
        loop {
            let page = self.page(cursor.as_ref(), &mut pauses).await;
            let page = page.map_err(|source| ReconcileError::List { pages: run.counts.pages, source })?;
            run.counts.pages += 1;
            run.counts.listed += page.articles.len() as u64;
            pass.listing.add(&page).map_err(|fault| ReconcileError::Listing { fault })?;
            let ListedPage { articles, next, .. } = page;
            for listed in articles {
                self.take(run, &mut pass, &shown, listed, &mut pauses).await?;
            }
            // Others see how far it is.
            self.index.note(run).await.map_err(ReconcileError::Index)?;
            match next {
                Some(next) => cursor = Some(next),
                None => return Ok(pass),
            }
        }
    }

    async fn take(
        &self,
        run: &mut Reconciliation,
        pass: &mut Pass,
        shown: &Shown,
        listed: Listed,
        pauses: &mut u32,
    ) -> Result<(), ReconcileError> {
        let key = listed.key();
        // Imported articles, and those of other sources, are not this source's to change.
        let of_others = shown
            .range(first_of(&key)..)
            .take_while(|(other, _)| other.article == key.article)
            .any(|(_, article)| !is_own(article.source.as_deref(), &run.source));
        if of_others {
            run.counts.skipped += 1;
            return Ok(());
        }
        let state = match listed {
            Listed::State(state) => state,
            Listed::Unreadable { article, why, .. } => {
                tracing::warn!(
                    source = run.source,
                    article = article.as_str(),
                    why,
                    "a listed article cannot be read and stays as it is"
                );
                run.counts.skipped += 1;
                return Ok(());
            }
            Listed::Entry { article, variant, version } => {
                let known = shown.get(&key);
                let own = |source: &Option<String>| source.as_deref() == Some(run.source.as_str());
                if version.is_some() && known.is_some_and(|known| known.mark == version && own(&known.source)) {
                    return Ok(());
                }
                let read = self.retried(pauses, || self.list.read(&article, variant.as_ref())).await;
                match read.map_err(|source| ReconcileError::List { pages: run.counts.pages, source })? {
                    Some(Listed::State(state)) => ArticleState { version: state.version.or(version), ..state },
                    // It went away in between; the next listing tells.
                    None => return Ok(()),
                    Some(_) => {
                        run.counts.skipped += 1;
                        return Ok(());
                    }
                }
            }
        };
        if state.content.is_none() {
            pass.hidden.push(state);
            return Ok(());
        }
        if self.index.shows(&state, &run.source).await.map_err(ReconcileError::Index)? {
            return Ok(());
        }
        match self.apply(run, &state, pass.begin).await? {
            Applied::Overtaken | Applied::Unchanged => {}
            Applied::Published | Applied::Updated | Applied::Unpublished => run.counts.written += 1,
        }
        Ok(())
    }

    /// Removes what a listing says to be invisible. Of what is not shown the version is remembered, so that an event from
    /// before, which is still to be worked off, does not show it. Returns what is shown after that.
    async fn hide(&self, run: &mut Reconciliation, pass: &Pass) -> Result<Shown, ReconcileError> {
        let shown = self.shown().await?;
        for state in &pass.hidden {
            let key = ArticleKey { article: state.article.clone(), variant: state.variant.clone() };
            let is_shown = match state.is_of_all_variants() {
                true => shown.range(first_of(&key)..).next().is_some_and(|(other, _)| other.article == key.article),
                false => shown.contains_key(&key),
            };
            if is_shown {
                self.remove(run, state, pass.begin).await?;
            } else {
                let (version, origin) = reported(run, state, pass.begin);
                let applied = self.desk.knowledge.apply(state, version, &origin).await;
                applied.map_err(ReconcileError::Index)?;
            }
        }
        self.shown().await
    }

    async fn remove(
        &self,
        run: &mut Reconciliation,
        state: &ArticleState,
        begin: ListingBegin,
    ) -> Result<(), ReconcileError> {
        if self.apply(run, state, begin).await? == Applied::Unpublished {
            run.counts.removed += 1;
        }
        Ok(())
    }

    async fn apply(
        &self,
        run: &Reconciliation,
        state: &ArticleState,
        begin: ListingBegin,
    ) -> Result<Applied, ReconcileError> {
        let (version, origin) = reported(run, state, begin);
        self.desk.apply_article(state, version, &origin).await.map_err(ReconcileError::Write)
    }

    async fn shown(&self) -> Result<Shown, ReconcileError> {
        self.index.shown().await.map_err(ReconcileError::Index)
    }

    async fn page(&self, cursor: Option<&serde_json::Value>, pauses: &mut u32) -> Result<ListedPage, PortError> {
        self.retried(pauses, || self.list.page(cursor)).await
    }

    /// Asks again after the pause that an upstream wants.
    async fn retried<T, F: Future<Output = Result<T, PortError>>>(
        &self,
        pauses: &mut u32,
        ask: impl Fn() -> F,
    ) -> Result<T, PortError> {
        loop {
            let error = match ask().await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let PortErrorKind::RateLimited { retry_after } = &error.kind else { return Err(error) };
            let pause = retry_after.unwrap_or(PAUSE);
            if *pauses >= PAUSES_MAX || pause > PAUSE_MAX {
                return Err(error);
            }
            *pauses += 1;
            tokio::time::sleep(pause).await;
        }
    }
}

/// When a listing reported a state, and which one.
fn reported(run: &Reconciliation, state: &ArticleState, begin: ListingBegin) -> (ArticleVersion, ArticleOrigin) {
    let version = ArticleVersion::new(begin.arrival, begin.at, state.version, state.shown_from());
    (version, ArticleOrigin { source: run.source.clone(), report: ArticleReport::Listing(run.id) })
}

/// The key before all variants of an article.
fn first_of(key: &ArticleKey) -> ArticleKey {
    ArticleKey { article: key.article.clone(), variant: None }
}

/// What an earlier version wrote without naming the source belongs to the first that lists it.
fn is_own(source: Option<&str>, own: &str) -> bool {
    source.is_some_and(|source| source == own || source.is_empty())
}
