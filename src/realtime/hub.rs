//! Keeps each live window once, for however many watch it.
//!
//! A window starts from the database and goes on with what the bus tells. Nothing is counted
//! twice or missed in between: the bus is listened to before the database is asked, and what it
//! tells of a transaction that the answer's snapshot sees is left out. Every subscriber has a slot
//! of one value, in which a newer one replaces an older one that was not fetched.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures_util::Stream;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::bus::{Bus, Committed, Receiver, Signal};
use super::window::{SlidingWindow, View};
use crate::clock::Clock;
use crate::domain::money::Currency;
use crate::domain::tenant::TenantId;
use crate::storage::queries::live_sales::{Snapshot, live_sales};
use crate::storage::{Db, StorageError};
use crate::telemetry::metrics::Metrics;

/// What commits within this time is one update.
const GATHER: Duration = Duration::from_millis(50);
/// How often a window is read anew, for what the bus did not tell (an import by another process
/// where there is no Redis).
const REREAD: Duration = Duration::from_secs(30);
/// How far apart readings are at least.
const READ_APART: Duration = Duration::from_millis(500);

/// How long a window is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WindowLength {
    /// 60 seconds.
    OneMinute,
    /// 5 minutes.
    FiveMinutes,
    /// 60 minutes.
    OneHour,
}

impl WindowLength {
    const fn seconds(self) -> i64 {
        match self {
            Self::OneMinute => 60,
            Self::FiveMinutes => 300,
            Self::OneHour => 3_600,
        }
    }
}

/// Which window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LiveKey {
    /// Whose sales.
    pub tenant: TenantId,
    /// Of orders in this currency.
    pub currency: Currency,
    /// How far back.
    pub length: WindowLength,
}

/// Nothing until the window was first read.
type Latest = Option<Arc<View>>;

/// The windows that are watched.
#[derive(Clone)]
#[allow(
    missing_debug_implementations,
    reason = "channels have nothing to show"
)]
pub struct LiveHub(Arc<Inner>);

struct Inner {
    db: Db,
    bus: Bus,
    clock: Clock,
    metrics: Metrics,
    stop: CancellationToken,
    windows: Mutex<HashMap<LiveKey, Weak<watch::Sender<Latest>>>>,
}

impl LiveHub {
    /// A hub without windows; they end with `stop`.
    #[must_use]
    pub fn new(db: Db, bus: Bus, clock: Clock, metrics: Metrics, stop: CancellationToken) -> Self {
        let windows = Mutex::default();
        Self(Arc::new(Inner {
            db,
            bus,
            clock,
            metrics,
            stop,
            windows,
        }))
    }

    /// The window's current value, then each change.
    pub fn watch(&self, key: LiveKey) -> impl Stream<Item = Arc<View>> + use<> {
        let mut latest = self.window(key).subscribe();
        // Marked as seen by nobody yet: the first look is at the current value.
        latest.mark_changed();
        let subscriber = Subscriber::new(self.0.metrics.clone());
        futures_util::stream::unfold((latest, subscriber), |(mut latest, subscriber)| async {
            loop {
                latest.changed().await.ok()?;
                let view = latest.borrow_and_update().clone();
                if let Some(view) = view {
                    return Some((view, (latest, subscriber)));
                }
            }
        })
    }

    /// The window's slot, with a task that fills it.
    fn window(&self, key: LiveKey) -> Arc<watch::Sender<Latest>> {
        let mut windows = self
            .0
            .windows
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = windows.get(&key).and_then(Weak::upgrade) {
            return slot;
        }
        let slot = Arc::new(watch::Sender::new(None));
        windows.insert(key, Arc::downgrade(&slot));
        self.0.metrics.live_windows.increment(1);
        let keeper = Keeper {
            hub: Arc::clone(&self.0),
            key,
            slot: Arc::clone(&slot),
        };
        let stop = self.0.stop.clone();
        tokio::spawn(stop.run_until_cancelled_owned(keeper.run()));
        slot
    }
}

/// Counts itself while it lives.
struct Subscriber(Metrics);

