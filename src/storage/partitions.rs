//! Partitions for every table that grows with time: a month each, and a year each before
//! [`FIRST_MONTHLY_YEAR`], so that a long history, or a made-up one, is a bounded number of tables.
//! Made ahead by a job, and on demand by the writer that meets an older event.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Datelike, Months, NaiveDate, Utc};
use sea_orm::sqlx::{self, AssertSqlSafe, PgPool, Postgres, Transaction};

use super::StorageError;

/// The tables partitioned by the time of their events.
const BY_EVENT_TIME: [&str; 5] = [
    "event",
    "pageview",
    "purchase",
    "sales_minute",
    "traffic_minute",
];
/// Never to be changed: partitions must not overlap.
const FIRST_MONTHLY_YEAR: i32 = 2020;

/// The span of one partition, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    from: NaiveDate,
    months: u32,
}

impl Span {
    /// The span that an instant lies in.
    #[must_use]
    pub fn of(at: DateTime<Utc>) -> Self {
        Self::containing(at.date_naive())
    }

    fn containing(day: NaiveDate) -> Self {
        let first = "every month has a first day";
        let from = day.with_day(1).expect(first);
        if day.year() >= FIRST_MONTHLY_YEAR {
            return Self { from, months: 1 };
        }
        Self {
            from: from.with_month(1).expect(first),
            months: 12,
        }
    }

    /// The span after.
    #[must_use]
    pub fn next(self) -> Self {
        Self::containing(self.to())
    }

    fn to(self) -> NaiveDate {
        self.from + Months::new(self.months)
    }

    /// The name of a table's partition: `event_1997`, `event_2026_11`.
    fn name(self, parent: &str) -> String {
        let format = if self.months == 1 { "%Y_%m" } else { "%Y" };
        format!("{parent}_{}", self.from.format(format))
    }
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
            for table in BY_EVENT_TIME {
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

/// Opens the idempotency period of the current month, by the database's clock.
///
/// # Errors
/// When the database cannot be reached or refuses.
pub async fn open_period(pool: &PgPool) -> Result<(), StorageError> {
    let mut transaction = begin_exclusive(pool).await?;
    let today: NaiveDate = sqlx::query_scalar("SELECT (now() AT TIME ZONE 'utc')::date")
        .fetch_one(&mut *transaction)
        .await?;
    let span = Span::containing(today);
    create(&mut transaction, "idempotency_key", span).await?;
    // Waits for every writer that still claims ids in the period before.
    sqlx::query("UPDATE idempotency_period SET opened_on = $1 WHERE opened_on < $1")
        .bind(span.from)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(())
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
    let (from, to) = (span.from, span.to());
    let zone = if parent == "idempotency_key" {
        ""
    } else {
        " 00:00:00+00"
    };
    let attach = format!(
        "ALTER TABLE {parent} ATTACH PARTITION {name}
         FOR VALUES FROM ('{from}{zone}') TO ('{to}{zone}')"
    );
    for (statement, is_needed) in [(make, !exists), (attach, !attached)] {
        if is_needed {
            let statement = AssertSqlSafe(statement);
            sqlx::query(statement).execute(&mut **transaction).await?;
        }
    }
    Ok(())
}
