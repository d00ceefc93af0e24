//! Single records, lists of them, and what belongs to them; always within one tenant.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, Func, SimpleExpr};
use sea_orm::{
    ColumnTrait, DatabaseConnection, EntityTrait, FromQueryResult, QueryFilter, Select, Statement,
};
use uuid::Uuid;

use super::identity::{is_canonical, is_of};
use crate::domain::calendar::TimeRange;
use crate::domain::event::detail_time;
use crate::domain::tenant::TenantId;
use crate::storage::StorageError;
use crate::storage::entity::product::CATEGORY_SEPARATOR;
use crate::storage::entity::{event, pageview, product, purchase, user};

/// The rows of a table that a list is made of.
pub type Selection<E> = Select<E>;

/// Which records of a list; what is absent does not narrow it.
#[derive(Clone, Debug, Default)]
pub struct RecordFilter {
    /// Of these types.
    pub types: Option<Vec<String>>,
    /// Within this range of the events' time.
    pub range: Option<TimeRange>,
    /// Of the user whom this id stands for, under whichever of their ids.
    pub user_id: Option<Uuid>,
    /// Of this product.
    pub product_id: Option<String>,
    /// Of this category or one below it.
    pub category: Option<String>,
    /// Of this region.
    pub region: Option<String>,
}

/// Narrows a select by a filter that is there.
fn narrow<E: EntityTrait, T>(
    select: Select<E>,
    wanted: Option<&T>,
    condition: impl FnOnce(&T) -> SimpleExpr,
) -> Select<E> {
    match wanted {
        Some(wanted) => select.filter(condition(wanted)),
        None => select,
    }
}

fn within(column: impl ColumnTrait, range: &TimeRange) -> SimpleExpr {
    column.gte(range.from).and(column.lt(range.to))
}

/// The category itself or anything below it.
fn in_category(column: impl ColumnTrait, category: &str) -> SimpleExpr {
    let below = format!("{category}{CATEGORY_SEPARATOR}");
    let starts_with = Func::cust("starts_with").arg(column.into_expr()).arg(below);
    column.eq(category).or(SimpleExpr::from(starts_with))
}

/// Events, by the key or, for one user, by `event_bloom`.
#[must_use]
pub fn events(tenant: TenantId, filter: &RecordFilter) -> Select<event::Entity> {
    use event::Column;
    let select = event::Entity::find().filter(Column::TenantId.eq(tenant.0));
    let select = narrow(select, filter.types.as_ref(), |types| {
        Column::EventType.is_in(types)
    });
    let select = narrow(select, filter.range.as_ref(), |range| {
        within(Column::Timestamp, range)
    });
    let select = narrow(select, filter.user_id.as_ref(), |id| {
        is_of(Column::UserId, tenant, *id)
    });
    narrow(select, filter.region.as_ref(), |region| {
        Column::Region.eq(region.as_str())
    })
}

/// Pageviews, by the key or, for one user, by `pageview_user`.
#[must_use]
pub fn pageviews(tenant: TenantId, filter: &RecordFilter) -> Select<pageview::Entity> {
    use pageview::Column;
    let select = pageview::Entity::find().filter(Column::TenantId.eq(tenant.0));
    let select = narrow(select, filter.range.as_ref(), |range| {
        within(Column::Timestamp, range)
    });
    let select = narrow(select, filter.user_id.as_ref(), |id| {
        is_of(Column::UserId, tenant, *id)
    });
    narrow(select, filter.region.as_ref(), |region| {
        Column::Region.eq(region.as_str())
    })
}

/// Purchases, by the key, for one user by `purchase_user`, for one product by `purchase_product`.
#[must_use]
pub fn purchases(tenant: TenantId, filter: &RecordFilter) -> Select<purchase::Entity> {
    use purchase::Column;
    let select = purchase::Entity::find().filter(Column::TenantId.eq(tenant.0));
    let select = narrow(select, filter.range.as_ref(), |range| {
        within(Column::Timestamp, range)
    });
    let select = narrow(select, filter.user_id.as_ref(), |id| {
        is_of(Column::UserId, tenant, *id)
    });
    let select = narrow(select, filter.product_id.as_ref(), |id| {
        Column::ProductId.eq(id.as_str())
    });
    let select = narrow(select, filter.category.as_ref(), |path| {
        in_category(Column::Category, path)
    });
    narrow(select, filter.region.as_ref(), |region| {
        Column::Region.eq(region.as_str())
    })
}

/// Users, each once, whatever ids turned out to be theirs; by the key.
#[must_use]
pub fn users(tenant: TenantId) -> Select<user::Entity> {
    user::Entity::find()
        .filter(user::Column::TenantId.eq(tenant.0))
        .filter(is_canonical())
}

