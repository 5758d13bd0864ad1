//! CRM contacts: a few named text fields, and whose they are.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{
    ContactId, CustomerId, Email,
    ids::{Invalid, text_conversions},
};

/// A contact as the CRM keeps it. Not to be changed before it is checked whose it is.
#[derive(Debug, Clone)]
pub struct Contact {
    pub id: ContactId,
    pub customer: Option<CustomerId>,
    pub email: Option<Email>,
    pub fields: ContactFields,
}

/// Field values by name, in a fixed order.
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
    /// Checks a new value of the field `name` and makes it harmless.
    ///
    /// A phone number has to be E.164 and stays as it is; other text that a spreadsheet would run as a formula gets an
    /// apostrophe in front (OWASP, CSV injection).
    pub fn parse(name: &FieldName, text: &str) -> Result<Self, Invalid> {
        if text.chars().count() > 255 {
            return Err(Invalid::new("contact field", "must have at most 255 characters"));
        }
        match name.as_str() {
            "phone" if is_e164(text) => Ok(Self(text.to_owned())),
            "phone" => Err(Invalid::new(
                "phone",
                "must be an international number with + and country code and digits only, as +4915112345678",
            )),
            "language" if !is_language_tag(text) => {
                Err(Invalid::new("language", "must be a BCP 47 tag, as en or pt-BR"))
            }
            _ => Ok(Self(without_formula(text))),
        }
    }

    /// A value as a CRM keeps it already, which is not ours to refuse.
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Free text (a note) made harmless in the same way.
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

fn is_language_tag(text: &str) -> bool {
    let mut parts = text.split('-');
    let primary = parts.next().unwrap_or_default();
    (2..=3).contains(&primary.len())
        && primary.bytes().all(|b| b.is_ascii_alphabetic())
        && parts.all(|part| (2..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric()))
}

fn without_formula(text: &str) -> String {
    match text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
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
        assert_eq!(parse("company", "\t=1").unwrap(), "'\t=1");
        assert_eq!(parse("phone", "+4915112345678").unwrap(), "+4915112345678");
        assert_eq!(parse("company", "Analytical Engines").unwrap(), "Analytical Engines");
    }

    #[test]
    fn fields_with_a_format_keep_it() {
        for bad in ["", "0151", "+0151123456", "+49 151", "+1234567890123456", "=1+1"] {
            assert!(parse("phone", bad).is_err(), "{bad:?}");
        }
        assert!(parse("language", "english!").is_err());
        assert_eq!(parse("language", "pt-BR").unwrap(), "pt-BR");
        assert!(FieldName::parse("First Name").is_err());
    }
}
