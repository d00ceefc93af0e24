//! What the sessions of a day come to, over the day and by its hours. A session is what one user did
//! under one session id on it; it is of the hour and the place of its first event.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use sea_orm::sqlx::{self, PgConnection};
use uuid::Uuid;

use super::Written;
use crate::domain::calendar::TimeRange;
use crate::domain::measure::Subject;
use crate::domain::summary::visits::{self, Visits, Who};
use crate::domain::summary::{Cells, Part, Span};
use crate::domain::tenant::TenantId;
use crate::storage::StorageError;

/// The sessions of the day that consists of these hours.
pub(super) async fn sum(
    connection: &mut PgConnection,
    tenant: TenantId,
    hours: &[TimeRange],
) -> Result<Vec<Written>, StorageError> {
    let starts: Vec<DateTime<Utc>> = hours.iter().map(|hour| hour.from).collect();
    let known: Vec<(DateTime<Utc>, Vec<u8>)> = sqlx::query_as(
        "SELECT start, cells FROM summary
         WHERE tenant_id = $1 AND span = $2 AND part = $3 AND start = ANY($4)",
    )
    .bind(tenant.0)
    .bind(Span::Hour as i16)
    .bind(visits::CODE)
    .bind(&starts)
    .fetch_all(&mut *connection)
    .await?;
    let aliases = aliases(connection, tenant).await?;
    let who = |number| *aliases.get(&number).unwrap_or(&Who::Number(number));
    let mut sessions = Visits::default();
    for (hour, bytes) in known {
        sessions.read(&bytes, hour, who)?;
    }
    let mut parts: BTreeMap<Part, [Cells; 2]> = Part::of(Subject::Sessions)
        .map(|part| (part, [Cells::default(), Cells::default()]))
        .collect();
    for session in sessions.all() {
        let (began, _) = session.first;
        let hour = starts.partition_point(|start| *start <= began);
        let hour = hour.saturating_sub(1).to_string();
        for (part, [of_day, by_hour]) in &mut parts {
            let value = part.value(|dimension| sessions.place(session, dimension));
            for cell in [of_day.cell(&value, ""), by_hour.cell(&value, &hour)] {
                for (sum, more) in cell.numbers.iter_mut().zip(session.numbers()) {
                    *sum += more;
                }
            }
        }
    }
    let written = |(part, [of_day, by_hour]): (Part, [Cells; 2])| {
        let of_day = (part.code, of_day.write());
        [of_day, (part.by_hour(), by_hour.write())]
    };
    Ok(parts.into_iter().flat_map(written).collect())
}

/// The numbered users who are others.
async fn aliases(
    connection: &mut PgConnection,
    tenant: TenantId,
) -> Result<HashMap<u32, Who>, StorageError> {
    let rows: Vec<(i32, Uuid, Option<i32>)> = sqlx::query_as(
        "SELECT own.number, canonical_id, whose.number
         FROM user_alias AS alias
         JOIN user_number AS own USING (tenant_id, user_id)
         LEFT JOIN user_number AS whose
              ON whose.tenant_id = $1 AND whose.user_id = canonical_id
         WHERE alias.tenant_id = $1",
    )
    .bind(tenant.0)
    .fetch_all(connection)
    .await?;
    let number = |number: i32| u32::try_from(number).ok();
    let alias = |(own, canonical, whose): (i32, Uuid, Option<i32>)| {
        let who = whose.and_then(number).map(Who::Number);
        Some((number(own)?, who.unwrap_or(Who::Id(canonical))))
    };
    Ok(rows.into_iter().filter_map(alias).collect())
}
