//! What belongs to records, for many at once; always within one view.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, SimpleExpr};
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseConnection, QueryFilter};
use uuid::Uuid;

use super::records::{RecordFilter, events, products, purchases, refunds, user_agents};
use crate::domain::tenant::View;
use crate::storage::StorageError;
use crate::storage::entity::{event, product, purchase, refund, user_agent};

/// Where an event lies: its time and its id.
pub type EventPlace = (DateTime<Utc>, Uuid);

/// The events at these places, in one statement.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn events_at(
    db: &DatabaseConnection,
    view: &View,
    places: &[EventPlace],
) -> Result<Vec<event::Model>, StorageError> {
    use event::Column;
    let select = events(view, &RecordFilter::default())?;
    let select = select.filter(at_places(Column::Timestamp, Column::EventId, places));
    Ok(select.all(db).await?)
}

/// The purchases of the events at these places, in one statement.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn purchases_of(
    db: &DatabaseConnection,
    view: &View,
    places: &[EventPlace],
) -> Result<Vec<purchase::Model>, StorageError> {
    use purchase::Column;
    let select = purchases(view, &RecordFilter::default())?;
    let select = select.filter(at_places(Column::Timestamp, Column::EventId, places));
    Ok(select.all(db).await?)
}

/// The refunds of the events at these places, in one statement.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn refunds_of(
    db: &DatabaseConnection,
    view: &View,
    places: &[EventPlace],
) -> Result<Vec<refund::Model>, StorageError> {
    use refund::Column;
    let select = refunds(view, &RecordFilter::default())?;
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
    view: &View,
    ids: &[String],
) -> Result<Vec<product::Model>, StorageError> {
    let select = products(view, &RecordFilter::default())?;
    let select = select.filter(product::Column::ProductId.is_in(ids));
    Ok(select.all(db).await?)
}

/// The user agents with these ids, in one statement: those of events that one sees, whichever these
/// are.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn user_agents_with(
    db: &impl ConnectionTrait,
    view: &View,
    ids: &[i64],
) -> Result<Vec<user_agent::Model>, StorageError> {
    let whole = View::whole(view.tenant());
    let select = user_agents(&whole, &RecordFilter::default())?;
    let select = select.filter(user_agent::Column::UserAgentId.is_in(ids.iter().copied()));
    Ok(select.all(db).await?)
}
