//! When a system behind the desk panics, hangs or fails, and when the client hangs up: over real HTTP, on ports that
//! misbehave.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use frontdesk::{
    desk::{
        AuditFilter, AuditLog, AuditRecord, Created, Decision, Helpdesk, OrderSystem, PortError, Settlement, System,
        Verdict,
    },
    domain::{Clock, Comment, Customer, CustomerId, EffectId, Level, NewTicket, Order, OrderId, Ticket, TicketId},
    http,
    identity::{self, Identity, agents::Challenge},
    inbox::{self, Intake},
    limits::{BodyReader, Gate, Options},
    mcp::{self, EndpointOptions, Services, Shutdown},
    store::Store,
    tools::{self, Calls, Registry},
};
use serde_json::json;

use crate::support::{Client, Era, Plain, desk, is_error, text};

const CANARY: &str = "vendor says CANARY";

/// Order numbers say what happens.
struct Unruly {
    store: Store,
    tickets: AtomicU64,
}

#[async_trait]
impl OrderSystem for Unruly {
    async fn find(&self, id: &OrderId) -> Result<Option<Order>, PortError> {
        match id.as_str() {
            "panic" => panic!("{CANARY}"),
            "hang" => std::future::pending().await,
            "fail" => Err(PortError::unavailable(System::OrderSystem, CANARY)),
            _ => OrderSystem::find(&self.store, id).await,
        }
    }
}

#[async_trait]
impl Helpdesk for Unruly {
    async fn create_ticket(&self, ticket: &NewTicket, effect: &EffectId) -> Result<Created<Ticket>, PortError> {
        self.tickets.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(400)).await;
        self.store.create_ticket(ticket, effect).await
    }

    async fn find_ticket(&self, effect: &EffectId) -> Result<Option<Ticket>, PortError> {
        self.store.find_ticket(effect).await
    }

    async fn add_comment(&self, ticket: &TicketId, comment: &Comment, effect: &EffectId) -> Result<(), PortError> {
        self.store.add_comment(ticket, comment, effect).await
    }

    fn settlement(&self) -> Settlement {
        self.store.settlement()
    }

    fn raises_priority(&self) -> bool {
        self.store.raises_priority()
    }

    fn comment_settlement(&self) -> Settlement {
        self.store.comment_settlement()
    }
}

struct Healthy;

#[async_trait]
impl http::Health for Healthy {
    async fn checks(&self) -> Vec<(String, bool)> {
        Vec::new()
    }

    async fn ready(&self) -> bool {
        true
    }
}

#[async_trait]
impl http::Metrics for Healthy {
    async fn render(&self) -> String {
        String::new()
    }

    async fn status(&self) -> Result<serde_json::Value, Box<dyn std::error::Error + Send + Sync>> {
        Ok(serde_json::Value::Null)
    }
}

/// What is served, with no source of webhooks.
fn service(services: Services, options: EndpointOptions, store: &Store) -> http::HttpService {
    let tools = http::PlainTools {
        calls: services.calls.clone(),
        allowed_hosts: vec![],
        resource: None,
        kill: services.shutdown.kill.clone(),
    };
    let endpoint = mcp::endpoint(services, options);
    let (limits, queue) = (Options::none(), Arc::new(store.clone()));
    let intake = Intake::new(Vec::new(), queue, Arc::default(), Clock::system(), &inbox::Options::default(), &limits);
    let auth = http::AgentAuth {
        proxies: Default::default(),
        agents: None,
        challenge: nobody(),
        limiter: limits.agents(),
        bodies: bodies(),
        streams: Gate::streams(10),
        response_memory: Default::default(),
        log: Default::default(),
        carried: Vec::new(),
    };
    let operations = http::Operations {
        metrics: Arc::new(Healthy),
        health: Arc::new(Healthy),
        intake: Arc::new(intake),
        token: None,
        metrics_at_http_listen: false,
    };
    http::service(endpoint, tools, Arc::new(auth), &operations, Gate::requests(1000), &http::Options::default())
}

