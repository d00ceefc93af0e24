//! What happened: events by type, pageviews, and how many users there were.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::provenance::Provenance;
use super::{Reports, bucket_index};
use crate::domain::calendar::{self, Granularity, MAX_BUCKETS, TimeRange};
use crate::domain::tenant::TenantId;
use crate::error::{Code, Problem};
use crate::storage::StorageError;
use crate::storage::queries::traffic::traffic;
use crate::storage::queries::visitors::visitors;

/// The question.
#[derive(Clone, Debug)]
pub struct TrafficQuestion {
    /// Whose traffic.
    pub tenant: TenantId,
    /// From when to when.
    pub range: TimeRange,
    /// In buckets of what length.
    pub granularity: Granularity,
    /// Of whose days and hours.
    pub zone: Tz,
    /// Whether to count the users of each bucket.
    pub users_per_bucket: bool,
    /// Whether to count the users of the whole range.
    pub users_in_total: bool,
}

/// What happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrafficMeasures {
    /// Of all types.
    pub events: i64,
    /// By type, in the order of the types.
    pub events_by_type: Vec<(String, i64)>,
    /// How many pages were seen.
    pub pageviews: i64,
    /// How many different users, if it was asked for.
    pub users: Option<i64>,
}

impl TrafficMeasures {
    fn add(&mut self, event_type: &str, events: i64, pageviews: i64) {
        self.events += events;
        self.pageviews += pageviews;
        let known = self
            .events_by_type
            .binary_search_by(|(known, _)| known.as_str().cmp(event_type));
        match known {
            Ok(n) => self.events_by_type[n].1 += events,
            Err(n) => self
                .events_by_type
                .insert(n, (event_type.to_owned(), events)),
        }
    }
}

/// One bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrafficBucket {
    /// Its first instant.
    pub start: DateTime<Utc>,
    /// The first instant after it.
    pub end: DateTime<Utc>,
    /// What happened in it.
    pub measures: TrafficMeasures,
}

/// The answer.
#[derive(Clone, Debug)]
pub struct TrafficAnswer {
    /// Of whose days and hours.
    pub zone: Tz,
    /// Every bucket of the range.
    pub buckets: Vec<TrafficBucket>,
    /// Over the whole range.
    pub totals: TrafficMeasures,
    /// Where the numbers come from.
    pub provenance: Provenance,
}

impl Reports {
    /// Answers what happened.
    ///
    /// # Errors
    /// Too many buckets, or that the database is away or takes too long.
    pub async fn traffic(&self, question: &TrafficQuestion) -> Result<TrafficAnswer, Problem> {
        let as_of = self.clock.now();
        let TrafficQuestion {
            tenant,
            range,
            zone,
            ..
        } = *question;
        let bounds = calendar::bounds(range, question.granularity, zone)?;
        let snapshot = self.db.snapshot().await?;
        let db = &snapshot;
        // A bucket has a row for each type.
        let limit = 10 * MAX_BUCKETS;
        let rows = traffic(
            db,
            tenant,
            &bounds,
            None,
            i64::try_from(limit).unwrap_or(i64::MAX) + 1,
        )
        .await?;
        if rows.len() > limit {
            return Err(Code::TooManyBuckets.into());
        }

        let empty = |edges: &[DateTime<Utc>]| TrafficBucket {
            start: edges[0],
            end: edges[1],
            measures: TrafficMeasures::default(),
        };
        let mut buckets: Vec<TrafficBucket> = bounds.windows(2).map(empty).collect();
        let mut totals = TrafficMeasures::default();
        let mut late_events = 0;
        for row in rows {
            let bucket = &mut buckets[bucket_index(row.bucket)].measures;
            bucket.add(&row.event_type, row.events, row.pageviews);
            totals.add(&row.event_type, row.events, row.pageviews);
            late_events += row.late_events;
        }
        if question.users_in_total {
            let counted = visitors(db, tenant, &[range.from, range.to]).await?;
            totals.users = Some(counted.first().map_or(0, |row| row.users));
        }
        if question.users_per_bucket {
            for bucket in &mut buckets {
                bucket.measures.users = Some(0);
            }
            for row in visitors(db, tenant, &bounds).await? {
                buckets[bucket_index(row.bucket)].measures.users = Some(row.users);
            }
        }
        snapshot.commit().await.map_err(StorageError::from)?;
        let counted_facts = question.users_in_total || question.users_per_bucket;
        Ok(TrafficAnswer {
            zone,
            buckets,
            totals,
            provenance: Provenance::exact(as_of, counted_facts, late_events),
        })
    }
}
