//! Messages as clients send them, over both transports: repairs what rmcp cannot parse, and refuses invalid messages
//! with the precise reason and their own id.

use std::borrow::Cow;

use rmcp::{
    ErrorData,
    model::{ClientCapabilities, ErrorCode, Implementation},
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

pub(super) const CAPABILITIES_META: &str = "io.modelcontextprotocol/clientCapabilities";

/// Why a message is refused, and the id to answer under.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) id: Value,
    pub(super) error: ErrorData,
}

impl Refusal {
    pub(super) fn new(id: Value, code: ErrorCode, why: impl Into<Cow<'static, str>>) -> Self {
        let id = if id.is_string() || id.is_number() { id } else { Value::Null };
        Self { id, error: ErrorData::new(code, why, None) }
    }

    pub(super) fn to_json(&self) -> Value {
        json!({ "jsonrpc": "2.0", "id": self.id, "error": self.error })
    }
}

/// Why rmcp could not parse a message.
pub(super) fn refusal(bytes: &[u8]) -> Refusal {
    let message: Value = match serde_json::from_slice(bytes) {
        Ok(message) => message,
        Err(error) => return unreadable(bytes, &error),
    };
    let id = message.get("id").cloned().unwrap_or_default();
    let invalid = |why: &'static str| Refusal::new(id.clone(), ErrorCode::INVALID_REQUEST, why);
    match &message {
        Value::Array(_) => invalid("batches are not served in any version; send every message by itself"),
        Value::Object(members) if members.get("jsonrpc").is_none_or(|version| version != "2.0") => {
            invalid("the member jsonrpc must be \"2.0\"")
        }
        Value::Object(members) if members.contains_key("id") && !is_id(&id) => {
            invalid("the id must be a string or an integer")
        }
        Value::Object(members) if members.get("method").is_some_and(|method| !method.is_string()) => {
            invalid("the method must be a string")
        }
        Value::Object(members) if !["method", "result", "error"].iter().any(|name| members.contains_key(*name)) => {
            invalid("the message has no method")
        }
        Value::Object(members) if members.get("params").is_some_and(|params| !params.is_object()) => {
            let method = members.get("method").and_then(Value::as_str).unwrap_or_default();
            Refusal { id: id.clone(), error: misfit(method, members.get("params"), false) }
        }
        Value::Object(_) => invalid("the message is neither a request nor a notification nor an answer of MCP"),
        _ => invalid("a message is a JSON object"),
    }
}

fn is_id(id: &Value) -> bool {
    id.is_string() || id.as_i64().is_some() || id.as_f64().is_some_and(|number| number.fract() == 0.0)
}

fn unreadable(bytes: &[u8], error: &serde_json::Error) -> Refusal {
    // A message in another encoding is parsed for its id only: its text is garbled.
    if std::str::from_utf8(bytes).is_err() {
        let message: Value = serde_json::from_str(&String::from_utf8_lossy(bytes)).unwrap_or_default();
        let id = message.get("id").cloned().unwrap_or_default();
        return Refusal::new(id, ErrorCode::PARSE_ERROR, "the message is not UTF-8");
    }
    let why = format!("the message is not JSON (line {}, column {})", error.line(), error.column());
    Refusal::new(Value::Null, ErrorCode::PARSE_ERROR, why)
}

/// Required type of a `params` member.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Text,
    Object,
    OptionalText,
    OptionalObject,
}

use Shape::{Object, OptionalObject, OptionalText, Text};

/// The params of the served methods.
fn shapes(method: &str) -> Option<&'static [(&'static str, Shape)]> {
    Some(match method {
        "initialize" => &[("protocolVersion", Text)],
        "ping" | "server/discover" => &[],
        "tools/call" => &[("name", Text), ("arguments", OptionalObject)],
        "resources/read" => &[("uri", Text)],
        "completion/complete" => &[("ref", Object), ("argument", Object), ("context", OptionalObject)],
        "subscriptions/listen" => &[("notifications", Object)],
        "tools/list" | "resources/list" | "resources/templates/list" | "prompts/list" => &[("cursor", OptionalText)],
        _ => return None,
    })
}

/// The error for an unknown method.
pub(super) fn no_method(method: &str) -> ErrorData {
    let shown: String = method.chars().filter(|c| !c.is_control()).take(64).collect();
    ErrorData::new(ErrorCode::METHOD_NOT_FOUND, format!("there is no method {shown}"), None)
}

