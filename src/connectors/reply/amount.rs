//! Amounts of money as vendors write them.

use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

use super::Word;
use crate::domain::{Currency, Money, Rounded};

/// A decimal, or an integer of units with their digits.
pub(super) enum Amount {
    Decimal(Word),
    Units(Units),
}

/// `{ minor: 12900, digits: 2 }` is 129.00.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Units {
    minor: Word,
    /// Default: those of the currency.
    digits: Option<u32>,
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        match value {
            Value::Object(_) => serde_json::from_value(value).map(Self::Units).map_err(de::Error::custom),
            value => serde_json::from_value(value).map(Self::Decimal).map_err(de::Error::custom),
        }
    }
}

impl Amount {
    pub(super) fn money(self, currency: Currency) -> Result<Rounded, String> {
        match self {
            Self::Decimal(decimal) => Money::from_decimal(&decimal.0, currency),
            Self::Units(Units { minor, digits }) => {
                let units = whole(&minor.0).ok_or("minor: must be an integer")?;
                Money::from_units(units, digits.unwrap_or_else(|| currency.exponent()), currency)
            }
        }
        .map_err(|invalid| invalid.why.to_string())
    }
}

/// An integer, also as filters calculate it: 12900.0.
fn whole(text: &str) -> Option<i64> {
    let integer =
        text.split_once('.').filter(|(_, zeros)| zeros.bytes().all(|b| b == b'0')).map_or(text, |(whole, _)| whole);
    integer.parse().ok()
}
