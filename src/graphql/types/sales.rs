//! The answer of `sales`.

use async_graphql::{Enum, SimpleObject};
use chrono::{DateTime, FixedOffset};

use super::provenance::Provenance;
use super::range::shown_in;
use crate::domain::money::{Currency, Decimal};
use crate::graphql::scalars::decimal;
use crate::reports::sales::{SalesAnswer, SalesGroups, SalesMeasures};

/// What sales can be told apart by.
#[derive(Clone, Copy, Enum, PartialEq, Eq)]
pub(in crate::graphql) enum SalesDimension {
    /// The product's category when the purchase was stored.
    Category,
    /// Where the user was.
    Region,
    /// What brought the user.
    Channel,
    /// What was bought.
    Product,
}

impl SalesDimension {
    /// Those that are named, each once.
    pub(in crate::graphql) fn groups(dimensions: &[Self]) -> SalesGroups {
        let has = |dimension| dimensions.contains(&dimension);
        SalesGroups {
            category: has(Self::Category),
            region: has(Self::Region),
            channel: has(Self::Channel),
            product: has(Self::Product),
        }
    }
}

/// What was sold and paid back, over time and by group.
#[derive(SimpleObject)]
pub(in crate::graphql) struct Sales {
    /// Of all amounts: ISO 4217.
    currency: &'static str,
    /// Whose days and hours the buckets are.
    timezone: &'static str,
    /// In the order of time, then of group. Without `groupBy` every bucket of the range; with it
    /// those in which something was sold or paid back.
    buckets: Vec<SalesBucket>,
    /// Over the whole range. An order with several products is one order here, but counts in the
    /// bucket of each of its products or categories.
    totals: SalesTotals,
    /// Other currencies with orders or refunds in the range; they are not in the numbers. Ask for each with
    /// `currency`.
    other_currencies: Vec<String>,
    /// Where the numbers come from.
    provenance: Provenance,
}

/// One bucket of one group.
#[derive(SimpleObject)]
struct SalesBucket {
    /// Its first instant, in the time zone.
    start: DateTime<FixedOffset>,
    /// The first instant after it.
    end: DateTime<FixedOffset>,
    /// With `groupBy: CATEGORY`; empty for products without one.
    category: Option<String>,
    /// With `groupBy: REGION`; empty for orders without one.
    region: Option<String>,
    /// With `groupBy: CHANNEL`; empty for orders without one.
    channel: Option<String>,
    /// With `groupBy: PRODUCT`.
    product_id: Option<String>,
    /// What was paid.
    revenue: Decimal,
    /// What was paid back in this time, of whatever order.
    refunds: Decimal,
    /// Revenue without refunds; below zero where more was paid back than paid.
    net_revenue: Decimal,
    /// How many orders.
    orders: i64,
    /// How many pieces.
    units: i64,
    /// Revenue over orders, rounded half up; nothing without orders.
    average_order_value: Option<Decimal>,
    /// How many different users bought; counted over the purchases themselves.
    #[graphql(complexity = 50)]
    buyers: Option<i64>,
}

/// The measures over the whole range.
#[derive(SimpleObject)]
struct SalesTotals {
    /// What was paid.
    revenue: Decimal,
    /// What was paid back in this time, of whatever order.
    refunds: Decimal,
    /// Revenue without refunds; below zero where more was paid back than paid.
    net_revenue: Decimal,
    /// How many orders.
    orders: i64,
    /// How many pieces.
    units: i64,
    /// Revenue over orders, rounded half up; nothing without orders.
    average_order_value: Option<Decimal>,
    /// How many different users bought; counted over the purchases themselves.
    #[graphql(complexity = 50)]
    buyers: Option<i64>,
}

impl SalesTotals {
    fn of(measures: &SalesMeasures, currency: Currency) -> Self {
        Self {
            revenue: decimal(measures.revenue, currency),
            refunds: decimal(measures.refunds, currency),
            net_revenue: decimal(measures.net_revenue(), currency),
            orders: measures.orders,
            units: measures.units,
            average_order_value: measures
                .average_order_value()
                .map(|mean| decimal(mean, currency)),
            buyers: measures.buyers,
        }
    }
}

impl From<SalesAnswer> for Sales {
    fn from(answer: SalesAnswer) -> Self {
        let (currency, zone) = (answer.currency, answer.zone);
        let buckets = answer.buckets.into_iter().map(|bucket| {
            let SalesTotals {
                revenue,
                refunds,
                net_revenue,
                orders,
                units,
                average_order_value,
                buyers,
            } = SalesTotals::of(&bucket.measures, currency);
            SalesBucket {
                start: shown_in(bucket.start, zone),
                end: shown_in(bucket.end, zone),
                category: bucket.group.category,
                region: bucket.group.region,
                channel: bucket.group.channel,
                product_id: bucket.group.product_id,
                revenue,
                refunds,
                net_revenue,
                orders,
                units,
                average_order_value,
                buyers,
            }
        });
        Self {
            buckets: buckets.collect(),
            currency: currency.code(),
            timezone: zone.name(),
            totals: SalesTotals::of(&answer.totals, currency),
            other_currencies: answer.other_currencies,
            provenance: answer.provenance.into(),
        }
    }
}
