//! Whether a vendor file tells apart what the desk has to tell apart: an order of the customer, of somebody else, none,
//! refused credentials, and every kind of outage. The faults are made by a proxy; nothing is written.

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    connector::Connector,
    endpoints::transport,
    input,
    reply::ReadOrder,
    seen::{Means, Seen},
    shapes,
    vendor::Task,
};
use crate::{
    domain::{CustomerId, EffectId, Email, OrderId, OrderOwner},
    upstream::{Fault, FaultProxy},
};

/// Operations that are probed.
pub const PROBED: [&str; 3] = ["orders.find", "helpdesk.find_ticket", "crm.find_contact"];

/// What is asked for.
pub struct Known {
    pub own: OrderId,
    pub foreign: OrderId,
    pub absent: OrderId,
    /// Whose the own order is.
    pub customer: Option<CustomerId>,
    pub email: Option<Email>,
}

/// One case and what was seen of it.
#[derive(Debug, Clone, Serialize)]
pub struct Case {
    pub operation: &'static str,
    pub case: String,
    pub expected: &'static str,
    pub seen: String,
    /// What is confused, and what to do; none if it is right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confused: Option<String>,
}

/// The two connectors of an operation: one with the configured times, one that does not wait for a slow reply; and the
/// proxies that both go through.
pub struct Bench<'a> {
    pub patient: &'a Connector,
    pub hasty: &'a Connector,
    pub proxies: &'a [FaultProxy],
    /// The vendor answers errors with status 200, in `errors`.
    pub graphql: bool,
    pub wrong_credentials: bool,
}

/// A fault, what it is called and what it has to mean.
struct Made {
    case: &'static str,
    fault: Fault,
    means: Means,
}

fn answer(status: u16, content_type: &'static str, body: &'static str) -> Fault {
    let content_type = HeaderValue::from_static(content_type);
    Fault::Answer { status, content_type, body: Bytes::from_static(body.as_bytes()) }
}

