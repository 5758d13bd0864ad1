//! Validates arguments against the tool's input schema, which neither rmcp nor most clients do.

use serde_json::{Map, Value};

use super::{argument_kind::Kind, error::RegistryError};

/// Keywords that [`Arguments::check`] enforces, or that only describe. Another one is an error at start-up.
const PROPERTY_KEYWORDS: &[&str] = &[
    "type",
    "enum",
    "minLength",
    "maxLength",
    "pattern",
    "minimum",
    "maximum",
    "items",
    "maxItems",
    "description",
    "default",
    "title",
    "examples",
];

/// Placeholders that models write for absent values where a strict schema requires every property. `Null` is not among
/// them: it is a surname.
const PLACEHOLDERS: &[&str] = &["null", "undefined", "none", "None", "n/a", "N/A"];

/// A compiled flat input schema.
pub(super) struct Arguments {
    tool: &'static str,
    properties: Vec<Property>,
}

struct Property {
    name: String,
    required: bool,
    kind: Kind,
}

impl Arguments {
    /// `own_patterns` are properties whose published pattern is not enforced, because the tool accepts more forms.
    pub(super) fn new(
        tool: &'static str,
        schema: &Map<String, Value>,
        own_patterns: &[&str],
    ) -> Result<Self, RegistryError> {
        let refuse = |keyword: &str| RegistryError::Keyword { tool, keyword: keyword.to_owned() };
        let keywords = ["type", "properties", "required", "description"];
        if let Some(other) = schema.keys().find(|key| !keywords.contains(&key.as_str())) {
            return Err(refuse(other));
        }
        let required: Vec<&str> =
            schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let mut properties = Vec::new();
        for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let members = property.as_object().ok_or_else(|| refuse(name))?;
            if let Some(other) = members.keys().find(|key| !PROPERTY_KEYWORDS.contains(&key.as_str())) {
                return Err(refuse(other));
            }
            let mut kind = Kind::new(members).map_err(|key| refuse(&key))?;
            if let Kind::Text { pattern, .. } = &mut kind
                && own_patterns.contains(&name.as_str())
            {
                *pattern = None;
            }
            properties.push(Property { name: name.clone(), required: required.contains(&name.as_str()), kind });
        }
        Ok(Self { tool, properties })
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.properties.iter().any(|property| property.name == name)
    }

    /// Returns the arguments in canonical form, without empty ones; or one text with every fault and the corrected
    /// call. `instead` gives the advice for an argument that the tool does not have.
    pub(super) fn check(
        &self,
        mut arguments: Map<String, Value>,
        instead: impl Fn(&str) -> Option<&'static str>,
    ) -> Result<Map<String, Value>, String> {
        let (mut faults, mut leave_out, mut repair) = (Vec::new(), Vec::new(), false);
        for property in &self.properties {
            let name = property.name.as_str();
            // Strict clients send every property: empty values count as absent, before and after normalisation.
            let absent = arguments.get_mut(name).is_some_and(|value| {
                property.is_empty(value) || {
                    property.kind.normalise(value);
                    property.is_empty(value)
                }
            });
            if absent {
                arguments.remove(name);
            }
            match arguments.get(name) {
                None if property.required => {
                    faults.push(format!("{name} is required"));
                    repair = true;
                }
                None => {}
                Some(value) if property.kind.accepts(value) => {}
                Some(_) => {
                    faults.push(format!("{name} must be {}", property.kind));
                    match property.required {
                        true => repair = true,
                        false => leave_out.push(name),
                    }
                }
            }
        }
        let unknown: Vec<&str> = arguments.keys().map(String::as_str).filter(|name| !self.has(name)).collect();
        let shown: Vec<String> = unknown.into_iter().map(shown).collect();
        faults.extend(shown.iter().map(|name| instead(name).map_or_else(|| self.unknown(name), str::to_owned)));
        if faults.is_empty() {
            return Ok(arguments);
        }
        leave_out.extend(shown.iter().map(String::as_str));
        let next = match (repair, leave_out.as_slice()) {
            (true, []) => {
                format!("Correct that and call {} again; ask the customer for what you do not know.", self.tool)
            }
            (true, out) => format!(
                "Correct that, leave out {}, and call {} again; ask the customer for what you do not know.",
                out.join(", "),
                self.tool
            ),
            (false, out) if out.len() == shown.len() => {
                format!("Call {} again without {}.", self.tool, out.join(", "))
            }
            (false, out) => {
                format!("Call {} again without {}, or with a value of that form.", self.tool, out.join(", "))
            }
        };
        Err(format!("The arguments were not accepted: {}. {next}", faults.join("; ")))
    }

    fn unknown(&self, name: &str) -> String {
        let known: Vec<&str> = self.properties.iter().map(|property| property.name.as_str()).collect();
        let near: Vec<&str> = known.iter().copied().filter(|known| is_near(name, known)).collect();
        let known = known.join(", ");
        if !near.is_empty() {
            return format!(
                "there is no argument {name}; did you mean {}? the arguments are {known}",
                near.join(" or ")
            );
        }
        match names_a_person(name) {
            true => format!(
                "there is no argument {name}: who the customer is comes with the call and cannot be chosen; the \
                 arguments are {known}"
            ),
            false => format!("there is no argument {name}; the arguments are {known}"),
        }
    }
}