/// Products, by the key.
#[must_use]
pub fn products(tenant: TenantId, filter: &RecordFilter) -> Select<product::Entity> {
    use product::Column;
    let select = product::Entity::find().filter(Column::TenantId.eq(tenant.0));
    narrow(select, filter.category.as_ref(), |path| {
        in_category(Column::Category, path)
    })
}

/// An event by the sender's id: `idempotency_key` knows its time, and so its partition.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn event(
    db: &DatabaseConnection,
    tenant: TenantId,
    id: Uuid,
) -> Result<Option<event::Model>, StorageError> {
    let statement = Statement::from_sql_and_values(
        sea_orm::DbBackend::Postgres,
        "SELECT event.*
         FROM idempotency_key AS known
         JOIN event USING (tenant_id, timestamp, event_id)
         WHERE known.tenant_id = $1 AND known.event_id = $2",
        [tenant.0.into(), id.into()],
    );
    Ok(event::Model::find_by_statement(statement).one(db).await?)
}

/// A pageview by id, which tells its time.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn pageview(
    db: &DatabaseConnection,
    tenant: TenantId,
    id: Uuid,
) -> Result<Option<pageview::Model>, StorageError> {
    use pageview::Column;
    let Some(range) = millisecond_of(id) else {
        return Ok(None);
    };
    Ok(pageviews(tenant, &RecordFilter::default())
        .filter(within(Column::Timestamp, &range))
        .filter(Column::PageviewId.eq(id))
        .one(db)
        .await?)
}

/// A purchase by id, which tells its time.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn purchase(
    db: &DatabaseConnection,
    tenant: TenantId,
    id: Uuid,
) -> Result<Option<purchase::Model>, StorageError> {
    use purchase::Column;
    let Some(range) = millisecond_of(id) else {
        return Ok(None);
    };
    Ok(purchases(tenant, &RecordFilter::default())
        .filter(within(Column::Timestamp, &range))
        .filter(Column::PurchaseId.eq(id))
        .one(db)
        .await?)
}

fn millisecond_of(id: Uuid) -> Option<TimeRange> {
    let from = detail_time(id)?;
    let to = from.checked_add_signed(TimeDelta::milliseconds(1))?;
    Some(TimeRange { from, to })
}

/// A product by id.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn product(
    db: &DatabaseConnection,
    tenant: TenantId,
    id: &str,
) -> Result<Option<product::Model>, StorageError> {
    Ok(product::Entity::find_by_id((tenant.0, id.to_owned()))
        .one(db)
        .await?)
}

/// Where an event lies: its time and its id.
pub type EventPlace = (DateTime<Utc>, Uuid);

/// The events at these places, in one statement.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn events_at(
    db: &DatabaseConnection,
    tenant: TenantId,
    places: &[EventPlace],
) -> Result<Vec<event::Model>, StorageError> {
    use event::Column;
    let select = events(tenant, &RecordFilter::default());
    let select = select.filter(at_places(Column::Timestamp, Column::EventId, places));
    Ok(select.all(db).await?)
}

/// The pageviews of the events at these places, in one statement.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn pageviews_of(
    db: &DatabaseConnection,
    tenant: TenantId,
    places: &[EventPlace],
) -> Result<Vec<pageview::Model>, StorageError> {
    use pageview::Column;
    let select = pageviews(tenant, &RecordFilter::default());
    let select = select.filter(at_places(Column::Timestamp, Column::EventId, places));
    Ok(select.all(db).await?)
}

/// The purchases of the events at these places, in one statement.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn purchases_of(
    db: &DatabaseConnection,
    tenant: TenantId,
    places: &[EventPlace],
) -> Result<Vec<purchase::Model>, StorageError> {
    use purchase::Column;
    let select = purchases(tenant, &RecordFilter::default());
    let select = select.filter(at_places(Column::Timestamp, Column::EventId, places));
    Ok(select.all(db).await?)
}

/// One of the places, and between the first and the last, which leaves partitions out.
fn at_places(time: impl ColumnTrait, id: impl ColumnTrait, places: &[EventPlace]) -> SimpleExpr {
    let first = places.iter().map(|(at, _)| *at).min().unwrap_or_default();
    let last = places.iter().map(|(at, _)| *at).max().unwrap_or_default();
    Expr::tuple([time.into_expr(), id.into_expr()])
        .in_tuples(places.iter().copied())
        .and(time.between(first, last))
}

/// The products with these ids, in one statement.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn products_with(
    db: &DatabaseConnection,
    tenant: TenantId,
    ids: &[String],
) -> Result<Vec<product::Model>, StorageError> {
    let select = products(tenant, &RecordFilter::default());
    let select = select.filter(product::Column::ProductId.is_in(ids));
    Ok(select.all(db).await?)
}
