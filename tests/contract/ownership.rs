//! Ownership: whatever the customer, the order and the guest, nothing foreign ever leaves, and all denials look alike.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use frontdesk::{
    desk::{self, AuditFilter, AuditLog, EmailOwns, OrderSystem, PortError, Verdict},
    domain::{
        Clock, Customer, CustomerId, Email, Level, LineItem, Order, OrderId, OrderOwner, OrderStatus, Record, SystemId,
        Timestamp,
    },
    identity::{Caller, Subject},
    store::Store,
    tools::{self, CallerSource, CarriedKey, Registry, Request},
};
use proptest::prelude::*;
use serde_json::json;

use crate::support::{block_on, desk_with};

/// The embedded order system, with its calls counted.
struct Counted {
    store: Store,
    calls: AtomicU64,
}

#[async_trait]
impl OrderSystem for Counted {
    async fn find(&self, id: &OrderId) -> Result<Option<Order>, PortError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        OrderSystem::find(&self.store, id).await
    }
}

struct Desks {
    registry: Registry,
    orders: Arc<Counted>,
    store: Store,
    directory: tempfile::TempDir,
}

fn desks() -> Desks {
    desks_with(EmailOwns::default())
}

fn desks_with(email_owns: EmailOwns) -> Desks {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&directory.path().join("frontdesk.db"), Clock::system()).unwrap();
    let orders = Arc::new(Counted { store: store.clone(), calls: AtomicU64::new(0) });
    let options = desk::Options { email_owns, ..desk::Options::default() };
    let desk = desk_with(&store, orders.clone(), Arc::new(store.clone()), options);
    let registry = Registry::new(&tools::Options::default(), false, &frontdesk::limits::Options::none(), desk).unwrap();
    Desks { registry, orders, store, directory }
}

const CANARY: &str = "CANARY";
const EMAILS: [&str; 8] = [
    "kay@example.com",
    "KAY@example.com",
    "\u{212a}ay@example.com",
    "kay+shop@example.com",
    "\u{ff4b}ay@example.com",
    "ka\u{200b}y@example.com",
    "kay@example.org",
    "k\u{131}y@example.com",
];

fn ids() -> impl Strategy<Value = CustomerId> {
    (prop::sample::select(vec!["builtin", "shop"]), prop::sample::select(vec!["1", "2", "3"]))
        .prop_map(|(system, id)| CustomerId::new(SystemId::parse(system).unwrap(), id).unwrap())
}

fn email() -> impl Strategy<Value = Option<Email>> {
    prop::option::of(prop::sample::select(EMAILS.to_vec()))
        .prop_map(|text| text.and_then(|text| Email::parse(text).ok()))
}

fn customer() -> impl Strategy<Value = Customer> {
    let level = prop::sample::select(vec![Level::Anonymous, Level::Otp, Level::Verified]);
    let known = (ids(), prop::collection::vec(ids(), 0..3), level, email(), any::<bool>(), email()).prop_map(
        |(id, linked, level, email, email_verified, email_by_code)| Customer {
            id,
            linked,
            level,
            email,
            email_verified,
            name: None,
            language: None,
            typed: false,
            email_by_code,
        },
    );
    // Somebody of whom nothing is known but what a one-time code has proven.
    let by_code = email().prop_filter_map("an address", |email| email.map(Customer::by_code));
    prop_oneof![4 => known, 1 => by_code]
}

fn order() -> impl Strategy<Value = Order> {
    let owner = prop_oneof![
        6 => ids().prop_map(OrderOwner::Customer),
        2 => Just(OrderOwner::Guest),
        1 => Just(OrderOwner::Unreadable),
    ];
    (owner, email()).prop_map(|(owner, email)| Order {
        id: OrderId::parse("77").unwrap(),
        owner,
        email,
        status: OrderStatus::Shipped,
        status_detail: Some(CANARY.to_owned()),
        placed_at: Some(Timestamp::parse("2026-01-01T00:00:00Z").unwrap()),
        estimated_delivery: None,
        tracking: Vec::new(),
        items: vec![LineItem { name: CANARY.to_owned(), quantity: Some(1.into()), sku: None, unit_price: None }],
        totals: None,
        refunds: Vec::new(),
        ship_to: None,
        unreadable: Default::default(),
    })
}

/// The rule, written once more in other words than the product's.
fn may_see(customer: &Customer, order: &Order, email_owns: EmailOwns) -> bool {
    let known = customer.level != Level::Anonymous;
    let own = customer.email.as_ref().filter(|_| known && customer.email_verified);
    let ascii_equal = |a: &Email, b: &Email| a.as_str().eq_ignore_ascii_case(b.as_str());
    let by_address = [own, customer.email_by_code.as_ref()]
        .into_iter()
        .flatten()
        .any(|proven| order.email.as_ref().is_some_and(|on_order| ascii_equal(proven, on_order)));
    let ids: Vec<&CustomerId> = std::iter::once(&customer.id).chain(&customer.linked).collect();
    match &order.owner {
        OrderOwner::Customer(owner) if known && ids.contains(&owner) => true,
        OrderOwner::Customer(owner) => {
            let is_somebody_there = ids.iter().any(|id| id.system() == owner.system());
            email_owns == EmailOwns::AllOrders && by_address && !is_somebody_there
        }
        OrderOwner::Unreadable => false,
        OrderOwner::Guest => by_address,
    }
}

