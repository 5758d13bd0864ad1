//! A CMS at random against the index: publications, edits, withdrawals, deletions, restrictions and translations, whose
//! events are lost, repeated and out of order, by clocks that are coarse or wrong. What the CMS had withdrawn before the
//! last event that came is not visible; and after one reconciliation the index shows what the CMS shows.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use frontdesk::{
    desk::{
        ArticleIndex, ArticleList, ArticleOrigin, ArticleReport, ArticleVersion, KnowledgeBase, Listed, ListedPage,
        PortError, Reconciler, ReconciliationState,
    },
    domain::{ArticleId, ArticleMark, ArticleState, Clock, Language, Level, Timestamp},
    store::Store,
};
use proptest::prelude::*;

use crate::{
    store_articles::{language, reader, state},
    support::{self, block_on},
};

const ARTICLES: [&str; 2] = ["returns", "perks"];
const VARIANTS: [&str; 2] = ["en", "de"];

/// What an editor does.
#[derive(Debug, Clone, Copy)]
enum Act {
    Write {
        article: usize,
        variant: usize,
        members: bool,
    },
    Withdraw {
        article: usize,
        variant: usize,
    },
    Delete {
        article: usize,
    },
    /// Nothing, for so many seconds.
    Wait(u8),
}

/// How the CMS says when something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Marks {
    /// Whole seconds, of a clock that is ahead by so many.
    Seconds(i64),
    /// The same, and deletions say no time.
    UntimedDeletions,
    Numbers,
}

/// What becomes of the event of an act.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Delivered,
    Lost,
    Twice,
    /// After so many later ones.
    Late(usize),
}

#[derive(Debug, Clone)]
struct Sent {
    /// The order in which it happened.
    at: usize,
    states: Vec<ArticleState>,
}

/// The CMS itself: who may see each variant, and its text.
#[derive(Debug, Default)]
struct Cms {
    now_ms: i64,
    number: i64,
    shown: BTreeMap<(usize, usize), (Level, String)>,
}

impl Cms {
    fn mark(&mut self, marks: Marks, start: Timestamp, deletion: bool) -> Option<ArticleMark> {
        self.number += 1;
        let seconds = |ahead: i64| {
            let at = (start.unix_ms() + self.now_ms).div_euclid(1000) + ahead;
            Some(ArticleMark::Time(Timestamp::from_unix_ms(at * 1000).unwrap()))
        };
        match marks {
            Marks::Seconds(ahead) => seconds(ahead),
            Marks::UntimedDeletions if deletion => None,
            Marks::UntimedDeletions => seconds(0),
            Marks::Numbers => Some(ArticleMark::Number(self.number)),
        }
    }

    /// Does it, and returns what it reports.
    fn act(&mut self, at: usize, act: Act, marks: Marks, start: Timestamp) -> Option<Sent> {
        self.now_ms += 350;
        let state = match act {
            Act::Wait(seconds) => {
                self.now_ms += i64::from(seconds) * 1000;
                return None;
            }
            Act::Write { article, variant, members } => {
                let level = if members { Level::Verified } else { Level::Anonymous };
                let text = format!("Text {at}.");
                self.shown.insert((article, variant), (level, text.clone()));
                let mut written = state(ARTICLES[article], Some(VARIANTS[variant]), Some(("Title", &text)));
                written.content.as_mut().unwrap().audience = level;
                ArticleState { version: self.mark(marks, start, false), ..written }
            }
            Act::Withdraw { article, variant } => {
                self.shown.remove(&(article, variant));
                let withdrawn = state(ARTICLES[article], Some(VARIANTS[variant]), None);
                ArticleState { version: self.mark(marks, start, false), ..withdrawn }
            }
            Act::Delete { article } => {
                self.shown.retain(|(of, _), _| *of != article);
                ArticleState { version: self.mark(marks, start, true), ..state(ARTICLES[article], None, None) }
            }
        };
        Some(Sent { at, states: vec![state] })
    }
}

/// The order in which events arrive.
fn deliveries(sent: Vec<(Sent, Fate)>) -> Vec<Sent> {
    let mut arriving: Vec<(usize, usize, Sent)> = Vec::new();
    for (n, (event, fate)) in sent.into_iter().enumerate() {
        match fate {
            Fate::Lost => {}
            Fate::Delivered => arriving.push((n, 0, event)),
            Fate::Twice => {
                arriving.push((n, 0, event.clone()));
                arriving.push((n + 3, 1, event));
            }
            Fate::Late(by) => arriving.push((n + by, 1, event)),
        }
    }
    arriving.sort_by_key(|(n, late, _)| (*n, *late));
    arriving.into_iter().map(|(_, _, event)| event).collect()
}

