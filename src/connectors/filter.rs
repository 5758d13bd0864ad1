//! jq filters (run by jaq): compiled once, pure, with an allow-list of functions.

use std::sync::Arc;

use jaq_core::{
    Compiler, Ctx, Vars, data,
    load::{Arena, File, Loader, Modules, parse::Def},
};
use jaq_json::Val;
use serde_json::Value;

use super::{jq_functions, outputs, text_functions, threads::RunError, values};

/// Largest output of a filter, in bytes.
const OUTPUT_BYTES_MAX: usize = 1024 * 1024;

/// Name of the definition that holds a shielded filter.
const SHIELDED: &str = "shielded_output";

/// Variables available to every filter.
pub(super) const VARIABLES: [&str; 4] = ["$input", "$settings", "$replies", "$status"];

/// Allow-list of functions: no clock, environment, input or output, and none that ends the process.
const FUNCTIONS: &str = "
    abs add all any empty error error_empty false first floor ceil round isempty last limit skip map map_values not nth
    null path path_value paths pick range recurse reverse select true walk del delpaths getpath setpath to_entries
    from_entries with_entries key_values keys keys_unsorted has in contains inside length flatten min max min_by max_by
    min_by_or_empty max_by_or_empty sort sort_by group_by unique unique_by transpose index rindex indices until while join
    type isboolean isnumber isstring isarray isobject values nulls booleans numbers strings arrays objects iterables
    scalars tostring tonumber toboolean totype tojson fromjson
    ascii_downcase ascii_upcase startswith endswith ltrimstr rtrimstr trim ltrim rtrim split splits explode implode
    utf8bytelength escape_html unescape_html encode_uri decode_uri encode_base64 decode_base64
    @text @json @html @htmld @uri @urid @base64 @base64d
    matches split_matches split_ capture_of_match test match capture scan scan_ sub gsub
    fromdate todate fromdateiso8601 todateiso8601 strptime strftime gmtime mktime
    replace strip_tags squeeze paragraphs html_text rich_text rich_text_reason
";

fn is_allowed(name: &str) -> bool {
    FUNCTIONS.split_ascii_whitespace().any(|allowed| allowed == name)
}

type Program = jaq_core::Filter<data::JustLut<Val>>;

/// A compiled filter.
#[derive(Clone)]
pub(super) struct Filter(Arc<Program>);

/// Why a filter does not compile, with its line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is not a jq filter that can be run here: {}{why}", in_line(*line))]
pub struct FilterError {
    /// Line of the filter, from 1.
    pub(super) line: Option<usize>,
    why: String,
}

fn in_line(line: Option<usize>) -> String {
    line.filter(|line| *line > 1).map(|line| format!("in its line {line}, ")).unwrap_or_default()
}

/// Compiles filters. The allowed definitions are parsed once and shared.
pub(super) struct FilterCompiler {
    definitions: Vec<Def<&'static str>>,
    /// The file's own definitions, put before every filter.
    shared: String,
}

impl FilterCompiler {
    pub(super) fn new(shared: &str) -> Result<Self, FilterError> {
        let all = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
        let definitions = jq_functions::linear(all.filter(|definition| is_allowed(definition.name)));
        let compiler = Self { definitions, shared: shared.trim_end().to_owned() };
        // A fault in the shared definitions is reported once.
        compiler.compile_whole(&format!("{}\n.", compiler.shared))?;
        Ok(compiler)
    }

    pub(super) fn compile(&self, code: &str) -> Result<Filter, FilterError> {
        match self.shared.is_empty() {
            true => self.compile_whole(code),
            false => self.compile_whole(&format!("{}\n{code}", self.shared)).map_err(|error| {
                // Lines are those of the filter as it is written.
                let before = self.shared.matches('\n').count() + 1;
                FilterError { line: error.line.and_then(|line| line.checked_sub(before)), ..error }
            }),
        }
    }

