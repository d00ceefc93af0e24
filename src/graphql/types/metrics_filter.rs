//! The filter of `metrics`.

use async_graphql::{InputObject, OneofObject};

use super::metrics_input::Dimension;
use crate::domain::condition::Condition;
use crate::domain::money::Decimal;
use crate::error::Problem;
use crate::reports::metrics::filter::{self, Filter};

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

impl From<MetricsFilter> for Filter {
    fn from(filter: MetricsFilter) -> Self {
        let all = |inner: Vec<MetricsFilter>| inner.into_iter().map(Into::into).collect();
        match filter {
            MetricsFilter::And(inner) => Self::And(all(inner)),
            MetricsFilter::Or(inner) => Self::Or(all(inner)),
            MetricsFilter::Not(inner) => Self::Not(Box::new((*inner).into())),
            MetricsFilter::Dimension(asked) => Self::Dimension(filter::DimensionFilter {
                dimension: asked.dimension.into(),
                r#in: asked.r#in,
            }),
            MetricsFilter::Property(asked) => Self::Property(filter::PropertyFilter {
                path: asked.path,
                exists: asked.exists,
                r#in: asked.r#in,
                min: asked.min,
                max: asked.max,
            }),
        }
    }
}

impl TryFrom<MetricsFilter> for Condition {
    type Error = Problem;

    fn try_from(filter: MetricsFilter) -> Result<Self, Problem> {
        Filter::from(filter).try_into()
    }
}
