//! The normal form of order numbers: `orders.number` of a vendor file, which is used on both sides of the comparison.

use std::{sync::mpsc, time::Duration};

use jaq_json::Val;
use serde_json::Value;

use super::{
    filter::{Filter, FilterScope},
    threads::RunError,
};

/// Numbers that are different at every vendor.
const DIFFERENT: [&str; 10] = ["1", "2", "12", "21", "1001", "1002", "1010", "2001", "10010", "20011"];
/// Time for all of them.
const TIMEOUT: Duration = Duration::from_secs(2);

/// What the filter works on: a number as `.`, without `#`.
pub(super) fn scope(number: &str, settings: &Val) -> FilterScope {
    FilterScope {
        dot: Val::utf8_str(number.to_owned()),
        variables: [Val::Null, settings.clone(), std::iter::empty::<Val>().collect(), Val::Null],
    }
}

/// Checks that the filter keeps different numbers apart, and that a normal form is its own.
pub(super) fn check(filter: &Filter, settings: &Val) -> Result<(), String> {
    let (filter, settings) = (filter.clone(), settings.clone());
    let (done, checked) = mpsc::channel();
    // A thread of its own, because a filter may never end.
    std::thread::spawn(move || done.send(compare(|number| filter.run(&scope(number, &settings)))));
    checked.recv_timeout(TIMEOUT).unwrap_or_else(|_| Err(format!("takes longer than {} s", TIMEOUT.as_secs())))
}

fn compare(normal: impl Fn(&str) -> Result<Option<Value>, RunError>) -> Result<(), String> {
    let normal = |number: &str| match normal(number) {
        Ok(Some(Value::String(text))) if !text.is_empty() => Ok(text),
        Ok(_) => Err(format!("must give a string, and does not for {number:?}")),
        Err(error) => Err(format!("fails for {number:?}: {error}")),
    };
    let mut forms: Vec<(&str, String)> = Vec::new();
    for number in DIFFERENT {
        let form = normal(number)?;
        if let Some((other, _)) = forms.iter().find(|(_, known)| known.eq_ignore_ascii_case(&form)) {
            return Err(format!("gives {form:?} for {other:?} and for {number:?}, which are two orders"));
        }
        let again = normal(&form)?;
        if again != form {
            return Err(format!("gives {again:?} for {form:?}, which it gave itself; a normal form must be its own"));
        }
        forms.push((number, form));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::connectors::filter::{FilterCompiler, to_val};

    #[test]
    fn a_filter_that_confuses_numbers_is_found() {
        let checked = |code: &str| {
            let filter = FilterCompiler::new("").unwrap().compile(code).unwrap();
            check(&filter, &to_val(&json!({ "prefix": "SO-" })))
        };
        for good in [
            ".",
            "ascii_upcase",
            "ltrimstr($settings.prefix)",
            r#"ascii_upcase | ltrimstr("SO-") | sub("^0+"; "")"#,
            r#"if startswith($settings.prefix) then . else $settings.prefix + . end"#,
            r#"until(length >= 9; "0" + .)"#,
        ] {
            assert_eq!(checked(good), Ok(()), "{good}");
        }
        for (bad, said) in [
            (r#""x""#, "two orders"),
            (".[:1]", "two orders"),
            (r#"gsub("0"; "")"#, "two orders"),
            ("tonumber", "must give a string"),
            ("empty", "must give a string"),
            (r#""SO-" + ."#, "must be its own"),
            ("error", "fails for"),
            ("last(range(1; 1e18)) | tostring", "takes longer"),
        ] {
            let error = checked(bad).unwrap_err();
            assert!(error.contains(said), "{bad}: {error}");
        }
    }
}
