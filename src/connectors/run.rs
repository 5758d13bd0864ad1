//! Runs an operation: builds requests, judges and maps replies, and tracks whether the effect may exist.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use jaq_json::Val;
use serde_json::{Value, json};

use super::{
    compiled::{CompiledStep, Operation},
    failure::{Failure, OperationError},
    filter::{FilterScope, to_val},
    form,
    graphql::Document,
    input::{argument, is_setup_name},
    judge::{self, ReplyOutcome, judge},
    text::plain,
    threads::{FilterThreads, RunError},
};
use crate::upstream::{BaseUrl, Reply, Request, SentWith, UpstreamError, auth::Refusal};

/// Longest request body, in bytes.
const BODY_BYTES_MAX: usize = 512 * 1024;

/// The receiver of requests: an upstream, or the script of an example.
#[async_trait]
pub(super) trait Transport: Send + Sync {
    fn base(&self) -> &BaseUrl;
    async fn send(&self, request: Request) -> Result<Reply, UpstreamError>;
    /// Renews the token that a reply refuses. Returns whether the request may be sent again.
    fn renew(&self, sent_with: SentWith, refusal: Refusal) -> bool;
    /// Reports that the new token was accepted.
    fn renewal_helped(&self);
    /// Opens the breaker, because a reply filter overran.
    fn trip(&self);
    /// Reports that a reply filter gave no output for a reply with a body.
    fn made_nothing(&self, path: &str);
    /// Shows a step before its request and, with the reply, after it, to explain what its filters do.
    fn watch(&self, _step: &Arc<CompiledStep>, _scope: &FilterScope, _reply: Option<&Reply>) {}
}

/// Arguments of a run.
pub(super) struct Run<'a> {
    pub(super) transport: &'a dyn Transport,
    pub(super) threads: &'a FilterThreads,
    pub(super) settings: &'a Val,
    pub(super) input: &'a Value,
    /// Value of the vendor's idempotency header.
    pub(super) effect: Option<&'a str>,
}

/// Output of a request's filters.
struct Prepared {
    params: Value,
    query: Vec<(String, String)>,
    body: Option<Bytes>,
    is_form: bool,
}

/// Result of a run.
pub(super) struct Output {
    /// Output of the last request's `reply` filter; none if that is empty or null.
    pub(super) value: Option<Value>,
    /// False: what is not in the replies may be in what did not come.
    pub(super) whole: bool,
}

/// What is known so far of a run.
struct Progress {
    in_doubt: bool,
    whole: bool,
}

/// A reply, judged.
struct Exchanged {
    outcome: ReplyOutcome,
    /// What `complete` says of it.
    whole: bool,
    status: StatusCode,
    /// Whether an earlier attempt may have been acted upon.
    earlier: bool,
    sent_with: SentWith,
}

impl Operation {
    /// Runs the steps.
    pub(super) async fn run(&self, run: &Run<'_>) -> Result<Output, OperationError> {
        let input = to_val(run.input);
        let (mut replies, mut last) = (Vec::new(), None);
        let mut progress = Progress { in_doubt: false, whole: true };
        for step in &self.steps {
            let scope = FilterScope {
                dot: input.clone(),
                variables: [input.clone(), run.settings.clone(), replies.iter().cloned().collect(), Val::Null],
            };
            match run_step(run, step, scope, &mut progress).await {
                Ok(None) => replies.push(Val::Null),
                Ok(Some(value)) => {
                    replies.push(value.as_ref().map(to_val).unwrap_or_default());
                    last = value;
                    if self.alternatives {
                        break;
                    }
                }
                Err(failure) => {
                    return Err(OperationError { operation: self.name, failure, in_doubt: progress.in_doubt });
                }
            }
        }
        Ok(Output { value: last.filter(|value| !value.is_null()), whole: progress.whole })
    }

    /// The error of a look-up.
    pub(super) fn failed(&self, failure: Failure) -> OperationError {
        OperationError { operation: self.name, failure, in_doubt: false }
    }

    /// The error for an unusable result. The effect of the operation, if it has one, exists by then.
    pub(super) fn misfit(&self, why: String) -> OperationError {
        let in_doubt = self.steps.iter().any(|step| step.is_effect());
        OperationError { operation: self.name, failure: Failure::Misfit(why), in_doubt }
    }
}

