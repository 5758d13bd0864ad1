//! Arguments: what the published schema allows is never refused, and strict conversions lose nothing.

use proptest::{
    prelude::*,
    strategy::BoxedStrategy,
    string::string_regex,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::{Map, Value, json};

use crate::support::{Era, Setup, frontdesk, is_error, stdout, text};

/// Values that the schema of one property allows.
fn allowed(property: &Value) -> BoxedStrategy<Value> {
    let number = |name: &str| property.get(name).and_then(Value::as_u64);
    match property["type"].as_str().unwrap() {
        "integer" => {
            let whole = number("minimum").unwrap()..=number("maximum").unwrap();
            prop_oneof![whole.clone().prop_map(|n| json!(n)), whole.prop_map(|n| json!(n as f64))].boxed()
        }
        "string" => {
            let max = number("maxLength").unwrap_or(300) as usize;
            let texts = match property.get("pattern").and_then(Value::as_str) {
                Some(pattern) => matching(pattern, max),
                None => any_text(max),
            };
            texts.prop_map(Value::String).boxed()
        }
        other => panic!("no values of type {other}"),
    }
}

fn any_text(max: usize) -> BoxedStrategy<String> {
    let whole = string_regex("(?s).{0,80}").unwrap().boxed();
    let long = (0..=max).prop_map(|n| "ä".repeat(n)).boxed();
    let odd =
        ["", " ", "\t\u{a0}", "null", "N/A", "0", "=1+1", "\u{1F600}", "a\u{0}b", "\"}"].map(str::to_owned).to_vec();
    prop_oneof![8 => whole, 1 => long, 2 => proptest::sample::select(odd)]
        .prop_map(move |text| text.chars().take(max).collect())
        .boxed()
}

/// Texts of a pattern: each alternative between its anchors, or anything with such a part in it.
fn matching(pattern: &str, max: usize) -> BoxedStrategy<String> {
    if let Some(rest) = pattern.strip_prefix("^$|") {
        return prop_oneof![1 => Just(String::new()), 4 => matching(rest, max)].boxed();
    }
    match pattern.strip_prefix('^').and_then(|rest| rest.strip_suffix('$')) {
        Some(whole) => string_regex(whole).unwrap().boxed(),
        // What is not white space may still be invisible; a customer's words have letters.
        None => (any_text(max - 1), string_regex("[!-~à-ü]").unwrap())
            .prop_map(|(text, part)| format!("{text}{part}"))
            .prop_filter("within its bounds", move |text| text.chars().count() <= max)
            .boxed(),
    }
}

/// Calls that the schema of a tool allows: every required property, and some of the others.
fn calls(schema: &Value) -> BoxedStrategy<Value> {
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let properties = schema["properties"].as_object().unwrap().iter().map(|(name, property)| {
        let may_be_absent = !required.contains(&json!(name));
        let value = allowed(property).prop_map(Some);
        let value = if may_be_absent { prop_oneof![1 => Just(None), 2 => value].boxed() } else { value.boxed() };
        (Just(name.clone()), value)
    });
    let properties: Vec<_> = properties.collect();
    properties
        .prop_map(|members| {
            let members = members.into_iter().filter_map(|(name, value)| Some((name, value?)));
            Value::Object(members.collect::<Map<String, Value>>())
        })
        .boxed()
}

#[tokio::test]
async fn nothing_that_the_published_schema_allows_is_refused() {
    let setup = Setup::ada();
    let server = setup.serve();
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]));
    let client = server.client();
    let tools = client.result(Era::Modern, "tools/list", json!({})).await["tools"].clone();
    for tool in tools.as_array().unwrap() {
        let (name, calls) = (tool["name"].as_str().unwrap(), calls(&tool["inputSchema"]));
        for _ in 0..120 {
            let mut arguments = calls.new_tree(&mut runner).unwrap().current();
            if name == "update_crm" {
                // To change nothing at all is refused, whatever the properties hold.
                arguments["company"] = "Analytical Engines".into();
            }
            let result = client.call(Era::Modern, name, arguments.clone()).await;
            keeps_its_promise(tool, &result);
            for refusal in ["not accepted", " must ", "Nothing to change", "did not accept"] {
                assert!(!text(&result).contains(refusal), "{name} {arguments}: {}", text(&result));
            }
        }
    }
    server.terminate();
    let audit = frontdesk(setup.path(), &["audit", "--verdict", "invalid_arguments"]);
    assert!(!stdout(&audit).contains("invalid_arguments"), "{}", stdout(&audit));
}