/// The faults that every operation has to tell from an answer.
fn faults(bench: &Bench<'_>) -> Vec<Made> {
    let (json, html) = ("application/json", "text/html");
    let made = |case, fault, means| Made { case, fault, means };
    let mut all = vec![
        made("a reply that breaks off", Fault::Truncated, Means::Outage),
        made("half a reply that looks whole", Fault::CutShort, Means::Unusable),
        made("500", answer(500, json, r#"{"error":{"code":"internal_error","message":"probe"}}"#), Means::Outage),
        made("502", answer(502, html, "<html><body>Bad gateway</body></html>"), Means::Outage),
        made("503", answer(503, html, "<html><body>Maintenance</body></html>"), Means::Outage),
        made("504", answer(504, json, "{}"), Means::Outage),
        made("408", answer(408, json, "{}"), Means::Outage),
        made("429", answer(429, json, r#"{"error":"too many requests"}"#), Means::RateLimited),
        made("no reply in time", Fault::Slow, Means::Outage),
    ];
    if bench.graphql {
        let body = r#"{"data":null,"errors":[{"message":"probe","extensions":{"code":"INTERNAL_SERVER_ERROR"}}]}"#;
        all.push(made("200 with errors", answer(200, json, body), Means::AnyError));
    }
    if bench.wrong_credentials {
        all.push(made("wrong credentials", Fault::WrongCredentials, Means::Refused));
    }
    all
}

impl Bench<'_> {
    fn set(&self, fault: &Fault) {
        self.proxies.iter().for_each(|proxy| proxy.set(fault.clone()));
    }

    fn requests(&self) -> usize {
        self.proxies.iter().map(FaultProxy::requests).sum()
    }

    fn spoiled(&self) -> usize {
        self.proxies.iter().map(FaultProxy::spoiled).sum()
    }

    /// Whether the vendor's last reply says without its body that nothing is there. A 204 has none that could break; half
    /// of a 404 that looks whole still is a 404.
    fn is_said_by_status(&self, fault: &Fault) -> bool {
        let is = |status: StatusCode| self.proxies.iter().any(|proxy| proxy.last_reply().0 == status);
        match fault {
            Fault::Truncated => is(StatusCode::NO_CONTENT),
            Fault::CutShort => is(StatusCode::NO_CONTENT) || is(StatusCode::NOT_FOUND),
            _ => false,
        }
    }

    /// `orders.find`, in all cases.
    pub async fn orders(&self, known: &Known) -> Vec<Case> {
        const FIND: &str = "orders.find";
        let ask = async |connector: &Connector, id: &OrderId| connector.see_order(id).await;
        let mut cases = Vec::new();
        self.set(&Fault::None);
        let own = ask(self.patient, &known.own).await;
        let confused = match &own {
            Seen::Order { id, .. } if !id.is_same(&known.own, false) => {
                Some("the number of another order: compare what the vendor found with $input.number".to_owned())
            }
            seen if known.is_own(seen) => None,
            Seen::Order { .. } => Some(
                "the order is not the customer's: read customer (or email) from the reply, and name the right --customer"
                    .to_owned(),
            ),
            _ => Some("the customer's own order has to be found".to_owned()),
        };
        cases.push(case(FIND, "own", "the customer's order", &own, confused));
        if self.requests() == 0 {
            let why =
                "no request came to the proxy on 127.0.0.1: set NO_PROXY=127.0.0.1, and see that a request is sent";
            cases.push(case(FIND, "proxy", "a request", &Seen::Other("none".to_owned()), Some(why.to_owned())));
            return cases;
        }
        let foreign = ask(self.patient, &known.foreign).await;
        let foreign_body = self.proxies.iter().map(|proxy| proxy.last_reply().1).find(|body| !body.is_empty());
        let confused = match &foreign {
            Seen::Order { id, .. } if !id.is_same(&known.foreign, false) => {
                Some("the number of another order: compare what the vendor found with $input.number".to_owned())
            }
            seen if known.is_own(seen) || seen.shares_email(&own) => {
                Some("somebody else's order is the customer's: read customer and email from the reply".to_owned())
            }
            Seen::Order { owner: OrderOwner::Unreadable, .. } => {
                Some("its owner cannot be read: see the output of customer with connectors try".to_owned())
            }
            Seen::Order { owner: OrderOwner::Guest, email: None, .. } => Some(
                "somebody else's order is nobody's: read customer, and of a guest the email, from the reply".to_owned(),
            ),
            Seen::Order { .. } => None,
            Seen::Absent => Some(
                "somebody else's order is not there: the desk, not the file, decides whose it is; leave no order out"
                    .to_owned(),
            ),
            _ => Some("somebody else's order has to be found too, so that a denial looks like that of none".to_owned()),
        };
        cases.push(case(FIND, "foreign", "somebody else's order", &foreign, confused));
        let absent = ask(self.patient, &known.absent).await;
        let confused = match &absent {
            Seen::Absent => None,
            Seen::Order { .. } => Some(
                "there is no such order: compare what the vendor found with $input.number; its search is fuzzy".to_owned(),
            ),
            _ => Some(
                "an order that is not there has to be null, or an error rule as = \"not_found\" for what the vendor says"
                    .to_owned(),
            ),
        };
        cases.push(case(FIND, "absent", "nothing there", &absent, confused));
        if let (Some(body), Seen::Order { .. }) = (foreign_body, &foreign) {
            self.set(&Fault::Answer { status: 200, content_type: HeaderValue::from_static("application/json"), body });
            let swapped = ask(self.patient, &known.own).await;
            let confused = match &swapped {
                Seen::Order { id, .. } if id.is_same(&known.own, false) => Some(
                    "asked for own and given the reply to foreign, it shows own's number: take id from the reply, not from \
                     $input"
                        .to_owned(),
                ),
                _ => None,
            };
            cases.push(case(FIND, "own, with foreign's reply", "not own's number", &swapped, confused));
        }
        cases.extend(self.faults(FIND, async |connector: &Connector| ask(connector, &known.own).await).await);
        cases
    }

    /// `helpdesk.find_ticket`: a ticket that is not there, and every fault, none of which proves that.
    pub async fn tickets(&self) -> Vec<Case> {
        const FIND: &str = "helpdesk.find_ticket";
        let input = json!({ "external_id": EffectId::fresh().as_str() });
        let mut cases = self.absent(FIND, &input).await;
        self.set(&answer(404, "text/html", "<html><body>Not found</body></html>"));
        let seen = self.patient.see_record(FIND, &input).await;
        let confused = matches!(seen, Seen::Absent | Seen::Record).then(|| {
            "a page that is not there (a wrong address) proves that there is no ticket, and a second one is opened: only \
             an empty result is null"
                .to_owned()
        });
        cases.push(case(FIND, "404 at a wrong address", Means::AnyError.words(), &seen, confused));
        cases.extend(self.faults(FIND, async |connector: &Connector| connector.see_record(FIND, &input).await).await);
        cases
    }

    /// `crm.find_contact`: a contact that is not there, and every fault.
    pub async fn contacts(&self) -> Vec<Case> {
        const FIND: &str = "crm.find_contact";
        let word = EffectId::fresh().as_str().to_lowercase();
        let (system, email) = (self.patient.vendor.system.as_str(), format!("{word}@example.com"));
        // Digits: some vendors answer another id with an error.
        let id = fastrand::u64(8_000_000_000..9_000_000_000).to_string();
        let input = json!({ "customer": { "id": id, "system": system, "ids": { system: id }, "email": email } });
        let input = shapes::complete(FIND, &input, system).unwrap_or_default();
        let mut cases = self.absent(FIND, &input).await;
        cases.extend(self.faults(FIND, async |connector: &Connector| connector.see_record(FIND, &input).await).await);
        cases
    }

    async fn absent(&self, operation: &'static str, input: &Value) -> Vec<Case> {
        self.set(&Fault::None);
        let seen = self.patient.see_record(operation, input).await;
        let confused = (seen != Seen::Absent).then(|| "what is not there has to be null".to_owned());
        vec![case(operation, "absent", "nothing there", &seen, confused)]
    }

    async fn faults(&self, operation: &'static str, ask: impl AsyncFn(&Connector) -> Seen) -> Vec<Case> {
        let mut cases = Vec::new();
        for Made { case: name, fault, means } in faults(self) {
            self.set(&fault);
            let (requests, spoiled) = (self.requests(), self.spoiled());
            let seen = ask(if fault == Fault::Slow { self.hasty } else { self.patient }).await;
            if self.requests() == requests {
                let why = "no request was sent, so that nothing was tried: give an input for which one is".to_owned();
                cases.push(case(operation, name, means.words(), &Seen::Other("no request".to_owned()), Some(why)));
                continue;
            }
            if fault == Fault::WrongCredentials && self.spoiled() == spoiled {
                let why = "there are no credentials in a header that could be made wrong".to_owned();
                cases.push(case(operation, name, means.words(), &seen, Some(why)));
                continue;
            }
            if seen == Seen::Absent && self.is_said_by_status(&fault) {
                cases.push(case(operation, name, "nothing there, by the status alone", &seen, None));
                continue;
            }
            let confused = (!means.fits(&seen)).then(|| advice(means, &seen));
            cases.push(case(operation, name, means.words(), &seen, confused));
        }
        self.set(&Fault::None);
        cases
    }
}

fn advice(means: Means, seen: &Seen) -> String {
    let harm = match seen {
        Seen::Absent => "customers would hear that there is nothing",
        Seen::Order { .. } | Seen::Record => "something would be shown that nobody has asked for",
        _ => "the wrong people would be told to act",
    };
    let step = match means {
        Means::Outage => "no error rule may give 408, 5xx and broken replies another meaning than unavailable",
        Means::RateLimited => "status 429 is rate_limited, without a rule of the file",
        Means::Refused => "an error rule as = \"denied\" for what the vendor says to wrong credentials",
        Means::Unusable => "no error rule may fit a body that is not JSON (there it is a string)",
        Means::AnyError => "error rules for .errors, and a reply filter that fails without data",
    };
    format!("{harm}: {step}")
}

fn case(operation: &'static str, case: &str, expected: &'static str, seen: &Seen, confused: Option<String>) -> Case {
    Case { operation, case: case.to_owned(), expected, seen: seen.words(), confused }
}

impl Known {
    fn is_own(&self, seen: &Seen) -> bool {
        let Seen::Order { owner, email, .. } = seen else { return false };
        match owner {
            OrderOwner::Customer(customer) => self.customer.as_ref() == Some(customer),
            OrderOwner::Guest => email.is_some() && self.email == *email,
            OrderOwner::Unreadable => false,
        }
    }
}

impl Connector {
    async fn see_order(&self, id: &OrderId) -> Seen {
        let Some(upstream) = self.upstream_of("orders.find") else { return Seen::Other("no upstream".to_owned()) };
        let Ok(number) = self.vendor.order_number(id).await else { return Seen::Other("orders.number".to_owned()) };
        let (transport, input) = (transport(upstream), input::find_order(id, &number));
        let task = Task { transport: &transport, input: &input, effect: None };
        match self.vendor.find_order(&task).await {
            Ok(None) => Seen::Absent,
            Ok(Some(ReadOrder { order, .. })) => {
                // Numbers of the same normal form are the same.
                let found = self.vendor.order_number(&order.id).await;
                let same = found.is_ok_and(|found| found.is_same(&number, false));
                let found = if same { id.clone() } else { order.id };
                Seen::Order { id: found, owner: order.owner, email: order.email }
            }
            Err(error) => Seen::of_failure(&error),
        }
    }

    async fn see_record(&self, operation: &str, input: &Value) -> Seen {
        let Some(upstream) = self.upstream_of(operation) else { return Seen::Other("no upstream".to_owned()) };
        let transport = transport(upstream);
        let task = Task { transport: &transport, input, effect: None };
        let found = match operation {
            "helpdesk.find_ticket" => self.vendor.find_ticket(&task).await.map(|found| found.is_some()),
            _ => self.vendor.find_contact(&task).await.map(|found| found.is_some()),
        };
        match found {
            Ok(true) => Seen::Record,
            Ok(false) => Seen::Absent,
            Err(error) => Seen::of_failure(&error),
        }
    }

    /// The first request of an operation that would change something.
    pub fn writes(&self, operation: &str) -> Option<String> {
        let operation = self.vendor.operations.get(operation)?;
        let step = operation.steps.iter().find(|step| !step.safe)?;
        Some(format!("{} {}", step.method.http(), step.path))
    }
}
