//! Why a delivery has no effect. Reasons are logged and answered, so they hold no text of the body but names.

/// The reason for a signed delivery without a body.
pub const PING: &str = "a ping: the body is empty";
/// The reason where the events filter gives nothing.
pub const NO_EVENT: &str = "the events filter gave no event for this delivery";

const NAME_CHARS_MAX: usize = 64;
const REASON_CHARS_MAX: usize = 200;

/// Whether a text looks like a name of a kind or of a type.
fn is_name(text: &str) -> bool {
    let named = |octet: u8| octet.is_ascii_alphanumeric() || b"._-:".contains(&octet);
    (1..=NAME_CHARS_MAX).contains(&text.len()) && text.bytes().all(named)
}

/// The reason for an event of a kind that has no effect. `what` is what its vendor calls a kind.
pub fn skipped_kind(what: &str, kind: &str) -> String {
    match is_name(kind) {
        true => format!("the {what} {kind} has no effect here"),
        false => format!("its {what} has no effect here"),
    }
}

/// A reason that a vendor file gives, fit for one line of a log. None if nothing of it is left.
pub fn skip_reason(text: &str) -> Option<String> {
    let reason: String = text.chars().filter(|c| !c.is_control()).take(REASON_CHARS_MAX).collect();
    (!reason.trim().is_empty()).then_some(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_named_only_if_it_is_a_name() {
        assert_eq!(skipped_kind("event", "a.b_c-d:1"), "the event a.b_c-d:1 has no effect here");
        for text in ["", "Jane Doe", "jane@example.com", "ä", "a\nb", &"a".repeat(65)] {
            assert_eq!(skipped_kind("event", text), "its event has no effect here", "{text:?}");
        }
    }

    #[test]
    fn a_reason_is_one_line_of_bounded_length() {
        assert_eq!(skip_reason("another\n\u{1b}[31mmodel").as_deref(), Some("another[31mmodel"));
        assert_eq!(skip_reason(&"é".repeat(300)).map(|reason| reason.chars().count()), Some(200));
        assert_eq!(skip_reason(" \n"), None);
    }
}
