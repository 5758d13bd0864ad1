//! Systems of contacts.

use serde_json::{Value, json};

use super::{
    Fake, Known, Trial,
    call::{Call, TOKEN},
    contact,
    fields::Fields,
};
use crate::support::Answer;

/// Finds the contact of customer 42 of the shop, by a field of its own.
const fn linked(settings: &'static [&'static str], id: &'static str) -> Trial {
    let input = r#"{ "customer": { "id": "42", "system": "shop", "ids": { "shop": "42" } } }"#;
    Trial { operation: "crm.find_contact", settings, known: Known::Record { input, id } }
}

/// The texts in `'…'` that follow an operator in a query language, as in `emailaddress1 eq 'ada@example.com'`.
pub fn compared(text: &str, field: &str, operator: &str) -> Vec<String> {
    let before = format!("{field} {operator} '");
    text.split(&before).skip(1).filter_map(|rest| rest.split('\'').next()).map(str::to_owned).collect()
}

/// Dynamics 365 (Dataverse Web API): OData, where a column or an option that there is not is refused.
pub const DYNAMICS_365: Fake = Fake {
    connector: "dynamics-365",
    environment: &[
        ("DYNAMICS_TOKEN_URL", "{url}/tenant/oauth2/v2.0/token"),
        ("DYNAMICS_CLIENT_ID", "client"),
        ("DYNAMICS_CLIENT_SECRET", "secret"),
    ],
    config: "[upstreams.dynamics-365]\nauth.scopes = [\"https://acme.crm4.dynamics.com/.default\"]\n",
    base: "",
    trials: &[
        contact(&[], "a5c7d1e0-1111-4222-8333-444455556666"),
        linked(&["customer_field=acme_customerid", "customer_system=shop"], "a5c7d1e0-1111-4222-8333-444455556666"),
    ],
    answer: dynamics_365,
};

fn dynamics_365(call: &Call) -> Answer {
    if call.route == "POST /tenant/oauth2/v2.0/token" {
        return call.token("client_credentials", true, json!({ "ext_expires_in": 3599 }));
    }
    if !call.has_token() {
        return Answer::text(401, "")
            .with("www-authenticate", "Bearer authorization_uri=https://login.microsoftonline.com");
    }
    let fault = |status: u16, message: &str| {
        Answer::json(status, json!({ "error": { "code": "0x80060888", "message": message } }))
    };
    if call.route != "GET /api/data/v9.2/contacts" {
        return fault(404, "Resource not found for the segment.");
    }
    let options = ["$select", "$filter", "$orderby", "$top", "$expand", "$count"];
    if let Some(name) = call.unknown(&options) {
        return fault(400, &format!("The query parameter {name} is not supported"));
    }
    let record = |id: &str, email: &str, customer: Value, state: u8| {
        json!({
            "@odata.etag": "W/\"1\"", "contactid": id, "emailaddress1": email, "acme_customerid": customer,
            "statecode": state, "firstname": "Ada", "lastname": "Lovelace", "mobilephone": null, "createdon": "2026-11-02",
        })
    };
    let all = [
        record("a5c7d1e0-1111-4222-8333-444455556666", "Ada@example.com", json!("42"), 0),
        record("b5c7d1e0-1111-4222-8333-444455556666", "ada@example.com", Value::Null, 1),
    ];
    let fields = Fields::dotted(call.parameter("$select").unwrap_or_default());
    if let Some(name) = fields.names().find(|name| all[0].get(name).is_none()) {
        let said = format!("Could not find a property named '{name}' on type 'Microsoft.Dynamics.CRM.contact'.");
        return fault(400, &said);
    }
    let filter = call.parameter("$filter").unwrap_or_default();
    let (emails, ids) = (compared(filter, "emailaddress1", "eq"), compared(filter, "acme_customerid", "eq"));
    // Texts are compared without regard to case.
    let is_in = |wanted: &[String], value: &Value| {
        value.as_str().is_some_and(|value| wanted.iter().any(|wanted| wanted.eq_ignore_ascii_case(value)))
    };
    let is_hit = |record: &&Value| {
        let is_active = !filter.contains("statecode eq 0") || record["statecode"] == 0;
        is_active && (is_in(&emails, &record["emailaddress1"]) || is_in(&ids, &record["acme_customerid"]))
    };
    let found = all.iter().filter(is_hit).map(|record| {
        let mut shown = fields.of(record);
        (shown["@odata.etag"], shown["contactid"]) = (record["@odata.etag"].clone(), record["contactid"].clone());
        shown
    });
    let context = "https://acme.crm4.dynamics.com/api/data/v9.2/$metadata#contacts";
    Answer::json(200, json!({ "@odata.context": context, "value": found.collect::<Vec<_>>() }))
}

