//! One partition a month for every table that grows with time: made ahead by a job, and on demand
//! by the writer that meets an older (or, within a day, a newer) event.

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

/// A calendar month in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month(NaiveDate);

impl Month {
    /// The month that an instant lies in.
    #[must_use]
    pub fn of(at: DateTime<Utc>) -> Self {
        Self::containing(at.date_naive())
    }

    fn containing(day: NaiveDate) -> Self {
        Self(day.with_day(1).expect("every month has a first day"))
    }

    /// The month after.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + Months::new(1))
    }
}

/// The months that this process knows to have partitions.
#[derive(Debug, Default)]
pub struct KnownMonths(Mutex<BTreeSet<Month>>);

impl KnownMonths {
    /// Makes the partitions of those of `months` that are not known yet.
    ///
    /// # Errors
    /// When the database cannot be reached or refuses.
    pub async fn ensure(
        &self,
        pool: &PgPool,
        months: &BTreeSet<Month>,
    ) -> Result<(), StorageError> {
        let unknown: Vec<Month> = {
            let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            months.difference(&known).copied().collect()
        };
        for month in unknown {
            let mut transaction = begin_exclusive(pool).await?;
            for table in BY_EVENT_TIME {
                create(&mut transaction, table, month).await?;
            }
            transaction.commit().await?;
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(month);
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
    let month = Month::containing(today);
    create(&mut transaction, "idempotency_key", month).await?;
    // Waits for every writer that still claims ids in the period before.
    sqlx::query("UPDATE idempotency_period SET opened_on = $1 WHERE opened_on < $1")
        .bind(month.0)
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
/// every reader and writer of the parent for as long as the slowest of them runs.
async fn create(
    transaction: &mut Transaction<'static, Postgres>,
    parent: &str,
    month: Month,
) -> Result<(), StorageError> {
    let name = format!("{parent}_{}", month.0.format("%Y_%m"));
    let exists: bool = sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL")
        .bind(&name)
        .fetch_one(&mut **transaction)
        .await?;
    if exists {
        return Ok(());
    }
    // Identifiers and bounds cannot be bound; these are a constant and a date.
    let (from, to) = (month.0, month.next().0);
    let zone = if parent == "idempotency_key" {
        ""
    } else {
        " 00:00:00+00"
    };
    for statement in [
        format!("CREATE TABLE {name} (LIKE {parent} INCLUDING ALL)"),
        format!(
            "ALTER TABLE {parent} ATTACH PARTITION {name} FOR VALUES FROM ('{from}{zone}') TO ('{to}{zone}')"
        ),
    ] {
        sqlx::query(AssertSqlSafe(statement))
            .execute(&mut **transaction)
            .await?;
    }
    Ok(())
}