/// Runs one step; none if it is skipped.
async fn run_step(
    run: &Run<'_>,
    step: &Arc<CompiledStep>,
    scope: FilterScope,
    progress: &mut Progress,
) -> Result<Option<Option<Value>>, Failure> {
    run.transport.watch(step, &scope, None);
    let prepared = {
        let (step, scope) = (step.clone(), scope.clone());
        // Request filters work on the customer's input: their run time says nothing about the upstream.
        filters(run, "request filters", move || prepare(&step, &scope)).await??
    };
    let Some(prepared) = prepared else { return Ok(None) };
    let request = request(run, step, prepared)?;
    let mut judged = exchange(run, step, &scope, request.clone(), progress).await?;
    // The vendor refused the request before doing anything, so even a write is sent again.
    if let Some(refusal) = judged.outcome.refusal()
        && run.transport.renew(judged.sent_with, refusal)
    {
        let earlier = judged.earlier;
        let again = exchange(run, step, &scope, request, progress).await;
        judged = again.inspect_err(|_| progress.in_doubt |= earlier && step.is_effect())?;
        judged.earlier |= earlier;
        if judged.outcome.refusal().is_none() {
            run.transport.renewal_helped();
        }
    }
    let Exchanged { outcome, status, earlier, whole, .. } = judged;
    progress.whole &= whole;
    let result = match outcome {
        ReplyOutcome::Value(value) => Ok(value),
        ReplyOutcome::Nothing => {
            run.transport.made_nothing(&step.path);
            Ok(None)
        }
        ReplyOutcome::TokenExpired { status } => Err(Failure::Denied { status }),
        ReplyOutcome::Failed(failure) => Err(failure),
    };
    match result {
        Ok(value) => {
            // This request has taken effect, even if a later one fails.
            progress.in_doubt |= step.is_effect();
            Ok(Some(value))
        }
        Err(failure) => {
            let keyed = step.idempotency_header.is_some();
            progress.in_doubt |= step.is_effect() && failure.is_unclear(status, earlier, keyed);
            // A vendor may send anything as the field: only a known argument or setup name is kept.
            Err(match failure {
                Failure::Invalid { status, field } => {
                    let field = field.as_deref().and_then(|field| argument(run.input, field));
                    Failure::Invalid { status, field }
                }
                Failure::Misconfigured { status, field } => {
                    let field = field.filter(|field| is_setup_name(run.input, field));
                    Failure::Misconfigured { status, field }
                }
                Failure::GraphQl { status, code } => {
                    let code = code.filter(|code| is_setup_name(run.input, code));
                    Failure::GraphQl { status, code }
                }
                other => other,
            })
        }
    }
}

/// Sends the request and judges the reply.
async fn exchange(
    run: &Run<'_>,
    step: &Arc<CompiledStep>,
    scope: &FilterScope,
    request: Request,
    progress: &mut Progress,
) -> Result<Exchanged, Failure> {
    let reply = match run.transport.send(request).await {
        Ok(reply) => reply,
        Err(error) => {
            progress.in_doubt |= error.in_doubt && step.is_effect();
            return Err(error.into());
        }
    };
    run.transport.watch(step, scope, Some(&reply));
    let (status, earlier, sent_with) = (reply.status, reply.in_doubt, reply.sent_with);
    let outcome = {
        let (step, scope) = (step.clone(), scope.clone());
        filters(run, "reply filters", move || judge(&step, scope, &reply)).await
    };
    if matches!(&outcome, Err(Failure::Filter { source: RunError::Overran, .. })) {
        run.transport.trip();
    }
    let judge::Judged { outcome, whole } = match outcome {
        Ok(Ok(judged)) => judged,
        Ok(Err(failure)) | Err(failure) => judge::Judged { outcome: ReplyOutcome::Failed(failure), whole: true },
    };
    Ok(Exchanged { outcome, whole, status, earlier, sent_with })
}

/// Runs filters on the filter threads.
async fn filters<T: Send + 'static>(
    run: &Run<'_>,
    key: &'static str,
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<Result<T, Failure>, Failure> {
    let done = run.threads.run(move || Ok(work())).await;
    done.map_err(|source| Failure::Filter { key, source })
}

