//! What questions are made of, read from a client's texts: the same for every face.

use std::time::Duration;

use chrono_tz::Tz;

use super::MAX_STALENESS;
use crate::domain::condition::Key;
use crate::domain::event::EventType;
use crate::domain::measure::Dimension;
use crate::domain::money::Currency;
use crate::error::{Code, Problem};

/// How many values a filter may list.
const MAX_LISTED: usize = 50;

/// The zone of a name, or the tenant's.
///
/// # Errors
/// [`Code::InvalidTimezone`].
pub fn zone(name: Option<&str>, tenants: Tz) -> Result<Tz, Problem> {
    let parse = |name: &str| name.parse().map_err(|_| Code::InvalidTimezone.into());
    name.map_or(Ok(tenants), parse)
}

/// The currency of a code, or the tenant's.
///
/// # Errors
/// [`Code::InvalidCurrency`].
pub fn currency(code: Option<&str>, tenants: Currency) -> Result<Currency, Problem> {
    let parse = |code| Currency::from_code(code).ok_or(Code::InvalidCurrency.into());
    code.map_or(Ok(tenants), parse)
}

/// What groups are told apart by; of a category, so many names of its path.
///
/// # Errors
/// [`Code::InvalidMetrics`] of a level below the first.
pub fn keys(dimensions: Vec<Dimension>, level: Option<i32>) -> Result<Vec<Key>, Problem> {
    if level.is_some_and(|level| level < 1) {
        let detail = "`categoryLevel` is 1 or more.";
        return Err(Problem::with(Code::InvalidMetrics, detail));
    }
    let key = |dimension| Key {
        dimension,
        level: level.filter(|_| dimension == Dimension::Category),
    };
    Ok(dimensions.into_iter().map(key).collect())
}

/// How old an answer may be.
///
/// # Errors
/// [`Code::InvalidStaleness`].
pub fn staleness(seconds: i32) -> Result<Duration, Problem> {
    let wanted = u64::try_from(seconds).ok().map(Duration::from_secs);
    wanted
        .filter(|wanted| *wanted <= MAX_STALENESS)
        .ok_or(Code::InvalidStaleness.into())
}

/// A word that stored ones are compared with. PostgreSQL refuses a NUL in a text; no stored word
/// has one.
///
/// # Errors
/// [`Code::InvalidFilter`].
pub fn word(text: Option<String>) -> Result<Option<String>, Problem> {
    match text {
        Some(text) if text.contains('\0') => Err(Code::InvalidFilter.into()),
        text => Ok(text),
    }
}

/// The types as they are stored: `page_view` is `pageview`.
///
/// # Errors
/// [`Code::InvalidFilter`] of too many, or of one that no event can have.
pub fn types(names: Vec<String>) -> Result<Vec<String>, Problem> {
    let parse = |name: String| EventType::parse(&name).map(|known| known.as_str().to_owned());
    let parsed: Option<Vec<String>> = names.into_iter().map(parse).collect();
    parsed
        .filter(|types| types.len() <= MAX_LISTED)
        .ok_or_else(|| {
            let detail = format!("`types` lists at most {MAX_LISTED} types of events.");
            Problem::with(Code::InvalidFilter, detail)
        })
}
