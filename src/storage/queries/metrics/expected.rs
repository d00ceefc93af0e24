//! How many rows does a source have in some ranges? As many as PostgreSQL's planner expects there,
//! by the statistics of the partitions: no row is read, and conditions on rows do not count, for
//! they are looked at all the same.

use std::cmp::Reverse;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use sea_orm::{ConnectionTrait, Statement, Value};

use super::frame::{mentioned, unit};
use super::sql::Sql;
use super::{Cut, Source};
use crate::domain::calendar::TimeRange;
use crate::domain::condition::Condition;
use crate::domain::measure::{Dimension, Subject};
use crate::storage::StorageError;

/// How many ranges the planner is asked of: the longest, which then stand for the others.
const MAX_RANGES: usize = 16;

/// How many rows are read for a subject in these ranges, if they are read once.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn expected(
    db: &impl ConnectionTrait,
    subject: Subject,
    source: Source,
    cut: &Cut<'_>,
    ranges: &[TimeRange],
) -> Result<i64, StorageError> {
    let length = |range: &TimeRange| (range.to - range.from).num_minutes();
    let mut asked = ranges.to_vec();
    asked.sort_by_key(|range| Reverse(length(range)));
    asked.truncate(MAX_RANGES);
    if asked.is_empty() {
        return Ok(0);
    }
    let all: i64 = ranges.iter().map(length).sum();
    let some: i64 = asked.iter().map(length).sum();
    let row = db
        .query_one_raw(statement(subject, source, cut, &asked))
        .await?;
    let plan = row.map(|row| row.try_get_by_index::<serde_json::Value>(0));
    let plan = plan.transpose()?.unwrap_or_default();
    let rows = &plan[0]["Plan"]["Plan Rows"];
    if !rows.is_number() {
        return Err(StorageError::Bug(format!("a plan without rows: {plan}")));
    }
    let rows = i128::from(rows.as_i64().unwrap_or(i64::MAX));
    let rows = rows * i128::from(all) / i128::from(some.max(1));
    Ok(i64::try_from(rows).unwrap_or(i64::MAX))
}

/// What the planner is asked: a part for each table and range, whose sum stands at the top of its
/// plan.
fn statement(subject: Subject, source: Source, cut: &Cut<'_>, ranges: &[TimeRange]) -> Statement {
    let mut sql = Sql::default();
    let parts: Vec<String> = ranges
        .iter()
        .flat_map(|range| parts(&mut sql, subject, source, cut, *range))
        .collect();
    sql.text(format!(
        "EXPLAIN (FORMAT JSON) {}",
        parts.join(" UNION ALL ")
    ));
    sql.whole()
}

fn parts(
    sql: &mut Sql,
    subject: Subject,
    source: Source,
    cut: &Cut<'_>,
    range: TimeRange,
) -> Vec<String> {
    let TimeRange { from, to } = range;
    let tenant = sql.bind(cut.view.tenant().0);
    let rows = |sql: &mut Sql, table: &str, time: &str, [from, to]: [Value; 2]| {
        let (from, to) = (sql.bind(from), sql.bind(to));
        format!(
            "SELECT 1 FROM {table} WHERE tenant_id = {tenant} AND {time} >= {from} AND {time} < {to}"
        )
    };
    let day = |at: DateTime<Utc>| at.with_timezone(&cut.tenant_zone).date_naive();
    let days = |from: NaiveDate, to: NaiveDate| -> [Value; 2] { [from.into(), to.into()] };
    match source {
        Source::Sales(grain, span) => {
            let table = format!("sales_{}", unit(span));
            let all = rows(sql, &table, unit(span), [from.into(), to.into()]);
            vec![format!("{all} AND grain = {}", sql.bind(grain as i16))]
        }
        Source::Traffic(span) => {
            let table = format!("traffic_{}", unit(span));
            vec![rows(sql, &table, unit(span), [from.into(), to.into()])]
        }
        Source::UserDays => vec![rows(sql, "user_day", "day", days(day(from), day(to)))],
        Source::Facts => {
            let mut parts = Vec::new();
            // A session may have begun, and go on, on another day.
            let margin = match subject {
                Subject::Sessions => TimeDelta::days(1),
                _ => TimeDelta::zero(),
            };
            for table in tables(subject, cut) {
                let times = [(from - margin).into(), (to + margin).into()];
                parts.push(rows(sql, table, "timestamp", times));
            }
            let cohorts = mentioned(cut).contains(&Dimension::UserCohort);
            if cohorts || matches!(subject, Subject::NewUsers | Subject::NewBuyers) {
                // Who was there before; of cohorts, what came after is the lesser part.
                let before = days(DateTime::UNIX_EPOCH.date_naive(), day(to));
                parts.push(rows(sql, "user_day", "day", before));
            }
            parts
        }
    }
}

/// The tables of facts that are read.
fn tables(subject: Subject, cut: &Cut<'_>) -> &'static [&'static str] {
    let mentioned = mentioned(cut);
    let has = |dimension| mentioned.contains(&dimension);
    let properties = cut.filter.is_some_and(Condition::has_properties);
    match subject {
        Subject::Lines | Subject::Buyers | Subject::NewBuyers => {
            if properties || has(Dimension::Campaign) || has(Dimension::Device) {
                &["purchase", "refund", "event"]
            } else {
                &["purchase", "refund"]
            }
        }
        _ => &["event"],
    }
}