    /// The same, with each member of the output shielded from errors in the others: see [`outputs::shielded`].
    pub(super) fn compile_shielded(&self, code: &str) -> Result<Filter, FilterError> {
        // Errors refer to the filter as it is written.
        let plain = self.compile(code)?;
        let whole = format!("{}\n{code}", self.shared);
        let Some(term) = outputs::parse(&whole) else { return Ok(plain) };
        let shielded = Def { name: SHIELDED, args: Vec::new(), body: outputs::shielded(term) };
        let arena = Arena::default();
        let loader = Loader::new(self.definitions.iter().cloned().chain([shielded]));
        let Ok(modules) = loader.load(&arena, File { code: SHIELDED, path: () }) else { return Ok(plain) };
        Ok(Self::program(modules, &whole).map_or(plain, |program| Filter(Arc::new(program))))
    }

    fn compile_whole(&self, code: &str) -> Result<Filter, FilterError> {
        let arena = Arena::default();
        let loader = Loader::new(self.definitions.iter().cloned());
        let modules = loader.load(&arena, File { code, path: () }).map_err(|errors| syntax(code, &errors))?;
        Self::program(modules, code).map(|program| Filter(Arc::new(program)))
    }

    fn program(modules: Modules<&str, ()>, code: &str) -> Result<Program, FilterError> {
        let functions =
            jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs()).chain(text_functions::functions());
        Compiler::default()
            .with_funs(functions.filter(|(name, _, _)| is_allowed(name)).chain(jq_functions::functions()))
            .with_global_vars(VARIABLES)
            .compile(modules)
            .map_err(|errors| {
                let unknown: Vec<_> = errors.iter().flat_map(|(_, errors)| errors).collect();
                let names: Vec<String> =
                    unknown.iter().map(|(name, kind)| format!("there is no {} {name} here", kind.as_str())).collect();
                let line = unknown.first().and_then(|(name, _)| line(code, name));
                FilterError { line, why: names.join("; ") }
            })
    }
}

/// The line in which a part of the code begins; none if it is no part of it.
fn line(code: &str, part: &str) -> Option<usize> {
    let start = (part.as_ptr() as usize).checked_sub(code.as_ptr() as usize)?;
    Some(code.get(..start)?.matches('\n').count() + 1)
}

fn syntax(code: &str, errors: &jaq_core::load::Errors<&str, ()>) -> FilterError {
    use jaq_core::load::Error;
    let mut all = errors.iter().map(|(_, error)| match error {
        Error::Lex(errors) => {
            errors.first().map(|(expected, at)| (line(code, at), format!("expected {}", expected.as_str())))
        }
        Error::Parse(errors) => {
            errors.first().map(|(expected, at)| (line(code, at), format!("expected {}", expected.as_str())))
        }
        Error::Io(_) => Some((None, "it must not import anything".to_owned())),
    });
    let (line, why) = all.find_map(|fault| fault).unwrap_or_else(|| (None, "it cannot be parsed".to_owned()));
    FilterError { line, why }
}

/// The input of a filter: `.` and the variables in the order of [`VARIABLES`].
#[derive(Clone)]
pub(super) struct FilterScope {
    pub(super) dot: Val,
    pub(super) variables: [Val; 4],
}

impl Filter {
    /// Runs the filter on the calling thread without a time limit, and returns its first output, if any.
    pub(super) fn run(&self, scope: &FilterScope) -> Result<Option<Value>, RunError> {
        let context = Ctx::<data::JustLut<Val>>::new(&self.0.lut, Vars::new(scope.variables.clone()));
        match self.0.id.run((context, scope.dot.clone())).next() {
            None => Ok(None),
            Some(Ok(value)) => values::from_val(&value, OUTPUT_BYTES_MAX).map(Some).ok_or(RunError::TooLarge),
            Some(Err(error)) => {
                let reason = error.get_err().ok().and_then(|error| text_functions::reason(&error.into_val()));
                Err(reason.map_or(RunError::Failed, RunError::Text))
            }
        }
    }
}

