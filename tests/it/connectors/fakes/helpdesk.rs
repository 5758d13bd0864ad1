//! Helpdesks.

use serde_json::{Value, json};

use super::{Fake, REFERENCE, call::Call, fields::Fields, ticket};
use crate::support::Answer;

/// Freshdesk: the filter language of its search, and validation errors by field.
pub const FRESHDESK: Fake = Fake {
    connector: "freshdesk",
    environment: &[("FRESHDESK_API_KEY", "key")],
    config: "",
    base: "",
    trials: &[ticket(&[], "12"), ticket(&["external_id_field=cf_reference"], "13")],
    answer: freshdesk,
};

fn freshdesk(call: &Call) -> Answer {
    // The key is the user name; any password will do.
    if !call.is_basic("key", "") && !call.is_basic("key", "X") {
        let said = "You have to be logged in to perform this action.";
        return Answer::json(401, json!({ "code": "invalid_credentials", "message": said }));
    }
    if call.route != "GET /api/v2/search/tickets" {
        return Answer::text(404, "");
    }
    let invalid = |field: &str, code: &str, message: &str| {
        let errors = json!([{ "field": field, "message": message, "code": code }]);
        Answer::json(400, json!({ "description": "Validation failed", "errors": errors }))
    };
    if let Some(name) = call.unknown(&["query", "page"]) {
        return invalid(name, "invalid_field", "Unexpected/invalid field in request");
    }
    let query = call.parameter("query").unwrap_or_default();
    let Some(query) = query.strip_prefix('"').and_then(|query| query.strip_suffix('"')).filter(|q| q.len() <= 512)
    else {
        return invalid("query", "invalid_value", "Given query is invalid");
    };
    let terms: Vec<(&str, &str)> = query.split(" OR ").filter_map(|term| term.split_once(':')).collect();
    let known = ["cf_frontdesk_id", "cf_reference", "custom_string", "status", "priority", "tag"];
    if let Some((name, _)) = terms.iter().find(|(name, _)| !known.contains(name)) {
        return invalid(name, "invalid_field", "Unexpected/invalid field in request");
    }
    let all = [("cf_frontdesk_id", 12), ("cf_reference", 13)];
    let is_asked = |field: &str| {
        let value = format!("'{REFERENCE}'");
        terms.iter().any(|(name, wanted)| (*name == field || *name == "custom_string") && *wanted == value)
    };
    let found = all.iter().filter(|(field, _)| is_asked(field)).map(|(field, id)| {
        let mut fields = json!({ "cf_frontdesk_id": null, "cf_reference": null });
        fields[*field] = json!(REFERENCE);
        json!({ "id": id, "subject": "A lamp", "status": 2, "priority": 1, "requester_id": 5, "custom_fields": fields })
    });
    let found: Vec<Value> = found.collect();
    Answer::json(200, json!({ "total": found.len(), "results": found }))
}

/// Gorgias: unknown parameters are refused.
pub const GORGIAS: Fake = Fake {
    connector: "gorgias",
    environment: &[("GORGIAS_USERNAME", "desk@example.com"), ("GORGIAS_API_KEY", "key")],
    config: "",
    base: "",
    trials: &[ticket(&[], "5309")],
    answer: gorgias,
};

fn gorgias(call: &Call) -> Answer {
    let fault = |status: u16, error: Value| Answer::json(status, json!({ "error": error }));
    if !call.is_basic("desk@example.com", "key") {
        return fault(401, json!({ "msg": "You are not authorized to access this resource." }));
    }
    if call.route != "GET /api/tickets" {
        return fault(404, json!({ "msg": "The requested URL was not found on the server." }));
    }
    let known =
        ["cursor", "customer_id", "external_id", "limit", "order_by", "rule_id", "ticket_ids", "trashed", "view_id"];
    if let Some(name) = call.unknown(&known) {
        return fault(400, json!({ "msg": "Failed to validate.", "data": { name: ["Unknown field."] } }));
    }
    let ticket = json!({
        "id": 5309, "uri": "/api/tickets/5309/", "external_id": REFERENCE, "status": "open", "channel": "api",
        "via": "api", "subject": "A lamp", "trashed_datetime": null, "spam": false, "tags": [], "messages_count": 1,
        "customer": { "id": 8, "email": "ada@example.com", "name": "Ada" }, "snooze_datetime": null,
    });
    let is_hit = call.parameter("external_id").is_none_or(|wanted| wanted == REFERENCE);
    let data: Vec<Value> = is_hit.then_some(ticket).into_iter().collect();
    let meta = json!({ "next_cursor": null, "prev_cursor": null });
    Answer::json(200, json!({ "object": "list", "uri": "/api/tickets", "data": data, "meta": meta }))
}

