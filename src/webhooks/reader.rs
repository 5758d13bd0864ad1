//! Lenient parser of conversation events: takes the members that can be parsed, and lists the names of the others.

use std::fmt::Write as _;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::domain::{
    ConversationDetails, ConversationId, CustomerId, Email, EndedConversation, Escalation, Event, Message, Speaker,
    SystemId, Timestamp,
};

/// The names of members: those of the native payloads, or those that filters return.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Native,
    Flat,
}

const NATIVE: [(&str, &str); 11] = [
    ("conversation", "data.conversationId"),
    ("at", "timestamp"),
    ("customer", "data.customerId"),
    ("email", "data.customerEmail"),
    ("name", "data.customerName"),
    ("verified", "data.customerVerified"),
    ("messages", "data.messages"),
    ("intent", "data.metadata.detectedIntent"),
    ("reason", "data.metadata.escalationReason"),
    ("confidence", "data.metadata.agentConfidence"),
    ("resolved", "data.metadata.resolved"),
];

impl Form {
    fn path(self, member: &'static str, kind: &str) -> &'static str {
        match (self, member, kind) {
            (Self::Flat, member, _) => member,
            (Self::Native, "duration_s", "conversation.ended") => "data.metadata.durationSeconds",
            (Self::Native, "duration_s", _) => "data.metadata.sessionDurationSeconds",
            (Self::Native, member, _) => {
                NATIVE.iter().find(|(name, _)| *name == member).map_or(member, |(_, path)| path)
            }
        }
    }

    fn message(self) -> (&'static str, &'static str) {
        match self {
            Self::Native => ("role", "content"),
            Self::Flat => ("from", "text"),
        }
    }
}

/// A conversation that is being parsed.
struct Reading<'a> {
    root: &'a Value,
    form: Form,
    kind: &'a str,
    /// Names of the members that cannot be parsed.
    unreadable: Vec<String>,
}

/// Parses an event of `kind`. Only the conversation id is required; `arrived` replaces a time that cannot be parsed.
pub(super) fn conversation(root: &Value, form: Form, kind: &str, arrived: Timestamp) -> Result<Event, Vec<String>> {
    let mut reading = Reading { root, form, kind, unreadable: Vec::new() };
    let Some(conversation) = reading.conversation() else {
        return Err(vec![match form {
            Form::Native => "data.conversationId: is missing, or no text".to_owned(),
            Form::Flat => "missing field `conversation`".to_owned(),
        }]);
    };
    let customer = reading.customer(&conversation);
    let at = reading.needed_text("at").map(|text| Timestamp::parse(&text));
    let at = match at {
        Some(Ok(at)) => at,
        Some(Err(_)) => reading.fault("at", arrived),
        None => arrived,
    };
    let email = reading.text("email").filter(|email| !email.is_empty()).map(|email| Email::parse(&email));
    let email = match email {
        Some(Err(_)) => reading.fault("email", None),
        other => other.and_then(Result::ok),
    };
    let name =
        reading.text("name").filter(|name| !name.is_empty()).map(|name| name.chars().take(NAME_CHARS_MAX).collect());
    let verified = reading.verified();
    let messages = reading.messages();
    let escalated = kind == "conversation.escalated";
    let needs_intent = escalated && form == Form::Native;
    let intent = if needs_intent { reading.needed_text("intent") } else { reading.text("intent") };
    let duration_s = reading.duration();
    let (mut reason, mut confidence, mut resolved) = (None, None, None);
    if escalated {
        reason = reading.needed_text("reason");
        confidence = reading.confidence();
    } else {
        resolved = reading.resolved();
    }
    let details = ConversationDetails {
        conversation,
        at,
        customer,
        email,
        name,
        verified,
        messages,
        intent: intent.filter(|intent| !intent.is_empty()),
        duration_s,
        unreadable: reading.unreadable,
    };
    Ok(match escalated {
        true => {
            Event::Escalated(Escalation { details, reason: reason.unwrap_or_else(|| "unknown".to_owned()), confidence })
        }
        false => Event::Ended(EndedConversation { details, resolved }),
    })
}

