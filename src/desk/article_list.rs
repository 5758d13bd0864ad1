//! What a CMS lists: the port to it, and what a listing means. The decisions are pure.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;

use super::PortError;
use crate::domain::{ArticleId, ArticleMark, ArticleState, Language, Level, Timestamp};

/// A system that lists its articles, page by page.
#[async_trait]
pub trait ArticleList: Send + Sync {
    /// The page at a cursor; without one, the first.
    async fn page(&self, cursor: Option<&serde_json::Value>) -> Result<ListedPage, PortError>;

    /// One article in full. None: it is not there any more.
    async fn read(&self, article: &ArticleId, variant: Option<&Language>) -> Result<Option<Listed>, PortError>;
}

/// One page of a listing.
#[derive(Debug, Clone)]
pub struct ListedPage {
    pub articles: Vec<Listed>,
    /// Where the next page is. None: this is the last one.
    pub next: Option<serde_json::Value>,
    /// Whether the CMS lists all that it has.
    pub complete: bool,
}

/// An article as it is listed.
#[derive(Debug, Clone, PartialEq)]
pub enum Listed {
    /// With its text, or not visible.
    State(ArticleState),
    /// Visible, and without its text.
    Entry { article: ArticleId, variant: Option<Language>, version: Option<ArticleMark> },
    /// It is there and cannot be read. It stays as it is.
    Unreadable { article: ArticleId, variant: Option<Language>, why: String },
}

impl Listed {
    pub fn key(&self) -> ArticleKey {
        let (article, variant) = match self {
            Self::State(state) => (&state.article, &state.variant),
            Self::Entry { article, variant, .. } | Self::Unreadable { article, variant, .. } => (article, variant),
        };
        ArticleKey { article: article.clone(), variant: variant.clone() }
    }
}

/// A variant of an article; without one, the article that has none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ArticleKey {
    pub article: ArticleId,
    pub variant: Option<Language>,
}

/// An article that the index shows.
#[derive(Debug, Clone, PartialEq)]
pub struct ShownArticle {
    pub key: ArticleKey,
    /// What wrote it. None: it was imported.
    pub source: Option<String>,
    pub audience: Level,
    /// The number of the event, or of the last event before the listing, that reported its state.
    pub arrival: i64,
    pub mark: Option<ArticleMark>,
}

/// The articles that the index shows, by key.
pub type Shown = BTreeMap<ArticleKey, ShownArticle>;

/// The moment when a listing began.
#[derive(Debug, Clone, Copy)]
pub struct ListingBegin {
    /// The number of the last event that had arrived.
    pub arrival: i64,
    pub at: Timestamp,
}

/// What a listing has shown so far, without texts.
#[derive(Debug, Default)]
pub struct Listing {
    keys: BTreeSet<ArticleKey>,
    articles: BTreeSet<ArticleId>,
    /// Articles that are listed as a whole: not visible in any variant, or not readable.
    whole: BTreeSet<ArticleId>,
    complete: bool,
    pages: u64,
    cursors: BTreeSet<String>,
}

/// Why a listing is given up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListingFault {
    #[error("the listing repeats a cursor; see next in knowledge.list")]
    Repeats,
    #[error("the listing has more than {PAGES_MAX} pages")]
    TooManyPages,
    #[error("the listing has more than {LISTED_MAX} articles")]
    TooManyArticles,
    #[error("the listing's cursor is longer than {CURSOR_BYTES_MAX} bytes")]
    LongCursor,
}

const PAGES_MAX: u64 = 20_000;
const LISTED_MAX: usize = 200_000;
const CURSOR_BYTES_MAX: usize = 4096;

impl Listing {
    pub fn new() -> Self {
        Self { complete: true, ..Self::default() }
    }