fn prepare(step: &CompiledStep, scope: &FilterScope) -> Result<Option<Prepared>, Failure> {
    let run = |key, filter: &Option<super::filter::Filter>| match filter {
        Some(filter) => filter.run(scope).map_err(|source| Failure::Filter { key, source }),
        None => Ok(None),
    };
    if step.when.is_some() && !matches!(run("when", &step.when)?, Some(Value::Bool(true))) {
        return Ok(None);
    }
    // An empty output must not become a request without parameters.
    let there = |key, filter: &Option<super::filter::Filter>| match run(key, filter)? {
        None if filter.is_some() => Err(Failure::Output { key, why: "nothing" }),
        output => Ok(output),
    };
    let params = there("params", &step.params)?.unwrap_or(Value::Null);
    let query = pairs("query", there("query", &step.query)?)?;
    let form = step.form.is_some().then(|| pairs("form", there("form", &step.form)?)).transpose()?;
    let body = match &step.graphql {
        Some(document) => Some(graphql_body(document, there("variables", &step.variables)?)?),
        None => there("body", &step.body)?,
    };
    let is_form = form.is_some();
    let body = match form.map(|form| form::encode(&form)).or_else(|| body.map(|body| body.to_string())) {
        None => None,
        Some(text) => {
            if text.len() > BODY_BYTES_MAX {
                return Err(Failure::Output { key: "body", why: "more than may be sent" });
            }
            Some(Bytes::from(text))
        }
    };
    Ok(Some(Prepared { params, query, body, is_form }))
}

/// The body of a GraphQL request, as its clients send it over HTTP.
fn graphql_body(document: &Document, variables: Option<Value>) -> Result<Value, Failure> {
    match variables {
        None | Some(Value::Null) => Ok(json!({ "query": document.text })),
        Some(Value::Object(variables)) => Ok(json!({ "query": document.text, "variables": variables })),
        Some(_) => Err(Failure::Output { key: "variables", why: "something else than an object" }),
    }
}

fn pairs(key: &'static str, output: Option<Value>) -> Result<Vec<(String, String)>, Failure> {
    let wrong = || Failure::Output { key, why: "something else than an object of strings and numbers" };
    let members = match output {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Object(members)) => members,
        Some(_) => return Err(wrong()),
    };
    let mut pairs = Vec::new();
    for (name, value) in members {
        let items = match value {
            Value::Null => continue,
            Value::Array(items) => items,
            one => vec![one],
        };
        for item in items {
            pairs.push((name.clone(), plain(&item).ok_or_else(wrong)?));
        }
    }
    Ok(pairs)
}

/// A setting as text; None if it is left out.
fn setting_text(settings: &Val, name: &str) -> Option<String> {
    let Val::Obj(settings) = settings else { return None };
    match settings.get(&Val::utf8_str(name.to_owned()))? {
        Val::Null => None,
        Val::TStr(text) | Val::BStr(text) => String::from_utf8(text.to_vec()).ok(),
        other => Some(other.to_string()),
    }
}

fn request(run: &Run<'_>, step: &CompiledStep, prepared: Prepared) -> Result<Request, Failure> {
    let source = if step.params.is_some() { &prepared.params } else { run.input };
    let names: Vec<(String, String)> = source
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.clone(), plain(value)?)))
        .collect();
    let parameter = |wanted: &str| names.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    let url = run.transport.base().join(&step.path, parameter, &prepared.query)?;
    let mut headers = step.headers.clone();
    for (name, setting) in &step.setting_headers {
        // One that is left out sends nothing.
        let Some(value) = setting_text(run.settings, setting) else { continue };
        let value = HeaderValue::from_str(&value).map_err(|_| {
            Failure::Misfit(format!("headers.{name}: the setting {setting} cannot be sent in a header"))
        })?;
        headers.insert(name.clone(), value);
    }
    if prepared.body.is_some() {
        let usual = if prepared.is_form { form::CONTENT_TYPE } else { HeaderValue::from_static("application/json") };
        headers.entry(header::CONTENT_TYPE).or_insert(usual);
    }
    if let (Some(name), Some(effect)) = (&step.idempotency_header, run.effect)
        && let Ok(value) = HeaderValue::from_str(effect)
    {
        headers.insert(name.clone(), value);
    }
    Ok(Request {
        method: step.method.http(),
        url,
        headers,
        body: prepared.body,
        repeatable: step.repeatable,
        reply_headers: step.reply_headers.clone(),
    })
}
