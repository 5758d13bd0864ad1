//! Writes a plan as a vendor file with holes.

use std::collections::BTreeSet;

use super::{
    Draft, HOLE,
    propose::{AuthPlan, CONTACT, Fill, ID, ITEM, ITEMS, Names, ORDER, PLACE, Plan, Proposal, Reply, SHIP_TO, TICKET},
    shape::{Shape, access},
};

/// Operations that a draft may have, in the order of a file.
const OPERATIONS: [&str; 8] = [
    "health",
    "orders.find",
    "helpdesk.create_ticket",
    "helpdesk.find_ticket",
    "helpdesk.add_comment",
    "crm.find_contact",
    "crm.upsert_contact",
    "crm.log_activity",
];
const STATUSES: [&str; 8] =
    ["pending", "processing", "shipped", "out_for_delivery", "delivered", "cancelled", "returned", "refunded"];

pub(super) fn draft(name: &str, plan: &Plan) -> Draft {
    let variable = name.to_uppercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    let mut lines = vec![
        "#:schema ../schemas/connector.json".to_owned(),
        format!("# A draft. Fill in what is marked {HOLE} and remove the mark; then try, record, probe."),
        String::new(),
        format!("name = \"{name}\""),
        format!("title = {}", toml::Value::from(plan.title.as_deref().unwrap_or(name))),
        format!(
            "about = \"Set the variables that [auth] names.\"  # {HOLE} what has to be set up at the vendor, and which rights it needs"
        ),
    ];
    lines.push(base_url(plan.base_url.as_deref()));
    lines.extend(auth(&plan.auth, &variable));
    let operations: Vec<&Proposal> = OPERATIONS
        .iter()
        .flat_map(|name| plan.operations.iter().filter(move |proposal| proposal.operation == *name))
        .collect();
    for setting in settings(&operations) {
        lines.push(String::new());
        lines.push(format!("[settings.{setting}]"));
        lines.push(format!("about = \"The {} of the account.\"", setting.replace('_', " ")));
        lines.push("required = true".to_owned());
    }
    let mut port = "";
    for proposal in &operations {
        let own = proposal.operation.split('.').next().unwrap_or_default();
        if own != port && own == "helpdesk" && operations.iter().any(|one| one.operation == "helpdesk.find_ticket") {
            lines.extend([
                String::new(),
                "[helpdesk]".to_owned(),
                format!("settle_after_s = 900  # {HOLE} for how long a new ticket may stay out of the vendor's search"),
            ]);
        }
        port = own;
        lines.extend(operation(proposal));
    }
    let proposed = operations.iter().map(|one| (one.operation.to_owned(), one.from.clone())).collect();
    let there: BTreeSet<&str> = operations.iter().map(|one| one.operation).collect();
    let missing = OPERATIONS.into_iter().filter(|name| !there.contains(name)).collect();
    Draft { text: lines.join("\n") + "\n", proposed, missing }
}

fn base_url(url: Option<&str>) -> String {
    match url {
        Some(url) if url.starts_with("https://") && !url.contains(['{', '$']) => {
            format!("base_url = {}", toml::Value::from(url))
        }
        Some(url) if url.contains("://") => format!(
            "base_url_example = {}  # {HOLE} an example without braces; each account has an address of its own",
            toml::Value::from(url)
        ),
        _ => format!(
            "base_url_example = \"https://api.example.com\"  # {HOLE} the vendor's address, or an example of it"
        ),
    }
}

fn auth(auth: &AuthPlan, variable: &str) -> Vec<String> {
    let secret = |key: &str, what: &str| format!("{key} = {{ env = \"{variable}_{what}\" }}");
    let mut lines = vec![String::new(), "[auth]".to_owned()];
    match auth {
        AuthPlan::Bearer => lines.extend(["kind = \"bearer\"".to_owned(), secret("token", "TOKEN")]),
        AuthPlan::Basic => {
            lines.extend(["kind = \"basic\"".to_owned(), secret("username", "USER"), secret("password", "PASSWORD")])
        }
        AuthPlan::ApiKey(header) => lines.extend([
            "kind = \"api_key\"".to_owned(),
            format!("header = {}", toml::Value::from(header.as_str())),
            secret("key", "KEY"),
        ]),
        AuthPlan::ClientCredentials(url) => lines.extend([
            "kind = \"oauth2\"".to_owned(),
            format!("token_url = {}", toml::Value::from(url.as_str())),
            secret("client_id", "CLIENT_ID"),
            secret("client_secret", "CLIENT_SECRET"),
        ]),
        AuthPlan::Other(why) => lines.extend([
            format!("# {HOLE} how requests are authenticated: {why}"),
            "kind = \"bearer\"".to_owned(),
            secret("token", "TOKEN"),
        ]),
        AuthPlan::Unknown => lines.extend([
            format!("# {HOLE} how requests are authenticated: bearer, basic, api_key with header, oauth2"),
            "kind = \"bearer\"".to_owned(),
            secret("token", "TOKEN"),
        ]),
    }
    lines
}

