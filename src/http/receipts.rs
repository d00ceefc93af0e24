//! What senders are answered: counts, and a receipt for each event; at once, and later from
//! `GET /v1/receipts/{batchId}`.

use axum::Json;
use axum::extract::{Path, RawQuery, State as Extract};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::State;
use super::identity::Authenticated;
use crate::access::Scope;
use crate::error::{Code, Problem};
use crate::ingest::parse::Draft;
use crate::ingest::{Receipt, Receipts, Rejection, Status};

/// How the parameter is described that [`Detail`] reads.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it is described, not made")]
pub(super) struct ReceiptsParameters {
    /// `all`, or `summary`: those of events alone that were not stored or have a warning.
    #[param(inline)]
    receipts: Option<Detail>,
}

/// How much of the receipts a sender wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "lowercase")]
pub(super) enum Detail {
    /// One for each event.
    All,
    /// Those of events that were not stored, or with a warning.
    Summary,
}

impl Detail {
    /// Reads `receipts=all` or `receipts=summary`.
    pub(super) fn parse(query: Option<&str>) -> Result<Self, Problem> {
        match query.unwrap_or_default() {
            "" | "receipts=all" => Ok(Self::All),
            "receipts=summary" => Ok(Self::Summary),
            _ => {
                let detail = "The one parameter is `receipts`: `all` or `summary`.";
                Err(Problem::with(Code::InvalidParameter, detail))
            }
        }
    }
}

/// What became of a batch.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Receipts)]
pub(super) struct Answer {
    /// Names the batch.
    batch_id: Uuid,
    /// What the receipts are worth: `committed` (in the database), or of a stream `always` (on
    /// Redis' disk), `everysec` (on it within two seconds) or `none`.
    durability: &'static str,
    #[serde(flatten)]
    counts: Counts,
    /// One for each event, in order; those that `receipts` asked for.
    receipts: Vec<ReceiptAnswer>,
}

