//! Reads a GraphQL schema, as SDL or as the result of introspection, and proposes queries.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    HOLE,
    propose::{AuthPlan, Plan, Proposal, Reply},
    shape::{Kind, Member, Shape, access, snake},
};

/// Types and enums by name.
#[derive(Debug, Default)]
pub(super) struct Schema {
    types: BTreeMap<String, Vec<Field>>,
    enums: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Clone)]
pub(super) struct Field {
    name: String,
    /// Names with their types as they are written, `ID!`.
    arguments: Vec<(String, String)>,
    kind: String,
}

/// The named type of `[Order!]!`.
fn bare(kind: &str) -> &str {
    kind.trim_matches(['[', ']', '!'])
}

impl Schema {
    pub(super) fn fields(&self, name: &str) -> Option<&Vec<Field>> {
        self.types.get(name)
    }

    /// Types and enums of a schema in SDL; everything else is passed over.
    pub(super) fn of_sdl(text: &str) -> Option<Self> {
        let words = words(text);
        let mut words = words.iter().map(String::as_str).peekable();
        let mut schema = Self::default();
        while let Some(word) = words.next() {
            let name = match word {
                "type" | "enum" => words.next()?.to_owned(),
                // Their members are no types, whatever they are named.
                "interface" | "input" | "schema" => {
                    while words.next_if(|word| *word != "{").is_some() {}
                    skip(&mut words);
                    continue;
                }
                _ => continue,
            };
            // Interfaces and directives, up to the members.
            if !words.by_ref().any(|word| word == "{") {
                break;
            }
            let mut fields = Vec::new();
            while let Some(field) = words.next().filter(|word| *word != "}") {
                if word == "enum" {
                    schema.enums.entry(name.clone()).or_default().push(field.to_owned());
                    continue;
                }
                if words.peek() != Some(&"(") && words.peek() != Some(&":") {
                    continue;
                }
                let mut arguments = Vec::new();
                if words.next_if_eq(&"(").is_some() {
                    while let Some(argument) = words.next().filter(|word| *word != ")") {
                        if words.next_if_eq(&":").is_some() {
                            arguments.push((argument.to_owned(), kind(&mut words)));
                        }
                    }
                    words.next_if_eq(&":")?;
                } else {
                    words.next();
                }
                fields.push(Field { name: field.to_owned(), arguments, kind: kind(&mut words) });
            }
            if word == "type" {
                schema.types.entry(name).or_default().extend(fields);
            }
        }
        Some(schema)
    }

    pub(super) fn of_introspection(value: &Value) -> Option<Self> {
        let types = value.pointer("/data/__schema/types").or_else(|| value.pointer("/__schema/types"))?.as_array()?;
        let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut schema = Self::default();
        for named in types {
            let list = |key: &str| named.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
            match named.get("kind").and_then(Value::as_str) {
                Some("OBJECT") => {
                    let field = |field: &Value| Field {
                        name: text(field, "name"),
                        arguments: field
                            .get("args")
                            .and_then(Value::as_array)
                            .into_iter()
                            .flatten()
                            .map(|argument| (text(argument, "name"), written(argument.get("type"))))
                            .collect(),
                        kind: written(field.get("type")),
                    };
                    schema.types.insert(text(named, "name"), list("fields").iter().map(field).collect());
                }
                Some("ENUM") => {
                    let words = list("enumValues").iter().map(|value| text(value, "name")).collect();
                    schema.enums.insert(text(named, "name"), words);
                }
                _ => {}
            }
        }
        Some(schema)
    }

