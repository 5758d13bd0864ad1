//! Reads an OpenAPI description, 3.x or 2.0: finds the operations that the desk needs by paths, methods and names.

use serde_json::{Map, Value};

use super::{
    DraftError,
    document::{Document, Operation},
    propose::{BaseUrl, Fill, Plan, Proposal, input},
    shape::{Kind, Shape, snake},
};

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];
const ORDERS: &[&str] = &["orders", "order"];
const TICKETS: &[&str] = &["tickets", "ticket", "cases", "case", "requests", "issues", "conversations", "threads"];
const CONTACTS: &[&str] = &["contacts", "contact", "customers", "customer", "people", "persons", "clients"];
const COMMENTS: &[&str] = &["notes", "comments", "note", "comment", "internal_notes", "replies", "reply", "messages"];
const MESSAGES: &[&str] = &["sms", "messages", "message", "verifications", "emails", "email", "mail", "send"];
const HEALTH: &[&str] = &["me", "whoami", "ping", "health", "account", "account_settings", "shop", "store"];
/// Path segments of other things than the record itself.
const OTHERS: &[&str] =
    &["draft", "edit", "quote", "cart", "refund", "return", "me", "my", "store", "stores", "import"];
/// Members that hold what is really sent.
const WRAPPERS: &[&str] =
    &["ticket", "comment", "requester", "contact", "customer", "note", "data", "properties", "message"];

pub(super) fn plan(root: &Value) -> Result<Plan, DraftError> {
    let is_openapi = root.get("openapi").is_some() || root.get("swagger").is_some();
    let paths = root.get("paths").and_then(Value::as_object).filter(|_| is_openapi).ok_or(DraftError::NotOpenApi)?;
    let document = Document { root, operations: operations(paths) };
    let mut all: Vec<Proposal> = Vec::new();
    all.extend(document.propose("orders.find", &|operation| document.order(operation)));
    if let Some(create) =
        document.propose("helpdesk.create_ticket", &|operation| collection(operation, "post", TICKETS))
    {
        all.push(create);
        all.extend(
            document.propose("helpdesk.find_ticket", &|operation| {
                document.search(operation, TICKETS, "helpdesk.find_ticket")
            }),
        );
        all.extend(document.propose("helpdesk.add_comment", &|operation| below(operation, TICKETS)));
    }
    let contact =
        document.propose("crm.find_contact", &|operation| document.search(operation, CONTACTS, "crm.find_contact"));
    let upsert = document.propose("crm.upsert_contact", &|operation| collection(operation, "post", CONTACTS));
    if let (Some(contact), Some(upsert)) = (contact, upsert) {
        all.extend([contact, upsert]);
        all.extend(document.propose("crm.log_activity", &|operation| below(operation, CONTACTS)));
    }
    // Many systems have messages; of one that has nothing else for the desk, they are what brings a code.
    if all.is_empty() {
        all.extend(document.propose("codes.send", &|operation| collection(operation, "post", MESSAGES)));
    }
    all.extend(document.propose("health", &|operation| {
        let [.., last] = operation.segments.as_slice() else { return None };
        let rank = HEALTH.iter().position(|name| name == last)?;
        let plain = operation.method == "get" && !operation.path.contains('{');
        plain.then(|| 20 - i32::try_from(rank).unwrap_or(20) - depth(operation))
    }));
    Ok(Plan {
        title: root.pointer("/info/title").and_then(Value::as_str).map(str::to_owned),
        base_url: base_url(root),
        auth: document.auth(),
        operations: all,
    })
}

fn operations(paths: &Map<String, Value>) -> Vec<Operation<'_>> {
    let mut all = Vec::new();
    for (path, item) in paths {
        for method in METHODS {
            let Some(value) = item.get(method).filter(|value| value.get("deprecated") != Some(&Value::Bool(true)))
            else {
                continue;
            };
            let is_version = |segment: &str| {
                let digits = segment.trim_start_matches('v');
                !digits.is_empty() && digits.bytes().all(|octet| octet.is_ascii_digit() || octet == b'.')
            };
            let segments = path.trim_end_matches(".json").split('/').filter(|one| !one.is_empty() && !is_version(one));
            let segments = segments.map(|one| snake(one.trim_end_matches(".json"))).collect();
            all.push(Operation { method, path, segments, value, item });
        }
    }
    all
}

