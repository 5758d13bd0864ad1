//! GraphQL: reads what a document does, and what the errors of a reply mean (GraphQL, sections 2 and 7.1).

use serde_json::Value;

use super::file::Meaning;

/// A GraphQL document with one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Document {
    pub(super) text: String,
    pub(super) is_mutation: bool,
    /// Names of the variables that the operation declares.
    pub(super) variables: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Definition {
    Query,
    Mutation,
    Fragment,
}

#[derive(Debug, PartialEq, Eq)]
enum Token<'a> {
    Name(&'a str),
    Variable(&'a str),
    Open(char),
    Close(char),
}

impl Document {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut operations = Vec::new();
        let (mut open, mut definition, mut variables) = (Vec::new(), None, Vec::<String>::new());
        for token in tokens(text)? {
            match token {
                Token::Name("subscription") if open.is_empty() && definition.is_none() => {
                    return Err("is a subscription, which is not one reply".to_owned());
                }
                Token::Name(name) if open.is_empty() && definition.is_none() => {
                    definition = Some(match name {
                        "query" => Definition::Query,
                        "mutation" => Definition::Mutation,
                        "fragment" => Definition::Fragment,
                        other => return Err(format!("has {other:.40} where query, mutation or fragment is expected")),
                    });
                }
                Token::Variable(name) if open.as_slice() == ['('] && definition != Some(Definition::Fragment) => {
                    if !variables.iter().any(|known| known == name) {
                        variables.push(name.to_owned());
                    }
                }
                Token::Name(_) | Token::Variable(_) => {}
                Token::Open(bracket) => {
                    if bracket == '{' && open.is_empty() && definition.is_none() {
                        definition = Some(Definition::Query);
                    }
                    open.push(bracket);
                }
                Token::Close(bracket) => {
                    let partner = open.pop();
                    if !matches!((partner, bracket), (Some('{'), '}') | (Some('('), ')') | (Some('['), ']')) {
                        return Err(format!("has a {bracket} without its partner"));
                    }
                    if bracket == '}' && open.is_empty() {
                        operations.extend(definition.take().filter(|kind| *kind != Definition::Fragment));
                    }
                }
            }
        }
        if let Some(bracket) = open.last() {
            return Err(format!("has a {bracket} without its partner"));
        }
        match operations.as_slice() {
            [kind] if definition.is_none() => {
                Ok(Self { text: text.trim().to_owned(), is_mutation: *kind == Definition::Mutation, variables })
            }
            [_] => Err("ends within a definition".to_owned()),
            operations => Err(format!("must hold one query or mutation, and holds {}", operations.len())),
        }
    }

    /// Checks the names of the variables that a filter gives; none if it cannot be told which they are.
    pub(super) fn check_variables(&self, given: Option<&[String]>) -> Result<(), String> {
        let declared = || self.variables.iter().map(|name| format!("${name}")).collect::<Vec<_>>().join(", ");
        let Some(given) = given else { return Ok(()) };
        match given.iter().find(|name| !self.variables.contains(name)) {
            Some(unknown) if self.variables.is_empty() => {
                Err(format!("gives {unknown}, and the query declares no variables"))
            }
            Some(unknown) => Err(format!("gives {unknown}, which the query does not declare; it has {}", declared())),
            None if given.is_empty() && !self.variables.is_empty() => {
                Err(format!("is missing: the query declares {}", declared()))
            }
            None => Ok(()),
        }
    }
}

/// Names, variables and brackets; comments, strings and other punctuation are passed over.
fn tokens(text: &str) -> Result<Vec<Token<'_>>, String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after = &rest[first.len_utf8()..];
        let name = |text: &'_ str| text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
        rest = match first {
            '#' => after.split_once('\n').map_or("", |(_, after)| after),
            '"' => after_string(rest).ok_or("has a string without its end")?,
            '{' | '(' | '[' => {
                tokens.push(Token::Open(first));
                after
            }
            '}' | ')' | ']' => {
                tokens.push(Token::Close(first));
                after
            }
            '$' => {
                let (name, after) = after.split_at(name(after));
                tokens.push(Token::Variable(name));
                after
            }
            'a'..='z' | 'A'..='Z' | '_' => {
                let (name, after) = rest.split_at(name(rest));
                tokens.push(Token::Name(name));
                after
            }
            // A number must not be read as a name.
            '0'..='9' => after.trim_start_matches(|c: char| c.is_ascii_alphanumeric()),
            _ => after,
        };
    }
    Ok(tokens)
}