/// The CMS's own listing: what is shown with its text, what is withdrawn as not visible, and nothing of what is deleted.
struct Lists(Vec<Listed>);

#[async_trait]
impl ArticleList for Lists {
    async fn page(&self, cursor: Option<&serde_json::Value>) -> Result<ListedPage, PortError> {
        let from = cursor.and_then(serde_json::Value::as_u64).unwrap_or(0) as usize;
        let articles = self.0.iter().skip(from).take(2).cloned().collect();
        let next = (from + 2 < self.0.len()).then(|| (from + 2).into());
        Ok(ListedPage { articles, next, complete: true })
    }

    async fn read(&self, _: &ArticleId, _: Option<&Language>) -> Result<Option<Listed>, PortError> {
        unreachable!("every article is listed with its text")
    }
}

struct Desk {
    directory: tempfile::TempDir,
    store: Arc<Store>,
    arrivals: i64,
}

impl Desk {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("frontdesk.db"), Clock::system()).unwrap();
        Self { directory, store: Arc::new(store), arrivals: 0 }
    }

    async fn receive(&mut self, event: &Sent, received_at: Timestamp) {
        for state in &event.states {
            self.arrivals += 1;
            let version = ArticleVersion::new(self.arrivals, received_at, state.version, state.shown_from());
            let origin = ArticleOrigin { source: "cms".to_owned(), report: ArticleReport::Event(self.arrivals) };
            self.store.apply(state, version, &origin).await.unwrap();
        }
    }

    /// Reconciles with what the CMS lists, once.
    async fn reconcile(&self, listed: Vec<Listed>) -> ReconciliationState {
        // As if these events had come through the inbox.
        let numbers = rusqlite::Connection::open(self.directory.path().join("frontdesk.db")).unwrap();
        numbers.busy_timeout(Duration::from_secs(5)).unwrap();
        numbers.execute("DELETE FROM sqlite_sequence WHERE name = 'events'", []).unwrap();
        numbers.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('events', ?1)", [self.arrivals]).unwrap();
        let desk = support::desk(&self.store, self.store.clone(), self.store.clone());
        self.store.ask("cms", true).await.unwrap();
        let asked = self.store.next_asked(true).await.unwrap().unwrap();
        let reconciler = Reconciler { desk: &desk, index: &*self.store, list: Arc::new(Lists(listed)) };
        reconciler.run(asked).await.unwrap().state
    }

    /// What a customer of a level reads of a variant, and of no other.
    async fn shows(&self, article: usize, variant: usize, level: Level) -> Option<String> {
        let id = ArticleId::parse(ARTICLES[article]).unwrap();
        let found = self.store.get(&id, &reader(level, &[VARIANTS[variant]])).await.unwrap()?;
        (found.variant == Some(language(VARIANTS[variant]))).then_some(found.body)
    }
}

async fn shows_what_the_cms_shows(desk: &Desk, cms: &Cms) -> Result<(), TestCaseError> {
    for article in 0..ARTICLES.len() {
        for variant in 0..VARIANTS.len() {
            let truth = cms.shown.get(&(article, variant));
            for level in [Level::Anonymous, Level::Verified] {
                let visible = truth.filter(|(from, _)| *from <= level).map(|(_, text)| text.clone());
                prop_assert_eq!(desk.shows(article, variant, level).await, visible);
            }
        }
    }
    Ok(())
}

fn acts() -> impl Strategy<Value = Vec<(Act, Fate)>> {
    let (article, variant) = (0..ARTICLES.len(), 0..VARIANTS.len());
    let act = prop_oneof![
        4 => (article.clone(), variant.clone(), any::<bool>())
            .prop_map(|(article, variant, members)| Act::Write { article, variant, members }),
        3 => (article.clone(), variant).prop_map(|(article, variant)| Act::Withdraw { article, variant }),
        1 => article.prop_map(|article| Act::Delete { article }),
        2 => (0u8..4).prop_map(Act::Wait),
    ];
    let fate = prop_oneof![
        5 => Just(Fate::Delivered),
        1 => Just(Fate::Lost),
        1 => Just(Fate::Twice),
        3 => (1usize..6).prop_map(Fate::Late),
    ];
    prop::collection::vec((act, fate), 1..25)
}

