//! The JSON Schema of vendor files, for editors.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use super::file::VendorFile;

/// The schema as written to `schemas/connector.json`. Draft 7, which editors of TOML know.
pub fn schema() -> Map<String, Value> {
    let schema = SchemaSettings::draft07().into_generator().into_root_schema_for::<VendorFile>();
    match schema.to_value() {
        Value::Object(mut schema) => {
            schema.insert("title".to_owned(), "frontdesk vendor file".into());
            schema
        }
        _ => Map::new(),
    }
}
