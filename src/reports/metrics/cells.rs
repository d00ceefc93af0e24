//! For reports that are short forms of this one: no group is left out, and nothing is compared,
//! filled or rolled.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::cover::Cover;
use super::estimate::Passes;
use super::series::{Numbers, Table, currency, measured};
use super::{Asking, Groups, Limited, MetricsQuestion, Step};
use crate::domain::number::Number;
use crate::reports::question::{Failure, Moment};

/// What was read.
#[derive(Debug, Default)]
pub(in crate::reports) struct Told {
    pub(in crate::reports) plan: Vec<Step>,
    pub(in crate::reports) rows: i64,
    /// What of the range is summed up, if that is known by now.
    pub(super) cover: Option<Arc<Cover>>,
}

impl Told {
    /// Adds what was read besides of the same range.
    pub(in crate::reports) fn add(&mut self, other: Self) {
        self.plan.extend(other.plan);
        self.rows += other.rows;
        self.cover = self.cover.take().or(other.cover);
    }
}

/// One bucket of one group in which something was.
pub(in crate::reports) struct Cell {
    /// From 0.
    pub(in crate::reports) bucket: usize,
    /// The value of each key.
    pub(in crate::reports) group: Vec<String>,
    /// Of each measure, nothing where there was nothing.
    pub(in crate::reports) values: Vec<Option<Number>>,
}

/// What was measured in each bucket of each group in which something was, in the order of time, then
/// of group; and what was read for it.
pub(in crate::reports) async fn cells(
    question: &Limited,
    bounds: &[DateTime<Utc>],
    moment: Moment<'_>,
) -> Result<(Vec<Cell>, Told), Failure> {
    let mut asking = Asking::new(moment, question);
    let covers = asking.covers(bounds).await?;
    let passes = Passes::once(bounds);
    let rows = asking.estimate(bounds, &covers, passes).await?;
    asking.afford(rows)?;
    let sums = asking.summed(bounds, &covers).await?;
    let mut table = Table::default();
    asking.add(&mut table, bounds, Groups::All, &sums).await?;
    Ok((in_order(&table, question), asking.told(bounds, &covers)))
}

/// What a table has, in the order of buckets, then of groups.
fn in_order(table: &Table, question: &MetricsQuestion) -> Vec<Cell> {
    let mut cells = Vec::new();
    for (group, buckets) in &table.0 {
        let currency = currency(question, group);
        let values = |numbers: &Numbers| {
            let measures = question.measures.iter();
            let value = measures.map(|measure| measured(*measure, numbers, currency));
            value.collect()
        };
        cells.extend(buckets.iter().map(|(bucket, numbers)| Cell {
            bucket: *bucket,
            group: group.values().to_vec(),
            values: values(numbers),
        }));
    }
    cells.sort_by(|a, b| (a.bucket, &a.group).cmp(&(b.bucket, &b.group)));
    cells
}