/// Help Scout's Mailbox API 2: HAL, an empty list has no `_embedded` members to speak of.
pub const HELPSCOUT: Fake = Fake {
    connector: "helpscout",
    environment: &[("HELPSCOUT_CLIENT_ID", "client"), ("HELPSCOUT_CLIENT_SECRET", "secret")],
    config: "",
    base: "",
    trials: &[ticket(&["mailbox_id=85", "external_id_field=104"], "10")],
    answer: helpscout,
};

fn helpscout(call: &Call) -> Answer {
    if call.route == "POST /v2/oauth2/token" {
        return call.token("client_credentials", true, json!({ "token_type": "bearer", "expires_in": 172_800 }));
    }
    if !call.has_token() {
        let said = "The access token is invalid or has expired";
        return Answer::json(401, json!({ "error": "invalid_token", "error_description": said }));
    }
    let fault = |status: u16, message: &str| Answer::json(status, json!({ "logRef": "6f3e", "message": message }));
    if call.route != "GET /v2/conversations" {
        return fault(404, "Not Found");
    }
    let status = call.parameter("status").unwrap_or("active");
    if !["active", "all", "closed", "open", "pending", "spam"].contains(&status) {
        return fault(400, "Bad request");
    }
    let conversation = json!({
        "id": 10, "number": 12, "threads": 1, "type": "chat", "folderId": 11, "status": "closed", "state": "published",
        "subject": "A lamp", "mailboxId": 85, "primaryCustomer": { "id": 238_604, "email": "ada@example.com" },
        "customFields": [{ "id": 104, "name": "Reference", "value": REFERENCE, "text": REFERENCE }],
        "tags": [], "_links": { "self": { "href": "https://api.helpscout.net/v2/conversations/10" } },
    });
    let by_field = call.parameter("customFieldsByIds").is_none_or(|wanted| wanted == format!("104:{REFERENCE}"));
    let is_hit = by_field && ["all", "closed"].contains(&status);
    let found: Vec<Value> = is_hit.then_some(conversation).into_iter().collect();
    let page = json!({ "size": 25, "totalElements": found.len(), "totalPages": found.len(), "number": 1 });
    Answer::json(200, json!({ "_embedded": { "conversations": found }, "_links": {}, "page": page }))
}

/// Jira Service Management: a search by JQL with Jira's API 3, the request with the service desk's.
pub const JIRA: Fake = Fake {
    connector: "jira-service-management",
    environment: &[("JIRA_EMAIL", "desk@example.com"), ("JIRA_API_TOKEN", "token")],
    config: "",
    base: "",
    trials: &[ticket(&["service_desk_id=4", "request_type_id=25", "external_id_field=customfield_10050"], "10001")],
    answer: jira,
};

