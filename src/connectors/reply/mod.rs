//! Outputs of `reply` filters, converted to domain values. Errors name the member.

mod amount;
pub(super) mod listing;
mod members;
mod order;

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

pub(super) use order::{OrderOut, ReadOrder};

use super::text::plain;
use crate::domain::{
    Contact, ContactFields, ContactId, CustomerId, Email, FieldName, FieldValue, Invalid, Link, NoteId, SystemId,
    Ticket, TicketId, TicketStatus,
};

/// Deserializes a filter's output. The error names the missing or wrong member and what is expected, without its value.
pub(super) fn read<T: DeserializeOwned>(output: Value) -> Result<T, String> {
    serde_path_to_error::deserialize(output).map_err(|error| {
        let path = error.path().to_string();
        let why = without_value(&error.into_inner().to_string());
        if path == "." { why } else { format!("{path}: {why}") }
    })
}

/// serde's messages contain values (`invalid type: string "…", expected …`); what was expected and the type are kept.
fn without_value(why: &str) -> String {
    if why.starts_with("missing field") || why.starts_with("unknown field") {
        return why.to_owned();
    }
    // A value may hold the words, too, and the expectation stands last.
    let Some((_, expected)) = why.rsplit_once(", expected ") else { return "cannot be read".to_owned() };
    let given = why.strip_prefix("invalid type: ").and_then(|given| {
        let kinds = [
            ("null", "null"),
            ("unit", "null"),
            ("boolean", "a boolean"),
            ("integer", "a number"),
            ("floating point", "a number"),
            ("number", "a number"),
            ("string", "a string"),
            ("sequence", "an array"),
            ("map", "an object"),
        ];
        kinds.into_iter().find(|(kind, _)| given.starts_with(kind))
    });
    match given {
        Some((_, kind)) => format!("expected {expected}, is {kind}"),
        None => format!("expected {expected}"),
    }
}

/// The type of a value, for messages.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn at(member: &'static str) -> impl Fn(Invalid) -> String {
    move |invalid| format!("{member}: {}", invalid.why)
}

/// A string that vendors may write as a number. Empty means absent.
#[derive(Debug, Clone)]
struct Word(String);

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            value @ (Value::String(_) | Value::Number(_)) => Ok(Self(plain(&value).unwrap_or_default())),
            other => {
                use serde::de::Unexpected;
                let unexpected = match other {
                    Value::Null => Unexpected::Unit,
                    Value::Bool(boolean) => Unexpected::Bool(boolean),
                    Value::Array(_) => Unexpected::Seq,
                    _ => Unexpected::Map,
                };
                Err(serde::de::Error::invalid_type(unexpected, &"a string or a number"))
            }
        }
    }
}

fn filled(word: Option<Word>) -> Option<String> {
    word.map(|word| word.0).filter(|text| !text.is_empty())
}

/// A customer: an id of the connector's system, or one with its system.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum CustomerOut {
    Named { system: SystemId, id: Word },
    Own(Word),
}

impl CustomerOut {
    fn id(self, own: &SystemId) -> Result<Option<CustomerId>, String> {
        let (system, id) = match self {
            Self::Named { system, id } => (system, id),
            Self::Own(id) => (own.clone(), id),
        };
        if id.0.is_empty() {
            return Ok(None);
        }
        CustomerId::new(system, &id.0).map(Some).map_err(at("customer"))
    }
}

fn present(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TicketOut {
    id: Word,
    number: Option<Word>,
    status: Option<String>,
    url: Option<String>,
}

impl TicketOut {
    pub(super) fn ticket(self) -> Result<Ticket, String> {
        let status = self.status.and_then(|word| serde_json::from_value(word.into()).ok());
        Ok(Ticket {
            id: TicketId::parse(&self.id.0).map_err(at("id"))?,
            number: filled(self.number).map(|number| TicketId::parse(&number)).transpose().map_err(at("number"))?,
            status: status.unwrap_or(TicketStatus::Unknown),
            url: present(&self.url).and_then(|url| Link::parse(url).ok()),
        })
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ContactOut {
    id: Word,
    customer: Option<CustomerOut>,
    email: Option<Value>,
    #[serde(default)]
    fields: BTreeMap<FieldName, Option<Word>>,
}

impl ContactOut {
    /// Field values are not validated: the CRM already holds them.
    pub(super) fn contact(self, system: &SystemId) -> Result<Contact, String> {
        let fields: ContactFields = self
            .fields
            .into_iter()
            .filter_map(|(name, value)| Some((name, FieldValue::stored(filled(value)?))))
            .collect();
        Ok(Contact {
            id: ContactId::parse(&self.id.0).map_err(at("id"))?,
            customer: self.customer.map(|customer| customer.id(system)).transpose()?.flatten(),
            // An unreadable address is dropped: it proves nothing.
            email: self.email.as_ref().and_then(Value::as_str).and_then(|text| Email::parse(text).ok()),
            fields,
        })
    }
}

/// A created record's id.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IdOut {
    id: Word,
}

impl IdOut {
    pub(super) fn contact(&self) -> Result<ContactId, String> {
        ContactId::parse(&self.id.0).map_err(at("id"))
    }

    pub(super) fn note(&self) -> Result<NoteId, String> {
        NoteId::parse(&self.id.0).map_err(at("id"))
    }
}
