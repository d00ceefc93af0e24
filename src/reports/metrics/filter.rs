//! The filter of a question as a client writes it, and the condition that it is.

use serde::Deserialize;

use crate::domain::condition::{Condition, MAX_DEPTH, MAX_VALUES, Test};
use crate::domain::event::EventType;
use crate::domain::measure::Dimension;
use crate::domain::money::Decimal;
use crate::error::{Code, Problem};

/// How many bytes a filter may have as JSON.
const MAX_BYTES: usize = 16_384;
/// How many names a property's path may have, and how many bytes a value.
const MAX_PATH: usize = 16;
const MAX_VALUE: usize = 2_048;
/// How many digits a number in a filter may have.
const MAX_DIGITS: usize = 40;

/// Which facts count.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Filter {
    /// Those for which all of these hold.
    And(Vec<Self>),
    /// Those for which one of these holds.
    Or(Vec<Self>),
    /// Those for which this does not hold.
    Not(Box<Self>),
    /// Those of some values of a dimension.
    Dimension(DimensionFilter),
    /// Those of events with some property.
    Property(PropertyFilter),
}

/// Some values of a dimension.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DimensionFilter {
    /// Of which.
    pub dimension: Dimension,
    /// One of these.
    pub r#in: Vec<String>,
}

/// What is asked of a property; exactly one of the last four.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PropertyFilter {
    /// Its name, after those of the objects that it lies in.
    pub path: Vec<String>,
    /// That it is there, or is not.
    pub exists: Option<bool>,
    /// That it is one of these texts.
    pub r#in: Option<Vec<String>>,
    /// That it is a number, of at least this.
    pub min: Option<Decimal>,
    /// That it is a number, of at most this.
    pub max: Option<Decimal>,
}

fn refused(detail: impl Into<String>) -> Problem {
    Problem::with(Code::InvalidFilter, detail)
}

/// Values that the database can be asked for.
fn values(values: Vec<String>) -> Result<Vec<String>, Problem> {
    let is_good = |value: &String| value.len() <= MAX_VALUE && !value.contains('\0');
    if values.len() > MAX_VALUES || !values.iter().all(is_good) {
        let detail = format!(
            "A filter lists at most {MAX_VALUES} values, of {MAX_VALUE} bytes without NUL at most."
        );
        return Err(refused(detail));
    }
    Ok(values)
}

/// A plain decimal, which PostgreSQL reads as a number.
fn number(Decimal(text): Decimal) -> Result<String, Problem> {
    let digits = text.strip_prefix('-').unwrap_or(&text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if text.len() > MAX_DIGITS || !is_number(whole) || !is_number(fraction) {
        return Err(refused("`min` and `max` are plain decimals such as -1.5."));
    }
    Ok(text)
}

impl Filter {
    /// One that is written as JSON.
    ///
    /// # Errors
    /// [`Code::InvalidFilter`] of a text that is none, or is too long.
    pub fn read(text: &str) -> Result<Self, Problem> {
        if text.len() > MAX_BYTES {
            return Err(refused(format!(
                "A filter has at most {MAX_BYTES} bytes of JSON."
            )));
        }
        serde_json::from_str(text).map_err(|error| {
            refused(format!(
                "`filter` is not a filter as JSON, at most {MAX_DEPTH} deep: {error}."
            ))
        })
    }
}

impl TryFrom<Filter> for Condition {
    type Error = Problem;

    fn try_from(filter: Filter) -> Result<Self, Problem> {
        filter.condition(MAX_DEPTH)
    }
}

impl Filter {
    fn condition(self, depth: usize) -> Result<Condition, Problem> {
        if depth == 0 {
            let detail = format!("A filter nests at most {MAX_DEPTH} deep.");
            return Err(refused(detail));
        }
        let all = |inner: Vec<Self>| {
            let conditions = inner.into_iter().map(|one| one.condition(depth - 1));
            conditions.collect::<Result<Vec<_>, _>>()
        };
        Ok(match self {
            Self::And(inner) => Condition::All(all(inner)?),
            Self::Or(inner) => Condition::Any(all(inner)?),
            Self::Not(inner) => Condition::Not(Box::new(inner.condition(depth - 1)?)),
            Self::Dimension(filter) => {
                let mut listed = values(filter.r#in)?;
                if filter.dimension == Dimension::EventType {
                    // As they are stored: `page_view` is `pageview`.
                    let stored = |name: &String| Some(EventType::parse(name)?.as_str().to_owned());
                    let stored: Option<Vec<String>> = listed.iter().map(stored).collect();
                    listed = stored.ok_or(Code::InvalidEventType)?;
                }
                Condition::Among(filter.dimension, listed)
            }
            Self::Property(filter) => filter.condition()?,
        })
    }
}

impl PropertyFilter {
    fn condition(self) -> Result<Condition, Problem> {
        let path = values(self.path)?;
        if path.is_empty() || path.len() > MAX_PATH {
            return Err(refused(format!("A path has 1 to {MAX_PATH} names.")));
        }
        let property = |test| Condition::Property(path.clone(), test);
        match (self.exists, self.r#in, self.min, self.max) {
            (Some(true), None, None, None) => Ok(property(Test::Exists)),
            (Some(false), None, None, None) => Ok(Condition::Not(Box::new(property(Test::Exists)))),
            (None, Some(listed), None, None) => Ok(property(Test::Among(values(listed)?))),
            (None, None, Some(min), None) => Ok(property(Test::AtLeast(number(min)?))),
            (None, None, None, Some(max)) => Ok(property(Test::AtMost(number(max)?))),
            _ => Err(refused(
                "Ask exactly one of `exists`, `in`, `min` and `max` of a property.",
            )),
        }
    }
}
