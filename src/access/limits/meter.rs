//! What was told of limits while a request was answered.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::bucket::Bucket;
use super::{Kind, Limits, Standing};
use crate::error::Problem;

/// How many rows that a question goes through cost a point.
const ROWS_OF_A_POINT: i64 = 1_000;

tokio::task_local! {
    /// That of the request which this task answers.
    static METER: Arc<Meter>;
}

/// Collects it.
#[derive(Debug)]
pub struct Meter {
    limits: Limits,
    address: Option<IpAddr>,
    /// Whether the address paid for this request.
    paid: AtomicBool,
    /// Whether a key was shown that is good.
    known: AtomicBool,
    told: Mutex<Vec<(Standing, Arc<Bucket>)>>,
}

impl Meter {
    /// Answers a request from this address; and where the limits stand that it came to.
    pub async fn of<F: Future>(
        limits: &Limits,
        address: Option<IpAddr>,
        answering: F,
    ) -> (F::Output, Vec<Standing>) {
        let meter = Arc::new(Self {
            limits: limits.clone(),
            address,
            paid: AtomicBool::new(false),
            known: AtomicBool::new(false),
            told: Mutex::default(),
        });
        let answer = METER.scope(Arc::clone(&meter), answering).await;
        let told = meter.told.lock().unwrap_or_else(PoisonError::into_inner);
        let standings = told.iter().map(|(standing, _)| *standing);
        (answer, standings.collect())
    }
}

/// Notes where a limit stands, in the place of what was noted of that kind.
pub(super) fn note(standing: Standing, bucket: &Arc<Bucket>) {
    // Nobody collects it over a socket.
    let _ = METER.try_with(|meter| {
        let mut told = meter.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|(other, _)| other.kind != standing.kind);
        told.push((standing, Arc::clone(bucket)));
    });
}

/// Notes that the request which this task answers shows a good key.
pub(in crate::access) fn known() {
    let _ = METER.try_with(|meter| {
        meter.known.store(true, Ordering::Relaxed);
        if meter.paid.swap(false, Ordering::Relaxed) {
            meter.limits.give_back(meter.address);
        }
        // What its address may do without one is none of its limits.
        let mut told = meter.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|(standing, _)| standing.kind != Kind::Requests);
    });
}

/// Whether it did so far.
#[must_use]
pub fn is_known() -> bool {
    METER
        .try_with(|meter| meter.known.load(Ordering::Relaxed))
        .unwrap_or(false)
}

/// Takes the request that this task answers from what its address may do without a key, once.
///
/// # Errors
/// [`Code::RateLimited`](crate::error::Code::RateLimited), and when to come back.
pub async fn pay() -> Result<(), Problem> {
    let Ok(meter) = METER.try_with(Arc::clone) else {
        return Ok(());
    };
    if meter.paid.swap(true, Ordering::Relaxed) {
        return Ok(());
    }
    meter.limits.take_anonymous(meter.address).await
}

/// Where the request comes from that this task answers, if that is known.
#[must_use]
pub fn caller() -> Option<IpAddr> {
    METER.try_with(|meter| meter.address).ok().flatten()
}

/// What a question costs besides, that goes through so many rows.
#[must_use]
pub fn points_of_rows(rows: i64) -> u32 {
    let points = rows.max(0).saturating_add(ROWS_OF_A_POINT - 1) / ROWS_OF_A_POINT;
    u32::try_from(points).unwrap_or(u32::MAX)
}

/// Has who asked wait for the rows that their question was expected to go through.
pub fn owe(rows: i64) {
    let points = points_of_rows(rows);
    let _ = METER.try_with(|meter| {
        let told = meter.told.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = told
            .iter()
            .find(|(standing, _)| standing.kind == Kind::Points);
        if let Some((_, bucket)) = asked {
            bucket.owe(points);
        }
    });
}
