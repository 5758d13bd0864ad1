//! What a reply means: by the file's rules, by the errors in it, by its status, and by the `reply` filter.

use std::time::Duration;

use http::StatusCode;
use jaq_json::Val;
use serde_json::{Value, json};

use super::{
    compiled::{CompiledRule, CompiledStep},
    failure::Failure,
    file::Meaning,
    filter::{Filter, FilterScope, to_val},
    graphql,
    text::plain,
};
use crate::upstream::{Reply, auth::Refusal};

/// A judged reply.
pub(super) struct Judged {
    pub(super) outcome: ReplyOutcome,
    /// What `complete` says of it.
    pub(super) whole: bool,
}

pub(super) enum ReplyOutcome {
    Value(Option<Value>),
    /// The filter gave no output for a body, which may be a fault in the file.
    Nothing,
    Failed(Failure),
    TokenExpired {
        status: u16,
    },
}

impl ReplyOutcome {
    /// Whether the token was refused, so that the request was not done and may succeed with a new one.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::TokenExpired { .. } => Some(Refusal::Expired),
            Self::Failed(Failure::Denied { .. }) => Some(Refusal::Denied),
            _ => None,
        }
    }
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

pub(super) fn judge(step: &CompiledStep, scope: FilterScope, reply: &Reply) -> Result<Judged, Failure> {
    let (scope, parsed) = of_reply(scope, reply);
    let whole = step.complete.as_ref().is_none_or(|filter| is_true(filter, &scope));
    outcome(step, &scope, parsed.as_ref(), reply).map(|outcome| Judged { outcome, whole })
}

fn outcome(
    step: &CompiledStep,
    scope: &FilterScope,
    parsed: Option<&Value>,
    reply: &Reply,
) -> Result<ReplyOutcome, Failure> {
    let status = reply.status.as_u16();
    if let Some(outcome) = by_rule(step, scope, parsed, reply) {
        return Ok(outcome);
    }
    if let Some(failure) = by_errors(step, parsed, reply).or_else(|| by_status(reply)) {
        return Ok(ReplyOutcome::Failed(failure));
    }
    let Some(body) = parsed else { return Err(Failure::NotJson { status }) };
    if step.graphql.is_some() && !body.get("data").is_some_and(Value::is_object) {
        return Err(Failure::Misfit("data: is missing".to_owned()));
    }
    match &step.reply {
        // 204 to a query means not found; after a change the filter still runs, as on a 202 without a body.
        Some(_) if reply.status == StatusCode::NO_CONTENT && step.safe => Ok(ReplyOutcome::Value(None)),
        Some(_) if reply.body.is_empty() && body.is_null() && !may_be_empty(step, reply.status) => {
            Err(Failure::Empty { status })
        }
        Some(filter) => {
            let output = filter.run(scope).map_err(|source| Failure::Filter { key: "reply", source })?;
            Ok(match output {
                None | Some(Value::Null | Value::Bool(false)) if step.is_health => {
                    ReplyOutcome::Failed(Failure::NotHealthy { status })
                }
                None if says_error(body) => ReplyOutcome::Failed(Failure::SaysError { status }),
                None if !body.is_null() => ReplyOutcome::Nothing,
                output => ReplyOutcome::Value(output),
            })
        }
        None if step.is_health && says_error(body) => Ok(ReplyOutcome::Failed(Failure::SaysError { status })),
        None => Ok(ReplyOutcome::Value(Some(body.clone()))),
    }
}

/// Whether a success says all that it has to say without a body.
fn may_be_empty(step: &CompiledStep, status: StatusCode) -> bool {
    status == StatusCode::NO_CONTENT || (status == StatusCode::ACCEPTED && !step.safe)
}

fn is_true(filter: &Filter, scope: &FilterScope) -> bool {
    matches!(filter.run(scope), Ok(Some(Value::Bool(true))))
}

