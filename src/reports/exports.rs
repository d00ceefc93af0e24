//! Exports: whole lists, or numbers, written to a file behind the requests.
//!
//! An export is queued in the database and written there by whoever takes it up ([`run`]), so its
//! file outlives the process, and every process can give it. A question is kept as it was asked; of
//! a range until now, as the range that it was then.

mod file;
pub mod run;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::Reports;
use super::metrics::{Asked, MetricsQuestion};
use super::records::{Listed, RecordFilter};
use crate::domain::tenant::View;
use crate::error::{Code, Problem};
use crate::storage::entity::{event, pageview, product, purchase, refund, user};
use crate::storage::queries::exports as queries;
use crate::storage::queries::exports::ExportRow;
use crate::storage::writes::exports as writes;
use crate::storage::writes::exports::{Limits, NewExport};
use crate::storage::{Db, StorageError};

pub use crate::storage::queries::exports::Viewer;
pub use file::{File, Stop};

/// How long a file is kept from when it was asked for.
pub const LIFETIME: TimeDelta = TimeDelta::hours(24);
/// How long it is known afterwards that there was an export.
const MEMORY: TimeDelta = TimeDelta::days(7);
/// How many exports there may be.
const LIMITS: Limits = Limits {
    open_of_tenant: 5,
    kept_of_tenant: 50,
    open: 500,
};
/// How many exports a list shows.
const LISTED: u32 = 100;

/// What is exported.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Exported {
    /// Events.
    Events(RecordFilter),
    /// Pageviews.
    Pageviews(RecordFilter),
    /// Users.
    Users(RecordFilter),
    /// Lines of orders.
    Purchases(RecordFilter),
    /// Lines of what was paid back.
    Refunds(RecordFilter),
    /// The catalogue.
    Products(RecordFilter),
    /// Numbers.
    Metrics(Box<MetricsQuestion>),
    /// All that is kept of a person.
    UserData(UserData),
}

/// Which person.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UserData {
    /// Any id of theirs.
    pub user_id: Uuid,
    /// What senders call them, if the request says.
    pub word: Option<String>,
}

impl Exported {
    /// The word for it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Events(_) => "events",
            Self::Pageviews(_) => "pageviews",
            Self::Users(_) => "users",
            Self::Purchases(_) => "purchases",
            Self::Refunds(_) => "refunds",
            Self::Products(_) => "products",
            Self::Metrics(_) => "metrics",
            Self::UserData(_) => "user-data",
        }
    }
}

/// How it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ExportFormat {
    /// A table with a header.
    Csv,
    /// Lines of JSON.
    Ndjson,
}

impl ExportFormat {
    /// What a file's name ends with.
    #[must_use]
    pub const fn ending(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
        }
    }
}

/// The question.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExportQuestion {
    /// What.
    pub what: Exported,
    /// How.
    pub format: ExportFormat,
}

impl ExportQuestion {
    /// Whether it can be answered for who sees this.
    fn check(&self, view: &View) -> Result<(), Problem> {
        match &self.what {
            Exported::Events(filter) => event::Entity::select(view, filter).map(drop)?,
            Exported::Pageviews(filter) => pageview::Entity::select(view, filter).map(drop)?,
            Exported::Users(filter) => user::Entity::select(view, filter).map(drop)?,
            Exported::Purchases(filter) => purchase::Entity::select(view, filter).map(drop)?,
            Exported::Refunds(filter) => refund::Entity::select(view, filter).map(drop)?,
            Exported::Products(filter) => product::Entity::select(view, filter).map(drop)?,
            Exported::Metrics(metrics) => drop(Asked::new(metrics)?),
            // The whole tenant asks for it.
            Exported::UserData(_) => {}
        }
        Ok(())
    }
}

/// How far an export is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportState {
    /// Nobody has begun.
    Queued,
    /// It is being written.
    Running,
    /// The file is there.
    Done,
    /// There will be no file.
    Failed,
    /// The file is gone, or its time was over before it was written.
    Expired,
}

/// An export.
#[derive(Clone, Debug)]
pub struct Export {
    /// Names it.
    pub id: Uuid,
    /// What was asked; nothing if another version of the server asked it.
    pub question: Option<ExportQuestion>,
    /// How far it is.
    pub state: ExportState,
    /// How many rows are written.
    pub rows: i64,
    /// How many bytes they are, packed.
    pub bytes: i64,
    /// How many rows there will be, about, if that is known.
    pub expected: Option<i64>,
    /// Why it failed.
    pub error: Option<Code>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When it was done, or failed.
    pub finished_at: Option<DateTime<Utc>>,
    /// When its file goes.
    pub expires_at: DateTime<Utc>,
    attempt: i32,
}

impl Export {
    fn of(row: ExportRow, now: DateTime<Utc>) -> Self {
        let failed = || row.error_code.as_deref().and_then(Code::from_name);
        Self {
            id: row.export_id,
            question: serde_json::from_value(row.question).ok(),
            state: match row.state {
                _ if row.expires_at <= now => ExportState::Expired,
                0 => ExportState::Queued,
                1 => ExportState::Running,
                2 => ExportState::Done,
                _ => ExportState::Failed,
            },
            rows: row.rows,
            bytes: row.bytes,
            expected: row.expected,
            error: (row.state == 3).then(|| failed().unwrap_or(Code::Internal)),
            created_at: row.created_at,
            finished_at: row.finished_at,
            expires_at: row.expires_at,
            attempt: row.attempt,
        }
    }

