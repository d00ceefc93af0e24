//! Bodies: JSON, unpacked, bounded in size and in what all of them take.

use std::error::Error;
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use bytes::BytesMut;
use futures_util::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::identity::Caller;
use super::turns::{Turn, Turns};
use crate::domain::tenant::TenantId;
use crate::error::{Code, Problem};
use crate::ingest::MAX_BYTES;

/// What all bodies together may take from their first byte until their request is answered, in
/// kibibytes: of those who have shown a key, and of the others.
const ROOM_KIB: usize = 128 * 1024;
const STRANGERS_ROOM_KIB: usize = 32 * 1024;
/// How many bodies are read at a time of those who have shown none, and of one address.
const STRANGERS: usize = 1_024;
const STRANGERS_AT_ONE: usize = 16;
/// How many uploads without an end are taken at a time, of all and of one tenant.
const STREAMS: usize = 32;
const STREAMS_OF_TENANT: usize = 8;
/// How long a body waits for room.
const PATIENCE: Duration = Duration::from_millis(20);
/// How long a body may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(15);

/// Reads bodies, a bounded number of bytes at a time.
#[derive(Clone, Debug)]
pub struct Bodies {
    room: Arc<Semaphore>,
    strangers_room: Arc<Semaphore>,
    streams: Turns<TenantId>,
    strangers: Turns<Option<IpAddr>>,
}

impl Default for Bodies {
    fn default() -> Self {
        Self {
            room: Arc::new(Semaphore::new(ROOM_KIB)),
            strangers_room: Arc::new(Semaphore::new(STRANGERS_ROOM_KIB)),
            streams: Turns::new(STREAMS, STREAMS_OF_TENANT),
            strangers: Turns::new(STRANGERS, STRANGERS_AT_ONE),
        }
    }
}

/// A body that has arrived; it takes its room until it is dropped.
#[derive(Debug)]
pub(super) struct Arrived {
    bytes: BytesMut,
    room: Option<OwnedSemaphorePermit>,
}

impl Deref for Arrived {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Arrived {
    /// Gives up the bytes, but not their room: what was made of them takes it.
    pub(super) fn into_room(self) -> Option<OwnedSemaphorePermit> {
        self.room
    }
}

impl Bodies {
    /// A JSON body, unpacked, up to [`MAX_BYTES`].
    pub(super) async fn read(&self, headers: &HeaderMap, body: Body) -> Result<Arrived, Problem> {
        require_kind(headers, &["application/json"])?;
        arrive(MAX_BYTES, &self.room, headers, body).await
    }

    /// A JSON body of events, whatever its sender calls it: pages of other sites say text, which
    /// needs no permission of the browser, and RudderStack's Node SDK says form.
    pub(super) async fn read_events(
        &self,
        caller: &Caller,
        max: usize,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Arrived, Problem> {
        require_kind(
            headers,
            &[
                "application/json",
                "text/plain",
                "application/x-www-form-urlencoded",
            ],
        )?;
        if caller.is_known() {
            return arrive(max, &self.room, headers, body).await;
        }
        // One who is slow takes nobody else's room.
        let _turn = self.strangers.take(caller.site())?;
        arrive(max, &self.strangers_room, headers, body).await
    }

    /// A turn for an upload without an end.
    pub(super) fn stream(&self, tenant: TenantId) -> Result<Turn<TenantId>, Problem> {
        self.streams.take(tenant)
    }
}

/// Reads a body of up to `max` bytes into this room.
async fn arrive(
    max: usize,
    room: &Arc<Semaphore>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Arrived, Problem> {
    // Unknown of bodies that were packed or come in chunks.
    let told = value(headers, CONTENT_LENGTH).and_then(|text| text.parse::<usize>().ok());
    let mut arrived = Arrived {
        bytes: BytesMut::with_capacity(told.unwrap_or_default().min(max)),
        room: None,
    };
    let mut body = body.into_data_stream();
    let arriving = async {
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|error| unreadable(&error))?;
            if chunk.len() > max - arrived.bytes.len() {
                let detail = format!("The body has more than {max} bytes, unpacked. Split it.");
                return Err(Problem::with(Code::BodyTooLarge, detail));
            }
            arrived.take_room(room, chunk.len()).await?;
            arrived.bytes.extend_from_slice(&chunk);
        }
        Ok(())
    };
    let arriving = tokio::time::timeout(ARRIVAL, arriving).await;
    arriving.map_err(|_| Problem::new(Code::RequestTimeout))??;
    Ok(arrived)
}

impl Arrived {
    /// Takes room for so many bytes more.
    async fn take_room(&mut self, room: &Arc<Semaphore>, more: usize) -> Result<(), Problem> {
        let taken = self
            .room
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits);
        let needed = (self.bytes.len() + more).div_ceil(1024);
        let missing = u32::try_from(needed.saturating_sub(taken)).unwrap_or(u32::MAX);
        if missing == 0 {
            return Ok(());
        }
        let acquiring = Arc::clone(room).acquire_many_owned(missing);
        let Ok(Ok(permit)) = tokio::time::timeout(PATIENCE, acquiring).await else {
            return Err(Code::Overloaded.into());
        };
        match &mut self.room {
            Some(room) => room.merge(permit),
            None => self.room = Some(permit),
        }
        Ok(())
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
