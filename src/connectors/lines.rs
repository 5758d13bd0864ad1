//! Where a key of a vendor file stands, for messages.

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// The line of a key, such as `orders.find.reply` or `errors[2].when`; of the nearest section, if the key is not there.
/// `within` is a line of the text that is its value.
pub(super) fn line(text: &str, key: &str, within: Option<usize>) -> Option<usize> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (start, whole) = start(DeTable::parse(text).ok()?.get_ref(), key);
    let line = text.get(..start?)?.matches('\n').count() + 1;
    let value = text.get(start?..)?;
    match within.filter(|_| whole) {
        None => Some(line),
        // A line break after the quotes does not belong to the text.
        Some(within) => {
            let is_below = ["'''\n", "'''\r\n", "\"\"\"\n", "\"\"\"\r\n"].iter().any(|open| value.starts_with(open));
            Some(line + within - usize::from(!is_below))
        }
    }
}

/// The start of the deepest part of the key that is there, and whether that is the whole key.
fn start(table: &DeTable<'_>, key: &str) -> (Option<usize>, bool) {
    let (mut table, mut start) = (table, None);
    let names: Vec<&str> = key.split('.').collect();
    for (n, segment) in names.iter().enumerate() {
        let (name, index) = match segment.strip_suffix(']').and_then(|segment| segment.split_once('[')) {
            Some((name, index)) => (name, index.parse::<usize>().ok()),
            None => (*segment, None),
        };
        let Some(value) = table.get(name).and_then(|value| item(value, index)) else { return (start, false) };
        start = Some(value.span().start);
        if n + 1 == names.len() {
            return (start, true);
        }
        match value.get_ref() {
            DeValue::Table(inner) => table = inner,
            _ => return (start, false),
        }
    }
    (start, false)
}

fn item<'a, 'i>(value: &'a Spanned<DeValue<'i>>, index: Option<usize>) -> Option<&'a Spanned<DeValue<'i>>> {
    match (index, value.get_ref()) {
        (None, _) => Some(value),
        (Some(index), DeValue::Array(items)) => items.get(index),
        // A single request is not numbered in the file.
        (Some(_), _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_and_a_line_of_its_text_are_found() {
        let text = "name = \"own\"\n\n[[errors]]\nstatus = [1]\n\n[[errors]]\nas = \"ok\"\nwhen = '.a'\n\n[orders]\n\
                    [[orders.find]]\npath = \"/\"\n\n[[orders.find]]\nreply = '''\n{\n  id\n}'''\nbody = '''.a\n| .b'''\n";
        for (key, within, expected) in [
            ("name", None, Some(1)),
            ("errors[1].when", Some(1), Some(8)),
            ("errors[1].field", Some(1), Some(6)),
            ("orders.find[1].reply", None, Some(15)),
            ("orders.find[1].reply", Some(1), Some(16)),
            ("orders.find[1].reply", Some(3), Some(18)),
            ("orders.find[1].body", Some(2), Some(20)),
            ("orders.find[0].method", None, Some(11)),
            ("health.path", None, None),
        ] {
            assert_eq!(line(text, key, within), expected, "{key}, {within:?}");
        }
        assert_eq!(line("= not toml", "name", None), None);
    }
}
