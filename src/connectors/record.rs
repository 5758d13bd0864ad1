//! Writes a real exchange as an example with made-up values, and only if that example passes and shows the same.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{
    compiled::Operations,
    examples::{self, BASE},
    failure::OperationError,
    file::VendorFile,
    filter::to_val,
    form,
    redact::Redactor,
    run::Transport,
    shapes,
    threads::FilterThreads,
    toml_text::{block, quoted},
    trial::Trial,
    vendor::{self, Task, Vendor},
};
use crate::{
    domain::SystemId,
    upstream::{BaseUrl, CallError, Reply, Request, SentWith, UpstreamError, auth::Refusal},
};

/// Attempts with other made-up values.
const ATTEMPTS: usize = 8;

/// Why an exchange is not recorded.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error("there is nothing to record: no reply came")]
    NoReply,
    #[error("the reply is not text, which an example cannot hold")]
    NotText,
    #[error("{0}; so nothing was recorded. Write this example by hand (docs/reference/connectors.md, Examples)")]
    Differs(String),
    #[error(transparent)]
    File(Box<dyn std::error::Error + Send + Sync>),
}

/// The exchange as an `[[examples]]` entry of the vendor file. `settings` are the upstream's, `system` that of its
/// customer ids.
pub async fn record(
    text: &str,
    trial: &Trial,
    settings: &BTreeMap<String, Value>,
    system: &SystemId,
    name: &str,
) -> Result<String, RecordError> {
    let file = VendorFile::parse(text).map_err(|why| RecordError::File(why.into()))?;
    let operations = Operations::compile(&file).map_err(|source| RecordError::File(Box::new(source)))?;
    let all = vendor::settings(&file.settings, &file.name, settings)
        .map_err(|(key, why)| RecordError::File(format!("settings.{key} {why}").into()))?;
    let own = SystemId::parse(&file.name).map_err(|invalid| RecordError::File(invalid.to_string().into()))?;
    let threads = FilterThreads::start(&file.name);
    let vendor = Vendor { operations: Arc::new(operations), settings: to_val(&all), system: own, threads };
    let mut replies = Vec::new();
    for step in trial.steps.iter().filter(|step| step.request.is_some()) {
        let reply = step.reply.as_ref().ok_or(RecordError::NoReply)?;
        replies.push((reply, std::str::from_utf8(&reply.body).map_err(|_| RecordError::NotText)?));
    }
    if replies.is_empty() {
        return Err(RecordError::NoReply);
    }
    let mut why = String::new();
    for _ in 0..ATTEMPTS {
        match attempt(&file, &vendor, trial, &replies, settings, (system, name)).await {
            Ok(example) => return Ok(example),
            Err(differs) => why = differs,
        }
    }
    Err(RecordError::Differs(why))
}

async fn attempt(
    file: &VendorFile,
    vendor: &Vendor,
    trial: &Trial,
    replies: &[(&Reply, &str)],
    settings: &BTreeMap<String, Value>,
    (system, name): (&SystemId, &str),
) -> Result<String, String> {
    let mut redactor = Redactor::new(file, settings.values());
    redactor.see(&trial.input);
    let bodies: Vec<Result<Value, &str>> =
        replies.iter().map(|(_, text)| serde_json::from_str(text).map_err(|_| *text)).collect();
    for (reply, _) in replies {
        reply.headers.values().for_each(|value| redactor.see_text(value));
    }
    for body in &bodies {
        match body {
            Ok(body) => redactor.see(body),
            Err(text) => redactor.see_text(text),
        }
    }
    let mut input = redactor.value(&given(&trial.input));
    rename_system(&mut input, system.as_str(), &file.name);
    let bodies: Vec<String> = bodies
        .iter()
        .map(|body| match body {
            Ok(body) => pretty(&redactor.value(body)),
            Err(text) => redactor.text(text),
        })
        .collect();
    // Of headers there are those that stand in for a body.
    let headers: Vec<BTreeMap<String, String>> = replies
        .iter()
        .map(|(reply, _)| {
            let one = |(name, value): (&String, &String)| (name.clone(), redactor.text(value));
            reply.headers.iter().map(one).collect()
        })
        .collect();
    let script = Player::new(replies.iter().zip(&bodies).zip(&headers).map(|(((reply, _), body), headers)| Reply {
        status: reply.status,
        retry_after: reply.retry_after,
        headers: headers.clone(),
        body: body.clone().into(),
        in_doubt: false,
        sent_with: SentWith::default(),
    }));
    let mut complete = shapes::complete(trial.operation, &input, &file.name)?;
    examples::normalise(vendor, &mut complete).await;
    let effect = complete.get("external_id").and_then(Value::as_str);
    let task = Task { transport: &script, input: &complete, effect };
    let got = examples::result(vendor, trial.operation, &task, &mut Vec::new()).await;
    // Of an order with unreadable members an example shows these.
    let left_out = json!({ "left out": trial.left_out });
    let real = if trial.left_out.is_empty() { trial.result.as_ref() } else { Ok(&left_out) };
    if let Some(why) = differs(real, &got) {
        return Err(format!("with made-up values the file gives something else than with the real ones: {why}"));
    }
    let requests = script.sent();
    let text = example(
        trial,
        name,
        settings,
        &input,
        &got,
        requests.iter().zip(replies.iter().zip(bodies.iter().zip(&headers))),
    );
    check(file, vendor, &text).await?;
    let parsed = |body: &[u8]| {
        serde_json::from_slice(body).unwrap_or_else(|_| Value::from(String::from_utf8_lossy(body).into_owned()))
    };
    let sent = requests.iter().flat_map(|request| {
        let path = Value::from(request.url.as_str().trim_start_matches(BASE));
        request.body.as_ref().map(|body| parsed(body)).into_iter().chain([path])
    });
    let mut shown = sent.chain(bodies.iter().map(|body| parsed(body.as_bytes()))).chain([input]).chain(got.ok());
    match shown.find_map(|value| redactor.left_in(&value)) {
        None => Ok(text),
        Some(left) => Err(format!("{left:?} of the real exchange would have been left in the example")),
    }
}

