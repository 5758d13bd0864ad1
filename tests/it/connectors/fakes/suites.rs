//! Vendors that are a helpdesk and a CRM.

use serde_json::{Value, json};

use super::{Fake, Known, REFERENCE, Trial, call::Call, contact, crm::compared, ticket};
use crate::support::Answer;

const fn known(settings: &'static [&'static str], input: &'static str, id: &'static str) -> Trial {
    Trial { operation: "crm.find_contact", settings, known: Known::Record { input, id } }
}

/// HubSpot, CRM API 3: a batch that lacks a record is 207 with errors.
pub const HUBSPOT: Fake = Fake {
    connector: "hubspot",
    environment: &[("HUBSPOT_ACCESS_TOKEN", "pat-eu1-1")],
    config: "",
    base: "",
    trials: &[
        ticket(&[], "16777216"),
        contact(&[], "512"),
        known(
            &["customer_property=shop_id", "customer_system=shop"],
            r#"{ "customer": { "id": "42", "system": "shop", "ids": { "shop": "42" } } }"#,
            "512",
        ),
        known(&[], r#"{ "customer": { "id": "512", "system": "hubspot", "ids": { "hubspot": "512" } } }"#, "512"),
    ],
    answer: hubspot,
};

fn hubspot(call: &Call) -> Answer {
    let fault = |status: u16, category: &str, message: &str| {
        let id = "aeb5f871-7f07-4993-9211-075dc63e7cbf";
        Answer::json(
            status,
            json!({ "status": "error", "message": message, "correlationId": id, "category": category }),
        )
    };
    if call.header("authorization") != "Bearer pat-eu1-1" {
        let said = "Authentication credentials not found. This API supports OAuth 2.0 authentication.";
        return fault(401, "INVALID_AUTHENTICATION", said);
    }
    let record = |id: &str, properties: Value| {
        json!({
            "id": id, "properties": properties, "createdAt": "2026-11-02T09:11:12.000Z",
            "updatedAt": "2026-11-02T09:11:12.000Z", "archived": false,
        })
    };
    let person = json!({
        "email": "ada@example.com", "shop_id": "42", "phone": null, "firstname": "Ada", "lastname": null, "company": null,
        "hs_language": "en", "createdate": "2026-11-02T09:11:12.000Z", "hs_object_id": "512",
    });
    let missing = |name: &str| fault(400, "VALIDATION_ERROR", &format!("Property \"{name}\" does not exist"));
    let body = call.json();
    match call.route.as_str() {
        "POST /crm/v3/objects/tickets/batch/read" => {
            if body["idProperty"] != "frontdesk_id" {
                return missing(body["idProperty"].as_str().unwrap_or_default());
            }
            let (id, started) = (body["inputs"][0]["id"].clone(), "2026-11-02T09:11:12.000Z");
            let mut reply =
                json!({ "status": "COMPLETE", "results": [], "startedAt": started, "completedAt": started });
            if id == REFERENCE {
                let properties =
                    json!({ "frontdesk_id": REFERENCE, "hs_pipeline_stage": "1", "hs_object_id": "16777216" });
                reply["results"] = json!([record("16777216", properties)]);
                return Answer::json(200, reply);
            }
            reply["numErrors"] = json!(1);
            reply["errors"] = json!([{
                "status": "error", "category": "OBJECT_NOT_FOUND", "context": { "ids": [id] },
                "message": "Could not get some TICKET objects, they may be deleted or not exist. Check that ids are valid.",
            }]);
            Answer::json(207, reply)
        }
        "POST /crm/v3/objects/contacts/search" => {
            let filter = &body["filterGroups"][0]["filters"][0];
            let (name, operator) = (filter["propertyName"].as_str().unwrap_or_default(), &filter["operator"]);
            match person.get(name) {
                Some(value) if operator == "EQ" => {
                    let found: Vec<Value> =
                        (*value == filter["value"]).then(|| record("512", person.clone())).into_iter().collect();
                    Answer::json(200, json!({ "total": found.len(), "results": found }))
                }
                _ => missing(name),
            }
        }
        _ => {
            let Some(id) = call.after("GET /crm/v3/objects/contacts/") else {
                return Answer::text(404, "<html><h2>HTTP ERROR 404</h2></html>").with("content-type", "text/html");
            };
            let by = call.parameter("idProperty").unwrap_or("hs_object_id");
            match person.get(by) {
                Some(value) if value.as_str().is_some_and(|value| value.eq_ignore_ascii_case(id)) => {
                    Answer::json(200, record("512", person.clone()))
                }
                Some(_) => Answer::json(
                    404,
                    json!({ "status": "error", "message": "resource not found", "correlationId": "aeb5" }),
                ),
                None => missing(by),
            }
        }
    }
}

/// Intercom 2.14, by its OpenAPI description.
pub const INTERCOM: Fake = Fake {
    connector: "intercom",
    environment: &[("INTERCOM_ACCESS_TOKEN", "token")],
    config: "",
    base: "",
    trials: &[
        ticket(INTERCOM_SETTINGS, "633"),
        contact(INTERCOM_SETTINGS, "6762f3061bb69f9f2193bc5b"),
        known(
            INTERCOM_SETTINGS,
            r#"{ "customer": { "id": "6762f3061bb69f9f2193bc5b", "system": "intercom",
                "ids": { "intercom": "6762f3061bb69f9f2193bc5b" } } }"#,
            "6762f3061bb69f9f2193bc5b",
        ),
        known(
            &["ticket_type_id=72", "external_id_attribute=Reference", "external_id_system=shop"],
            r#"{ "customer": { "id": "42", "system": "shop", "ids": { "shop": "42" } } }"#,
            "6762f3061bb69f9f2193bc5b",
        ),
    ],
    answer: intercom,
};