impl Filter {
    /// The same with jaq's own words for a failure, which may quote data: for the terminal of whoever tries a file out.
    pub(super) fn explain(&self, scope: &FilterScope) -> Result<Option<Value>, String> {
        let context = Ctx::<data::JustLut<Val>>::new(&self.0.lut, Vars::new(scope.variables.clone()));
        match self.0.id.run((context, scope.dot.clone())).next() {
            None => Ok(None),
            Some(Ok(value)) => {
                let read = values::from_val(&value, OUTPUT_BYTES_MAX);
                read.map(Some).ok_or_else(|| RunError::TooLarge.to_string())
            }
            Some(Err(error)) => {
                Err(error.get_err().map_or_else(|_| "the filter ended itself".to_owned(), |error| error.to_string()))
            }
        }
    }
}

/// Converts JSON to a filter value. Its depth was bounded by serde_json.
pub(super) fn to_val(value: &Value) -> Val {
    serde_json::from_value(value.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn run(code: &str, dot: Value) -> Result<Option<Value>, String> {
        let filter = FilterCompiler::new("").unwrap().compile(code).map_err(|error| error.to_string())?;
        let variables = [json!({"id": "7"}), json!({}), json!([]), json!(200)].map(|value| to_val(&value));
        filter.run(&FilterScope { dot: to_val(&dot), variables }).map_err(|error| error.to_string())
    }

    #[test]
    fn every_function_on_the_list_exists_and_compiles() {
        let compiler = FilterCompiler::new("").unwrap();
        compiler.compile(".").unwrap();
        let natives: Vec<&str> = jaq_core::funs::<data::JustLut<Val>>()
            .chain(jaq_std::funs())
            .chain(jaq_json::funs())
            .chain(text_functions::functions())
            .map(|f| f.0)
            .collect();
        for name in FUNCTIONS.split_ascii_whitespace() {
            let defined = compiler.definitions.iter().any(|definition| definition.name == name);
            assert!(defined || natives.contains(&name), "{name} does not exist");
        }
    }

    #[test]
    fn every_function_on_the_list_is_in_the_reference() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference/connectors.md");
        let page = std::fs::read_to_string(path).unwrap();
        let (_, section) = page.split_once("\n### Functions\n").unwrap();
        let rows = section.split("\n### ").next().unwrap().lines().filter(|line| line.starts_with("| "));
        let listed = rows.filter_map(|row| row.split('|').nth(2)).flat_map(|names| names.split('`').skip(1).step_by(2));
        let mut listed: Vec<&str> = listed.collect();
        let mut allowed: Vec<&str> = FUNCTIONS.split_ascii_whitespace().collect();
        listed.sort_unstable();
        allowed.sort_unstable();
        assert_eq!(listed, allowed);
    }

    #[test]
    fn filters_see_their_input_and_the_variables() {
        assert_eq!(run(".a + 1", json!({"a": 1})), Ok(Some(json!(2))));
        assert_eq!(run("$input.id, 2", json!(null)), Ok(Some(json!("7"))));
        assert_eq!(run("empty", json!(null)), Ok(None));
        assert_eq!(run(".total", json!({"total": 129.10})), Ok(Some(json!(129.1))));
        assert_eq!(run(r#""2026-03-30" | @html "<\(.)>""#, json!(null)), Ok(Some(json!("<2026-03-30>"))));
        assert_eq!(run(r#".x | gsub("[^0-9]"; "")"#, json!({"x": "a1b2"})), Ok(Some(json!("12"))));
        assert_eq!(
            run(r#".x | replace("a"; "$1") | strip_tags | squeeze"#, json!({"x": "a <p>b"})),
            Ok(Some(json!("$1 b")))
        );
        assert_eq!(run(r#".x | paragraphs"#, json!({"x": "a\n\nb"})), Ok(Some(json!(["a", "b"]))));
        assert!(run(r#"replace(""; "a")"#, json!("x")).is_err() && run("squeeze", json!(1)).is_err());
    }

    #[test]
    fn a_member_that_cannot_be_made_costs_itself_alone() {
        let compiler = FilterCompiler::new("def low: ascii_downcase;").unwrap();
        let run = |code: &str, dot: Value| {
            let variables = [json!({"id": "7"}), json!({}), json!([]), json!(200)].map(|value| to_val(&value));
            compiler.compile_shielded(code).unwrap().run(&FilterScope { dot: to_val(&dot), variables }).unwrap()
        };
        let code = r#"def up: ascii_upcase;
            (.parcels | map(.n)) as $parcels
            | if .gone then null else {
                id: $input.id, status: (.status | low), code: (.code | up), $parcels,
                items: [.items[] | { name, price: (.price | tonumber) }],
              } end"#;
        let good =
            json!({ "status": "OK", "code": "a", "parcels": [{"n": 1}], "items": [{ "name": "x", "price": "1" }] });
        let whole = json!({
            "id": "7", "status": "ok", "code": "A", "parcels": [1], "items": [{ "name": "x", "price": 1 }],
        });
        assert_eq!(run(code, good.clone()), Some(whole.clone()));
        assert_eq!(run(code, json!({ "gone": true })), Some(json!(null)));
        for member in ["status", "code", "parcels", "items"] {
            let (mut odd, mut expected) = (good.clone(), whole.clone());
            odd[member] = json!(5);
            expected[member] = json!([[]]);
            assert_eq!(run(code, odd), Some(expected), "{member}");
        }
        let (mut odd, mut expected) = (good, whole);
        odd["items"][0]["price"] = json!({});
        expected["items"][0]["price"] = json!([[]]);
        assert_eq!(run(code, odd), Some(expected));
        assert!(compiler.compile_shielded("{ id: nosuch }").err().unwrap().to_string().contains("nosuch"));
    }

    #[test]
    fn what_is_shared_stands_before_every_filter() {
        let shared = FilterCompiler::new("def twice: . * 2;\n").unwrap();
        let scope = FilterScope { dot: to_val(&json!(4)), variables: std::array::from_fn(|_| Val::Null) };
        assert_eq!(shared.compile("twice").unwrap().run(&scope), Ok(Some(json!(8))));
        assert_eq!(FilterCompiler::new("\ndef twice: nosuch;").err().unwrap().line, Some(2));
        // Lines are counted from the filter's own first one.
        let lines = |code: &str| shared.compile(code).err().unwrap().line;
        assert_eq!([lines("nosuch"), lines("{\n  id: nosuch }"), lines("{\n\n id: }")], [Some(1), Some(2), Some(3)]);
    }

    #[test]
    fn nothing_reaches_out() {
        for code in [
            "env",
            "$ENV",
            "now",
            "input",
            "inputs",
            "halt",
            "halt_error",
            "debug",
            "stderr",
            "localtime",
            "input_filename",
            "$__prog_args",
            "$__loc__",
            "repeat(1)",
            "escape_sh",
            "import \"a\" as a; .",
        ] {
            assert!(run(code, json!(null)).is_err(), "{code}");
        }
    }

    #[test]
    fn errors_say_where_and_never_repeat_data() {
        let error = run("{ a: 1,\n b: }", json!(null)).unwrap_err();
        assert!(error.contains("line 2"), "{error}");
        assert!(run("nosuch(1)", json!(null)).unwrap_err().contains("nosuch"));
        assert!(!run(".x.y", json!({"x": "CANARY"})).unwrap_err().contains("CANARY"));
        assert!(!run("error(.x)", json!({"x": "CANARY"})).unwrap_err().contains("CANARY"));
    }

    #[test]
    fn outputs_are_bounded() {
        assert_eq!(run("[range(2000000)]", json!(null)), Err(RunError::TooLarge.to_string()));
        assert_eq!(run("reduce range(200) as $n (1; [.])", json!(null)), Err(RunError::TooLarge.to_string()));
    }
}
