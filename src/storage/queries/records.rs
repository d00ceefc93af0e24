//! Single records, lists of them, and what belongs to them; always within one tenant.

use chrono::TimeDelta;
use sea_orm::sea_query::{ExprTrait, Func, SimpleExpr};
use sea_orm::{ColumnTrait, DatabaseConnection, EntityTrait, QueryFilter, Select};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::identity::is_canonical;
use crate::domain::calendar::TimeRange;
use crate::domain::event::detail_time;
use crate::domain::tenant::TenantId;
use crate::storage::StorageError;
use crate::storage::entity::product::CATEGORY_SEPARATOR;
use crate::storage::entity::{event, pageview, product, purchase, refund, user, user_agent};

/// The rows of a table that a list is made of.
pub type Selection<E> = Select<E>;

/// Which records of a list; what is absent does not narrow it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordFilter {
    /// Of these types.
    pub types: Option<Vec<String>>,
    /// Within this range of the events' time.
    pub range: Option<TimeRange>,
    /// Under any of these ids.
    pub user_ids: Option<Vec<Uuid>>,
    /// Of this product.
    pub product_id: Option<String>,
    /// Of this category or one below it.
    pub category: Option<String>,
    /// Of this region.
    pub region: Option<String>,
    /// Of bots alone, or of others alone.
    pub bot: Option<bool>,
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

/// Events, by the key; those of one user by `event_bloom`, a BRIN index that tells for each 256 kB
/// whether the user can be in it, at a thousandth of what an index of all users would take.
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
    let select = narrow(select, filter.user_ids.as_ref(), |ids| {
        Column::UserId.is_in(ids.iter().copied())
    });
    let select = narrow(select, filter.bot.as_ref(), |bot| Column::Bot.eq(*bot));
    narrow(select, filter.region.as_ref(), |region| {
        Column::Region.eq(region.as_str())
    })
}

/// Pageviews: the events that have a page, found as those are.
#[must_use]
pub fn pageviews(tenant: TenantId, filter: &RecordFilter) -> Select<pageview::Entity> {
    use pageview::Column;
    let select = pageview::Entity::find().filter(Column::TenantId.eq(tenant.0));
    let select = narrow(select, filter.range.as_ref(), |range| {
        within(Column::Timestamp, range)
    });
    let select = narrow(select, filter.user_ids.as_ref(), |ids| {
        Column::UserId.is_in(ids.iter().copied())
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
    let select = narrow(select, filter.user_ids.as_ref(), |ids| {
        Column::UserId.is_in(ids.iter().copied())
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

/// Refunds, by the key, for one user by `refund_user`. They are few.
#[must_use]
pub fn refunds(tenant: TenantId, filter: &RecordFilter) -> Select<refund::Entity> {
    use refund::Column;
    let select = refund::Entity::find().filter(Column::TenantId.eq(tenant.0));
    let select = narrow(select, filter.range.as_ref(), |range| {
        within(Column::Timestamp, range)
    });
    let select = narrow(select, filter.user_ids.as_ref(), |ids| {
        Column::UserId.is_in(ids.iter().copied())
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

/// User agents, by the key.
#[must_use]
pub fn user_agents(tenant: TenantId, filter: &RecordFilter) -> Select<user_agent::Entity> {
    use user_agent::Column;
    let select = user_agent::Entity::find().filter(Column::TenantId.eq(tenant.0));
    narrow(select, filter.bot.as_ref(), |bot| Column::Bot.eq(*bot))
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

/// An event by the sender's id, by `event_bloom`, which leaves out most of each partition: the id
/// does not tell when the event was, and an index of all ids would cost more than to store them.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn event(
    db: &DatabaseConnection,
    tenant: TenantId,
    id: Uuid,
) -> Result<Option<event::Model>, StorageError> {
    let select = events(tenant, &RecordFilter::default());
    let select = select.filter(event::Column::EventId.eq(id));
    // No LIMIT: for a single row the planner would rather walk the key.
    Ok(select.all(db).await?.pop())
}

/// A pageview by id: the event of this id, if it has a page.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn pageview(
    db: &DatabaseConnection,
    tenant: TenantId,
    id: Uuid,
) -> Result<Option<pageview::Model>, StorageError> {
    Ok(event(db, tenant, id)
        .await?
        .and_then(event::Model::pageview))
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

/// A refund by id, which tells its time.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn refund(
    db: &DatabaseConnection,
    tenant: TenantId,
    id: Uuid,
) -> Result<Option<refund::Model>, StorageError> {
    use refund::Column;
    let Some(range) = millisecond_of(id) else {
        return Ok(None);
    };
    Ok(refunds(tenant, &RecordFilter::default())
        .filter(within(Column::Timestamp, &range))
        .filter(Column::RefundId.eq(id))
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
