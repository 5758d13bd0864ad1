//! Runs an operation: builds requests, judges and maps replies, and tracks whether the effect may exist.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use jaq_json::Val;
use serde_json::{Value, json};

use super::{
    compiled::{CompiledStep, Operation},
    failure::{Failure, OperationError},
    file::Meaning,
    filter::{FilterScope, to_val},
    input::{argument, is_setup_name},
    threads::{FilterThreads, RunError},
};
use crate::upstream::{BaseUrl, Reply, Request, UpstreamError};

/// Longest request body, in bytes.
const BODY_BYTES_MAX: usize = 512 * 1024;

/// The receiver of requests: an upstream, or the script of an example.
#[async_trait]
pub(super) trait Transport: Send + Sync {
    fn base(&self) -> &BaseUrl;
    async fn send(&self, request: Request) -> Result<Reply, UpstreamError>;
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
}

/// ReplyOutcome on a reply.
enum ReplyOutcome {
    Value(Option<Value>),
    /// The filter gave no output for a body, which may be a fault in the file.
    Nothing,
    Failed(Failure),
}

impl Operation {
    /// Runs the steps. Returns the output of the last request's `reply` filter; none if that is empty or null.
    pub(super) async fn run(&self, run: &Run<'_>) -> Result<Option<Value>, OperationError> {
        let input = to_val(run.input);
        let (mut replies, mut last, mut in_doubt) = (Vec::new(), None, false);
        for step in &self.steps {
            let scope = FilterScope {
                dot: input.clone(),
                variables: [input.clone(), run.settings.clone(), replies.iter().cloned().collect(), Val::Null],
            };
            match run_step(run, step, scope, &mut in_doubt).await {
                Ok(None) => replies.push(Val::Null),
                Ok(Some(value)) => {
                    replies.push(value.as_ref().map(to_val).unwrap_or_default());
                    last = value;
                    if self.alternatives {
                        break;
                    }
                }
                Err(failure) => return Err(OperationError { operation: self.name, failure, in_doubt }),
            }
        }
        Ok(last.filter(|value| !value.is_null()))
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
    in_doubt: &mut bool,
) -> Result<Option<Option<Value>>, Failure> {
    run.transport.watch(step, &scope, None);
    let prepared = {
        let (step, scope) = (step.clone(), scope.clone());
        // Request filters work on the customer's input: their run time says nothing about the upstream.
        filters(run, "request filters", move || prepare(&step, &scope)).await??
    };
    let Some(prepared) = prepared else { return Ok(None) };
    let request = request(run, step, prepared)?;
    let sent = run.transport.send(request).await;
    let reply = match sent {
        Ok(reply) => reply,
        Err(error) => {
            *in_doubt |= error.in_doubt && step.is_effect();
            return Err(error.into());
        }
    };
    run.transport.watch(step, &scope, Some(&reply));
    let (status, earlier) = (reply.status, reply.in_doubt);
    let outcome = {
        let step = step.clone();
        filters(run, "reply filters", move || judge(&step, scope, &reply)).await
    };
    if matches!(&outcome, Err(Failure::Filter { source: RunError::Overran, .. })) {
        run.transport.trip();
    }
    let outcome = match outcome {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(failure)) | Err(failure) => ReplyOutcome::Failed(failure),
    };
    let outcome = match outcome {
        ReplyOutcome::Nothing => {
            run.transport.made_nothing(&step.path);
            ReplyOutcome::Value(None)
        }
        outcome => outcome,
    };
    match outcome {
        ReplyOutcome::Nothing => Ok(Some(None)),
        ReplyOutcome::Value(value) => {
            // This request has taken effect, even if a later one fails.
            *in_doubt |= step.is_effect();
            Ok(Some(value))
        }
        ReplyOutcome::Failed(failure) => {
            let keyed = step.idempotency_header.is_some();
            *in_doubt |= step.is_effect() && failure.is_unclear(status, earlier, keyed);
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
                other => other,
            })
        }
    }
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
    let query = query(there("query", &step.query)?)?;
    let body = match run("body", &step.body)? {
        None if step.body.is_some() => return Err(Failure::Output { key: "body", why: "nothing" }),
        None => None,
        Some(body) => {
            let text = body.to_string();
            if text.len() > BODY_BYTES_MAX {
                return Err(Failure::Output { key: "body", why: "more than may be sent" });
            }
            Some(Bytes::from(text))
        }
    };
    Ok(Some(Prepared { params, query, body }))
}

