//! What happened: events by type, pageviews, and how many users there were.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::provenance::{Provenance, Source};
use super::question::{Answer, Failure, Question};
use super::{Reports, bucket_index};
use crate::cache::DependsOn;
use crate::domain::calendar::{self, Granularity, MAX_BUCKETS, TimeRange};
use crate::domain::tenant::TenantId;
use crate::error::{Code, Problem};
use crate::storage::Snapshot;
use crate::storage::queries::provenance::provenance;
use crate::storage::queries::traffic::traffic;
use crate::storage::queries::visitors::{Span, visitors};

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
    /// The tenant's zone: of whole days in it there are rows of who was there.
    pub tenant_zone: Tz,
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

    fn tenant(&self) -> TenantId {
        self.question.tenant
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

    async fn answer(
        &self,
        snapshot: &Snapshot,
        as_of: DateTime<Utc>,
    ) -> Result<TrafficAnswer, Failure> {
        let Self { question, bounds } = self;
        let TrafficQuestion {
            tenant,
            range,
            zone,
            bots,
            ..
        } = *question;
        let db = &**snapshot;
        // A bucket has a row for each type.
        let limit = 10 * MAX_BUCKETS;
        let rows = traffic(
            db,
            tenant,
            bounds,
            bots,
            i64::try_from(limit).unwrap_or(i64::MAX) + 1,
        )
        .await?;
        if rows.len() > limit {
            return Err(Code::TooManyBuckets.into());
        }

        let mut read = rows.len();
        let empty = |edges: &[DateTime<Utc>]| TrafficBucket {
            start: edges[0],
            end: edges[1],
            measures: TrafficMeasures::default(),
        };
        let mut buckets: Vec<TrafficBucket> = bounds.windows(2).map(empty).collect();
        let mut totals = TrafficMeasures::default();
        for row in rows {
            let bucket = &mut buckets[bucket_index(row.bucket)].measures;
            bucket.add(&row.event_type, row.events, row.pageviews);
            totals.add(&row.event_type, row.events, row.pageviews);
        }
        let mut source = Source::Rollup;
        if question.users_in_total {
            let whole = [range.from, range.to];
            let span = Span::of(&whole, question.tenant_zone);
            let counted = visitors(db, tenant, &span, bots).await?;
            read += counted.len();
            totals.users = Some(counted.first().map_or(0, |row| row.users));
            source = source_of(&span);
        }
        if question.users_per_bucket {
            for bucket in &mut buckets {
                bucket.measures.users = Some(0);
            }
            let span = Span::of(bounds, question.tenant_zone);
            let counted = visitors(db, tenant, &span, bots).await?;
            read += counted.len();
            for row in counted {
                buckets[bucket_index(row.bucket)].measures.users = Some(row.users);
            }
            // Where all buckets are whole days, so is the range.
            source = source_of(&span);
        }
        let row = provenance(db, tenant, range, None, bots).await?;
        Ok(TrafficAnswer {
            zone,
            buckets,
            totals,
            provenance: Provenance::exact(as_of, source, &row).of_rows(read),
        })
    }
}

fn source_of(span: &Span<'_>) -> Source {
    match span {
        Span::Days(_) => Source::RollupAndUserDays,
        Span::Instants(_) => Source::RollupAndRaw,
    }
}
