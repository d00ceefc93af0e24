//! The answer of `traffic`.

use async_graphql::SimpleObject;
use chrono::{DateTime, FixedOffset};

use super::provenance::Provenance;
use super::range::shown_in;
use crate::reports::traffic::{TrafficAnswer, TrafficMeasures};

/// What happened over time.
#[derive(SimpleObject)]
pub(in crate::graphql) struct Traffic {
    /// Whose days and hours the buckets are.
    timezone: &'static str,
    /// Every bucket of the range.
    buckets: Vec<TrafficBucket>,
    /// Over the whole range; a user who came in several buckets is one user here.
    totals: TrafficTotals,
    /// Where the numbers come from.
    provenance: Provenance,
}

/// One bucket.
#[derive(SimpleObject)]
struct TrafficBucket {
    /// Its first instant, in the time zone.
    start: DateTime<FixedOffset>,
    /// The first instant after it.
    end: DateTime<FixedOffset>,
    /// How many events of all types.
    events: i64,
    /// How many of each type, in the order of the types.
    events_by_type: Vec<EventCount>,
    /// How many pages were seen.
    pageviews: i64,
    /// How many different users. For whole days of the tenant's time zone there are rows of who was
    /// there; else they are counted over the events themselves.
    #[graphql(complexity = 50)]
    users: Option<i64>,
}

/// The measures over the whole range.
#[derive(SimpleObject)]
struct TrafficTotals {
    /// How many events of all types.
    events: i64,
    /// How many of each type, in the order of the types.
    events_by_type: Vec<EventCount>,
    /// How many pages were seen.
    pageviews: i64,
    /// How many different users. For whole days of the tenant's time zone there are rows of who was
    /// there; else they are counted over the events themselves.
    #[graphql(complexity = 50)]
    users: Option<i64>,
}

/// How many events of a type.
#[derive(SimpleObject)]
struct EventCount {
    /// What happened.
    #[graphql(name = "type")]
    event_type: String,
    /// How often.
    events: i64,
}

impl From<TrafficMeasures> for TrafficTotals {
    fn from(measures: TrafficMeasures) -> Self {
        let by_type = measures.events_by_type.into_iter();
        Self {
            events: measures.events,
            events_by_type: by_type
                .map(|(event_type, events)| EventCount { event_type, events })
                .collect(),
            pageviews: measures.pageviews,
            users: measures.users,
        }
    }
}

impl From<TrafficAnswer> for Traffic {
    fn from(answer: TrafficAnswer) -> Self {
        let zone = answer.zone;
        let buckets = answer.buckets.into_iter().map(|bucket| {
            let TrafficTotals {
                events,
                events_by_type,
                pageviews,
                users,
            } = bucket.measures.into();
            TrafficBucket {
                start: shown_in(bucket.start, zone),
                end: shown_in(bucket.end, zone),
                events,
                events_by_type,
                pageviews,
                users,
            }
        });
        Self {
            buckets: buckets.collect(),
            timezone: zone.name(),
            totals: answer.totals.into(),
            provenance: answer.provenance.into(),
        }
    }
}