fn query(output: Option<Value>) -> Result<Vec<(String, String)>, Failure> {
    let wrong = || Failure::Output { key: "query", why: "something else than an object of strings and numbers" };
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

/// A string, number or boolean as text.
pub(super) fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
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
    if prepared.body.is_some() {
        headers.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
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

/// The input of filters on a reply, and the body if it is JSON.
pub(super) fn of_reply(mut scope: FilterScope, reply: &Reply) -> (FilterScope, Option<Value>) {
    // RFC 8259, section 8.1: parsers may ignore a byte order mark.
    let text = reply.body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&reply.body);
    // Headers stand in for a body.
    let headers = (reply.status.is_success() && !reply.headers.is_empty()).then(|| json!(reply.headers));
    let parsed = match text.trim_ascii() {
        [] => Some(headers.unwrap_or_default()),
        body => serde_json::from_slice(body).ok(),
    };
    scope.dot = match &parsed {
        Some(body) => to_val(body),
        // Rules may match a body that is not JSON as a string.
        None => Val::utf8_str(String::from_utf8_lossy(&reply.body).into_owned()),
    };
    scope.variables[3] = Val::from(usize::from(reply.status.as_u16()));
    (scope, parsed)
}

fn judge(step: &CompiledStep, scope: FilterScope, reply: &Reply) -> Result<ReplyOutcome, Failure> {
    let status = reply.status.as_u16();
    let (scope, parsed) = of_reply(scope, reply);
    let meaning = match by_rule(step, &scope, reply)? {
        Some(outcome) => return Ok(outcome),
        None => by_status(reply),
    };
    if let Some(failure) = meaning {
        return Ok(ReplyOutcome::Failed(failure));
    }
    if parsed.is_none() {
        return Err(Failure::NotJson { status });
    }
    match &step.reply {
        // 204 to a query means not found; after a change the filter still runs, as on a 202 without a body.
        Some(_) if reply.status == StatusCode::NO_CONTENT && step.safe => Ok(ReplyOutcome::Value(None)),
        Some(_) if reply.body.is_empty() && reply.headers.is_empty() && !may_be_empty(step, reply.status) => {
            Err(Failure::Empty { status })
        }
        Some(filter) => {
            let output = filter.run(&scope).map_err(|source| Failure::Filter { key: "reply", source })?;
            Ok(match output {
                None if parsed.is_some_and(|body| !body.is_null()) => ReplyOutcome::Nothing,
                output => ReplyOutcome::Value(output),
            })
        }
        None => Ok(ReplyOutcome::Value(parsed)),
    }
}

/// Whether a success says all that it has to say without a body.
fn may_be_empty(step: &CompiledStep, status: StatusCode) -> bool {
    status == StatusCode::NO_CONTENT || (status == StatusCode::ACCEPTED && !step.safe)
}

/// ReplyOutcome of the first matching rule; `Value` if it means success.
fn by_rule(step: &CompiledStep, scope: &FilterScope, reply: &Reply) -> Result<Option<ReplyOutcome>, Failure> {
    let status = reply.status.as_u16();
    for rule in &step.errors {
        if !rule.status.is_empty() && !rule.status.contains(&status) {
            continue;
        }
        if let Some(when) = &rule.when
            // A rule whose filter fails on the body does not match.
            && !matches!(when.run(scope), Ok(Some(Value::Bool(true))))
        {
            continue;
        }
        let output = |filter: &Option<super::filter::Filter>| {
            filter.as_ref().and_then(|filter| filter.run(scope).ok().flatten())
        };
        return Ok(Some(match rule.meaning {
            Meaning::Ok => ReplyOutcome::Value(None),
            Meaning::NotFound => ReplyOutcome::Failed(Failure::NotFound { status }),
            Meaning::Denied => ReplyOutcome::Failed(Failure::Denied { status }),
            Meaning::Forbidden => ReplyOutcome::Failed(Failure::Forbidden { status }),
            Meaning::Misconfigured => {
                let field = output(&rule.field).as_ref().and_then(plain);
                ReplyOutcome::Failed(Failure::Misconfigured { status, field })
            }
            Meaning::RateLimited => {
                let seconds = output(&rule.retry_after_s).and_then(|seconds| seconds.as_f64());
                let said = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds.ceil()).ok());
                ReplyOutcome::Failed(Failure::RateLimited { status, retry_after: reply.retry_after.or(said) })
            }
            Meaning::Invalid => {
                let field = output(&rule.field).as_ref().and_then(Value::as_str).map(str::to_owned);
                ReplyOutcome::Failed(Failure::Invalid { status, field })
            }
            Meaning::Unavailable => ReplyOutcome::Failed(Failure::Unavailable { status }),
            Meaning::InDoubt => ReplyOutcome::Failed(Failure::InDoubt { status }),
            Meaning::EmailRequired => ReplyOutcome::Failed(Failure::EmailRequired { status }),
            Meaning::Closed => ReplyOutcome::Failed(Failure::Closed { status }),
        }));
    }
    Ok(None)
}

/// Default meaning of a status.
fn by_status(reply: &Reply) -> Option<Failure> {
    let status = reply.status.as_u16();
    Some(match status {
        200..=299 => return None,
        401 | 403 | 407 => Failure::Denied { status },
        404 | 410 => Failure::NotFound { status },
        429 => Failure::RateLimited { status, retry_after: reply.retry_after },
        409 => Failure::Conflict { status },
        400 | 413 | 422 => Failure::Invalid { status, field: None },
        408 | 500..=599 => Failure::Unavailable { status },
        _ => Failure::Status { status },
    })
}
