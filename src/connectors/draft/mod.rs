//! Drafts of vendor files: from nothing, or proposed from a vendor's API description. What cannot be known is a hole,
//! marked `HOLE:`, and a file with holes is not finished.

mod document;
mod graphql;
mod openapi;
mod propose;
mod reply;
mod shape;
mod text;

use serde_json::Value;

/// What marks a place that somebody has to fill in.
pub const HOLE: &str = "HOLE:";
/// Longest API description, in bytes.
pub const BYTES_MAX: u64 = 32 * 1024 * 1024;

/// A place to fill in: its line, and what is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hole {
    pub line: usize,
    pub what: String,
}

/// A drafted vendor file, and what was found in the description.
#[derive(Debug)]
pub struct Draft {
    pub text: String,
    /// Operations, with what they were proposed from.
    pub proposed: Vec<(String, String)>,
    /// Operations for which nothing was found.
    pub missing: Vec<&'static str>,
}

/// Why a description cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DraftError {
    #[error("is neither JSON nor YAML: {0}")]
    Syntax(String),
    #[error("is compressed; unpack it first, as with gunzip")]
    Compressed,
    #[error("is no OpenAPI description: it has neither openapi nor swagger, or no paths")]
    NotOpenApi,
    #[error(
        "is no GraphQL schema: there is no type Query; give the schema as SDL, or the result of an introspection query"
    )]
    NotGraphQl,
}

/// The holes of a vendor file.
pub fn holes(text: &str) -> Vec<Hole> {
    let found = text.lines().enumerate().filter_map(|(n, line)| {
        let what = line.split_once(HOLE)?.1.trim().trim_end_matches(['"', '\'', ')', ',']).to_owned();
        Some(Hole { line: n + 1, what })
    });
    found.collect()
}

/// A file with every part that a vendor may need, from nothing.
pub fn blank(name: &str) -> Draft {
    text::draft(name, &propose::Plan::blank())
}

/// Proposes a file from an OpenAPI description, 3.x or 2.0, in JSON or YAML.
pub fn from_openapi(name: &str, description: &[u8]) -> Result<Draft, DraftError> {
    let document = parse(description)?;
    Ok(text::draft(name, &openapi::plan(&document)?))
}

/// Proposes a file from a GraphQL schema: SDL, or the result of an introspection query.
pub fn from_graphql(name: &str, description: &[u8]) -> Result<Draft, DraftError> {
    if description.starts_with(&[0x1f, 0x8b]) {
        return Err(DraftError::Compressed);
    }
    let text = String::from_utf8_lossy(description);
    let schema = match serde_json::from_str::<Value>(&text) {
        Ok(value) => graphql::Schema::of_introspection(&value),
        Err(_) => graphql::Schema::of_sdl(&text),
    };
    let schema = schema.filter(|schema| schema.fields("Query").is_some()).ok_or(DraftError::NotGraphQl)?;
    Ok(text::draft(name, &graphql::plan(&schema)))
}

fn parse(description: &[u8]) -> Result<Value, DraftError> {
    if description.starts_with(&[0x1f, 0x8b]) {
        return Err(DraftError::Compressed);
    }
    let text = String::from_utf8_lossy(description);
    let text = text.trim_start_matches('\u{feff}');
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text).map_err(|error| DraftError::Syntax(error.to_string()));
    }
    // The default budget is for configuration files.
    let options = serde_saphyr::options! { budget: None, duplicate_keys: serde_saphyr::DuplicateKeyPolicy::LastWins };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| DraftError::Syntax(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_named_by_line() {
        let text = "a = 1\nb = 2 # HOLE: which one\nreply = 'error(\"HOLE: whose it is\")'\n";
        let found: Vec<(usize, String)> = holes(text).into_iter().map(|hole| (hole.line, hole.what)).collect();
        assert_eq!(found, [(2, "which one".to_owned()), (3, "whose it is".to_owned())]);
        assert!(!holes(&blank("own").text).is_empty());
    }
}
