//! The paths of requests: templates whose names are single segments.

use crate::upstream::BaseUrl;

/// Checks a path template. `known` are the parameter names; none if a `params` filter supplies them.
pub(super) fn check(path: &str, known: Option<&[String]>) -> Result<(), String> {
    if !path.starts_with('/') {
        return Err("must begin with /; it is taken below base_url".to_owned());
    }
    if path.contains(['?', '#']) {
        return Err("must not hold a query or a fragment; write the query as a filter in query".to_owned());
    }
    if path.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err("must not hold . or ..".to_owned());
    }
    let names: Vec<&str> = path.split('{').skip(1).filter_map(|part| Some(part.split_once('}')?.0)).collect();
    let braces = path.matches('{').count();
    if names.len() != braces || path.matches('}').count() != braces || names.contains(&"") {
        return Err("has a brace without its partner, or an empty name".to_owned());
    }
    if let Some((unknown, known)) =
        known.and_then(|known| Some((names.iter().find(|name| !known.iter().any(|one| one == *name))?, known)))
    {
        return Err(format!("names {{{unknown}}}, which the input does not have; it has {}", known.join(", ")));
    }
    let base = BaseUrl::parse("https://vendor.example", false).map_err(|error| error.to_string())?;
    base.join(path, |_| Some("x"), &[]).map(drop).map_err(|error| error.to_string())
}
