//! Static analysis of a filter's output: checks its member names, and shields each member from errors in the others.

use jaq_core::load::{
    self,
    lex::StrPart,
    parse::{BinaryOp, Term},
};

/// Member names of an object, with those of nested objects.
pub(super) type Shape = &'static [(&'static str, &'static [&'static str])];

const AMOUNT: &[&str] = &["minor", "digits"];

const ORDER: Shape = &[
    ("id", &[]),
    ("customer", &["system", "id"]),
    ("email", &[]),
    ("status", &[]),
    ("status_detail", &[]),
    ("placed_at", &[]),
    ("estimated_delivery", &[]),
    ("tracking", &["carrier", "number", "url"]),
    ("items", &["name", "quantity", "sku", "unit_price"]),
    ("currency", &[]),
    ("subtotal", AMOUNT),
    ("shipping", AMOUNT),
    ("tax", AMOUNT),
    ("total", AMOUNT),
    ("refunds", &["amount", "at"]),
    ("ship_to", &["city", "country"]),
];
const TICKET: Shape = &[("id", &[]), ("number", &[]), ("status", &[]), ("url", &[])];
const CONTACT: Shape = &[("id", &[]), ("customer", &["system", "id"]), ("email", &[]), ("fields", &[])];
const ID: Shape = &[("id", &[])];

/// Members of all kinds of events.
pub(super) const EVENT: Shape = &[
    ("kind", &[]),
    ("conversation", &[]),
    ("at", &[]),
    ("customer", &[]),
    ("email", &[]),
    ("name", &[]),
    ("verified", &[]),
    ("messages", &["from", "text"]),
    ("intent", &[]),
    ("duration_s", &[]),
    ("reason", &[]),
    ("confidence", &[]),
    ("resolved", &[]),
    ("article", &[]),
    ("variant", &[]),
    ("variants", &[]),
    ("visible", &[]),
    ("version", &[]),
    ("changed_at", &[]),
    ("title", &[]),
    ("body", &[]),
    ("url", &[]),
    ("audience", &[]),
    ("skip", &[]),
];

const STATE: &[&str] = &["article", "variant", "variants", "visible", "version", "title", "body", "url", "audience"];
const LISTING: Shape = &[("articles", STATE), ("next", &[]), ("complete", &[])];
const LISTED: Shape = &[
    ("article", &[]),
    ("variant", &[]),
    ("variants", &[]),
    ("visible", &[]),
    ("version", &[]),
    ("title", &[]),
    ("body", &[]),
    ("url", &[]),
    ("audience", &[]),
];

/// Shape of the last reply filter's output.
pub(super) fn shape(operation: &str) -> Option<Shape> {
    match operation {
        "orders.find" => Some(ORDER),
        "helpdesk.create_ticket" | "helpdesk.find_ticket" => Some(TICKET),
        "crm.find_contact" => Some(CONTACT),
        "crm.upsert_contact" | "crm.log_activity" => Some(ID),
        "knowledge.list" => Some(LISTING),
        "knowledge.get" => Some(LISTED),
        _ => None,
    }
}

/// Parses a filter as a term.
pub(super) fn parse(code: &str) -> Option<Term<&str>> {
    load::parse(code, |parser| parser.term())
}

/// The first member in the filter's object literals that `shape` does not have. Objects built otherwise are not
/// analysed.
pub(super) fn unknown_member(term: &Term<&str>, shape: Shape) -> Option<String> {
    let mut unknown = None;
    each_object(term, &mut |members| {
        for (name, value) in members.iter().filter_map(|(name, value)| Some((literal(name)?, value))) {
            match shape.iter().find(|(known, _)| *known == name) {
                None => unknown.get_or_insert(name.to_owned()),
                Some((_, [])) => continue,
                Some((_, known)) => match value.as_ref().and_then(|value| unknown_inner(value, known)) {
                    None => continue,
                    Some(inner) => unknown.get_or_insert(format!("{name}.{inner}")),
                },
            };
        }
    });
    unknown
}

fn unknown_inner(term: &Term<&str>, known: &[&str]) -> Option<String> {
    let mut unknown = None;
    each_object(term, &mut |members| {
        let names = members.iter().filter_map(|(name, _)| literal(name));
        unknown = unknown.take().or_else(|| names.map(str::to_owned).find(|name| !known.contains(&name.as_str())));
    });
    unknown
}