fn jira(call: &Call) -> Answer {
    if !call.is_basic("desk@example.com", "token") {
        let said = "Client must be authenticated to access this resource.";
        return Answer::json(401, json!({ "message": said, "status-code": 401 }));
    }
    if let Some("SUP-1" | "10001") = call.after("GET /rest/servicedeskapi/request/") {
        let date = json!({ "iso8601": "2026-11-02T09:11:12+0000", "epochMillis": 1_793_610_672_000_i64 });
        return Answer::json(
            200,
            json!({
                "issueId": "10001", "issueKey": "SUP-1", "requestTypeId": "25", "serviceDeskId": "4",
                "createdDate": date, "reporter": { "accountId": "qm:1", "displayName": "Ada" },
                "requestFieldValues": [{ "fieldId": "summary", "label": "Summary", "value": "A lamp" }],
                "currentStatus": { "status": "Waiting for support", "statusCategory": "NEW", "statusDate": date },
                "_links": { "web": "https://acme.atlassian.net/servicedesk/customer/portal/4/SUP-1" },
            }),
        );
    }
    if call.route != "POST /rest/api/3/search/jql" {
        return Answer::json(404, json!({ "errorMessage": "The request was not found.", "i18nErrorMessage": {} }));
    }
    let invalid = |said: &str| Answer::json(400, json!({ "errorMessages": [said], "errors": {} }));
    let body = call.json();
    let known =
        ["expand", "fields", "fieldsByKeys", "jql", "maxResults", "nextPageToken", "properties", "reconcileIssues"];
    if body.as_object().is_none_or(|body| body.keys().any(|name| !known.contains(&name.as_str()))) {
        return invalid("Invalid request payload. Refer to the REST API documentation and try again.");
    }
    // Text is searched for with ~, without regard to case; = is for other fields.
    let jql = body["jql"].as_str().unwrap_or_default();
    let Some(term) = jql.strip_prefix("cf[10050] ~ \"").and_then(|rest| rest.strip_suffix('"')) else {
        return invalid("Field 'cf' does not exist or you do not have permission to view it.");
    };
    let mut fields = json!({ "summary": "A lamp", "customfield_10050": REFERENCE });
    let asked: Vec<&str> = body["fields"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    fields.as_object_mut().unwrap().retain(|name, _| asked.contains(&name.as_str()));
    let issue = json!({ "id": "10001", "key": "SUP-1", "self": "https://acme.atlassian.net/rest/api/3/issue/10001", "fields": fields });
    let found: Vec<Value> = REFERENCE.eq_ignore_ascii_case(term).then_some(issue).into_iter().collect();
    Answer::json(200, json!({ "issues": found, "isLast": true }))
}

/// ServiceNow's Table API: a condition on a field that there is not is ignored, and finds everything.
pub const SERVICENOW: Fake = Fake {
    connector: "servicenow",
    environment: &[("SERVICENOW_USERNAME", "desk"), ("SERVICENOW_PASSWORD", "password")],
    config: "",
    base: "",
    trials: &[ticket(&[], "a83820b58f723300e7e16c7827bdeed2")],
    answer: servicenow,
};

fn servicenow(call: &Call) -> Answer {
    let fault = |status: u16, message: &str, detail: &str| {
        Answer::json(status, json!({ "error": { "message": message, "detail": detail }, "status": "failure" }))
    };
    if !call.is_basic("desk", "password") {
        return fault(401, "User Not Authenticated", "Required to provide Auth information");
    }
    match call.after("GET /api/now/v2/table/") {
        Some("incident") => {}
        Some(table) => return fault(400, &format!("Invalid table {table}"), ""),
        None => return fault(400, "Requested URI does not represent any resource", ""),
    }
    let incident = |id: &str, number: &str, reference: &str| json!({ "sys_id": id, "number": number, "state": "1", "correlation_id": reference, "short_description": "A lamp" });
    let all = [
        incident("a83820b58f723300e7e16c7827bdeed2", "INC0010001", REFERENCE),
        incident("46f09e75a9fe198100f4ffd8d366d17b", "INC0010002", ""),
    ];
    let conditions: Vec<(&str, &str)> = call
        .parameter("sysparm_query")
        .unwrap_or_default()
        .split('^')
        .filter_map(|term| term.split_once('='))
        .collect();
    let is_hit =
        |record: &&Value| conditions.iter().all(|(name, wanted)| record.get(*name).is_none_or(|value| value == wanted));
    let fields = Fields::dotted(call.parameter("sysparm_fields").unwrap_or_default());
    let limit = call.parameter("sysparm_limit").map_or(10_000, |limit| limit.parse().unwrap());
    let found: Vec<Value> = all.iter().filter(is_hit).take(limit).map(|record| fields.of(record)).collect();
    Answer::json(200, json!({ "result": found }))
}

/// Zendesk Support, with a client of its own: external ids differ without regard to case.
pub const ZENDESK: Fake = Fake {
    connector: "zendesk",
    environment: &[("ZENDESK_CLIENT_ID", "client"), ("ZENDESK_CLIENT_SECRET", "secret")],
    config: "",
    base: "",
    trials: &[ticket(&[], "35436")],
    answer: zendesk,
};

fn zendesk(call: &Call) -> Answer {
    if call.route == "POST /oauth/tokens" {
        return call.token("client_credentials", true, json!({ "token_type": "bearer", "scope": "tickets:read" }));
    }
    if !call.has_token() {
        let said = "The access token provided is expired, revoked, malformed or invalid for other reasons.";
        return Answer::json(401, json!({ "error": "invalid_token", "error_description": said }));
    }
    if !["GET /api/v2/tickets", "GET /api/v2/tickets.json"].contains(&call.route.as_str()) {
        return Answer::json(404, json!({ "error": "InvalidEndpoint", "description": "Not found" }));
    }
    let ticket = |id: u32, reference: Option<&str>| {
        json!({
            "id": id, "url": format!("https://acme.zendesk.com/api/v2/tickets/{id}.json"), "external_id": reference,
            "status": "open", "subject": "A lamp", "priority": "normal", "requester_id": 20_978_392, "tags": [],
            "custom_fields": [], "via": { "channel": "api" }, "created_at": "2026-11-02T09:11:12Z",
        })
    };
    let all = [ticket(35_436, Some(REFERENCE)), ticket(35_437, None)];
    let is_hit = |ticket: &&Value| {
        let Some(wanted) = call.parameter("external_id") else { return true };
        ticket["external_id"].as_str().is_some_and(|known| known.eq_ignore_ascii_case(wanted))
    };
    let found: Vec<&Value> = all.iter().filter(is_hit).collect();
    Answer::json(200, json!({ "tickets": found, "next_page": null, "previous_page": null, "count": found.len() }))
}

/// Zoho Desk: a scheme of its own in `Authorization`, extra parameters are refused, nothing found is 204.
pub const ZOHO_DESK: Fake = Fake {
    connector: "zoho-desk",
    environment: &[
        ("ZOHO_CLIENT_ID", "client"),
        ("ZOHO_CLIENT_SECRET", "secret"),
        ("ZOHO_REFRESH_TOKEN", "refresh-token"),
        ("STORE_KEY", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"),
    ],
    config: "[store]\nencryption_key = { env = \"STORE_KEY\" }\n[upstreams.zoho-desk]\nauth.token_url = \"{url}/oauth/v2/token\"\n",
    base: "",
    trials: &[ticket(&["department_id=1892000000006907", "org_id=3981311"], "1892000000042034")],
    answer: zoho_desk,
};

fn zoho_desk(call: &Call) -> Answer {
    let fault =
        |status: u16, code: &str, message: &str| Answer::json(status, json!({ "errorCode": code, "message": message }));
    if call.route == "POST /oauth/v2/token" {
        return call.token("refresh_token", true, json!({ "api_domain": "https://www.zohoapis.com" }));
    }
    if call.header("authorization") != format!("Zoho-oauthtoken {}", super::call::TOKEN) {
        return fault(401, "INVALID_OAUTH", "The OAuth Token you provided is invalid.");
    }
    if call.header("orgid") != "3981311" {
        return fault(400, "INVALID_ORGID", "The orgId you provided is invalid.");
    }
    if call.route != "GET /api/v1/tickets/search" {
        return fault(404, "URL_NOT_FOUND", "The URL you provided is invalid.");
    }
    let known =
        ["limit", "from", "departmentId", "customField1", "customField2", "_all", "subject", "status", "sortBy"];
    if let Some(name) = call.unknown(&known) {
        let said = format!("Extra query parameter '{name}' is present in the input.");
        return fault(422, "UNPROCESSABLE_ENTITY", &said);
    }
    if call.parameter("customField1") != Some(&format!("cf_frontdesk_id:{REFERENCE}")) {
        return Answer::text(204, "");
    }
    let ticket = json!({
        "id": "1892000000042034", "ticketNumber": "176", "subject": "A lamp", "status": "Open", "statusType": "Open",
        "departmentId": "1892000000006907", "contactId": "1892000000042032", "email": "ada@example.com",
        "cf": { "cf_frontdesk_id": REFERENCE }, "customFields": { "frontdesk id": REFERENCE },
        "webUrl": "https://desk.zoho.com/support/acme/ShowHomePage.do#Cases/dv/1892000000042034",
    });
    Answer::json(200, json!({ "data": [ticket], "count": 1 }))
}
