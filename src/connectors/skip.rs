//! `{ skip: "why" }` in the output of an events filter: a delivery, or a part of it, that has no effect.

use serde_json::Value;

use crate::webhooks::{NO_EVENT, skip_reason};

/// Whether an output says that something is skipped. Beside members of an event `skip` is none of them.
pub(super) fn is_skip(output: &Value) -> bool {
    let mut set = output.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    matches!((set.next(), set.next()), (Some((name, _)), None) if name == "skip")
}

/// The reasons, each once.
pub(super) fn why<'a>(skips: impl Iterator<Item = &'a Value>) -> String {
    let mut reasons: Vec<String> = Vec::new();
    for reason in skips.filter_map(|skip| skip["skip"].as_str().and_then(skip_reason)) {
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    match reasons.is_empty() {
        true => NO_EVENT.to_owned(),
        false => skip_reason(&reasons.join("; ")).unwrap_or_else(|| NO_EVENT.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_skipped_says_why() {
        for (output, expected) in [
            (json!({ "skip": "another model" }), Some("another model")),
            (json!({ "skip": "another model", "article": null }), Some("another model")),
            // An error in the member, or something else than a text.
            (json!({ "skip": [["failed"]] }), Some(NO_EVENT)),
            (json!({ "skip": null }), None),
            (json!({ "skip": "x", "article": "1" }), None),
            (json!({}), None),
            (json!("skip"), None),
        ] {
            let got = is_skip(&output).then(|| why([&output].into_iter()));
            assert_eq!(got.as_deref(), expected, "{output}");
        }
        let several = [json!({ "skip": "a" }), json!({ "skip": "b" }), json!({ "skip": "a" })];
        assert_eq!(why(several.iter()), "a; b");
    }
}
