//! Strings as they stand in a vendor file.

/// A string on one line.
pub(super) fn quoted(text: &str) -> String {
    match text.contains(['\'', '\n', '\\', '"']) || text.chars().any(char::is_control) {
        false => format!("\"{text}\""),
        true => toml::Value::from(text).to_string(),
    }
}

/// A string that may have several lines, raw where it can be.
pub(super) fn block(text: &str) -> String {
    let raw = !text.contains("'''") && !text.ends_with('\'') && !text.chars().any(|c| c.is_control() && c != '\n');
    match (raw, text.contains(['\n', '\''])) {
        (true, true) => format!("'''\n{text}'''"),
        (true, false) => format!("'{text}'"),
        (false, _) => toml::Value::from(text).to_string(),
    }
}
