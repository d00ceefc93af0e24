//! How far have the events come, and what of a range came late, is a bot's or is held back?

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement};

use crate::domain::calendar::TimeRange;
use crate::domain::tenant::View;
use crate::storage::StorageError;

/// How far the events in quarantine are counted.
pub const MAX_QUARANTINED: i64 = 10_000;

/// What there is to say of the events behind an answer.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct ProvenanceRow {
    /// The latest time of an event of the tenant; none if nothing is stored.
    pub watermark: Option<DateTime<Utc>>,
    /// How many of the counted events of the range came late.
    pub late_events: i64,
    /// How many of the range's events were left out because they are bots'.
    pub excluded_bots: i64,
    /// How many of the tenant's events are in quarantine, [`MAX_QUARANTINED`] at the most.
    pub quarantined: i64,
    /// From when on the tenant's events are kept, if the question's range begins before.
    pub kept_from: Option<DateTime<Utc>>,
}

/// One statement: range scans of the key of `traffic_minute`, a row of `watermark`, and as much of
/// the tenant's quarantine as is counted.
const SQL: &str = "
    SELECT (SELECT event_time FROM watermark WHERE tenant_id = $1) AS watermark,
           coalesce(sum(late_events) FILTER (WHERE NOT bot OR $5), 0)::bigint AS late_events,
           coalesce(sum(events) FILTER (WHERE bot AND NOT $5), 0)::bigint AS excluded_bots,
           (SELECT count(*)
            FROM (SELECT FROM quarantine WHERE tenant_id = $1 AND state = 'held' LIMIT $6) AS held
           ) AS quarantined,
           (SELECT kept_from FROM privacy_policy
            WHERE tenant_id = $1 AND kept_from > $7) AS kept_from
    FROM unnest($2::timestamptz[], $3::timestamptz[]) AS range (since, before)
    JOIN traffic_minute ON minute >= since AND minute < before
    WHERE tenant_id = $1
          AND ($4::text[] IS NULL OR event_type = ANY($4))";

/// What there is to say of a question that begins at `begin`, and of the events of some ranges, of these types or of all; `bots` tells whether
/// those of bots are counted. Of what a view does not show nothing is told, and the sums tell no rows
/// apart: so who does not see all is told nothing.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn provenance(
    db: &impl ConnectionTrait,
    view: &View,
    begin: DateTime<Utc>,
    ranges: &[TimeRange],
    types: Option<&[&str]>,
    bots: bool,
) -> Result<ProvenanceRow, StorageError> {
    if !view.is_whole() {
        return Ok(ProvenanceRow {
            watermark: None,
            late_events: 0,
            excluded_bots: 0,
            quarantined: 0,
            kept_from: None,
        });
    }
    let owned = |types: &[&str]| types.iter().map(ToString::to_string).collect::<Vec<_>>();
    let from: Vec<DateTime<Utc>> = ranges.iter().map(|range| range.from).collect();
    let to: Vec<DateTime<Utc>> = ranges.iter().map(|range| range.to).collect();
    let values = [
        view.tenant().0.into(),
        from.into(),
        to.into(),
        types.map(owned).into(),
        bots.into(),
        MAX_QUARANTINED.into(),
        begin.into(),
    ];
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, SQL, values);
    let row = ProvenanceRow::find_by_statement(statement).one(db).await?;
    row.ok_or_else(|| StorageError::Bug("an aggregate without a row".to_owned()))
}