/// Klaviyo: JSON:API with a revision, filters as functions.
pub const KLAVIYO: Fake = Fake {
    connector: "klaviyo",
    environment: &[("KLAVIYO_AUTHORIZATION", "Klaviyo-API-Key pk_1")],
    config: "",
    base: "",
    trials: &[
        contact(&[], "01GDDKASAP8TKDDA2GRZDSVP4H"),
        linked(&["customer_system=shop"], "01GDDKASAP8TKDDA2GRZDSVP4H"),
    ],
    answer: klaviyo,
};

fn klaviyo(call: &Call) -> Answer {
    let fault = |status: u16, code: &str, title: &str, detail: &str, source: Value| {
        let error = json!({ "id": "9f1c", "status": status, "code": code, "title": title, "detail": detail, "source": source, "links": {}, "meta": {} });
        Answer::json(status, json!({ "errors": [error] }))
    };
    let pointer = json!({ "pointer": "/data/" });
    if call.header("authorization") != "Klaviyo-API-Key pk_1" {
        let title = "Incorrect authentication credentials.";
        return fault(401, "authentication_failed", title, title, pointer);
    }
    if call.header("revision").is_empty() {
        return fault(400, "invalid", "Invalid input.", "A revision header is required.", pointer);
    }
    let profile = json!({
        "type": "profile", "id": "01GDDKASAP8TKDDA2GRZDSVP4H", "links": {}, "attributes": {
            "email": "ada@example.com", "phone_number": null, "external_id": "42", "first_name": "Ada", "last_name": null,
            "organization": null, "locale": "en-US", "title": null, "image": null, "created": "2026-11-02T09:11:12+00:00",
            "updated": "2026-11-02T09:11:12+00:00", "last_event_date": null, "location": {}, "properties": {},
        },
    });
    let chosen = Fields::dotted(call.parameter("fields[profile]").unwrap_or_default());
    if let Some(name) = chosen.names().find(|name| profile["attributes"].get(name).is_none()) {
        let said = format!("'{name}' is not a valid field for the resource 'profile'.");
        return fault(400, "invalid", "Invalid input.", &said, json!({ "parameter": "fields[profile]" }));
    }
    let mut shown = profile.clone();
    shown["attributes"] = chosen.of(&profile["attributes"]);
    if let Some(id) = call.after("GET /api/profiles/") {
        return match profile["id"] == id {
            true => Answer::json(200, json!({ "data": shown, "links": {} })),
            false => {
                let said = format!("A profile with id {id} does not exist.");
                fault(404, "not_found", "Not found.", &said, json!({ "pointer": "/data/id" }))
            }
        };
    }
    if call.route != "GET /api/profiles" {
        return fault(404, "not_found", "Not found.", "The path could not be found", pointer);
    }
    if let Some(name) =
        call.unknown(&["filter", "fields[profile]", "page[size]", "page[cursor]", "sort", "additional-fields[profile]"])
    {
        let said = format!("'{name}' is not an allowed query parameter for this resource.");
        return fault(400, "invalid", "Invalid input.", &said, json!({ "parameter": name }));
    }
    let filter = call.parameter("filter").unwrap_or_default();
    let terms = filter
        .strip_prefix("equals(")
        .and_then(|rest| rest.strip_suffix("\")"))
        .and_then(|rest| rest.split_once(",\""));
    let found = match terms {
        Some((field @ ("email" | "external_id" | "phone_number"), value)) => profile["attributes"][field] == value,
        _ => {
            return fault(
                400,
                "invalid",
                "Invalid input.",
                "Invalid filter provided.",
                json!({ "parameter": "filter" }),
            );
        }
    };
    let data: Vec<Value> = found.then_some(shown).into_iter().collect();
    Answer::json(200, json!({ "data": data, "links": { "self": "", "next": null, "prev": null } }))
}

/// Pipedrive, API 2: a search for persons, whose hits are less than the persons.
pub const PIPEDRIVE: Fake = Fake {
    connector: "pipedrive",
    environment: &[("PIPEDRIVE_API_TOKEN", "token")],
    config: "",
    base: "",
    trials: &[
        contact(&[], "31"),
        linked(&["customer_field=8f3a1c0b2d4e5f60718293a4b5c6d7e8f9012345", "customer_system=shop"], "31"),
    ],
    answer: pipedrive,
};

