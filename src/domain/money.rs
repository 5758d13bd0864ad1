//! Amounts of money: an integer of minor units and an ISO 4217 currency, never a float.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::parsed::{Invalid, text_conversions};

/// An ISO 4217 currency, by its three-letter code in upper case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency(iso_currency::Currency);

impl Currency {
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        iso_currency::Currency::from_code(text)
            .map(Self)
            .ok_or(Invalid::new("currency", "must be a code of ISO 4217, as EUR"))
    }

    pub fn as_str(&self) -> &str {
        self.0.code()
    }

    /// Decimal digits: 2 for EUR, 0 for JPY, 3 for KWD.
    pub fn exponent(&self) -> u32 {
        self.0.exponent().map_or(0, u32::from)
    }
}

text_conversions!(Currency);

/// An amount in minor units (cents) of a currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    pub amount_minor: i64,
    pub currency: Currency,
}

impl Money {
    /// Parses a decimal amount, as `129.00`, exactly. Digits beyond the currency's exponent have to be zeros.
    pub fn from_decimal(text: &str, currency: Currency) -> Result<Self, Invalid> {
        let invalid = || Invalid::new("amount", "must be a decimal number, as 129.00, with the digits of its currency");
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let plain = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !plain(whole) || !plain(fraction) {
            return Err(invalid());
        }
        let exponent = currency.exponent() as usize;
        let (kept, dropped) = fraction.split_at(fraction.len().min(exponent));
        if dropped.bytes().any(|b| b != b'0') {
            return Err(invalid());
        }
        let minor: i64 = format!("{whole}{kept:0<exponent$}").parse().map_err(|_| invalid())?;
        Ok(Self { amount_minor: if negative { -minor } else { minor }, currency })
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.currency.exponent();
        let unit = 10u64.pow(digits);
        let (sign, amount) = (if self.amount_minor < 0 { "-" } else { "" }, self.amount_minor.unsigned_abs());
        write!(f, "{sign}{}", amount / unit)?;
        if digits > 0 {
            write!(f, ".{:0width$}", amount % unit, width = digits as usize)?;
        }
        write!(f, " {}", self.currency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_with_the_digits_of_their_currency() {
        let show = |amount_minor, code| Money { amount_minor, currency: Currency::parse(code).unwrap() }.to_string();
        assert_eq!(show(12_900, "EUR"), "129.00 EUR");
        assert_eq!(show(-5, "USD"), "-0.05 USD");
        assert_eq!(show(500, "JPY"), "500 JPY");
        assert_eq!(show(1_234, "KWD"), "1.234 KWD");
        assert_eq!(show(i64::MIN, "EUR"), "-92233720368547758.08 EUR");
    }

    #[test]
    fn decimals_become_minor_units_without_a_float() {
        let read =
            |text, code| Money::from_decimal(text, Currency::parse(code).unwrap()).map(|money| money.amount_minor);
        assert_eq!(read("129.00", "EUR"), Ok(12_900));
        assert_eq!(read("-0.05", "USD"), Ok(-5));
        assert_eq!(read("129.9", "EUR"), Ok(12_990));
        assert_eq!(read("129", "EUR"), Ok(12_900));
        assert_eq!(read("500.0", "JPY"), Ok(500));
        assert_eq!(read("1.2340", "KWD"), Ok(1_234));
        for bad in ["", ".5", "1.005", "1e3", "1,00", "--1", "1.2.3", "99999999999999999999"] {
            assert!(read(bad, "EUR").is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_currency_that_does_not_exist_is_refused() {
        assert!(Currency::parse("EURO").is_err());
        assert!(Currency::parse("eur").is_err());
        assert!(Currency::parse("ZZZ").is_err());
    }
}