/// What follows the string at the beginning.
fn after_string(text: &str) -> Option<&str> {
    if let Some(mut block) = text.strip_prefix("\"\"\"") {
        loop {
            let (before, after) = block.split_once("\"\"\"")?;
            match before.ends_with('\\') {
                true => block = after,
                false => return Some(after),
            }
        }
    }
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(&text[at + 1..]),
            '\n' => return None,
            _ => {}
        }
    }
    None
}

/// The errors of a GraphQL reply, each by its `extensions.code` if it has one; none if there are no errors.
pub(super) fn errors(body: &Value) -> Option<Vec<Option<String>>> {
    match body.get("errors")? {
        Value::Null => None,
        Value::Array(errors) if errors.is_empty() => None,
        Value::Array(errors) => Some(errors.iter().map(code).collect()),
        _ => Some(vec![None]),
    }
}

/// The errors of a reply that has the form of GraphQL and no data, whatever the protocol is said to be.
pub(super) fn errors_alone(body: &Value) -> Option<Vec<Option<String>>> {
    let is_error = |error: &Value| error.get("message").is_some_and(Value::is_string);
    let form = body.as_object()?.keys().all(|name| matches!(name.as_str(), "errors" | "data" | "extensions"));
    let none = body.get("data").is_none_or(Value::is_null);
    let listed = body.get("errors")?.as_array()?.iter().all(is_error);
    errors(body).filter(|_| form && none && listed)
}

fn code(error: &Value) -> Option<String> {
    match error.get("extensions")?.get("code")? {
        Value::String(code) if !code.is_empty() => Some(code.clone()),
        Value::Number(code) => Some(code.to_string()),
        _ => None,
    }
}

/// Codes with a meaning of their own, as servers and vendors commonly write them, without regard to case, `_` and `-`.
/// What stands first wins over the others.
const CODES: [(Meaning, &[&str]); 6] = [
    (
        Meaning::Denied,
        &[
            "UNAUTHENTICATED",
            "UNAUTHORIZED",
            "ACCESS_DENIED",
            "FORBIDDEN",
            "PERMISSION_DENIED",
            "INSUFFICIENT_SCOPE",
            "INVALID_TOKEN",
            "INVALID_JWT",
        ],
    ),
    (Meaning::RateLimited, &["THROTTLED", "RATE_LIMITED", "RATE_LIMIT_EXCEEDED", "TOO_MANY_REQUESTS"]),
    (
        Meaning::Unavailable,
        &["INTERNAL_SERVER_ERROR", "INTERNAL_ERROR", "SERVICE_UNAVAILABLE", "TIMEOUT", "GATEWAY_TIMEOUT"],
    ),
    (
        Meaning::Misconfigured,
        &[
            "GRAPHQL_PARSE_FAILED",
            "GRAPHQL_VALIDATION_FAILED",
            "PARSE_FAILED",
            "VALIDATION_FAILED",
            "OPERATION_RESOLUTION_FAILURE",
            "PERSISTED_QUERY_NOT_FOUND",
            "PERSISTED_QUERY_NOT_SUPPORTED",
            "MAX_COST_EXCEEDED",
            "UNDEFINED_FIELD",
            "UNDEFINED_TYPE",
            "ARGUMENT_NOT_ACCEPTED",
            "MISSING_REQUIRED_ARGUMENTS",
            "VARIABLE_MISMATCH",
        ],
    ),
    (Meaning::Invalid, &["BAD_USER_INPUT", "INVALID_INPUT"]),
    (Meaning::NotFound, &["NOT_FOUND", "ENTITY_NOT_FOUND", "RESOURCE_NOT_FOUND"]),
];

