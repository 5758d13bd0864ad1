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

    /// Whether mail can be sent to an address of this form (RFC 5321 4.1.2, RFC 6531): dotted words of at most 64 octets,
    /// `@`, and the name of a host in the public DNS. Stricter than [`parse`](Self::parse), which takes whatever a record
    /// holds; quoted words and addresses of machines are not taken.
    pub fn is_mailbox(&self) -> bool {
        let Some((local, domain)) = self.written.rsplit_once('@') else { return false };
        let words = local.split('.').all(|word| !word.is_empty() && word.chars().all(is_of_a_word));
        let mut labels = domain.split('.');
        let top = labels.next_back().unwrap_or_default();
        // RFC 3696 2: the last label has a letter, so that no address of a machine looks like a name.
        words && local.len() <= 64 && is_label(top) && top.contains(char::is_alphabetic) && {
            let mut others = labels.peekable();
            others.peek().is_some() && others.all(is_label)
        }
    }

    /// The form that comparisons and indexes use.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }
}

/// `atext` of RFC 5322 3.2.3, and letters and digits of every language (RFC 6531).
fn is_of_a_word(c: char) -> bool {
    c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c)
}

/// A label of a host name (RFC 1123 2.1), in letters of every language.
fn is_label(label: &str) -> bool {
    let within = !label.starts_with('-') && !label.ends_with('-');
    (1..=63).contains(&label.len()) && within && label.chars().all(|c| c.is_alphanumeric() || c == '-')
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
    fn an_impossible_address_is_no_mailbox_and_an_unusual_one_is() {
        let is_mailbox = |text: &str| Email::parse(text).is_ok_and(|email| email.is_mailbox());
        let long = "a".repeat(64);
        for text in [
            "ada@example.com",
            "Ada+shop@EXAMPLE.co.uk",
            "o'neil.mc_x/y=z?@a-b.example",
            "1@2.x3",
            "j\u{f6}rg@b\u{fc}cher.example",
            &format!("{long}@example.com"),
        ] {
            assert!(is_mailbox(text), "{text}");
        }
        for text in [
            "<a@b.c>",
            "a..b@x.com",
            ".a@x.com",
            "a.@x.com",
            "a@x..com",
            "a@.x.com",
            "a@x.com.",
            "mailto:a@x.com",
            "a@-b.com",
            "a@b-.com",
            "a@b",
            "a@localhost",
            "a@1.2.3.4",
            "a@[1.2.3.4]",
            "a@b_c.com",
            "a,b@x.com",
            "a(b)@x.com",
            "\"a\"@x.com",
            "a\"b@x.com",
            "a@x.com>",
            "Ada<a@x.com>",
            "a@x.com,b@y.com",
            &format!("{long}a@example.com"),
            &format!("a@{long}.com"),
        ] {
            assert!(!is_mailbox(text), "{text}");
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
