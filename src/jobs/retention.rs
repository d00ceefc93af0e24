//! Takes out what is older than its tenant keeps.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use chrono::TimeDelta;

use crate::clock::Clock;
use crate::domain::tenant::TenantId;
use crate::storage::queries::privacy::policies;
use crate::storage::writes::retention;
use crate::storage::writes::summaries::{Owner, owners};
use crate::storage::{Db, StorageError};

const INTERVAL: Duration = Duration::from_hours(1);

/// Runs the job every hour; what fails is tried again the next time.
pub async fn run(db: Db, clock: Clock) {
    let mut interval = tokio::time::interval(INTERVAL);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        if let Err(error) = once(&db, &clock).await {
            tracing::warn!(%error, "not everything was taken out that is past its retention");
        }
    }
}

/// Runs the job once.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn once(db: &Db, clock: &Clock) -> Result<(), StorageError> {
    let now = clock.now();
    let owners: HashMap<TenantId, Owner> = owners(db)
        .await?
        .into_iter()
        .map(|owner| (owner.tenant, owner))
        .collect();
    let policies = policies(db.control()).await?;
    let (mut kept, mut days) = (BTreeMap::new(), Vec::new());
    for (tenant, policy) in &policies {
        let since = |days: i32| now - TimeDelta::days(days.into());
        if let Some(days) = policy.quarantine_days {
            let events = retention::delete_quarantined(db, *tenant, since(days)).await?;
            report(*tenant, "quarantined events", events);
        }
        if let Some(days) = policy.receipts_days {
            let receipts = retention::delete_receipts(db, *tenant, since(days)).await?;
            report(*tenant, "receipts", receipts);
        }
        if let Some(hours) = policy.exports_hours {
            retention::shorten_exports(db, *tenant, hours).await?;
        }
        if let Some((owner, number)) = owners.get(tenant).copied().zip(policy.events_days) {
            let (day, from) = retention::first_kept(owner, now, number);
            retention::keep_from(db, *tenant, from).await?;
            kept.insert(*tenant, from);
            days.push((owner, day));
        }
    }
    for (owner, before) in days {
        let gone = retention::delete_facts(db, owner, before).await?;
        report(owner.tenant, "days of events", gone);
    }
    let months = retention::drop_months(db, &kept).await?;
    if months > 0 {
        tracing::info!(months, "months were dropped that no tenant keeps");
    }
    Ok(())
}

fn report(tenant: TenantId, what: &str, number: u64) {
    if number > 0 {
        tracing::info!(
            tenant = tenant.0,
            what,
            number,
            "past its retention: taken out"
        );
    }
}