/// Settings that paths and bodies name.
fn settings(operations: &[&Proposal]) -> BTreeSet<String> {
    let of = |fills: &[(String, Fill)]| -> Vec<String> {
        let named = fills.iter().filter_map(|(_, fill)| match fill {
            Fill::Expression(text) => text.strip_prefix("$settings.").map(str::to_owned),
            _ => None,
        });
        named.collect()
    };
    operations.iter().flat_map(|proposal| of(&proposal.params)).collect()
}

fn operation(proposal: &Proposal) -> Vec<String> {
    let mut lines = vec![String::new(), format!("# From {}.", proposal.from)];
    if !proposal.alternatives.is_empty() {
        lines.push(format!("# Or: {}.", proposal.alternatives.join("; ")));
    }
    lines.push(format!("[{}]", proposal.operation));
    lines.push(format!("method = \"{}\"", proposal.method));
    lines.push(format!("path = {}", toml::Value::from(proposal.path.as_str())));
    if proposal.safe {
        lines.push("safe = true".to_owned());
    }
    if !proposal.params.is_empty() {
        lines.push(format!("params = {}", filter(&members(&proposal.params, 0))));
    }
    if !proposal.query.is_empty() {
        lines.push(format!("query = {}", filter(&members(&proposal.query, 0))));
    }
    if let Some(body) = &proposal.raw_body {
        lines.push(format!("body = {}", filter(body)));
    } else if proposal.method != "GET" {
        match proposal.body.as_slice() {
            [] if proposal.operation == "health" => {}
            [] => lines.push(format!("body = {}", filter(&format!("{{}}  # {HOLE} what is sent")))),
            body => lines.push(format!("body = {}", filter(&members(body, 0)))),
        }
    }
    if let Some(reply) = reply(proposal) {
        lines.push(format!("reply = {}", filter(&reply)));
    }
    if proposal.raw_body.is_some() {
        lines.push("errors = [{ status = [200], when = '.errors != null', as = \"unavailable\" }]".to_owned());
        lines.push(format!(
            "# {HOLE} which codes of .errors mean denied, rate_limited or not_found: a rule for each, before that one"
        ));
    } else if proposal.operation == "orders.find" {
        lines.push(format!(
            "# {HOLE} whether the vendor says 404 for an order that is not there; if it says something else, an [[errors]] rule"
        ));
    }
    if proposal.operation == "helpdesk.find_ticket" {
        lines.push("errors = [{ status = [404, 410], as = \"misconfigured\" }]".to_owned());
    }
    lines
}

/// A filter as a literal string of TOML.
fn filter(code: &str) -> String {
    match code.contains(['\n', '\'']) {
        true => format!("'''\n{code}'''"),
        false => format!("'{code}'"),
    }
}

fn members(fills: &[(String, Fill)], depth: usize) -> String {
    let pad = "  ".repeat(depth + 1);
    let all: Vec<String> = fills
        .iter()
        .map(|(name, fill)| {
            let name = key(name);
            match fill {
                Fill::Expression(code) => format!("{pad}{name}: {code},"),
                Fill::Object(inner) => format!("{pad}{name}: {},", members(inner, depth + 1)),
                Fill::Hole(what) => format!("{pad}{name}: null,  # {HOLE} {what}"),
            }
        })
        .collect();
    let is_short = depth == 0 && all.len() == 1 && !all[0].contains('\n') && !all[0].contains(HOLE);
    match is_short {
        true => format!("{{ {} }}", all[0].trim().trim_end_matches(',')),
        // jq takes no comma behind the last member.
        false => format!("{{\n{}\n{}}}", without_last_comma(all).join("\n"), "  ".repeat(depth)),
    }
}

fn without_last_comma(mut lines: Vec<String>) -> Vec<String> {
    if let Some(last) = lines.pop() {
        lines.push(match last.split_once(",  # ") {
            Some((code, comment)) => format!("{code}  # {comment}"),
            None => last.strip_suffix(',').map_or(last.clone(), str::to_owned),
        });
    }
    lines
}

fn key(name: &str) -> String {
    match access(name).strip_prefix('.') {
        Some(plain) if !plain.starts_with('[') => plain.to_owned(),
        _ => serde_json::Value::from(name).to_string(),
    }
}

