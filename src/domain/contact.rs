//! CRM contacts: their owner, and text fields by name.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use super::{
    ContactId, CustomerId, Email,
    parsed::{Invalid, text_conversions},
    text::line,
};

/// A contact in the CRM. Its owner has to be checked before it is changed.
#[derive(Debug, Clone)]
pub struct Contact {
    pub id: ContactId,
    pub customer: Option<CustomerId>,
    pub email: Option<Email>,
    pub fields: ContactFields,
}

/// Field values by name, sorted.
pub type ContactFields = BTreeMap<FieldName, FieldValue>;

/// The name of a contact field: lower case, as `first_name`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct FieldName(String);

impl FieldName {
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let rest = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if text.len() > 64 || !text.starts_with(|c: char| c.is_ascii_lowercase()) || !text.chars().all(rest) {
            return Err(Invalid::new("field name", "must be lower case letters, digits and _, at most 64"));
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

text_conversions!(FieldName);

/// The value of a contact field, safe to be opened in a spreadsheet. `Debug` hides it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FieldValue(String);

impl FieldValue {
    /// Validates and normalises a new value of the field `name`, at most 255 characters.
    ///
    /// `phone` becomes E.164, `language` a BCP 47 tag. Other text becomes one line, and gets an apostrophe in front
    /// where a spreadsheet would run it as a formula (OWASP, CSV injection).
    pub fn parse(name: &FieldName, text: &str) -> Result<Self, Invalid> {
        if text.chars().count() > 255 {
            return Err(Invalid::new("contact field", "must have at most 255 characters"));
        }
        match name.as_str() {
            "phone" => phone(text).map(Self),
            "language" => language(text).map(Self),
            // A line break would begin a new record in a CSV export.
            _ => Ok(Self(without_formula(line(text).trim()))),
        }
    }

    /// A value that the CRM already holds: not validated.
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Free text (a note) with the same protection against formulas; line breaks stay.
    pub fn harmless(text: &str) -> String {
        without_formula(text)
    }
}

impl fmt::Debug for FieldValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FieldValue(…)")
    }
}

/// ITU-T E.164: plus, country code, at most 15 digits in all.
fn is_e164(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0')
    })
}

/// Normalises a phone number to E.164: removes punctuation and the `(0)` that is dialled only inside the country, and
/// reads `00` in front as `+`.
fn phone(text: &str) -> Result<String, Invalid> {
    const WHAT: &str = "phone";
    // NFKC turns full-width digits into ASCII; address books add invisible characters.
    let plain: String = text.nfkc().filter(|c| !is_invisible(*c) && !c.is_whitespace() && !c.is_control()).collect();
    let plain = plain.strip_prefix("tel:").unwrap_or(&plain);
    // In Italy the 0 is part of the number and is dialled from abroad, too.
    let italian = ["+39", "0039", "(+39)"].iter().any(|code| plain.starts_with(code));
    let plain = if italian { plain.to_owned() } else { plain.replace("(0)", "") };
    let number: String = plain
        .chars()
        .filter(|c| !matches!(c, '.' | '-' | '(' | ')' | '/' | '\u{2010}'..='\u{2015}' | '\u{2212}'))
        .collect();
    let number = match number.strip_prefix("00") {
        Some(rest) => format!("+{rest}"),
        None => number,
    };
    if is_e164(&number) {
        return Ok(number);
    }
    let national = !number.starts_with('+') && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    Err(match national {
        true => Invalid::new(WHAT, "must begin with + and the country code, as +44 20 7946 0199; this one has none"),
        false => {
            Invalid::new(WHAT, "must be one number with + and country code, of 7 to 15 digits, as +44 20 7946 0199")
        }
    })
}

/// A BCP 47 tag. An underscore, as other systems write it, becomes a hyphen.
fn language(text: &str) -> Result<String, Invalid> {
    let tag = text.trim().replace('_', "-");
    match is_language_tag(&tag) {
        true => Ok(tag),
        false => Err(Invalid::new("language", "must be a BCP 47 tag, as en or pt-BR")),
    }
}