fn bodies() -> BodyReader {
    BodyReader::new(262_144, Duration::from_secs(15))
}

fn nobody() -> Challenge {
    Challenge::new(&Default::default(), false)
}

struct Fixture {
    client: Client,
    plain: Plain,
    unruly: Arc<Unruly>,
    shutdown: Shutdown,
    _directory: tempfile::TempDir,
}

async fn serve(deadline_ms: u64) -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&directory.path().join("frontdesk.db"), Clock::system()).unwrap();
    store.import(frontdesk::import::samples().unwrap()).await.unwrap();
    let unruly = Arc::new(Unruly { store: store.clone(), tickets: AtomicU64::new(0) });
    let desk = desk(&store, unruly.clone(), unruly.clone());
    let ada = Customer {
        id: CustomerId::parse("builtin:cus_ada").unwrap(),
        linked: Vec::new(),
        level: Level::Verified,
        email: None,
        email_verified: false,
        name: None,
        language: None,
        typed: false,
        email_by_code: None,
    };
    let system = ada.id.system().clone();
    let identity = Identity::new(identity::Options::Fixed(Box::new(ada)), system, None, Clock::system()).unwrap();
    let options = tools::Options { deadline_ms, read_deadline_ms: deadline_ms, ..Default::default() };
    let registry = Registry::new(&options, false, &Options::none(), desk.clone()).unwrap();
    let shutdown = Shutdown::default();
    let calls =
        Calls { registry: Arc::new(registry), identity: Arc::new(identity), desk, writes: shutdown.writes.clone() };
    let services = Services { calls: Arc::new(calls), shutdown: shutdown.clone() };
    let options = EndpointOptions {
        allowed_hosts: vec![],
        allowed_origins: vec![],
        bodies: bodies(),
        challenge: nobody(),
        gate: Gate::requests(1000),
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let (service, closing) = (service(services, options, &store), shutdown.closing.clone());
    tokio::spawn(async move {
        http::serve(listener, service, &http::Options::default(), None, http::Counted::Yes, closing).await
    });
    let client = Client::new(&url);
    Fixture { plain: Plain::beside(&client, &url), client, unruly, shutdown, _directory: directory }
}

#[tokio::test]
async fn a_panic_and_a_failure_are_answered_and_tell_the_model_nothing() {
    let fixture = serve(5_000).await;
    for era in Era::BOTH {
        for id in ["panic", "fail"] {
            let result = fixture.client.call(era, "lookup_order", json!({ "order_id": id })).await;
            assert!(is_error(&result) && result.get("structuredContent").is_none(), "{result}");
            assert!(!result.to_string().contains("CANARY"), "{result}");
        }
        let next = fixture.client.call(era, "lookup_order", json!({ "order_id": "1001" })).await;
        assert!(!is_error(&next), "{next}");
    }
    for (id, code, status) in [("panic", "failed", 500), ("fail", "unavailable", 503)] {
        for (plain, status) in
            [(fixture.plain.clone(), 200), (fixture.plain.clone().with_header("prefer", "status"), status)]
        {
            let answer = plain.call("lookup_order", json!({ "order_id": id })).await;
            assert_eq!((answer.status.as_u16(), &answer.json()["code"]), (status, &json!(code)));
            assert!(!String::from_utf8_lossy(&answer.body).contains("CANARY"), "{answer:?}");
        }
    }
    let all = AuditFilter { limit: 100, ..AuditFilter::default() };
    let audit = fixture.unruly.store.read(&all).await.unwrap();
    assert!(serde_json::to_string(&audit).unwrap().contains("\"failed\""));
}

