//! The canary: an event of our own, every minute, whose way from the door to the database is
//! timed. It belongs to a tenant of its own, so no shop's numbers know of it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::parse::parse_batch;
use super::{Ingest, Status};
use crate::domain::money::Currency;
use crate::domain::tenant::{Sender, TenantId, View};
use crate::storage::queries::keys::tenant;
use crate::storage::queries::related::events_at;
use crate::storage::writes::tenants;
use crate::storage::{Db, StorageError};

/// The tenant that canaries belong to.
pub const TENANT: &str = "tidewater-canary";
/// How often it is looked whether the canary has arrived.
const LOOK: Duration = Duration::from_millis(10);
/// A canary that has not arrived by then is lost.
const PATIENCE: Duration = Duration::from_secs(30);

/// How the latest canary fared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flight {
    /// When it was sent.
    pub sent_at: DateTime<Utc>,
    /// How long it took until a question found it; nothing if none did in time.
    pub took: Option<Duration>,
}

/// The latest flight.
#[derive(Debug, Default)]
pub(super) struct Perch(Mutex<Option<Flight>>);

impl Perch {
    pub(super) fn latest(&self) -> Option<Flight> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, flight: Flight) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(flight);
    }
}

/// Sends canaries for ever, and logs those that took longer than they may.
pub async fn run(ingest: Ingest, db: Db, interval: Duration, objective: Duration) {
    if interval.is_zero() {
        return;
    }
    let mut interval = tokio::time::interval(interval);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        let sent_at = ingest.clock.now();
        let flying = tokio::time::timeout(PATIENCE, fly(&ingest, &db, sent_at)).await;
        let took = match flying {
            Ok(Ok(took)) => Some(took),
            Ok(Err(why)) => {
                tracing::error!(why, "the canary was not taken: ingest does not work");
                None
            }
            Err(_) => {
                tracing::error!("the canary did not arrive within {PATIENCE:?}: ingest lags");
                None
            }
        };
        if let Some(took) = took {
            ingest.metrics.ingest_canary_seconds.record(took);
            if took > objective {
                tracing::error!(
                    ?took,
                    ?objective,
                    "the canary took longer than it may: ingest lags"
                );
            }
        }
        ingest.perch.set(Flight { sent_at, took });
    }
}

/// Sends one; how long it took until it was found.
async fn fly(ingest: &Ingest, db: &Db, sent_at: DateTime<Utc>) -> Result<Duration, String> {
    let storage = |error: StorageError| error.to_string();
    let tenant = tenant_id(db).await.map_err(storage)?;
    let sender = Sender {
        tenant,
        zone: chrono_tz::UTC,
        currency: Currency::from_code("USD").expect("the dollar is a currency"),
    };
    let event = serde_json::json!([
        {"type": "canary", "userId": "canary", "timestamp": sent_at.to_rfc3339()}
    ]);
    let body = event.to_string();
    let begun = Instant::now();
    let parsed = parse_batch(body.as_bytes()).map_err(|problem| problem.message().to_owned())?;
    let taken = ingest.take(&sender, parsed.drafts).await;
    let receipts = taken.map_err(|problem| problem.message().to_owned())?;
    let receipt = &receipts.receipts[0];
    let (Status::Accepted, Some(id)) = (receipt.status, receipt.event_id) else {
        return Err(format!("it is {}", receipt.status.name()));
    };
    let place = [(sent_at, id)];
    let all = View::whole(tenant);
    while events_at(db.reads(), &all, &place)
        .await
        .map_err(storage)?
        .is_empty()
    {
        tokio::time::sleep(LOOK).await;
    }
    Ok(begun.elapsed())
}

async fn tenant_id(db: &Db) -> Result<TenantId, StorageError> {
    if let Some(tenant) = tenant(db.control(), TENANT).await? {
        return Ok(TenantId(tenant.tenant_id));
    }
    tenants::ensure(db.control(), TENANT).await?;
    let made = tenant(db.control(), TENANT).await?;
    made.map(|tenant| TenantId(tenant.tenant_id))
        .ok_or_else(|| StorageError::Bug("the canary's tenant is gone".to_owned()))
}
