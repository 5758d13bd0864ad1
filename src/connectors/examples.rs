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
    example_result::{ExampleResult, differs},
    failure::{Failure, OperationError},
    file::{Example, Exchange, ExpectedMeaning, VendorFile},
    filter::to_val,
    library::Library,
    reply::ReadOrder,
    run::Transport,
    shapes,
    threads::FilterThreads,
    vendor::{self, Task, Vendor},
    webhook, webhook_examples,
};
use crate::{
    domain::SystemId,
    upstream::{BaseUrl, CallError, Reply, Request, UpstreamError},
};

/// Base URL in examples.
pub(super) const BASE: &str = "https://vendor.example";
/// Effect id in examples, as external id and in the idempotency header.
const EFFECT: &str = "01J00000000000000000000000";

/// Runs all examples of a vendor file. An error means that the file itself is faulty.
pub async fn run_examples(library: &Library, name: &str) -> Result<Vec<ExampleResult>, super::ConnectorError> {
    let file = library.parse(name)?;
    let operations = Operations::compile(&file)
        .map_err(|source| super::ConnectorError::Compile { file: library.file(name), source })?;
    let operations = Arc::new(operations);
    let threads = FilterThreads::start(name);
    let mut results = Vec::new();
    for example in &file.examples {
        let failure = run_one(&file, operations.clone(), example, &threads).await.err();
        results.push(ExampleResult { example: example.name.clone(), operation: example.operation.clone(), failure });
    }
    if file.webhook.is_some() || !file.webhook_examples.is_empty() {
        let compiled = webhook::compile(&file)
            .map_err(|source| super::ConnectorError::Compile { file: library.file(name), source })?;
        results.extend(webhook_examples::run(&file, &compiled, &threads).await);
    }
    Ok(results)
}

pub(super) async fn run_one(
    file: &VendorFile,
    operations: Arc<Operations>,
    example: &Example,
    threads: &FilterThreads,
) -> Result<(), String> {
    if operations.get(&example.operation).is_none() {
        return Err(format!("there is no operation {} in this file", example.operation));
    }
    let input = shapes::complete(&example.operation, &example.input.0, &file.name)?;
    let settings = vendor::settings(&file.settings, &file.name, &example.settings)
        .map_err(|(key, why)| format!("settings.{key} {why}"))?;
    let system = SystemId::parse(&file.name).map_err(|invalid| invalid.to_string())?;
    let vendor = Vendor { operations, settings: to_val(&settings), system, threads: threads.clone() };
    let script = Script::new(&example.exchanges);
    let effect = input.get("external_id").and_then(Value::as_str).unwrap_or(EFFECT);
    let task = Task { transport: &script, input: &input, effect: Some(effect) };
    let got = result(&vendor, &example.operation, &task).await;
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

/// Runs an operation and returns its result as JSON.
pub(super) async fn result(vendor: &Vendor, operation: &str, task: &Task<'_>) -> Result<Value, OperationError> {
    let json = |value: serde_json::Result<Value>| value.unwrap_or_default();
    Ok(match operation {
        "orders.find" => match vendor.find_order(task).await? {
            None => Value::Null,
            Some(ReadOrder { order, faults }) if faults.is_empty() => json(serde_json::to_value(order)),
            Some(ReadOrder { faults, .. }) => json!({ "left out": faults }),
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
        _ => ExpectedMeaning::Unexpected,
    };
    (meaning, None, None)
}

/// A transport that plays the vendor.
struct Script {
    base: BaseUrl,
    made_nothing: AtomicBool,
    state: Mutex<State>,
}

struct State {
    exchanges: VecDeque<Exchange>,
    sent: usize,
    failure: Option<String>,
}

impl Script {
    fn new(exchanges: &[Exchange]) -> Self {
        let base = BaseUrl::parse(BASE, false).unwrap_or_else(|_| unreachable!("the base of examples is a good one"));
        let state = State { exchanges: exchanges.iter().cloned().collect(), sent: 0, failure: None };
        Self { base, made_nothing: AtomicBool::new(false), state: Mutex::new(state) }
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
        match compare(&what, &exchange, &request) {
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
            }),
        }
    }

    fn trip(&self) {}

    fn made_nothing(&self, _path: &str) {
        self.made_nothing.store(true, Ordering::Relaxed);
    }
}

fn compare(what: &str, exchange: &Exchange, request: &Request) -> Option<String> {
    let expected = &exchange.request;
    let path = request.url.as_str().trim_start_matches(BASE);
    if request.method != expected.method.http() || path != expected.path {
        return Some(format!(
            "{what}: expected {} {}, got {} {path}",
            expected.method.http(),
            expected.path,
            request.method
        ));
    }
    for (name, value) in &expected.headers {
        let got = request.headers.get(name).and_then(|value| value.to_str().ok());
        if got != Some(value) {
            return Some(format!("{what}: expected header {name}: {value}, got {got:?}"));
        }
    }
    let body = request.body.as_ref().and_then(|body| serde_json::from_slice(body).ok());
    match (&expected.body, body) {
        (None, None) => None,
        (Some(expected), Some(body)) if expected.0 == body => None,
        (expected, got) => {
            let show = |value: Option<&Value>| value.map_or("none".to_owned(), ToString::to_string);
            Some(format!(
                "{what}: expected the body {}, got {}",
                show(expected.as_ref().map(|json| &json.0)),
                show(got.as_ref())
            ))
        }
    }
}
