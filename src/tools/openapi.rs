//! The OpenAPI description of the tools by plain HTTP, in 3.1, 3.0 and 2.0, for importers: inline schemas with single
//! types, flat bodies.

use serde_json::{Map, Value, json};

use super::{
    openapi_schema::{OpenApiVersion, adapted},
    refused::Code,
    tool::Spec,
};
use crate::identity::{VERIFICATION_ARGUMENT, VERIFICATION_HEADER};

/// What a description says besides the tools.
#[derive(Debug, Clone)]
pub struct About {
    pub version: OpenApiVersion,
    /// The URL in front of `/tools`.
    pub server: String,
    /// Whether agents authenticate.
    pub authenticated: bool,
    /// The header of the customer context, where one is read.
    pub context_header: Option<String>,
}

const INTRODUCTION: &str = "Every call acts for one customer, who comes beside the arguments and is never among them. \
    What the model shall read comes with status 200: `ok` says whether it was done, `message` is for the model. Faults of \
    the integration are problem documents (RFC 9457).";

/// The URL in front of `/tools`, from the URL of the MCP endpoint.
pub fn server_of(resource: &str) -> &str {
    let resource = resource.trim_end_matches('/');
    resource.strip_suffix("/mcp").unwrap_or(resource)
}

/// Describes the tools.
pub fn openapi<'a>(specs: impl IntoIterator<Item = &'a Spec>, about: &About) -> Value {
    let paths: Map<String, Value> = specs
        .into_iter()
        .map(|spec| (format!("/tools/{}", spec.name), json!({ "post": operation(spec, about) })))
        .collect();
    let info = json!({ "title": "frontdesk", "version": env!("CARGO_PKG_VERSION"), "description": INTRODUCTION });
    let mut document = Map::new();
    let mut member = |name: &str, value: Value| document.insert(name.to_owned(), value);
    match about.version {
        OpenApiVersion::V2_0 => {
            member("swagger", "2.0".into());
            member("info", info);
            let (scheme, host, path) = parts(&about.server);
            // The pattern of `host` in 2.0 has no IPv6 addresses. Left out, it is the host that serves the document.
            if !host.contains('[') {
                member("host", host.into());
                member("schemes", json!([scheme]));
            }
            member("basePath", format!("/{}", path.trim_matches('/')).into());
            member("consumes", json!(["application/json"]));
            member("produces", json!(["application/json", "application/problem+json"]));
        }
        version => {
            member("openapi", if version == OpenApiVersion::V3_1 { "3.1.0" } else { "3.0.3" }.into());
            member("info", info);
            member("servers", json!([{ "url": about.server }]));
        }
    }
    if about.authenticated {
        member("security", json!([{ "bearer": [] }]));
    }
    member("paths", Value::Object(paths));
    if about.authenticated {
        match about.version {
            OpenApiVersion::V2_0 => {
                let scheme = json!({
                    "type": "apiKey", "in": "header", "name": "Authorization",
                    "description": "The agent's token, as `Bearer TOKEN`.",
                });
                member("securityDefinitions", json!({ "bearer": scheme }));
            }
            _ => {
                let scheme = json!({ "type": "http", "scheme": "bearer", "description": "The agent's token." });
                member("components", json!({ "securitySchemes": { "bearer": scheme } }));
            }
        }
    }
    Value::Object(document)
}

/// Scheme, authority and path of a URL.
fn parts(url: &str) -> (&str, &str, &str) {
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    (scheme, host, path)
}

