//! `POST /v1/events`: events as lines of JSON, without an end. Each block of lines is stored and
//! answered with a line while the upload goes on; what is held is one block.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::{RawQuery, State as Extract};
use axum::http::header::{CONTENT_TYPE, HeaderMap};
use axum::response::{IntoResponse, Response};
use bytes::Buf;
use futures_util::StreamExt;
use futures_util::stream::unfold;
use serde::Serialize;
use serde_json::json;
use tokio::time::{Instant, timeout, timeout_at};

use super::State;
use super::body::{require_kind, unreadable};
use super::identity::{self, Whence};
use super::openapi::bodies::EventBody;
use super::receipts::{Answer, BlockAnswer, Counts};
use super::turns::Turn;
use crate::access::limits::Kind;
use crate::access::{self, Credentials, Identity, Scope};
use crate::domain::tenant::TenantId;
use crate::error::{Code, Problem};
use crate::ingest::parse::{Lines, parse_line};

/// The media type of lines of JSON.
pub(super) const NDJSON: &str = "application/x-ndjson";
/// Marks an answer that is to go out as it is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unpacked;

/// How long an upload may take for a line.
const IDLE: Duration = Duration::from_secs(15);
/// After how short a pause what has come is stored.
const PAUSE: Duration = Duration::from_millis(200);

/// Any number of events, a JSON object a line.
///
/// Events of our own or Segment's messages, plain or gzip-encoded. The answer has a line for each
/// block of up to 2,500 events while the upload goes on; only the line with `done` says that all
/// was taken. Needs the scope `ingest`.
#[utoipa::path(
    post, path = "/v1/events", tag = "Events in", operation_id = "upload",
    request_body(content = EventBody, content_type = "application/x-ndjson"),
    responses((
        status = 200, description = "What became of each block of lines.",
        body = BlockAnswer, content_type = "application/x-ndjson"
    ))
)]
pub(super) async fn take(
    Extract(state): Extract<State>,
    RawQuery(query): RawQuery,
    whence: Whence,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let key = whence.with(identity::key(&headers)?);
    let identity = state.access.identify(&key).await?;
    identity.may(Scope::Ingest)?;
    if identity.kind() == access::Kind::Publishable {
        let detail = "Uploads are for servers. Send batches to /v1/batch with a key of a page.";
        return Err(Problem::with(Code::Forbidden, detail));
    }
    if query.is_some_and(|query| !query.is_empty()) {
        return Err(Code::InvalidParameter.into());
    }
    require_kind(
        &headers,
        &[NDJSON, "application/ndjson", "application/jsonl"],
    )?;
    let upload = Upload {
        turn: state.bodies.stream(identity.tenant())?,
        state,
        key,
        body: body.into_data_stream(),
        chunk: Bytes::new(),
        lines: Lines::default(),
        totals: Counts::default(),
        stage: Stage::Arriving,
        line_began: Instant::now(),
    };
    let answers = unfold(upload, |mut upload| async move {
        let answer = upload.next_answer().await?;
        Some((Ok::<_, Infallible>(answer), upload))
    });
    let headers = [(CONTENT_TYPE, NDJSON)];
    Ok((headers, Extension(Unpacked), Body::from_stream(answers)).into_response())
}

/// An upload that is under way.
struct Upload {
    state: State,
    key: Credentials,
    body: BodyDataStream,
    /// What has come and is not told apart.
    chunk: Bytes,
    lines: Lines,
    totals: Counts,
    stage: Stage,
    #[expect(dead_code, reason = "given back when the upload ends")]
    turn: Turn<TenantId>,
    /// Since when no line has become complete.
    line_began: Instant,
}

enum Stage {
    /// More may come.
    Arriving,
    /// All has come.
    Ended,
    /// No more can come.
    Broken(Problem),
    /// The last answer was given.
    Answered,
}

