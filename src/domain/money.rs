//! Money is exact: whole minor units of a currency, never a float.

use iso_currency::Currency as Iso;
use serde::{Deserialize, Serialize};

/// The largest amount of one order line, in minor units: ten billion dollars.
const MAX_AMOUNT: i64 = 1_000_000_000_000;

/// An ISO 4217 currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub struct Currency(Iso);

impl TryFrom<String> for Currency {
    type Error = &'static str;

    fn try_from(code: String) -> Result<Self, Self::Error> {
        Self::from_code(&code).ok_or("not an ISO 4217 code")
    }
}

impl From<Currency> for &'static str {
    fn from(currency: Currency) -> Self {
        currency.code()
    }
}

impl Currency {
    /// Reads a three-letter code such as `USD`.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Iso::from_code(code).map(Self)
    }

    /// The three-letter code.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// How many decimals an amount has: 2 for USD, 0 for JPY, 3 for KWD.
    #[must_use]
    pub fn decimals(self) -> u32 {
        u32::from(self.0.exponent().unwrap_or(0))
    }

    /// Reads a decimal such as `29.90` into minor units.
    ///
    /// # Errors
    /// When it is not a plain decimal of 0 to 10¹² minor units or has more decimals than the
    /// currency.
    /// Trailing zeros do not count as decimals.
    pub fn parse_amount(self, text: &str) -> Result<i64, AmountError> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let dangling = text.ends_with('.');
        if whole.is_empty() || whole.len() > 13 || dangling || !digits(whole) || !digits(fraction) {
            return Err(AmountError::Malformed);
        }
        let fraction = fraction.trim_end_matches('0');
        let decimals = self.decimals();
        if fraction.len() > decimals as usize {
            return Err(AmountError::TooManyDecimals(decimals));
        }
        let number = |part: &str| part.parse::<i64>().unwrap_or(0);
        let major = number(whole);
        let missing_zeros = decimals - u32::try_from(fraction.len()).unwrap_or(0);
        let minor = number(fraction) * 10_i64.pow(missing_zeros);
        let amount = major * 10_i64.pow(decimals) + minor;
        if amount > MAX_AMOUNT {
            return Err(AmountError::Malformed);
        }
        Ok(amount)
    }

    /// What so many pieces cost at a price: the price may have more decimals than the currency, the
    /// product may not.
    ///
    /// # Errors
    /// As [`Self::parse_amount`], of the product.
    pub fn parse_amount_of(self, price: &str, pieces: i32) -> Result<i64, AmountError> {
        /// More decimals than a float's shortest text has.
        const MAX_SCALE: usize = 20;
        let (whole, fraction) = price.split_once('.').unwrap_or((price, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let dangling = price.ends_with('.');
        if whole.is_empty() || whole.len() > 13 || dangling || !digits(whole) || !digits(fraction) {
            return Err(AmountError::Malformed);
        }
        let decimals = self.decimals();
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > MAX_SCALE {
            return Err(AmountError::TooManyDecimals(decimals));
        }
        let scale = u32::try_from(fraction.len()).unwrap_or(0);
        // What does not fit 128 bits is beyond any amount, or has digits to lose.
        let number = |part: &str| part.parse::<u128>().unwrap_or(0);
        let unscaled = number(whole) * 10_u128.pow(scale) + number(fraction);
        let pieces = u128::try_from(pieces).map_err(|_| AmountError::Malformed)?;
        let product = unscaled.checked_mul(pieces).ok_or(AmountError::Malformed)?;
        let product = product.checked_mul(10_u128.pow(decimals));
        let product = product.ok_or(AmountError::Malformed)?;
        let unit = 10_u128.pow(scale);
        if !product.is_multiple_of(unit) {
            return Err(AmountError::TooManyDecimals(decimals));
        }
        let amount = i64::try_from(product / unit).ok();
        let amount = amount.filter(|amount| *amount <= MAX_AMOUNT);
        amount.ok_or(AmountError::Malformed)
    }

    /// Writes minor units as a decimal: 2990 is `29.90` in USD.
    #[must_use]
    pub fn format_amount(self, minor: impl Into<i128>) -> String {
        let minor = minor.into();
        let decimals = self.decimals() as usize;
        if decimals == 0 {
            return minor.to_string();
        }
        let sign = if minor < 0 { "-" } else { "" };
        let digits = format!("{:0>width$}", minor.unsigned_abs(), width = decimals + 1);
        let (whole, fraction) = digits.split_at(digits.len() - decimals);
        format!("{sign}{whole}.{fraction}")
    }
}

/// Why a text is not an amount of money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AmountError {
    /// Not a plain decimal of 0 to 10¹² minor units.
    Malformed,
    /// More decimals than the currency's, which are given.
    TooManyDecimals(u32),
}

/// The mean of `total` minor units over `count`, rounded half away from zero to whole minor units.
#[must_use]
pub fn mean_amount(total: i128, count: i64) -> Option<i128> {
    let count = i128::from(count);
    if count <= 0 {
        return None;
    }
    let half = count * total.signum();
    Some((2 * total + half) / (2 * count))
}

/// A decimal number as text: exact in JSON, whatever the client's floats do.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "Written")]
pub struct Decimal(pub String);

/// How JSON may write one: what has a fraction as a text, for a number's digits may be lost.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a decimal as a text, or a whole number")]
enum Written {
    Text(String),
    Whole(i64),
}

impl From<Written> for Decimal {
    fn from(written: Written) -> Self {
        match written {
            Written::Text(text) => Self(text),
            Written::Whole(number) => Self(number.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn currency(code: &str) -> Currency {
        Currency::from_code(code).unwrap()
    }

    #[test]
    fn amounts_are_read_to_the_minor_unit_of_their_currency() {
        assert_eq!(currency("USD").parse_amount("29.9"), Ok(2990));
        assert_eq!(currency("USD").parse_amount("0.07"), Ok(7));
        assert_eq!(currency("USD").parse_amount("5.000"), Ok(500));
        assert_eq!(currency("JPY").parse_amount("1200"), Ok(1200));
        assert_eq!(currency("KWD").parse_amount("1.234"), Ok(1234));
        assert_eq!(
            currency("JPY").parse_amount("1.5"),
            Err(AmountError::TooManyDecimals(0))
        );
        assert_eq!(
            currency("USD").parse_amount("1.005"),
            Err(AmountError::TooManyDecimals(2))
        );
    }

    #[test]
    fn what_is_no_plain_decimal_is_refused() {
        for text in [
            "",
            "-1",
            "+1",
            "1e3",
            ".5",
            "5.",
            "1,50",
            " 1",
            "10000000000.01",
            "99999999999999",
            "٣",
        ] {
            assert_eq!(
                currency("USD").parse_amount(text),
                Err(AmountError::Malformed),
                "{text}"
            );
        }
        assert!(currency("USD").parse_amount("10000000000").is_ok());
    }

    #[test]
    fn a_mean_is_rounded_half_away_from_zero() {
        assert_eq!(mean_amount(5, 2), Some(3));
        assert_eq!(mean_amount(-5, 2), Some(-3));
        assert_eq!(mean_amount(250_031_563, 69_659), Some(3589));
        assert_eq!(mean_amount(1, 0), None);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(minor in 0..=1_000_000_000_000_i64, code in prop::sample::select(vec!["USD", "JPY", "KWD", "EUR"])) {
            let currency = currency(code);
            prop_assert_eq!(currency.parse_amount(&currency.format_amount(minor)), Ok(minor));
        }
    }
}