impl Subscriber {
    fn new(metrics: Metrics) -> Self {
        metrics.live_subscribers.increment(1);
        Self(metrics)
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.0.live_subscribers.decrement(1);
    }
}

/// Keeps one window while someone watches.
struct Keeper {
    hub: Arc<Inner>,
    key: LiveKey,
    slot: Arc<watch::Sender<Latest>>,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.hub.metrics.live_windows.decrement(1);
    }
}

impl Keeper {
    async fn run(self) {
        while self.is_watched() {
            let read_at = Instant::now();
            let mut signals = self.hub.bus.subscribe();
            match self.read().await {
                Ok((window, snapshot)) => {
                    self.show(window.view());
                    self.follow(window, &snapshot, &mut signals).await;
                }
                Err(error) => {
                    tracing::warn!(%error, "a live window cannot be read; trying again");
                }
            }
            // However many gaps there are, they do not make the database's load.
            tokio::time::sleep_until(read_at + READ_APART).await;
        }
    }

    /// Whether anyone watches; if not, nobody can begin to watch this slot any more.
    fn is_watched(&self) -> bool {
        let mut windows = self
            .hub
            .windows
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // The lock is held: a new subscriber either is counted by now or finds no slot.
        let watched = self.slot.receiver_count() > 0 || Arc::strong_count(&self.slot) > 1;
        if !watched {
            windows.remove(&self.key);
        }
        watched
    }

    /// The window as the database has it.
    async fn read(&self) -> Result<(SlidingWindow, Snapshot), StorageError> {
        let LiveKey {
            tenant,
            currency,
            length,
        } = self.key;
        let now = self.hub.clock.now();
        let mut window = SlidingWindow::new(length.seconds(), now.timestamp());
        let from = now - chrono::TimeDelta::seconds(length.seconds());
        let (rows, snapshot) = live_sales(&self.hub.db, tenant, currency, from).await?;
        for row in rows {
            let revenue = row
                .revenue
                .parse()
                .expect("a sum of whole numbers is a whole number");
            window.add(
                row.second,
                row.orders,
                [(row.product_id.as_str(), row.units, revenue)],
            );
        }
        Ok((window, snapshot))
    }

    /// Keeps the window up to date until it must be read anew or nobody watches.
    async fn follow(&self, mut window: SlidingWindow, snapshot: &Snapshot, signals: &mut Receiver) {
        let mut second = tokio::time::interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let reread_at = Instant::now() + REREAD;
        loop {
            tokio::select! {
                signal = signals.next() => {
                    let Some(Signal::Committed(committed)) = signal else { return };
                    self.add(&mut window, snapshot, &committed);
                    let gather_until = Instant::now() + GATHER;
                    while Instant::now() < gather_until {
                        match tokio::time::timeout_at(gather_until, signals.next()).await {
                            Ok(Some(Signal::Committed(committed))) => self.add(&mut window, snapshot, &committed),
                            Ok(Some(Signal::Gap) | None) => return,
                            Err(_) => break,
                        }
                    }
                }
                _ = second.tick() => {
                    if !self.is_watched() || Instant::now() > reread_at {
                        return;
                    }
                }
            }
            window.advance(self.hub.clock.now().timestamp());
            self.show(window.view());
        }
    }

    fn add(&self, window: &mut SlidingWindow, snapshot: &Snapshot, committed: &Committed) {
        if snapshot.sees(committed.transaction_id) {
            return;
        }
        let LiveKey {
            tenant, currency, ..
        } = self.key;
        for sale in &committed.sales {
            if sale.tenant == tenant && sale.currency == currency.code() {
                let lines = sale.lines.iter().map(|(product, units, revenue)| {
                    (product.as_str(), *units, i128::from(*revenue))
                });
                window.add(sale.timestamp.timestamp(), 1, lines);
            }
        }
    }

    /// Shows a value if it differs from the one that is shown.
    fn show(&self, view: View) {
        self.slot.send_if_modified(|latest| {
            if latest.as_deref() == Some(&view) {
                return false;
            }
            *latest = Some(Arc::new(view));
            self.hub.metrics.live_updates.increment(1);
            true
        });
    }
}
