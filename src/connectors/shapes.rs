//! Shapes of operation inputs, to complete and check the inputs of examples against what filters really get.

use serde_json::{Map, Value, json};

/// The input of an operation with all members, absent ones null.
fn shape(operation: &str) -> Value {
    let customer = json!({ "id": null, "system": null, "ids": {}, "own_id": null, "email": null, "name": null });
    match operation {
        "orders.find" => json!({ "id": null, "number": null }),
        "helpdesk.create_ticket" => json!({
            "external_id": null, "subject": null, "description": null, "priority": "normal", "category": null,
            "order_id": null, "conversation": null, "requester": customer, "tags": [], "fields": {},
            "at": null,
        }),
        "helpdesk.find_ticket" => json!({ "external_id": null }),
        "helpdesk.add_comment" => {
            json!({ "ticket_id": null, "text": null, "priority": null, "external_id": null, "at": null })
        }
        "crm.find_contact" => json!({ "customer": customer }),
        "crm.upsert_contact" => json!({ "contact_id": null, "customer": customer, "fields": {} }),
        "crm.log_activity" => json!({ "contact_id": null, "text": null, "external_id": null, "at": null }),
        "knowledge.upsert_article" => {
            json!({ "id": null, "variant": null, "title": null, "body": null, "url": null, "updated_at": null })
        }
        "knowledge.remove_article" => json!({ "id": null, "variant": null }),
        "knowledge.list" => json!({ "cursor": null }),
        "knowledge.get" => json!({ "article": null, "variant": null }),
        "codes.send" => json!({
            "to": null, "channel": "email", "code": null, "language": "en", "minutes": 10, "subject": null, "text": null,
            "external_id": null,
        }),
        _ => json!({}),
    }
}

/// Top-level member names of an operation's input.
pub(super) fn names(operation: &str) -> Vec<String> {
    shape(operation).as_object().map(|members| members.keys().cloned().collect()).unwrap_or_default()
}

/// Completes an example's input with its absent members; unknown ones are errors.
///
/// `own` is the system of the vendor's customer ids.
pub(super) fn complete(operation: &str, input: &Value, own: &str) -> Result<Value, String> {
    let mut filled = fill(operation, shape(operation), input)?;
    for member in ["customer", "requester"] {
        if let Some(customer) = filled.get_mut(member) {
            if let (Some(id), Some(system)) = (customer["id"].as_str(), customer["system"].as_str()) {
                let (id, system) = (id.to_owned(), system.to_owned());
                if customer["ids"].get(&system).is_none() {
                    customer["ids"][system] = id.into();
                }
            }
            customer["own_id"] = customer["ids"].get(own).cloned().unwrap_or_default();
        }
    }
    Ok(filled)
}

fn fill(place: &str, shape: Value, input: &Value) -> Result<Value, String> {
    match (shape, input) {
        // Maps with free keys: customer ids by system, contact fields by name.
        (Value::Object(shape), Value::Object(_)) if shape.is_empty() => Ok(input.clone()),
        (Value::Object(shape), Value::Object(members)) => {
            if let Some(unknown) = members.keys().find(|name| !shape.contains_key(*name)) {
                let known: Vec<&str> = shape.keys().map(String::as_str).collect();
                return Err(format!("{place} has no input {unknown}; it has {}", known.join(", ")));
            }
            let filled = shape.into_iter().map(|(name, default)| {
                let value = match members.get(&name) {
                    Some(member) => fill(&format!("{place}: {name}"), default, member)?,
                    None => default,
                };
                Ok((name, value))
            });
            filled.collect::<Result<Map<_, _>, String>>().map(Value::Object)
        }
        (Value::Object(_), _) => Err(format!("{place} must be an object")),
        (_, input) => Ok(input.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        connectors::input,
        desk::{CodeMessage, CodeText, OneTimeCode},
        domain::{
            Article, ArticleId, Comment, ContactFields, ContactId, Customer, CustomerId, EffectId, Email, Language,
            Level, NewTicket, OrderId, Priority, SystemId, TicketId, Timestamp,
        },
    };

    /// Members, at every depth that has a shape.
    fn names(value: &Value) -> Vec<String> {
        let Value::Object(members) = value else { return Vec::new() };
        let mut all = Vec::new();
        for (name, member) in members {
            all.push(name.clone());
            if name != "ids" && name != "fields" {
                all.extend(names(member).into_iter().map(|inner| format!("{name}.{inner}")));
            }
        }
        all.sort();
        all
    }

    #[test]
    fn shapes_are_those_of_the_inputs_in_earnest() {
        let customer = Customer {
            id: CustomerId::parse("shop:1").unwrap(),
            linked: vec![CustomerId::parse("crm:2").unwrap(), CustomerId::parse("shop:3").unwrap()],
            level: Level::Verified,
            email: None,
            email_verified: false,
            name: None,
            language: None,
            typed: false,
            email_by_code: None,
        };
        let (effect, contact) = (EffectId::fresh(), ContactId::parse("c").unwrap());
        let ticket = NewTicket {
            requester: customer.clone(),
            conversation: None,
            subject: String::new(),
            description: String::new(),
            priority: Priority::Normal,
            category: None,
            order_id: None,
            tags: Vec::new(),
            fields: Default::default(),
        };
        let at = Timestamp::parse("2026-01-01T00:00:00Z").unwrap();
        let article = Article {
            id: ArticleId::parse("a").unwrap(),
            variant: None,
            audience: Level::Anonymous,
            title: String::new(),
            body: String::new(),
            url: None,
            updated_at: at,
        };
        let comment = Comment { text: String::new(), priority: None };
        let fields = ContactFields::new();
        let own = &SystemId::parse("crm").unwrap();
        let message = CodeMessage {
            handle_begins: None,
            to: Email::parse("ada@example.com").unwrap(),
            code: OneTimeCode::fresh().unwrap(),
            language: Language::english(),
            minutes: 10,
            text: CodeText { subject: String::new(), text: String::new() },
            effect: effect.clone(),
        };
        let earnest = [
            ("orders.find", input::find_order(&OrderId::parse("#1").unwrap(), &OrderId::parse("1").unwrap())),
            ("helpdesk.create_ticket", input::create_ticket(&ticket, &effect, own)),
            ("helpdesk.find_ticket", input::find_ticket(&effect)),
            ("helpdesk.add_comment", input::add_comment(&TicketId::parse("t").unwrap(), &comment, &effect)),
            ("crm.find_contact", input::find_contact(&customer, own)),
            ("crm.upsert_contact", input::upsert_contact(&customer, None, &fields, own)),
            ("crm.log_activity", input::log_activity(&contact, "", &effect, at)),
            ("knowledge.upsert_article", input::upsert_article(&article)),
            ("knowledge.remove_article", input::remove_article(&article.id, None)),
            ("knowledge.list", input::list_articles(None)),
            ("knowledge.get", input::get_article(&article.id, None)),
            ("codes.send", input::send_code(&message)),
        ];
        for (operation, input) in &earnest {
            assert_eq!(names(&shape(operation)), names(input), "{operation}");
        }
        // The subject's own id wins over a linked one of the same system.
        assert_eq!(earnest[4].1["customer"]["ids"], json!({ "shop": "1", "crm": "2" }));
        assert_eq!(earnest[4].1["customer"]["own_id"], "2");
        assert!(complete("orders.find", &json!({ "number": "1", "email": "x" }), "crm").is_err());
        let filled = complete("crm.find_contact", &json!({ "customer": { "ids": { "crm": "9" } } }), "crm").unwrap();
        assert_eq!(filled["customer"]["own_id"], "9");
    }
}
