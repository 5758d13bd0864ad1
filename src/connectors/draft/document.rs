//! Reads the parts of an OpenAPI description: references, parameters, bodies, replies, authentication.

use serde_json::Value;

use super::{
    propose::{AuthPlan, Reply},
    shape::{Kind, Member, Shape, access, snake},
};

/// Deepest schema that is followed.
const DEPTH_MAX: usize = 6;
/// Names of members that hold the record, or the list of them.
const RECORDS: &[&str] = &[
    "orders",
    "order",
    "tickets",
    "ticket",
    "cases",
    "case",
    "requests",
    "request",
    "issues",
    "conversations",
    "contacts",
    "contact",
    "customers",
    "customer",
    "people",
    "persons",
    "clients",
    "notes",
    "comments",
    "note",
    "comment",
];

pub(super) struct Document<'a> {
    pub(super) root: &'a Value,
    pub(super) operations: Vec<Operation<'a>>,
}

pub(super) struct Operation<'a> {
    pub(super) method: &'static str,
    pub(super) path: &'a str,
    /// Lower-case segments that are no version; parameters in braces.
    pub(super) segments: Vec<String>,
    pub(super) value: &'a Value,
    pub(super) item: &'a Value,
}

impl<'a> Document<'a> {
    /// Parameters of a kind, of the operation and of its path.
    pub(super) fn parameters(&self, operation: &Operation<'a>, place: &str) -> Vec<&'a Value> {
        let lists = [operation.value.get("parameters"), operation.item.get("parameters")];
        let all = lists.into_iter().flatten().filter_map(Value::as_array).flatten();
        let all = all.filter_map(|parameter| self.resolved(parameter));
        all.filter(|parameter| parameter.get("in").and_then(Value::as_str) == Some(place)).collect()
    }

    /// The value behind a `$ref` within the document.
    fn resolved(&self, value: &'a Value) -> Option<&'a Value> {
        let mut found = value;
        for _ in 0..32 {
            let Some(reference) = found.get("$ref").and_then(Value::as_str) else { return Some(found) };
            found = self.root.pointer(&reference.strip_prefix('#')?.replace("%7B", "{").replace("%7D", "}"))?;
        }
        None
    }

    /// What a parameter is for, in a few words.
    pub(super) fn said(&self, parameter: &'a Value) -> String {
        let shape = parameter.get("schema").map(|schema| self.shape(schema, 0)).unwrap_or_default();
        let about = parameter.get("description").and_then(Value::as_str).unwrap_or_default();
        let about: String = about.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(60).collect();
        format!("{}{}", shape.kind.word(), if about.is_empty() { String::new() } else { format!(": {about}") })
    }

    pub(super) fn body(&self, operation: &Operation<'a>) -> Option<Shape> {
        if let Some(body) = operation.value.get("requestBody") {
            return self.resolved(body).and_then(|body| self.content(body)).map(|schema| self.shape(schema, 0));
        }
        let parameter = self.parameters(operation, "body").into_iter().next()?;
        parameter.get("schema").map(|schema| self.shape(schema, 0))
    }

    pub(super) fn reply(&self, operation: &Operation<'a>) -> Reply {
        let responses = operation.value.get("responses").and_then(Value::as_object);
        let success = responses.into_iter().flatten().find(|(status, _)| status.starts_with('2'));
        let schema = success.and_then(|(_, reply)| {
            let reply = self.resolved(reply)?;
            reply.get("schema").or_else(|| self.content(reply))
        });
        schema.map(|schema| located(self.shape(schema, 0), String::new())).unwrap_or_default()
    }

    /// The schema of a JSON body.
    fn content(&self, holder: &'a Value) -> Option<&'a Value> {
        let content = holder.get("content")?.as_object()?;
        let json = content.iter().find(|(kind, _)| kind.contains("json")).or_else(|| content.iter().next());
        json.and_then(|(_, media)| media.get("schema"))
    }

    fn shape(&self, schema: &'a Value, depth: usize) -> Shape {
        let Some(schema) = self.resolved(schema).filter(|_| depth < DEPTH_MAX) else { return Shape::default() };
        let mut shape = Shape::default();
        let word = match schema.get("type") {
            Some(Value::Array(words)) => words.iter().filter_map(Value::as_str).find(|word| *word != "null"),
            word => word.and_then(Value::as_str),
        };
        shape.kind = match word {
            Some("string") => Kind::Text,
            Some("integer") => Kind::Integer,
            Some("number") => Kind::Number,
            Some("boolean") => Kind::Boolean,
            Some("array") => Kind::List,
            Some("object") => Kind::Object,
            _ if schema.get("properties").is_some() => Kind::Object,
            _ => Kind::Unknown,
        };
        let texts = |list: Option<&'a Value>| {
            list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).map(str::to_owned)
        };
        shape.listed = texts(schema.get("enum")).collect();
        shape.item = schema.get("items").map(|item| Box::new(self.shape(item, depth + 1)));
        for (name, member) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let member = Member { name: name.clone(), required: false, shape: self.shape(member, depth + 1) };
            shape.members.push(member);
        }
        // All parts of allOf; of alternatives the first that has members.
        for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            shape.join(self.shape(part, depth));
        }
        for key in ["oneOf", "anyOf"] {
            let parts = schema.get(key).and_then(Value::as_array).into_iter().flatten();
            let parts: Vec<Shape> = parts.take(8).map(|part| self.shape(part, depth + 1)).collect();
            let best = parts.iter().find(|part| !part.members.is_empty()).or(parts.first()).cloned();
            shape.join(best.unwrap_or_default());
        }
        let required: Vec<String> = texts(schema.get("required")).collect();
        for member in &mut shape.members {
            member.required |= required.contains(&member.name);
        }
        shape
    }

    pub(super) fn auth(&self) -> AuthPlan {
        let schemes = self.root.pointer("/components/securitySchemes").or_else(|| self.root.get("securityDefinitions"));
        let schemes = schemes.and_then(Value::as_object).into_iter().flatten();
        let plans: Vec<AuthPlan> = schemes.filter_map(|(_, scheme)| self.resolved(scheme)).map(scheme_plan).collect();
        let rank = |plan: &AuthPlan| match plan {
            AuthPlan::Bearer => 0,
            AuthPlan::ApiKey(_) => 1,
            AuthPlan::Basic => 2,
            AuthPlan::ClientCredentials(_) => 3,
            AuthPlan::Other(_) => 4,
            AuthPlan::Unknown => 5,
        };
        plans.into_iter().min_by_key(rank).unwrap_or_default()
    }
}