/// A client's argument name, made safe to repeat.
fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(64).collect()
}

/// Whether an argument of this name would identify the customer: `customerEmail` and `user_id`, not `user_agent`.
fn names_a_person(name: &str) -> bool {
    const WHO: &[&str] = &["customer", "user", "client", "account", "contact", "requester", "email", "mail", "subject"];
    const WHAT: &[&str] = &["id", "ids", "identifier", "name", "email", "mail", "address", "number", "ref", "key"];
    let words = words(name);
    let is_who = |word: &String| WHO.contains(&word.as_str());
    words.iter().any(is_who) && words.iter().all(|word| is_who(word) || WHAT.contains(&word.as_str()))
}

/// Whether a name is likely meant for an argument: mistyped, or one has the other's words and more.
fn is_near(name: &str, known: &str) -> bool {
    let (name, known) = (words(name), words(known));
    let (short, long) = if name.len() < known.len() { (&name, &known) } else { (&known, &name) };
    let contained = !short.is_empty() && short.iter().all(|word| long.contains(word));
    let (name, known) = (name.concat(), known.concat());
    let typos = if known.len() > 6 { 2 } else { 1 };
    contained || !name.is_empty() && strsim::damerau_levenshtein(&name, &known) <= typos
}

/// The words of a name, in lower case: `customerEmail` and `customer_email` have two.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for c in name.chars() {
        if !c.is_alphanumeric() || c.is_uppercase() && before.is_lowercase() {
            words.push(String::new());
        }
        if c.is_alphanumeric() {
            words.last_mut().into_iter().for_each(|word| word.extend(c.to_lowercase()));
        }
        before = c;
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Whether a text has nothing to read.
fn has_nothing(text: &str) -> bool {
    text.chars().all(|c| c.is_whitespace() || c.is_control())
}

/// Whether a value stands for an absent string, as strict clients send it.
pub(super) fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => has_nothing(text) || PLACEHOLDERS.contains(&text.trim()),
        _ => false,
    }
}

