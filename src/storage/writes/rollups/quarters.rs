//! The rollups of quarters of an hour: what their minutes gain.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Utc};
use sea_orm::sqlx;

use super::super::Transaction;
use super::{Counts, Gain, Sales, SalesKey, TrafficKey};
use crate::storage::StorageError;

/// The quarter of an hour that a minute lies in.
pub(super) fn floor_quarter(minute: DateTime<Utc>) -> DateTime<Utc> {
    minute - Duration::seconds(minute.timestamp().rem_euclid(15 * 60))
}

/// Adds what sales gain in each minute to the quarters.
pub(super) async fn add_sales(
    transaction: &mut Transaction,
    minutes: &BTreeMap<SalesKey<'_>, Gain>,
) -> Result<(), StorageError> {
    let mut quarters: BTreeMap<SalesKey<'_>, Sales> = BTreeMap::new();
    for (key, gain) in minutes {
        let key = SalesKey {
            minute: floor_quarter(key.minute),
            ..key.clone()
        };
        let sales = quarters.entry(key).or_default();
        *sales = sales.plus(gain.all)?;
    }
    let keys = || quarters.keys();
    let sum = |n: usize| {
        quarters
            .values()
            .map(|sales| sales.0[n])
            .collect::<Vec<_>>()
    };
    sqlx::query(
        "INSERT INTO sales_quarter AS known
             (tenant_id, grain, quarter, currency, region, channel, category, product_id, bot,
              orders, units, revenue, refunds)
         SELECT * FROM unnest($1::integer[], $2::smallint[], $3::timestamptz[], $4::text[],
                              $5::text[], $6::text[], $7::text[], $8::text[], $9::boolean[],
                              $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[])
         ON CONFLICT (tenant_id, grain, quarter, currency, region, channel, category, product_id,
                      bot)
         DO UPDATE SET orders = known.orders + excluded.orders,
                       units = known.units + excluded.units,
                       revenue = known.revenue + excluded.revenue,
                       refunds = known.refunds + excluded.refunds",
    )
    .bind(keys().map(|key| key.tenant.0).collect::<Vec<_>>())
    .bind(keys().map(|key| key.grain as i16).collect::<Vec<_>>())
    .bind(keys().map(|key| key.minute).collect::<Vec<_>>())
    .bind(keys().map(|key| key.currency).collect::<Vec<_>>())
    .bind(keys().map(|key| key.region).collect::<Vec<_>>())
    .bind(keys().map(|key| key.channel).collect::<Vec<_>>())
    .bind(keys().map(|key| key.category).collect::<Vec<_>>())
    .bind(keys().map(|key| key.product_id).collect::<Vec<_>>())
    .bind(keys().map(|key| key.bot).collect::<Vec<_>>())
    .bind(sum(0))
    .bind(sum(1))
    .bind(sum(2))
    .bind(sum(3))
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// Adds what happens in each minute to the quarters.
pub(super) async fn add_traffic(
    transaction: &mut Transaction,
    minutes: &BTreeMap<TrafficKey<'_>, Counts>,
) -> Result<(), StorageError> {
    let mut quarters: BTreeMap<TrafficKey<'_>, (i64, i64)> = BTreeMap::new();
    for ((tenant, minute, event_type, bot), counts) in minutes {
        let key = (*tenant, floor_quarter(*minute), *event_type, *bot);
        let (events, pageviews) = quarters.entry(key).or_default();
        *events += counts.events;
        *pageviews += counts.pageviews;
    }
    let keys = || quarters.keys();
    sqlx::query(
        "INSERT INTO traffic_quarter AS known
             (tenant_id, quarter, event_type, bot, events, pageviews)
         SELECT * FROM unnest($1::integer[], $2::timestamptz[], $3::text[], $4::boolean[],
                              $5::bigint[], $6::bigint[])
         ON CONFLICT (tenant_id, quarter, event_type, bot)
         DO UPDATE SET events = known.events + excluded.events,
                       pageviews = known.pageviews + excluded.pageviews",
    )
    .bind(keys().map(|key| key.0.0).collect::<Vec<_>>())
    .bind(keys().map(|key| key.1).collect::<Vec<_>>())
    .bind(keys().map(|key| key.2).collect::<Vec<_>>())
    .bind(keys().map(|key| key.3).collect::<Vec<_>>())
    .bind(
        quarters
            .values()
            .map(|(events, _)| *events)
            .collect::<Vec<_>>(),
    )
    .bind(
        quarters
            .values()
            .map(|(_, pageviews)| *pageviews)
            .collect::<Vec<_>>(),
    )
    .execute(&mut **transaction)
    .await?;
    Ok(())
}