/// How many events became what.
#[derive(Clone, Copy, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ReceiptCounts)]
pub(super) struct Counts {
    /// How many events were stored.
    accepted: usize,
    /// How many were stored before.
    duplicates: usize,
    /// How many came with an id that another event has.
    conflicts: usize,
    /// How many break a rule and are kept aside.
    quarantined: usize,
    /// How many are not kept.
    rejected: usize,
    /// Of the accepted, those that happened before the idempotency window; if there are any.
    #[serde(skip_serializing_if = "is_zero")]
    outside_idempotency_window: usize,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl Counts {
    pub(super) fn of(receipts: &Receipts) -> Self {
        Self {
            accepted: receipts.count(Status::Accepted),
            duplicates: receipts.count(Status::Duplicate),
            conflicts: receipts.count(Status::Conflict),
            quarantined: receipts.count(Status::Quarantined),
            rejected: receipts.count(Status::Rejected),
            outside_idempotency_window: receipts.count_outside_window(),
        }
    }

    pub(super) fn add(&mut self, more: Self) {
        self.accepted += more.accepted;
        self.duplicates += more.duplicates;
        self.conflicts += more.conflicts;
        self.quarantined += more.quarantined;
        self.rejected += more.rejected;
        self.outside_idempotency_window += more.outside_idempotency_window;
    }
}

/// One event's receipt.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Receipt)]
pub(super) struct ReceiptAnswer {
    /// Where in the batch, from 0, if not all are listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<usize>,
    /// On which line of an upload.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    /// The sender's id, or the one made; null if a rejected event's id could not be read.
    event_id: Option<Uuid>,
    /// The sender's own id, if it is no UUID.
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<String>,
    /// What became of it: `accepted`, `duplicate`, `conflict`, `quarantined`, `rejected`; of batches
    /// asked for later also `pending`.
    status: &'static str,
    /// Why it was not accepted, from the table of codes.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    /// The same in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// The offending field, as in `lines[0].amount`.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    /// After how many seconds the same is worth sending again.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
    /// Whether it happened before the ids began that are still known; left out if not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    outside_idempotency_window: bool,
}

impl ReceiptAnswer {
    fn new(receipt: Receipt, message_id: Option<String>) -> Self {
        let wait = receipt.code.and_then(Code::retry_after);
        Self {
            position: None,
            line: None,
            event_id: receipt.event_id,
            message_id,
            status: receipt.status.name(),
            code: receipt.code.map(Code::name),
            message: receipt.message,
            path: receipt.path,
            retry_after: wait.map(|wait| wait.as_secs().max(1)),
            outside_idempotency_window: receipt.outside_window,
        }
    }
}

/// The receipts of a batch that was sent before.
///
/// Kept for as long as ids are remembered. Needs the scope `ingest` or `read`.
#[utoipa::path(
    get, path = "/v1/receipts/{batchId}", tag = "Events in",
    params(("batchId" = Uuid, Path, description = "Names the batch, as its first answer did.")),
    responses((status = 200, description = "What became of each event.", body = Answer))
)]
pub(super) async fn receipt(
    Extract(state): Extract<State>,
    Authenticated(identity): Authenticated,
    Path(batch_id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Answer>, Problem> {
    let detail = Detail::parse(query.as_deref())?;
    let may = identity.may(Scope::Ingest);
    may.or_else(|_| identity.may(Scope::Read))?;
    // What is no id names no batch.
    let batch_id = Uuid::parse_str(&batch_id).map_err(|_| Code::UnknownReceipt)?;
    let receipts = state
        .ingest
        .receipt(identity.whole_tenant()?, batch_id)
        .await?;
    let receipts = receipts.ok_or(Code::UnknownReceipt)?;
    // Senders' own names are not kept.
    let names = vec![None; receipts.receipts.len()];
    Ok(Json(Answer::new(receipts, names, detail)))
}

/// The senders' own ids of events, where they are no UUIDs.
pub(super) type Names = Vec<Option<String>>;

impl Answer {
    /// The names that the receipts will need.
    pub(super) fn names(drafts: &[Result<Draft<'_>, Rejection>]) -> Names {
        let name = |draft: &Result<Draft<'_>, Rejection>| match draft {
            Ok(draft) => draft.message_id().map(str::to_owned),
            Err(rejection) => rejection.message_id().map(str::to_owned),
        };
        drafts.iter().map(name).collect()
    }

    pub(super) fn new(receipts: Receipts, names: Names, detail: Detail) -> Self {
        let counts = Counts::of(&receipts);
        let batch_id = receipts.batch_id;
        let durability = receipts.durability.name();
        let receipts = match detail {
            Detail::All => {
                let all = receipts.receipts.into_iter().zip(names);
                all.map(|(receipt, name)| ReceiptAnswer::new(receipt, name))
                    .collect()
            }
            Detail::Summary => problems(receipts, names)
                .map(|(position, receipt)| ReceiptAnswer {
                    position: Some(position),
                    ..receipt
                })
                .collect(),
        };
        Self {
            batch_id,
            durability,
            counts,
            receipts,
        }
    }
}

/// The receipts of events that were not stored, or with a warning, and their places.
pub(super) fn problems(
    receipts: Receipts,
    names: Names,
) -> impl Iterator<Item = (usize, ReceiptAnswer)> {
    let all = receipts.receipts.into_iter().zip(names).enumerate();
    let is_good = |receipt: &Receipt| {
        receipt.code.is_none() && matches!(receipt.status, Status::Accepted | Status::Duplicate)
    };
    all.filter(move |(_, (receipt, _))| !is_good(receipt))
        .map(|(position, (receipt, name))| (position, ReceiptAnswer::new(receipt, name)))
}

/// What became of a block of an upload's lines.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = BlockReceipts)]
pub(super) struct BlockAnswer {
    /// Names the block.
    pub(super) batch_id: Uuid,
    /// The first line of it, from 1.
    pub(super) first_line: u64,
    /// The last line of it.
    pub(super) last_line: u64,
    #[serde(flatten)]
    pub(super) counts: Counts,
    /// The receipts of events that were not stored, or with a warning.
    pub(super) problems: Vec<ReceiptAnswer>,
}

impl BlockAnswer {
    /// The answer for events that stand on these lines.
    pub(super) fn new(receipts: Receipts, names: Names, lines: &[u64]) -> Self {
        let counts = Counts::of(&receipts);
        Self {
            batch_id: receipts.batch_id,
            first_line: lines.first().copied().unwrap_or_default(),
            last_line: lines.last().copied().unwrap_or_default(),
            counts,
            problems: problems(receipts, names)
                .map(|(n, receipt)| ReceiptAnswer {
                    line: lines.get(n).copied(),
                    ..receipt
                })
                .collect(),
        }
    }
}