fn request(tool: &'static str, arguments: serde_json::Value, customer: &Customer) -> Request {
    Request {
        tool,
        arguments: arguments.as_object().unwrap().clone(),
        idempotency_key: CarriedKey::none(),
        agent: None,
        caller: CallerSource::Caller(Box::new(Caller {
            subject: Subject::Customer(customer.clone()),
            agent: None,
            conversation: None,
            code_conversation: None,
            context_id: None,
            origin: None,
            issued_at: None,
        })),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_foreign_leaves_and_denials_are_byte_equal(
        customer in customer(),
        order in order(),
        email_owns in prop::sample::select(vec![EmailOwns::GuestOrders, EmailOwns::AllOrders]),
    ) {
        block_on(async {
            let Desks { registry, orders, store, directory: _kept, .. } = desks_with(email_owns);
            let allowed = may_see(&customer, &order, email_owns);
            store.import(vec![Record::Order(Box::new(order))]).await.unwrap();
            let answer = async |id: &str, detail: &str| {
                let before = orders.calls.load(Ordering::SeqCst);
                let arguments = json!({ "order_id": id, "detail": detail });
                let answer = registry.call(request("lookup_order", arguments, &customer)).await;
                let calls = orders.calls.load(Ordering::SeqCst) - before;
                (answer.map(|reply| format!("{}{}", reply.text, reply.structured)).map_err(|error| error.into_refused().sentence), calls)
            };
            let (absent, calls_for_absent) = answer("78", "full").await;
            for detail in ["summary", "full"] {
                let (present, calls) = answer("77", detail).await;
                assert_eq!(calls, calls_for_absent, "a denial costs what a success costs");
                match present {
                    Ok(shown) => assert!(allowed && shown.contains(CANARY)),
                    Err(sentence) => {
                        assert!(!allowed, "{sentence}");
                        assert!(!sentence.contains(CANARY));
                        assert_eq!(Err(sentence), absent);
                    }
                }
            }
            // An order that is named in a ticket passes the same check.
            let arguments = json!({ "subject": "s", "description": "d", "order_id": "77" });
            let ticket = registry.call(request("create_ticket", arguments, &customer)).await;
            assert_eq!(ticket.is_ok(), allowed);
        });
    }
}

#[tokio::test]
async fn the_audit_tells_what_the_model_is_not_told_and_holds_no_content() {
    let Desks { registry, store, directory: _kept, .. } = desks();
    let records = frontdesk::import::samples().unwrap();
    store.import(records).await.unwrap();
    let ada = Customer {
        id: CustomerId::parse("builtin:cus_ada").unwrap(),
        linked: Vec::new(),
        level: Level::Verified,
        email: Some(Email::parse("ada@example.com").unwrap()),
        email_verified: true,
        name: Some("Ada".to_owned()),
        language: None,
        typed: false,
        email_by_code: None,
    };
    for id in ["1001", "2001", "3001", "9999"] {
        let _ = registry.call(request("lookup_order", json!({ "order_id": id }), &ada)).await;
    }
    let _ = registry.call(request("update_crm", json!({ "phone": "+4915199999999", "note": "call back" }), &ada)).await;
    let _ = registry.call(request("lookup_order", json!({ "order_id": "../x" }), &ada)).await;
    let filter = AuditFilter { limit: 10, customers: vec![ada.id.clone()], ..AuditFilter::default() };
    let mut audit = store.read(&filter).await.unwrap();
    audit.reverse();
    let verdicts: Vec<Verdict> = audit.iter().map(|record| record.verdict).collect();
    let expected = [
        Verdict::Allowed,
        Verdict::Foreign,
        Verdict::GuestUnproven,
        Verdict::Absent,
        Verdict::Allowed,
        Verdict::Allowed,
        Verdict::InvalidArguments,
    ];
    // The update is written at once, the look-ups a moment later: the order in which they are kept is not theirs.
    let mut sorted = (verdicts.clone(), expected.to_vec());
    sorted.0.sort_by_key(|verdict| format!("{verdict:?}"));
    sorted.1.sort_by_key(|verdict| format!("{verdict:?}"));
    assert_eq!(sorted.0, sorted.1);
    // Two effects, each on record by itself.
    let updates: Vec<_> = audit.iter().filter(|record| record.tool == "update_crm").collect();
    assert_eq!(updates[0].fields, ["phone"]);
    let [contact] = &updates[0].objects[..] else { panic!("{:?}", updates[0].objects) };
    assert!(contact.starts_with("contact:"), "{contact}");
    assert!(updates[1].fields.is_empty());
    assert_eq!(updates[1].objects, [contact.as_str(), "note:N-1"]);
    let text = serde_json::to_string(&audit).unwrap();
    for secret in ["cus_ada", "ada@example.com", "+49151", "call back", "Ada\"", "../x"] {
        assert!(!text.contains(secret), "{secret}");
    }
    assert!(audit.iter().all(|record| record.customer_hash.as_ref().is_some_and(|hash| hash.len() == 32)));
    store.close().await.unwrap();
}
