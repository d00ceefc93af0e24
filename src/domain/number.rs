//! Exact numbers with decimals: what measures are, whether counts, amounts or ratios.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

/// How many decimals a ratio or a mean is rounded to.
pub const RATIO_DECIMALS: u32 = 6;

/// A whole number of `10^-decimals`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Number {
    unscaled: i128,
    decimals: u32,
}

impl Number {
    /// A whole number.
    #[must_use]
    pub const fn whole(number: i128) -> Self {
        Self::new(number, 0)
    }

    /// So many units of the last decimal.
    #[must_use]
    pub const fn new(unscaled: i128, decimals: u32) -> Self {
        Self { unscaled, decimals }
    }

    /// How many units of the last decimal it is.
    #[must_use]
    pub const fn unscaled(self) -> i128 {
        self.unscaled
    }

    /// One over the other, rounded half away from zero to so many decimals; nothing over zero, and
    /// nothing where 128 bits do not hold it.
    #[must_use]
    pub fn ratio(self, over: Self, decimals: u32) -> Option<Self> {
        let (mut above, mut below) = (self.unscaled, over.unscaled);
        let scale = i128::from(decimals) + i128::from(over.decimals) - i128::from(self.decimals);
        let power = 10_i128.checked_pow(u32::try_from(scale.unsigned_abs()).ok()?)?;
        if scale < 0 {
            below = below.checked_mul(power)?;
        } else {
            above = above.checked_mul(power)?;
        }
        Some(Self::new(divide(above, below)?, decimals))
    }

    /// The sum; nothing where 128 bits do not hold it.
    #[must_use]
    pub fn plus(self, other: Self) -> Option<Self> {
        let (one, other, decimals) = self.aligned(other)?;
        Some(Self::new(one.checked_add(other)?, decimals))
    }

    /// The difference; nothing where 128 bits do not hold it.
    #[must_use]
    pub fn minus(self, other: Self) -> Option<Self> {
        self.plus(Self::new(other.unscaled.checked_neg()?, other.decimals))
    }

    /// So many times this; nothing where 128 bits do not hold it.
    #[must_use]
    pub fn times(self, times: i128) -> Option<Self> {
        Some(Self::new(self.unscaled.checked_mul(times)?, self.decimals))
    }

    fn aligned(self, other: Self) -> Option<(i128, i128, u32)> {
        let decimals = self.decimals.max(other.decimals);
        let scaled = |number: Self| {
            let power = 10_i128.checked_pow(decimals - number.decimals)?;
            number.unscaled.checked_mul(power)
        };
        Some((scaled(self)?, scaled(other)?, decimals))
    }
}

/// A quotient, rounded half away from zero; nothing over zero.
fn divide(above: i128, below: i128) -> Option<i128> {
    let quotient = above.checked_div(below)?;
    let rest = (above % below).unsigned_abs();
    let rounds = rest >= below.unsigned_abs() - rest;
    Some(match (rest > 0 && rounds, (above < 0) == (below < 0)) {
        (false, _) => quotient,
        (true, true) => quotient + 1,
        (true, false) => quotient - 1,
    })
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Number {}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        match self.aligned(*other) {
            Some((one, other, _)) => one.cmp(&other),
            // The one that is too large to be aligned is farther from zero.
            None if self.decimals < other.decimals => self.unscaled.cmp(&0),
            None => 0.cmp(&other.unscaled),
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = self.decimals as usize;
        if decimals == 0 {
            return write!(out, "{}", self.unscaled);
        }
        let sign = if self.unscaled < 0 { "-" } else { "" };
        let digits = self.unscaled.unsigned_abs().to_string();
        let digits = format!("{digits:0>width$}", width = decimals + 1);
        let (whole, fraction) = digits.split_at(digits.len() - decimals);
        write!(out, "{sign}{whole}.{fraction}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_rounded_half_away_from_zero() {
        let ratio = |above: i128, below: i128| {
            let ratio = Number::whole(above).ratio(Number::whole(below), 2);
            ratio.map(|ratio| ratio.to_string())
        };
        assert_eq!(ratio(1, 3).as_deref(), Some("0.33"));
        assert_eq!(ratio(1, 8).as_deref(), Some("0.13"));
        assert_eq!(ratio(-1, 8).as_deref(), Some("-0.13"));
        assert_eq!(ratio(2, -3).as_deref(), Some("-0.67"));
        assert_eq!(ratio(7, 1).as_deref(), Some("7.00"));
        assert_eq!(ratio(1, 0), None);
        assert_eq!(ratio(i128::MAX, 1), None);
        let cents = Number::new(1_000, 2).ratio(Number::whole(4), 2);
        assert_eq!(cents.unwrap().to_string(), "2.50");
    }

    #[test]
    fn numbers_of_several_decimals_add_up_and_compare() {
        let (a, b) = (Number::new(150, 2), Number::new(-5, 1));
        assert_eq!(a.plus(b).unwrap().to_string(), "1.00");
        assert_eq!(a.minus(b).unwrap().to_string(), "2.00");
        assert_eq!(Number::new(10, 1), Number::whole(1));
        assert!(Number::new(-11, 1) < Number::whole(-1));
        assert!(Number::whole(i128::MAX) > Number::new(1, 6));
        assert!(Number::new(1, 6) > Number::whole(i128::MIN));
        assert_eq!(Number::whole(i128::MAX).plus(Number::whole(1)), None);
        assert_eq!(Number::new(-5, 3).to_string(), "-0.005");
    }
}
