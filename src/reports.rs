//! Answers a question: cache → storage → sums → provenance. One function for each question serves
//! every face alike.
//!
//! It may import storage and cache. The next report: a file with its question, its answer and a method of
//! [`Reports`]. One that adds up numbers implements [`question::Question`]: then it is answered
//! from one snapshot, by a replica where it may be some seconds old.

pub mod catalogue;
pub mod cursor;
pub mod exports;
pub mod ingest;
pub mod metrics;
pub mod parameters;
pub mod privacy;
pub mod provenance;
mod question;
pub mod records;
pub mod restatements;
pub mod sales;
pub mod top;
pub mod traffic;
pub mod user_agents;

use std::fmt;
use std::sync::Arc;

use crate::cache::{Cache, Collected};
use crate::clock::Clock;
use crate::domain::calendar::CalendarError;
use crate::domain::number::Number;
use crate::error::{Code, Problem};
use crate::storage::Db;
use metrics::WhoIsWho;

pub use crate::storage::MAX_STALENESS;

/// What every report needs.
#[derive(Clone)]
pub struct Reports {
    db: Db,
    clock: Clock,
    who: Arc<WhoIsWho>,
    cache: Cache,
    /// How many rows a question may go through.
    max_rows: Option<i64>,
    /// What is answered for one response, where that is of interest.
    collected: Option<Arc<Collected>>,
}

impl Reports {
    /// Reports over this database; a question may go through so many rows, through any if 0.
    #[must_use]
    pub fn new(db: Db, clock: Clock, cache: Cache, max_rows: u64) -> Self {
        Self {
            db,
            clock,
            who: Arc::default(),
            cache,
            max_rows: (max_rows > 0).then(|| i64::try_from(max_rows).unwrap_or(i64::MAX)),
            collected: None,
        }
    }

    /// The same for one response, of which it is told what is answered.
    #[must_use]
    pub fn collecting(&self, collected: &Arc<Collected>) -> Self {
        Self {
            collected: Some(Arc::clone(collected)),
            ..self.clone()
        }
    }

    /// Where answers are kept.
    #[must_use]
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// How many rows a question may go through, if not any number.
    #[must_use]
    pub fn max_rows(&self) -> Option<i64> {
        self.max_rows
    }

    /// Whether anything can be answered.
    ///
    /// # Errors
    /// That the database is away.
    pub async fn ping(&self) -> Result<(), Problem> {
        Ok(self.db.ping().await?)
    }
}

impl fmt::Debug for Reports {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Reports")
            .field("db", &self.db)
            .finish_non_exhaustive()
    }
}

impl From<CalendarError> for Problem {
    fn from(error: CalendarError) -> Self {
        match error {
            CalendarError::InvalidRange => Code::InvalidRange.into(),
            CalendarError::TooManyBuckets => Code::TooManyBuckets.into(),
        }
    }
}

/// Which bucket a row belongs to: PostgreSQL counts them from 1.
fn bucket_index(bucket: i32) -> usize {
    usize::try_from(bucket - 1).expect("rows lie behind the first bound")
}

/// A count; 0 where there is none.
fn whole(number: Option<Number>) -> i64 {
    let count = number.map_or(0, Number::unscaled);
    i64::try_from(count).expect("no table has so many rows")
}

/// A sum that PostgreSQL wrote.
fn minor_units(sum: &str) -> i128 {
    sum.parse()
        .expect("a sum of whole numbers is a whole number")
}
