//! `frontdesk connectors try`: one operation against the real system, explained, and recorded as an example.

use std::{fmt::Write as _, fs, path::PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use serde_json::{Value, json};

use super::{
    super::{block_on, output},
    target::{Opened, Target},
};
use crate::connectors::{Gave, Output, Trial, TriedStep, VendorFile, record};

/// Longest body that is shown without --full, in characters.
const SHOWN_CHARS_MAX: usize = 4_000;

/// Run one operation against the real system, and show what happens
///
/// Prints the request (without credentials), the reply, what each filter gives, the value that the desk would get, and
/// what was left out and why. An operation that changes something at the vendor is refused without --write. With
/// --record the exchange becomes an example: structure and listed words stay, every other value is replaced by a
/// made-up one of the same shape, and headers are dropped. An example that does not pass is not written.
#[derive(Args)]
pub(super) struct Try {
    #[command(flatten)]
    target: Target,
    /// Operation, for example orders.find
    operation: String,
    /// The operation's input as JSON, for example '{"id":"1001"}'; members left out are null
    #[arg(long, value_name = "JSON", default_value = "{}")]
    input: String,
    /// Send requests that change something at the vendor
    #[arg(long)]
    write: bool,
    /// Add the exchange to this vendor file as an example; without FILE, print it
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    record: Option<PathBuf>,
    /// Name of the example [default: what the operation gave, numbered if there is one of that name]
    #[arg(long, value_name = "TEXT", requires = "record")]
    example: Option<String>,
    /// Show long bodies as a whole
    #[arg(long)]
    full: bool,
    /// JSON instead of text
    #[arg(long, conflicts_with = "record")]
    json: bool,
}

impl Try {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let opened = self.target.open()?;
        let input: Value =
            serde_json::from_str(&self.input).with_context(|| format!("--input is not JSON: {}", self.input))?;
        let connector = opened.connector(&self.operation)?;
        let trial = block_on(async { Ok(connector.trial(&opened.file, &self.operation, &input, self.write).await?) })?;
        let printed = self.record.as_ref().is_some_and(|file| file.as_os_str() == "-");
        match self.json {
            true => output::json(&as_json(&trial))?,
            // The example alone goes to standard output.
            false if printed => output::remark(self.describe(&trial)),
            false => output::line(self.describe(&trial))?,
        }
        if self.record.is_some() {
            self.record(&opened, &trial)?;
        }
        if let Err(error) = trial.result {
            return Err(anyhow::Error::new(error).context(format!("{} failed", self.operation)));
        }
        Ok(())
    }

    fn describe(&self, trial: &Trial) -> String {
        let mut text = String::new();
        let _ = writeln!(text, "{} with {}", trial.operation, compact(&trial.input));
        for step in &trial.steps {
            self.describe_step(step, &mut text);
        }
        let _ = writeln!(text, "\nresult");
        match &trial.result {
            Ok(Value::Null) => {
                let _ = writeln!(text, "  nothing there");
            }
            Ok(value) => {
                let _ = writeln!(text, "{}", indented(&serde_json::to_string_pretty(value).unwrap_or_default()));
            }
            Err(error) => {
                let doubt = if error.in_doubt { "; it may have been done" } else { "" };
                let _ = writeln!(text, "  an error: {}{doubt}", error.failure);
            }
        }
        for note in notes(trial) {
            let _ = writeln!(text, "  {note}");
        }
        text.trim_end().to_owned()
    }

    fn describe_step(&self, step: &TriedStep, text: &mut String) {
        let _ = writeln!(text, "\n{}", step.section);
        step.before.iter().for_each(|output| describe_output(output, text));
        let Some(request) = &step.request else {
            let _ = writeln!(text, "  not sent");
            return;
        };
        let _ = writeln!(text, "  request: {} {}", request.method, request.url);
        for (name, value) in &request.headers {
            let _ = writeln!(text, "    {name}: {}", value.to_str().unwrap_or("…"));
        }
        let _ = writeln!(text, "    (credentials are added and not shown)");
        if let Some(body) = &request.body {
            let _ = writeln!(text, "{}", indented(&self.body(body)));
        }
        match &step.reply {
            None => {
                let _ = writeln!(text, "  reply: none");
            }
            Some(reply) => {
                let _ = writeln!(text, "  reply: {}", reply.status);
                let _ = writeln!(text, "{}", indented(&self.body(&reply.body)));
            }
        }
        step.after.iter().for_each(|output| describe_output(output, text));
    }

    fn body(&self, body: &[u8]) -> String {
        let text = match serde_json::from_slice::<Value>(body) {
            Ok(value) => serde_json::to_string_pretty(&value).unwrap_or_default(),
            Err(_) => String::from_utf8_lossy(body).into_owned(),
        };
        match text.char_indices().nth(SHOWN_CHARS_MAX) {
            Some((end, _)) if !self.full => format!("{}\n… (--full shows the rest)", &text[..end]),
            _ => text,
        }
    }

    fn record(&self, opened: &Opened, trial: &Trial) -> anyhow::Result<()> {
        let Some(path) = &self.record else { return Ok(()) };
        let prints = path.as_os_str() == "-";
        let text = match prints {
            true => opened.text.clone(),
            false => fs::read_to_string(path).with_context(|| {
                format!(
                    "failed to read {}; --record adds to a vendor file that is there: frontdesk connectors show {} --file > {0}",
                    path.display(),
                    opened.file.name
                )
            })?,
        };
        let file = VendorFile::parse(&text).map_err(|why| anyhow::anyhow!("{}: {why}", path.display()))?;
        if file.name != opened.file.name {
            bail!("{} is of connector {}, and this was {}", path.display(), file.name, opened.file.name);
        }
        let gave = match &trial.result {
            Ok(Value::Null) => "nothing there".to_owned(),
            Ok(_) => "as recorded".to_owned(),
            // Not the error's own words: they may name a member that a filter made of data.
            Err(error) => match error.failure.status() {
                Some(status) => format!("an error (status {status})"),
                None => "an error".to_owned(),
            },
        };
        let name = self.example.clone().unwrap_or_else(|| unused(&gave, trial, &file));
        let settings = opened.options().settings;
        let system = opened.system()?;
        let example = block_on(async { Ok(record(&text, trial, &settings, &system, &name).await?) })?;
        if prints {
            return output::line(example.trim_end());
        }
        let whole = format!("{}\n\n{example}", text.trim_end());
        fs::write(path, whole).with_context(|| format!("failed to write {}", path.display()))?;
        output::remark(format_args!(
            "added the example \"{name}\" to {}, with made-up values; run frontdesk connectors test {}",
            path.display(),
            file.name
        ));
        Ok(())
    }
}

