//! Which products sold best, which pages were seen most: short forms of
//! [`metrics`](super::metrics), told apart by one dimension in one bucket.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::metrics::{Asked as AskedMetrics, Group, MetricsQuestion, Series, provenance_of};
use super::provenance::Provenance;
use super::question::{Answer, Failure, Moment, Question};
use super::{Reports, whole};
use crate::cache::DependsOn;
use crate::domain::condition::Condition;
use crate::domain::measure::{Dimension, Measure};
use crate::domain::money::Currency;
use crate::domain::number::{Number, RATIO_DECIMALS};
use crate::domain::tenant::View;
use crate::error::Problem;

/// How many places a list has unless it is asked for more or less.
pub const LIMIT: u16 = 10;

/// What is ranked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopList {
    /// Products, by what was bought and paid back.
    Products,
    /// Pages, by their views and by the sessions that began on them.
    Pages,
}

impl TopList {
    const fn dimension(self) -> Dimension {
        match self {
            Self::Products => Dimension::Product,
            Self::Pages => Dimension::PageUrl,
        }
    }

    /// What is measured in any case.
    fn measures(self) -> Vec<Measure> {
        match self {
            Self::Products => vec![
                Measure::Revenue,
                Measure::NetRevenue,
                Measure::Orders,
                Measure::Units,
            ],
            Self::Pages => vec![Measure::Pageviews],
        }
    }
}

/// The question.
#[derive(Clone, Debug)]
pub struct TopQuestion {
    by: Measure,
    /// Of each place.
    told_apart: MetricsQuestion,
    /// Of all together.
    total: MetricsQuestion,
}

impl TopQuestion {
    /// The first places by a measure, of what `plain` asks of one bucket: its range, filter, limit,
    /// and beside which range. `also` is measured besides.
    #[must_use]
    pub fn new(list: TopList, by: Measure, also: &[Measure], plain: MetricsQuestion) -> Self {
        let mut measures = vec![by];
        for measure in list.measures().iter().chain(also) {
            if !measures.contains(measure) {
                measures.push(*measure);
            }
        }
        // What has no page is no page. But a refund without a product is paid back all the same.
        let pages = || {
            let none = Condition::Among(Dimension::PageUrl, vec![String::new()]);
            Condition::Not(Box::new(none))
        };
        let filter = match (list, plain.filter) {
            (TopList::Products, filter) => filter,
            (TopList::Pages, None) => Some(pages()),
            (TopList::Pages, Some(filter)) => Some(Condition::All(vec![filter, pages()])),
        };
        let total = MetricsQuestion {
            measures,
            filter,
            ..plain
        };
        Self {
            by,
            told_apart: MetricsQuestion {
                keys: vec![list.dimension().into()],
                ..total.clone()
            },
            total,
        }
    }
}

/// What was measured of a place, or of several together.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Standing {
    values: BTreeMap<Measure, Option<Number>>,
    compared: Option<BTreeMap<Measure, Option<Number>>>,
}

impl Standing {
    /// What was measured, nothing if it was not asked for or cannot be said.
    #[must_use]
    pub fn value(&self, measure: Measure) -> Option<Number> {
        self.values.get(&measure).copied().flatten()
    }

    /// The same of what is counted.
    #[must_use]
    pub fn count(&self, measure: Measure) -> Option<i64> {
        self.value(measure).map(|number| whole(Some(number)))
    }

    /// The same of the range that is compared with.
    #[must_use]
    pub fn compared(&self) -> Option<Self> {
        Some(Self {
            values: self.compared.clone()?,
            compared: None,
        })
    }

    fn add(&mut self, series: &Series, compares: bool) {
        self.values.insert(series.measure, series.total);
        if compares {
            let before = self.compared.get_or_insert_default();
            before.insert(series.measure, series.compared_total);
        }
    }
}

/// A place.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TopRow {
    /// From 1.
    pub rank: usize,
    /// The product's id or the page's address.
    pub key: String,
    /// What was measured of it.
    pub standing: Standing,
    /// Its part of the total, of what the list is ordered by.
    pub share: Option<Number>,
}

/// The answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TopAnswer {
    /// Of all amounts.
    pub currency: Currency,
    /// By what the places are ordered.
    pub by: Measure,
    /// The first first.
    pub rows: Vec<TopRow>,
    /// All that are not listed, together; none if all are.
    pub others: Option<Standing>,
    /// All together.
    pub total: Standing,
    /// Where the numbers come from.
    pub provenance: Provenance,
}

impl Reports {
    /// Answers which came first.
    ///
    /// # Errors
    /// A filter by what its measures do not have, a limit that is passed, or that the database is
    /// away or takes too long.
    pub async fn top(&self, question: &TopQuestion) -> Result<TopAnswer, Problem> {
        let asked = Asked {
            by: question.by,
            told_apart: AskedMetrics::new(&question.told_apart)?,
            total: AskedMetrics::new(&question.total)?,
        };
        Box::pin(self.ask(&asked, question.total.max_staleness)).await
    }
}

/// The question in its two parts.
#[derive(Clone, Debug)]
struct Asked {
    by: Measure,
    told_apart: AskedMetrics,
    total: AskedMetrics,
}

impl Answer for TopAnswer {
    fn provenance(&mut self) -> &mut Provenance {
        &mut self.provenance
    }
}

impl Question for Asked {
    const KIND: &'static str = "top";
    type Answer = TopAnswer;

    fn view(&self) -> &View {
        self.total.view()
    }

    fn depends_on(&self) -> Option<DependsOn> {
        self.told_apart.depends_on()
    }

    async fn answer(&self, moment: Moment<'_>) -> Result<TopAnswer, Failure> {
        let (by, total) = (&self.by, self.total.question());
        let compares = total.compare.is_some();
        let told = self.told_apart.measure(moment).await?;
        let all = self.total.measure(moment).await?;
        let mut sum = Standing::default();
        for series in &all.series {
            sum.add(series, compares);
        }
        // Each group has all its measures one after another.
        let mut rows: Vec<TopRow> = Vec::new();
        let mut others: Option<Standing> = None;
        for of_group in told.series.chunk_by(|a, b| a.group == b.group) {
            let mut standing = Standing::default();
            for series in of_group {
                standing.add(series, compares);
            }
            match &of_group[0].group {
                Group::Other => others = Some(standing),
                Group::Of(values) => rows.push(TopRow {
                    rank: rows.len() + 1,
                    key: values.concat(),
                    share: share(standing.value(*by), sum.value(*by)),
                    standing,
                }),
            }
        }
        let mut read = told.told;
        read.add(all.told);
        Ok(TopAnswer {
            currency: total.currency,
            by: *by,
            rows,
            others,
            total: sum,
            provenance: provenance_of(total, &read, moment).await?,
        })
    }
}

/// A part of a whole; none of nothing.
fn share(part: Option<Number>, whole: Option<Number>) -> Option<Number> {
    part?.ratio(whole?, RATIO_DECIMALS)
}
