//! The contract of a store engine: one suite, run against every engine. A second engine only has to be named in `engines`.

use std::{sync::Arc, time::Duration};

use frontdesk::{
    desk::{
        ArticleChanges, AuditFilter, AuditLog, AuditRecord, Begin, Claim, Crm, Decision, Fingerprint, Helpdesk,
        KnowledgeBase, Ledger, OrderSystem, PortErrorKind, Verdict,
    },
    domain::{
        Clock, Comment, ContactFields, Customer, CustomerId, EffectId, Email, FieldName, FieldValue, Level, NewTicket,
        OrderId, Priority, Record, TicketId,
    },
    store::Store,
};
use proptest::prelude::*;

use crate::{store_articles::anybody, support::block_on};

/// What a desk asks of an engine.
pub trait Engine: OrderSystem + Helpdesk + Crm + KnowledgeBase + ArticleChanges + Ledger + AuditLog {}
impl<T: OrderSystem + Helpdesk + Crm + KnowledgeBase + ArticleChanges + Ledger + AuditLog> Engine for T {}

pub struct Fixture {
    pub engine: Arc<dyn Engine>,
    /// The same data through another connection, as another process has it.
    beside: Arc<dyn Engine>,
    pub clock: Clock,
    _directory: tempfile::TempDir,
}

async fn sqlite() -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("frontdesk.db");
    let clock = Clock::movable();
    let store = Store::open(&path, clock.clone()).unwrap();
    store.import(frontdesk::import::samples().unwrap()).await.unwrap();
    let beside = Store::open(&path, clock.clone()).unwrap();
    Fixture { engine: Arc::new(store), beside: Arc::new(beside), clock, _directory: directory }
}

/// Runs a check against every engine there is.
pub async fn engines<F: Future<Output = ()>>(check: impl Fn(Fixture) -> F) {
    check(sqlite().await).await;
}

fn ada() -> Customer {
    Customer {
        id: CustomerId::parse("builtin:cus_ada").unwrap(),
        linked: Vec::new(),
        level: Level::Verified,
        email: Some(Email::parse("ada@example.com").unwrap()),
        email_verified: true,
        name: None,
        language: None,
        typed: false,
        email_by_code: None,
    }
}

fn ticket(subject: &str) -> NewTicket {
    NewTicket {
        requester: ada(),
        conversation: None,
        subject: subject.to_owned(),
        description: "d".to_owned(),
        priority: Priority::Normal,
        category: None,
        order_id: None,
        tags: Vec::new(),
        fields: Default::default(),
    }
}

fn claim(clock: &Clock, key: &str, arguments: &str) -> Claim {
    let call = frontdesk::desk::Call {
        caller: frontdesk::identity::Caller {
            subject: frontdesk::identity::Subject::Customer(ada()),
            agent: None,
            conversation: None,
            code_conversation: None,
            context_id: None,
            origin: None,
            issued_at: None,
        },
        tool: "create_ticket",
        fingerprint: Fingerprint::of(arguments.as_bytes()),
        idempotency_key: Some(frontdesk::desk::IdempotencyKey::parse(key).unwrap()),
        repeat_window: None,
    };
    Claim {
        effect_key: frontdesk::desk::EffectKey::of(&call, &ada().id),
        fingerprint: call.fingerprint,
        expires_at: clock.now().plus(Duration::from_secs(3600)),
        customer: ada().id,
        linked: Vec::new(),
        conversation: None,
        plan: Default::default(),
    }
}

fn record(clock: &Clock, verdict: Verdict) -> AuditRecord {
    AuditRecord {
        at: clock.now(),
        agent: None,
        customer: Some(ada().id),
        staff: None,
        conversation: None,
        context_id: None,
        origin: None,
        tool: "create_ticket".into(),
        decision: Decision::new(verdict),
    }
}