#[tokio::test]
async fn a_call_that_overruns_its_deadline_is_answered() {
    let fixture = serve(150).await;
    let result = fixture.client.call(Era::Modern, "lookup_order", json!({ "order_id": "hang" })).await;
    assert!(is_error(&result) && text(&result).contains("longer than it should"), "{result}");
    for (plain, status) in [(fixture.plain.clone(), 200), (fixture.plain.clone().with_header("prefer", "status"), 504)]
    {
        let answer = plain.call("lookup_order", json!({ "order_id": "hang" })).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["code"]), (status, &json!("timeout")));
        assert!(String::from_utf8_lossy(&answer.body).contains("Try again in 5 seconds."), "{answer:?}");
    }
    // A write goes on behind the deadline; its repeat learns the result and does it no second time.
    let ticket = json!({ "subject": "Slow", "description": "d" });
    let late = fixture.client.call(Era::Modern, "create_ticket", ticket.clone()).await;
    assert!(is_error(&late) && text(&late).contains("Repeat the same call"), "{late}");
    tokio::time::sleep(Duration::from_millis(600)).await;
    let again = fixture.client.call(Era::Modern, "create_ticket", ticket).await;
    assert_eq!(
        again["structuredContent"],
        json!({ "ticket_id": "T-1001", "status": "open", "outcome": "repeated", "created": false })
    );
    assert_eq!(fixture.unruly.tickets.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_write_ends_although_the_client_has_hung_up() {
    for by_mcp in [true, false] {
        let fixture = serve(5_000).await;
        let ticket = json!({ "subject": "Hung up", "description": "d" });
        let call = async || match by_mcp {
            true => {
                fixture.client.call(Era::Legacy, "create_ticket", ticket.clone()).await["structuredContent"].clone()
            }
            false => fixture.plain.call("create_ticket", ticket.clone()).await.json()["result"].clone(),
        };
        assert!(tokio::time::timeout(Duration::from_millis(100), call()).await.is_err());
        // As at the end of the process: what has begun is waited for.
        fixture.shutdown.writes.close();
        tokio::time::timeout(Duration::from_secs(5), fixture.shutdown.writes.wait()).await.unwrap();
        assert_eq!(call().await["created"], false);
        assert_eq!(fixture.unruly.tickets.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn listening_clients_are_let_go_at_the_end() {
    let fixture = serve(5_000).await;
    let client = fixture.client.clone();
    let listening = tokio::spawn(async move {
        client.request(Era::Modern, "subscriptions/listen", json!({ "notifications": {} })).await
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!listening.is_finished());
    fixture.shutdown.closing.cancel();
    let answer = tokio::time::timeout(Duration::from_secs(5), listening).await.unwrap().unwrap();
    assert!(answer.status.is_success(), "{answer:?}");
}

#[tokio::test]
async fn audit_records_that_cannot_be_written_wait_until_they_can() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("frontdesk.db");
    let store = Store::open(&path, Clock::system()).unwrap();
    let beside = rusqlite::Connection::open(&path).unwrap();
    let record = |tool: &'static str| AuditRecord {
        at: Clock::system().now(),
        agent: None,
        customer: None,
        staff: None,
        conversation: None,
        context_id: None,
        origin: None,
        tool: tool.into(),
        decision: Decision::new(Verdict::Allowed),
    };
    let filter = AuditFilter { limit: 10, ..AuditFilter::default() };
    beside.execute_batch("ALTER TABLE audit RENAME TO elsewhere").unwrap();
    for _ in 0..4_096 {
        store.record(record("kept")).await.unwrap();
    }
    // One more would have no room, and nobody who gives up takes the others along.
    assert!(store.record(record("refused")).await.is_err());
    for wait in [0, 1, 5] {
        let _ = tokio::time::timeout(Duration::from_millis(wait), store.read(&filter)).await;
    }
    assert!(store.read(&filter).await.is_err());
    beside.execute_batch("ALTER TABLE elsewhere RENAME TO audit").unwrap();
    // Nobody asks: they are tried again by themselves.
    let written = || beside.query_row("SELECT count(*) FROM audit", [], |row| row.get::<_, u32>(0)).unwrap();
    for _ in 0..300 {
        if written() > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(written(), 4_096);
    store.record(record("kept")).await.unwrap();
    store.close().await.unwrap();
    assert_eq!(written(), 4_097);
}