const INTERCOM_SETTINGS: &[&str] = &["ticket_type_id=72", "external_id_attribute=Reference"];

fn intercom(call: &Call) -> Answer {
    let fault = |status: u16, code: &str, message: &str| {
        let errors = json!([{ "code": code, "message": message }]);
        Answer::json(status, json!({ "type": "error.list", "request_id": "b68c", "errors": errors }))
    };
    if call.header("authorization") != "Bearer token" {
        return fault(401, "unauthorized", "Access Token Invalid");
    }
    if call.header("intercom-version") != "2.14" {
        return fault(400, "intercom_version_invalid", "The requested version is not the one that is described here");
    }
    let person = json!({
        "type": "contact", "id": "6762f3061bb69f9f2193bc5b", "workspace_id": "this_is_an_id", "external_id": "42",
        "role": "user", "email": "ada@example.com", "phone": null, "name": "Ada", "unsubscribed_from_emails": false,
        "created_at": 1_734_537_990, "updated_at": 1_734_537_990, "custom_attributes": {}, "language_override": null,
    });
    let query = |body: &Value| {
        let [field, operator, value] =
            ["field", "operator", "value"].map(|name| body["query"][name].as_str().unwrap_or_default().to_owned());
        (operator == "=").then_some((field, value))
    };
    let pages = json!({ "type": "pages", "page": 1, "per_page": 20, "total_pages": 1 });
    match call.route.as_str() {
        "GET /ticket_types/72" => {
            let attribute = |id: &str, name: &str| {
                json!({
                    "type": "ticket_type_attribute", "id": id, "name": name, "data_type": "string", "archived": false,
                    "ticket_type_id": 72, "default": name.starts_with('_'),
                })
            };
            let attributes = [attribute("179", "_default_title_"), attribute("181", "Reference")];
            Answer::json(
                200,
                json!({
                    "type": "ticket_type", "id": "72", "name": "Bug Report", "archived": false, "category": "Customer",
                    "ticket_type_attributes": { "type": "list", "data": attributes },
                }),
            )
        }
        "POST /tickets/search" => {
            let Some((field, value)) = query(&call.json()).filter(|(field, _)| field == "ticket_attribute.181") else {
                return fault(400, "parameter_invalid", "Invalid search field");
            };
            let ticket = json!({
                "type": "ticket", "id": "633", "ticket_id": "40", "open": true,
                "ticket_attributes": { "_default_title_": "A lamp", "Reference": REFERENCE },
                "ticket_state": { "type": "ticket_state", "id": "8577", "category": "submitted", "internal_label": "Submitted" },
                "ticket_type": { "type": "ticket_type", "id": "72" }, "category": "Customer",
                "contacts": { "type": "contact.list", "contacts": [{ "type": "contact", "id": person["id"] }] },
            });
            let found: Vec<Value> = (value == REFERENCE && !field.is_empty()).then_some(ticket).into_iter().collect();
            Answer::json(
                200,
                json!({ "type": "ticket.list", "tickets": found, "total_count": found.len(), "pages": pages }),
            )
        }
        "POST /contacts/search" => {
            let Some((field, value)) = query(&call.json()).filter(|(field, _)| person.get(field).is_some()) else {
                return fault(400, "parameter_invalid", "Invalid search field");
            };
            let found: Vec<Value> = (person[&field] == value).then(|| person.clone()).into_iter().collect();
            Answer::json(200, json!({ "type": "list", "data": found, "total_count": found.len(), "pages": pages }))
        }
        _ => {
            let by_external = call.after("GET /contacts/find_by_external_id/");
            match by_external.map(|id| ("external_id", id)).or(call.after("GET /contacts/").map(|id| ("id", id))) {
                Some((name, id)) if person[name] == id => Answer::json(200, person),
                Some(_) => fault(404, "not_found", "User Not Found"),
                None => fault(404, "not_found", "Resource Not Found"),
            }
        }
    }
}