fn operation(spec: &Spec, about: &About) -> Value {
    let is_v2 = about.version == OpenApiVersion::V2_0;
    let mut body = adapted(Value::Object(spec.input_schema.clone()), about.version);
    // An unknown argument is refused. For MCP the keyword is left out: model APIs reject it in schemas of functions.
    body["additionalProperties"] = false.into();
    let required = spec.input_schema.get("required").and_then(Value::as_array).is_some_and(|names| !names.is_empty());
    let mut parameters = headers(spec, about);
    let content = |media: &str, schema: Value| json!({ media: { "schema": schema } });
    let mut operation = json!({
        "operationId": spec.name,
        "summary": spec.title,
        "description": spec.description,
    });
    let (outcome, problem) = (adapted(outcome(spec), about.version), adapted(problem(), about.version));
    let (done, faulty) = ("What became of the call, for the model to read.", "A fault of the integration.");
    if is_v2 {
        parameters.insert(0, json!({ "name": "arguments", "in": "body", "required": required, "schema": body }));
        operation["responses"] = json!({
            "200": { "description": done, "schema": outcome },
            "default": { "description": faulty, "schema": problem },
        });
    } else {
        operation["requestBody"] = json!({ "required": required, "content": content("application/json", body) });
        operation["responses"] = json!({
            "200": { "description": done, "content": content("application/json", outcome) },
            "default": { "description": faulty, "content": content("application/problem+json", problem) },
        });
    }
    operation["parameters"] = Value::Array(parameters);
    operation
}

/// The header parameters.
fn headers(spec: &Spec, about: &About) -> Vec<Value> {
    let string = |schema: Value, name: &str, description: &str| match about.version {
        OpenApiVersion::V2_0 => {
            let mut parameter = json!({ "name": name, "in": "header", "required": false, "description": description });
            if let (Value::Object(parameter), Value::Object(schema)) = (&mut parameter, schema) {
                parameter.extend(schema);
            }
            parameter
        }
        _ => json!({ "name": name, "in": "header", "required": false, "description": description, "schema": schema }),
    };
    let mut headers = Vec::new();
    if let Some(name) = &about.context_header {
        let what = "The signed customer context. The integration sets it; the model must not.";
        headers.push(string(json!({ "type": "string" }), &as_written(name), what));
    }
    if spec.input_schema.get("properties").is_some_and(|properties| properties.get(VERIFICATION_ARGUMENT).is_some()) {
        let what =
            "The handle that send_verification_code returned, where the platform keeps it; in place of the argument.";
        headers.push(string(json!({ "type": "string" }), &as_written(VERIFICATION_HEADER), what));
    }
    if spec.takes_key {
        let what =
            "A repeat with the same key is not done twice. Without one, the same arguments are the same request.";
        let key = json!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!#-~][!-~]*$" });
        headers.push(string(key, "Idempotency-Key", what));
    }
    let what =
        "With `status`, outcomes that are no success have a status of their own (404, 403, 409, 422, 429, 503, 504).";
    headers.push(string(json!({ "type": "string" }), "Prefer", what));
    headers
}

/// A header's name with a capital after each hyphen.
fn as_written(name: &str) -> String {
    let mut after_hyphen = true;
    let capitals = name.chars().map(|c| {
        let c = if after_hyphen { c.to_ascii_uppercase() } else { c };
        after_hyphen = c == '-';
        c
    });
    capitals.collect()
}

/// Schema of the answer with status 200.
fn outcome(spec: &Spec) -> Value {
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    json!({
        "type": "object",
        "required": ["ok", "message"],
        "properties": {
            "ok": { "type": "boolean", "description": "Whether it was done." },
            "message": { "type": "string", "description": "The result, or what to do next, in words." },
            "result": spec.output_schema,
            "code": { "type": "string", "enum": codes, "description": "Why it was not done." },
            "retry_after_s": { "type": "integer", "description": "Seconds after which the same call may succeed." },
        },
    })
}

