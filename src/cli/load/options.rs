//! What may be asked of a run.

use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::Args;

use super::event::{Content, Format, Ids, Mix};
use super::feed::Plan;
use super::history::History;
use super::schedule::{Schedule, Shape};
use crate::config::Secret;
use crate::ingest::MAX_EVENTS;

/// A week: how long a past may take to be sent.
const MAX_DURATION: Duration = Duration::from_hours(168);

/// What is sent, how fast and for how long.
#[derive(Args, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(super) struct Options {
    /// The server's address.
    #[arg(value_name = "URL", default_value = "http://127.0.0.1:8000")]
    pub(super) url: String,
    /// A key with the scopes ingest and read.
    #[arg(
        long,
        env = "TIDEWATER_KEY",
        value_name = "KEY",
        hide_env_values = true
    )]
    pub(super) key: Secret,
    /// Events a second on average; 0: as many as the connections allow.
    #[arg(long, default_value_t = 0.0)]
    pub(super) rate: f64,
    /// How long, as 30s, 5m or 1h.
    #[arg(long, default_value = "30s", value_parser = duration)]
    pub(super) duration: Duration,
    /// Events a request, up to 2500.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=MAX_EVENTS as i64))]
    pub(super) batch: u32,
    /// How many requests may be under way at once.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1_024))]
    pub(super) connections: u16,
    /// How the rate goes over time.
    #[arg(long, value_enum, default_value_t = Shape::Steady)]
    pub(super) shape: Shape,
    /// Which share of events is sent again, taken at random from all that was acknowledged: 0.01.
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub(super) duplicates: f64,
    /// Which share of events happened an hour to a week ago.
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub(super) late: f64,
    /// Of how many users.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) users: u32,
    /// Of how many products.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) products: u32,
    /// Pageviews, other events and purchases of 1 to 4 lines, by weight.
    #[arg(long, default_value = "70/25/5")]
    pub(super) mix: Mix,
    /// Ids of events: random, or in the order of time.
    #[arg(long, value_enum, default_value_t = Ids::V4)]
    pub(super) ids: Ids,
    /// What all that is random follows from.
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
    /// Pack bodies.
    #[arg(long)]
    pub(super) gzip: bool,
    /// How events are written.
    #[arg(long, value_enum, default_value_t = Format::Native)]
    pub(super) format: Format,
    /// Compare what is stored with what was acknowledged; the default.
    #[arg(long, overrides_with = "no_verify")]
    pub(super) verify: bool,
    /// Send only.
    #[arg(long)]
    pub(super) no_verify: bool,
    /// How long to wait until what was acknowledged is to be seen.
    #[arg(long, default_value = "60s", value_parser = duration, value_name = "DURATION")]
    pub(super) verify_within: Duration,
    /// Make up a past of so many days instead, as fast as the connections allow: --events of them,
    /// in sessions, of products with categories. Needs the native format.
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3_650),
          conflicts_with_all = ["rate", "duration", "late", "duplicates", "format"])]
    pub(super) history: Option<u32>,
    /// How many events the past has.
    #[arg(long, default_value_t = 1_000_000, requires = "history",
          value_parser = clap::value_parser!(u64).range(1..=10_000_000_000))]
    pub(super) events: u64,
    /// Report as JSON.
    #[arg(long)]
    pub(super) json: bool,
}

impl Options {
    /// How long the run may take.
    pub(super) fn duration(&self) -> Duration {
        match self.history {
            None => self.duration,
            Some(_) => MAX_DURATION,
        }
    }

    /// The run that begins then.
    pub(super) fn plan(&self, started_at: DateTime<Utc>) -> Plan {
        let content = Content {
            users: self.users,
            products: self.products,
            mix: self.mix,
            ids: self.ids,
            format: self.format,
            late: self.late,
            history: self
                .history
                .map(|days| History::of_days(days, self.events, started_at)),
        };
        let schedule = Schedule {
            rate: self.rate,
            duration: self.duration(),
            batch: self.batch,
            shape: self.shape,
        };
        Plan {
            content,
            schedule,
            duplicates: self.duplicates,
            gzip: self.gzip,
            seed: self.seed,
            started_at,
        }
    }
}

/// Reads `500ms`, `30s`, `5m` or `1h`.
fn duration(text: &str) -> Result<Duration, String> {
    let unit_at = text.find(|c: char| c != '.' && !c.is_ascii_digit());
    let (number, unit) = text.split_at(unit_at.unwrap_or(text.len()));
    let seconds = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        _ => return Err("write it as 30s, 5m or 1h".into()),
    };
    let number: f64 = number.parse().map_err(|_| "that is no number")?;
    let seconds = number * seconds;
    if !(0.001..=604_800.0).contains(&seconds) {
        return Err("from 1ms to a week (168h)".into());
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// Reads a share from 0 to 0.9.
fn share(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|_| "that is no number")?;
    if !(0.0..=0.9).contains(&share) {
        return Err("from 0 to 0.9".into());
    }
    Ok(share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_shares_and_mixes_are_read_or_refused() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1.5m"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        for wrong in ["", "s", "5", "5 s", "-1s", "1d", "9999h", "0s", "1.2.3s"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        assert_eq!(share("0.01"), Ok(0.01));
        for wrong in ["1", "-0.1", "NaN", "x"] {
            assert!(share(wrong).is_err(), "{wrong}");
        }
        let mix = Mix {
            pageviews: 70,
            other: 25,
            purchases: 5,
        };
        assert_eq!("70/25/5".parse(), Ok(mix));
        for wrong in [
            "70/30",
            "0/0/0",
            "a/b/c",
            "1/2/3/4",
            "-1/2/3",
            "4294967295/1/1",
        ] {
            assert!(wrong.parse::<Mix>().is_err(), "{wrong}");
        }
    }
}