impl Reading<'_> {
    fn get(&self, member: &'static str) -> Option<&Value> {
        let path = self.form.path(member, self.kind);
        path.split('.').try_fold(self.root, |value, name| value.get(name)).filter(|value| !value.is_null())
    }

    /// Records that a member cannot be parsed, and returns `instead`.
    fn fault<T>(&mut self, member: &'static str, instead: T) -> T {
        let path = self.form.path(member, self.kind).to_owned();
        if !self.unreadable.contains(&path) {
            self.unreadable.push(path);
        }
        instead
    }

    /// A string, or a number or boolean as a string. A missing member is no fault.
    fn text(&mut self, member: &'static str) -> Option<String> {
        match self.get(member)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(truth) => Some(truth.to_string()),
            _ => self.fault(member, None),
        }
    }

    fn needed_text(&mut self, member: &'static str) -> Option<String> {
        let text = self.text(member);
        if text.is_none() { self.fault(member, None) } else { text }
    }

    /// Replaces an invalid id by its hash, so that events of one conversation still belong together.
    fn conversation(&mut self) -> Option<ConversationId> {
        let text = self.text("conversation").filter(|text| !text.trim().is_empty())?;
        match ConversationId::parse(text.trim()) {
            Ok(id) => Some(id),
            Err(_) => {
                let id = ConversationId::parse(&format!("sha256-{}", digest(&text))).ok();
                self.fault("conversation", id)
            }
        }
    }

    /// Replaces an invalid customer id by an unknown customer, a different one for each conversation.
    fn customer(&mut self, conversation: &ConversationId) -> String {
        let text = self.text("customer").filter(|text| CustomerId::parse_or_in(&SystemId::builtin(), text).is_ok());
        match text {
            Some(text) => text,
            None => {
                let nobody = format!("{}:{}", ConversationDetails::UNKNOWN_SYSTEM, digest(conversation.as_str()));
                self.fault("customer", nobody)
            }
        }
    }

    /// A value that is no boolean counts as false.
    fn verified(&mut self) -> Option<bool> {
        match self.get("verified")? {
            Value::Bool(verified) => Some(*verified),
            _ => self.fault("verified", Some(false)),
        }
    }

    fn duration(&mut self) -> Option<u64> {
        let seconds = match self.get("duration_s")? {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        match seconds {
            Some(seconds) if (0.0..1e15).contains(&seconds) => Some(seconds.round() as u64),
            _ => self.fault("duration_s", None),
        }
    }

    /// Many vendors have neither a confidence nor an outcome: what a filter leaves out is unknown, and no fault.
    fn is_unknown(&self, member: &'static str) -> bool {
        self.form == Form::Flat && self.get(member).is_none()
    }

    fn confidence(&mut self) -> Option<f64> {
        if self.is_unknown("confidence") {
            return None;
        }
        let value = match self.get("confidence") {
            Some(Value::Number(number)) => number.as_f64(),
            Some(Value::String(text)) => text.trim().parse().ok(),
            _ => None,
        };
        match value {
            Some(value) if (0.0..=1.0).contains(&value) => Some(value),
            _ => self.fault("confidence", None),
        }
    }

    fn resolved(&mut self) -> Option<bool> {
        if self.is_unknown("resolved") {
            return None;
        }
        match self.get("resolved") {
            Some(Value::Bool(resolved)) => Some(*resolved),
            Some(Value::String(text)) if text == "true" || text == "false" => Some(text == "true"),
            _ => self.fault("resolved", None),
        }
    }

    fn messages(&mut self) -> Vec<Message> {
        let Some(Value::Array(messages)) = self.get("messages").cloned() else {
            return self.fault("messages", Vec::new());
        };
        let path = self.form.path("messages", self.kind);
        let (speaker, text) = self.form.message();
        let mut read = Vec::new();
        for (n, message) in messages.iter().enumerate() {
            let mut unreadable = |member: &str| self.unreadable.push(format!("{path}[{n}]{member}"));
            let (from, words) = match message {
                Value::Object(members) => (members.get(speaker).and_then(from), members.get(text).and_then(words)),
                Value::String(words) => (None, Some(words.clone())),
                _ => {
                    unreadable("");
                    continue;
                }
            };
            if from.is_none() {
                unreadable(&format!(".{speaker}"));
            }
            match words {
                Some(text) => read.push(Message { from: from.unwrap_or(Speaker::Unknown), text }),
                None => unreadable(&format!(".{text}")),
            }
        }
        // A long list would displace the transcript in the ticket.
        if self.unreadable.len() > UNREADABLE_MAX {
            let more = self.unreadable.len() - UNREADABLE_MAX;
            self.unreadable.truncate(UNREADABLE_MAX);
            self.unreadable.push(format!("{more} more"));
        }
        read
    }
}

/// Longest customer name that helpdesks accept.
const NAME_CHARS_MAX: usize = 200;
/// Most member names that a ticket lists.
const UNREADABLE_MAX: usize = 20;

fn from(value: &Value) -> Option<Speaker> {
    match value.as_str()? {
        "user" | "customer" => Some(Speaker::Customer),
        "assistant" => Some(Speaker::Assistant),
        _ => None,
    }
}

/// The text of a message: a string, or the texts of a list of parts, as some platforms send it.
fn words(value: &Value) -> Option<String> {
    let part = |part: &Value| match part {
        Value::String(text) => Some(text.clone()),
        Value::Object(members) => text_of(members),
        _ => None,
    };
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Object(members) => text_of(members),
        Value::Array(parts) => {
            let texts: Vec<String> = parts.iter().filter_map(part).collect();
            (!texts.is_empty()).then(|| texts.join("\n"))
        }
        Value::Null => None,
    }
}

fn text_of(members: &Map<String, Value>) -> Option<String> {
    members.get("text").and_then(Value::as_str).map(str::to_owned)
}

fn digest(text: &str) -> String {
    Sha256::digest(text).iter().take(16).fold(String::new(), |mut hex, octet| {
        let _ = write!(hex, "{octet:02x}");
        hex
    })
}