impl Upload {
    /// The next line of the answer; none after the last.
    async fn next_answer(&mut self) -> Option<Bytes> {
        self.line_began = Instant::now();
        loop {
            let taken = self.lines.push(&self.chunk);
            self.chunk.advance(taken);
            if self.lines.is_full() {
                return Some(self.store().await);
            }
            match &self.stage {
                Stage::Arriving => {
                    if self.receive().await {
                        return Some(self.store().await);
                    }
                }
                Stage::Ended | Stage::Broken(_) if !self.lines.is_empty() => {
                    return Some(self.store().await);
                }
                Stage::Ended => {
                    self.stage = Stage::Answered;
                    return Some(line(&End {
                        done: true,
                        lines: self.lines.next_line() - 1,
                        totals: self.totals,
                    }));
                }
                Stage::Broken(problem) => {
                    let answer = failed(problem, self.lines.next_line());
                    self.stage = Stage::Answered;
                    return Some(answer);
                }
                Stage::Answered => return None,
            }
        }
    }

    /// Waits for more; true if nothing came for a while and there are lines to store.
    async fn receive(&mut self) -> bool {
        let arriving = self.body.next();
        let arrived = if self.lines.is_empty() {
            timeout_at(self.line_began + IDLE, arriving).await
        } else {
            timeout(PAUSE, arriving).await
        };
        match arrived {
            Ok(Some(Ok(chunk))) => self.chunk = chunk,
            Ok(Some(Err(error))) => self.stage = Stage::Broken(unreadable(&error)),
            Ok(None) => {
                self.lines.finish();
                self.stage = Stage::Ended;
            }
            Err(_) if !self.lines.is_empty() => return true,
            Err(_) => {
                let detail = format!("No line came for {} seconds.", IDLE.as_secs());
                self.stage = Stage::Broken(Problem::with(Code::RequestTimeout, detail));
            }
        }
        false
    }

    /// Stores the lines that are complete and answers for them.
    async fn store(&mut self) -> Bytes {
        let (lines, bytes) = self.lines.take();
        let numbers: Vec<u64> = lines.iter().map(|(number, _)| *number).collect();
        let drafts = lines.iter().map(|(_, line)| parse_line(line, &bytes));
        let drafts: Vec<_> = drafts.collect();
        let names = Answer::names(&drafts);
        // The key may have been revoked since the upload began.
        let stored = match may_store(&self.state, &self.key, drafts.len()).await {
            Ok(identity) => self.state.ingest.take(&identity.sender(), drafts).await,
            Err(problem) => Err(problem),
        };
        match stored {
            Ok(receipts) => {
                let answer = BlockAnswer::new(receipts, names, &numbers);
                self.totals.add(answer.counts);
                line(&answer)
            }
            Err(problem) => {
                self.stage = Stage::Answered;
                self.chunk = Bytes::new();
                failed(&problem, numbers.first().copied().unwrap_or_default())
            }
        }
    }
}

/// Who sends, if they still may, and so many.
async fn may_store(
    state: &State,
    key: &Credentials,
    events: usize,
) -> Result<Arc<Identity>, Problem> {
    let identity = state.access.identify(key).await?;
    identity.may(Scope::Ingest)?;
    let events = u32::try_from(events).unwrap_or(u32::MAX);
    state.limits.take(&identity, Kind::Events, events).await?;
    Ok(identity)
}

#[derive(Serialize)]
struct End {
    done: bool,
    lines: u64,
    #[serde(flatten)]
    totals: Counts,
}

/// The last line of an upload that failed: what it has answered for is stored, the rest is not.
fn failed(problem: &Problem, resume_at: u64) -> Bytes {
    let wait = problem.retry_after();
    line(&json!({
        "error": {
            "code": problem.code.name(),
            "message": problem.message(),
            "retryAfter": wait.map(|wait| wait.as_secs().max(1)),
        },
        "resumeAtLine": resume_at,
    }))
}

fn line(answer: &impl Serialize) -> Bytes {
    let mut text = serde_json::to_vec(answer).expect("answers are plain JSON");
    text.push(b'\n');
    text.into()
}