/// Member names of a filter's output; none if it is not one object that is written out.
pub(super) fn literal_members(term: &Term<&str>) -> Option<Vec<String>> {
    match term {
        Term::Obj(members) => members.iter().map(|(name, _)| literal(name).map(str::to_owned)).collect(),
        Term::Def(_, last) | Term::BinOp(_, BinaryOp::Pipe(_), last) => literal_members(last),
        _ => None,
    }
}

/// Calls `found` with every object literal in output position, also inside an array.
fn each_object<'a>(term: &'a Term<&'a str>, found: &mut impl FnMut(&'a [(Term<&'a str>, Option<Term<&'a str>>)])) {
    match term {
        Term::Obj(members) => found(members),
        Term::Arr(Some(inner)) | Term::Def(_, inner) | Term::Label(_, inner) => each_object(inner, found),
        Term::BinOp(_, BinaryOp::Pipe(_), last) => each_object(last, found),
        Term::BinOp(one, BinaryOp::Comma | BinaryOp::Alt, other) => {
            each_object(one, found);
            each_object(other, found);
        }
        Term::IfThenElse(branches, otherwise) => {
            branches.iter().for_each(|(_, then)| each_object(then, found));
            if let Some(otherwise) = otherwise {
                each_object(otherwise, found);
            }
        }
        _ => {}
    }
}

fn literal<'a>(name: &Term<&'a str>) -> Option<&'a str> {
    match name {
        Term::Str(None, parts) => match parts.as_slice() {
            [StrPart::Str(name)] => Some(name),
            _ => None,
        },
        _ => None,
    }
}

/// Wraps each member so that an error in it replaces only that member, by a value that no reader accepts. The owner of
/// a record stays readable, however odd the rest of the reply is.
pub(super) fn shielded<'a>(term: Term<&'a str>) -> Term<&'a str> {
    match term {
        Term::Obj(members) => {
            let shield = |value: Term<&'a str>| kept(shielded(value));
            Term::Obj(members.into_iter().map(|(name, value)| (name, value.map(shield))).collect())
        }
        Term::Arr(Some(inner)) => Term::Arr(Some(Box::new(shielded(*inner)))),
        Term::Def(definitions, last) => Term::Def(definitions, Box::new(shielded(*last))),
        // A bound value is used by some of the members only.
        Term::BinOp(bound, BinaryOp::Pipe(Some(pattern)), last) => {
            Term::BinOp(Box::new(kept(*bound)), BinaryOp::Pipe(Some(pattern)), Box::new(shielded(*last)))
        }
        Term::BinOp(first, BinaryOp::Pipe(None), last) => {
            Term::BinOp(first, BinaryOp::Pipe(None), Box::new(shielded(*last)))
        }
        Term::IfThenElse(branches, otherwise) => Term::IfThenElse(
            branches.into_iter().map(|(condition, then)| (condition, shielded(then))).collect(),
            otherwise.map(|otherwise| Box::new(shielded(*otherwise))),
        ),
        other => other,
    }
}

/// `try term catch [[rich_text_reason]]`: a value that is neither a string nor an object nor an array of them. It holds
/// the reason, where that is known.
fn kept(term: Term<&str>) -> Term<&str> {
    let reason = Term::Call("rich_text_reason", Vec::new());
    let unreadable = Term::Arr(Some(Box::new(Term::Arr(Some(Box::new(reason))))));
    Term::TryCatch(Box::new(term), Some(Box::new(unreadable)))
}

/// The reason that a shielded member holds in the place of its value.
pub(super) fn reason(member: &serde_json::Value) -> Option<&str> {
    match member.as_array()?.as_slice() {
        [serde_json::Value::Array(inner)] => inner.first()?.as_str(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_members_are_found_where_an_output_is_written_out() {
        let unknown = |code: &str| unknown_member(&parse(code).unwrap(), ORDER);
        for (code, expected) in [
            ("{ id: .x, stauts: .y }", Some("stauts")),
            ("def f: 1; first(.a[]) | if .x then null else { id, emial: 1 } end", Some("emial")),
            (".a as $x | { id: 1, items: [.items[] | { name, quantty: 1 }] }", Some("items.quantty")),
            ("{ id: 1 } // { nmae: 1 }", Some("nmae")),
            ("{ id: 1, ship_to: (.a // .b | { city, cuntry: .c }) }", Some("ship_to.cuntry")),
            ("{ id: 1, email: ({ any: 1 } | .any), (.k): 2, customer: { system: \"x\", id: 1 } }", None),
            ("{ id: 1 } + { nosuch: 1 }", None),
            ("{ nosuch: 1 } | .nosuch", None),
        ] {
            assert_eq!(unknown(code).as_deref(), expected, "{code}");
        }
    }
}
