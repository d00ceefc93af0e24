//! `POST /v1/batch`: events in, receipts out.

use axum::Json;
use axum::body::Body;
use axum::extract::State as Extract;
use axum::http::HeaderMap;
use serde::Serialize;
use uuid::Uuid;

use super::State;
use super::identity::Authenticated;
use crate::access::Scope;
use crate::error::{Code, Problem};
use crate::ingest::parse::parse_batch;
use crate::ingest::{Receipt, Receipts, Status};

/// Takes a batch; answers 200 with a receipt for each event, also where all were rejected.
pub(super) async fn take(
    Extract(state): Extract<State>,
    Authenticated(identity): Authenticated,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Answer>, Problem> {
    identity.may(Scope::Ingest)?;
    let body = state.bodies.read(&headers, body).await?;
    let drafts = parse_batch(&body)?;
    let receipts = state.ingest.take(&identity.sender(), drafts).await?;
    Ok(Json(receipts.into()))
}

/// The answer's JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer {
    batch_id: Uuid,
    durability: &'static str,
    accepted: usize,
    duplicates: usize,
    conflicts: usize,
    rejected: usize,
    receipts: Vec<ReceiptAnswer>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReceiptAnswer {
    event_id: Option<Uuid>,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
}

impl From<Receipts> for Answer {
    fn from(receipts: Receipts) -> Self {
        Self {
            batch_id: receipts.batch_id,
            durability: receipts.durability.name(),
            accepted: receipts.count(Status::Accepted),
            duplicates: receipts.count(Status::Duplicate),
            conflicts: receipts.count(Status::Conflict),
            rejected: receipts.count(Status::Rejected),
            receipts: receipts.receipts.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<Receipt> for ReceiptAnswer {
    fn from(receipt: Receipt) -> Self {
        Self {
            event_id: receipt.event_id,
            status: receipt.status.name(),
            code: receipt.code.map(Code::name),
            message: receipt.message,
            path: receipt.path,
        }
    }
}
