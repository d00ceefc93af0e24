//! Bodies are written ahead of time by threads of their own into a short queue: memory is bounded,
//! and a connection that is free never waits for its body.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use flate2::Compression;
use flate2::write::GzEncoder;
use nix::time::{ClockId, clock_gettime};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::dice::Dice;
use super::event::{Content, Format, Origin, Sums, Writer};
use super::schedule::Schedule;
use crate::clock::Clock;

/// How many acknowledged requests are remembered, to send events of theirs again.
const REMEMBERED: usize = 10_000;
/// How long before it is due a body is written.
const LEAD: Duration = Duration::from_millis(250);

/// A request that can be sent.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// Where its new events come from.
    pub origin: Origin,
    /// When it is due, from the beginning; in a closed loop when somebody is free.
    pub due: Option<Duration>,
    /// What is sent.
    pub body: Bytes,
    /// How many events are in it.
    pub events: u32,
    /// How many of them were sent before.
    pub resent: u32,
    /// What the others add.
    pub sums: Sums,
}

/// A request that was acknowledged: its new events can be written again.
#[derive(Clone, Copy, Debug)]
struct Known {
    origin: Origin,
    fresh: u32,
}

/// A fair sample of the acknowledged requests, of bounded size (Vitter's algorithm R).
#[derive(Debug, Default)]
pub struct Memory {
    kept: Vec<Known>,
    seen: u64,
}

impl Memory {
    /// Remembers a request, perhaps in place of another.
    pub fn acknowledged(&mut self, prepared: &Prepared) {
        let known = Known {
            origin: prepared.origin,
            fresh: prepared.events - prepared.resent,
        };
        if known.fresh == 0 {
            return;
        }
        self.seen += 1;
        if self.kept.len() < REMEMBERED {
            self.kept.push(known);
            return;
        }
        let place = Dice::new(0, self.seen).below(self.seen);
        if let Ok(place) = usize::try_from(place)
            && place < REMEMBERED
        {
            self.kept[place] = known;
        }
    }

    /// Any event of any of them: its origin and its place there.
    pub(super) fn any(&self, dice: &mut Dice) -> Option<(Origin, u32)> {
        let which = usize::try_from(dice.below(self.kept.len() as u64)).ok()?;
        let known = self.kept.get(which)?;
        let place = u32::try_from(dice.below(known.fresh.into())).ok()?;
        Some((known.origin, place))
    }
}

/// What a run sends.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// What the events are.
    pub content: Content,
    /// When they are due.
    pub schedule: Schedule,
    /// Which share of them was sent before.
    pub duplicates: f64,
    /// Whether bodies are packed.
    pub gzip: bool,
    /// Decides everything that is random.
    pub seed: u64,
    /// When the run begins.
    pub started_at: DateTime<Utc>,
}

/// Where the requests of a run come from.
#[derive(Debug)]
pub struct Feed {
    /// What they are.
    pub plan: Plan,
    /// What was acknowledged.
    pub memory: Mutex<Memory>,
    /// Bodies that were sent, for their room.
    spare: Mutex<Vec<Vec<u8>>>,
    next: AtomicU64,
    busy_nanos: AtomicU64,
    written: AtomicU64,
}

impl Feed {
    /// A run that has not begun.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        Self {
            plan,
            memory: Mutex::default(),
            spare: Mutex::default(),
            next: AtomicU64::new(0),
            busy_nanos: AtomicU64::new(0),
            written: AtomicU64::new(0),
        }
    }

    /// Starts writing requests in the order in which they are due, at most `ahead` that nobody has
    /// taken; ends with the schedule, or when told to.
    #[must_use]
    pub fn start(
        self: &Arc<Self>,
        ahead: usize,
        begun: Instant,
        clock: &Clock,
        stop: &CancellationToken,
    ) -> mpsc::Receiver<Prepared> {
        let (queue, requests) = mpsc::channel(ahead);
        // Packing takes many times as long as writing.
        for _ in 0..if self.plan.gzip { 2 } else { 1 } {
            let (feed, queue, clock, stop) =
                (Arc::clone(self), queue.clone(), clock.clone(), stop.clone());
            std::thread::spawn(move || {
                let mut press = Press::new(&feed);
                while feed.wait(begun, &stop)
                    && let Some(prepared) = press.next(&feed, &clock)
                    && queue.blocking_send(prepared).is_ok()
                {}
            });
        }
        requests
    }

    /// Waits until the next request is nearly due: what is sent again in it is known only then.
    /// False if the run is to end.
    fn wait(&self, begun: Instant, stop: &CancellationToken) -> bool {
        loop {
            let next = self.next.load(Ordering::Relaxed);
            let due = begun + self.plan.schedule.due(next).unwrap_or_default();
            let left = due.saturating_duration_since(Instant::now() + LEAD);
            if left.is_zero() || stop.is_cancelled() {
                return !stop.is_cancelled();
            }
            std::thread::sleep(left.min(LEAD));
        }
    }

    /// How much of one core writing an event takes, in nanoseconds.
    #[must_use]
    pub fn nanos_an_event(&self) -> u64 {
        let written = self.written.load(Ordering::Relaxed);
        self.busy_nanos.load(Ordering::Relaxed) / written.max(1)
    }

    /// Takes a body back whose request is done.
    pub fn recycle(&self, body: Bytes) {
        if body.is_unique() {
            lock(&self.spare).push(body.into());
        }
    }
}

