//! What the parameters of metrics are written with.

use chrono::{DateTime, Utc, Weekday};
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, schema::Type};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::calendar::{Granularity, TimeRange};
use crate::domain::measure::{Dimension, Measure};
use crate::error::Problem;
use crate::http::rest::parameters::{read_instant, read_word};
use crate::reports::metrics::{Compare, Fill, Order, Rolling, Window};

/// So many of these, until now.
#[derive(Clone, Copy)]
pub(in crate::http) struct Last(
    pub(in crate::http::rest) u32,
    pub(in crate::http::rest) Granularity,
);

/// Beside which range.
#[derive(Clone, Copy)]
pub(in crate::http) enum Beside {
    Previous(Compare),
    Range(DateTime<Utc>, DateTime<Utc>),
}

impl TryFrom<Beside> for Compare {
    type Error = Problem;

    fn try_from(beside: Beside) -> Result<Self, Problem> {
        Ok(match beside {
            Beside::Previous(compare) => compare,
            Beside::Range(from, to) => Self::Range(TimeRange::new(from, to)?),
        })
    }
}

/// Reads a text; of one that cannot be read, says what it is to be.
fn read<'de, D: Deserializer<'de>, T>(
    from: D,
    read: impl FnOnce(&str) -> Option<T>,
    wanted: &str,
) -> Result<Option<T>, D::Error> {
    let text = String::deserialize(from)?;
    let found = read(&text).map(Some);
    found.ok_or_else(|| D::Error::custom(format!("`{text}` is not {wanted}")))
}

pub(in crate::http::rest) fn last<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Last>, D::Error> {
    let wanted = "a span such as 90m, 24h, 7d, 4w, 3mo, 2q or 1y";
    read(from, read_last, wanted)
}

fn read_last(text: &str) -> Option<Last> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (count, unit) = text.split_at(digits);
    let unit = match unit {
        "m" => Granularity::Minute,
        "h" => Granularity::Hour,
        "d" => Granularity::Day,
        "w" => Granularity::Week,
        "mo" => Granularity::Month,
        "q" => Granularity::Quarter,
        "y" => Granularity::Year,
        _ => return None,
    };
    Some(Last(count.parse().ok()?, unit))
}

pub(in crate::http::rest) fn weekday<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Weekday>, D::Error> {
    let wanted = "a day of the week such as MONDAY";
    read(from, |text| text.parse().ok(), wanted)
}

pub(in crate::http::rest) fn beside<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Beside>, D::Error> {
    let wanted = "PREVIOUS_PERIOD, PREVIOUS_YEAR or a range such as \
                  2026-02-01T00:00:00Z/2026-03-01T00:00:00Z";
    read(from, read_beside, wanted)
}

fn read_beside(text: &str) -> Option<Beside> {
    if let Some((from, to)) = text.split_once('/') {
        return Some(Beside::Range(read_instant(from)?, read_instant(to)?));
    }
    match text.to_ascii_uppercase().as_str() {
        "PREVIOUS_PERIOD" => Some(Beside::Previous(Compare::PreviousPeriod)),
        "PREVIOUS_YEAR" => Some(Beside::Previous(Compare::PreviousYear)),
        _ => None,
    }
}

pub(in crate::http::rest) fn rolling<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Rolling>, D::Error> {
    let wanted = "a number of buckets such as 7, 7:MEAN or 7:SUM";
    let window = |text: &str| {
        let (buckets, window) = with_variant(text, Window::Mean)?;
        Some(Rolling {
            buckets: buckets.parse().ok()?,
            window,
        })
    };
    read(from, window, wanted)
}

/// Which end comes first.
#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum End {
    Asc,
    Desc,
}

pub(in crate::http::rest) fn order<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Order>, D::Error> {
    let order = |text: &str| {
        let (measure, end) = with_variant(text, End::Desc)?;
        Some(Order {
            measure: of_enum(measure)?,
            descending: end == End::Desc,
        })
    };
    read(from, order, "a measure such as REVENUE or REVENUE:ASC")
}

/// What stands before a colon, and the variant behind it.
fn with_variant<T: DeserializeOwned>(text: &str, default: T) -> Option<(&str, T)> {
    match text.split_once(':') {
        None => Some((text, default)),
        Some((text, variant)) => Some((text, of_enum(variant)?)),
    }
}

fn of_enum<T: DeserializeOwned>(text: &str) -> Option<T> {
    read_word::<T, serde::de::value::Error>(text).ok()
}

/// Describes a parameter that is one of some words.
macro_rules! described {
    ($($name:ident = $words:expr;)+) => {$(
        pub(in crate::http) struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                RefOr::T(one_of(&$words))
            }
        }

        impl ToSchema for $name {}
    )+};
}

described! {
    Measures = Measure::ALL;
    Dimensions = Dimension::ALL;
    Fills = [Fill::Zero, Fill::Null, Fill::Previous, Fill::Linear];
    Weekdays = ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"];
}

fn one_of(words: &[impl Serialize]) -> Schema {
    let words = words.iter().map(|word| serde_json::json!(word));
    let object = ObjectBuilder::new().schema_type(Type::String);
    object.enum_values(Some(words)).into()
}
