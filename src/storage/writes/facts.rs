//! Stores events with their purchases and refunds.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use sea_orm::sqlx::{self, PgPool};
use uuid::Uuid;

use super::copy::Rows;
use super::intake::user_agent_id;
use super::{Incoming, Transaction};
use crate::domain::event::{Detail, Line, Order, OrderKind, detail_id};
use crate::domain::tenant::TenantId;
use crate::storage::StorageError;

/// The category of each catalogued product that a batch sells.
#[derive(Debug, Default)]
pub(super) struct Categories(HashMap<TenantId, HashMap<String, String>>);

impl Categories {
    /// The category's path, empty if the product has none or is not catalogued.
    pub(super) fn of(&self, tenant: TenantId, product_id: &str) -> &str {
        self.0
            .get(&tenant)
            .and_then(|products| products.get(product_id))
            .map_or("", String::as_str)
    }
}

/// Looks the categories up, once per batch, by the catalogue's key.
pub(super) async fn categories(
    transaction: &mut Transaction,
    batch: &[Incoming<'_>],
) -> Result<Categories, StorageError> {
    let mut sold: BTreeMap<TenantId, BTreeSet<&str>> = BTreeMap::new();
    for (incoming, order) in orders(batch) {
        let products = order.lines.iter().map(|line| line.product_id.as_str());
        sold.entry(incoming.tenant()).or_default().extend(products);
    }
    let mut categories = Categories::default();
    for (tenant, products) in sold {
        let products: Vec<&str> = products.into_iter().collect();
        let rows: Vec<(String, String)> = sqlx::query_as(
            "SELECT product_id, category FROM product
             WHERE tenant_id = $1 AND product_id = ANY($2)",
        )
        .bind(tenant.0)
        .bind(products)
        .fetch_all(&mut **transaction)
        .await?;
        categories.0.insert(tenant, rows.into_iter().collect());
    }
    Ok(categories)
}

/// The events of a batch that are orders or refunds.
pub(super) fn orders<'a>(
    batch: &'a [Incoming<'a>],
) -> impl Iterator<Item = (&'a Incoming<'a>, &'a Order)> {
    batch
        .iter()
        .filter_map(|incoming| Some((incoming, incoming.event.order.as_ref()?)))
}

/// Finds the events whose facts are stored, by the key of `event`.
pub(super) async fn find(
    pool: &PgPool,
    batch: &[Incoming<'_>],
    stored: &mut [bool],
) -> Result<(), StorageError> {
    let tenants: Vec<i32> = batch.iter().map(|incoming| incoming.tenant().0).collect();
    let timestamps: Vec<DateTime<Utc>> = batch.iter().map(|one| one.event.timestamp).collect();
    let ids: Vec<Uuid> = batch.iter().map(|incoming| incoming.event.id).collect();
    let found: Vec<(i32, DateTime<Utc>, Uuid)> = sqlx::query_as(
        "SELECT tenant_id, timestamp, event_id
         FROM unnest($1::integer[], $2::timestamptz[], $3::uuid[])
              AS sent (tenant_id, timestamp, event_id)
         JOIN event USING (tenant_id, timestamp, event_id)",
    )
    .bind(tenants)
    .bind(timestamps)
    .bind(ids)
    .fetch_all(pool)
    .await?;
    let found: HashSet<_> = found.into_iter().collect();
    for (incoming, stored) in batch.iter().zip(stored) {
        let event = incoming.event;
        *stored |= found.contains(&(incoming.tenant().0, event.timestamp, event.id));
    }
    Ok(())
}

/// Copies a batch into the three tables, in the order of their keys.
pub(super) async fn store(
    transaction: &mut Transaction,
    batch: &[Incoming<'_>],
    categories: &Categories,
) -> Result<(), StorageError> {
    if batch.is_empty() {
        return Ok(());
    }
    let mut sorted: Vec<&Incoming<'_>> = batch.iter().collect();
    sorted.sort_unstable_by_key(|incoming| {
        (
            incoming.tenant(),
            incoming.event.timestamp,
            incoming.event.id,
        )
    });

    let mut events = Rows::with_capacity(sorted.len() * 384);
    let mut purchases = Rows::with_capacity(sorted.len() * 16);
    let mut refunds = Rows::with_capacity(0);
    for incoming in sorted {
        event_row(&mut events, incoming);
        if let Some(order) = &incoming.event.order {
            for line in order.lines.iter().enumerate() {
                let category = categories.of(incoming.tenant(), &line.1.product_id);
                let rows = match order.kind {
                    OrderKind::Purchase => &mut purchases,
                    OrderKind::Refund => &mut refunds,
                };
                line_row(rows, incoming, order, line, category);
            }
        }
    }

    events
        .send(
            transaction,
            "COPY event (tenant_id, timestamp, event_id, user_id, event_type, session_id, region,
                         channel, campaign, received_at, data, page_url, user_agent_id, bot)
             FROM STDIN (FORMAT binary)",
        )
        .await?;
    purchases
        .send(
            transaction,
            "COPY purchase (tenant_id, timestamp, event_id, purchase_id, user_id, product_id,
                            quantity, amount, currency, category, region, channel, order_id, bot)
             FROM STDIN (FORMAT binary)",
        )
        .await?;
    refunds
        .send(
            transaction,
            "COPY refund (tenant_id, timestamp, event_id, refund_id, user_id, product_id,
                          quantity, amount, currency, category, region, channel, order_id, bot)
             FROM STDIN (FORMAT binary)",
        )
        .await
}

fn event_row(rows: &mut Rows, incoming: &Incoming<'_>) {
    let event = incoming.event;
    rows.row(14)
        .int4(incoming.tenant().0)
        .timestamp(event.timestamp)
        .uuid(event.id)
        .uuid(event.user.id)
        .text(event.event_type.as_str())
        .optional_text(event.session_id.as_deref())
        .optional_text(event.region.as_deref())
        .optional_text(event.channel.as_deref())
        .optional_text(event.campaign.as_deref())
        .timestamp(incoming.received_at())
        .jsonb(&event.properties)
        .optional_text(event.page_url.as_deref())
        .optional_int8(event.user_agent.as_deref().map(user_agent_id))
        .boolean(incoming.bot);
}

/// Both tables have the same columns, but for the name of their id.
fn line_row(
    rows: &mut Rows,
    incoming: &Incoming<'_>,
    order: &Order,
    (n, line): (usize, &Line),
    category: &str,
) {
    let event = incoming.event;
    let detail = match order.kind {
        OrderKind::Purchase => Detail::Purchase,
        OrderKind::Refund => Detail::Refund,
    };
    rows.row(14)
        .int4(incoming.tenant().0)
        .timestamp(event.timestamp)
        .uuid(event.id)
        .uuid(detail_id(event, detail, n))
        .uuid(event.user.id)
        .text(&line.product_id)
        .int4(line.quantity)
        .int8(line.amount)
        .text(order.currency.code())
        .text(category)
        .optional_text(event.region.as_deref())
        .optional_text(event.channel.as_deref())
        .optional_text(order.order_id.as_deref())
        .boolean(incoming.bot);
}