/// A request, and the reply to it with the body that stands in the example.
type Recorded<'a> = (&'a Request, (&'a (&'a Reply, &'a str), (&'a String, &'a BTreeMap<String, String>)));

/// The example as TOML.
fn example<'a>(
    trial: &Trial,
    name: &str,
    settings: &BTreeMap<String, Value>,
    input: &Value,
    got: &Result<Value, OperationError>,
    exchanges: impl Iterator<Item = Recorded<'a>>,
) -> String {
    let mut lines = vec![
        "[[examples]]".to_owned(),
        format!("name = {}", quoted(name)),
        format!("operation = {}", quoted(trial.operation)),
    ];
    for (name, value) in settings {
        if let Ok(value) = toml::Value::try_from(value) {
            lines.push(format!("settings.{} = {value}", quoted(name)));
        }
    }
    lines.push(format!("input = {}", block(&input.to_string())));
    match got {
        Ok(value) => lines.push(format!("expect = {}", block(&pretty(&bare(value))))),
        Err(error) => {
            let (meaning, field, _) = examples::meaning(error);
            let meaning = serde_json::to_value(meaning).unwrap_or_default();
            let mut parts = vec![format!("as = {meaning}")];
            parts.extend(field.map(|field| format!("field = {}", quoted(&field))));
            lines.push(format!("error = {{ {} }}", parts.join(", ")));
        }
    }
    for (request, ((reply, _), (body, headers))) in exchanges {
        lines.push(String::new());
        lines.push("[[examples.exchanges]]".to_owned());
        lines.push(format!("request.method = {}", quoted(request.method.as_str())));
        lines.push(format!("request.path = {}", quoted(request.url.as_str().trim_start_matches(BASE))));
        if let Some(sent) = form::body(request) {
            lines.push(format!("request.body = {}", block(&pretty(&sent))));
        }
        lines.push(format!("reply.status = {}", reply.status.as_u16()));
        if let Some(pause) = reply.retry_after {
            lines.push(format!("reply.retry_after_s = {}", pause.as_secs()));
        }
        for (name, value) in headers {
            lines.push(format!("reply.headers.{} = {}", quoted(name), quoted(value)));
        }
        if !body.is_empty() {
            lines.push(format!("reply.body = {}", block(body)));
        }
    }
    lines.join("\n") + "\n"
}

/// Runs the example as `connectors test` does.
async fn check(file: &VendorFile, vendor: &Vendor, text: &str) -> Result<(), String> {
    #[derive(serde::Deserialize)]
    struct Entries {
        examples: Vec<super::example_file::Example>,
    }
    let entries: Entries = toml::from_str(text).map_err(|error| error.message().to_owned())?;
    for entry in &entries.examples {
        examples::run_one(file, vendor.operations.clone(), entry, &vendor.threads, &mut Vec::new()).await?;
    }
    Ok(())
}

/// Members without a value are left out: they are null again when the example runs.
fn bare(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.iter().filter(|(_, member)| !member.is_null());
            Value::Object(kept.map(|(name, member)| (name.clone(), bare(member))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(bare).collect()),
        other => other.clone(),
    }
}

/// An input without the members that have no value, and without what the engine adds.
fn given(input: &Value) -> Value {
    let mut given = bare(input);
    for member in ["customer", "requester"] {
        if let Some(customer) = given.get_mut(member).and_then(Value::as_object_mut) {
            customer.remove("own_id");
        }
    }
    given
}