    /// Takes note of a page.
    pub fn add(&mut self, page: &ListedPage) -> Result<(), ListingFault> {
        self.pages += 1;
        self.complete &= page.complete;
        for listed in &page.articles {
            let key = listed.key();
            let of_all = match listed {
                Listed::State(state) => state.is_of_all_variants(),
                Listed::Unreadable { variant, .. } => variant.is_none(),
                Listed::Entry { .. } => false,
            };
            if of_all {
                self.whole.insert(key.article.clone());
            }
            self.articles.insert(key.article.clone());
            self.keys.insert(key);
        }
        if self.keys.len() > LISTED_MAX {
            return Err(ListingFault::TooManyArticles);
        }
        let Some(next) = &page.next else { return Ok(()) };
        let cursor = next.to_string();
        if cursor.len() > CURSOR_BYTES_MAX {
            return Err(ListingFault::LongCursor);
        }
        if !self.cursors.insert(cursor) {
            return Err(ListingFault::Repeats);
        }
        if self.pages >= PAGES_MAX { Err(ListingFault::TooManyPages) } else { Ok(()) }
    }

    pub fn is_complete(&self) -> bool {
        self.complete
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    fn names(&self, key: &ArticleKey) -> bool {
        // An article that was shown without variants and has some now is one of them.
        let named_since = key.variant.is_none() && self.articles.contains(&key.article);
        self.keys.contains(key) || self.whole.contains(&key.article) || named_since
    }

    /// What is shown as the source's own and is not listed, of what was the same when the listing began.
    pub fn absent(&self, shown: &Shown, source: &str, begin: ListingBegin) -> BTreeSet<ArticleKey> {
        let own =
            |article: &&ShownArticle| article.source.as_deref() == Some(source) && article.arrival <= begin.arrival;
        let absent = shown.values().filter(own).filter(|article| !self.names(&article.key));
        absent.map(|article| article.key.clone()).collect()
    }
}

/// What becomes of articles that two listings in a row do not name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removal {
    Nothing,
    Goes(Vec<ArticleKey>),
    /// It waits for `--apply`.
    Waits {
        articles: u64,
        why: String,
    },
}

/// More than these are not removed unasked. One article may always go.
const REMOVED_MAX: usize = 10;
const REMOVED_PERCENT_MAX: usize = 10;

/// Decides about what both of two complete listings lack.
pub fn removal(absent: &BTreeSet<ArticleKey>, empty: bool, shown: &Shown, source: &str, apply: bool) -> Removal {
    if absent.is_empty() {
        return Removal::Nothing;
    }
    let ids =
        |keys: &mut dyn Iterator<Item = &ArticleKey>| keys.map(|key| key.article.clone()).collect::<BTreeSet<_>>();
    let gone = ids(&mut absent.iter()).len();
    let own = shown.values().filter(|article| article.source.as_deref() == Some(source));
    let all = ids(&mut own.map(|article| &article.key)).len();
    let why = if empty {
        "the listing is empty".to_owned()
    } else if gone > REMOVED_MAX {
        format!("the listing lacks {gone} articles, and more than {REMOVED_MAX} are not removed unasked")
    } else if gone > 1 && gone * 100 > all * REMOVED_PERCENT_MAX {
        format!(
            "the listing lacks {gone} of {all} articles, and more than {REMOVED_PERCENT_MAX} % are not removed unasked"
        )
    } else {
        String::new()
    };
    if apply || why.is_empty() {
        Removal::Goes(absent.iter().cloned().collect())
    } else {
        Removal::Waits { articles: gone as u64, why }
    }
}

