//! What a run says at its end: a table for people, or JSON.

use std::fmt;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;

use super::event::Content;
use super::feed::Feed;
use super::schedule::Shape;
use super::tally::{Counts, Retries, Tally};
use super::totals::Verdict;

/// Percentiles of times, in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Times {
    p50: f64,
    p90: f64,
    p99: f64,
    p999: f64,
    max: f64,
}

impl From<&Histogram<u64>> for Times {
    fn from(histogram: &Histogram<u64>) -> Self {
        let millis = |micros: u64| Duration::from_micros(micros).as_secs_f64() * 1_000.0;
        let at = |quantile| millis(histogram.value_at_quantile(quantile));
        Self {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: millis(histogram.max()),
        }
    }
}

/// What was asked for.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    /// Events a second; nothing in a closed loop.
    rate: Option<f64>,
    seconds: f64,
    shape: Shape,
    batch: u32,
    connections: usize,
    duplicates: f64,
    gzip: bool,
    seed: u64,
    #[serde(flatten)]
    content: Content,
}

/// What a run says at its end.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    asked: Asked,
    requests: u64,
    sent: u64,
    resent: u64,
    acknowledged: u64,
    unacknowledged: u64,
    /// Events that were due, but not sent before the time was over.
    unsent: u64,
    counts: Counts,
    retries: Retries,
    seconds: f64,
    events_per_second: f64,
    bytes_per_event: f64,
    latency_ms: Times,
    service_ms: Times,
    /// One core's time for writing an event, and the whole process's for an event in all.
    generator_nanos_per_event: u64,
    process_nanos_per_event: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<Verdict>,
}

impl Report {
    /// What a run came to.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    pub fn of(
        feed: &Feed,
        connections: usize,
        tally: &Tally,
        begun: Instant,
        process_nanos: u64,
        verdict: Option<Verdict>,
    ) -> Self {
        let seconds = tally
            .last
            .map_or(Duration::ZERO, |last| last.saturating_duration_since(begun))
            .as_secs_f64();
        let acknowledged = tally.acknowledged_events();
        let per = |n: f64, of: f64| if of > 0.0 { n / of } else { 0.0 };
        Self {
            asked: Asked {
                rate: feed
                    .plan
                    .schedule
                    .is_open()
                    .then_some(feed.plan.schedule.rate),
                seconds: feed.plan.schedule.duration.as_secs_f64(),
                shape: feed.plan.schedule.shape,
                batch: feed.plan.schedule.batch,
                connections,
                duplicates: feed.plan.duplicates,
                gzip: feed.plan.gzip,
                seed: feed.plan.seed,
                content: feed.plan.content,
            },
            requests: tally.requests,
            sent: tally.sent,
            resent: tally.resent,
            acknowledged,
            unacknowledged: tally.unacknowledged,
            unsent: feed.plan.schedule.events().saturating_sub(tally.sent),
            counts: tally.counts,
            retries: tally.retries,
            seconds,
            events_per_second: per(acknowledged as f64, seconds),
            bytes_per_event: per(tally.bytes as f64, tally.sent as f64),
            latency_ms: (&tally.latency).into(),
            service_ms: (&tally.service).into(),
            generator_nanos_per_event: feed.nanos_an_event(),
            process_nanos_per_event: process_nanos / tally.sent.max(1),
            verdict,
        }
    }

    /// Why the run did not go well, if it did not.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        let mismatch = self.verdict.as_ref().and_then(|verdict| {
            let wrong = verdict.mismatch.as_ref()?;
            Some(format!("stored is not what was acknowledged: {wrong}"))
        });
        let refused = (self.counts.refused() > 0)
            .then(|| format!("{} good events were refused", self.counts.refused()));
        let lost = (self.unacknowledged > 0).then(|| {
            let events = self.unacknowledged;
            format!("{events} events were not acknowledged before the time was over")
        });
        let all: Vec<String> = mismatch.into_iter().chain(refused).chain(lost).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts {
            accepted,
            duplicates,
            conflicts,
            quarantined,
            rejected,
            ..
        } = self.counts;
        match self.asked.rate {
            Some(rate) => writeln!(
                out,
                "open loop: {rate} events/s on average, {:?} shape",
                self.asked.shape
            )?,
            None => writeln!(
                out,
                "closed loop: each connection sends when it has its answer, so latency is service time"
            )?,
        }
        writeln!(
            out,
            "sent             {} events in {} requests, {} of them again; {:.0} bytes each",
            self.sent, self.requests, self.resent, self.bytes_per_event
        )?;
        if self.unsent > 0 {
            writeln!(
                out,
                "not sent         {} events: no connection was free in time",
                self.unsent
            )?;
        }
        writeln!(
            out,
            "acknowledged     {} events in {:.2} s: {:.0} events/s",
            self.acknowledged, self.seconds, self.events_per_second
        )?;
        writeln!(
            out,
            "receipts         {accepted} accepted, {duplicates} duplicates, {conflicts} conflicts, {quarantined} quarantined, {rejected} rejected"
        )?;
        let Retries {
            limited,
            unavailable,
            failed,
            unanswered,
        } = self.retries;
        writeln!(
            out,
            "sent again       {} requests: {limited} limited, {unavailable} unavailable, {failed} failed, {unanswered} unanswered; {} events given up",
            self.retries.total(),
            self.unacknowledged
        )?;
        writeln!(
            out,
            "                      p50       p90       p99     p99.9       max"
        )?;
        for (name, times) in [("latency", &self.latency_ms), ("service", &self.service_ms)] {
            let Times {
                p50,
                p90,
                p99,
                p999,
                max,
            } = times;
            writeln!(
                out,
                "{name:<8} ms    {p50:>9.1} {p90:>9.1} {p99:>9.1} {p999:>9.1} {max:>9.1}"
            )?;
        }
        writeln!(
            out,
            "generator        {} ns a core for an event, {} ns with sending it",
            self.generator_nanos_per_event, self.process_nanos_per_event
        )?;
        match &self.verdict {
            None => write!(out, "verify           not asked for"),
            Some(Verdict {
                visible_after: Some(seconds),
                stored,
                ..
            }) => write!(
                out,
                "verify           stored equals acknowledged: {} events, {} pageviews, {} orders, {} units, {} {}; all visible {:.3} s after the last acknowledgement",
                stored.events,
                stored.pageviews,
                stored.orders,
                stored.units,
                super::totals::money(stored.revenue),
                super::event::CURRENCY,
                seconds,
            ),
            Some(verdict) => write!(
                out,
                "verify           MISMATCH: {}",
                verdict.mismatch.as_deref().unwrap_or_default()
            ),
        }
    }
}
