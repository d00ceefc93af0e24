//! Who is who? The ids that are one user, and the user that an id stands for.

use sea_orm::sea_query::{Expr, SimpleExpr};
use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement};
use uuid::Uuid;

use crate::domain::tenant::{TenantId, View};
use crate::storage::StorageError;
use crate::storage::entity::user;

/// Whether a row of `"user"` is nobody else's.
pub(super) fn is_canonical() -> SimpleExpr {
    Expr::cust(
        r#"NOT EXISTS (SELECT FROM user_alias AS other
           WHERE other.tenant_id = "user".tenant_id AND other.user_id = "user".user_id)"#,
    )
}

/// All ids of the users whom these stand for, by the keys of `user_alias` and
/// `user_alias_canonical`. A statement of its own, so that the planner of the next one knows how
/// few they are, most often one.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn members(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    ids: &[Uuid],
) -> Result<Vec<Uuid>, StorageError> {
    let statement = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "WITH canonical AS (
             SELECT DISTINCT coalesce((SELECT canonical_id FROM user_alias
                                       WHERE tenant_id = $1 AND user_id = id), id) AS canonical_id
             FROM unnest($2::uuid[]) AS id)
         SELECT canonical_id FROM canonical
         UNION ALL
         SELECT user_id FROM canonical JOIN user_alias USING (canonical_id)
         WHERE tenant_id = $1",
        [tenant.0.into(), ids.to_vec().into()],
    );
    let rows = db.query_all_raw(statement).await?;
    let ids = rows.iter().map(|row| row.try_get_by_index(0));
    Ok(ids.collect::<Result<_, _>>()?)
}

/// Users have neither category nor region nor product: who sees some rows alone sees no user.
fn of_everybody(view: &View) -> Result<TenantId, StorageError> {
    if view.is_whole() {
        Ok(view.tenant())
    } else {
        Err(StorageError::OutOfScope)
    }
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
    view: &View,
    ids: &[Uuid],
) -> Result<Vec<Named>, StorageError> {
    let tenant = of_everybody(view)?;
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
    view: &View,
    canonical_ids: &[Uuid],
) -> Result<Vec<Merged>, StorageError> {
    let tenant = of_everybody(view)?;
    let statement = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT canonical_id, user_id FROM user_alias
         WHERE tenant_id = $1 AND canonical_id = ANY($2)
         ORDER BY user_id",
        [tenant.0.into(), canonical_ids.to_vec().into()],
    );
    Ok(Merged::find_by_statement(statement).all(db).await?)
}
