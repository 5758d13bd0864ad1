//! Runs the examples of a vendor file offline: compares the requests and supplies canned replies.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{
    compiled::Operations,
    example_file::{Example, Exchange, ExpectedMeaning},
    example_result::{ExampleResult, differs, differs_exactly},
    failure::{Failure, OperationError},
    file::VendorFile,
    filter::to_val,
    form,
    library::Library,
    order_number,
    reply::{ReadOrder, listing},
    run::Transport,
    shapes,
    threads::FilterThreads,
    vendor::{self, Task, Vendor},
    webhook, webhook_examples,
};
use crate::{
    domain::{OrderId, SystemId},
    upstream::{BaseUrl, CallError, Reply, Request, SentWith, UpstreamError, auth::Refusal},
};

/// Base URL in examples.
pub(super) const BASE: &str = "https://vendor.example";
/// Effect id in examples, as external id and in the idempotency header.
const EFFECT: &str = "01J00000000000000000000000";

/// Runs all examples of a vendor file. An error means that the file itself is faulty.
pub async fn run_examples(library: &Library, name: &str) -> Result<Vec<ExampleResult>, super::ConnectorError> {
    let file = library.parse(name)?;
    library.finished(name)?;
    let operations = Operations::compile(&file)
        .map_err(|source| super::ConnectorError::Compile { file: library.place(name, &source), source })?;
    let operations = Arc::new(operations);
    let threads = FilterThreads::start(name);
    let mut results = Vec::new();
    for (n, example) in file.examples.iter().enumerate() {
        let mut notes = Vec::new();
        let failure = run_one(&file, operations.clone(), example, &threads, &mut notes).await.err();
        let failure = failure.map(|why| format!("{}: {why}", library.line(name, &format!("examples[{n}]"), None)));
        let (example, operation) = (example.name.clone(), example.operation.clone());
        results.push(ExampleResult { example, operation, failure, notes });
    }
    if file.webhook.is_some() || !file.webhook_examples.is_empty() {
        let compiled = webhook::compile(&file)
            .map_err(|source| super::ConnectorError::Compile { file: library.place(name, &source), source })?;
        results.extend(webhook_examples::run(&file, &compiled, &threads).await);
    }
    Ok(results)
}

