//! How a tenant's events come in.

use chrono::{DateTime, Utc};

use super::Reports;
use crate::domain::tenant::TenantId;
use crate::error::Problem;
use crate::storage::queries::intake::intake;

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TenantIntake {
    /// The latest time of a stored event.
    pub watermark: Option<DateTime<Utc>>,
    /// Seconds since the newest stored event was received.
    pub age_seconds: Option<f64>,
    /// How many events are in quarantine; 10,000 stands for more, too.
    pub quarantined: i64,
    /// How many types of events there are.
    pub event_types: i64,
}

impl Reports {
    /// Answers how a tenant's events come in.
    ///
    /// # Errors
    /// That the database is away or takes too long.
    pub async fn intake(&self, tenant: TenantId) -> Result<TenantIntake, Problem> {
        let now = self.clock.now();
        let row = intake(self.db.reads(), tenant).await?;
        let age = |received_at: DateTime<Utc>| {
            let age = (now - received_at).to_std().unwrap_or_default();
            age.as_secs_f64()
        };
        Ok(TenantIntake {
            watermark: row.watermark,
            age_seconds: row.received_at.map(age),
            quarantined: row.quarantined,
            event_types: row.event_types,
        })
    }
}
