//! Runs one operation against the real system and keeps what was seen, to explain it: the requests, the replies, what
//! each filter made of them, and what the desk would get.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{
    compile_error::CompileError,
    compiled::{CompiledStep, Operation},
    connector::Connector,
    endpoints::{UpstreamTransport, transport},
    examples,
    failure::{Failure, OperationError},
    file::{Meaning, VendorFile},
    filter::{Filter, FilterCompiler, FilterScope},
    input,
    judge::{fits, of_reply},
    reply::ReadOrder,
    run::Transport,
    shapes,
    vendor::Task,
};
use crate::{
    domain::{EffectId, OrderId},
    upstream::{BaseUrl, Reply, Request, SentWith, Upstream, UpstreamError, auth::Refusal},
};

/// What was seen of one operation.
#[derive(Debug)]
pub struct Trial {
    pub operation: &'static str,
    /// The operation's input, complete.
    pub input: Value,
    pub steps: Vec<TriedStep>,
    /// The domain value, as in examples; null if there is none.
    pub result: Result<Value, OperationError>,
    /// Members of an order that could not be read.
    pub left_out: Vec<String>,
}

/// What was seen of one request.
#[derive(Debug)]
pub struct TriedStep {
    /// The section of the vendor file.
    pub section: String,
    pub before: Vec<Output>,
    /// None if it was not sent.
    pub request: Option<Request>,
    /// None if there was no reply.
    pub reply: Option<Reply>,
    pub after: Vec<Output>,
}

/// A filter or rule, and what it gave.
#[derive(Debug)]
pub struct Output {
    pub key: String,
    pub gave: Gave,
}

#[derive(Debug)]
pub enum Gave {
    Value(Value),
    /// No output at all.
    Nothing,
    Failed(String),
    /// An error rule that fits.
    Means(Meaning),
}

/// Why an operation was not tried.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    #[error("{file} has no operation {operation}; it has {known}")]
    Unknown { file: String, operation: String, known: String },
    #[error(
        "{operation} changes something at the vendor ({request}); it is sent with --write alone. If it only searches, write safe = true under its method"
    )]
    Writes { operation: &'static str, request: String },
    #[error("the input: {0}")]
    Input(String),
    #[error(transparent)]
    Compile(#[from] CompileError),
}

/// A transport that keeps what it sees.
struct Watching<'a> {
    inner: UpstreamTransport<'a>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    moments: Vec<Moment>,
    requests: Vec<Request>,
}

struct Moment {
    step: Arc<CompiledStep>,
    scope: FilterScope,
    reply: Option<Reply>,
}

impl Watching<'_> {
    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Transport for Watching<'_> {
    fn base(&self) -> &BaseUrl {
        self.inner.base()
    }

    async fn send(&self, request: Request) -> Result<Reply, UpstreamError> {
        self.seen().requests.push(request.clone());
        self.inner.send(request).await
    }

    fn renew(&self, sent_with: SentWith, refusal: Refusal) -> bool {
        self.inner.renew(sent_with, refusal)
    }

    fn renewal_helped(&self) {
        self.inner.renewal_helped();
    }

    fn trip(&self) {
        self.inner.trip();
    }

    fn made_nothing(&self, path: &str) {
        self.inner.made_nothing(path);
    }

    fn watch(&self, step: &Arc<CompiledStep>, scope: &FilterScope, reply: Option<&Reply>) {
        let moment = Moment { step: step.clone(), scope: scope.clone(), reply: reply.cloned() };
        self.seen().moments.push(moment);
    }
}