/// Schema of a problem document.
fn problem() -> Value {
    json!({
        "type": "object",
        "required": ["type", "title", "status", "detail", "code", "ok"],
        "properties": {
            "type": { "type": "string" },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string", "description": "What is wrong." },
            "code": { "type": "string" },
            "ok": { "type": "boolean" },
            "next": { "type": "string", "description": "What to do next." },
            "retry_after_s": { "type": "integer" },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::{OneTimeCodes, Options, specs};

    fn about(version: OpenApiVersion, server: &str) -> About {
        About {
            version,
            server: server.to_owned(),
            authenticated: true,
            context_header: Some("customer-context".to_owned()),
        }
    }

    fn described(version: OpenApiVersion, server: &str) -> Value {
        openapi(&specs(&Options::default(), OneTimeCodes::Enabled).unwrap(), &about(version, server))
    }

    #[test]
    fn the_address_of_the_tools_is_that_of_the_mcp_endpoint_without_its_last_segment() {
        for (resource, server) in [
            ("https://desk.example.com/mcp", "https://desk.example.com"),
            ("https://desk.example.com/a/mcp/", "https://desk.example.com/a"),
            ("https://desk.example.com", "https://desk.example.com"),
            ("https://desk.example.com/a", "https://desk.example.com/a"),
            ("https://desk.example.com/amcp", "https://desk.example.com/amcp"),
        ] {
            assert_eq!(server_of(resource), server);
        }
        let old = described(OpenApiVersion::V2_0, "https://desk.example.com:8443/a/b");
        assert_eq!((&old["host"], &old["basePath"]), (&json!("desk.example.com:8443"), &json!("/a/b")));
        assert_eq!(described(OpenApiVersion::V2_0, "https://desk.example.com")["basePath"], "/");
        assert!(described(OpenApiVersion::V2_0, "http://[::1]:8080").get("host").is_none());
        assert_eq!(described(OpenApiVersion::V3_1, "http://[::1]:8080")["servers"][0]["url"], "http://[::1]:8080");
    }

    /// Whether `is_wrong` holds for an object anywhere.
    fn anywhere(value: &Value, is_wrong: &dyn Fn(&Map<String, Value>) -> bool) -> bool {
        match value {
            Value::Object(members) => is_wrong(members) || members.values().any(|value| anywhere(value, is_wrong)),
            Value::Array(items) => items.iter().any(|item| anywhere(item, is_wrong)),
            _ => false,
        }
    }

    #[test]
    fn nothing_refers_and_every_type_is_single() {
        for version in OpenApiVersion::ALL {
            let document = described(version, "https://desk.example.com");
            assert!(!anywhere(&document, &|members| members.contains_key("$ref")), "{version}");
            assert!(!anywhere(&document, &|members| members.get("type").is_some_and(Value::is_array)), "{version}");
            for spec in specs(&Options::default(), OneTimeCodes::Enabled).unwrap() {
                let operation = &document["paths"][format!("/tools/{}", spec.name)]["post"];
                assert_eq!(operation["operationId"], spec.name);
                let names: Vec<&str> = operation["parameters"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .filter(|parameter| parameter["in"] == "header")
                    .map(|parameter| parameter["name"].as_str().unwrap())
                    .collect();
                // A key is described where it is read: for effects, which a repeat finds.
                let expected: &[&str] = match spec.name {
                    "create_ticket" | "update_crm" => {
                        &["Customer-Context", "Customer-Verification", "Idempotency-Key", "Prefer"]
                    }
                    _ => &["Customer-Context", "Customer-Verification", "Prefer"],
                };
                assert_eq!(names, expected, "{}", spec.name);
            }
        }
    }

    #[test]
    fn where_agents_do_not_authenticate_nothing_asks_for_a_token() {
        for version in OpenApiVersion::ALL {
            let open = About { authenticated: false, context_header: None, ..about(version, "http://localhost:8080") };
            let text = openapi(&specs(&Options::default(), OneTimeCodes::Enabled).unwrap(), &open).to_string();
            assert!(!text.contains("bearer") && !text.contains("Customer-Context"), "{version}");
            assert!(described(version, "http://localhost:8080").to_string().contains("bearer"));
            assert_eq!(version.to_string().parse::<OpenApiVersion>().unwrap(), version);
        }
        assert!("3".parse::<OpenApiVersion>().is_err());
    }
}