/// The error for a request that rmcp took for a custom method: an unknown method, or a known one with wrong params.
/// 2026-07-28 has neither `initialize` nor `ping`.
pub(super) fn misfit(method: &str, params: Option<&Value>, modern: bool) -> ErrorData {
    let Some(shapes) = shapes(method).filter(|_| !(modern && matches!(method, "initialize" | "ping"))) else {
        return no_method(method);
    };
    let why = match params {
        None | Some(Value::Null) => {
            let missing = shapes.iter().find(|(_, shape)| matches!(shape, Text | Object));
            missing.map(|(name, _)| format!("params.{name} is missing"))
        }
        Some(Value::Object(params)) => shapes.iter().find_map(|(name, shape)| misfit_member(params, name, *shape)),
        Some(_) => Some("params must be an object".to_owned()),
    };
    let why = why.unwrap_or_else(|| format!("the params are not those of {method}"));
    ErrorData::invalid_params(format!("{why}; {method} was not carried out"), None)
}

/// Whether a cursor has a valid type. rmcp ignores an invalid one, and the client would list the first page for ever.
pub(super) fn is_cursor(cursor: &Value) -> bool {
    cursor.is_string() || cursor.is_null()
}

fn misfit_member(params: &Map<String, Value>, name: &str, shape: Shape) -> Option<String> {
    let value = params.get(name).filter(|value| !value.is_null());
    let meta = params.get("_meta").is_some_and(|meta| !meta.is_object() && !meta.is_null());
    if meta {
        return Some("params._meta must be an object".to_owned());
    }
    match (shape, value) {
        (Text | Object, None) => Some(format!("params.{name} is missing")),
        (Text | OptionalText, Some(value)) if !value.is_string() => Some(format!("params.{name} must be a string")),
        (Object | OptionalObject, Some(value)) if !value.is_object() => {
            Some(format!("params.{name} must be an object, not {}", kind(value)))
        }
        _ => None,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Whether rmcp can parse the client capabilities of a newer-era request.
pub(super) fn can_be_read(capabilities: &Value) -> bool {
    capabilities.as_object().is_some_and(Map::is_empty)
        || serde_json::from_value::<ClientCapabilities>(capabilities.clone()).is_ok()
}

/// Repairs the client's self-description. Nothing depends on it, so unparsable members are removed.
pub(super) fn mend_client(message: &mut Value) {
    let initialize = message.get("method").is_some_and(|method| method == "initialize");
    let Some(params) = message.get_mut("params").and_then(Value::as_object_mut) else { return };
    if initialize {
        let info = params.get("clientInfo").map(readable_parts::<Implementation>).unwrap_or_default();
        let capabilities = params.get("capabilities").map(readable_capabilities).unwrap_or_default();
        params.insert("clientInfo".to_owned(), named(info).into());
        params.insert("capabilities".to_owned(), capabilities.into());
    }
    if let Some(meta) = params.get_mut("_meta").and_then(Value::as_object_mut)
        && let Some(said) = meta.get(CAPABILITIES_META).filter(|said| !can_be_read(said))
    {
        let capabilities = readable_capabilities(said);
        meta.insert(CAPABILITIES_META.to_owned(), capabilities.into());
    }
}

fn named(mut info: Map<String, Value>) -> Map<String, Value> {
    for name in ["name", "version"] {
        info.entry(name).or_insert_with(|| "unknown".into());
    }
    info
}

fn readable_capabilities(said: &Value) -> Map<String, Value> {
    let mut capabilities = said.clone();
    // Maps of objects: only invalid entries are removed.
    for open in ["experimental", "extensions"] {
        if let Some(members) = capabilities.get_mut(open).and_then(Value::as_object_mut) {
            members.retain(|_, value| value.is_object());
        }
    }
    readable_parts::<ClientCapabilities>(&capabilities)
}

/// The members of an object with which it can still be parsed as `T`.
fn readable_parts<T: DeserializeOwned>(said: &Value) -> Map<String, Value> {
    let mut parts = Map::new();
    for (name, value) in said.as_object().into_iter().flatten() {
        let mut with = named(parts.clone());
        with.insert(name.clone(), value.clone());
        if serde_json::from_value::<T>(with.into()).is_ok() {
            parts.insert(name.clone(), value.clone());
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whatever_arrives_is_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            refusal(&bytes);
        }
    }

    #[test]
    fn the_reason_is_the_true_one_and_the_id_is_the_messages_own() {
        for (sent, id, code, why) in [
            ("this is not JSON", json!(null), -32700, "not JSON (line 1"),
            ("{\"jsonrpc\":", json!(null), -32700, "not JSON"),
            (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, json!(null), -32600, "batches"),
            (r#"{"id":1,"method":"ping"}"#, json!(1), -32600, "jsonrpc"),
            (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, json!(null), -32600, "the id must"),
            (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, json!(1.5), -32600, "the id must"),
            (r#"{"jsonrpc":"2.0","id":"a","method":5}"#, json!("a"), -32600, "method must be a string"),
            (r#"{"jsonrpc":"2.0","id":7}"#, json!(7), -32600, "no method"),
            (
                r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":[1]}"#,
                json!(7),
                -32602,
                "params must be an object",
            ),
            ("5", json!(null), -32600, "JSON object"),
        ] {
            let refusal = refusal(sent.as_bytes());
            let error = &refusal.error;
            assert!(error.message.contains(why), "{sent}: {}", error.message);
            assert_eq!((&refusal.id, error.code.0), (&id, code), "{sent}");
        }
        let latin = refusal(b"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"caf\xe9\"}");
        assert_eq!((latin.id, latin.error.code.0), (json!(7), -32700));
        assert!(latin.error.message.contains("UTF-8"), "{}", latin.error.message);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (method, params, code, why) in [
            ("tools/call", json!(null), -32602, "params.name is missing"),
            ("tools/call", json!({ "arguments": {} }), -32602, "params.name is missing"),
            ("tools/call", json!({ "name": 5 }), -32602, "params.name must be a string"),
            (
                "tools/call",
                json!({ "name": "x", "arguments": "{}" }),
                -32602,
                "params.arguments must be an object, not a string",
            ),
            ("tools/call", json!({ "name": "x", "_meta": 1 }), -32602, "params._meta must be"),
            ("tools/call", json!([]), -32602, "params must be an object"),
            ("resources/read", json!({}), -32602, "params.uri is missing"),
            ("tools/list", json!({ "cursor": 1 }), -32602, "params.cursor must be a string"),
            ("initialize", json!({}), -32602, "params.protocolVersion is missing"),
            ("nothing/here", json!({}), -32601, "there is no method nothing/here"),
        ] {
            let error = misfit(method, Some(&params), false);
            assert!(error.code.0 == code && error.message.contains(why), "{method} {params}: {}", error.message);
        }
    }

    #[test]
    fn what_the_newer_era_has_no_more_is_no_method_there() {
        assert_eq!(misfit("initialize", Some(&json!({})), true).code, ErrorCode::METHOD_NOT_FOUND);
        assert_eq!(misfit("tools/call", Some(&json!({})), true).code, ErrorCode::INVALID_PARAMS);
    }

    #[test]
    fn clients_may_describe_themselves_oddly() {
        let odd = json!({ "method": "initialize", "params": {
            "protocolVersion": "2025-06-18",
            "clientInfo": { "name": "c", "icons": [{ "src": "https://c.example/i.png", "sizes": "48x48" }], "title": 5 },
            "capabilities": { "experimental": { "stateless": true, "fine": {} }, "roots": true, "sampling": {} },
            "_meta": { CAPABILITIES_META: { "experimental": 1 } }
        } });
        let mut mended = odd.clone();
        mend_client(&mut mended);
        let params = &mended["params"];
        assert_eq!(params["clientInfo"], json!({ "name": "c", "version": "unknown" }));
        assert_eq!(params["capabilities"], json!({ "experimental": { "fine": {} }, "sampling": {} }));
        assert_eq!(params["_meta"][CAPABILITIES_META], json!({}));
        assert!(!can_be_read(&odd["params"]["capabilities"]) && can_be_read(&params["capabilities"]));
        for sparse in [json!({}), json!({ "clientInfo": null, "capabilities": [] }), json!({ "clientInfo": "x" })] {
            let mut mended = json!({ "method": "initialize", "params": sparse });
            mend_client(&mut mended);
            assert_eq!(mended["params"]["clientInfo"]["name"], "unknown");
            assert!(can_be_read(&mended["params"]["capabilities"]));
        }
    }
}
