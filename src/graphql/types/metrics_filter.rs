//! The filter of `metrics`.

use async_graphql::{InputObject, OneofObject};

use super::metrics_input::Dimension;
use crate::domain::condition::{Condition, MAX_DEPTH, MAX_VALUES, Test};
use crate::domain::event::EventType;
use crate::domain::money::Decimal;
use crate::error::{Code, Problem};

/// How many names a property's path may have, and how many bytes a value.
const MAX_PATH: usize = 16;
const MAX_VALUE: usize = 2_048;
/// How many digits a number in a filter may have.
const MAX_DIGITS: usize = 40;

/// Which facts count.
#[derive(OneofObject)]
pub(in crate::graphql) enum MetricsFilter {
    /// Those for which all of these hold.
    And(Vec<MetricsFilter>),
    /// Those for which one of these holds.
    Or(Vec<MetricsFilter>),
    /// Those for which this does not hold.
    Not(Box<MetricsFilter>),
    /// Those of some values of a dimension.
    Dimension(DimensionFilter),
    /// Those of events with some property; for orders, of the order's event.
    Property(PropertyFilter),
}

/// Some values of a dimension.
#[derive(InputObject)]
pub(in crate::graphql) struct DimensionFilter {
    /// Of which.
    dimension: Dimension,
    /// One of these: at most 100. A category stands for those below it, too; empty for facts
    /// without one.
    r#in: Vec<String>,
}

/// What is asked of a property; exactly one of `exists`, `in`, `min` and `max`.
#[derive(InputObject)]
pub(in crate::graphql) struct PropertyFilter {
    /// Its name, after those of the objects that it lies in: at most 16.
    path: Vec<String>,
    /// That it is there, or is not, or is null.
    exists: Option<bool>,
    /// That it is one of these texts; numbers as they were sent.
    r#in: Option<Vec<String>>,
    /// That it is a number, of at least this.
    min: Option<Decimal>,
    /// That it is a number, of at most this.
    max: Option<Decimal>,
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

impl TryFrom<MetricsFilter> for Condition {
    type Error = Problem;

    fn try_from(filter: MetricsFilter) -> Result<Self, Problem> {
        filter.condition(MAX_DEPTH)
    }
}

impl MetricsFilter {
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
                Condition::Among(filter.dimension.into(), listed)
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