pub(super) async fn run_one(
    file: &VendorFile,
    operations: Arc<Operations>,
    example: &Example,
    threads: &FilterThreads,
    notes: &mut Vec<String>,
) -> Result<(), String> {
    let Some(operation) = operations.get(&example.operation) else {
        return Err(format!("there is no operation {} in this file", example.operation));
    };
    let script = Script::new(&example.exchanges, operation.steps.iter().any(|step| step.graphql.is_some()));
    let mut input = shapes::complete(&example.operation, &example.input.0, &file.name)?;
    let settings = vendor::settings(&file.settings, &file.name, &example.settings)
        .map_err(|(key, why)| format!("settings.{key} {why}"))?;
    let system = SystemId::parse(&file.name).map_err(|invalid| invalid.to_string())?;
    let vendor = Vendor { operations, settings: to_val(&settings), system, threads: threads.clone() };
    if let Some(filter) = &vendor.operations.order_number {
        order_number::check(filter, &vendor.settings).map_err(|why| format!("orders.number {why}"))?;
        normalise(&vendor, &mut input).await;
    }
    let effect = input.get("external_id").and_then(Value::as_str).unwrap_or(EFFECT);
    let task = Task { transport: &script, input: &input, effect: Some(effect) };
    let got = result(&vendor, &example.operation, &task, notes).await;
    let made_nothing = script.made_nothing.load(Ordering::Relaxed);
    match (script.end(), &got) {
        (Ok(()), _) => {}
        // An error of a filter is more specific than the missing request.
        (Err(why), Err(error)) if !matches!(error.failure, Failure::Upstream(_)) => {
            return Err(format!("{}; {why}", chain(error)));
        }
        (Err(why), _) => return Err(why),
    }
    match (got, &example.expect, &example.error) {
        (_, Some(_), Some(_)) | (_, None, None) => Err("write either expect or error".to_owned()),
        // An example that expects null means it.
        (Ok(got), Some(expected), None)
            if made_nothing && (got == "done" || got.is_null() && !expected.0.is_null()) =>
        {
            let why = "a reply filter gave no output for a reply with a body; does a member of its output have no value, as first(empty)?";
            Err(differs("the result", &expected.0, &got).map_or(why.to_owned(), |differs| format!("{differs}; {why}")))
        }
        (Ok(got), Some(expected), None) => differs("the result", &expected.0, &got).map_or(Ok(()), Err),
        (Err(error), None, Some(expected)) => {
            let (meaning, field, retry_after) = meaning(&error);
            let waits =
                expected.retry_after_s.is_none() || retry_after == expected.retry_after_s.map(Duration::from_secs);
            let named = expected.field == field
                || expected.meaning == ExpectedMeaning::Misconfigured && expected.field.is_none();
            match meaning == expected.meaning && named && waits {
                true => Ok(()),
                false => Err(format!("expected the error {expected:?}, got {} (argument {field:?})", chain(&error))),
            }
        }
        (Ok(got), None, Some(expected)) => Err(format!("expected the error {expected:?}, got {got}")),
        (Err(error), Some(_), None) => Err(format!("expected a result, got {}", chain(&error))),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

/// Brings the number of an order into its normal form, as the desk does.
pub(super) async fn normalise(vendor: &Vendor, input: &mut Value) {
    let number = input.get("number").and_then(Value::as_str).and_then(|number| OrderId::parse(number).ok());
    if let Some(number) = number
        && let Ok(normal) = vendor.order_number(&number).await
    {
        input["number"] = normal.number().into();
    }
}

/// Whether the order that came back is the one that was asked for, as the desk compares them.
async fn is_asked(vendor: &Vendor, found: &OrderId, input: &Value) -> bool {
    let asked = input.get("number").and_then(Value::as_str).and_then(|number| OrderId::parse(number).ok());
    match (asked, vendor.order_number(found).await) {
        (Some(asked), Ok(found)) => found.is_same(&asked, false),
        _ => true,
    }
}

/// Runs an operation and returns its result as JSON.
pub(super) async fn result(
    vendor: &Vendor,
    operation: &str,
    task: &Task<'_>,
    notes: &mut Vec<String>,
) -> Result<Value, OperationError> {
    let json = |value: serde_json::Result<Value>| value.unwrap_or_default();
    Ok(match operation {
        "orders.find" => match vendor.find_order(task).await? {
            None => Value::Null,
            Some(ReadOrder { faults, .. }) if !faults.is_empty() => json!({ "left out": faults }),
            Some(ReadOrder { order, .. }) if !is_asked(vendor, &order.id, task.input).await => {
                notes.push(format!("id: {} is another number than was asked for, which is not found", order.id));
                Value::Null
            }
            Some(ReadOrder { order, rounded, .. }) => {
                notes.extend(rounded);
                json(serde_json::to_value(order))
            }
        },
        "helpdesk.create_ticket" => json(serde_json::to_value(vendor.create_ticket(task).await?)),
        "helpdesk.find_ticket" => json(serde_json::to_value(vendor.find_ticket(task).await?)),
        "crm.find_contact" => vendor.find_contact(task).await?.map_or(Value::Null, |contact| {
            json!({
                "id": contact.id, "customer": contact.customer, "email": contact.email, "fields": contact.fields,
            })
        }),
        "crm.upsert_contact" => json!({ "id": vendor.upsert_contact(task).await? }),
        "crm.log_activity" => json!({ "id": vendor.log_activity(task).await? }),
        "helpdesk.add_comment" => done(vendor.add_comment(task).await)?,
        "knowledge.upsert_article" => done(vendor.upsert_article(task).await)?,
        "knowledge.remove_article" => done(vendor.remove_article(task).await)?,
        "codes.send" => done(vendor.send_code(task).await)?,
        "knowledge.list" => listing::shown(&vendor.list_articles(task).await?),
        "knowledge.get" => vendor.get_article(task).await?.as_ref().map_or(Value::Null, listing::one),
        _ => done(vendor.health(task).await)?,
    })
}

fn done(result: Result<(), OperationError>) -> Result<Value, OperationError> {
    result.map(|()| json!("done"))
}

pub(super) fn meaning(error: &OperationError) -> (ExpectedMeaning, Option<String>, Option<Duration>) {
    let meaning = match &error.failure {
        Failure::NotFound { .. } => ExpectedMeaning::NotFound,
        Failure::Denied { .. } => ExpectedMeaning::Denied,
        Failure::Forbidden { .. } => ExpectedMeaning::Forbidden,
        Failure::Misconfigured { field, .. } => return (ExpectedMeaning::Misconfigured, field.clone(), None),
        Failure::RateLimited { retry_after, .. } => return (ExpectedMeaning::RateLimited, None, *retry_after),
        Failure::Invalid { field, .. } => return (ExpectedMeaning::Invalid, field.clone(), None),
        Failure::Conflict { .. } if !error.in_doubt => ExpectedMeaning::Invalid,
        Failure::EmailRequired { .. } => ExpectedMeaning::EmailRequired,
        Failure::Closed { .. } if !error.in_doubt => ExpectedMeaning::Closed,
        _ if error.in_doubt => ExpectedMeaning::InDoubt,
        Failure::Unavailable { .. } | Failure::Upstream(_) => ExpectedMeaning::Unavailable,
        Failure::InDoubt { .. } => ExpectedMeaning::InDoubt,
        Failure::Incomplete => ExpectedMeaning::Incomplete,
        _ => ExpectedMeaning::Unexpected,
    };
    (meaning, None, None)
}

/// A transport that plays the vendor.
struct Script {
    base: BaseUrl,
    /// The requests are those of GraphQL.
    graphql: bool,
    made_nothing: AtomicBool,
    state: Mutex<State>,
}

struct State {
    exchanges: VecDeque<Exchange>,
    sent: usize,
    failure: Option<String>,
}

impl Script {
    fn new(exchanges: &[Exchange], graphql: bool) -> Self {
        let base = BaseUrl::parse(BASE, false).unwrap_or_else(|_| unreachable!("the base of examples is a good one"));
        let state = State { exchanges: exchanges.iter().cloned().collect(), sent: 0, failure: None };
        Self { base, graphql, made_nothing: AtomicBool::new(false), state: Mutex::new(state) }
    }

    /// The first unexpected request, or the number of missing ones.
    fn end(self) -> Result<(), String> {
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        match state.failure {
            Some(failure) => Err(failure),
            None if !state.exchanges.is_empty() => {
                Err(format!("{} of its requests were not sent", state.exchanges.len()))
            }
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Transport for Script {
    fn base(&self) -> &BaseUrl {
        &self.base
    }

    async fn send(&self, request: Request) -> Result<Reply, UpstreamError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.sent += 1;
        let what = format!("request {}", state.sent);
        let refuse = |state: &mut State, why: String| {
            state.failure.get_or_insert(why);
            Err(UpstreamError { error: CallError::Busy, in_doubt: false })
        };
        let Some(exchange) = state.exchanges.pop_front() else {
            let path = request.url.as_str().trim_start_matches(BASE);
            let why = format!("{what} was not expected: {} {path}", request.method);
            return refuse(&mut state, why);
        };
        match compare(&what, self.graphql, &exchange, &request) {
            Some(why) => refuse(&mut state, why),
            None => Ok(Reply {
                status: http::StatusCode::from_u16(exchange.reply.status).unwrap_or_default(),
                retry_after: exchange.reply.retry_after_s.map(Duration::from_secs),
                headers: {
                    let given = exchange.reply.headers.into_iter().map(|(name, value)| (name.to_lowercase(), value));
                    given
                        .filter(|(name, _)| request.reply_headers.iter().any(|wanted| wanted.as_str() == name))
                        .collect()
                },
                body: exchange.reply.body.into(),
                in_doubt: false,
                sent_with: SentWith::default(),
            }),
        }
    }

    /// An example that has another exchange after a `token_expired` shows the request that is sent again.
    fn renew(&self, _: SentWith, refusal: Refusal) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        refusal == Refusal::Expired && !state.exchanges.is_empty()
    }

    fn renewal_helped(&self) {}

    fn trip(&self) {}

    fn made_nothing(&self, _path: &str) {
        self.made_nothing.store(true, Ordering::Relaxed);
    }
}

fn compare(what: &str, graphql: bool, exchange: &Exchange, request: &Request) -> Option<String> {
    let expected = &exchange.request;
    let path = request.url.as_str().trim_start_matches(BASE);
    let (method, expected_path) = match (expected.method, expected.path.as_deref()) {
        (Some(method), Some(path)) => (method.http(), path),
        // For GraphQL both are the step's, and say nothing.
        (method, there) if graphql => {
            (method.map_or_else(|| request.method.clone(), |method| method.http()), there.unwrap_or(path))
        }
        (None, _) => return Some(format!("{what}: method is missing")),
        (_, None) => return Some(format!("{what}: path is missing")),
    };
    if request.method != method || path != expected_path {
        return Some(format!("{what}: expected {method} {expected_path}, got {} {path}", request.method));
    }
    for (name, value) in &expected.headers {
        let got = request.headers.get(name).and_then(|value| value.to_str().ok());
        if got != Some(value) {
            return Some(format!("{what}: expected header {name}: {value}, got {got:?}"));
        }
    }
    let body = form::body(request);
    match (&expected.body, &expected.variables, body) {
        (Some(_), Some(_), _) => Some(format!("{what}: write body or variables, not both")),
        (None, Some(_), _) if !graphql => Some(format!("{what}: variables are for protocol = \"graphql\"")),
        // The query is the step's.
        (None, variables, Some(body)) if graphql => {
            let expected = variables.as_ref().map_or(Value::Null, |json| json.0.clone());
            let got = body.get("variables").unwrap_or(&Value::Null);
            differs_exactly(&format!("{what}: variables"), &expected, got)
        }
        (None, _, None) => None,
        (Some(expected), None, Some(body)) => differs_exactly(&format!("{what}: body"), &expected.0, &body),
        (Some(expected), None, None) => Some(format!("{what}: expected the body {}, got none", expected.0)),
        (None, _, Some(body)) => Some(format!("{what}: expected no body, got {body}")),
    }
}