fn is_language_tag(text: &str) -> bool {
    let mut parts = text.split('-');
    let primary = parts.next().unwrap_or_default();
    (2..=3).contains(&primary.len())
        && primary.bytes().all(|b| b.is_ascii_alphabetic())
        && parts.all(|part| (2..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// Zero-width, bidi and tag characters: invisible, and ignored by a spreadsheet in front of a formula.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Puts an apostrophe in front of a formula, also where white space or invisible characters precede it, or its sign is
/// full-width.
fn without_formula(text: &str) -> String {
    let seen = text.chars().find(|c| !c.is_whitespace() && !c.is_control() && !is_invisible(*c));
    let runs = seen.is_some_and(|c| c.nfkc().next().is_some_and(|plain| matches!(plain, '=' | '+' | '-' | '@')));
    match runs || text.starts_with(['\t', '\r']) {
        true => format!("'{text}"),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &str, text: &str) -> Result<String, Invalid> {
        FieldValue::parse(&FieldName::parse(name)?, text).map(|value| value.as_str().to_owned())
    }

    #[test]
    fn formulas_are_neutralised_and_phones_left_alone() {
        assert_eq!(parse("company", "=HYPERLINK(1)").unwrap(), "'=HYPERLINK(1)");
        assert_eq!(parse("company", "\t=1").unwrap(), "'=1");
        assert_eq!(FieldValue::harmless("\t=1"), "'\t=1");
        assert_eq!(parse("phone", "+4915112345678").unwrap(), "+4915112345678");
        assert_eq!(parse("company", "Analytical Engines").unwrap(), "Analytical Engines");
    }

    #[test]
    fn a_formula_is_seen_behind_whatever_stands_in_front_of_it() {
        let fronts = ["", " ", "\t", "\r\n", "\u{a0}", "\u{3000}", "\u{200b}", "\u{feff}", "\u{202e}", " \u{2060}\t"];
        // ASCII, full width and small forms.
        let signs = ["=", "+", "-", "@", "\u{ff1d}", "\u{ff0b}", "\u{ff0d}", "\u{ff20}", "\u{fe66}", "\u{fe62}"];
        for (front, sign) in fronts.iter().flat_map(|front| signs.map(|sign| (front, sign))) {
            let text = format!("{front}{sign}cmd()");
            assert!(parse("company", &text).unwrap().starts_with('\''), "{text:?}");
            assert!(FieldValue::harmless(&text).starts_with('\''), "{text:?}");
        }
        for fine in ["Müller - Söhne", "a=b", "'quoted'", "…"] {
            assert_eq!(parse("company", fine).unwrap(), fine);
            assert_eq!(FieldValue::harmless(fine), fine);
        }
    }

    #[test]
    fn a_contact_field_has_one_line() {
        for breaks in ["a\nb", "a\rb", "a\u{2028}b", "a\u{85}b", " a\tb\n"] {
            assert_eq!(parse("company", breaks).unwrap(), "a b", "{breaks:?}");
        }
    }

    #[test]
    fn phones_as_people_write_them_become_e164() {
        for written in [
            "+44 20 7946 0199",
            "0044 20 7946-0199",
            "+44 (0)20 7946 0199",
            "(+44) 20.7946.0199",
            "\u{202d}+44\u{a0}20\u{2011}7946\u{2013}0199\u{202c}",
            "+44/20/79460199",
            "\u{ff0b}\u{ff14}\u{ff14} 2079460199",
            "tel:+442079460199",
        ] {
            assert_eq!(parse("phone", written).unwrap(), "+442079460199", "{written:?}");
        }
        assert_eq!(parse("phone", "+39 (0)6 1234 5678").unwrap(), "+390612345678");
        for national in ["020 7946 0199", "(415) 555-2671", "0151 234"] {
            assert!(parse("phone", national).unwrap_err().why.contains("has none"), "{national:?}");
        }
    }

    #[test]
    fn fields_with_a_format_keep_it() {
        for bad in ["", " ", "0151", "+0151123456", "+49 151", "+1234567890123456", "=1+1", "+44 20 7946 0199 ext. 3"] {
            assert!(parse("phone", bad).is_err(), "{bad:?}");
        }
        assert!(parse("language", "english!").is_err());
        assert_eq!(parse("language", "pt-BR").unwrap(), "pt-BR");
        assert_eq!(parse("language", "pt_BR ").unwrap(), "pt-BR");
        assert!(FieldName::parse("First Name").is_err());
    }
}