fn pipedrive(call: &Call) -> Answer {
    let fault = |status: u16, error: &str| {
        let info = "Please check developers.pipedrive.com for more information.";
        Answer::json(status, json!({ "success": false, "error": error, "errorCode": status, "error_info": info }))
    };
    if call.header("x-api-token") != "token" {
        return fault(401, "unauthorized access");
    }
    let key = "8f3a1c0b2d4e5f60718293a4b5c6d7e8f9012345";
    let person = json!({
        "id": 31, "name": "Ada Lovelace", "first_name": "Ada", "last_name": "Lovelace", "owner_id": 1, "org_id": null,
        "add_time": "2026-11-02T09:11:12Z", "update_time": "2026-11-02T09:11:12Z", "is_deleted": false, "phones": [],
        "emails": [{ "value": "ada@example.com", "primary": true, "label": "work" }], "label_ids": [], "visible_to": 3,
        "custom_fields": { key: "42" },
    });
    let found = |data: Value| {
        Answer::json(200, json!({ "success": true, "data": data, "additional_data": { "next_cursor": null } }))
    };
    if call.route == "GET /api/v2/persons/search" {
        let term = call.parameter("term").unwrap_or_default();
        if term.is_empty() || term.len() < 2 && call.parameter("exact_match") != Some("true") {
            return fault(400, "Bad request");
        }
        let value = match call.parameter("fields") {
            Some("email") => "ada@example.com",
            Some("custom_fields") => "42",
            _ => return fault(400, "Bad request"),
        };
        let item = json!({ "id": 31, "type": "person", "name": "Ada Lovelace", "phones": [], "emails": ["ada@example.com"], "custom_fields": ["42"] });
        let is_hit = value.eq_ignore_ascii_case(term);
        let items: Vec<Value> = is_hit.then(|| json!({ "result_score": 1.2, "item": item })).into_iter().collect();
        return found(json!({ "items": items }));
    }
    if call.route == "GET /api/v2/persons" {
        let is_hit = call.parameter("ids").is_none_or(|ids| ids.split(',').any(|id| id == "31"));
        return found(is_hit.then_some(person).into_iter().collect());
    }
    match call.after("GET /api/v2/persons/") {
        Some("31") => Answer::json(200, json!({ "success": true, "data": person })),
        Some(_) => fault(404, "Person not found"),
        None => fault(404, "Unknown method ."),
    }
}

/// Zoho CRM, API 8: criteria, a scheme of its own in `Authorization`, nothing found is 204.
pub const ZOHO_CRM: Fake = Fake {
    connector: "zoho-crm",
    environment: &[
        ("ZOHO_TOKEN_URL", "{url}/oauth/v2/token"),
        ("ZOHO_CLIENT_ID", "client"),
        ("ZOHO_CLIENT_SECRET", "secret"),
        ("ZOHO_REFRESH_TOKEN", "refresh-token"),
        ("STORE_KEY", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"),
    ],
    config: "[store]\nencryption_key = { env = \"STORE_KEY\" }\n",
    base: "",
    trials: &[
        contact(&[], "4150868000000376008"),
        linked(&["customer_field=Customer_Number", "customer_system=shop"], "4150868000000376008"),
    ],
    answer: zoho_crm,
};

fn zoho_crm(call: &Call) -> Answer {
    let fault = |status: u16, code: &str, message: &str| {
        Answer::json(status, json!({ "code": code, "details": {}, "message": message, "status": "error" }))
    };
    if call.route == "POST /oauth/v2/token" {
        return call.token("refresh_token", true, json!({ "api_domain": "https://www.zohoapis.eu" }));
    }
    if call.header("authorization") != format!("Zoho-oauthtoken {TOKEN}") {
        return fault(401, "INVALID_TOKEN", "invalid oauth token");
    }
    if call.route != "GET /crm/v8/Contacts/search" {
        return fault(404, "INVALID_URL_PATTERN", "Please check if the URL trying to access is a correct one");
    }
    let contact = json!({
        "id": "4150868000000376008", "Email": "ada@example.com", "Phone": null, "First_Name": "Ada",
        "Last_Name": "Lovelace", "Customer_Number": "42", "$approval_state": "approved",
    });
    // Parentheses, commas and backslashes in a value are escaped by a backslash.
    let criteria = call.parameter("criteria").unwrap_or_default();
    let mut is_hit = false;
    for term in criteria.trim_matches(['(', ')']).split(")or(") {
        match term.split_once(":equals:") {
            Some((field, value)) if contact.get(field).is_some() => {
                is_hit |= contact[field].as_str().is_some_and(|known| known.eq_ignore_ascii_case(value));
            }
            _ => return fault(400, "INVALID_QUERY", "Invalid query formed"),
        }
    }
    if !is_hit {
        return Answer::text(204, "");
    }
    let mut shown = Fields::dotted(call.parameter("fields").unwrap_or_default()).of(&contact);
    shown["id"] = contact["id"].clone();
    let info = json!({ "per_page": 200, "count": 1, "page": 1, "more_records": false });
    Answer::json(200, json!({ "data": [shown], "info": info }))
}