fn depth(operation: &Operation<'_>) -> i32 {
    let others = operation.segments.iter().filter(|one| OTHERS.iter().any(|other| one.split('_').any(|w| w == *other)));
    i32::try_from(operation.segments.len() + 4 * others.count()).unwrap_or(i32::MAX)
}

/// Nouns that stand in front are likelier.
fn noun(name: &str, nouns: &[&str]) -> Option<i32> {
    nouns.iter().position(|noun| *noun == name).and_then(|rank| i32::try_from(rank).ok())
}

/// A request to a whole collection, as `POST /tickets`.
fn collection(operation: &Operation<'_>, method: &str, nouns: &[&str]) -> Option<i32> {
    let rank = noun(operation.segments.last()?, nouns).filter(|_| operation.method == method)?;
    Some(40 - 2 * rank - 2 * depth(operation))
}

/// A comment or note below a record, as `POST /tickets/{id}/notes`.
fn below(operation: &Operation<'_>, nouns: &[&str]) -> Option<i32> {
    let [.., name, id, comment] = operation.segments.as_slice() else { return None };
    let rank = noun(comment, COMMENTS).filter(|_| operation.method == "post" && id.contains('{'))?;
    Some(40 - rank - 2 * noun(name, nouns)? - 2 * depth(operation))
}

impl<'a> Document<'a> {
    fn propose(&self, name: &'static str, score: &dyn Fn(&Operation<'a>) -> Option<i32>) -> Option<Proposal> {
        let mut ranked: Vec<(i32, &Operation<'a>)> =
            self.operations.iter().filter_map(|operation| Some((score(operation)?, operation))).collect();
        ranked.sort_by_key(|(score, _)| -score);
        let (_, best) = ranked.first()?;
        let others = ranked.iter().skip(1).take(3);
        let alternatives = others.map(|(_, other)| format!("{} {}", other.method.to_uppercase(), other.path)).collect();
        Some(self.proposal(name, best, alternatives))
    }

    /// One order by its number: by path, or by a search.
    fn order(&self, operation: &Operation<'a>) -> Option<i32> {
        if operation.method != "get" {
            return None;
        }
        let by = match operation.segments.as_slice() {
            [.., name, id] if id.contains('{') && noun(name, ORDERS).is_some() => {
                10 + if id.contains("number") { 4 } else { 0 }
            }
            [.., name] if noun(name, ORDERS).is_some() => {
                let searched = self.parameters(operation, "query").iter().any(|one| {
                    one.get("name").and_then(Value::as_str).is_some_and(|name| input("orders.find", name).is_some())
                });
                if searched { 6 } else { return None }
            }
            _ => return None,
        };
        Some(30 + by - 2 * depth(operation))
    }

    /// A look-up in a collection, by a parameter that we have a value for.
    fn search(&self, operation: &Operation<'a>, nouns: &[&str], name: &str) -> Option<i32> {
        let (rank, by) = match (operation.method, operation.segments.as_slice()) {
            ("post", [.., noun_, last]) if last == "search" => (noun(noun_, nouns)?, 12),
            ("get", [.., noun_, last]) if last == "search" => (noun(noun_, nouns)?, 8),
            ("get", [.., last]) => {
                let known = self.parameters(operation, "query").iter().any(|one| {
                    one.get("name").and_then(Value::as_str).is_some_and(|one| input(name, bracketless(one)).is_some())
                });
                (noun(last, nouns)?, if known { 10 } else { 2 })
            }
            _ => return None,
        };
        Some(30 + by - 2 * rank - 2 * depth(operation))
    }

    fn proposal(&self, name: &'static str, operation: &Operation<'a>, alternatives: Vec<String>) -> Proposal {
        let params = placeholders(operation.path);
        let last = params.len();
        let params = params
            .into_iter()
            .enumerate()
            .map(|(n, param)| {
                // The record is the last one; those before it are of the account.
                let own = input(name, &param).or(match name {
                    "orders.find" => Some(".number"),
                    "helpdesk.add_comment" => Some(".ticket_id"),
                    "crm.log_activity" => Some(".contact_id"),
                    _ => None,
                });
                let is_record = match name {
                    "orders.find" => operation.path.ends_with('}'),
                    "helpdesk.add_comment" | "crm.log_activity" => true,
                    _ => false,
                };
                let fill = match own.filter(|_| is_record && n + 1 == last) {
                    Some(expression) => Fill::Expression(expression.to_owned()),
                    None => Fill::Expression(format!("$settings.{}", snake(&param))),
                };
                (param, fill)
            })
            .collect();
        let reads = operation.method == "get";
        let mut query = Vec::new();
        for parameter in self.parameters(operation, "query") {
            let Some(parameter_name) = parameter.get("name").and_then(Value::as_str) else { continue };
            let required = parameter.get("required") == Some(&Value::Bool(true));
            let searches = reads && !operation.path.ends_with('}');
            match input(name, bracketless(parameter_name)).filter(|_| searches && query.is_empty()) {
                Some(expression) => query.push((parameter_name.to_owned(), Fill::Expression(expression.to_owned()))),
                None if required => query.push((parameter_name.to_owned(), Fill::Hole(self.said(parameter)))),
                None => {}
            }
        }
        let body = self.body(operation).unwrap_or_default();
        let (body, body_is_list) = match body.item {
            Some(item) => (fill(name, &item, 0), true),
            None => (fill(name, &body, 0), false),
        };
        let reply = self.reply(operation);
        let searches = operation.segments.last().is_some_and(|last| last == "search");
        let id = operation.value.get("operationId").and_then(Value::as_str).map(|id| format!(" ({id})"));
        Proposal {
            operation: name,
            method: operation.method.to_uppercase(),
            path: operation.path.to_owned(),
            params,
            query,
            body,
            body_is_list,
            safe: !reads && searches,
            raw_body: None,
            reply,
            from: format!("{} {}{}", operation.method.to_uppercase(), operation.path, id.unwrap_or_default()),
            alternatives,
        }
    }
}

