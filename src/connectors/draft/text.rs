//! Writes a plan as a vendor file with holes.

use std::collections::BTreeSet;

use super::{
    Draft, HOLE,
    propose::{AuthPlan, BaseUrl, Fill, Plan, Proposal},
    reply::{reply, without_last_comma},
    shape::{key, snake},
};

/// Operations that a draft may have, in the order of a file.
const OPERATIONS: [&str; 9] = [
    "health",
    "orders.find",
    "helpdesk.create_ticket",
    "helpdesk.find_ticket",
    "helpdesk.add_comment",
    "crm.find_contact",
    "crm.upsert_contact",
    "crm.log_activity",
    "codes.send",
];

pub(super) fn draft(name: &str, plan: &Plan) -> Draft {
    let variable = name.to_uppercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    let mut lines = vec![
        "#:schema ../schemas/connector.json".to_owned(),
        "# A draft. Fill in the marked holes and remove the marks; then try, record, probe.".to_owned(),
        String::new(),
        format!("name = \"{name}\""),
        format!("title = {}", toml::Value::from(plan.title.as_deref().unwrap_or(name))),
        format!(
            "about = \"Set the variables that [auth] names.\"  # {HOLE} what has to be set up at the vendor, and which rights it needs"
        ),
    ];
    lines.push(base_url(plan.base_url.as_ref()));
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
        if own != port && own == "crm" {
            // Contacts are looked up by their address: without one, the question would be for all of them.
            lines.extend([String::new(), "[crm]".to_owned(), "needs_email = true".to_owned()]);
        }
        port = own;
        lines.extend(operation(proposal));
    }
    let proposed = operations.iter().map(|one| (one.operation.to_owned(), one.from.clone())).collect();
    let there: BTreeSet<&str> = operations.iter().map(|one| one.operation).collect();
    let missing = OPERATIONS.into_iter().filter(|name| !there.contains(name)).collect();
    Draft { text: lines.join("\n") + "\n", proposed, missing }
}

fn base_url(base: Option<&BaseUrl>) -> String {
    match base {
        Some(base) if base.url.contains("://") && base.url.contains(['{', '$']) => format!(
            "base_url_example = {}  # {HOLE} an example without braces; each account has an address of its own",
            toml::Value::from(base.url.as_str())
        ),
        Some(base) if base.url.contains("://") && !base.chosen.is_empty() => format!(
            "base_url_example = {}  # {HOLE} {} is the description's example; base_url, if that is the same for all",
            toml::Value::from(base.url.as_str()),
            base.chosen.join(", ")
        ),
        Some(base) if base.url.starts_with("https://") => {
            format!("base_url = {}", toml::Value::from(base.url.as_str()))
        }
        Some(base) if base.url.contains("://") => format!(
            "base_url_example = {}  # {HOLE} the vendor's address, or an example of it",
            toml::Value::from(base.url.as_str())
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
            body if proposal.body_is_list => {
                lines.push(format!("body = {}", filter(&format!("[{}]", members(body, 0)))));
            }
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
        if let Some((name, _)) =
            proposal.params.last().filter(|(name, _)| snake(name) == "id" || snake(name).ends_with("_id"))
        {
            lines.push(format!(
                "# {HOLE} whether {{{name}}} is the number that customers quote; an id that they do not know needs another request"
            ));
        }
        lines.push(format!(
            "# {HOLE} whether the vendor says 404 for an order that is not there; if it says something else, an [[errors]] rule"
        ));
    }
    match proposal.operation {
        "helpdesk.add_comment" => lines.push(format!("# {HOLE} whether the team alone sees this; customers must not")),
        "crm.upsert_contact" => lines.push(format!(
            "# {HOLE} this makes a contact, also where one is there: two sections [[crm.upsert_contact]], this one with when = '.contact_id == null', and one that changes .contact_id"
        )),
        _ => {}
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