    /// The type behind a connection: of `nodes`, or of `node` in `edges`.
    fn record<'a>(&'a self, kind: &'a str) -> (Vec<&'static str>, &'a str, bool) {
        let field = |kind: &str, name: &str| {
            self.fields(bare(kind)).and_then(|fields| fields.iter().find(|field| field.name == name))
        };
        if let Some(nodes) = field(kind, "nodes") {
            return (vec!["nodes"], bare(&nodes.kind), true);
        }
        if let Some(node) = field(kind, "edges").and_then(|edges| field(&edges.kind, "node")) {
            return (vec!["edges", "node"], bare(&node.kind), true);
        }
        (Vec::new(), bare(kind), kind.starts_with('['))
    }

    fn shape(&self, kind: &str, depth: usize) -> Shape {
        let name = bare(kind);
        let scalar = |kind| Shape { kind, ..Shape::default() };
        if kind.starts_with('[') {
            let item = Some(Box::new(self.shape(name, depth)));
            return Shape { kind: Kind::List, item, ..Shape::default() };
        }
        if let Some(listed) = self.enums.get(name) {
            return Shape { kind: Kind::Text, listed: listed.clone(), ..Shape::default() };
        }
        match (self.fields(name), name) {
            (Some(fields), _) if depth < 4 => {
                // Fields that need an argument cannot be asked for without knowing it.
                let plain = fields.iter().filter(|field| field.arguments.iter().all(|(_, kind)| !kind.ends_with('!')));
                let members = plain.map(|field| Member {
                    name: field.name.clone(),
                    required: false,
                    shape: self.shape(&field.kind, depth + 1),
                });
                Shape { kind: Kind::Object, members: members.collect(), ..Shape::default() }
            }
            (Some(_), _) => scalar(Kind::Object),
            (None, "Int") => scalar(Kind::Integer),
            (None, "Float") => scalar(Kind::Number),
            (None, "Boolean") => scalar(Kind::Boolean),
            (None, _) => scalar(Kind::Text),
        }
    }
}

/// A type of an introspection as it is written in SDL.
fn written(kind: Option<&Value>) -> String {
    let Some(kind) = kind else { return String::new() };
    let inner = || written(kind.get("ofType"));
    match kind.get("kind").and_then(Value::as_str) {
        Some("NON_NULL") => format!("{}!", inner()),
        Some("LIST") => format!("[{}]", inner()),
        _ => kind.get("name").and_then(Value::as_str).unwrap_or_default().to_owned(),
    }
}

/// A type, with its default and directives passed over.
fn kind<'a>(words: &mut std::iter::Peekable<impl Iterator<Item = &'a str>>) -> String {
    let mut kind = String::new();
    while let Some(open) = words.next_if_eq(&"[") {
        kind.push_str(open);
    }
    kind.push_str(words.next().unwrap_or_default());
    while let Some(close) = words.next_if(|word| matches!(*word, "]" | "!")) {
        kind.push_str(close);
    }
    if words.next_if_eq(&"=").is_some() {
        skip(words);
    }
    while words.next_if_eq(&"@").is_some() {
        words.next();
        if words.peek() == Some(&"(") {
            skip(words);
        }
    }
    kind
}

/// Passes over a value, or what stands in brackets.
fn skip<'a>(words: &mut impl Iterator<Item = &'a str>) {
    let mut open = 0;
    for word in words {
        match word {
            "(" | "[" | "{" => open += 1,
            ")" | "]" | "}" => open -= 1,
            _ => {}
        }
        if open <= 0 {
            return;
        }
    }
}

/// Names and signs, without comments, descriptions and commas.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some(body) = rest.strip_prefix("\"\"\"") {
            rest = body.split_once("\"\"\"").map_or("", |(_, after)| after);
        } else if first == '"' {
            let mut end = rest.len();
            let mut escaped = false;
            for (n, c) in rest.char_indices().skip(1) {
                if c == '"' && !escaped {
                    end = n + 1;
                    break;
                }
                escaped = c == '\\' && !escaped;
            }
            // As a value it is one word.
            words.push("string".to_owned());
            rest = &rest[end..];
            if words.iter().rev().nth(1).is_none_or(|before| !matches!(before.as_str(), "=" | ":" | "[")) {
                words.pop();
            }
        } else if first == '#' {
            rest = rest.split_once('\n').map_or("", |(_, after)| after);
        } else if first.is_alphanumeric() || first == '_' {
            let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
            words.push(rest[..end].to_owned());
            rest = &rest[end..];
        } else {
            if !first.is_whitespace() && first != ',' {
                words.push(first.to_string());
            }
            rest = &rest[first.len_utf8()..];
        }
    }
    words
}

/// Names of arguments that take the order's number.
const NUMBERS: [&str; 9] =
    ["number", "order_number", "name", "reference", "order_id", "id", "query", "search", "filter"];

