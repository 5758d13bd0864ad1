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
    /// Parses a decimal amount, as `129.00` or `1.29e2`, without a float. What is finer than the currency's minor unit is
    /// rounded, half away from zero.
    pub fn from_decimal(text: &str, currency: Currency) -> Result<Rounded, Invalid> {
        let invalid = || Invalid::new("amount", "must be a decimal number, as 129.00");
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(unsigned) => (true, unsigned),
            None => (false, text),
        };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| invalid())?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let plain = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !plain(whole) || !plain(fraction) {
            return Err(invalid());
        }
        let digits = format!("{whole}{fraction}");
        let fraction_digits = i32::try_from(fraction.len()).map_err(|_| invalid())?;
        Self::scaled(negative, &digits, fraction_digits.saturating_sub(exponent), currency).ok_or_else(invalid)
    }

    /// An amount in units of `10^-digits` of the currency, as 12900 with 2 digits for 129.00. What is finer than the
    /// currency's minor unit is rounded, half away from zero.
    pub fn from_units(units: i64, digits: u32, currency: Currency) -> Result<Rounded, Invalid> {
        let invalid = || Invalid::new("amount", "is too large");
        let digits = i32::try_from(digits).map_err(|_| invalid())?;
        Self::scaled(units < 0, &units.unsigned_abs().to_string(), digits, currency).ok_or_else(invalid)
    }

    /// `digits` as an integer, divided by ten to the power of `fraction_digits`.
    fn scaled(negative: bool, digits: &str, fraction_digits: i32, currency: Currency) -> Option<Rounded> {
        /// More zeros than the largest amount has digits.
        const ZEROS_MAX: usize = 19;
        let digits = digits.trim_start_matches('0');
        if digits.is_empty() {
            return Some(Rounded { money: Self { amount_minor: 0, currency }, exact: true });
        }
        let shift = i32::try_from(currency.exponent()).ok()?.checked_sub(fraction_digits)?;
        let places = usize::try_from(shift.unsigned_abs()).ok()?;
        let (kept, dropped) = match shift < 0 {
            true => digits.split_at(digits.len().saturating_sub(places)),
            false => (digits, ""),
        };
        let zeros = if shift < 0 { 0 } else { places };
        if zeros > ZEROS_MAX {
            return None;
        }
        let whole: i64 = match kept {
            "" => 0,
            kept => format!("{kept}{:0<zeros$}", "").parse().ok()?,
        };
        // Shorter than the places: the first digit that is dropped is a zero that is not written.
        let up = dropped.len() == places && dropped.bytes().next().is_some_and(|digit| digit >= b'5');
        let minor = whole.checked_add(i64::from(up))?;
        let amount_minor = if negative { -minor } else { minor };
        Some(Rounded { money: Self { amount_minor, currency }, exact: dropped.bytes().all(|digit| digit == b'0') })
    }
}

/// An amount in the currency's minor units, and whether it is exactly what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rounded {
    pub money: Money,
    pub exact: bool,
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
    use proptest::prelude::*;

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

    fn read(text: &str, code: &str) -> Result<(i64, bool), Invalid> {
        let rounded = Money::from_decimal(text, Currency::parse(code).unwrap())?;
        Ok((rounded.money.amount_minor, rounded.exact))
    }

    #[test]
    fn decimals_become_minor_units_without_a_float() {
        for (text, code, minor) in [
            ("129.00", "EUR", 12_900),
            ("-0.05", "USD", -5),
            ("129.9", "EUR", 12_990),
            ("129", "EUR", 12_900),
            ("500.0", "JPY", 500),
            ("1.2340", "KWD", 1_234),
            ("1.29e2", "EUR", 12_900),
            ("5E-2", "EUR", 5),
            ("0e99", "EUR", 0),
            ("92233720368547758.07", "EUR", i64::MAX),
        ] {
            assert_eq!(read(text, code), Ok((minor, true)), "{text}");
        }
        for bad in
            ["", ".5", "1,00", "--1", "1.2.3", "99999999999999999999", "92233720368547758.08", "1e", "1e99", "NaN"]
        {
            assert!(read(bad, "EUR").is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_a_currency_cannot_hold_is_rounded_half_away_from_zero() {
        for (text, code, minor) in [
            ("0.125", "EUR", 13),
            ("-0.125", "EUR", -13),
            ("0.1249", "EUR", 12),
            ("0.004", "EUR", 0),
            ("0.0005", "EUR", 0),
            ("1e-300", "EUR", 0),
            ("0.30000000000000004", "EUR", 30),
            ("99.999", "EUR", 10_000),
            ("12.5", "JPY", 13),
        ] {
            assert_eq!(read(text, code), Ok((minor, false)), "{text}");
        }
        let units = |units, digits| {
            let rounded = Money::from_units(units, digits, Currency::parse("JPY").unwrap()).unwrap();
            (rounded.money.amount_minor, rounded.exact)
        };
        assert_eq!(units(12_900, 2), (129, true));
        assert_eq!(units(-12_950, 2), (-130, false));
        assert_eq!(units(129, 0), (129, true));
        assert!(Money::from_units(i64::MIN, 0, Currency::parse("EUR").unwrap()).is_err());
    }

    proptest! {
        #[test]
        fn an_amount_is_never_further_away_than_half_a_minor_unit(
            units in -1_000_000_000_000_i64..1_000_000_000_000,
            digits in 0_u32..9,
            code in prop::sample::select(vec!["EUR", "JPY", "KWD"]),
        ) {
            let currency = Currency::parse(code).unwrap();
            let rounded = Money::from_units(units, digits, currency).unwrap();
            // Both in the finest unit of the two.
            let (fine, own) = (digits.max(currency.exponent()), currency.exponent());
            let given = i128::from(units) * 10_i128.pow(fine - digits);
            let read = i128::from(rounded.money.amount_minor) * 10_i128.pow(fine - own);
            prop_assert!((given - read).abs() * 2 <= 10_i128.pow(fine - own));
            prop_assert_eq!(rounded.exact, given == read);
            // Written as a decimal it is the same.
            let (sign, size) = (if units < 0 { "-" } else { "" }, format!("{:0>1$}", units.unsigned_abs(), digits as usize + 1));
            let (whole, fraction) = size.split_at(size.len() - digits as usize);
            let decimal = if digits == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") };
            prop_assert_eq!(Money::from_decimal(&decimal, currency).unwrap(), rounded);
        }
    }

    #[test]
    fn a_currency_that_does_not_exist_is_refused() {
        assert!(Currency::parse("EURO").is_err());
        assert!(Currency::parse("eur").is_err());
        assert!(Currency::parse("ZZZ").is_err());
    }
}
