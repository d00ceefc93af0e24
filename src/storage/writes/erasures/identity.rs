//! Who a person is: their rows, names and links.

use chrono::{DateTime, Utc};
use sea_orm::sqlx;

use uuid::Uuid;

use super::{Erasure, Mode, facts, lock_identities, person_in};
use crate::domain::calendar::Hour;
use crate::storage::writes::erased::ErasureKey;
use crate::storage::writes::{Transaction, changes};
use crate::storage::{Db, StorageError};

/// A number that stands for the person in sets stays somebody's, so that nobody else is given it;
/// the sets that have it are made anew.
const STATEMENTS: [&str; 4] = [
    r#"DELETE FROM "user" WHERE tenant_id = $1 AND user_id = ANY($2)"#,
    "DELETE FROM user_alias
     WHERE tenant_id = $1 AND (user_id = ANY($2) OR canonical_id = ANY($2))",
    "DELETE FROM user_link WHERE tenant_id = $1 AND (user_id = ANY($2) OR other_id = ANY($2))",
    "UPDATE user_number SET user_id = gen_random_uuid()
     WHERE tenant_id = $1 AND user_id = ANY($2)",
];

/// What stands in the place of somebody's id who has none any more.
const NAMELESS: &str = "anonymised";

/// Takes out who the person is, unless something was stored of them after a change, or more ids
/// turned out to be theirs; says whether it did. From its commit on, what is received is new.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn take_out(
    db: &Db,
    erasure: &mut Erasure,
    change: i64,
    at: DateTime<Utc>,
) -> Result<bool, StorageError> {
    if erasure.range.is_none() && find_more(db, erasure).await? {
        return Ok(false);
    }
    let mut transaction = db.writes().begin().await?;
    sqlx::raw_sql("SET LOCAL statement_timeout = '10min'")
        .execute(&mut *transaction)
        .await?;
    let tenant = erasure.person.tenant;
    if erasure.range.is_none() {
        lock_identities(&mut transaction, tenant).await?;
        for statement in STATEMENTS {
            sqlx::query(statement)
                .bind(tenant.0)
                .bind(&erasure.person.ids)
                .execute(&mut *transaction)
                .await?;
        }
    }
    if erasure.mode == Mode::Anonymise {
        name_nobody(&mut transaction, erasure).await?;
    }
    let number = changes::tell_writers(&mut transaction).await?;
    if erasure.range.is_none() && facts::is_more(&mut transaction, erasure, change).await? {
        transaction.rollback().await?;
        return Ok(false);
    }
    changes::mark_hours(&mut transaction, tenant, number, [Hour::WHO]).await?;
    sqlx::query("UPDATE erased_user SET until = $2, number = $3 WHERE erasure_id = $1")
        .bind(erasure.id)
        .bind(at)
        .bind(number)
        .execute(&mut *transaction)
        .await?;
    sqlx::query("UPDATE erasure SET erased_at = $2 WHERE erasure_id = $1")
        .bind(erasure.id)
        .bind(at)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(true)
}

/// Whether ids turned out to be the person's since it was asked for: they are erased, too.
async fn find_more(db: &Db, erasure: &mut Erasure) -> Result<bool, StorageError> {
    let tenant = erasure.person.tenant;
    let Some(any) = erasure.person.ids.first().copied() else {
        return Ok(false);
    };
    let key = ErasureKey::load(db.writes()).await?;
    let mut transaction = db.writes().begin().await?;
    lock_identities(&mut transaction, tenant).await?;
    let now = person_in(&mut transaction, tenant, any, None).await?;
    let known = &mut erasure.person;
    let is_new = |id: &Uuid| !known.ids.contains(id);
    let ids: Vec<Uuid> = now.ids.into_iter().filter(is_new).collect();
    if ids.is_empty() {
        return Ok(false);
    }
    let subjects = ids.iter().map(|id| key.subject(tenant, *id).to_vec());
    let subjects: Vec<Vec<u8>> = subjects.collect();
    known.ids.extend(ids);
    known.words.extend(now.words);
    known.words.sort_unstable();
    known.words.dedup();
    let number = changes::tell_writers(&mut transaction).await?;
    sqlx::query(
        "WITH its AS (
             UPDATE erasure SET user_ids = $2, words = $3 WHERE erasure_id = $1
             RETURNING requested_at, range_from, range_to
         )
         INSERT INTO erased_user (tenant_id, subject, erasure_id, until, range_from, range_to,
                                  number)
         SELECT $4, unnest($5::bytea[]), $1, requested_at, range_from, range_to, $6 FROM its",
    )
    .bind(erasure.id)
    .bind(&known.ids)
    .bind(&known.words)
    .bind(tenant.0)
    .bind(subjects)
    .bind(number)
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(true)
}

/// The user of the facts that are nameless now, if there are any.
async fn name_nobody(transaction: &mut Transaction, erasure: &Erasure) -> Result<(), StorageError> {
    sqlx::query(
        r#"INSERT INTO "user" (tenant_id, user_id, external_id, anonymous)
           SELECT $1, $2, $3, true
           WHERE EXISTS (SELECT FROM erasure WHERE erasure_id = $4 AND months <> '{}')
           ON CONFLICT DO NOTHING"#,
    )
    .bind(erasure.person.tenant.0)
    .bind(erasure.new_id)
    .bind(NAMELESS)
    .bind(erasure.id)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}
