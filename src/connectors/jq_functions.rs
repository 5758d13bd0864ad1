//! Linear-time replacements for jq functions that combine many values. jaq's own copy the intermediate result at each
//! step and take quadratic time: minutes for a customer's long text.

use jaq_core::{
    Error, RunPtr, ValR,
    load::{self, parse::Def},
    native::{self, Filter, Fun, bome},
};
use jaq_json::Val;

type Data = jaq_core::data::JustLut<Val>;

/// Replacements of jaq's definitions, with the same results.
const DEFINITIONS: &str = r#"
def join($s): map(tostring) | strings_joined($s // "");
def add(f): [f] | values_added;
def from_entries: [{}, (.[] | { (.key): .value })] | values_added;
def sub(re; f; flags):
  def handle: if isarray then capture_of_match | f end;
  [split_matches(re; flags)[] | handle] | strings_joined("");
"#;

/// jaq's definitions, with ours in place of those that they replace.
pub(super) fn linear(theirs: impl Iterator<Item = Def<&'static str>>) -> Vec<Def<&'static str>> {
    let ours = load::parse(DEFINITIONS, |parser| parser.defs()).unwrap_or_default();
    let replaced = |def: Def<&'static str>| {
        let same = ours.iter().find(|our| our.name == def.name && our.args.len() == def.args.len());
        same.cloned().unwrap_or(def)
    };
    theirs.map(replaced).collect()
}

/// Native functions that the definitions above call.
pub(super) fn functions() -> impl Iterator<Item = Fun<Data>> {
    let joined: Filter<RunPtr<Data>> = ("strings_joined", native::v(1), |mut cv| {
        let separator = cv.0.pop_var();
        bome(strings_joined(cv.1, &separator))
    });
    let added: Filter<RunPtr<Data>> = ("values_added", native::v(0), |cv| bome(values_added(cv.1)));
    [native::run::<Data>(joined), native::run::<Data>(added)].into_iter()
}

fn text(value: &Val) -> Result<&[u8], Error<Val>> {
    match value {
        Val::TStr(text) | Val::BStr(text) => Ok(text),
        Val::Null => Ok(b""),
        _ => Err(Error::str("something else than strings cannot be joined")),
    }
}

fn strings_joined(values: Val, separator: &Val) -> ValR<Val> {
    let (Val::Arr(values), separator) = (values, text(separator)?) else {
        return Err(Error::str("only an array can be joined"));
    };
    let mut joined = Vec::new();
    for (n, value) in values.iter().enumerate() {
        if n > 0 {
            joined.extend_from_slice(separator);
        }
        joined.extend_from_slice(text(value)?);
    }
    Ok(Val::utf8_str(joined))
}

fn values_added(values: Val) -> ValR<Val> {
    let Val::Arr(values) = values else { return Err(Error::str("only an array can be added up")) };
    // The sum of an empty array is null, not an empty string.
    let are_texts = !values.is_empty() && values.iter().all(|value| matches!(value, Val::TStr(_)));
    if are_texts {
        return strings_joined(Val::Arr(values), &Val::Null);
    }
    // The sum has a single owner, so adding to it copies only the new part.
    values.iter().cloned().try_fold(Val::Null, |sum, value| sum + value)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::connectors::{
        filter::{FilterCompiler, FilterScope, to_val},
        threads::{FilterThreads, RunError},
    };

    fn scope(dot: &Value) -> FilterScope {
        FilterScope { dot: to_val(dot), variables: std::array::from_fn(|_| Val::Null) }
    }

    #[test]
    fn results_are_those_of_jq() {
        for (code, dot, expected) in [
            (r#"join(", ")"#, json!(["a", "b", 3]), json!("a, b, 3")),
            (r#"join("x")"#, json!([]), json!("")),
            (r#"join("")"#, json!(["é", "\u{1F600}"]), json!("é\u{1F600}")),
            ("join(null)", json!(["a", "b"]), json!("ab")),
            ("add", json!([]), json!(null)),
            ("add", json!(["a", "b"]), json!("ab")),
            ("add", json!(["a", null, "b"]), json!("ab")),
            ("add", json!([1, 2, null]), json!(3)),
            ("add", json!([[1], [2, 3]]), json!([1, 2, 3])),
            ("add", json!([{ "a": 1 }, { "a": 2, "b": 3 }]), json!({ "a": 2, "b": 3 })),
            ("add(.[].n)", json!([{ "n": 1 }, { "n": 5 }]), json!(6)),
            ("add", json!({ "a": "x", "b": "y" }), json!("xy")),
            ("to_entries | from_entries", json!({ "b": 1, "a": [] }), json!({ "b": 1, "a": [] })),
            ("from_entries", json!([]), json!({})),
            ("with_entries(.value += 1)", json!({ "a": 1 }), json!({ "a": 2 })),
            (r#"sub("b+"; "_")"#, json!("abbabb"), json!("a_abb")),
            (r#"gsub("b+"; "_")"#, json!("abbabb"), json!("a_a_")),
            (r#"gsub("(?<x>[a-z])(?<y>[0-9])"; .y + .x)"#, json!("a1-b2"), json!("1a-2b")),
            (r#"gsub("B"; "_"; "i")"#, json!("abc"), json!("a_c")),
            (r#"gsub("x"; "_")"#, json!(""), json!("")),
            (r#"gsub("é"; empty)"#, json!("aéb"), json!("ab")),
        ] {
            let filter = FilterCompiler::new("").unwrap().compile(code).unwrap();
            assert_eq!(filter.run(&scope(&dot)), Ok(Some(expected)), "{code}");
        }
        for (code, dot) in [("join(1)", json!(["a", "b"])), (r#"gsub("a"; 1)"#, json!("a")), ("add", json!(["a", 1]))] {
            let filter = FilterCompiler::new("").unwrap().compile(code).unwrap();
            assert_eq!(filter.run(&scope(&dot)), Err(RunError::Failed), "{code}");
        }
    }

    #[test]
    fn what_is_put_together_takes_its_length_and_not_its_square() {
        let threads = FilterThreads::start("test");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        // Copying what there is so far for each of 4,000 pieces of 4 KiB would move 32 GB.
        for code in [
            r#"[range(4000)] | map($piece) | join("") | length"#,
            "[range(4000)] | map($piece) | add | length",
            "add(range(4000) | $piece) | length",
            "[range(12000) | [.]] | add | length",
            r#"[range(12000) | { key: "k\(.)", value: . }] | from_entries | length"#,
        ] {
            let filter = FilterCompiler::new("").unwrap().compile(&format!(". as $piece | {code}")).unwrap();
            let scope = scope(&json!("x".repeat(4096)));
            let done = runtime.block_on(threads.run(move || filter.run(&scope)));
            assert!(matches!(done, Ok(Some(_))), "{code}: {done:?}");
        }
    }
}
