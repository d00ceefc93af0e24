//! Single records, lists of them, and what belongs to them; always within one view.

use chrono::TimeDelta;
use sea_orm::sea_query::{ExprTrait, Func, SimpleExpr};
use sea_orm::{ColumnTrait, DatabaseConnection, EntityTrait, QueryFilter, Select};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::identity::is_canonical;
use crate::domain::calendar::TimeRange;
use crate::domain::event::detail_time;
use crate::domain::measure::Dimension;
use crate::domain::tenant::View;
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

/// The rows that a view shows. `column` tells where a dimension is found: a table that lacks one by
/// which the view is limited is not shown at all.
fn visible<E: EntityTrait>(
    select: Select<E>,
    view: &View,
    column: impl Fn(Dimension) -> Option<E::Column>,
) -> Result<Select<E>, StorageError> {
    let Some(rows) = view.rows() else {
        return Ok(select);
    };
    rows.limits()
        .try_fold(select, |select, (dimension, values)| {
            let column = column(dimension).ok_or(StorageError::OutOfScope)?;
            let condition = if dimension == Dimension::Category {
                let any = values.iter().map(|path| in_category(column, path));
                any.reduce(ExprTrait::or).ok_or(StorageError::OutOfScope)?
            } else {
                column.is_in(values)
            };
            Ok(select.filter(condition))
        })
}

/// Nothing but for who sees every row.
fn whole(view: &View) -> Result<(), StorageError> {
    if view.is_whole() {
        Ok(())
    } else {
        Err(StorageError::OutOfScope)
    }
}

/// Events, by the key; those of one user by `event_bloom`, a BRIN index that tells for each 256 kB
/// whether the user can be in it, at a thousandth of what an index of all users would take.
///
/// # Errors
/// A view by what these have not.
pub fn events(view: &View, filter: &RecordFilter) -> Result<Select<event::Entity>, StorageError> {
    use event::Column;
    let select = event::Entity::find().filter(Column::TenantId.eq(view.tenant().0));
    let select = visible(select, view, |dimension| match dimension {
        Dimension::Region => Some(Column::Region),
        _ => None,
    })?;
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
    Ok(narrow(select, filter.region.as_ref(), |region| {
        Column::Region.eq(region.as_str())
    }))
}

/// Pageviews: the events that have a page, found as those are.
///
/// # Errors
/// A view by what these have not.
pub fn pageviews(
    view: &View,
    filter: &RecordFilter,
) -> Result<Select<pageview::Entity>, StorageError> {
    use pageview::Column;
    let select = pageview::Entity::find().filter(Column::TenantId.eq(view.tenant().0));
    let select = visible(select, view, |dimension| match dimension {
        Dimension::Region => Some(Column::Region),
        _ => None,
    })?;
    let select = narrow(select, filter.range.as_ref(), |range| {
        within(Column::Timestamp, range)
    });
    let select = narrow(select, filter.user_ids.as_ref(), |ids| {
        Column::UserId.is_in(ids.iter().copied())
    });
    Ok(narrow(select, filter.region.as_ref(), |region| {
        Column::Region.eq(region.as_str())
    }))
}

/// Purchases, by the key, for one user by `purchase_user`, for one product by `purchase_product`.
///
/// # Errors
/// A view by what these have not.
pub fn purchases(
    view: &View,
    filter: &RecordFilter,
) -> Result<Select<purchase::Entity>, StorageError> {
    use purchase::Column;
    let select = purchase::Entity::find().filter(Column::TenantId.eq(view.tenant().0));
    let select = visible(select, view, |dimension| match dimension {
        Dimension::Category => Some(Column::Category),
        Dimension::Region => Some(Column::Region),
        Dimension::Product => Some(Column::ProductId),
        _ => None,
    })?;
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
    Ok(narrow(select, filter.region.as_ref(), |region| {
        Column::Region.eq(region.as_str())
    }))
}

/// Refunds, by the key, for one user by `refund_user`. They are few.
///
/// # Errors
/// A view by what these have not.
pub fn refunds(view: &View, filter: &RecordFilter) -> Result<Select<refund::Entity>, StorageError> {
    use refund::Column;
    let select = refund::Entity::find().filter(Column::TenantId.eq(view.tenant().0));
    let select = visible(select, view, |dimension| match dimension {
        Dimension::Category => Some(Column::Category),
        Dimension::Region => Some(Column::Region),
        Dimension::Product => Some(Column::ProductId),
        _ => None,
    })?;
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
    Ok(narrow(select, filter.region.as_ref(), |region| {
        Column::Region.eq(region.as_str())
    }))
}

/// Users, each once, whatever ids turned out to be theirs; by the key.
///
/// # Errors
/// A view by what these have not.
pub fn users(view: &View) -> Result<Select<user::Entity>, StorageError> {
    whole(view)?;
    Ok(user::Entity::find()
        .filter(user::Column::TenantId.eq(view.tenant().0))
        .filter(is_canonical()))
}

/// User agents, by the key.
///
/// # Errors
/// A view by what these have not.
pub fn user_agents(
    view: &View,
    filter: &RecordFilter,
) -> Result<Select<user_agent::Entity>, StorageError> {
    use user_agent::Column;
    whole(view)?;
    let select = user_agent::Entity::find().filter(Column::TenantId.eq(view.tenant().0));
    Ok(narrow(select, filter.bot.as_ref(), |bot| {
        Column::Bot.eq(*bot)
    }))
}

/// Products, by the key.
///
/// # Errors
/// A view by what these have not.
pub fn products(
    view: &View,
    filter: &RecordFilter,
) -> Result<Select<product::Entity>, StorageError> {
    use product::Column;
    let select = product::Entity::find().filter(Column::TenantId.eq(view.tenant().0));
    let select = visible(select, view, |dimension| match dimension {
        Dimension::Category => Some(Column::Category),
        Dimension::Product => Some(Column::ProductId),
        _ => None,
    })?;
    Ok(narrow(select, filter.category.as_ref(), |path| {
        in_category(Column::Category, path)
    }))
}

/// An event by the sender's id, by `event_bloom`, which leaves out most of each partition: the id
/// does not tell when the event was, and an index of all ids would cost more than to store them.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn event(
    db: &DatabaseConnection,
    view: &View,
    id: Uuid,
) -> Result<Option<event::Model>, StorageError> {
    let select = events(view, &RecordFilter::default())?;
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
    view: &View,
    id: Uuid,
) -> Result<Option<pageview::Model>, StorageError> {
    Ok(event(db, view, id).await?.and_then(event::Model::pageview))
}

/// A purchase by id, which tells its time.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn purchase(
    db: &DatabaseConnection,
    view: &View,
    id: Uuid,
) -> Result<Option<purchase::Model>, StorageError> {
    use purchase::Column;
    let Some(range) = millisecond_of(id) else {
        return Ok(None);
    };
    Ok(purchases(view, &RecordFilter::default())?
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
    view: &View,
    id: Uuid,
) -> Result<Option<refund::Model>, StorageError> {
    use refund::Column;
    let Some(range) = millisecond_of(id) else {
        return Ok(None);
    };
    Ok(refunds(view, &RecordFilter::default())?
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
    view: &View,
    id: &str,
) -> Result<Option<product::Model>, StorageError> {
    Ok(products(view, &RecordFilter::default())?
        .filter(product::Column::ProductId.eq(id))
        .one(db)
        .await?)
}
