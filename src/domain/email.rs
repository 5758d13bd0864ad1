//! Email addresses, and the one rule for comparing them.

use std::{
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
};

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use super::parsed::{Invalid, text_conversions};

/// An email address. Comparison ignores the case of ASCII letters; all else has to be equal after NFC.
///
/// Nothing is trimmed, and neither plus-tags nor dots are removed: a different address is another mailbox. `Debug`
/// hides the value.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Email {
    written: String,
    canonical: String,
}

impl Email {
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        const WHAT: &str = "email address";
        // RFC 5321 4.5.3.1: a path has at most 256 octets, two of them angle brackets.
        if text.len() > 254 {
            return Err(Invalid::new(WHAT, "must have at most 254 octets"));
        }
        if text.chars().any(is_invisible) {
            return Err(Invalid::new(WHAT, "must not contain white space, control or invisible characters"));
        }
        // A few code points (KELVIN SIGN, GREEK QUESTION MARK …) become ASCII under NFC and would equal it.
        if text.chars().any(|c| !c.is_ascii() && c.nfc().any(|n| n.is_ascii())) {
            return Err(Invalid::new(WHAT, "has a character that imitates an ASCII one"));
        }
        match text.rsplit_once('@') {
            Some((local, domain)) if !local.is_empty() && !domain.is_empty() && !local.contains('@') => {}
            _ => return Err(Invalid::new(WHAT, "must have the form name@domain")),
        }
        let canonical = text.nfc().map(|c| c.to_ascii_lowercase()).collect();
        Ok(Self { written: text.to_owned(), canonical })
    }

    /// The address as given.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// The form that comparisons and indexes use.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }
}

/// White space, control, bidi and zero-width characters.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || c.is_whitespace()
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e0fff}')
}

impl PartialEq for Email {
    fn eq(&self, other: &Self) -> bool {
        self.canonical == other.canonical
    }
}

impl Eq for Email {}

impl Hash for Email {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.canonical.hash(state);
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(…)")
    }
}

text_conversions!(Email);

#[cfg(test)]
mod tests {
    use super::*;

    fn equal(a: &str, b: &str) -> bool {
        match (Email::parse(a), Email::parse(b)) {
            (Ok(a), Ok(b)) => a == b,
            _ => false,
        }
    }

    #[test]
    fn ascii_case_is_the_only_difference_forgiven() {
        assert!(equal("Ada@Example.com", "ada@example.COM"));
        assert!(equal("caf\u{e9}@example.com", "cafe\u{301}@example.com"));
        for other in [
            "ada+shop@example.com",
            "a.da@example.com",
            "ada@example.com.",
            " ada@example.com",
            "ada@example.com ",
            "\u{ff41}da@example.com",
            "a\u{200b}da@example.com",
            "\u{430}da@example.com",
            "ada@ex\u{202e}ample.com",
        ] {
            assert!(!equal("ada@example.com", other), "{other:?}");
        }
    }

    #[test]
    fn look_alikes_of_k_and_i_never_match() {
        assert!(!equal("kay@example.com", "\u{212a}ay@example.com"));
        assert!(!equal("ida@example.com", "\u{131}da@example.com"));
        assert!(!equal("ida@example.com", "\u{130}da@example.com"));
    }

    #[test]
    fn debug_hides_the_address() {
        assert_eq!(format!("{:?}", Email::parse("ada@example.com").unwrap()), "Email(…)");
    }
}
