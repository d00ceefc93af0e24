//! Appends what waits for a partition: all that has come while one packet was on its way makes the
//! next one, so a sync of Redis' disk serves many requests however slow it is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::RedisError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::keys::Keys;
use super::line::Line;
use super::observer::State;
use super::packet::Packet;
use super::{Place, REDIS_PATIENCE, Settings};
use crate::error::{Code, Problem};
use crate::telemetry::metrics::Metrics;

/// How much is packed together; the last batch may go over.
const PACKET_BYTES: usize = 512 * 1024;
/// A stream that was full is not asked again for so long.
const FULL: Duration = Duration::from_millis(50);

/// A part of a batch on its way to its stream.
pub(super) struct Waiting {
    pub(super) bytes: Vec<u8>,
    pub(super) events: usize,
    pub(super) answer: oneshot::Sender<Result<(), Problem>>,
    /// Given back when all parts of the batch are appended.
    pub(super) _place: Arc<Place>,
}

/// Appends to one partition.
pub(super) struct Flusher {
    partition: u16,
    settings: Arc<Settings>,
    metrics: Metrics,
    line: Line,
    full_since: Option<Instant>,
}

impl Flusher {
    pub(super) fn new(partition: u16, settings: Arc<Settings>, metrics: Metrics) -> Self {
        let line = Line::new(settings.server.clone(), REDIS_PATIENCE);
        Self {
            partition,
            settings,
            metrics,
            line,
            full_since: None,
        }
    }

    /// Appends until it is told to drain and nothing is left.
    pub(super) async fn run(
        mut self,
        mut waiting: mpsc::UnboundedReceiver<Waiting>,
        mut state: watch::Receiver<State>,
        drain: CancellationToken,
    ) {
        let mut keys = None;
        loop {
            let first = match drain.run_until_cancelled(waiting.recv()).await {
                Some(first) => first,
                None => {
                    waiting.close();
                    waiting.try_recv().ok()
                }
            };
            let Some(first) = first else { return };
            if keys.is_none() {
                // Nothing is sent here before it is known.
                let known = state.wait_for(|state| state.installation.is_some()).await;
                let name = known.ok().and_then(|state| state.installation.clone());
                keys = name.map(|name| Keys::new(&name, self.partition));
            }
            let Some(keys) = &keys else { return };
            let packed = pack(first, &mut waiting);
            let result = self.append(keys, &packed).await;
            let is_away = matches!(&result, Err(problem) if problem.code == Code::LogUnavailable);
            for one in packed {
                let _ = one.answer.send(result.clone());
            }
            // Who came meanwhile would wait as long for the same answer.
            while is_away && let Ok(one) = waiting.try_recv() {
                let _ = one.answer.send(result.clone());
            }
        }
    }

    async fn append(&mut self, keys: &Keys, parts: &[Waiting]) -> Result<(), Problem> {
        if self.full_since.is_some_and(|since| since.elapsed() < FULL) {
            return Err(Code::Overloaded.into());
        }
        let mut packet = Packet::new(Uuid::new_v4());
        for part in parts {
            packet.push(&part.bytes, part.events);
        }
        let events = packet.events();
        let command = keys.append(&packet.seal(), events, self.settings.max_bytes);
        let begun = Instant::now();
        let mut result: Result<Option<String>, RedisError> = self.line.ask(&command).await;
        // The connection may have been closed while nobody used it. It may have been appended all
        // the same: it is the same packet, and stored once.
        if result
            .as_ref()
            .is_err_and(RedisError::is_connection_dropped)
        {
            result = self.line.ask(&command).await;
        }
        self.metrics.stream_append_seconds.record(begun.elapsed());
        self.full_since = None;
        match result {
            Ok(Some(_)) => Ok(()),
            Ok(None) => {
                self.full_since = Some(Instant::now());
                Err(Code::Overloaded.into())
            }
            Err(error) => {
                tracing::warn!(%error, partition = self.partition, "Redis did not take events");
                let is_full = error.code() == Some("OOM");
                let code = if is_full {
                    Code::Overloaded
                } else {
                    Code::LogUnavailable
                };
                Err(code.into())
            }
        }
    }
}

/// Takes what waits behind the first too.
fn pack(first: Waiting, waiting: &mut mpsc::UnboundedReceiver<Waiting>) -> Vec<Waiting> {
    let mut bytes = first.bytes.len();
    let mut packed = vec![first];
    while bytes < PACKET_BYTES
        && let Ok(next) = waiting.try_recv()
    {
        bytes += next.bytes.len();
        packed.push(next);
    }
    packed
}