pub(super) fn plan(schema: &Schema) -> Plan {
    let queries = schema.fields("Query").cloned().unwrap_or_default();
    let score = |field: &Field| -> Option<i32> {
        let name = snake(&field.name);
        let by_name = match name.as_str() {
            "order" => 20,
            "orders" => 18,
            name if name.ends_with("order") || name.starts_with("order_by") => 12,
            name if name.ends_with("orders") => 10,
            _ => return None,
        };
        let argument = number(field).map(|(rank, _)| 9 - i32::try_from(rank).unwrap_or(9))?;
        Some(by_name + argument)
    };
    let mut ranked: Vec<(i32, &Field)> = queries.iter().filter_map(|field| Some((score(field)?, field))).collect();
    ranked.sort_by_key(|(score, _)| -score);
    let others = ranked.iter().skip(1).take(3).map(|(_, field)| format!("the query {}", field.name)).collect();
    let order = ranked.first().map(|(_, field)| proposal(schema, field, others));
    let operations = order.into_iter().collect();
    Plan { title: None, base_url: None, auth: AuthPlan::Unknown, operations }
}

fn number(field: &Field) -> Option<(usize, &(String, String))> {
    let found = field
        .arguments
        .iter()
        .filter_map(|argument| Some((NUMBERS.iter().position(|name| *name == snake(&argument.0))?, argument)));
    found.min_by_key(|(rank, _)| *rank)
}

fn proposal(schema: &Schema, field: &Field, alternatives: Vec<String>) -> Proposal {
    let (path, record, list) = schema.record(&field.kind);
    let shape = schema.shape(record, 0);
    let (argument, kind) = number(field).map(|(_, argument)| argument.clone()).unwrap_or_default();
    let mut sent = vec![format!("{argument}: $number")];
    let mut open = Vec::new();
    for (name, kind) in field.arguments.iter().filter(|(name, kind)| kind.ends_with('!') && *name != argument) {
        sent.push(format!("{name}: null"));
        open.push(format!("  # {HOLE} the argument {name}, of type {kind}\n"));
    }
    if field.arguments.iter().any(|(name, _)| name == "first") {
        sent.push("first: 5".to_owned());
    }
    let inner = path.iter().rev().fold(selection(&shape, 0), |inner, name| format!("{name} {{ {inner} }}"));
    let query = format!(
        "query FindOrder($number: {}) {{ {}({}) {{ {inner} }} }}",
        if kind.is_empty() { "String" } else { &kind },
        field.name,
        sent.join(", ")
    );
    let at = path.iter().filter(|name| **name != "node").map(|name| access(name)).collect::<String>();
    // `edges` is a list of objects with a node.
    let at = format!(".data{}{at}", access(&field.name));
    let at = if path.contains(&"node") { format!("({at} | map(.node))") } else { at };
    Proposal {
        operation: "orders.find",
        method: "POST".to_owned(),
        path: "/graphql".to_owned(),
        params: Vec::new(),
        query: Vec::new(),
        body: Vec::new(),
        body_is_list: false,
        safe: true,
        raw_body: Some(format!(
            "{{\n{}  query: {},\n  variables: {{ number: .number }}\n}}",
            open.concat(),
            Value::from(query)
        )),
        reply: Reply { at, list, record: shape },
        from: format!("the query {}", field.name),
        alternatives,
    }
}

/// The fields of a record that an order may be read from.
fn selection(shape: &Shape, depth: usize) -> String {
    const WANTED: &str = "id number name order_number display_id reference email customer_email status state created_at \
                          placed_at ordered_at created currency currency_code total total_price grand_total tax_total \
                          shipping_total customer user buyer billing_address shipping_address line_items items lines \
                          products quantity sku title product_name unit_price price amount value city country country_code \
                          first_name nodes edges node gross net";
    let wanted = |member: &&Member| WANTED.split_whitespace().any(|name| name == snake(&member.name));
    let fields = shape.members.iter().filter(wanted).filter_map(|member| {
        let inner = member.shape.item.as_deref().unwrap_or(&member.shape);
        match inner.is_scalar() {
            true => Some(member.name.clone()),
            false if depth < 3 => {
                let inner = selection(inner, depth + 1);
                (!inner.is_empty()).then(|| format!("{} {{ {inner} }}", member.name))
            }
            false => None,
        }
    });
    fields.collect::<Vec<_>>().join(" ")
}
