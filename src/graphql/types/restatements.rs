//! The answer of `restatements`.

use async_graphql::SimpleObject;
use chrono::{DateTime, FixedOffset, Utc};

use super::provenance::Provenance;
use super::range::shown_in;
use crate::domain::money::{Currency, Decimal};
use crate::graphql::scalars::decimal;
use crate::reports::restatements::{RestatedMeasures, RestatementsAnswer};

/// What came late, and what it changed. A minute is closed to an event five minutes after it; what
/// comes later still counts in the minute it happened in, and restates it.
#[derive(SimpleObject)]
pub(in crate::graphql) struct Restatements {
    /// Of all amounts: ISO 4217.
    currency: &'static str,
    /// Whose days and hours the buckets are.
    timezone: &'static str,
    /// The buckets of the range with something late in them, in the order of time.
    buckets: Vec<Restatement>,
    /// Where the numbers come from.
    provenance: Provenance,
}

/// A bucket with something late in it.
#[derive(SimpleObject)]
struct Restatement {
    /// Its first instant, in the time zone.
    start: DateTime<FixedOffset>,
    /// The first instant after it.
    end: DateTime<FixedOffset>,
    /// When the newest late event of it was received; nothing if that was before the server kept it.
    restated_at: Option<DateTime<Utc>>,
    /// Without what came late.
    before: RestatedNumbers,
    /// With it, as the reports say now.
    after: RestatedNumbers,
    /// What came late: after less before.
    change: RestatedNumbers,
}

/// The numbers that something late changes.
#[derive(SimpleObject)]
struct RestatedNumbers {
    /// How many events of all types.
    events: i64,
    /// How many orders.
    orders: i64,
    /// How many pieces.
    units: i64,
    /// What was paid.
    revenue: Decimal,
    /// What was paid back.
    refunds: Decimal,
    /// Revenue without refunds.
    net_revenue: Decimal,
}

impl RestatedNumbers {
    fn of(measures: &RestatedMeasures, currency: Currency) -> Self {
        Self {
            events: measures.events,
            orders: measures.orders,
            units: measures.units,
            revenue: decimal(measures.revenue, currency),
            refunds: decimal(measures.refunds, currency),
            net_revenue: decimal(measures.revenue - measures.refunds, currency),
        }
    }
}

impl From<RestatementsAnswer> for Restatements {
    fn from(answer: RestatementsAnswer) -> Self {
        let (currency, zone) = (answer.currency, answer.zone);
        let buckets = answer.buckets.iter().map(|bucket| Restatement {
            start: shown_in(bucket.start, zone),
            end: shown_in(bucket.end, zone),
            restated_at: bucket.restated_at,
            before: RestatedNumbers::of(&bucket.before(), currency),
            after: RestatedNumbers::of(&bucket.after, currency),
            change: RestatedNumbers::of(&bucket.change, currency),
        });
        Self {
            currency: currency.code(),
            timezone: zone.name(),
            buckets: buckets.collect(),
            provenance: answer.provenance.into(),
        }
    }
}