/// Locks; what it guards is whole at any moment.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What one thread writes bodies with.
#[derive(Debug)]
pub struct Press {
    writer: Writer,
    plain: Vec<u8>,
}

impl Press {
    /// A press for a run.
    #[must_use]
    pub fn new(feed: &Feed) -> Self {
        Self {
            writer: Writer::new(feed.plan.content, feed.plan.seed, feed.plan.started_at),
            plain: Vec::new(),
        }
    }

    /// The next request; nothing after the last.
    pub fn next(&mut self, feed: &Feed, clock: &Clock) -> Option<Prepared> {
        let begun = thread_nanos();
        let request = feed.next.fetch_add(1, Ordering::Relaxed);
        let mut events = feed.plan.schedule.size(request);
        let due = feed.plan.schedule.due(request);
        let at = due.map_or_else(|| clock.now(), |due| feed.plan.started_at + due);
        let mut at = at.timestamp_micros();
        if let Some(history) = feed.plan.content.history {
            let before = request * u64::from(feed.plan.schedule.batch);
            let left = u32::try_from(history.left(before)).unwrap_or(events);
            events = events.min(left);
            at = history.at(before + u64::from(events));
        }
        if events == 0 {
            return None;
        }
        let origin = Origin { request, at };
        let body = lock(&feed.spare).pop().unwrap_or_default();
        let prepared = self.write(feed, origin, events, due, body);
        let taken = thread_nanos().saturating_sub(begun);
        feed.busy_nanos.fetch_add(taken, Ordering::Relaxed);
        feed.written.fetch_add(events.into(), Ordering::Relaxed);
        Some(prepared)
    }

    fn write(
        &mut self,
        feed: &Feed,
        origin: Origin,
        events: u32,
        due: Option<Duration>,
        mut body: Vec<u8>,
    ) -> Prepared {
        body.clear();
        let packed = feed.plan.gzip.then(|| std::mem::take(&mut self.plain));
        let mut out = match packed {
            None => std::mem::take(&mut body),
            Some(mut plain) => {
                plain.clear();
                plain
            }
        };
        let (open, close): (&[u8], &[u8]) = match feed.plan.content.format {
            Format::Native => (b"[", b"]"),
            Format::Segment => (b"{\"batch\":[", b"]}"),
        };
        let mut dice = Dice::new(feed.plan.seed, origin.request);
        let (mut sums, mut fresh) = (Sums::default(), 0);
        out.extend_from_slice(open);
        for n in 0..events {
            if n > 0 {
                out.push(b',');
            }
            let again = dice
                .chance(feed.plan.duplicates)
                .then(|| lock(&feed.memory).any(&mut dice))
                .flatten();
            match again {
                Some((origin, place)) => {
                    let mut counted_before = Sums::default();
                    self.writer
                        .write(&mut out, origin, place, &mut counted_before);
                }
                None => {
                    self.writer.write(&mut out, origin, fresh, &mut sums);
                    fresh += 1;
                }
            }
        }
        out.extend_from_slice(close);
        if feed.plan.gzip {
            body = packed_into(body, &out);
            self.plain = out;
        } else {
            body = out;
        }
        Prepared {
            origin,
            due,
            body: body.into(),
            events,
            resent: events - fresh,
            sums,
        }
    }
}

fn packed_into(room: Vec<u8>, plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(room, Compression::fast());
    encoder
        .write_all(plain)
        .and_then(|()| encoder.finish())
        .expect("writing to memory does not fail")
}

/// How long this thread has been on a core; the wall clock would count the server's work, too.
fn thread_nanos() -> u64 {
    nanos(ClockId::CLOCK_THREAD_CPUTIME_ID)
}

/// How long this process has been on cores.
pub(super) fn process_nanos() -> u64 {
    nanos(ClockId::CLOCK_PROCESS_CPUTIME_ID)
}

fn nanos(clock: ClockId) -> u64 {
    let time = clock_gettime(clock).map_or(Duration::ZERO, Duration::from);
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
