//! What came late, and what it changed.
//!
//! A minute is closed five minutes after an event in it. What comes after that still lands in its
//! minute, and is summed there on its own too: so an answer can say what the numbers were before.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::provenance::{Provenance, Source};
use super::question::{Answer, Failure, Moment, Question};
use super::{Reports, bucket_index, minor_units};
use crate::cache::DependsOn;
use crate::domain::calendar::{self, Granularity, TimeRange};
use crate::domain::money::Currency;
use crate::domain::tenant::View;
use crate::error::Problem;
use crate::storage::queries::provenance::provenance;
use crate::storage::queries::restatements::{RestatementRow, restatements};

/// The question.
#[derive(Clone, Debug)]
pub struct RestatementsQuestion {
    /// Whose numbers, and of which of their rows.
    pub view: View,
    /// From when to when.
    pub range: TimeRange,
    /// In buckets of what length.
    pub granularity: Granularity,
    /// Of whose days and hours.
    pub zone: Tz,
    /// In which currency; amounts in others are left out.
    pub currency: Currency,
    /// Whether to count what bots did.
    pub bots: bool,
    /// How old the answer may be; zero asks the primary.
    pub max_staleness: Duration,
}

/// The numbers that something late changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestatedMeasures {
    /// How many events of all types.
    pub events: i64,
    /// How many orders.
    pub orders: i64,
    /// How many pieces.
    pub units: i64,
    /// In minor units.
    pub revenue: i128,
    /// What was paid back, in minor units.
    pub refunds: i128,
}

/// A bucket with something late in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restatement {
    /// Its first instant.
    pub start: DateTime<Utc>,
    /// The first instant after it.
    pub end: DateTime<Utc>,
    /// When the newest late event of it was received; none if that was before it was kept.
    pub restated_at: Option<DateTime<Utc>>,
    /// What came late.
    pub change: RestatedMeasures,
    /// All there is.
    pub after: RestatedMeasures,
}

impl Restatement {
    /// All there is but what came late.
    #[must_use]
    pub fn before(&self) -> RestatedMeasures {
        let Self { change, after, .. } = self;
        RestatedMeasures {
            events: after.events - change.events,
            orders: after.orders - change.orders,
            units: after.units - change.units,
            revenue: after.revenue - change.revenue,
            refunds: after.refunds - change.refunds,
        }
    }
}

/// The answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RestatementsAnswer {
    /// Of all amounts.
    pub currency: Currency,
    /// Of whose days and hours.
    pub zone: Tz,
    /// Those with something late in them, in the order of time.
    pub buckets: Vec<Restatement>,
    /// Where the numbers come from.
    pub provenance: Provenance,
}

impl Reports {
    /// Answers which buckets were changed by what came late, and by how much.
    ///
    /// # Errors
    /// Too many buckets, or that the database is away or takes too long.
    pub async fn restatements(
        &self,
        question: &RestatementsQuestion,
    ) -> Result<RestatementsAnswer, Problem> {
        let bounds = calendar::bounds(question.range, question.granularity, question.zone)?;
        let asked = Asked {
            question: RestatementsQuestion {
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
    question: RestatementsQuestion,
    bounds: Vec<DateTime<Utc>>,
}

impl fmt::Debug for Asked {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The bounds follow from it.
        self.question.fmt(out)
    }
}

impl Answer for RestatementsAnswer {
    fn provenance(&mut self) -> &mut Provenance {
        &mut self.provenance
    }
}

impl Question for Asked {
    const KIND: &'static str = "restatements";
    type Answer = RestatementsAnswer;

    fn view(&self) -> &View {
        &self.question.view
    }

    fn depends_on(&self) -> Option<DependsOn> {
        Some(DependsOn::range(self.question.range))
    }

    async fn answer(
        &self,
        Moment {
            snapshot, as_of, ..
        }: Moment<'_>,
    ) -> Result<RestatementsAnswer, Failure> {
        let Self { question, bounds } = self;
        let RestatementsQuestion {
            ref view,
            range,
            zone,
            currency,
            bots,
            ..
        } = *question;
        let db = &**snapshot;
        let rows = restatements(db, view, currency, bounds, bots).await?;
        let read = rows.len();
        let row = provenance(db, view, range.from, &[range], None, bots).await?;
        Ok(RestatementsAnswer {
            currency,
            zone,
            buckets: rows
                .into_iter()
                .map(|row| restatement(&row, bounds))
                .collect(),
            provenance: Provenance::exact(as_of, Source::Rollup, &row).of_rows(read),
        })
    }
}

fn restatement(row: &RestatementRow, bounds: &[DateTime<Utc>]) -> Restatement {
    let n = bucket_index(row.bucket);
    Restatement {
        start: bounds[n],
        end: bounds[n + 1],
        restated_at: row.restated_at,
        change: RestatedMeasures {
            events: row.late_events,
            orders: row.late_orders,
            units: row.late_units,
            revenue: minor_units(&row.late_revenue),
            refunds: minor_units(&row.late_refunds),
        },
        after: RestatedMeasures {
            events: row.events,
            orders: row.orders,
            units: row.units,
            revenue: minor_units(&row.revenue),
            refunds: minor_units(&row.refunds),
        },
    }
}
