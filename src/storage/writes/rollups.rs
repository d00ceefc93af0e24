//! Adds what a batch changes to the rollups: summed in memory first, by the minute and by the quarter
//! of an hour, then one upsert a table. [`rebuild`] makes them anew from the facts.

mod quarters;
pub mod rebuild;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sea_orm::sqlx;
use serde::{Deserialize, Serialize};

use super::facts::{Categories, orders};
use super::{Incoming, Transaction};
use crate::domain::calendar::floor_minute;
use crate::domain::event::{Order, OrderKind};
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
    bot: bool,
}

/// Orders, units, revenue and refunds.
#[derive(Clone, Copy, Debug, Default)]
struct Sales([i64; 4]);

impl Sales {
    fn plus(self, other: Self) -> Result<Self, StorageError> {
        let mut sum = self;
        for (sum, more) in sum.0.iter_mut().zip(other.0) {
            let whole = sum.checked_add(more);
            *sum =
                whole.ok_or_else(|| StorageError::Rejected("a sum is out of range".to_owned()))?;
        }
        Ok(sum)
    }
}

/// What a row of the rollup gains, and how much of it came late.
#[derive(Clone, Copy, Debug, Default)]
struct Gain {
    all: Sales,
    late: Sales,
}

/// Adds a batch to both rollups, moves the watermarks, and tells what was sold.
pub(super) async fn add(
    transaction: &mut Transaction,
    batch: &[Incoming<'_>],
    categories: &Categories,
) -> Result<Vec<SaleDelta>, StorageError> {
    let sales = sum_sales(batch, categories)?;
    if !sales.is_empty() {
        add_sales(transaction, &sales).await?;
        quarters::add_sales(transaction, &sales).await?;
    }
    let traffic = sum_traffic(batch);
    if !traffic.is_empty() {
        add_traffic(transaction, &traffic).await?;
        quarters::add_traffic(transaction, &traffic).await?;
    }
    move_watermarks(transaction, batch).await?;
    let is_sale = |(incoming, order): &(&Incoming<'_>, &Order)| {
        order.kind == OrderKind::Purchase && !incoming.bot
    };
    let deltas = orders(batch)
        .filter(is_sale)
        .map(|(incoming, order)| SaleDelta {
            tenant: incoming.tenant(),
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
) -> Result<BTreeMap<SalesKey<'a>, Gain>, StorageError> {
    let mut all: BTreeMap<SalesKey<'a>, Gain> = BTreeMap::new();
    for (incoming, order) in orders(batch) {
        let event = incoming.event;
        // An order counts once in each of its rows, however many of its lines fall there.
        let mut one: BTreeMap<SalesKey<'a>, Sales> = BTreeMap::new();
        for line in &order.lines {
            let category = categories.of(incoming.tenant(), &line.product_id);
            for (grain, category, product_id) in [
                (Grain::Order, "", ""),
                (Grain::Category, category, ""),
                (Grain::Product, category, line.product_id.as_str()),
            ] {
                let key = SalesKey {
                    tenant: incoming.tenant(),
                    grain,
                    minute: floor_minute(event.timestamp),
                    currency: order.currency.code(),
                    region: event.region.as_deref().unwrap_or_default(),
                    channel: event.channel.as_deref().unwrap_or_default(),
                    category,
                    product_id,
                    bot: incoming.bot,
                };
                let sales = one.entry(key).or_default();
                *sales = sales.plus(match order.kind {
                    OrderKind::Purchase => Sales([0, line.quantity.into(), line.amount, 0]),
                    OrderKind::Refund => Sales([0, 0, 0, line.amount]),
                })?;
                sales.0[0] = i64::from(order.kind == OrderKind::Purchase);
            }
        }
        for (key, sales) in one {
            let gain = all.entry(key).or_default();
            gain.all = gain.all.plus(sales)?;
            if incoming.is_late() {
                gain.late = gain.late.plus(sales)?;
            }
        }
    }
    Ok(all)
}

async fn add_sales(
    transaction: &mut Transaction,
    sales: &BTreeMap<SalesKey<'_>, Gain>,
) -> Result<(), StorageError> {
    fn column<'a, T>(
        sales: &'a BTreeMap<SalesKey<'a>, Gain>,
        value: impl Fn(&SalesKey<'a>) -> T,
    ) -> Vec<T> {
        sales.keys().map(value).collect()
    }
    let all = |n: usize| sales.values().map(|gain| gain.all.0[n]).collect::<Vec<_>>();
    let late = |n: usize| {
        sales
            .values()
            .map(|gain| gain.late.0[n])
            .collect::<Vec<_>>()
    };
    sqlx::query(
        "INSERT INTO sales_minute AS known
             (tenant_id, grain, minute, currency, region, channel, category, product_id, bot,
              orders, units, revenue, refunds,
              late_orders, late_units, late_revenue, late_refunds)
         SELECT * FROM unnest($1::integer[], $2::smallint[], $3::timestamptz[], $4::text[],
                              $5::text[], $6::text[], $7::text[], $8::text[], $9::boolean[],
                              $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[],
                              $14::bigint[], $15::bigint[], $16::bigint[], $17::bigint[])
         ON CONFLICT (tenant_id, grain, minute, currency, region, channel, category, product_id,
                      bot)
         DO UPDATE SET orders = known.orders + excluded.orders,
                       units = known.units + excluded.units,
                       revenue = known.revenue + excluded.revenue,
                       refunds = known.refunds + excluded.refunds,
                       late_orders = known.late_orders + excluded.late_orders,
                       late_units = known.late_units + excluded.late_units,
                       late_revenue = known.late_revenue + excluded.late_revenue,
                       late_refunds = known.late_refunds + excluded.late_refunds",
    )
    .bind(column(sales, |key| key.tenant.0))
    .bind(column(sales, |key| key.grain as i16))
    .bind(column(sales, |key| key.minute))
    .bind(column(sales, |key| key.currency))
    .bind(column(sales, |key| key.region))
    .bind(column(sales, |key| key.channel))
    .bind(column(sales, |key| key.category))
    .bind(column(sales, |key| key.product_id))
    .bind(column(sales, |key| key.bot))
    .bind(all(0))
    .bind(all(1))
    .bind(all(2))
    .bind(all(3))
    .bind(late(0))
    .bind(late(1))
    .bind(late(2))
    .bind(late(3))
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// What a row of the traffic rollup gains.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    events: i64,
    pageviews: i64,
    late: i64,
    restated_at: Option<DateTime<Utc>>,
}

type TrafficKey<'a> = (TenantId, DateTime<Utc>, &'a str, bool);

fn sum_traffic<'a>(batch: &'a [Incoming<'a>]) -> BTreeMap<TrafficKey<'a>, Counts> {
    let mut traffic: BTreeMap<TrafficKey<'_>, Counts> = BTreeMap::new();
    for incoming in batch {
        let event = incoming.event;
        let minute = floor_minute(event.timestamp);
        let key = (
            incoming.tenant(),
            minute,
            event.event_type.as_str(),
            incoming.bot,
        );
        let counts = traffic.entry(key).or_default();
        counts.events += 1;
        counts.pageviews += i64::from(event.page_url.is_some());
        if incoming.is_late() {
            counts.late += 1;
            counts.restated_at = counts.restated_at.max(Some(incoming.received_at()));
        }
    }
    traffic
}

async fn add_traffic(
    transaction: &mut Transaction,
    traffic: &BTreeMap<TrafficKey<'_>, Counts>,
) -> Result<(), StorageError> {
    let counts = || traffic.values();
    sqlx::query(
        "INSERT INTO traffic_minute AS known
             (tenant_id, minute, event_type, bot, events, pageviews, late_events, restated_at)
         SELECT * FROM unnest($1::integer[], $2::timestamptz[], $3::text[], $4::boolean[],
                              $5::bigint[], $6::bigint[], $7::bigint[], $8::timestamptz[])
         ON CONFLICT (tenant_id, minute, event_type, bot)
         DO UPDATE SET events = known.events + excluded.events,
                       pageviews = known.pageviews + excluded.pageviews,
                       late_events = known.late_events + excluded.late_events,
                       restated_at = greatest(known.restated_at, excluded.restated_at)",
    )
    .bind(traffic.keys().map(|key| key.0.0).collect::<Vec<_>>())
    .bind(traffic.keys().map(|key| key.1).collect::<Vec<_>>())
    .bind(traffic.keys().map(|key| key.2).collect::<Vec<_>>())
    .bind(traffic.keys().map(|key| key.3).collect::<Vec<_>>())
    .bind(counts().map(|counts| counts.events).collect::<Vec<_>>())
    .bind(counts().map(|counts| counts.pageviews).collect::<Vec<_>>())
    .bind(counts().map(|counts| counts.late).collect::<Vec<_>>())
    .bind(
        counts()
            .map(|counts| counts.restated_at)
            .collect::<Vec<_>>(),
    )
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// Moves each tenant's watermark to its latest event.
async fn move_watermarks(
    transaction: &mut Transaction,
    batch: &[Incoming<'_>],
) -> Result<(), StorageError> {
    let mut latest: BTreeMap<TenantId, (DateTime<Utc>, DateTime<Utc>)> = BTreeMap::new();
    for incoming in batch {
        let (happened, received) = (incoming.event.timestamp, incoming.received_at());
        let known = latest
            .entry(incoming.tenant())
            .or_insert((happened, received));
        *known = (known.0.max(happened), known.1.max(received));
    }
    sqlx::query(
        "INSERT INTO watermark AS known (tenant_id, event_time, received_at)
         SELECT * FROM unnest($1::integer[], $2::timestamptz[], $3::timestamptz[])
         ON CONFLICT (tenant_id) DO UPDATE
         SET event_time = greatest(known.event_time, excluded.event_time),
             received_at = greatest(known.received_at, excluded.received_at)",
    )
    .bind(latest.keys().map(|tenant| tenant.0).collect::<Vec<_>>())
    .bind(
        latest
            .values()
            .map(|(happened, _)| *happened)
            .collect::<Vec<_>>(),
    )
    .bind(
        latest
            .values()
            .map(|(_, received)| *received)
            .collect::<Vec<_>>(),
    )
    .execute(&mut **transaction)
    .await?;
    Ok(())
}
