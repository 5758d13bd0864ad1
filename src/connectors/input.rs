//! Inputs of filters: domain values as JSON. docs/reference/connectors.md describes the shapes.

use serde_json::{Map, Value, json};

use crate::{
    desk::CodeMessage,
    domain::{
        Article, ArticleId, Comment, ContactFields, ContactId, Customer, EffectId, Language, Level, NewTicket, OrderId,
        SystemId, TicketId, Timestamp,
    },
};

/// `number` is its normal form.
pub(super) fn find_order(id: &OrderId, number: &OrderId) -> Value {
    json!({ "id": id.as_str(), "number": number.number() })
}

/// A customer. The email is included only if it is verified or a visitor typed it. Ids of an anonymous customer are
/// left out except the claimed one, since nothing proves them.
fn customer(customer: &Customer, own: &SystemId) -> Value {
    let mut ids = Map::new();
    for id in customer.ids().filter(|_| customer.level > Level::Anonymous) {
        // The subject comes first and takes precedence over a linked id of the same system.
        ids.entry(id.system().as_str()).or_insert_with(|| id.id().into());
    }
    let own_id = ids.get(own.as_str()).cloned();
    json!({
        "id": customer.id.id(),
        "system": customer.id.system().as_str(),
        "ids": ids,
        "own_id": own_id,
        "email": customer.address().map(|email| email.as_str()),
        "name": customer.name,
    })
}

pub(super) fn create_ticket(ticket: &NewTicket, effect: &EffectId, own: &SystemId) -> Value {
    json!({
        "external_id": effect.as_str(),
        "at": begun_at(effect),
        "subject": ticket.subject,
        "description": ticket.description,
        "priority": ticket.priority,
        "category": ticket.category,
        "order_id": ticket.order_id.as_ref().map(|id| id.as_str()),
        "tags": ticket.tags,
        "fields": ticket.fields,
        "conversation": ticket.conversation.as_ref().map(|id| id.as_str()),
        "requester": customer(&ticket.requester, own),
    })
}

pub(super) fn find_ticket(effect: &EffectId) -> Value {
    json!({ "external_id": effect.as_str() })
}

pub(super) fn add_comment(ticket: &TicketId, comment: &Comment, effect: &EffectId) -> Value {
    json!({
        "ticket_id": ticket.as_str(),
        "text": comment.text,
        "priority": comment.priority,
        "external_id": effect.as_str(),
        "at": begun_at(effect),
    })
}

/// When the effect was begun: the same for every attempt.
fn begun_at(effect: &EffectId) -> Option<String> {
    effect.begun_at().map(|at| at.to_string())
}

pub(super) fn find_contact(of: &Customer, own: &SystemId) -> Value {
    json!({ "customer": contact_of(of, own) })
}

/// The customer for contact operations: a typed name is left out.
fn contact_of(of: &Customer, own: &SystemId) -> Value {
    let mut customer = customer(of, own);
    if of.typed {
        customer["name"] = Value::Null;
    }
    customer
}

pub(super) fn upsert_contact(
    of: &Customer,
    contact: Option<&ContactId>,
    fields: &ContactFields,
    own: &SystemId,
) -> Value {
    json!({ "contact_id": contact.map(|id| id.as_str()), "customer": contact_of(of, own), "fields": fields })
}

pub(super) fn log_activity(contact: &ContactId, text: &str, effect: &EffectId, at: Timestamp) -> Value {
    json!({ "contact_id": contact.as_str(), "text": text, "external_id": effect.as_str(), "at": at.to_string() })
}

pub(super) fn upsert_article(article: &Article) -> Value {
    json!({
        "id": article.id.as_str(),
        "variant": article.variant.as_ref().map(Language::as_str),
        "title": article.title,
        "body": article.body,
        "url": article.url.as_ref().map(|url| url.as_str()),
        "updated_at": article.updated_at.to_string(),
    })
}

pub(super) fn remove_article(id: &ArticleId, variant: Option<&Language>) -> Value {
    json!({ "id": id.as_str(), "variant": variant.map(Language::as_str) })
}

pub(super) fn list_articles(cursor: Option<&Value>) -> Value {
    json!({ "cursor": cursor })
}

pub(super) fn get_article(article: &ArticleId, variant: Option<&Language>) -> Value {
    json!({ "article": article.as_str(), "variant": variant.map(Language::as_str) })
}

/// `channel` says what `to` is. Codes go to email addresses; vendor files take what they can deliver to.
pub(super) fn send_code(message: &CodeMessage) -> Value {
    json!({
        "to": message.to.as_str(),
        "channel": "email",
        "code": message.code.expose(),
        "language": message.language.as_str(),
        "minutes": message.minutes,
        "subject": message.text.subject,
        "text": message.text.text,
        "external_id": message.effect.as_str(),
    })
}

/// The tool argument that an input member comes from, if any.
pub(super) fn argument(input: &Value, member: &str) -> Option<String> {
    const ARGUMENTS: [(&str, &str); 6] = [
        ("subject", "subject"),
        ("description", "description"),
        ("priority", "priority"),
        ("category", "category"),
        ("order_id", "order_id"),
        ("text", "note"),
    ];
    let own = ARGUMENTS.iter().find(|(name, _)| *name == member && input.get(*name).is_some());
    let field = input.get("fields").and_then(|fields| fields.get(member)).map(|_| member);
    own.map(|(_, argument)| *argument).or(field).map(str::to_owned)
}

/// Whether a string from a vendor looks like the name of a setup item and is no value of the input, so that it may be
/// logged.
pub(super) fn is_setup_name(input: &Value, name: &str) -> bool {
    fn holds(value: &Value, text: &str) -> bool {
        match value {
            Value::String(own) => own == text,
            Value::Number(own) => own.to_string() == text,
            Value::Array(items) => items.iter().any(|item| holds(item, text)),
            Value::Object(members) => members.values().any(|member| holds(member, text)),
            Value::Null | Value::Bool(_) => false,
        }
    }
    let fits = (1..=64).contains(&name.len());
    fits && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"_.:-".contains(&octet)) && !holds(input, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_vendor_names_is_a_name_and_no_value() {
        let input =
            json!({ "fields": { "phone": "4915112345" }, "requester": { "email": "ada@example.com", "name": "Ada" } });
        for name in ["custom_fields.cf_region", "360099", "AccountId", "phone"] {
            assert!(is_setup_name(&input, name), "{name}");
        }
        for value in ["", "4915112345", "Ada", "ada@example.com", "It should be one of", "Stra\u{df}e", &"x".repeat(65)]
        {
            assert!(!is_setup_name(&input, value), "{value}");
        }
    }
}
