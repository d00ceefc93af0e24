//! How a report is asked for: of what is kept, or else of one snapshot of whichever server may
//! answer.

use std::fmt::Debug;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Reports;
use super::metrics::WhoIsWho;
use super::provenance::{Found, Provenance};
use crate::cache::{Answered, Cached, DependsOn, Key, Made, Source};
use crate::domain::tenant::View;
use crate::error::{Code, Problem};
use crate::storage::queries::changes;
use crate::storage::{Served, Snapshot, StorageError};

/// What one snapshot answers. Its `Debug` shows all that it asks, for what is asked in the same
/// words is answered the same; how old the answer may be does not belong to it.
pub(super) trait Question: Clone + Debug + Send + Sync + 'static {
    /// What it is called.
    const KIND: &'static str;
    /// The answer.
    type Answer: Answer;

    /// Who asks: what they see is part of what the answer is kept under.
    fn view(&self) -> &View;

    /// What the answer is made of; nothing if it is not worth keeping.
    fn depends_on(&self) -> Option<DependsOn>;

    /// When an answer of this moment is no longer true, though nothing has changed.
    fn valid_until(&self, _as_of: DateTime<Utc>) -> Option<DateTime<Utc>> {
        None
    }

    /// Answers it of a moment. It may be asked twice: when a replica fails, the primary is asked.
    fn answer(
        &self,
        moment: Moment<'_>,
    ) -> impl Future<Output = Result<Self::Answer, Failure>> + Send;
}

/// What a question is answered of.
#[derive(Clone, Copy)]
pub(super) struct Moment<'a> {
    /// What is stored.
    pub(super) snapshot: &'a Snapshot,
    /// Everything from before is in it.
    pub(super) as_of: DateTime<Utc>,
    /// Which users are one.
    pub(super) who: &'a WhoIsWho,
    /// What it may cost.
    pub(super) budget: &'a Budget,
}

/// How many rows an answer may go through, and is expected to.
#[derive(Debug)]
pub(super) struct Budget {
    max: Option<i64>,
    estimated: AtomicI64,
}

impl Budget {
    /// Of so many rows, or of any number.
    pub(super) fn of(max: Option<i64>) -> Self {
        Self {
            max,
            estimated: AtomicI64::new(0),
        }
    }

    /// Notes what is about to be read.
    pub(super) fn note(&self, rows: i64) {
        let sum = self.estimated().saturating_add(rows);
        self.estimated.store(sum, Ordering::Relaxed);
    }

    /// What was noted, in sum.
    pub(super) fn estimated(&self) -> i64 {
        self.estimated.load(Ordering::Relaxed)
    }

    /// Refuses what would be too much.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let estimated = self.estimated();
        match self.max {
            Some(max) if estimated > max => {
                let detail = format!(
                    "The question would go through about {estimated} rows, and may through {max}. Narrow its range, tell fewer dimensions apart, or ask for no properties; `explain` says where they are."
                );
                Err(Failure::Problem(Problem::with(
                    Code::QueryTooExpensive,
                    detail,
                )))
            }
            _ => Ok(()),
        }
    }
}

/// An answer that can be kept.
pub(super) trait Answer: Serialize + DeserializeOwned + Send {
    /// Where its numbers come from.
    fn provenance(&mut self) -> &mut Provenance;
}

/// Why there is no answer. What the database says is kept apart from what clients are told, until
/// nobody else can be asked.
#[derive(Debug)]
pub(super) enum Failure {
    /// The database's.
    Storage(StorageError),
    /// The question's.
    Problem(Problem),
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl From<Code> for Failure {
    fn from(code: Code) -> Self {
        Self::Problem(code.into())
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Storage(error) => error.into(),
            Failure::Problem(problem) => problem,
        }
    }
}

impl Reports {
    /// Answers a question from what is kept, or else asks for it.
    pub(super) async fn ask<Q: Question>(
        &self,
        question: &Q,
        max_staleness: Duration,
    ) -> Result<Q::Answer, Problem> {
        let Some(depends_on) = question.depends_on().filter(|_| self.cache.is_on()) else {
            let (answer, _) = self.ask_database(question, max_staleness, false).await?;
            return Ok(self.found(answer, None, max_staleness));
        };
        let asking = Asking::new(self, question, depends_on, max_staleness);
        let Some(answered) = self.cache.answer(&asking).await? else {
            return Err(Code::Internal.into());
        };
        if answered.cached == Cached::Stale {
            self.renew(question, &asking);
        }
        let own = asking
            .own
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let answer = match own.filter(|_| answered.cached == Cached::Miss) {
            Some(own) => own,
            None => postcard::from_bytes(answered.body()).map_err(|error| {
                tracing::error!(%error, "what was kept cannot be read");
                Problem::new(Code::Internal)
            })?,
        };
        Ok(self.found(answer, Some(&answered), max_staleness))
    }

