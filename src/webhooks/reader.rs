//! Conversations as platforms report them: what can be read of one is taken, and what cannot is named.

use std::fmt::Write as _;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::domain::{
    ConversationId, CustomerId, Email, EndedConversation, Escalation, Event, Message, Speaker, SystemId, Talk,
    Timestamp,
};

/// What members are called: in the native payloads, and in the output of filters.
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

/// A conversation that is being read.
struct Reading<'a> {
    root: &'a Value,
    form: Form,
    kind: &'a str,
    /// The members that cannot be read, without their values.
    unreadable: Vec<String>,
}

/// The event of `kind`, whatever else is missing or wrong; none without a conversation. `arrived` stands in for a time that
/// cannot be read.
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
    let intent = if escalated { reading.needed_text("intent") } else { reading.text("intent") };
    let duration_s = reading.duration();
    let (mut reason, mut confidence, mut resolved) = (None, None, None);
    if escalated {
        reason = reading.needed_text("reason");
        confidence = reading.confidence();
    } else {
        resolved = reading.resolved();
    }
    let talk = Talk {
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
            Event::Escalated(Escalation { talk, reason: reason.unwrap_or_else(|| "unknown".to_owned()), confidence })
        }
        false => Event::Ended(EndedConversation { talk, resolved }),
    })
}

impl Reading<'_> {
    fn get(&self, member: &'static str) -> Option<&Value> {
        let path = self.form.path(member, self.kind);
        path.split('.').try_fold(self.root, |value, name| value.get(name)).filter(|value| !value.is_null())
    }

    /// Notes that a member cannot be read.
    fn fault<T>(&mut self, member: &'static str, instead: T) -> T {
        let path = self.form.path(member, self.kind).to_owned();
        if !self.unreadable.contains(&path) {
            self.unreadable.push(path);
        }
        instead
    }

    /// A text, or what can be written as one. Missing is no fault.
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

    /// An id that cannot be one of ours is replaced by its hash: the same conversation stays the same.
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

    /// An unreadable customer is nobody, and another nobody in every conversation.
    fn customer(&mut self, conversation: &ConversationId) -> String {
        let text = self.text("customer").filter(|text| CustomerId::parse_or_in(&SystemId::builtin(), text).is_ok());
        match text {
            Some(text) => text,
            None => {
                let nobody = format!("{}:{}", Talk::NOBODY, digest(conversation.as_str()));
                self.fault("customer", nobody)
            }
        }
    }

    /// What cannot be read proves nothing.
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

    fn confidence(&mut self) -> Option<f64> {
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
        // A list of a thousand names would push everything else out of the ticket.
        if self.unreadable.len() > UNREADABLE_MAX {
            let more = self.unreadable.len() - UNREADABLE_MAX;
            self.unreadable.truncate(UNREADABLE_MAX);
            self.unreadable.push(format!("{more} more"));
        }
        read
    }
}

/// Of a name, as much as helpdesks take.
const NAME_CHARS_MAX: usize = 200;
/// Members that a ticket names at most.
const UNREADABLE_MAX: usize = 20;

fn from(value: &Value) -> Option<Speaker> {
    match value.as_str()? {
        "user" | "customer" => Some(Speaker::Customer),
        "assistant" => Some(Speaker::Assistant),
        _ => None,
    }
}

/// What somebody said: a text, or the texts of a list of parts, as some platforms have them.
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
