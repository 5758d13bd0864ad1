//! Writes the reply filter of an operation: where the record is, and which of its members are ours.

use super::{
    HOLE,
    propose::{CONTACT, ID, ITEM, ITEMS, Names, ORDER, PLACE, Proposal, Reply, SHIP_TO, TICKET},
    shape::{Kind, Shape, key},
};

const ORDER_STATUSES: &[(&str, &[&str])] = &[
    ("pending", &["new", "unpaid", "awaiting_payment"]),
    ("processing", &["in_progress"]),
    ("shipped", &["dispatched"]),
    ("out_for_delivery", &[]),
    ("delivered", &[]),
    ("cancelled", &["canceled"]),
    ("returned", &[]),
    ("refunded", &[]),
];
const TICKET_STATUSES: &[(&str, &[&str])] = &[
    ("open", &["new"]),
    ("pending", &["hold", "on_hold", "waiting"]),
    ("solved", &["resolved", "done"]),
    ("closed", &["archived"]),
];
/// Members that are amounts.
const AMOUNTS: &[&str] = &["total", "tax", "shipping", "unit_price"];

/// The reply filter; none where nothing is read.
pub(super) fn reply(proposal: &Proposal) -> Option<String> {
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
    let found = if at.is_empty() { ".[]".to_owned() } else { format!("{at}[]") };
    let looks_up = matches!(proposal.operation, "orders.find" | "helpdesk.find_ticket" | "crm.find_contact");
    if looks_up && !*list && !proposal.path.ends_with('}') && proposal.raw_body.is_none() {
        let record = if at.is_empty() { "." } else { at };
        return Some(format!(
            "{record}\n| if . == null then null else {object} end  # {HOLE} the description shows no list of what is found: first(…[] | select(…)) // null, if there is one, and compare with $input"
        ));
    }
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
        (true, "crm.find_contact") => {
            let email = lines.iter().find_map(|line| line.trim().strip_prefix("email: "));
            let email = email.map_or(".email", |email| email.trim_end_matches(','));
            format!(
                "first({found} | select($input.customer.email != null and ({email} // \"\" | ascii_downcase) == ($input.customer.email | ascii_downcase))) // null\n| if . == null then null else {object} end  # {HOLE} compare the address where the vendor writes it"
            )
        }
        (true, "helpdesk.find_ticket") => format!(
            "first({found} | select(.external_id == $input.external_id)) // null\n| if . == null then null else {object} end  # {HOLE} compare the id where the vendor writes it"
        ),
        (true, _) => format!("first({found}) | {object}"),
    })
}

/// The member that has one of these names: a plain one, or else what an object of the name holds.
fn found<'a>(ours: &str, names: &[&str], record: &'a Shape) -> Option<(String, &'a Shape)> {
    let plain = |name: &&str| record.at(name).filter(|(_, shape)| shape.is_scalar());
    let inner: &[&str] = match ours {
        _ if AMOUNTS.contains(&ours) => {
            &["amount", "value", "cent_amount", "minor", "amount_minor", "value.amount", "value.cent_amount"]
        }
        "status" => &["name", "category", "label", "type", "id"],
        _ => &["id", "name", "code"],
    };
    names.iter().find_map(plain).or_else(|| {
        let named = |name: &&str| inner.iter().find_map(|inner| record.at(&format!("{name}.{inner}")));
        names.iter().find_map(named).filter(|(_, shape)| shape.is_scalar())
    })
}

fn outputs(wanted: Names, record: &Shape) -> Vec<String> {
    let mut lines = Vec::new();
    for (ours, names) in wanted {
        match (found(ours, names, record), *ours) {
            (Some((path, shape)), "status") if !shape.listed.is_empty() => {
                let statuses = if wanted == TICKET { TICKET_STATUSES } else { ORDER_STATUSES };
                let listed: Vec<String> = shape
                    .listed
                    .iter()
                    .map(|word| {
                        let plain = word.to_lowercase().replace(['-', ' '], "_");
                        let fits =
                            |(ours, others): &&(&str, &[&str])| *ours == plain || others.contains(&plain.as_str());
                        let ours = statuses.iter().find(fits).map_or("unknown", |(ours, _)| ours);
                        format!("{}: {}", key(word), serde_json::Value::from(ours))
                    })
                    .collect();
                lines.push(format!(
                    "status: ({{ {} }}[{path}] // {path}),  # {HOLE} what each of these means",
                    listed.join(", ")
                ));
            }
            (Some((path, _)), "status") => lines.push(format!("status: {path},  # {HOLE} its words, as ours")),
            (Some((path, shape)), ours) if AMOUNTS.contains(&ours) => {
                let is_minor = path.to_lowercase().contains("cent") || path.to_lowercase().contains("minor");
                lines.push(match (is_minor, shape.kind) {
                    (true, _) => format!("{ours}: {{ minor: {path} }},"),
                    (false, Kind::Integer) => {
                        format!("{ours}: {path},  # {HOLE} an integer: {{ minor: {path} }}, if it counts cents")
                    }
                    (false, _) => format!("{ours}: {path},"),
                });
            }
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
        && let Some((inner, mark)) = on_one_line(&outputs(ITEM, item))
    {
        lines.push(format!("items: [{path}[]? | {{ {inner} }}],{mark}"));
    }
    if let Some((path, place)) = SHIP_TO.iter().find_map(|name| record.at(name))
        && let Some((inner, mark)) = on_one_line(&outputs(PLACE, place))
    {
        lines.push(format!("ship_to: ({path} | {{ {inner} }}),{mark}"));
    }
    lines
}

/// Members on one line, and the marks that they have, for the end of it; none without members.
fn on_one_line(lines: &[String]) -> Option<(String, String)> {
    let split = |line: &String| match line.split_once(",  # ") {
        Some((code, mark)) => (code.to_owned(), Some(mark.to_owned())),
        None => (line.trim_end_matches(',').to_owned(), None),
    };
    let (codes, marks): (Vec<String>, Vec<Option<String>>) = lines.iter().map(split).unzip();
    let mark = marks.into_iter().flatten().next().map(|mark| format!("  # {mark}"));
    (!codes.is_empty()).then(|| (codes.join(", "), mark.unwrap_or_default()))
}

pub(super) fn without_last_comma(mut lines: Vec<String>) -> Vec<String> {
    if let Some(last) = lines.pop() {
        lines.push(match last.split_once(",  # ") {
            Some((code, comment)) => format!("{code}  # {comment}"),
            None => last.strip_suffix(',').map_or(last.clone(), str::to_owned),
        });
    }
    lines
}
