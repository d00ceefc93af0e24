//! `POST /v1/batch`: events in, receipts out.

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::State as Extract;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use bytes::Bytes;
use serde::Serialize;
use uuid::Uuid;

use super::State;
use super::identity::Authenticated;
use crate::access::Scope;
use crate::error::{Code, Problem};
use crate::ingest::parse::parse_batch;
use crate::ingest::{MAX_BYTES, Receipt, Receipts, Status};

/// Takes a batch; answers 200 with a receipt for each event, also where all were rejected.
pub(super) async fn take(
    Extract(state): Extract<State>,
    Authenticated(identity): Authenticated,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Answer>, Problem> {
    identity.may(Scope::Ingest)?;
    let body = read(&headers, body).await?;
    let drafts = parse_batch(&body)?;
    let receipts = state.ingest.take(identity.tenant, drafts).await?;
    Ok(Json(receipts.into()))
}

/// A JSON body, unpacked, up to [`MAX_BYTES`].
pub(super) async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    let value = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let kind = value(CONTENT_TYPE).unwrap_or("application/json");
    let kind = kind.split(';').next().unwrap_or_default().trim();
    // gzip is undone, and its header removed, before we see the request.
    let packed = value(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity");
    if !kind.eq_ignore_ascii_case("application/json") || packed {
        return Err(Code::UnsupportedMediaType.into());
    }
    to_bytes(body, MAX_BYTES).await.map_err(|error| {
        let too_large = std::error::Error::source(&error)
            .is_some_and(|source| source.to_string().contains("length limit exceeded"));
        if too_large {
            let detail = format!("The body has more than {MAX_BYTES} bytes, unpacked. Split it.");
            Problem::with(Code::BodyTooLarge, detail)
        } else {
            Problem::with(Code::MalformedJson, "The body cannot be read to its end.")
        }
    })
}

/// The answer's JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer {
    batch_id: Uuid,
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
