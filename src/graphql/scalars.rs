//! Scalars of our own.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};

use crate::domain::money::{Currency, Decimal};

/// An exact decimal number as a string, such as "29.90".
#[Scalar]
impl ScalarType for Decimal {
    fn parse(value: Value) -> InputValueResult<Self> {
        match value {
            Value::String(text) => Ok(Self(text)),
            // A literal's digits reach us exactly for whole numbers only.
            Value::Number(number) if number.is_i64() => Ok(Self(number.to_string())),
            other => Err(InputValueError::expected_type(other)),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.clone())
    }
}

/// Minor units as a decimal.
pub(super) fn decimal(minor: impl Into<i128>, currency: Currency) -> Decimal {
    Decimal(currency.format_amount(minor))
}
