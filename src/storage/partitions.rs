//! Partitions for every table that grows with time. Those of the events' own time are a month
//! each, and a year each before [`FIRST_MONTHLY_YEAR`], so that a long history, or a made-up one,
//! is a bounded number of tables; receipts, which are kept for days, lie in days. Made ahead by a
//! job, and on demand by the writer that meets an older event.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, Utc};
use sea_orm::sqlx::{self, AssertSqlSafe, PgPool, Postgres, Transaction};
use uuid::Uuid;

use super::StorageError;

/// The tables partitioned by the time of their events.
const BY_EVENT_TIME: [&str; 6] = [
    "event",
    "purchase",
    "refund",
    "sales_minute",
    "traffic_minute",
    "user_day",
];
/// Never to be changed: partitions must not overlap.
const FIRST_MONTHLY_YEAR: i32 = 2020;

/// The span of one partition, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Span {
    /// Of facts and rollups.
    Events {
        /// Its first day.
        from: NaiveDate,
        /// One, or twelve.
        months: u32,
    },
    /// Of receipts.
    Receipts(NaiveDate),
}

impl Span {
    /// The span of facts and rollups that an instant lies in.
    #[must_use]
    pub fn of(at: DateTime<Utc>) -> Self {
        Self::of_day(at.date_naive())
    }

    /// The span of facts and rollups that a day lies in.
    #[must_use]
    pub fn of_day(day: NaiveDate) -> Self {
        let first = "every month has a first day";
        let from = day.with_day(1).expect(first);
        if day.year() >= FIRST_MONTHLY_YEAR {
            return Self::Events { from, months: 1 };
        }
        Self::Events {
            from: from.with_month(1).expect(first),
            months: 12,
        }
    }

    /// The span of receipts that an instant lies in.
    #[must_use]
    pub fn of_receipts(at: DateTime<Utc>) -> Self {
        Self::Receipts(at.date_naive())
    }

    /// The span after.
    #[must_use]
    pub fn next(self) -> Self {
        match self {
            Self::Events { .. } => Self::of_day(self.to()),
            Self::Receipts(_) => Self::Receipts(self.to()),
        }
    }

    /// The partitions of this span.
    #[must_use]
    pub fn partitions(self) -> Vec<String> {
        let names = self.tables().iter().map(|table| self.name(table));
        names.collect()
    }

    /// Its first day.
    #[must_use]
    pub fn from(self) -> NaiveDate {
        match self {
            Self::Events { from, .. } | Self::Receipts(from) => from,
        }
    }

    /// The day after its last.
    #[must_use]
    pub fn to(self) -> NaiveDate {
        match self {
            Self::Events { from, months } => from + Months::new(months),
            Self::Receipts(day) => day + Days::new(1),
        }
    }

    fn tables(self) -> &'static [&'static str] {
        match self {
            Self::Events { .. } => &BY_EVENT_TIME,
            Self::Receipts(_) => &["receipt"],
        }
    }

    /// The name of a table's partition: `event_1997`, `event_2026_11`, `receipt_2026_11_21`.
    fn name(self, parent: &str) -> String {
        let format = match self {
            Self::Events { months: 12, .. } => "%Y",
            Self::Events { .. } => "%Y_%m",
            Self::Receipts(_) => "%Y_%m_%d",
        };
        format!("{parent}_{}", self.from().format(format))
    }

    /// A day of this span as a bound of a table's partitions.
    fn bound(self, parent: &str, day: NaiveDate) -> String {
        match (self, parent) {
            (Self::Receipts(_), _) => first_id(day).to_string(),
            (_, "user_day") => day.to_string(),
            _ => format!("{day} 00:00:00+00"),
        }
    }
}

/// The least id of version 7 that can be made on a day.
fn first_id(day: NaiveDate) -> Uuid {
    let millis = day.and_time(NaiveTime::MIN).and_utc().timestamp_millis();
    Uuid::from_u128(u128::try_from(millis).unwrap_or(0) << 80)
}

/// The spans that this process knows to have partitions.
#[derive(Debug, Default)]
pub struct KnownSpans(Mutex<BTreeSet<Span>>);

impl KnownSpans {
    /// Makes the partitions of those of `spans` that are not known yet.
    ///
    /// # Errors
    /// When the database cannot be reached or refuses.
    pub async fn ensure(&self, pool: &PgPool, spans: &BTreeSet<Span>) -> Result<(), StorageError> {
        let unknown: Vec<Span> = {
            let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            spans.difference(&known).copied().collect()
        };
        for span in unknown {
            let mut transaction = begin_exclusive(pool).await?;
            for table in span.tables() {
                create(&mut transaction, table, span).await?;
            }
            transaction.commit().await?;
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(span);
        }
        Ok(())
    }

    /// Forgets all, for when the database turned out to lack one.
    pub fn forget(&self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

/// Drops the receipts of the days before `day`; says how many days.
///
/// # Errors
/// When the database cannot be reached or refuses.
pub async fn drop_receipts_before(pool: &PgPool, day: NaiveDate) -> Result<usize, StorageError> {
    let first_kept = Span::Receipts(day).name("receipt");
    let mut transaction = begin_exclusive(pool).await?;
    let old: Vec<String> = sqlx::query_scalar(
        "SELECT inhrelid::regclass::text FROM pg_inherits
         WHERE inhparent = 'receipt'::regclass AND inhrelid::regclass::text < $1",
    )
    .bind(first_kept)
    .fetch_all(&mut *transaction)
    .await?;
    for table in &old {
        // A name from the catalogue, which quotes it.
        let statement = AssertSqlSafe(format!("DROP TABLE {table}"));
        sqlx::query(statement).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(old.len())
}

/// A transaction that no other maker of partitions runs beside.
async fn begin_exclusive(pool: &PgPool) -> Result<Transaction<'static, Postgres>, StorageError> {
    let mut transaction = pool.begin().await?;
    sqlx::query("SELECT pg_advisory_xact_lock(hashtext('tidewater partitions'))")
        .execute(&mut *transaction)
        .await?;
    Ok(transaction)
}

/// Makes a table and then attaches it, unlike `CREATE TABLE … PARTITION OF`: that would lock out
/// every reader and writer of the parent for as long as the slowest of them runs. A table of that
/// name that someone detached is attached again.
async fn create(
    transaction: &mut Transaction<'static, Postgres>,
    parent: &str,
    span: Span,
) -> Result<(), StorageError> {
    let name = span.name(parent);
    let (exists, attached): (bool, bool) = sqlx::query_as(
        "SELECT to_regclass($1) IS NOT NULL,
                EXISTS (SELECT FROM pg_inherits
                        WHERE inhrelid = to_regclass($1) AND inhparent = to_regclass($2))",
    )
    .bind(&name)
    .bind(parent)
    .fetch_one(&mut **transaction)
    .await?;
    // Identifiers and bounds cannot be bound; these are constants and dates.
    let make = format!("CREATE TABLE {name} (LIKE {parent} INCLUDING ALL)");
    let [from, to] = [span.from(), span.to()].map(|day| span.bound(parent, day));
    let attach = format!(
        "ALTER TABLE {parent} ATTACH PARTITION {name} FOR VALUES FROM ('{from}') TO ('{to}')"
    );
    for (statement, is_needed) in [(make, !exists), (attach, !attached)] {
        if is_needed {
            let statement = AssertSqlSafe(statement);
            sqlx::query(statement).execute(&mut **transaction).await?;
        }
    }
    Ok(())
}
