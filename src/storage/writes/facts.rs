//! Stores events with their pageviews and purchases.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sea_orm::sqlx;

use super::copy::Rows;
use super::{Incoming, Transaction};
use crate::domain::event::{Detail, Line, Order, detail_id};
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
        sold.entry(incoming.tenant).or_default().extend(products);
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

/// The events of a batch that are orders.
pub(super) fn orders<'a>(
    batch: &'a [Incoming<'a>],
) -> impl Iterator<Item = (&'a Incoming<'a>, &'a Order)> {
    batch
        .iter()
        .filter_map(|incoming| Some((incoming, incoming.event.order.as_ref()?)))
}

/// Copies a batch into the three tables, in the order of their keys.
pub(super) async fn store(
    transaction: &mut Transaction,
    batch: &[Incoming<'_>],
    categories: &Categories,
) -> Result<(), StorageError> {
    let mut sorted: Vec<&Incoming<'_>> = batch.iter().collect();
    sorted.sort_unstable_by_key(|incoming| {
        (incoming.tenant, incoming.event.timestamp, incoming.event.id)
    });

    let mut events = Rows::with_capacity(sorted.len() * 320);
    let mut pageviews = Rows::with_capacity(sorted.len() * 128);
    let mut purchases = Rows::with_capacity(sorted.len() * 64);
    let (mut some_pageview, mut some_purchase) = (false, false);
    for incoming in sorted {
        event_row(&mut events, incoming);
        if let Some(url) = &incoming.event.page_url {
            pageview_row(&mut pageviews, incoming, url);
            some_pageview = true;
        }
        if let Some(order) = &incoming.event.order {
            for (n, line) in order.lines.iter().enumerate() {
                let category = categories.of(incoming.tenant, &line.product_id);
                purchase_row(&mut purchases, incoming, order, (n, line), category);
            }
            some_purchase = true;
        }
    }

    events
        .send(
            transaction,
            "COPY event (tenant_id, timestamp, event_id, user_id, event_type, session_id, region,
                         channel, campaign, received_at, data)
             FROM STDIN (FORMAT binary)",
        )
        .await?;
    if some_pageview {
        pageviews
            .send(
                transaction,
                "COPY pageview (tenant_id, timestamp, event_id, pageview_id, user_id, page_url,
                                region)
                 FROM STDIN (FORMAT binary)",
            )
            .await?;
    }
    if some_purchase {
        purchases
            .send(
                transaction,
                "COPY purchase (tenant_id, timestamp, event_id, purchase_id, user_id, product_id,
                                quantity, amount, currency, category, region, channel)
                 FROM STDIN (FORMAT binary)",
            )
            .await?;
    }
    Ok(())
}

fn event_row(rows: &mut Rows, incoming: &Incoming<'_>) {
    let event = incoming.event;
    rows.row(11)
        .int4(incoming.tenant.0)
        .timestamp(event.timestamp)
        .uuid(event.id)
        .uuid(event.user.id)
        .text(event.event_type.as_str())
        .optional_text(event.session_id.as_deref())
        .optional_text(event.region.as_deref())
        .optional_text(event.channel.as_deref())
        .optional_text(event.campaign.as_deref())
        .timestamp(incoming.received_at)
        .jsonb(&event.properties);
}

fn pageview_row(rows: &mut Rows, incoming: &Incoming<'_>, url: &str) {
    let event = incoming.event;
    rows.row(7)
        .int4(incoming.tenant.0)
        .timestamp(event.timestamp)
        .uuid(event.id)
        .uuid(detail_id(event, Detail::Pageview, 0))
        .uuid(event.user.id)
        .text(url)
        .optional_text(event.region.as_deref());
}

fn purchase_row(
    rows: &mut Rows,
    incoming: &Incoming<'_>,
    order: &Order,
    (n, line): (usize, &Line),
    category: &str,
) {
    let event = incoming.event;
    rows.row(12)
        .int4(incoming.tenant.0)
        .timestamp(event.timestamp)
        .uuid(event.id)
        .uuid(detail_id(event, Detail::Purchase, n))
        .uuid(event.user.id)
        .text(&line.product_id)
        .int4(line.quantity)
        .int8(line.amount)
        .text(order.currency.code())
        .text(category)
        .optional_text(event.region.as_deref())
        .optional_text(event.channel.as_deref());
}