/// Salesforce: SOQL, where an object or a field that there is not is refused.
pub const SALESFORCE: Fake = Fake {
    connector: "salesforce",
    environment: &[("SALESFORCE_CLIENT_ID", "client"), ("SALESFORCE_CLIENT_SECRET", "secret")],
    config: "",
    base: "",
    trials: &[
        ticket(&[], "5003000000D8cuIAAR"),
        contact(&[], "0033000000D8cuIAAR"),
        known(
            &["customer_field=Shop_Id__c", "customer_system=shop"],
            r#"{ "customer": { "id": "42", "system": "shop", "ids": { "shop": "42" } } }"#,
            "0033000000D8cuIAAR",
        ),
    ],
    answer: salesforce,
};

fn salesforce(call: &Call) -> Answer {
    let fault = |status: u16, code: &str, message: &str| {
        Answer::json(status, json!([{ "message": message, "errorCode": code }]))
    };
    if call.route == "POST /services/oauth2/token" {
        let more =
            json!({ "instance_url": "https://acme.my.salesforce.com", "issued_at": "1793610672000", "scope": "api" });
        return call.token("client_credentials", true, more);
    }
    if !call.has_token() {
        return fault(401, "INVALID_SESSION_ID", "Session expired or invalid");
    }
    if call.route != "GET /services/data/v62.0/query" {
        return fault(404, "NOT_FOUND", "The requested resource does not exist");
    }
    let soql = call.parameter("q").unwrap_or_default();
    let parts = soql.strip_prefix("SELECT ").and_then(|rest| rest.split_once(" FROM "));
    let Some((fields, (object, condition))) =
        parts.and_then(|(fields, rest)| Some((fields, rest.split_once(" WHERE ")?)))
    else {
        return fault(400, "MALFORMED_QUERY", "unexpected token");
    };
    let record = match object {
        "Case" => {
            json!({ "Id": "5003000000D8cuIAAR", "CaseNumber": "00001026", "IsClosed": false, "Frontdesk_Id__c": REFERENCE })
        }
        "Contact" => json!({
            "Id": "0033000000D8cuIAAR", "Email": "ada@example.com", "Shop_Id__c": "42", "Phone": null, "FirstName": "Ada",
            "LastName": "Lovelace",
        }),
        _ => return fault(400, "INVALID_TYPE", &format!("sObject type '{object}' is not supported.")),
    };
    let url = format!("/services/data/v62.0/sobjects/{object}/{}", record["Id"].as_str().unwrap());
    let mut shown = json!({ "attributes": { "type": object, "url": url } });
    for field in fields.split(',').map(str::trim) {
        match record.get(field) {
            Some(value) => shown[field] = value.clone(),
            None => return fault(400, "INVALID_FIELD", &format!("No such column '{field}' on entity '{object}'.")),
        }
    }
    // Texts are compared without regard to case.
    let is_hit = record.as_object().unwrap().iter().any(|(field, value)| {
        let wanted = compared(condition, field, "=");
        wanted.iter().any(|wanted| value.as_str().is_some_and(|value| value.eq_ignore_ascii_case(wanted)))
    });
    let found: Vec<Value> = is_hit.then_some(shown).into_iter().collect();
    Answer::json(200, json!({ "totalSize": found.len(), "done": true, "records": found }))
}