#[tokio::test]
async fn an_order_is_found_by_its_number() {
    engines(|fixture| async move {
        let fixture = fixture;
        for written in ["1001", "#1001"] {
            let order = fixture.engine.find(&OrderId::parse(written).unwrap()).await.unwrap().unwrap();
            assert_eq!(order.id.as_str(), "1001");
        }
        assert!(fixture.engine.find(&OrderId::parse("100").unwrap()).await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn one_effect_makes_one_ticket_and_one_note() {
    engines(|fixture| async move {
        let fixture = fixture;
        let effect = EffectId::fresh();
        let new = ticket("s");
        let both = futures::future::join(
            fixture.engine.create_ticket(&new, &effect),
            fixture.beside.create_ticket(&new, &effect),
        )
        .await;
        let (one, two) = (both.0.unwrap(), both.1.unwrap());
        assert_eq!(one.record, two.record);
        assert!(one.fresh != two.fresh, "exactly one of them opened it");
        let contact = fixture.engine.find_contact(&ada()).await.unwrap().unwrap().id;
        let first = fixture.engine.add_note(&contact, "n", &effect).await.unwrap();
        assert_eq!(fixture.beside.add_note(&contact, "n", &effect).await.unwrap(), first);
        assert_ne!(fixture.engine.add_note(&contact, "n", &EffectId::fresh()).await.unwrap(), first);
    })
    .await;
}

#[tokio::test]
async fn a_contact_is_written_over_and_says_what_was_there() {
    engines(|fixture| async move {
        let fixture = fixture;
        let company = FieldName::parse("company").unwrap();
        let fields = |text| ContactFields::from([(company.clone(), FieldValue::parse(&company, text).unwrap())]);
        let contact = fixture.engine.find_contact(&ada()).await.unwrap().unwrap();
        let saved = fixture.engine.save_contact(&ada(), Some(&contact), &fields("New"), None).await.unwrap();
        assert_eq!(saved.before[&company].as_str(), "Analytical Engines");
        let after = fixture.beside.find_contact(&ada()).await.unwrap().unwrap();
        assert_eq!((after.fields[&company].as_str(), after.fields.len()), ("New", contact.fields.len()));
        let nobody = Customer { id: CustomerId::parse("shop:7").unwrap(), email: None, ..ada() };
        assert!(fixture.engine.find_contact(&nobody).await.unwrap().is_none());
        let made = fixture.engine.save_contact(&nobody, None, &fields("Seven"), None).await.unwrap();
        assert_eq!(made.before, ContactFields::new());
        assert_eq!(fixture.engine.find_contact(&nobody).await.unwrap().unwrap().id, made.id);
    })
    .await;
}

#[tokio::test]
async fn the_ledger_knows_fresh_doubt_done_and_reuse() {
    engines(|fixture| async move {
        let fixture = fixture;
        let Fixture { engine, beside, clock, .. } = &fixture;
        let Begin::Fresh { effect } = engine.begin(&claim(clock, "k", "a")).await.unwrap() else { panic!("not fresh") };
        let Begin::InDoubt { effect: again, since, ended: false } =
            beside.begin(&claim(clock, "k", "a")).await.unwrap()
        else {
            panic!("not in doubt")
        };
        assert!(effect == again && since <= clock.now());
        engine.leave(&effect).await.unwrap();
        assert!(matches!(engine.begin(&claim(clock, "k", "a")).await.unwrap(), Begin::InDoubt { ended: true, .. }));
        assert!(matches!(engine.begin(&claim(clock, "k", "b")).await.unwrap(), Begin::KeyReused));
        let receipt = serde_json::json!({ "ticket": 1 });
        engine.finish(&effect, receipt.clone(), record(clock, Verdict::Allowed)).await.unwrap();
        // Whoever comes second does not change what was recorded.
        engine.finish(&effect, serde_json::json!({}), record(clock, Verdict::Allowed)).await.unwrap();
        let Begin::Done { receipt: recorded } = beside.begin(&claim(clock, "k", "a")).await.unwrap() else {
            panic!("not done")
        };
        assert_eq!(recorded, receipt);
        clock.advance(Duration::from_secs(3599));
        assert!(matches!(engine.begin(&claim(clock, "k", "a")).await.unwrap(), Begin::Done { .. }));
        clock.advance(Duration::from_secs(2));
        assert!(matches!(engine.begin(&claim(clock, "k", "b")).await.unwrap(), Begin::Fresh { .. }));
    })
    .await;
}

#[tokio::test]
async fn an_effect_in_doubt_is_begun_again_by_one_and_released_for_all() {
    engines(|fixture| async move {
        let fixture = fixture;
        let Fixture { engine, beside, clock, .. } = &fixture;
        let claim = || claim(clock, "k", "a");
        let Begin::Fresh { effect } = engine.begin(&claim()).await.unwrap() else { panic!("not fresh") };
        clock.advance(Duration::from_secs(90));
        let Begin::InDoubt { since, .. } = engine.begin(&claim()).await.unwrap() else { panic!("not in doubt") };
        assert!((90_000..95_000).contains(&(clock.now().unix_ms() - since.unix_ms())));
        let both = futures::future::join(engine.begin_again(&effect, since), beside.begin_again(&effect, since)).await;
        assert!(both.0.unwrap() != both.1.unwrap(), "exactly one of them may try");
        let Begin::InDoubt { since: later, .. } = engine.begin(&claim()).await.unwrap() else { panic!("not in doubt") };
        assert!(later > since);
        // Somebody else is sending the same request: nobody can say for both that it was not done.
        assert!(engine.join(&effect).await.unwrap());
        beside.release(&effect).await.unwrap();
        let Begin::InDoubt { since: later, .. } = engine.begin(&claim()).await.unwrap() else { panic!("not in doubt") };
        clock.advance(Duration::from_secs(1));
        assert!(beside.begin_again(&effect, later).await.unwrap());
        beside.release(&effect).await.unwrap();
        assert!(!engine.join(&effect).await.unwrap(), "it is gone");
        let Begin::Fresh { effect: other } = engine.begin(&claim()).await.unwrap() else { panic!("not fresh") };
        assert_ne!(effect, other);
        // What is done stays done.
        engine.finish(&other, serde_json::json!(1), record(clock, Verdict::Allowed)).await.unwrap();
        engine.release(&other).await.unwrap();
        assert!(!engine.begin_again(&other, clock.now()).await.unwrap());
        assert!(matches!(engine.begin(&claim()).await.unwrap(), Begin::Done { .. }));
    })
    .await;
}

#[tokio::test]
async fn a_ticket_is_found_by_its_effect_and_takes_comments_once() {
    engines(|fixture| async move {
        let fixture = fixture;
        let Fixture { engine, beside, .. } = &fixture;
        let effect = EffectId::fresh();
        assert!(engine.find_ticket(&effect).await.unwrap().is_none());
        let opened = engine.create_ticket(&ticket("s"), &effect).await.unwrap().record;
        assert_eq!(beside.find_ticket(&effect).await.unwrap(), Some(opened.clone()));
        let (comment, more) = (EffectId::fresh(), Comment { text: "More.".to_owned(), priority: Some(Priority::High) });
        for engine in [engine, beside] {
            engine.add_comment(&opened.id, &more, &comment).await.unwrap();
        }
        for unknown in ["T-9999", "T-1", "other"] {
            let unknown = TicketId::parse(unknown).unwrap();
            let refused = engine.add_comment(&unknown, &more, &EffectId::fresh()).await.unwrap_err();
            assert_eq!(refused.kind, PortErrorKind::Closed, "{unknown}: {refused}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_contact_is_saved_once_under_one_effect() {
    engines(|fixture| async move {
        let fixture = fixture;
        let Fixture { engine, beside, .. } = &fixture;
        let company = FieldName::parse("company").unwrap();
        let fields = |text| ContactFields::from([(company.clone(), FieldValue::parse(&company, text).unwrap())]);
        let contact = engine.find_contact(&ada()).await.unwrap().unwrap();
        let effect = EffectId::fresh();
        let first = engine.save_contact(&ada(), Some(&contact), &fields("One"), Some(&effect)).await.unwrap();
        engine.save_contact(&ada(), Some(&contact), &fields("Two"), None).await.unwrap();
        // The repeat writes nothing, and says what the first one replaced.
        let again = beside.save_contact(&ada(), Some(&contact), &fields("One"), Some(&effect)).await.unwrap();
        assert_eq!((&again.id, &again.before), (&first.id, &first.before));
        let now = engine.find_contact(&ada()).await.unwrap().unwrap();
        assert_eq!(now.fields[&company].as_str(), "Two");
    })
    .await;
}

#[tokio::test]
async fn of_many_claims_at_once_one_is_fresh() {
    engines(|fixture| async move {
        let fixture = fixture;
        let Fixture { engine, beside, clock, .. } = &fixture;
        let claims = (0..100).map(|n| if n % 2 == 0 { engine } else { beside }).map(|engine| async {
            matches!(engine.begin(&claim(clock, "k", "a")).await.unwrap(), Begin::Fresh { .. })
        });
        assert_eq!(futures::future::join_all(claims).await.into_iter().filter(|fresh| *fresh).count(), 1);
    })
    .await;
}

#[tokio::test]
async fn audit_records_are_kept_in_order_and_filtered() {
    engines(|fixture| async move {
        let fixture = fixture;
        let Fixture { engine, beside, clock, .. } = &fixture;
        for verdict in [Verdict::Allowed, Verdict::Foreign, Verdict::Absent] {
            engine.record(record(clock, verdict)).await.unwrap();
            clock.advance(Duration::from_secs(60));
        }
        let read = async |filter: AuditFilter| -> Vec<Verdict> {
            engine.read(&filter).await.unwrap().iter().map(|record| record.verdict).collect()
        };
        let all = AuditFilter { limit: 10, ..AuditFilter::default() };
        assert_eq!(read(all.clone()).await, [Verdict::Absent, Verdict::Foreign, Verdict::Allowed]);
        assert_eq!(read(AuditFilter { limit: 1, ..all.clone() }).await, [Verdict::Absent]);
        assert_eq!(read(AuditFilter { verdict: Some(Verdict::Foreign), ..all.clone() }).await, [Verdict::Foreign]);
        let since = Some(clock.now().minus(Duration::from_secs(90)));
        assert_eq!(read(AuditFilter { since, ..all.clone() }).await, [Verdict::Absent]);
        let other = vec![CustomerId::parse("builtin:cus_grace").unwrap()];
        assert!(read(AuditFilter { customers: other, ..all.clone() }).await.is_empty());
        let hashes: Vec<_> = beside.read(&all).await.unwrap().into_iter().map(|record| record.customer_hash).collect();
        assert!(hashes.iter().all(|hash| *hash == hashes[0]), "one customer has one hash, in every process");
    })
    .await;
}

#[tokio::test]
async fn neighbours_of_a_failing_write_are_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&directory.path().join("frontdesk.db"), Clock::system()).unwrap();
    let contact = frontdesk::domain::ContactId::parse("cus_ada").unwrap();
    // A trigger makes every second note fail, in the same group of writes as its neighbours.
    rusqlite::Connection::open(directory.path().join("frontdesk.db"))
        .unwrap()
        .execute_batch(
            "CREATE TRIGGER t BEFORE INSERT ON notes WHEN new.text = 'bad' BEGIN SELECT raise(ABORT, 'no'); END",
        )
        .unwrap();
    let effects: Vec<EffectId> = (0..100).map(|_| EffectId::fresh()).collect();
    let writes = effects
        .iter()
        .enumerate()
        .map(|(n, effect)| store.add_note(&contact, if n % 2 == 0 { "good" } else { "bad" }, effect));
    let results = futures::future::join_all(writes).await;
    for (n, result) in results.iter().enumerate() {
        assert_eq!(result.is_ok(), n % 2 == 0, "{n}: {result:?}");
    }
    store.close().await.unwrap();
    assert!(store.add_note(&contact, "late", &EffectId::fresh()).await.is_err(), "a closed store says so");
}

#[tokio::test]
async fn a_store_that_refuses_fails_every_write_of_the_group_and_heals() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("frontdesk.db");
    let store = Store::open(&path, Clock::system()).unwrap();
    let contact = frontdesk::domain::ContactId::parse("cus_ada").unwrap();
    let big = "x".repeat(100_000);
    // A lock that another process holds for ever is, for a writer, a disk that refuses.
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let effects: Vec<EffectId> = (0..3).map(|_| EffectId::fresh()).collect();
    let writes = effects.iter().map(|effect| store.add_note(&contact, &big, effect));
    assert!(futures::future::join_all(writes).await.iter().all(Result::is_err));
    other.execute_batch("ROLLBACK").unwrap();
    assert!(store.add_note(&contact, &big, &effects[0]).await.is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_query_breaks_the_search(query in "\\PC{0,60}") {
        block_on(async {
            let fixture = sqlite().await;
            fixture.engine.search(&query, &anybody(), 5).await.unwrap();
        });
    }
}

#[tokio::test]
async fn an_import_replaces_and_the_old_words_are_gone() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&directory.path().join("frontdesk.db"), Clock::system()).unwrap();
    let article = |body: &str| {
        let line =
            format!(r#"{{"type":"article","id":"a","title":"T","body":"{body}","updated_at":"2026-01-01T00:00:00Z"}}"#);
        frontdesk::import::read_lines(line.as_bytes()).collect::<Result<Vec<Record>, _>>().unwrap()
    };
    store.import(article("zebra")).await.unwrap();
    assert_eq!(store.search("zebra", &anybody(), 5).await.unwrap().len(), 1);
    store.import(article("giraffe")).await.unwrap();
    assert!(store.search("zebra", &anybody(), 5).await.unwrap().is_empty());
    assert_eq!(store.search("giraffes", &anybody(), 5).await.unwrap().len(), 1);
}