impl Connector {
    /// Runs an operation as the desk would, with an input as in examples. Operations that change something are refused
    /// unless `write`.
    pub async fn trial(
        &self,
        file: &VendorFile,
        operation: &str,
        input: &Value,
        write: bool,
    ) -> Result<Trial, TrialError> {
        let found = self.vendor.operations.get(operation).ok_or_else(|| TrialError::Unknown {
            file: file.name.clone(),
            operation: operation.to_owned(),
            known: self.vendor.operations.names().join(", "),
        })?;
        if let Some(step) = found.steps.iter().find(|step| !step.safe && !write) {
            let request = format!("{} {}", step.method.http(), step.path);
            return Err(TrialError::Writes { operation: found.name, request });
        }
        let mut input = self.complete(found.name, input).map_err(TrialError::Input)?;
        examples::normalise(&self.vendor, &mut input).await;
        let upstream = self
            .upstream_of(found.name)
            .ok_or_else(|| TrialError::Input(format!("{} is not set up for {}", self.name, found.name)))?;
        let watching = Watching { inner: transport(upstream), seen: Mutex::default() };
        let effect = input.get("external_id").and_then(Value::as_str);
        let task = Task { transport: &watching, input: &input, effect };
        let (result, left_out) = match found.name {
            "orders.find" => match self.vendor.find_order(&task).await {
                Ok(Some(ReadOrder { order, faults, .. })) => {
                    (Ok(serde_json::to_value(order).unwrap_or_default()), faults)
                }
                Ok(None) => (Ok(Value::Null), Vec::new()),
                Err(error) => (Err(error), Vec::new()),
            },
            name => (examples::result(&self.vendor, name, &task, &mut Vec::new()).await, Vec::new()),
        };
        let seen = watching.seen.into_inner().unwrap_or_else(PoisonError::into_inner);
        let replies = reply_filters(file, found)?;
        let steps = self.explain(found, seen, replies).await;
        Ok(Trial { operation: found.name, input, steps, result, left_out })
    }

    /// The input with all members: an order's `id` or `number` alone is enough, and a write has an effect id.
    fn complete(&self, operation: &str, input: &Value) -> Result<Value, String> {
        let mut input = shapes::complete(operation, input, self.vendor.system.as_str())?;
        if operation == "orders.find" {
            let told = input["id"].as_str().or(input["number"].as_str()).map(str::to_owned);
            let told = told.ok_or("an order is found by its number; write --input '{\"id\":\"1001\"}'")?;
            let id = OrderId::parse(&told).map_err(|invalid| format!("id {}", invalid.why))?;
            input = input::find_order(&id, &id);
        } else if input.get("external_id").is_some_and(Value::is_null) && operation != "helpdesk.find_ticket" {
            input["external_id"] = json!(EffectId::fresh().as_str());
        }
        Ok(input)
    }

    pub(super) fn upstream_of(&self, operation: &str) -> Option<&Arc<Upstream>> {
        let endpoints = &self.endpoints;
        match operation.split('.').next() {
            Some("orders") => endpoints.orders.as_ref(),
            Some("helpdesk") => endpoints.helpdesk.as_ref(),
            Some("crm") => endpoints.crm.as_ref(),
            Some("knowledge") => endpoints.knowledge.as_ref(),
            _ => endpoints.all().into_iter().next().map(|(_, upstream)| upstream),
        }
    }

    /// Runs the filters again, one by one.
    async fn explain(&self, operation: &Operation, seen: Seen, replies: Vec<Option<Filter>>) -> Vec<TriedStep> {
        let many = operation.steps.len() > 1;
        let mut steps: BTreeMap<usize, TriedStep> = BTreeMap::new();
        let mut requests = seen.requests.into_iter();
        for moment in seen.moments {
            let Some(n) = operation.steps.iter().position(|step| Arc::ptr_eq(step, &moment.step)) else { continue };
            let plain = replies.get(n).cloned().flatten();
            let reply = moment.reply.clone();
            let run = move || Ok(outputs(&moment, plain.as_ref()));
            let failed = |error: super::threads::RunError| {
                (vec![Output { key: "filters".to_owned(), gave: Gave::Failed(error.to_string()) }], false)
            };
            let (outputs, sends) = self.vendor.threads.run(run).await.unwrap_or_else(failed);
            let step = steps.entry(n).or_insert_with(|| TriedStep {
                section: if many { format!("{}[{n}]", operation.name) } else { operation.name.to_owned() },
                before: Vec::new(),
                request: None,
                reply: None,
                after: Vec::new(),
            });
            match reply {
                None => {
                    step.before = outputs;
                    step.request = if sends { requests.next() } else { None };
                }
                Some(reply) => {
                    step.after = outputs;
                    step.reply = Some(reply);
                }
            }
        }
        steps.into_values().collect()
    }
}

