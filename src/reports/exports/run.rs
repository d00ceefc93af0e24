//! Writing exports, one after another, each from one snapshot.

use std::time::Duration;

use super::file::Stop;
use super::{Export, ExportFormat, ExportQuestion, Exported, File};
use crate::domain::tenant::View;
use crate::error::{Code, Problem};
use crate::reports::Reports;
use crate::reports::metrics::{Asked, MetricsAnswer, MetricsQuestion};
use crate::reports::question::{Budget, Moment, Question};
use crate::reports::records::{Listed, RecordFilter, Records};
use crate::storage::StorageError;
use crate::storage::entity::{event, pageview, product, purchase, refund, user};
use crate::storage::queries::exports::ExportRow;
use crate::storage::queries::user_data;
use crate::storage::writes::erasures::person;
use crate::storage::writes::exports as writes;

/// How long an export is ours without a sign of life, and how often there is one.
const LEASE: Duration = Duration::from_mins(1);
const BEAT: Duration = Duration::from_secs(5);
/// How long writing may take: its snapshot holds back what cleans up the database.
const LONGEST: Duration = Duration::from_mins(15);
/// How much of a text is handed over at a time.
const PIECE: usize = 64 * 1024;
/// How often it is begun.
const ATTEMPTS: i32 = 3;

/// Writes rows and numbers in the words of a face.
pub trait Rendering: Clone + Send + Sync + 'static {
    /// Writes a whole list.
    fn list(
        &self,
        records: &Records<'_>,
        view: &View,
        question: &ExportQuestion,
        file: &mut File<'_>,
    ) -> impl Future<Output = Result<(), Stop>> + Send;

    /// Numbers as text, and how many rows that is.
    fn metrics(
        &self,
        question: &MetricsQuestion,
        answer: MetricsAnswer,
        format: ExportFormat,
    ) -> (Vec<u8>, u64);
}

/// What became of an export that was taken up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is written.
    Done,
    /// It cannot be written.
    Failed,
    /// It is somebody else's by now, was deleted, or will be taken up again.
    Left,
}

impl Reports {
    /// Takes up an export and writes it; nothing if there is none.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn write_next_export(
        &self,
        rendering: &impl Rendering,
    ) -> Result<Option<Outcome>, StorageError> {
        let control = self.db.control();
        let Some(row) = writes::take(control, LEASE, self.clock.now()).await? else {
            return Ok(None);
        };
        let which = (row.export_id, row.attempt);
        let stopped = if row.attempt > ATTEMPTS {
            // Whoever writes it dies of it.
            Some(Stop::Problem(Code::Internal.into()))
        } else {
            let writing = tokio::time::timeout(LONGEST, Box::pin(self.write(row, rendering)));
            tokio::select! {
                written = writing => match written {
                    Ok(written) => written.err(),
                    Err(_) => Some(Stop::Problem(Code::QueryTimeout.into())),
                },
                () = self.keep(which) => Some(Stop::Lost),
            }
        };
        let error = match stopped {
            None => None,
            Some(Stop::Lost) => return Ok(Some(Outcome::Left)),
            // It is taken up again when the lease has run out.
            Some(Stop::Problem(problem)) if problem.retry_after().is_some() => {
                return Ok(Some(Outcome::Left));
            }
            Some(Stop::Problem(problem)) => Some(problem.code),
        };
        let name = error.map(Code::name);
        let ours = writes::finish(control, which, name, self.clock.now()).await?;
        Ok(Some(match error {
            _ if !ours => Outcome::Left,
            None => Outcome::Done,
            Some(_) => Outcome::Failed,
        }))
    }

    /// Renews the lease until it is lost.
    async fn keep(&self, which: (uuid::Uuid, i32)) {
        loop {
            tokio::time::sleep(BEAT).await;
            match writes::renew(self.db.control(), which, LEASE).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => tracing::debug!(%error, "a lease was not renewed"),
            }
        }
    }

    async fn write(&self, row: ExportRow, rendering: &impl Rendering) -> Result<(), Stop> {
        let which = (row.export_id, row.attempt);
        // What cannot be read is not written.
        let view = &row.view().ok_or(Code::Internal)?;
        let question = Export::of(row, self.clock.now()).question;
        let question = question.ok_or(Code::Internal)?;
        let mut file = File::new(&self.db, which);
        if let Some(rows) = self.expected(view, &question.what).await {
            writes::expect(self.db.control(), which, rows).await?;
        }
        let as_of = self.clock.now();
        let snapshot = self.db.snapshot().await?;
        if let Exported::Metrics(asked) = &question.what {
            let seen = MetricsQuestion {
                view: view.clone(),
                ..(**asked).clone()
            };
            let asking = Asked::new(&seen)?;
            let budget = Budget::of(self.max_rows);
            let moment = Moment {
                snapshot: &snapshot,
                as_of,
                who: &self.who,
                budget: &budget,
            };
            let answer = Box::pin(asking.answer(moment)).await;
            let (text, rows) =
                rendering.metrics(asked, answer.map_err(Problem::from)?, question.format);
            for piece in text.chunks(PIECE) {
                file.write(piece, 0).await?;
            }
            file.write(&[], rows).await?;
        } else if let Exported::UserData(asked) = &question.what {
            let word = asked.word.as_deref();
            let person = person(&self.db, view.tenant(), asked.user_id, word).await?;
            user_data::begin(&*snapshot, &person).await?;
            while let Some(lines) = user_data::next(&*snapshot, &person).await? {
                for line in lines {
                    file.write(format!("{line}\n").as_bytes(), 1).await?;
                }
            }
        } else {
            let records = Records::of(&snapshot);
            rendering.list(&records, view, &question, &mut file).await?;
        }
        file.close().await?;
        snapshot.commit().await?;
        Ok(())
    }

    /// How many rows a list has, about; nothing if that takes too long to count.
    async fn expected(&self, view: &View, what: &Exported) -> Option<i64> {
        let count = match what {
            Exported::Events(filter) => self.counted::<event::Entity>(view, filter).await,
            Exported::Pageviews(filter) => self.counted::<pageview::Entity>(view, filter).await,
            Exported::Users(filter) => self.counted::<user::Entity>(view, filter).await,
            Exported::Purchases(filter) => self.counted::<purchase::Entity>(view, filter).await,
            Exported::Refunds(filter) => self.counted::<refund::Entity>(view, filter).await,
            Exported::Products(filter) => self.counted::<product::Entity>(view, filter).await,
            Exported::Metrics(_) | Exported::UserData(_) => return None,
        };
        i64::try_from(count.ok()?).ok()
    }

    async fn counted<E: Listed<Filter = RecordFilter, Model: Sync>>(
        &self,
        view: &View,
        filter: &RecordFilter,
    ) -> Result<u64, Problem> {
        self.count::<E>(view, filter).await
    }
}
