//! Bodies: JSON, unpacked, bounded in size and in number.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::error::{Code, Problem};
use crate::ingest::MAX_BYTES;

/// How many bodies are read at a time: with their size, the bound on what they take.
const AT_A_TIME: usize = 64;
/// How long a request waits until it may send its body.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a body may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(15);

/// Reads bodies, a bounded number at a time.
#[derive(Clone, Debug)]
pub struct Bodies(Arc<Semaphore>);

impl Default for Bodies {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_A_TIME)))
    }
}

impl Bodies {
    /// A JSON body, unpacked, up to [`MAX_BYTES`].
    pub(super) async fn read(&self, headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
        let value = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let kind = value(CONTENT_TYPE).unwrap_or("application/json");
        let kind = kind.split(';').next().unwrap_or_default().trim();
        // gzip is undone, and its header removed, before we see the request.
        let packed = value(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity");
        if !kind.eq_ignore_ascii_case("application/json") || packed {
            return Err(Code::UnsupportedMediaType.into());
        }
        let Ok(Ok(_turn)) = tokio::time::timeout(PATIENCE, self.0.acquire()).await else {
            return Err(Code::Overloaded.into());
        };
        let arrival = tokio::time::timeout(ARRIVAL, to_bytes(body, MAX_BYTES)).await;
        let arrived = arrival.map_err(|_| Problem::new(Code::RequestTimeout))?;
        arrived.map_err(|error| {
            let too_large = std::error::Error::source(&error)
                .is_some_and(|source| source.to_string().contains("length limit exceeded"));
            if too_large {
                let detail =
                    format!("The body has more than {MAX_BYTES} bytes, unpacked. Split it.");
                Problem::with(Code::BodyTooLarge, detail)
            } else {
                Problem::with(Code::MalformedJson, "The body cannot be read to its end.")
            }
        })
    }
}