fn scheme_plan(scheme: &Value) -> AuthPlan {
    let text = |key: &str| scheme.get(key).and_then(Value::as_str).unwrap_or_default();
    let flow = |pointer: &str| scheme.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    match (text("type"), text("scheme").to_lowercase().as_str()) {
        ("http", "bearer") => AuthPlan::Bearer,
        ("http", "basic") | ("basic", _) => AuthPlan::Basic,
        ("apiKey", _) if text("in") == "header" => match text("name").to_lowercase().as_str() {
            "authorization" => AuthPlan::Bearer,
            _ => AuthPlan::ApiKey(text("name").to_owned()),
        },
        ("apiKey", _) => AuthPlan::Other(format!("a key in the {}, which cannot be sent", text("in"))),
        ("oauth2", _) => match flow("/flows/clientCredentials/tokenUrl")
            .or_else(|| flow("/tokenUrl").filter(|_| text("flow") == "application"))
        {
            Some(url) => AuthPlan::ClientCredentials(url),
            None => AuthPlan::Other("OAuth with a person's consent: get a token that lasts, or another way".to_owned()),
        },
        (kind, _) => AuthPlan::Other(format!("the description says {kind}")),
    }
}

/// The record, or the list of them, in a reply.
fn located(shape: Shape, at: String) -> Reply {
    if let (Kind::List, Some(item)) = (shape.kind, &shape.item) {
        return Reply { at, list: true, record: (**item).clone() };
    }
    let is_noun = |member: &&Member| RECORDS.contains(&snake(&member.name).as_str());
    let wraps = |member: &&Member| ["data", "results", "_results", "items", "value"].contains(&member.name.as_str());
    let has_number = shape.members.iter().any(|member| member.name == "id");
    let inner = shape.members.iter().filter(|_| !has_number).filter(is_noun);
    let mut inner = inner.chain(shape.members.iter().filter(|_| !has_number).filter(wraps));
    let found = inner
        .find(|member| !member.shape.is_scalar() && (!member.shape.members.is_empty() || member.shape.item.is_some()));
    match found {
        Some(member) => {
            let at = format!("{at}{}", access(&member.name));
            located(member.shape.clone(), at)
        }
        None => Reply { at, list: false, record: shape },
    }
}