/// Whether a body says by itself that it is an error, in one of the ways in which vendors do that with status 200.
fn says_error(body: &Value) -> bool {
    let named = |name: &str| match body.get(name) {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::Bool(true)) => true,
        Some(Value::Number(code)) => code.as_f64() != Some(0.0),
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(items)) => !items.is_empty(),
        Some(Value::Object(members)) => !members.is_empty(),
    };
    let denied = |name: &str| body.get(name) == Some(&Value::Bool(false));
    let status = body.get("status").and_then(Value::as_str).unwrap_or_default();
    named("error")
        || named("errors")
        || denied("ok")
        || denied("success")
        || ["error", "fail", "failed", "failure"].iter().any(|word| status.eq_ignore_ascii_case(word))
}

/// Outcome of the first matching rule; `Value` if it means success.
fn by_rule(step: &CompiledStep, scope: &FilterScope, parsed: Option<&Value>, reply: &Reply) -> Option<ReplyOutcome> {
    let status = reply.status.as_u16();
    for rule in &step.errors {
        if !fits(rule, scope, parsed, reply) {
            continue;
        }
        let output = |filter: &Option<Filter>| filter.as_ref().and_then(|filter| filter.run(scope).ok().flatten());
        return Some(match rule.meaning {
            Meaning::Ok => ReplyOutcome::Value(None),
            Meaning::NotFound => ReplyOutcome::Failed(Failure::NotFound { status }),
            Meaning::Denied => ReplyOutcome::Failed(Failure::Denied { status }),
            Meaning::TokenExpired => ReplyOutcome::TokenExpired { status },
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
        });
    }
    None
}

/// Whether a rule applies to a reply. One whose filter fails on the body does not.
pub(super) fn fits(rule: &CompiledRule, scope: &FilterScope, parsed: Option<&Value>, reply: &Reply) -> bool {
    let of_status = rule.status.is_empty() || rule.status.contains(&reply.status.as_u16());
    let of_code = rule.code.is_empty() || has_code(rule, parsed);
    of_status && of_code && rule.when.as_ref().is_none_or(|when| is_true(when, scope))
}

/// Whether errors of the reply have one of the rule's codes. What means that there is nothing to complain of has to be
/// said by all of them.
fn has_code(rule: &CompiledRule, parsed: Option<&Value>) -> bool {
    let codes = parsed.and_then(graphql::errors).unwrap_or_default();
    let fits = |code: &Option<String>| code.as_ref().is_some_and(|code| rule.code.contains(code));
    match rule.meaning {
        Meaning::Ok | Meaning::NotFound => !codes.is_empty() && codes.iter().all(fits),
        _ => codes.iter().any(fits),
    }
}

/// Default meaning of errors in a GraphQL reply. Errors beside data are errors, too.
fn by_errors(step: &CompiledStep, parsed: Option<&Value>, reply: &Reply) -> Option<Failure> {
    let (status, success) = (reply.status.as_u16(), reply.status.is_success());
    let codes = match step.graphql.is_some() {
        true => graphql::errors(parsed?)?,
        // A file that does not name its protocol.
        false => graphql::errors_alone(parsed?).filter(|_| success)?,
    };
    Some(match graphql::meaning(&codes) {
        Some((Meaning::Denied, _)) => Failure::Denied { status },
        Some((Meaning::RateLimited, _)) => Failure::RateLimited { status, retry_after: reply.retry_after },
        Some((Meaning::Unavailable, _)) => Failure::Unavailable { status },
        Some((Meaning::Misconfigured, code)) => Failure::Misconfigured { status, field: Some(code.to_owned()) },
        Some((Meaning::Invalid, _)) => Failure::Invalid { status, field: None },
        Some((Meaning::NotFound, _)) => Failure::NotFound { status },
        _ if success => Failure::GraphQl { status, code: codes.into_iter().flatten().next() },
        _ => return None,
    })
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
