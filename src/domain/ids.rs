//! Identifiers. Each kind is a type of its own, so that a ticket id cannot be used as an order id.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{
    Timestamp,
    parsed::{Invalid, text_conversions},
};

/// Longest identifier, in characters.
const ID_CHARS_MAX: usize = 192;

fn check_id(what: &'static str, text: &str) -> Result<(), Invalid> {
    if text.is_empty() {
        return Err(Invalid::new(what, "must not be empty"));
    }
    if text.chars().count() > ID_CHARS_MAX {
        return Err(Invalid::new(what, "must have at most 192 characters"));
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(Invalid::new(what, "must not contain white space or control characters"));
    }
    Ok(())
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            pub fn parse(text: &str) -> Result<Self, Invalid> {
                check_id($what, text)?;
                Ok(Self(text.to_owned()))
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        text_conversions!($name);
    };
}

text_id!(
        /// The id of a ticket in the helpdesk.
    TicketId, "ticket id"
);
text_id!(
        /// The id of a help article in the CMS.
    ArticleId, "article id"
);
text_id!(
        /// The id of a conversation on the chat platform.
    ConversationId, "conversation id"
);
text_id!(
        /// The id of a contact in the CRM.
    ContactId, "contact id"
);
text_id!(
        /// The id of a note on a contact.
    NoteId, "note id"
);
text_id!(
        /// The calling agent (OAuth client).
    AgentId, "agent id"
);
text_id!(
        /// The id of one effect on another system, sent as external id or idempotency key so that the system recognises
        /// a retry.
    EffectId, "effect id"
);

/// An order number as customers quote it.
///
/// Printable ASCII, at most 64 characters, no `/ \ ? %`, a `#` only in front, and not `.` or `..`: safe as one segment
/// of a URL path, whatever pattern is configured on top. Comparison ignores the `#`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OrderId(String);

impl OrderId {
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        const WHAT: &str = "order id";
        if text.is_empty() || text.len() > 64 {
            return Err(Invalid::new(WHAT, "must have 1 to 64 characters"));
        }
        let bare = text.strip_prefix('#').unwrap_or(text);
        let safe = |b: u8| b.is_ascii_graphic() && !matches!(b, b'/' | b'\\' | b'?' | b'%' | b'#');
        if bare.is_empty() || !bare.bytes().all(safe) {
            return Err(Invalid::new(WHAT, "has a character that order numbers do not have"));
        }
        if bare == "." || bare == ".." {
            return Err(Invalid::new(WHAT, "must not be a path"));
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The number without the `#` that shops print in front of it.
    pub fn number(&self) -> &str {
        self.0.strip_prefix('#').unwrap_or(&self.0)
    }

    /// Whether both are the same order, with or without regard to the case of letters.
    pub fn is_same(&self, other: &Self, case_sensitive: bool) -> bool {
        match case_sensitive {
            true => self == other,
            false => self.number().eq_ignore_ascii_case(other.number()),
        }
    }
}

impl PartialEq for OrderId {
    fn eq(&self, other: &Self) -> bool {
        self.number() == other.number()
    }
}

impl Eq for OrderId {}

text_conversions!(OrderId);

impl EffectId {
    /// A new id: a ULID, 26 characters that sort by time.
    pub fn fresh() -> Self {
        Self(ulid::Ulid::generate().to_string())
    }

    /// The time at which the id was made, which is the same for every attempt.
    pub fn begun_at(&self) -> Option<Timestamp> {
        let ulid: ulid::Ulid = self.0.parse().ok()?;
        Timestamp::from_unix_ms(i64::try_from(ulid.timestamp_ms()).ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_ids_that_could_leave_their_path_segment_are_refused() {
        for bad in ["", ".", "..", "#", "#..", "%2e%2e", "a/b", "a\\b", "a?b", "a#b", "a\0b", "a b", "ä", "##1"] {
            assert!(OrderId::parse(bad).is_err(), "{bad:?}");
        }
        assert!(OrderId::parse(&"1".repeat(65)).is_err());
    }

    #[test]
    fn the_number_sign_does_not_tell_orders_apart() {
        assert_eq!(OrderId::parse("#1001").unwrap(), OrderId::parse("1001").unwrap());
        assert_ne!(OrderId::parse("1001").unwrap(), OrderId::parse("1002").unwrap());
    }

    #[test]
    fn text_ids_refuse_what_cannot_be_an_id() {
        assert!(TicketId::parse("").is_err());
        assert!(TicketId::parse("a b").is_err());
        assert!(TicketId::parse("a\nb").is_err());
        assert!(TicketId::parse(&"x".repeat(193)).is_err());
        assert_eq!(TicketId::parse("T-1").unwrap().as_str(), "T-1");
    }
}
