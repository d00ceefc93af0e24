//! What is kept of a person? All rows, one after the other, as lines of JSON.

use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement};

use crate::domain::person::Person;
use crate::storage::StorageError;

/// How many rows are read at a time.
const PAGE: &str = "FETCH 500 FROM told";

/// One cursor over every table that has rows of a person. Events in quarantine were never read as
/// such: `probe` is the text to look for the person in.
const SQL: &str = r#"
    DECLARE told NO SCROLL CURSOR FOR
    SELECT ((line - 'tenant_id') || jsonb_build_object('kind', kind))::text AS line, probe
    FROM (
        SELECT 'user' AS kind, to_jsonb(its) AS line, NULL::text AS probe
        FROM "user" AS its WHERE tenant_id = $1 AND user_id = ANY($2)
        UNION ALL
        SELECT 'user_link', to_jsonb(its) || jsonb_build_object('link', its.kind), NULL
        FROM user_link AS its
        WHERE tenant_id = $1 AND (user_id = ANY($2) OR other_id = ANY($2))
        UNION ALL
        SELECT 'user_alias', to_jsonb(its), NULL FROM user_alias AS its
        WHERE tenant_id = $1 AND user_id = ANY($2)
        UNION ALL
        SELECT 'user_day', to_jsonb(its), NULL FROM user_day AS its
        WHERE tenant_id = $1 AND user_id = ANY($2)
        UNION ALL
        SELECT 'event', to_jsonb(its) || jsonb_build_object('user_agent',
                   (SELECT user_agent FROM user_agent AS agent
                    WHERE agent.tenant_id = $1 AND agent.user_agent_id = its.user_agent_id)), NULL
        FROM event AS its WHERE tenant_id = $1 AND user_id = ANY($2)
        UNION ALL
        SELECT 'purchase', to_jsonb(its), NULL FROM purchase AS its
        WHERE tenant_id = $1 AND user_id = ANY($2)
        UNION ALL
        SELECT 'refund', to_jsonb(its), NULL FROM refund AS its
        WHERE tenant_id = $1 AND user_id = ANY($2)
        UNION ALL
        SELECT 'quarantined', to_jsonb(its), payload FROM quarantine AS its WHERE tenant_id = $1
    ) AS known"#;

#[derive(FromQueryResult)]
struct Row {
    line: String,
    probe: Option<String>,
}

/// Begins to read, in this transaction.
///
/// # Errors
/// When the database cannot be reached.
pub async fn begin(db: &impl ConnectionTrait, person: &Person) -> Result<(), StorageError> {
    let values = [person.tenant.0.into(), person.ids.clone().into()];
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, SQL, values);
    db.execute_raw(statement).await?;
    Ok(())
}

/// The next lines; nothing behind the last. There may be none among them that tells of the person.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn next(
    db: &impl ConnectionTrait,
    person: &Person,
) -> Result<Option<Vec<String>>, StorageError> {
    let statement = Statement::from_string(DbBackend::Postgres, PAGE);
    let rows = Row::find_by_statement(statement).all(db).await?;
    if rows.is_empty() {
        return Ok(None);
    }
    let is_theirs = |row: &Row| {
        row.probe
            .as_ref()
            .is_none_or(|text| person.is_named_by(text))
    };
    let lines = rows.into_iter().filter(is_theirs).map(|row| row.line);
    Ok(Some(lines.collect()))
}