    /// How much of it is written, from 0 to 1; nothing if that is not known.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "it is shown as a bar")]
    pub fn progress(&self) -> Option<f64> {
        match (self.state, self.expected) {
            (ExportState::Done, _) => Some(1.0),
            (ExportState::Queued, _) => Some(0.0),
            (ExportState::Running, Some(expected)) if expected > 0 => {
                Some((self.rows as f64 / expected as f64).min(1.0))
            }
            _ => None,
        }
    }

    /// Whether nothing more becomes of it.
    #[must_use]
    pub fn is_over(&self) -> bool {
        !matches!(self.state, ExportState::Queued | ExportState::Running)
    }

    /// Tells this file from all others.
    #[must_use]
    pub fn version(&self) -> String {
        format!("{}-{}", self.id.simple(), self.attempt)
    }
}

/// What is kept of a link's secret.
fn hash(token: &str) -> Vec<u8> {
    Sha256::digest(token.as_bytes()).to_vec()
}

impl Reports {
    /// Queues an export; with it, the secret of a link to its file, which is not kept.
    ///
    /// # Errors
    /// [`Code::TooManyExports`], a question of metrics that cannot be answered, or that the database
    /// is away.
    pub async fn create_export(
        &self,
        view: &View,
        question: &ExportQuestion,
    ) -> Result<(Export, String), Problem> {
        self.create_export_of(Uuid::new_v4(), view, question).await
    }

    /// The same under an id that was chosen.
    pub(super) async fn create_export_of(
        &self,
        id: Uuid,
        view: &View,
        question: &ExportQuestion,
    ) -> Result<(Export, String), Problem> {
        question.check(view)?;
        let token = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        let now = self.clock.now();
        let new = NewExport {
            id,
            view: view.clone(),
            question: serde_json::to_value(question).expect("questions are plain JSON"),
            token_hash: hash(&token),
            created_at: now,
            expires_at: now + LIFETIME,
        };
        if !writes::create(self.db.control(), new, LIMITS).await? {
            let Limits {
                open_of_tenant,
                kept_of_tenant,
                open,
            } = LIMITS;
            let detail = format!(
                "A tenant may have {open_of_tenant} exports that are not finished and {kept_of_tenant} in \
                 all, and the server {open} that are not finished. Wait for one to end, or delete one."
            );
            return Err(Problem::with(Code::TooManyExports, detail));
        }
        let viewer = Viewer {
            view: view.clone(),
            sees_people: true,
        };
        Ok((self.export(&viewer, id).await?, token))
    }

    /// A tenant's export.
    ///
    /// # Errors
    /// [`Code::UnknownExport`], or that the database is away.
    pub async fn export(&self, viewer: &Viewer, id: Uuid) -> Result<Export, Problem> {
        let row = queries::export(self.db.reads(), viewer, id).await?;
        let row = row.ok_or(Code::UnknownExport)?;
        Ok(Export::of(row, self.clock.now()))
    }

    /// A tenant's newest exports.
    ///
    /// # Errors
    /// That the database is away.
    pub async fn exports(&self, viewer: &Viewer) -> Result<Vec<Export>, Problem> {
        let rows = queries::exports(self.db.reads(), viewer, LISTED).await?;
        let now = self.clock.now();
        Ok(rows.into_iter().map(|row| Export::of(row, now)).collect())
    }

    /// The export that a link with this secret leads to.
    ///
    /// # Errors
    /// [`Code::UnknownExport`], or that the database is away.
    pub async fn linked_export(&self, token: &str) -> Result<Export, Problem> {
        let row = queries::linked(self.db.reads(), &hash(token)).await?;
        let row = row.ok_or(Code::UnknownExport)?;
        Ok(Export::of(row, self.clock.now()))
    }

    /// Stops an export and deletes its file; whether there was one.
    ///
    /// # Errors
    /// That the database is away.
    pub async fn delete_export(&self, viewer: &Viewer, id: Uuid) -> Result<bool, Problem> {
        Ok(writes::delete(self.db.control(), viewer, id).await?)
    }

    /// The bytes of an export's file from this one to the end of its piece; none behind the end.
    ///
    /// # Errors
    /// That the database is away.
    pub async fn export_bytes(&self, export: &Export, at: i64) -> Result<Vec<u8>, Problem> {
        let piece = queries::chunk(self.db.reads(), export.id, export.attempt, at).await?;
        let rest = piece.and_then(|piece| {
            let skipped = usize::try_from(at - piece.begins).ok()?;
            piece.content.get(skipped..).map(<[u8]>::to_vec)
        });
        Ok(rest.unwrap_or_default())
    }
}

/// Deletes the files whose time is over; says how many exports are forgotten.
///
/// # Errors
/// When the database cannot be reached.
pub async fn sweep(db: &Db, now: DateTime<Utc>) -> Result<u64, StorageError> {
    writes::sweep(db.control(), now, now - MEMORY).await
}