/// The states that take absent articles away: of an article that is not listed at all, one for all its variants.
pub fn removed_states(absent: &[ArticleKey], shown: &Shown) -> Vec<ArticleState> {
    let absent: BTreeSet<&ArticleKey> = absent.iter().collect();
    let stays: BTreeSet<&ArticleId> =
        shown.keys().filter(|key| !absent.contains(key)).map(|key| &key.article).collect();
    let mut states = BTreeMap::new();
    for key in absent {
        // Without a variant, a state would take the others away, too.
        if key.variant.is_none() && stays.contains(&key.article) {
            continue;
        }
        let variant = key.variant.clone().filter(|_| stays.contains(&key.article));
        let article = key.article.clone();
        let state = ArticleState {
            article: article.clone(),
            variant: variant.clone(),
            variants: None,
            version: None,
            content: None,
        };
        states.insert((article, variant), state);
    }
    states.into_values().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BEGIN: i64 = 100;

    fn key(n: u8, variant: u8) -> ArticleKey {
        let variant = ["", "en", "de"][usize::from(variant)];
        ArticleKey {
            article: ArticleId::parse(&format!("a{n}")).unwrap(),
            variant: (!variant.is_empty()).then(|| Language::parse(variant).unwrap()),
        }
    }

    fn begin() -> ListingBegin {
        ListingBegin { arrival: BEGIN, at: Timestamp::from_unix_ms(0).unwrap() }
    }

    fn shown(articles: &[(u8, u8, Option<&str>, i64)]) -> Shown {
        let one = |(n, variant, source, arrival): &(u8, u8, Option<&str>, i64)| {
            let (key, source) = (key(*n, *variant), source.map(str::to_owned));
            let article =
                ShownArticle { key: key.clone(), source, audience: Level::Anonymous, arrival: *arrival, mark: None };
            (key, article)
        };
        articles.iter().map(one).collect()
    }

    fn listed(keys: &[(u8, u8)]) -> Listing {
        let entry = |(n, variant): &(u8, u8)| {
            let ArticleKey { article, variant } = key(*n, *variant);
            Listed::Entry { article, variant, version: None }
        };
        let mut listing = Listing::new();
        let page = ListedPage { articles: keys.iter().map(entry).collect(), next: None, complete: true };
        listing.add(&page).unwrap();
        listing
    }

    fn decide(shown: &Shown, listing: &Listing, apply: bool) -> Removal {
        removal(&listing.absent(shown, "cms", begin()), listing.is_empty(), shown, "cms", apply)
    }

    #[test]
    fn one_may_always_go_and_many_wait() {
        let own = |n: u8| (0..n).map(|n| (n, 0, Some("cms"), 1)).collect::<Vec<_>>();
        let rest = |from: u8, n: u8| listed(&(from..n).map(|n| (n, 0)).collect::<Vec<_>>());
        assert_eq!(decide(&shown(&own(3)), &rest(1, 3), false), Removal::Goes(vec![key(0, 0)]));
        assert!(matches!(decide(&shown(&own(3)), &rest(2, 3), false), Removal::Waits { articles: 2, .. }));
        assert!(matches!(decide(&shown(&own(3)), &rest(2, 3), true), Removal::Goes(gone) if gone.len() == 2));
        assert!(matches!(decide(&shown(&own(1)), &rest(1, 1), false), Removal::Waits { articles: 1, .. }), "empty");
        assert!(matches!(decide(&shown(&own(200)), &rest(10, 200), false), Removal::Goes(gone) if gone.len() == 10));
        assert!(matches!(decide(&shown(&own(200)), &rest(11, 200), false), Removal::Waits { articles: 11, .. }));
        assert_eq!(decide(&shown(&own(3)), &rest(0, 3), false), Removal::Nothing);
    }

    #[test]
    fn cursors_that_repeat_end_a_listing() {
        let page = |next: u8| ListedPage { articles: Vec::new(), next: Some(next.into()), complete: true };
        let mut listing = Listing::new();
        assert_eq!((listing.add(&page(1)), listing.add(&page(2))), (Ok(()), Ok(())));
        assert_eq!(listing.add(&page(1)), Err(ListingFault::Repeats));
        let long = ListedPage { next: Some("x".repeat(5000).into()), ..page(1) };
        assert_eq!(listing.add(&long), Err(ListingFault::LongCursor));
    }

    proptest! {
        #[test]
        fn only_what_is_the_sources_own_and_not_listed_and_unchanged_goes(
            articles in prop::collection::vec(
                (0..6u8, 0..3u8, prop::sample::select(vec![None, Some("cms"), Some("other")]), 98..103i64), 0..12),
            keys in prop::collection::vec((0..6u8, 0..3u8), 0..8),
        ) {
            let (shown, listing) = (shown(&articles), listed(&keys));
            let Removal::Goes(gone) = decide(&shown, &listing, true) else { return Ok(()) };
            for key in &gone {
                let article = &shown[key];
                prop_assert!(article.source.as_deref() == Some("cms") && article.arrival <= BEGIN);
                prop_assert!(!listing.names(key));
            }
            for state in removed_states(&gone, &shown) {
                prop_assert!(state.content.is_none());
                // What it takes away with it is gone, too.
                let taken = shown.keys().filter(|key| {
                    key.article == state.article && (state.variant.is_none() || key.variant == state.variant)
                });
                for key in taken {
                    prop_assert!(gone.contains(key));
                }
            }
        }
    }
}