fn marks() -> impl Strategy<Value = Marks> {
    prop_oneof![
        Just(Marks::Seconds(0)),
        Just(Marks::Seconds(-170)),
        Just(Marks::Seconds(170)),
        Just(Marks::Seconds(7_200)),
        Just(Marks::UntimedDeletions),
        Just(Marks::Numbers),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_withdrawn_is_not_visible_whatever_the_order(acts in acts(), marks in marks()) {
        block_on(async {
            let (mut cms, mut desk) = (Cms::default(), Desk::new());
            let start = Timestamp::parse("2026-11-27T12:00:00.250Z").unwrap();
            let mut sent = Vec::new();
            // What each variant was after each act, and when.
            let mut history: Vec<BTreeMap<(usize, usize), (Level, String)>> = Vec::new();
            let mut times = Vec::new();
            for (at, (act, fate)) in acts.into_iter().enumerate() {
                if let Some(event) = cms.act(at, act, marks, start) {
                    sent.push((event, fate));
                }
                history.push(cms.shown.clone());
                times.push(cms.now_ms);
            }
            // The latest act that each variant is known by.
            let mut known: BTreeMap<(usize, usize), usize> = BTreeMap::new();
            let mut now = 0;
            for event in deliveries(sent) {
                now = now.max(times[event.at]) + 20;
                let received_at = start.plus(Duration::from_millis(now.unsigned_abs()));
                desk.receive(&event, received_at).await;
                for state in &event.states {
                    let article = ARTICLES.iter().position(|id| *id == state.article.as_str()).unwrap();
                    for (variant, name) in VARIANTS.iter().enumerate() {
                        if state.variant.as_ref().is_none_or(|own| own.as_str() == *name) {
                            let latest = known.entry((article, variant)).or_default();
                            *latest = (*latest).max(event.at);
                        }
                    }
                }
                for (&(article, variant), &latest) in &known {
                    let truth = history[latest].get(&(article, variant));
                    for level in [Level::Anonymous, Level::Verified] {
                        if truth.is_none_or(|(from, _)| *from > level) {
                            prop_assert_eq!(desk.shows(article, variant, level).await, None,
                                "{} {} for {:?} after act {}", ARTICLES[article], VARIANTS[variant], level, event.at);
                        }
                    }
                }
            }
            Ok(())
        })?;
    }

    #[test]
    fn one_reconciliation_heals(acts in acts(), marks in marks()) {
        block_on(async {
            let (mut cms, mut desk) = (Cms::default(), Desk::new());
            let start = Timestamp::parse("2026-11-27T12:00:00.250Z").unwrap();
            let mut sent = Vec::new();
            // The last state of each variant that is not deleted, as the CMS knows it.
            let mut states: BTreeMap<(usize, usize), ArticleState> = BTreeMap::new();
            for (at, (act, fate)) in acts.into_iter().enumerate() {
                let Some(event) = cms.act(at, act, marks, start) else { continue };
                match act {
                    Act::Delete { article } => states.retain(|(of, _), _| *of != article),
                    Act::Write { article, variant, .. } | Act::Withdraw { article, variant } => {
                        states.insert((article, variant), event.states[0].clone());
                    }
                    Act::Wait(_) => {}
                }
                sent.push((event, fate));
            }
            for (n, event) in deliveries(sent).into_iter().enumerate() {
                let received_at = start.plus(Duration::from_millis(20_000 + n as u64));
                desk.receive(&event, received_at).await;
            }
            let listed = states.into_values().map(Listed::State).collect();
            prop_assert_eq!(desk.reconcile(listed).await, ReconciliationState::Done);
            shows_what_the_cms_shows(&desk, &cms).await
        })?;
    }

    /// Nothing lost, nothing out of order, and a second between acts: the index is the CMS.
    #[test]
    fn what_arrives_in_order_is_what_is_shown(acts in acts(), marks in marks()) {
        block_on(async {
            let (mut cms, mut desk) = (Cms::default(), Desk::new());
            let start = Timestamp::parse("2026-11-27T12:00:00.250Z").unwrap();
            for (at, (act, _)) in acts.into_iter().enumerate() {
                cms.now_ms += 1_000;
                if let Some(event) = cms.act(at, act, marks, start) {
                    // A clock that is behind hides for as long what is published again after an untimed deletion.
                    desk.receive(&event, start.plus(Duration::from_millis(cms.now_ms.unsigned_abs() + 20))).await;
                }
            }
            shows_what_the_cms_shows(&desk, &cms).await
        })?;
    }
}
