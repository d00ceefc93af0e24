//! What happened: events by type, pageviews, and how many users there were; a short form of
//! [`metrics`](super::metrics).

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::metrics::{MetricsQuestion, Told, cells, provenance_of};
use super::provenance::Provenance;
use super::question::{Answer, Failure, Moment, Question};
use super::{Reports, whole};
use crate::cache::DependsOn;
use crate::domain::calendar::{self, Granularity, MAX_BUCKETS, TimeRange};
use crate::domain::measure::{Dimension, Measure};
use crate::domain::tenant::{Shop, View};
use crate::error::{Code, Problem};

/// How many rows an answer may have: a bucket has one for each type.
const MAX_ROWS: usize = 10 * MAX_BUCKETS;

/// The question.
#[derive(Clone, Debug)]
pub struct TrafficQuestion {
    /// Whose traffic.
    pub shop: Shop,
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
        let bounds = calendar::bounds(question.range, question.granularity, question.zone)?;
        let asked = Asked {
            question: TrafficQuestion {
                max_staleness: Duration::ZERO,
                ..question.clone()
            },
            bounds,
        };
        self.ask(&asked, question.max_staleness).await
    }
}

/// The question with the bounds of its buckets.
#[derive(Clone)]
struct Asked {
    question: TrafficQuestion,
    bounds: Vec<DateTime<Utc>>,
}

impl fmt::Debug for Asked {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The bounds follow from it.
        self.question.fmt(out)
    }
}

impl Answer for TrafficAnswer {
    fn provenance(&mut self) -> &mut Provenance {
        &mut self.provenance
    }
}

impl Question for Asked {
    const KIND: &'static str = "traffic";
    type Answer = TrafficAnswer;

    fn view(&self) -> &View {
        &self.question.shop.view
    }

    fn depends_on(&self) -> Option<DependsOn> {
        let question = &self.question;
        let depends_on = DependsOn::range(question.range);
        let counts = question.users_per_bucket || question.users_in_total;
        Some(if counts {
            depends_on.and_who()
        } else {
            depends_on
        })
    }

    async fn answer(&self, moment: Moment<'_>) -> Result<TrafficAnswer, Failure> {
        let Self { question, bounds } = self;
        let by_type = MetricsQuestion {
            keys: vec![Dimension::EventType.into()],
            ..question.plain(vec![Measure::Events, Measure::Pageviews])
        };
        let by_type = by_type.limited()?;
        let (rows, mut read) = cells(&by_type, bounds, moment).await?;
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
            let users = self.users(&range, moment, &mut read).await?;
            totals.users = Some(users.first().map_or(0, |(_, users)| *users));
        }
        if question.users_per_bucket {
            for bucket in &mut buckets {
                bucket.measures.users = Some(0);
            }
            for (bucket, users) in self.users(bounds, moment, &mut read).await? {
                buckets[bucket].measures.users = Some(users);
            }
        }
        Ok(TrafficAnswer {
            zone: question.zone,
            buckets,
            totals,
            provenance: provenance_of(&by_type, &read, moment).await?,
        })
    }
}

impl Asked {
    /// How many users there were in which buckets.
    async fn users(
        &self,
        bounds: &[DateTime<Utc>],
        moment: Moment<'_>,
        read: &mut Told,
    ) -> Result<Vec<(usize, i64)>, Failure> {
        let users = self.question.plain(vec![Measure::Users]).limited()?;
        let (cells, also) = cells(&users, bounds, moment).await?;
        read.add(also);
        let users = cells
            .iter()
            .map(|cell| (cell.bucket, whole(cell.values[0])));
        Ok(users.collect())
    }
}

impl TrafficQuestion {
    fn plain(&self, measures: Vec<Measure>) -> MetricsQuestion {
        MetricsQuestion {
            bots: self.bots,
            ..MetricsQuestion::plain(&self.shop, measures, self.range)
        }
    }
}
