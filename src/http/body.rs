//! Bodies: JSON, unpacked, bounded in size and in what all of them take.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Code, Problem};
use crate::ingest::MAX_BYTES;

/// What all bodies that are being read may take, in kibibytes.
const ROOM_KIB: u32 = 256 * 1024;
/// How many uploads without an end are taken at a time.
const STREAMS: usize = 32;
/// How long a request waits until it may send its body.
const PATIENCE: Duration = Duration::from_millis(40);
/// How long a body may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(15);

/// Reads bodies, a bounded number of bytes at a time.
#[derive(Clone, Debug)]
pub struct Bodies {
    room: Arc<Semaphore>,
    streams: Arc<Semaphore>,
}

impl Default for Bodies {
    fn default() -> Self {
        Self {
            room: Arc::new(Semaphore::new(ROOM_KIB as usize)),
            streams: Arc::new(Semaphore::new(STREAMS)),
        }
    }
}

impl Bodies {
    /// A JSON body, unpacked, up to [`MAX_BYTES`].
    pub(super) async fn read(&self, headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
        require_kind(headers, &["application/json"])?;
        self.read_up_to(MAX_BYTES, headers, body).await
    }

    /// A JSON body of events, whatever its sender calls it: pages of other sites say text, which
    /// needs no permission of the browser, and RudderStack's Node SDK says form.
    pub(super) async fn read_events(
        &self,
        max: usize,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Bytes, Problem> {
        require_kind(
            headers,
            &[
                "application/json",
                "text/plain",
                "application/x-www-form-urlencoded",
            ],
        )?;
        self.read_up_to(max, headers, body).await
    }

    /// A turn for an upload without an end, until it is dropped.
    pub(super) fn stream(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let turn = Arc::clone(&self.streams).try_acquire_owned();
        turn.map_err(|_| Code::Overloaded.into())
    }

    async fn read_up_to(
        &self,
        max: usize,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Bytes, Problem> {
        // Unknown of bodies that were packed or come in chunks.
        let size = value(headers, CONTENT_LENGTH).and_then(|text| text.parse::<usize>().ok());
        let weight = u32::try_from(size.unwrap_or(max).min(max) / 1024 + 1).unwrap_or(ROOM_KIB);
        let room = self.room.acquire_many(weight.min(ROOM_KIB));
        let Ok(Ok(_room)) = tokio::time::timeout(PATIENCE, room).await else {
            return Err(Code::Overloaded.into());
        };
        let arrival = tokio::time::timeout(ARRIVAL, to_bytes(body, max)).await;
        let arrived = arrival.map_err(|_| Problem::new(Code::RequestTimeout))?;
        arrived.map_err(|error| {
            if causes(&error).any(|cause| cause.to_string().contains("length limit exceeded")) {
                let detail = format!("The body has more than {max} bytes, unpacked. Split it.");
                return Problem::with(Code::BodyTooLarge, detail);
            }
            unreadable(&error)
        })
    }
}

/// Why a body cannot be read to its end.
pub(super) fn unreadable(error: &axum::Error) -> Problem {
    // What unpacks fails with an error of input; a connection that is lost is hyper's.
    let packed = causes(error).any(<dyn std::error::Error>::is::<std::io::Error>);
    let detail = if packed {
        "The gzip of the body is damaged or breaks off before its end."
    } else {
        "The body cannot be read to its end."
    };
    Problem::with(Code::MalformedJson, detail)
}

fn causes(error: &axum::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    let first: Option<&(dyn Error + 'static)> = error.source();
    std::iter::successors(first, |cause: &&(dyn Error + 'static)| (*cause).source())
}

/// Lets those media types pass, and those who name none. gzip is undone, and its header removed,
/// before we see the request.
pub(super) fn require_kind(headers: &HeaderMap, kinds: &[&str]) -> Result<(), Problem> {
    let kind = value(headers, CONTENT_TYPE).unwrap_or(kinds[0]);
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let packed = value(headers, CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity");
    let known = kinds.iter().any(|known| kind.eq_ignore_ascii_case(known));
    if packed || !known {
        let kind = kinds[0];
        let detail = format!("Send the body as {kind}, plain or gzip-encoded.");
        return Err(Problem::with(Code::UnsupportedMediaType, detail));
    }
    Ok(())
}

fn value(headers: &HeaderMap, name: axum::http::HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