/// The reply filter; none where nothing is read.
fn reply(proposal: &Proposal) -> Option<String> {
    let wanted: Names = match proposal.operation {
        "orders.find" => ORDER,
        "helpdesk.create_ticket" | "helpdesk.find_ticket" => TICKET,
        "crm.find_contact" => CONTACT,
        "crm.upsert_contact" | "crm.log_activity" => ID,
        _ => return None,
    };
    let Reply { at, list, record } = &proposal.reply;
    let mut lines = outputs(wanted, record);
    if proposal.operation == "orders.find" {
        lines.extend(order_parts(record));
    }
    if proposal.operation == "crm.find_contact" {
        lines.push(format!("customer: null,  # {HOLE} the member with the customer's id, if there is one"));
    }
    let lines: Vec<String> = without_last_comma(lines).into_iter().map(|line| format!("  {line}")).collect();
    let object = format!("{{\n{}\n}}", lines.join("\n"));
    let found = format!("{at}[]");
    Some(match (*list, proposal.operation) {
        (false, _) if at.is_empty() => object,
        (false, "orders.find") => format!("{at}\n| if . == null then null else {object} end"),
        (false, _) => format!("{at} | {object}"),
        (true, "orders.find") => {
            let id = lines.iter().find_map(|line| line.trim().strip_prefix("id: "));
            let id = id.and_then(|id| id.split([',', ' ']).next()).filter(|id| id.starts_with('.')).unwrap_or(".id");
            format!(
                "first({found} | select(({id} | tostring) == $input.number)) // null\n| if . == null then null else {object} end"
            )
        }
        (true, "crm.find_contact") => format!(
            "first({found} | select((.email // \"\" | ascii_downcase) == ($input.customer.email // \"\" | ascii_downcase))) // null\n| if . == null then null else {object} end  # {HOLE} compare the address where the vendor writes it"
        ),
        (true, "helpdesk.find_ticket") => format!(
            "first({found} | select(.external_id == $input.external_id)) // null\n| if . == null then null else {object} end  # {HOLE} compare the id where the vendor writes it"
        ),
        (true, _) => format!("first({found}) | {object}"),
    })
}

fn outputs(wanted: Names, record: &Shape) -> Vec<String> {
    let mut lines = Vec::new();
    for (ours, names) in wanted {
        // A money object has the amount inside.
        let found = names.iter().find_map(|name| {
            let (path, shape) = record.at(name)?;
            match shape.is_scalar() {
                true => Some((path, shape)),
                false => ["amount", "value", "id", "name", "cent_amount"].iter().find_map(|inner| {
                    let (rest, shape) = shape.at(inner)?;
                    shape.is_scalar().then(|| (format!("{path}{rest}"), shape))
                }),
            }
        });
        match (found, *ours) {
            (Some((path, shape)), "status") if !shape.listed.is_empty() => {
                let listed: Vec<String> = shape
                    .listed
                    .iter()
                    .map(|word| {
                        let ours = STATUSES.iter().find(|ours| word.to_lowercase().replace(['-', ' '], "_") == **ours);
                        format!("{}: {}", key(word), serde_json::Value::from(*ours.unwrap_or(&"unknown")))
                    })
                    .collect();
                lines.push(format!(
                    "status: ({{ {} }}[{path}] // {path}),  # {HOLE} what each of these means",
                    listed.join(", ")
                ));
            }
            (Some((path, _)), "status") => lines.push(format!("status: {path},  # {HOLE} its words, as ours")),
            (Some((path, _)), ours) => lines.push(format!("{ours}: {path},")),
            (None, "id") => {
                lines.push(format!("id: .id,  # {HOLE} the member with the number; its names were not found"))
            }
            (None, "customer") => {
                lines.push(format!(
                    "customer: [],  # {HOLE} whose it is: the member with the customer's id; null is a guest"
                ));
            }
            (None, "email") if wanted.len() > 4 => {
                lines.push(format!("email: null,  # {HOLE} the address on the order, if there is one"));
            }
            (None, _) => {}
        }
    }
    lines
}

/// Items and address of an order.
fn order_parts(record: &Shape) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some((path, items)) = ITEMS.iter().find_map(|name| record.at(name))
        && let Some(item) = &items.item
    {
        let inner = outputs(ITEM, item);
        let inner = inner.iter().map(|line| line.trim_end_matches(',')).collect::<Vec<_>>().join(", ");
        if !inner.is_empty() {
            lines.push(format!("items: [{path}[]? | {{ {inner} }}],"));
        }
    }
    if let Some((path, place)) = SHIP_TO.iter().find_map(|name| record.at(name)) {
        let inner = outputs(PLACE, place);
        let inner = inner.iter().map(|line| line.trim_end_matches(',')).collect::<Vec<_>>().join(", ");
        if !inner.is_empty() {
            lines.push(format!("ship_to: ({path} | {{ {inner} }}),"));
        }
    }
    lines
}
