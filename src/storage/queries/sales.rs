//! What was sold and paid back, per bucket and group?

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement};
use serde::{Deserialize, Serialize};

use crate::domain::tenant::TenantId;
use crate::storage::StorageError;
use crate::storage::entity::sales_minute::Grain;

/// What sales can be told apart by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(clippy::struct_excessive_bools, reason = "a set of four")]
pub struct SalesGroups {
    /// By the products' category.
    pub category: bool,
    /// By the orders' region.
    pub region: bool,
    /// By the orders' channel.
    pub channel: bool,
    /// By product.
    pub product: bool,
}

impl SalesGroups {
    /// The coarsest grain that can be told apart so.
    #[must_use]
    pub fn grain(self) -> Grain {
        match self {
            Self { product: true, .. } => Grain::Product,
            Self { category: true, .. } => Grain::Category,
            _ => Grain::Order,
        }
    }
}

/// The words of a group; one that was not asked for is `None`, one that is absent is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, FromQueryResult, Serialize, Deserialize)]
pub struct SalesGroup {
    /// As it was when the orders were stored.
    pub category: Option<String>,
    /// Of the orders.
    pub region: Option<String>,
    /// Of the orders.
    pub channel: Option<String>,
    /// The shop's id.
    pub product_id: Option<String>,
}

/// The sales of one bucket, currency and group.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct SalesRow {
    /// From 1; the n-th bucket begins at the n-th bound.
    pub bucket: i32,
    /// ISO 4217.
    pub currency: String,
    /// Which group.
    #[sea_orm(nested)]
    pub group: SalesGroup,
    /// How many orders.
    pub orders: i64,
    /// How many pieces.
    pub units: i64,
    /// In minor units, as a decimal: a sum may be wider than a `bigint`.
    pub revenue: String,
    /// What was paid back, alike.
    pub refunds: String,
}

/// Reads the rollup between the first and the last bound: a range scan of its key, which begins
/// with tenant, grain and minute.
pub const SQL: &str = "
    SELECT width_bucket(minute, $3) AS bucket,
           currency,
           CASE WHEN $4 THEN category END AS category,
           CASE WHEN $5 THEN region END AS region,
           CASE WHEN $6 THEN channel END AS channel,
           CASE WHEN $7 THEN product_id END AS product_id,
           sum(orders)::bigint AS orders,
           sum(units)::bigint AS units,
           sum(revenue)::text AS revenue,
           sum(refunds)::text AS refunds
    FROM sales_minute
    WHERE tenant_id = $1 AND grain = $2 AND minute >= $8 AND minute < $9 AND (NOT bot OR $11)
    GROUP BY 1, 2, 3, 4, 5, 6
    ORDER BY 1, 2, 3, 4, 5, 6
    LIMIT $10";

/// The sales between each two neighbouring bounds, those of bots if `bots` says so, at most `limit`
/// rows, in the order of buckets.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn sales(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    bounds: &[DateTime<Utc>],
    groups: SalesGroups,
    bots: bool,
    limit: i64,
) -> Result<Vec<SalesRow>, StorageError> {
    let [from, .., to] = bounds else {
        return Ok(Vec::new());
    };
    let statement = Statement::from_sql_and_values(
        DbBackend::Postgres,
        SQL,
        [
            tenant.0.into(),
            (groups.grain() as i16).into(),
            bounds.to_vec().into(),
            groups.category.into(),
            groups.region.into(),
            groups.channel.into(),
            groups.product.into(),
            (*from).into(),
            (*to).into(),
            limit.into(),
            bots.into(),
        ],
    );
    Ok(SalesRow::find_by_statement(statement).all(db).await?)
}
