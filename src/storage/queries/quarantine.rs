//! What is in quarantine? Newest first in lists, oldest first where it is replayed, both by
//! `quarantine_time`; what it does not know is compared row by row.

use sea_orm::sea_query::ExprTrait;
use sea_orm::{
    ColumnTrait, DatabaseConnection, DbBackend, EntityTrait, FromQueryResult, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect, Select, Statement,
};
use uuid::Uuid;

use super::page::{KeyPart, beyond};
use crate::domain::calendar::TimeRange;
use crate::domain::tenant::TenantId;
use crate::storage::StorageError;
use crate::storage::entity::quarantine::{self, Column, State};

/// Which quarantined events; what is absent does not narrow the list.
#[derive(Clone, Debug, Default)]
pub struct QuarantineFilter {
    /// These alone.
    pub ids: Option<Vec<Uuid>>,
    /// Of which this became.
    pub states: Option<Vec<State>>,
    /// That are here for one of these codes.
    pub codes: Option<Vec<String>>,
    /// Of these types.
    pub event_types: Option<Vec<String>>,
    /// Received within this range.
    pub range: Option<TimeRange>,
}

/// Those that pass a filter.
#[must_use]
pub fn quarantined(tenant: TenantId, filter: &QuarantineFilter) -> Select<quarantine::Entity> {
    let mut select = quarantine::Entity::find().filter(Column::TenantId.eq(tenant.0));
    if let Some(ids) = &filter.ids {
        select = select.filter(Column::QuarantineId.is_in(ids.iter().copied()));
    }
    if let Some(states) = &filter.states {
        select = select.filter(Column::State.is_in(states.iter().copied()));
    }
    if let Some(codes) = &filter.codes {
        select = select.filter(Column::Code.is_in(codes));
    }
    if let Some(types) = &filter.event_types {
        select = select.filter(Column::EventType.is_in(types));
    }
    if let Some(range) = &filter.range {
        let within = Column::ReceivedAt.gte(range.from);
        select = select.filter(within.and(Column::ReceivedAt.lt(range.to)));
    }
    select
}

/// Those of them that are held, received after a place.
fn held(
    tenant: TenantId,
    filter: &QuarantineFilter,
    after: Option<&[KeyPart]>,
) -> Select<quarantine::Entity> {
    let select = quarantined(tenant, filter).filter(Column::State.eq(State::Held));
    match after {
        Some(place) => select.filter(beyond::<quarantine::Entity>(place, false)),
        None => select,
    }
}

/// Held events that pass a filter, the oldest first, after a place.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn oldest_held(
    db: &DatabaseConnection,
    tenant: TenantId,
    filter: &QuarantineFilter,
    after: Option<&[KeyPart]>,
    limit: u64,
) -> Result<Vec<quarantine::Model>, StorageError> {
    Ok(held(tenant, filter, after)
        .order_by_asc(Column::ReceivedAt)
        .order_by_asc(Column::QuarantineId)
        .limit(limit)
        .all(db)
        .await?)
}

/// How many of them there are.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn count_held(
    db: &DatabaseConnection,
    tenant: TenantId,
    filter: &QuarantineFilter,
    after: Option<&[KeyPart]>,
) -> Result<u64, StorageError> {
    Ok(held(tenant, filter, after).count(db).await?)
}

#[derive(Debug, FromQueryResult)]
struct Count {
    held: i64,
}

/// How many events a tenant has in quarantine, as far as `most`: it does not count on.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn held_up_to(
    db: &DatabaseConnection,
    tenant: TenantId,
    most: u64,
) -> Result<u64, StorageError> {
    let statement = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT count(*) AS held
         FROM (SELECT FROM quarantine WHERE tenant_id = $1 AND state = 'held' LIMIT $2) AS first",
        [
            tenant.0.into(),
            i64::try_from(most).unwrap_or(i64::MAX).into(),
        ],
    );
    let count = Count::find_by_statement(statement).one(db).await?;
    Ok(count.map_or(0, |count| u64::try_from(count.held).unwrap_or(0)))
}