    /// Has an answer made anew, behind the one who is served with what was true a while ago.
    fn renew<Q: Question>(&self, question: &Q, asking: &Asking<'_, Q>) {
        if let Some(renewal) = self.cache.begin_renewing(asking.key) {
            let (reports, question) = (self.clone(), question.clone());
            let (depends_on, max_staleness) = (asking.depends_on.clone(), asking.max_staleness);
            tokio::spawn(async move {
                let asking = Asking::new(&reports, &question, depends_on, max_staleness);
                renewal.renew(&asking).await;
            });
        }
    }

    /// The answer with where it was found.
    fn found<A: Answer>(
        &self,
        mut answer: A,
        answered: Option<&Answered>,
        max_staleness: Duration,
    ) -> A {
        let fresh_for = answered.map_or(max_staleness, |one| one.fresh_for(max_staleness));
        answer.provenance().found = Found {
            cached: answered.map_or(Cached::Bypass, |answered| answered.cached),
            fresh_for,
        };
        if let Some(collected) = &self.collected {
            collected.add(answered, max_staleness);
            collected.estimated(answer.provenance().rows_estimated);
        }
        answer
    }

    /// Asks a replica that is fresh enough, if there is one, else the primary; and the primary
    /// after all where the replica fails for a reason of its own. With the answer comes the number
    /// of the last change that is in it, if that is wanted.
    async fn ask_database<Q: Question>(
        &self,
        question: &Q,
        max_staleness: Duration,
        numbered: bool,
    ) -> Result<(Q::Answer, i64), Problem> {
        let (snapshot, served) = self.snapshot_within(max_staleness).await?;
        match self.answer_of(question, snapshot, served, numbered).await {
            Err(Failure::Storage(error)) if self.db.falls_back(served, &error) => {
                let (snapshot, served) = self.snapshot_within(Duration::ZERO).await?;
                Ok(self.answer_of(question, snapshot, served, numbered).await?)
            }
            answer => Ok(answer?),
        }
    }

    async fn snapshot_within(
        &self,
        max_staleness: Duration,
    ) -> Result<(Snapshot, Served), StorageError> {
        let now = self.clock.now();
        self.db.snapshot_within(max_staleness, now).await
    }

    async fn answer_of<Q: Question>(
        &self,
        question: &Q,
        snapshot: Snapshot,
        served: Served,
        numbered: bool,
    ) -> Result<(Q::Answer, i64), Failure> {
        let begun = Instant::now();
        let number = if numbered {
            changes::last(&*snapshot).await?
        } else {
            0
        };
        let budget = Budget::of(self.max_rows);
        let moment = Moment {
            snapshot: &snapshot,
            as_of: served.as_of,
            who: &self.who,
            budget: &budget,
        };
        let mut answer = question.answer(moment).await?;
        let took = begun.elapsed().as_millis();
        let provenance = answer.provenance();
        provenance.query_ms = i64::try_from(took).unwrap_or(i64::MAX);
        // The estimate is of all rows of the tenant, also those that one does not see.
        provenance.rows_estimated = if question.view().is_whole() {
            budget.estimated()
        } else {
            provenance.rows_read
        };
        snapshot.commit().await?;
        Ok((answer, number))
    }
}

/// A question on its way through what is kept.
struct Asking<'a, Q: Question> {
    reports: &'a Reports,
    question: &'a Q,
    key: Key,
    depends_on: DependsOn,
    max_staleness: Duration,
    /// The answer, if it was made for this one.
    own: Mutex<Option<Q::Answer>>,
}

impl<'a, Q: Question> Asking<'a, Q> {
    fn new(
        reports: &'a Reports,
        question: &'a Q,
        depends_on: DependsOn,
        max_staleness: Duration,
    ) -> Self {
        Self {
            reports,
            question,
            key: Key::of(
                question.view().tenant(),
                Q::KIND,
                &(question.view(), question),
            ),
            depends_on,
            max_staleness,
            own: Mutex::default(),
        }
    }
}

impl<Q: Question> Source for Asking<'_, Q> {
    fn key(&self) -> Key {
        self.key
    }

    fn max_staleness(&self) -> Duration {
        self.max_staleness
    }

    async fn make(&self) -> Result<Made, Problem> {
        let Self {
            reports, question, ..
        } = self;
        let asked = reports.ask_database(*question, self.max_staleness, true);
        let (mut answer, number) = Box::pin(asked).await?;
        let as_of = answer.provenance().as_of;
        let body = postcard::to_stdvec(&answer).map_err(|error| {
            tracing::error!(%error, "an answer cannot be written down");
            Problem::new(Code::Internal)
        })?;
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        *own = Some(answer);
        Ok(Made {
            body: body.into(),
            depends_on: self.depends_on.clone(),
            number,
            as_of,
            valid_until: question.valid_until(as_of),
        })
    }
}
