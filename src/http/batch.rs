//! Events in, receipts out: `POST /v1/batch`, the addresses of the Segment API and `PostHog`'s.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{RawQuery, State as Extract};
use axum::http::HeaderMap;

use super::State;
use super::identity::Caller;
use super::openapi::bodies::{Batch, SegmentMessage};
use super::receipts::{Answer, Detail, ReceiptsParameters};
use crate::access::limits::Kind;
use crate::access::{Identity, Scope};
use crate::error::{Code, Problem};
use crate::ingest::MAX_FOREIGN_BYTES;
use crate::ingest::parse::{Parsed, parse_batch, parse_message, parse_posthog};

/// A batch of events.
///
/// Answered with 200 and a receipt for each event, also where all were rejected. An array of events
/// is a batch, too. Needs the scope `ingest`.
#[utoipa::path(
    post, path = "/v1/batch", tag = "Events in", params(ReceiptsParameters),
    request_body(content = Batch, content_type = "application/json"),
    responses((status = 200, description = "What became of each event.", body = Answer))
)]
pub(super) async fn batch(
    Extract(state): Extract<State>,
    caller: Caller,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Answer>, Problem> {
    let detail = Detail::parse(query.as_deref())?;
    let max = caller.may_send();
    let body = state
        .bodies
        .read_events(&caller, max, &headers, body)
        .await?;
    take(&state, caller, parse_batch(&body), detail).await
}

/// A message of the Segment API.
///
/// The address is its type. Needs the scope `ingest`; the key may be its `writeKey`.
#[utoipa::path(
    post, path = "/v1/track", tag = "Events in", params(ReceiptsParameters),
    request_body(content = SegmentMessage, content_type = "application/json"),
    responses((status = 200, description = "What became of it.", body = Answer))
)]
pub(super) async fn message(
    kind: &'static str,
    Extract(state): Extract<State>,
    caller: Caller,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Answer>, Problem> {
    let detail = Detail::parse(query.as_deref())?;
    let max = MAX_FOREIGN_BYTES;
    let body = state
        .bodies
        .read_events(&caller, max, &headers, body)
        .await?;
    take(&state, caller, parse_message(&body, kind), detail).await
}

/// Takes a batch of `PostHog`'s; its senders add parameters of their own.
pub(super) async fn posthog(
    Extract(state): Extract<State>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Answer>, Problem> {
    let max = caller.may_send();
    let body = state
        .bodies
        .read_events(&caller, max, &headers, body)
        .await?;
    take(&state, caller, parse_posthog(&body), Detail::All).await
}

async fn take(
    state: &State,
    caller: Caller,
    parsed: Result<Parsed<'_>, Problem>,
    detail: Detail,
) -> Result<Json<Answer>, Problem> {
    let (identity, parsed) = authorise(state, caller, parsed).await?;
    let names = Answer::names(&parsed.drafts);
    let events = u32::try_from(parsed.drafts.len()).unwrap_or(u32::MAX);
    state.limits.take(&identity, Kind::Events, events).await?;
    let receipts = state.ingest.take(&identity.sender(), parsed.drafts).await?;
    Ok(Json(Answer::new(receipts, names, detail)))
}

/// Who sends: the key of the header, or else that of the body.
async fn authorise<'a>(
    state: &State,
    caller: Caller,
    parsed: Result<Parsed<'a>, Problem>,
) -> Result<(Arc<Identity>, Parsed<'a>), Problem> {
    let (identity, parsed) = match (caller.known.clone(), parsed) {
        (Some(identity), parsed) => {
            identity.may(Scope::Ingest)?;
            (identity, parsed?)
        }
        (None, Ok(parsed)) => {
            let key = parsed.key.as_deref().ok_or(Code::MissingKey)?;
            let identity = state.access.identify(&caller.with(key)).await?;
            identity.may(Scope::Ingest)?;
            (identity, parsed)
        }
        // Who may not send learns nothing of what was wrong with it.
        (None, Err(_)) => return Err(Code::MissingKey.into()),
    };
    Ok((identity, parsed))
}