fn base_url(root: &Value) -> Option<BaseUrl> {
    if let Some(server) = root.pointer("/servers/0") {
        let mut url = server.get("url")?.as_str()?.trim_end_matches('/').to_owned();
        let mut chosen = Vec::new();
        for (name, variable) in server.get("variables").and_then(Value::as_object).into_iter().flatten() {
            let place = format!("{{{name}}}");
            let default = variable.get("default").and_then(Value::as_str).filter(|text| !text.is_empty());
            if let Some(default) = default.filter(|_| url.contains(&place)) {
                url = url.replace(&place, default);
                chosen.push(default.to_owned());
            }
        }
        return Some(BaseUrl { url, chosen });
    }
    let host = root.get("host")?.as_str()?;
    let path = root.get("basePath").and_then(Value::as_str).unwrap_or_default();
    Some(BaseUrl { url: format!("https://{host}{}", path.trim_end_matches('/')), chosen: Vec::new() })
}

/// Names in braces.
fn placeholders(path: &str) -> Vec<String> {
    path.split('{').skip(1).filter_map(|part| Some(part.split_once('}')?.0.to_owned())).collect()
}

/// `filter[email]` as `email`.
fn bracketless(name: &str) -> &str {
    name.rsplit_once('[').map_or(name, |(_, inner)| inner.trim_end_matches(']'))
}

/// What a body sends: what is required, and what we have a value for.
fn fill(operation: &'static str, shape: &Shape, depth: usize) -> Vec<(String, Fill)> {
    let mut all: Vec<(String, Fill)> = Vec::new();
    for member in &shape.members {
        let name = member.name.clone();
        let known = input(operation, &name).filter(|expression| {
            member.shape.is_scalar() && !all.iter().any(|(_, fill)| *fill == Fill::Expression((*expression).to_owned()))
                || (member.shape.kind == Kind::List && *expression == ".tags")
        });
        let nests = member.shape.kind == Kind::Object && !member.shape.members.is_empty() && depth < 3;
        if let Some(expression) = known {
            all.push((name, Fill::Expression(expression.to_owned())));
        } else if nests && (member.required || WRAPPERS.contains(&snake(&name).as_str())) {
            let inner = fill(operation, &member.shape, depth + 1);
            if !inner.is_empty() {
                all.push((name, Fill::Object(inner)));
            } else if member.required {
                all.push((name, Fill::Hole("an object".to_owned())));
            }
        } else if member.required {
            let listed = match member.shape.listed.as_slice() {
                [] => String::new(),
                listed => format!(", one of {}", listed.join(", ")),
            };
            all.push((name, Fill::Hole(format!("{}{listed}", member.shape.kind.word()))));
        }
    }
    all
}
