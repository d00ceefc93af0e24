//! Who is who? The ids that are one user, and the user that an id stands for.

use sea_orm::sea_query::{Expr, ExprTrait, SimpleExpr};
use sea_orm::{ColumnTrait, ConnectionTrait, DbBackend, FromQueryResult, Statement, Value};
use uuid::Uuid;

use crate::domain::tenant::TenantId;
use crate::storage::StorageError;
use crate::storage::entity::user;

/// All ids of one user, by the keys of `user_alias` and `user_alias_canonical`. An array, made once
/// for the statement, so that indexes of users can be searched for it.
const IDS_OF: &str = "ANY(ARRAY(
    WITH canonical AS (
        SELECT coalesce((SELECT canonical_id FROM user_alias
                         WHERE tenant_id = $1 AND user_id = $2), $2) AS canonical_id)
    SELECT canonical_id FROM canonical
    UNION ALL
    SELECT user_id FROM user_alias JOIN canonical USING (canonical_id) WHERE tenant_id = $1))";

/// Whether a column holds any of the ids of the user whom this id stands for.
pub(super) fn is_of(column: impl ColumnTrait, tenant: TenantId, id: Uuid) -> SimpleExpr {
    let values: [Value; 2] = [tenant.0.into(), id.into()];
    let ids = Expr::cust_with_values(IDS_OF, values);
    column.into_expr().eq(ids)
}

/// Whether a row of `"user"` is nobody else's.
pub(super) fn is_canonical() -> SimpleExpr {
    Expr::cust(
        r#"NOT EXISTS (SELECT FROM user_alias AS other
           WHERE other.tenant_id = "user".tenant_id AND other.user_id = "user".user_id)"#,
    )
}

/// An id and the user whom it stands for.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Named {
    /// As it was asked for.
    pub id: Uuid,
    /// The canonical one.
    #[sea_orm(nested)]
    pub user: user::Model,
}

/// The users whom these ids stand for, in one statement by the keys of both tables.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn users_with(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    ids: &[Uuid],
) -> Result<Vec<Named>, StorageError> {
    let statement = Statement::from_sql_and_values(
        DbBackend::Postgres,
        r#"SELECT asked.id, "user".*
           FROM unnest($2::uuid[]) AS asked (id)
           LEFT JOIN user_alias AS alias ON alias.tenant_id = $1 AND alias.user_id = asked.id
           JOIN "user" ON "user".tenant_id = $1
                      AND "user".user_id = coalesce(alias.canonical_id, asked.id)"#,
        [tenant.0.into(), ids.to_vec().into()],
    );
    Ok(Named::find_by_statement(statement).all(db).await?)
}

/// An id that turned out to be a user's.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Merged {
    /// The user.
    pub canonical_id: Uuid,
    /// The other id.
    pub user_id: Uuid,
}

/// The other ids of these canonical users, in order, by `user_alias_canonical`.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn merged_into(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    canonical_ids: &[Uuid],
) -> Result<Vec<Merged>, StorageError> {
    let statement = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT canonical_id, user_id FROM user_alias
         WHERE tenant_id = $1 AND canonical_id = ANY($2)
         ORDER BY user_id",
        [tenant.0.into(), canonical_ids.to_vec().into()],
    );
    Ok(Merged::find_by_statement(statement).all(db).await?)
}