/// The reply filters of an operation as they are written: that of an order runs shielded, where a failure is not told.
fn reply_filters(file: &VendorFile, operation: &Operation) -> Result<Vec<Option<Filter>>, CompileError> {
    let find = file.orders.as_ref().filter(|_| operation.name == "orders.find").map(|orders| &orders.find.0);
    let Some(find) = find else { return Ok(operation.steps.iter().map(|step| step.reply.clone()).collect()) };
    let wrong = |source| CompileError::Filter { key: "orders.find.reply".to_owned(), source };
    let compiler = FilterCompiler::new(&file.definitions).map_err(wrong)?;
    find.iter()
        .map(|step| step.reply.as_deref().map(|code| compiler.compile(code)).transpose())
        .collect::<Result<_, _>>()
        .map_err(wrong)
}

/// What each filter of a step gives, and before the request whether it is sent.
fn outputs(moment: &Moment, reply_filter: Option<&Filter>) -> (Vec<Output>, bool) {
    let step = &moment.step;
    let gave = |filter: &Filter, scope: &FilterScope| match filter.explain(scope) {
        Ok(Some(value)) => Gave::Value(value),
        Ok(None) => Gave::Nothing,
        Err(why) => Gave::Failed(why),
    };
    let mut all = Vec::new();
    let Some(reply) = &moment.reply else {
        let filters = [
            ("when", &step.when),
            ("params", &step.params),
            ("query", &step.query),
            ("body", &step.body),
            ("form", &step.form),
            ("variables", &step.variables),
        ];
        for (key, filter) in filters {
            let Some(filter) = filter else { continue };
            let gave = gave(filter, &moment.scope);
            let skips = key == "when" && !matches!(gave, Gave::Value(Value::Bool(true)));
            let fails = key != "when" && matches!(gave, Gave::Nothing | Gave::Failed(_));
            all.push(Output { key: key.to_owned(), gave });
            if skips || fails {
                return (all, false);
            }
        }
        return (all, true);
    };
    let (scope, parsed) = of_reply(moment.scope.clone(), reply);
    for rule in &step.errors {
        if fits(rule, &scope, parsed.as_ref(), reply) {
            let statuses: Vec<String> = rule.status.iter().map(u16::to_string).collect();
            let on = [
                (!statuses.is_empty()).then(|| format!("status {}", statuses.join(", "))),
                (!rule.code.is_empty()).then(|| format!("code {}", rule.code.join(", "))),
                rule.when.as_ref().map(|_| "when".to_owned()),
            ];
            let on = on.into_iter().flatten().collect::<Vec<_>>().join(", ");
            all.push(Output { key: format!("errors ({on})"), gave: Gave::Means(rule.meaning) });
            return (all, true);
        }
    }
    if let (Some(filter), true, true) = (reply_filter, reply.status.is_success(), parsed.is_some()) {
        all.push(Output { key: "reply".to_owned(), gave: gave(filter, &scope) });
    }
    if let (Some(filter), true, true) = (&step.complete, reply.status.is_success(), parsed.is_some()) {
        all.push(Output { key: "complete".to_owned(), gave: gave(filter, &scope) });
    }
    (all, true)
}

impl Trial {
    /// The failure, if it ended in one.
    pub fn failure(&self) -> Option<&Failure> {
        self.result.as_ref().err().map(|error| &error.failure)
    }
}
