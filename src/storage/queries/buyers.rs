//! How many different users bought, per bucket and group?

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement};

use super::sales::{SalesGroup, SalesGroups};
use crate::domain::money::Currency;
use crate::domain::tenant::TenantId;
use crate::storage::StorageError;

/// The buyers of one bucket and group.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct BuyersRow {
    /// From 1; the n-th bucket begins at the n-th bound.
    pub bucket: i32,
    /// Which group.
    #[sea_orm(nested)]
    pub group: SalesGroup,
    /// How many users.
    pub buyers: i64,
}

/// Counts users over the purchases between the first and the last bound: distinct counts do not
/// add up, so no rollup has them. A range scan of the key of `purchase`; ids that turned out to be of
/// one user are one by `user_alias`, which is small. Not `count(DISTINCT …)`, which sorts.
const SQL: &str = "
    SELECT bucket, category, region, channel, product_id, count(*) AS buyers
    FROM (SELECT DISTINCT width_bucket(timestamp, $3) AS bucket,
                 CASE WHEN $4 THEN category END AS category,
                 CASE WHEN $5 THEN coalesce(region, '') END AS region,
                 CASE WHEN $6 THEN coalesce(channel, '') END AS channel,
                 CASE WHEN $7 THEN product_id END AS product_id,
                 coalesce(canonical_id, user_id)
          FROM purchase LEFT JOIN user_alias USING (tenant_id, user_id)
          WHERE tenant_id = $1 AND currency = $2 AND timestamp >= $8 AND timestamp < $9
                AND (NOT bot OR $10)) AS bought
    GROUP BY 1, 2, 3, 4, 5";

/// The buyers between each two neighbouring bounds, bots if `bots` says so.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn buyers(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    currency: Currency,
    bounds: &[DateTime<Utc>],
    groups: SalesGroups,
    bots: bool,
) -> Result<Vec<BuyersRow>, StorageError> {
    let [from, .., to] = bounds else {
        return Ok(Vec::new());
    };
    let statement = Statement::from_sql_and_values(
        DbBackend::Postgres,
        SQL,
        [
            tenant.0.into(),
            currency.code().into(),
            bounds.to_vec().into(),
            groups.category.into(),
            groups.region.into(),
            groups.channel.into(),
            groups.product.into(),
            (*from).into(),
            (*to).into(),
            bots.into(),
        ],
    );
    Ok(BuyersRow::find_by_statement(statement).all(db).await?)
}
