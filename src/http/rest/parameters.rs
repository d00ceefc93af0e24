//! The parameters of an address: each known, given once, and with a value that it can have.

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use chrono::{DateTime, FixedOffset, Utc};
use serde::de::{DeserializeOwned, Error, IntoDeserializer};
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use crate::domain::calendar::{self, TimeRange};
use crate::error::{Code, Problem};

/// What begins the message of the library that reads them.
const PREFIX: &str = "Failed to deserialize query string: ";

/// The parameters that a handler takes; anything else is [`Code::InvalidParameter`].
pub(in crate::http) struct Parameters<T>(pub(super) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Query(asked) = Query::try_from_uri(&parts.uri).map_err(|error| {
            let text = error.body_text();
            let text = text.strip_prefix(PREFIX).unwrap_or(&text);
            Problem::with(Code::InvalidParameter, format!("{text}."))
        })?;
        Ok(Self(asked))
    }
}

/// How long a bucket is, on the wall clock of the time zone.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(in crate::http) enum Granularity {
    /// 1 minute.
    Minute,
    /// 5 minutes.
    FiveMinutes,
    /// 15 minutes.
    QuarterHour,
    /// 1 hour.
    Hour,
    /// From midnight to midnight.
    Day,
    /// From Monday.
    Week,
    /// A calendar month.
    Month,
    /// From January, April, July or October.
    Quarter,
    /// A calendar year.
    Year,
    /// The whole range in one bucket.
    Total,
}

impl From<Granularity> for calendar::Granularity {
    fn from(asked: Granularity) -> Self {
        match asked {
            Granularity::Minute => Self::Minute,
            Granularity::FiveMinutes => Self::FiveMinutes,
            Granularity::QuarterHour => Self::QuarterHour,
            Granularity::Hour => Self::Hour,
            Granularity::Day => Self::Day,
            Granularity::Week => Self::Week,
            Granularity::Month => Self::Month,
            Granularity::Quarter => Self::Quarter,
            Granularity::Year => Self::Year,
            Granularity::Total => Self::Total,
        }
    }
}

/// An instant: RFC 3339 with an offset. A `+` that was not escaped has become a space on its way.
pub(super) fn instant<'de, D: Deserializer<'de>>(from: D) -> Result<DateTime<Utc>, D::Error> {
    let text = String::deserialize(from)?;
    read_instant(&text).ok_or_else(|| {
        D::Error::custom(format!(
            "`{text}` is not a time such as 2026-03-01T00:00:00Z or 2026-03-01T00:00:00+01:00"
        ))
    })
}

/// An instant, where there is one.
pub(super) fn maybe_instant<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<DateTime<Utc>>, D::Error> {
    instant(from).map(Some)
}

pub(super) fn read_instant(text: &str) -> Option<DateTime<Utc>> {
    let read = |text: &str| DateTime::<FixedOffset>::parse_from_rfc3339(text).ok();
    let escaped = || {
        let (before, offset) = text.rsplit_once(' ')?;
        read(&format!("{before}+{offset}"))
    };
    let at = read(text).or_else(escaped)?;
    Some(at.with_timezone(&Utc))
}

/// A word of an enum, in capitals or not.
pub(super) fn word<'de, D, T>(from: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let text = String::deserialize(from)?;
    read_word(&text).map(Some)
}

/// Words of an enum after commas, in capitals or not; an empty text is none.
pub(super) fn words<'de, D, T>(from: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let text = String::deserialize(from)?;
    listed(&text).map(read_word).collect()
}

/// Texts after commas; an empty text is none.
pub(super) fn texts<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<String>>, D::Error> {
    let text = String::deserialize(from)?;
    Ok(Some(listed(&text).map(str::to_owned).collect()))
}

fn listed(text: &str) -> impl Iterator<Item = &str> {
    let empty = text.trim().is_empty();
    text.split(',').map(str::trim).filter(move |_| !empty)
}

pub(super) fn read_word<T: DeserializeOwned, E: Error>(text: &str) -> Result<T, E> {
    let text = text.to_ascii_uppercase();
    T::deserialize(IntoDeserializer::<E>::into_deserializer(text))
}

/// The range of a list: open at an end that is not given; none if neither is.
pub(super) fn range(
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
) -> Result<Option<TimeRange>, Problem> {
    if from.is_none() && to.is_none() {
        return Ok(None);
    }
    let last = "2100-12-31T23:59:59Z".parse().ok();
    let from = from.unwrap_or(DateTime::UNIX_EPOCH);
    let to = to.or(last).unwrap_or(from);
    Ok(Some(TimeRange::new(from, to)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_read_with_its_plus_escaped_or_not() {
        let at = |text| read_instant(text).map(|at| at.to_rfc3339());
        let utc = |text: &str| Some(text.to_owned());
        assert_eq!(
            at("2026-03-01T01:00:00+01:00"),
            utc("2026-03-01T00:00:00+00:00")
        );
        assert_eq!(
            at("2026-03-01T01:00:00 01:00"),
            utc("2026-03-01T00:00:00+00:00")
        );
        assert_eq!(
            at("2026-03-01T00:00:00.5Z"),
            utc("2026-03-01T00:00:00.500+00:00")
        );
        for text in ["", "2026-03-01", "2026-03-01T00:00:00", "yesterday", " "] {
            assert_eq!(at(text), None, "{text}");
        }
    }

    #[test]
    fn a_range_is_open_where_no_end_is_given() {
        let at = |text: &str| Some(text.parse::<DateTime<Utc>>().unwrap());
        assert_eq!(range(None, None).ok().flatten(), None);
        let since = range(at("2026-03-01T00:00:00Z"), None)
            .ok()
            .flatten()
            .unwrap();
        assert_eq!(since.to.to_rfc3339(), "2101-01-01T00:00:00+00:00");
        let until = range(None, at("2026-03-01T00:00:00Z"))
            .ok()
            .flatten()
            .unwrap();
        assert_eq!(until.from, DateTime::UNIX_EPOCH);
        assert!(range(at("2026-03-01T00:00:00Z"), at("2026-03-01T00:00:00Z")).is_err());
    }
}