impl Property {
    fn is_empty(&self, value: &Value) -> bool {
        match value {
            Value::Null => true,
            Value::String(text) => has_nothing(text) || !self.required && PLACEHOLDERS.contains(&text.trim()),
            Value::Number(number) => !self.required && number.as_f64() == Some(0.0),
            Value::Array(items) => !self.required && items.is_empty(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::argument_kind::USUAL_ORDER_ID, *};

    fn check(arguments: Value) -> Result<Value, String> {
        let schema = json!({
            "type": "object", "required": ["id"],
            "properties": {
                "id": { "type": "string", "pattern": USUAL_ORDER_ID },
                "sort": { "type": "string", "pattern": "^(low|high)?$" },
                "limit": { "type": "integer", "minimum": 0, "maximum": 10 },
                "note": { "type": "string", "maxLength": 5 }
            }
        });
        let Value::Object(arguments) = arguments else { panic!("{arguments}") };
        Arguments::new("a_tool", schema.as_object().unwrap(), &[])
            .unwrap()
            .check(arguments, |_| None)
            .map(Value::Object)
    }

    #[test]
    fn what_means_the_same_is_written_in_the_same_way() {
        for same in [
            json!({ "id": "1001", "limit": 3 }),
            json!({ "id": 1001, "limit": 3.0, "note": "" }),
            json!({ "id": 1001.0, "limit": "3", "note": null, "sort": "" }),
            json!({ "id": "1001", "limit": " 3.0 ", "note": " \t\u{a0}", "sort": "null" }),
            json!({ "id": "1001", "limit": 3, "note": "\u{0}", "sort": "undefined" }),
        ] {
            assert_eq!(check(same.clone()).unwrap(), json!({ "id": "1001", "limit": 3 }), "{same}");
        }
        for absent in [json!(0), json!("0"), json!(""), json!(null), json!(0.0)] {
            assert_eq!(check(json!({ "id": "1", "limit": absent, "note": 0 })).unwrap(), json!({ "id": "1" }));
        }
        assert_eq!(check(json!({ "id": "null", "note": "Null" })).unwrap(), json!({ "id": "null", "note": "Null" }));
    }

    #[test]
    fn a_fault_names_the_call_to_make_instead() {
        for (arguments, expected) in [
            (json!({}), "id is required. Correct that and call a_tool again; ask the customer"),
            (json!({ "id": " " }), "id is required."),
            (json!({ "id": 1.5 }), "id must be a string"),
            (json!({ "id": 1e300 }), "id must be a string"),
            (
                json!({ "id": "1", "sort": "asap" }),
                "sort must be one of low, high. Call a_tool again without sort, or with",
            ),
            (json!({ "id": "1", "limit": "many" }), "limit must be an integer from 0 to 10. Call a_tool again without"),
            (
                json!({ "id": "1", "verbose": 1 }),
                "there is no argument verbose; the arguments are id, sort, limit, note. Call",
            ),
            (json!({ "id": "/", "verbose": 1 }), "Correct that, leave out verbose, and call a_tool again"),
        ] {
            let sentence = check(arguments.clone()).unwrap_err();
            assert!(sentence.contains(expected), "{arguments}: {sentence}");
        }
    }

    #[test]
    fn a_name_is_near_an_argument_if_it_is_mistyped_or_has_its_words() {
        for (name, known) in [
            ("mail", "email"),
            ("e-mail", "email"),
            ("emailAddress", "email"),
            ("customer_email", "email"),
            ("email", "customer_email"),
            ("verification_code", "code"),
            ("orderId", "order_id"),
            ("order", "order_id"),
            ("odrer_id", "order_id"),
            ("subejct", "subject"),
        ] {
            assert!(is_near(name, known), "{name}, {known}");
        }
        for (name, known) in [
            ("customer_id", "order_id"),
            ("user", "query"),
            ("email", "order_id"),
            ("email", "detail"),
            ("phone_number", "first_name"),
            ("", "code"),
            ("_", "code"),
            ("to", "note"),
        ] {
            assert!(!is_near(name, known), "{name}, {known}");
        }
    }

    #[test]
    fn only_names_of_people_are_taken_for_an_attempt_to_choose_one() {
        for who in
            ["customer", "customer_email", "customerId", "userID", "email", "contact_id", "requester", "client-ref"]
        {
            assert!(names_a_person(who), "{who}");
        }
        for what in ["user_agent", "customer_message", "emailed", "name", "id", "subject_line", "", "_", "verbose"] {
            assert!(!names_a_person(what), "{what}");
        }
    }
}