/// Every member that the output schema requires is there: clients check that.
fn keeps_its_promise(tool: &Value, result: &Value) {
    let required = tool["outputSchema"]["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    for member in required.filter(|_| !is_error(result)) {
        assert!(result["structuredContent"].get(member).is_some(), "{}: no {member}: {result}", tool["name"]);
    }
}

#[tokio::test]
async fn a_strict_conversion_can_leave_out_everything_that_is_optional() {
    let setup = Setup::ada();
    let server = setup.serve();
    let given = json!({
        "lookup_order": { "order_id": "1001" },
        "create_ticket": { "subject": "Broken key", "description": "The E key is stuck." },
        "update_crm": { "last_name": "Byron" },
        "search_articles": { "query": "returns" },
    });
    let client = server.client();
    let tools = client.result(Era::Legacy, "tools/list", json!({})).await["tools"].clone();
    for tool in tools.as_array().unwrap() {
        let name = tool["name"].as_str().unwrap();
        // OpenAI's: every property is required, and none may be null.
        let mut strict = given[name].clone();
        for (property, schema) in tool["inputSchema"]["properties"].as_object().unwrap() {
            if strict.get(property).is_none() {
                let empty = if schema["type"] == "integer" { json!(0) } else { json!("") };
                if let Some(pattern) = schema.get("pattern").and_then(Value::as_str) {
                    assert!(regex_lite::Regex::new(pattern).unwrap().is_match(""), "{name}.{property}: {pattern}");
                }
                strict[property] = empty;
            }
        }
        let result = client.call(Era::Legacy, name, strict.clone()).await;
        assert!(!is_error(&result), "{name} {strict}: {result}");
        keeps_its_promise(tool, &result);
        let same = client.call(Era::Legacy, name, given[name].clone()).await;
        match name {
            "create_ticket" => {
                assert_eq!(same["structuredContent"]["created"], false, "one request, not two: {same}")
            }
            "update_crm" => assert_eq!(same["structuredContent"]["changed"], json!([]), "{same}"),
            _ => assert_eq!(same["structuredContent"], result["structuredContent"]),
        }
    }
}

#[tokio::test]
async fn what_hosts_add_makes_no_difference_and_can_be_configured() {
    let setup = Setup::ada().config("[tools]\nignored_arguments = [\"trace\", \"customer_email\"]\n");
    let server = setup.serve();
    let open = async |more: Value| {
        let mut arguments = json!({ "subject": "Broken key", "description": "The E key is stuck.", "order_id": 1001 });
        arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        server.client().call(Era::Legacy, "create_ticket", arguments).await
    };
    assert_eq!(open(json!({})).await["structuredContent"]["created"], true);
    let repeated = open(json!({ "trace": 7, "customer_email": "grace@example.com", "order_id": "#1001" })).await;
    assert_eq!(repeated["structuredContent"]["created"], false, "{repeated}");
    let refused = open(json!({ "toolCallId": "call_0" })).await;
    assert!(text(&refused).contains("there is no argument toolCallId"), "not in this list: {refused}");
    assert!(text(&refused).contains("again without toolCallId"), "{refused}");
    let wrong = Setup::ada().config("[tools]\nignored_arguments = [\"subject\"]\n");
    let output = frontdesk(wrong.path(), &["check"]);
    assert_eq!(output.status.code(), Some(1));
    let said = crate::support::stderr(&output);
    assert!(said.contains("tools.ignored_arguments must not hold subject"), "{said}");
}
