//! Takes events out of quarantine. What stores them there is the transaction that stores their
//! batch.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, DatabaseConnection, DbBackend, EntityTrait, FromQueryResult, QueryFilter,
    QueryOrder, QuerySelect, Statement, TransactionTrait,
};
use serde_json::json;
use uuid::Uuid;

use super::audit::{Entry, append};
use crate::domain::audit::{Action, Actor};
use crate::domain::tenant::TenantId;
use crate::storage::StorageError;
use crate::storage::entity::quarantine::{self, Column, State};
use crate::storage::queries::quarantine::{QuarantineFilter, quarantined};

/// Marks events as replayed, also where somebody discarded them meanwhile: they are stored.
///
/// # Errors
/// When the database cannot be reached.
pub async fn mark_replayed(
    db: &DatabaseConnection,
    tenant: TenantId,
    ids: Vec<Uuid>,
    patched: bool,
    (actor, now): (&Actor, DateTime<Utc>),
) -> Result<(), StorageError> {
    if ids.is_empty() {
        return Ok(());
    }
    let events = ids.len();
    let transaction = db.begin().await?;
    quarantine::Entity::update_many()
        .col_expr(Column::State, Expr::value(State::Replayed))
        .col_expr(Column::StateAt, Expr::value(now))
        .filter(Column::TenantId.eq(tenant.0))
        .filter(Column::QuarantineId.is_in(ids))
        .filter(Column::State.ne(State::Replayed))
        .exec(&transaction)
        .await?;
    let entry = Entry {
        at: now,
        tenant: Some(tenant),
        actor,
        action: Action::QuarantineReplayed,
        subject: "quarantine".to_owned(),
        details: json!({"events": events, "patched": patched}),
    };
    append(&transaction, entry).await?;
    transaction.commit().await?;
    Ok(())
}

/// Discards held events that pass a filter, the oldest first, `most` at the most; says how many.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn discard(
    db: &DatabaseConnection,
    tenant: TenantId,
    filter: &QuarantineFilter,
    most: u64,
    (actor, now): (&Actor, DateTime<Utc>),
) -> Result<u64, StorageError> {
    // Chosen first: as a subquery it is planned badly on a table that has grown fast.
    let chosen: Vec<Uuid> = quarantined(tenant, filter)
        .select_only()
        .column(Column::QuarantineId)
        .filter(Column::State.eq(State::Held))
        .order_by_asc(Column::ReceivedAt)
        .order_by_asc(Column::QuarantineId)
        .limit(most)
        .into_tuple()
        .all(db)
        .await?;
    let transaction = db.begin().await?;
    let result = quarantine::Entity::update_many()
        .col_expr(Column::State, Expr::value(State::Discarded))
        .col_expr(Column::StateAt, Expr::value(now))
        .filter(Column::TenantId.eq(tenant.0))
        .filter(Column::State.eq(State::Held))
        .filter(Column::QuarantineId.is_in(chosen))
        .exec(&transaction)
        .await?;
    if result.rows_affected > 0 {
        let entry = Entry {
            at: now,
            tenant: Some(tenant),
            actor,
            action: Action::QuarantineDiscarded,
            subject: "quarantine".to_owned(),
            details: json!({"events": result.rows_affected}),
        };
        append(&transaction, entry).await?;
    }
    transaction.commit().await?;
    Ok(result.rows_affected)
}

/// How many events of a tenant left quarantine for good, by what had become of them.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Expired {
    /// Whose.
    pub tenant_id: i32,
    /// What had become of them.
    pub state: State,
    /// How many.
    pub events: i64,
}

/// Deletes events received before a time, of every tenant, `most` of each at the most.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn expire(
    db: &DatabaseConnection,
    before: DateTime<Utc>,
    most: u32,
) -> Result<Vec<Expired>, StorageError> {
    // The index quarantine_time gives each tenant's oldest.
    let statement = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "WITH gone AS (
             DELETE FROM quarantine
             USING tenant CROSS JOIN LATERAL (
                 SELECT tenant_id, quarantine_id FROM quarantine
                 WHERE tenant_id = tenant.tenant_id AND received_at < $1
                 ORDER BY received_at, quarantine_id
                 LIMIT $2
             ) AS old
             WHERE (quarantine.tenant_id, quarantine.quarantine_id)
                 = (old.tenant_id, old.quarantine_id)
             RETURNING quarantine.tenant_id, quarantine.state
         )
         SELECT tenant_id, state, count(*) AS events FROM gone GROUP BY tenant_id, state",
        [before.into(), i64::from(most).into()],
    );
    Ok(Expired::find_by_statement(statement).all(db).await?)
}
