//! Is it alive, can it work, and how does it do?

use std::time::Duration;

use axum::Json;
use axum::extract::State as Extract;
use axum::http::header;
use axum::response::IntoResponse;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::State;
use crate::error::{Code, Problem};
use crate::reports::Reports;

/// How long the database has to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Tells whether the server can work: the schema is in place and the database answers.
#[derive(Clone, Debug)]
pub struct Readiness {
    reports: Reports,
    /// Cancelled once the schema is in place.
    prepared: CancellationToken,
}

impl Readiness {
    /// Not ready until [`Readiness::set_prepared`].
    #[must_use]
    pub fn new(reports: Reports) -> Self {
        Self {
            reports,
            prepared: CancellationToken::new(),
        }
    }

    /// The schema is in place.
    pub fn set_prepared(&self) {
        self.prepared.cancel();
    }

    /// Whether the schema is in place.
    #[must_use]
    pub fn is_prepared(&self) -> bool {
        self.prepared.is_cancelled()
    }

    /// Cancelled once the schema is in place: for those who wait for it.
    #[must_use]
    pub fn prepared(&self) -> CancellationToken {
        self.prepared.clone()
    }

    async fn check(&self) -> Result<(), Problem> {
        let answer = tokio::time::timeout(PATIENCE, self.reports.ping()).await;
        let unready = |detail: &str| Problem::with(Code::Unavailable, detail);
        match answer {
            Ok(Ok(())) if self.is_prepared() => Ok(()),
            Ok(Ok(())) => Err(unready(
                "The database answers, but its schema is not in place yet.",
            )),
            Ok(Err(_)) => Err(unready("The database cannot be reached.")),
            Err(_) => Err(unready("The database does not answer.")),
        }
    }
}

/// The process answers.
pub(super) async fn alive() -> Json<Value> {
    Json(json!({"status": "alive"}))
}

/// The server can work, or why it cannot.
pub(super) async fn ready(Extract(state): Extract<State>) -> Result<Json<Value>, Problem> {
    state.readiness.check().await?;
    Ok(Json(json!({"status": "ready"})))
}

/// The metrics in Prometheus' text format.
pub(super) async fn metrics(Extract(state): Extract<State>) -> impl IntoResponse {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    (kind, state.metrics.render())
}