/// The name, with a number where an example of the operation has it.
fn unused(name: &str, trial: &Trial, file: &VendorFile) -> String {
    let known = |name: &str| file.examples.iter().any(|one| one.operation == trial.operation && one.name == name);
    let numbered = (2..).map(|n| format!("{name} ({n})"));
    std::iter::once(name.to_owned()).chain(numbered).find(|name| !known(name)).unwrap_or_default()
}

fn describe_output(output: &Output, text: &mut String) {
    let gave = match &output.gave {
        Gave::Value(value) => compact(value),
        Gave::Nothing => "nothing (no output)".to_owned(),
        Gave::Failed(why) => format!("failed: {why}"),
        Gave::Means(meaning) => {
            format!("fits, as = {}", serde_json::to_value(meaning).unwrap_or_default())
        }
    };
    let _ = writeln!(text, "  {}: {gave}", output.key);
}

/// What the desk would do with the result, and what is missing.
fn notes(trial: &Trial) -> Vec<String> {
    let mut notes: Vec<String> = trial.left_out.iter().map(|why| format!("left out: {why}")).collect();
    let Ok(Value::Object(order)) = &trial.result else { return notes };
    if trial.operation != "orders.find" {
        return notes;
    }
    let number = |id: Option<&Value>| id.and_then(Value::as_str).map(|id| id.trim_start_matches('#').to_lowercase());
    if number(order.get("id")) != number(trial.input.get("number")) {
        notes.push("this is another number than was asked for: the desk takes the order as not there".to_owned());
    }
    match order.get("owner") {
        Some(Value::String(owner)) if owner == "unreadable" => {
            notes.push("it cannot be read whose order this is: the desk shows it to nobody".to_owned());
        }
        Some(Value::String(owner)) if owner == "guest" && order.get("email").is_none_or(Value::is_null) => {
            notes.push("an order of a guest without an address: the desk shows it to nobody".to_owned());
        }
        _ => {}
    }
    let is_empty = |value: &Value| value.is_null() || value.as_array().is_some_and(Vec::is_empty);
    let missing: Vec<&str> = order.iter().filter(|(_, value)| is_empty(value)).map(|(name, _)| name.as_str()).collect();
    if !missing.is_empty() {
        notes.push(format!("without a value: {}", missing.join(", ")));
    }
    notes
}

fn compact(value: &Value) -> String {
    value.to_string()
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

fn as_json(trial: &Trial) -> Value {
    let outputs = |outputs: &[Output]| -> Value {
        let one = |output: &Output| match &output.gave {
            Gave::Value(value) => json!({ "filter": output.key, "gave": value }),
            Gave::Nothing => json!({ "filter": output.key, "gave_nothing": true }),
            Gave::Failed(why) => json!({ "filter": output.key, "failed": why }),
            Gave::Means(meaning) => json!({ "rule": output.key, "as": meaning }),
        };
        outputs.iter().map(one).collect()
    };
    let body =
        |body: &[u8]| serde_json::from_slice::<Value>(body).unwrap_or_else(|_| json!(String::from_utf8_lossy(body)));
    let steps: Vec<Value> = trial
        .steps
        .iter()
        .map(|step| {
            json!({
                "section": step.section,
                "before": outputs(&step.before),
                "request": step.request.as_ref().map(|request| json!({
                    "method": request.method.as_str(), "url": request.url.as_str(),
                    "body": request.body.as_ref().map(|sent| body(sent)),
                })),
                "reply": step.reply.as_ref().map(|reply| json!({
                    "status": reply.status.as_u16(), "body": body(&reply.body),
                })),
                "after": outputs(&step.after),
            })
        })
        .collect();
    json!({
        "operation": trial.operation,
        "input": trial.input,
        "steps": steps,
        "result": trial.result.as_ref().ok(),
        "error": trial.failure().map(ToString::to_string),
        "in_doubt": trial.result.as_ref().err().map(|error| error.in_doubt),
        "notes": notes(trial),
    })
}
