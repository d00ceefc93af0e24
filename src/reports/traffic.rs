//! What happened: events by type, pageviews, and how many users there were; a short form of
//! [`metrics`](super::metrics).

use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::metrics::{Cells, MetricsQuestion, WhoIsWho, cells, provenance_of};
use super::provenance::Provenance;
use super::question::{Answer, Failure, Question};
use super::{Reports, whole};
use crate::cache::DependsOn;
use crate::domain::calendar::{self, Granularity, MAX_BUCKETS, TimeRange};
use crate::domain::measure::{Dimension, Measure};
use crate::domain::tenant::{Sender, TenantId};
use crate::error::{Code, Problem};
use crate::storage::Snapshot;

/// How many rows an answer may have: a bucket has one for each type.
const MAX_ROWS: usize = 10 * MAX_BUCKETS;

/// The question.
#[derive(Clone, Debug)]
pub struct TrafficQuestion {
    /// Whose traffic.
    pub shop: Sender,
    /// From when to when.
    pub range: TimeRange,
    /// In buckets of what length.
    pub granularity: Granularity,
    /// Of whose days and hours.
    pub zone: Tz,
    /// Whether to count what bots did.
    pub bots: bool,
    /// Whether to count the users of each bucket.
    pub users_per_bucket: bool,
    /// Whether to count the users of the whole range.
    pub users_in_total: bool,
    /// How old the answer may be; zero asks the primary.
    pub max_staleness: Duration,
}

/// What happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrafficBucket {
    /// Its first instant.
    pub start: DateTime<Utc>,
    /// The first instant after it.
    pub end: DateTime<Utc>,
    /// What happened in it.
    pub measures: TrafficMeasures,
}

/// The answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
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
        let asked = TrafficQuestion {
            max_staleness: Duration::ZERO,
            ..question.clone()
        };
        self.ask(&asked, question.max_staleness).await
    }
}

/// The question with the bounds of its buckets.
struct Asked<'a> {
    question: &'a TrafficQuestion,
    who: &'a WhoIsWho,
    bounds: Vec<DateTime<Utc>>,
}

impl Answer for TrafficAnswer {
    fn provenance(&mut self) -> &mut Provenance {
        &mut self.provenance
    }
}

impl Question for TrafficQuestion {
    const KIND: &'static str = "traffic";
    type Answer = TrafficAnswer;

    fn tenant(&self) -> TenantId {
        self.shop.tenant
    }

    fn check(&self) -> Result<(), Problem> {
        self.bounds().map(drop)
    }

    fn depends_on(&self) -> Option<DependsOn> {
        let depends_on = DependsOn::range(self.range);
        Some(if self.users_per_bucket || self.users_in_total {
            depends_on.and_who()
        } else {
            depends_on
        })
    }

    async fn answer(
        &self,
        reports: &Reports,
        snapshot: &Snapshot,
        as_of: DateTime<Utc>,
    ) -> Result<TrafficAnswer, Failure> {
        let asked = Asked {
            question: self,
            who: &reports.who,
            bounds: self.bounds()?,
        };
        asked.answer(snapshot, as_of).await
    }
}

impl Asked<'_> {
    async fn answer(
        &self,
        snapshot: &Snapshot,
        as_of: DateTime<Utc>,
    ) -> Result<TrafficAnswer, Failure> {
        let Self {
            question, bounds, ..
        } = self;
        let by_type = MetricsQuestion {
            keys: vec![Dimension::EventType.into()],
            ..question.plain(vec![Measure::Events, Measure::Pageviews])
        };
        let mut read = cells(&by_type, bounds, snapshot, self.who).await?;
        let rows = std::mem::take(&mut read.all);
        if rows.len() > MAX_ROWS {
            return Err(Code::TooManyBuckets.into());
        }
        let empty = |edges: &[DateTime<Utc>]| TrafficBucket {
            start: edges[0],
            end: edges[1],
            measures: TrafficMeasures::default(),
        };
        let mut buckets: Vec<TrafficBucket> = bounds.windows(2).map(empty).collect();
        let mut totals = TrafficMeasures::default();
        for row in rows {
            let (events, pageviews) = (whole(row.values[0]), whole(row.values[1]));
            let bucket = &mut buckets[row.bucket].measures;
            bucket.add(&row.group[0], events, pageviews);
            totals.add(&row.group[0], events, pageviews);
        }
        if question.users_in_total {
            let range = [question.range.from, question.range.to];
            let users = self.users(&range, snapshot, &mut read).await?;
            totals.users = Some(users.first().map_or(0, |(_, users)| *users));
        }
        if question.users_per_bucket {
            for bucket in &mut buckets {
                bucket.measures.users = Some(0);
            }
            for (bucket, users) in self.users(bounds, snapshot, &mut read).await? {
                buckets[bucket].measures.users = Some(users);
            }
        }
        let provenance = provenance_of(&by_type, &read.plan, snapshot, as_of).await?;
        Ok(TrafficAnswer {
            zone: question.zone,
            buckets,
            totals,
            provenance: provenance.of_rows(read.rows_read),
        })
    }

    /// How many users there were in which buckets.
    async fn users(
        &self,
        bounds: &[DateTime<Utc>],
        snapshot: &Snapshot,
        read: &mut Cells,
    ) -> Result<Vec<(usize, i64)>, Failure> {
        let users = self.question.plain(vec![Measure::Users]);
        let counted = cells(&users, bounds, snapshot, self.who).await?;
        read.plan.extend(counted.plan);
        read.rows_read += counted.rows_read;
        let users = counted
            .all
            .iter()
            .map(|cell| (cell.bucket, whole(cell.values[0])));
        Ok(users.collect())
    }
}

impl TrafficQuestion {
    /// Where buckets begin, and where the last one ends.
    fn bounds(&self) -> Result<Vec<DateTime<Utc>>, Problem> {
        Ok(calendar::bounds(self.range, self.granularity, self.zone)?)
    }

    fn plain(&self, measures: Vec<Measure>) -> MetricsQuestion {
        MetricsQuestion {
            bots: self.bots,
            ..MetricsQuestion::plain(&self.shop, measures, self.range)
        }
    }
}
