//! Adds what a batch changes to the rollups: summed in memory first, then one upsert a table.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sea_orm::sqlx;
use serde::{Deserialize, Serialize};

use super::facts::{Categories, orders};
use super::{Incoming, Transaction};
use crate::domain::calendar::floor_minute;
use crate::domain::tenant::TenantId;
use crate::storage::StorageError;
use crate::storage::entity::sales_minute::Grain;

/// One order that was newly stored: what the live windows are fed with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaleDelta {
    /// Whose sale.
    pub tenant: TenantId,
    /// When it was made.
    pub timestamp: DateTime<Utc>,
    /// ISO 4217.
    pub currency: String,
    /// Product, units and revenue in minor units of each line.
    pub lines: Vec<(String, i64, i64)>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct SalesKey<'a> {
    tenant: TenantId,
    grain: Grain,
    minute: DateTime<Utc>,
    currency: &'static str,
    region: &'a str,
    channel: &'a str,
    category: &'a str,
    product_id: &'a str,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sales {
    orders: i64,
    units: i64,
    revenue: i64,
}

impl Sales {
    fn plus(self, other: Self) -> Result<Self, StorageError> {
        let sum = || {
            Some(Self {
                orders: self.orders.checked_add(other.orders)?,
                units: self.units.checked_add(other.units)?,
                revenue: self.revenue.checked_add(other.revenue)?,
            })
        };
        sum().ok_or_else(|| StorageError::Rejected("a sum is out of range".to_owned()))
    }
}

/// Adds a batch to both rollups and tells what was sold.
pub(super) async fn add(
    transaction: &mut Transaction,
    batch: &[Incoming<'_>],
    categories: &Categories,
) -> Result<Vec<SaleDelta>, StorageError> {
    let sales = sum_sales(batch, categories)?;
    if !sales.is_empty() {
        add_sales(transaction, &sales).await?;
    }
    add_traffic(transaction, batch).await?;
    let deltas = orders(batch).map(|(incoming, order)| SaleDelta {
        tenant: incoming.tenant,
        timestamp: incoming.event.timestamp,
        currency: order.currency.code().to_owned(),
        lines: order
            .lines
            .iter()
            .map(|line| {
                (
                    line.product_id.clone(),
                    i64::from(line.quantity),
                    line.amount,
                )
            })
            .collect(),
    });
    Ok(deltas.collect())
}

/// Sums a batch; refuses one whose sums no `bigint` holds, so that the writer splits it.
fn sum_sales<'a>(
    batch: &'a [Incoming<'a>],
    categories: &'a Categories,
) -> Result<BTreeMap<SalesKey<'a>, Sales>, StorageError> {
    let mut all: BTreeMap<SalesKey<'a>, Sales> = BTreeMap::new();
    for (incoming, order) in orders(batch) {
        let event = incoming.event;
        // An order counts once in each of its rows, however many of its lines fall there.
        let mut one: BTreeMap<SalesKey<'a>, Sales> = BTreeMap::new();
        for line in &order.lines {
            let category = categories.of(incoming.tenant, &line.product_id);
            for (grain, category, product_id) in [
                (Grain::Order, "", ""),
                (Grain::Category, category, ""),
                (Grain::Product, category, line.product_id.as_str()),
            ] {
                let key = SalesKey {
                    tenant: incoming.tenant,
                    grain,
                    minute: floor_minute(event.timestamp),
                    currency: order.currency.code(),
                    region: event.region.as_deref().unwrap_or_default(),
                    channel: event.channel.as_deref().unwrap_or_default(),
                    category,
                    product_id,
                };
                let line = Sales {
                    orders: 0,
                    units: i64::from(line.quantity),
                    revenue: line.amount,
                };
                let sales = one.entry(key).or_default();
                *sales = sales.plus(line)?;
                sales.orders = 1;
            }
        }
        for (key, sales) in one {
            let sum = all.entry(key).or_default();
            *sum = sum.plus(sales)?;
        }
    }
    Ok(all)
}

async fn add_sales(
    transaction: &mut Transaction,
    sales: &BTreeMap<SalesKey<'_>, Sales>,
) -> Result<(), StorageError> {
    fn column<'a, T>(
        sales: &'a BTreeMap<SalesKey<'a>, Sales>,
        value: impl Fn(&SalesKey<'a>) -> T,
    ) -> Vec<T> {
        sales.keys().map(value).collect()
    }
    let measure = |value: fn(&Sales) -> i64| sales.values().map(value).collect::<Vec<_>>();
    sqlx::query(
        "INSERT INTO sales_minute AS known
             (tenant_id, grain, minute, currency, region, channel, category, product_id,
              orders, units, revenue)
         SELECT * FROM unnest($1::integer[], $2::smallint[], $3::timestamptz[], $4::text[],
                              $5::text[], $6::text[], $7::text[], $8::text[],
                              $9::bigint[], $10::bigint[], $11::bigint[])
         ON CONFLICT (tenant_id, grain, minute, currency, region, channel, category, product_id)
         DO UPDATE SET orders = known.orders + excluded.orders,
                       units = known.units + excluded.units,
                       revenue = known.revenue + excluded.revenue",
    )
    .bind(column(sales, |key| key.tenant.0))
    .bind(column(sales, |key| key.grain as i16))
    .bind(column(sales, |key| key.minute))
    .bind(column(sales, |key| key.currency))
    .bind(column(sales, |key| key.region))
    .bind(column(sales, |key| key.channel))
    .bind(column(sales, |key| key.category))
    .bind(column(sales, |key| key.product_id))
    .bind(measure(|sales| sales.orders))
    .bind(measure(|sales| sales.units))
    .bind(measure(|sales| sales.revenue))
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

async fn add_traffic(
    transaction: &mut Transaction,
    batch: &[Incoming<'_>],
) -> Result<(), StorageError> {
    /// Events, pageviews and late events.
    type Counts = [i64; 3];
    let mut traffic: BTreeMap<(TenantId, DateTime<Utc>, &str), Counts> = BTreeMap::new();
    for incoming in batch {
        let event = incoming.event;
        let minute = floor_minute(event.timestamp);
        let key = (incoming.tenant, minute, event.event_type.as_str());
        let [events, pageviews, late] = traffic.entry(key).or_default();
        *events += 1;
        *pageviews += i64::from(event.page_url.is_some());
        *late += i64::from(incoming.is_late());
    }
    let count = |n: usize| {
        traffic
            .values()
            .map(move |counts| counts[n])
            .collect::<Vec<_>>()
    };
    sqlx::query(
        "INSERT INTO traffic_minute AS known
             (tenant_id, minute, event_type, events, pageviews, late_events)
         SELECT * FROM unnest($1::integer[], $2::timestamptz[], $3::text[],
                              $4::bigint[], $5::bigint[], $6::bigint[])
         ON CONFLICT (tenant_id, minute, event_type)
         DO UPDATE SET events = known.events + excluded.events,
                       pageviews = known.pageviews + excluded.pageviews,
                       late_events = known.late_events + excluded.late_events",
    )
    .bind(
        traffic
            .keys()
            .map(|(tenant, ..)| tenant.0)
            .collect::<Vec<_>>(),
    )
    .bind(
        traffic
            .keys()
            .map(|(_, minute, _)| *minute)
            .collect::<Vec<_>>(),
    )
    .bind(
        traffic
            .keys()
            .map(|(.., event_type)| *event_type)
            .collect::<Vec<_>>(),
    )
    .bind(count(0))
    .bind(count(1))
    .bind(count(2))
    .execute(&mut **transaction)
    .await?;
    Ok(())
}