/// In examples the system of the vendor's customers is named as the file.
fn rename_system(input: &mut Value, system: &str, own: &str) {
    for member in ["customer", "requester"] {
        let Some(customer) = input.get_mut(member).and_then(Value::as_object_mut) else { continue };
        if let Some(ids) = customer.get_mut("ids").and_then(Value::as_object_mut)
            && let Some(id) = ids.remove(system)
        {
            ids.insert(own.to_owned(), id);
        }
        if customer.get("system").is_some_and(|named| named == system) {
            customer.insert("system".to_owned(), own.into());
        }
    }
}

fn pretty(value: &Value) -> String {
    let short = value.to_string();
    match short.len() <= 90 {
        true => short,
        false => serde_json::to_string_pretty(value).unwrap_or(short),
    }
}

/// The first way in which two results are not alike: values differ, what is there does not.
fn differs(real: Result<&Value, &OperationError>, made_up: &Result<Value, OperationError>) -> Option<String> {
    match (real, made_up) {
        (Ok(real), Ok(made_up)) => unlike("the result", real, made_up),
        (Err(real), Err(made_up)) => (examples::meaning(real).0 != examples::meaning(made_up).0)
            .then(|| format!("{} instead of {}", made_up.failure, real.failure)),
        (Ok(_), Err(made_up)) => Some(format!("an error ({})", made_up.failure)),
        (Err(real), Ok(_)) => Some(format!("a result instead of an error ({})", real.failure)),
    }
}

fn unlike(place: &str, real: &Value, made_up: &Value) -> Option<String> {
    match (real, made_up) {
        (Value::Object(real), Value::Object(made_up)) => real.iter().find_map(|(name, real)| {
            let place = format!("{place}.{name}");
            // Words of a list.
            let is_status = name == "status" && real.is_string();
            match made_up.get(name) {
                Some(made_up) if is_status && real != made_up => Some(format!("{place} is another")),
                Some(made_up) => unlike(&place, real, made_up),
                None => (!real.is_null()).then(|| format!("{place} is missing")),
            }
        }),
        (Value::Array(real), Value::Array(made_up)) if real.len() == made_up.len() => real
            .iter()
            .zip(made_up)
            .enumerate()
            .find_map(|(n, (real, made_up))| unlike(&format!("{place}[{n}]"), real, made_up)),
        (Value::Array(_), _) => Some(format!("{place} is a list of another length")),
        (real, made_up) => (real.is_null() != made_up.is_null()).then(|| match made_up.is_null() {
            true => format!("{place} is null"),
            false => format!("{place} is not null"),
        }),
    }
}

/// Answers with the made-up replies, in order, and keeps the requests.
struct Player {
    base: BaseUrl,
    state: Mutex<(VecDeque<Reply>, Vec<Request>)>,
}

impl Player {
    fn new(replies: impl Iterator<Item = Reply>) -> Self {
        let base = BaseUrl::parse(BASE, false).unwrap_or_else(|_| unreachable!("the base of examples is a good one"));
        Self { base, state: Mutex::new((replies.collect(), Vec::new())) }
    }

    fn sent(self) -> Vec<Request> {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner).1
    }
}

#[async_trait]
impl Transport for Player {
    fn base(&self) -> &BaseUrl {
        &self.base
    }

    async fn send(&self, request: Request) -> Result<Reply, UpstreamError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.1.push(request);
        state.0.pop_front().ok_or(UpstreamError { error: CallError::Busy, in_doubt: false })
    }

    fn renew(&self, _: SentWith, refusal: Refusal) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        refusal == Refusal::Expired && !state.0.is_empty()
    }

    fn renewal_helped(&self) {}

    fn trip(&self) {}

    fn made_nothing(&self, _path: &str) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_results_have_to_show_the_same() {
        let differs = |real: &str, made_up: &str| {
            unlike("r", &serde_json::from_str(real).unwrap(), &serde_json::from_str(made_up).unwrap())
        };
        assert_eq!(differs(r#"{"a":"x","b":[1]}"#, r#"{"a":"y","b":[2]}"#), None);
        for (real, made_up) in [
            (r#"{"a":"x"}"#, r#"{"a":null}"#),
            (r#"{"a":null}"#, r#"{"a":1}"#),
            (r#"{"a":[1]}"#, r#"{"a":[]}"#),
            (r#"{"status":"open"}"#, r#"{"status":"unknown"}"#),
            (r#"{"a":{"b":1}}"#, r#"{"a":{}}"#),
        ] {
            assert!(differs(real, made_up).is_some(), "{real} {made_up}");
        }
    }
}
