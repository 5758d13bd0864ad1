//! Languages of customers and of articles.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::parsed::{Invalid, text_conversions};

/// A language tag (BCP 47), as `de` or `de-AT`. `_` is read as `-`, and letters' case makes no difference.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Language(String);

impl Language {
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        const WRONG: Invalid = Invalid::new("language", "must be a language tag, as de or de-AT");
        if text.len() > 35 {
            return Err(WRONG);
        }
        let mut tag = String::with_capacity(text.len());
        for (n, part) in text.split(['-', '_']).enumerate() {
            let letters = part.bytes().all(|octet| octet.is_ascii_alphabetic());
            let fits = (1..=8).contains(&part.len()) && part.bytes().all(|octet| octet.is_ascii_alphanumeric());
            if !fits || (n == 0 && (part.len() < 2 || !letters)) {
                return Err(WRONG);
            }
            match (n, part.len()) {
                (0, _) => tag.push_str(&part.to_ascii_lowercase()),
                (_, 2) if letters => tag.push_str(&format!("-{}", part.to_ascii_uppercase())),
                (_, 4) if letters => {
                    let (first, rest) = part.split_at(1);
                    tag.push_str(&format!("-{}{}", first.to_ascii_uppercase(), rest.to_ascii_lowercase()));
                }
                _ => tag.push_str(&format!("-{}", part.to_ascii_lowercase())),
            }
        }
        Ok(Self(tag))
    }

    pub fn english() -> Self {
        Self("en".to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The language without script, region and variant: `de` of `de-AT`.
    pub fn primary(&self) -> &str {
        self.0.split('-').next().unwrap_or(&self.0)
    }
}

text_conversions!(Language);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_written_in_one_way() {
        for (text, expected) in [
            ("de", "de"),
            ("DE", "de"),
            ("de_at", "de-AT"),
            ("zh-hant-tw", "zh-Hant-TW"),
            ("de_DE_formal", "de-DE-formal"),
            ("es-419", "es-419"),
        ] {
            assert_eq!(Language::parse(text).unwrap().as_str(), expected);
        }
        assert_eq!(Language::parse("pt_BR").unwrap().primary(), "pt");
        for wrong in ["", "d", "1a", "de-", "de--at", "de at", "dé", "englishlanguage", &"a-".repeat(20)] {
            assert!(Language::parse(wrong).is_err(), "{wrong}");
        }
    }
}
