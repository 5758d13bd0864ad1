//! Quantities: decimal numbers, since shops also sell by weight and length.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::parsed::Invalid;

/// A number of pieces, kilograms or metres: not negative, at most 12 digits before and 6 after the point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quantity(String);

const WHOLE_DIGITS_MAX: usize = 12;
const FRACTION_DIGITS_MAX: usize = 6;

impl Quantity {
    /// Parses `2`, `2.0` or `0.75`; leading and trailing zeros are dropped.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let invalid = Invalid { what: "quantity", why: "must be a decimal number from 0 up, as 2 or 0.75" };
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let plain = |digits: &str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        if !plain(whole) || !plain(fraction) {
            return Err(invalid);
        }
        let whole = match whole.trim_start_matches('0') {
            "" => "0",
            digits => digits,
        };
        let fraction = fraction.trim_end_matches('0');
        if whole.len() > WHOLE_DIGITS_MAX || fraction.len() > FRACTION_DIGITS_MAX {
            return Err(invalid);
        }
        Ok(Self(if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<u32> for Quantity {
    fn from(pieces: u32) -> Self {
        Self(pieces.to_string())
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// As a JSON number.
impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.parse::<u64>() {
            Ok(pieces) => serializer.serialize_u64(pieces),
            Err(_) => serializer.serialize_f64(self.0.parse().unwrap_or_default()),
        }
    }
}

/// From a JSON number or a string that holds one.
impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) => text,
            serde_json::Value::Number(number) => number.to_string(),
            _ => return Err(de::Error::custom("expected a number")),
        };
        Self::parse(&text).map_err(de::Error::custom)
    }
}

impl schemars::JsonSchema for Quantity {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Quantity".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "number", "minimum": 0 })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn quantities_are_decimals() {
        for (text, read) in [("2", "2"), ("2.0", "2"), ("0.750", "0.75"), ("007", "7"), ("0", "0"), ("1.500000", "1.5")]
        {
            assert_eq!(Quantity::parse(text).unwrap().as_str(), read);
        }
        for bad in ["", "-1", "1,5", "1.", ".5", "1e3", "many", " 1", "1.2345678", "1234567890123"] {
            assert!(Quantity::parse(bad).is_err(), "{bad:?}");
        }
        let read: Vec<Quantity> = serde_json::from_value(json!([1, 2.0, 0.75, "3.50"])).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), json!([1, 2, 0.75, 3.5]));
    }
}