/// What errors mean without a rule, and the code that says so. Nothing is *not found* unless all of them say it.
pub(super) fn meaning(codes: &[Option<String>]) -> Option<(Meaning, &str)> {
    let plain = |code: &str| code.replace(['_', '-'], "").to_ascii_uppercase();
    CODES.iter().find_map(|(meaning, names)| {
        let is_one = |code: &&str| names.iter().any(|name| plain(name) == plain(code));
        let mut of = codes.iter().flatten().map(String::as_str).filter(is_one);
        let (first, others) = (of.next()?, of.count());
        let all = others + 1 == codes.len();
        (all || *meaning != Meaning::NotFound).then_some((*meaning, first))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_says_what_it_does_and_which_variables_it_takes() {
        let read = |text: &str| Document::parse(text).map(|document| (document.is_mutation, document.variables));
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(read("{ shop { name } }"), Ok((false, vec![])));
        assert_eq!(
            read(
                "query Find($code: String!, $in: In = { a: [\"}\"] }) @x { a(b: $code) { ...F } } fragment F on A { b }"
            ),
            Ok((false, names(&["code", "in"])))
        );
        assert_eq!(
            read("# mutation {\nmutation($n: ID!) { a(t: \"\"\"}\\\"\"\" \" \"\"\") }"),
            Ok((true, names(&["n"])))
        );
        for (bad, said) in [
            ("", "holds 0"),
            ("fragment F on A { b }", "holds 0"),
            ("{ a } { b }", "holds 2"),
            ("query A { a } query B { b }", "holds 2"),
            ("{ a ", "without its partner"),
            ("{ a ) }", "without its partner"),
            ("{ a } query", "ends within"),
            ("{ a(b: \"x) }", "string without its end"),
            ("subscription { a }", "subscription"),
            ("select * from a", "select"),
        ] {
            let error = read(bad).unwrap_err();
            assert!(error.contains(said), "{bad}: {error}");
        }
        let document = Document::parse("query($a: ID!) { x(a: $a) }").unwrap();
        assert!(document.check_variables(Some(&names(&["a"]))).is_ok() && document.check_variables(None).is_ok());
        assert!(document.check_variables(Some(&names(&["b"]))).unwrap_err().contains("it has $a"));
        assert!(document.check_variables(Some(&[])).unwrap_err().contains("declares $a"));
    }

    #[test]
    fn errors_have_the_gravest_meaning_of_their_codes() {
        let said = |codes: &[&str]| {
            let codes: Vec<Option<String>> = codes.iter().map(|code| Some((*code).to_owned())).collect();
            meaning(&codes).map(|(meaning, _)| meaning)
        };
        assert_eq!(said(&["FORBIDDEN"]), Some(Meaning::Denied));
        assert_eq!(said(&["access-denied", "THROTTLED"]), Some(Meaning::Denied));
        assert_eq!(said(&["undefinedField"]), Some(Meaning::Misconfigured));
        assert_eq!(said(&["NOT_FOUND", "ENTITY_NOT_FOUND"]), Some(Meaning::NotFound));
        assert_eq!(said(&["NOT_FOUND", "SOMETHING"]), None);
        assert_eq!(said(&["SOMETHING", "internalServerError"]), Some(Meaning::Unavailable));
        assert_eq!(meaning(&[None]), None);
    }

    #[test]
    fn errors_are_told_from_replies_that_have_none() {
        for none in [json!({ "data": {} }), json!({ "errors": null }), json!({ "errors": [] }), json!(null), json!([])]
        {
            assert_eq!(errors(&none), None, "{none}");
        }
        let forbidden = json!({ "errors": [{ "message": "m", "extensions": { "code": "FORBIDDEN" } }], "data": null });
        assert_eq!(errors(&forbidden), Some(vec![Some("FORBIDDEN".to_owned())]));
        assert_eq!(errors_alone(&forbidden), errors(&forbidden));
        assert_eq!(errors(&json!({ "errors": "no" })), Some(vec![None]));
        for other in [
            json!({ "errors": [{ "message": "m" }], "data": { "a": 1 } }),
            json!({ "errors": [{ "message": "m" }], "results": [] }),
            json!({ "errors": ["m"] }),
            json!({ "errors": [] }),
        ] {
            assert_eq!(errors_alone(&other), None, "{other}");
        }
    }
}
