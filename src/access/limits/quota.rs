//! What is limited, and how much of it there may be.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::LimitConfig;

/// What is limited by the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Events that are sent.
    Events,
    /// What questions cost.
    Points,
    /// Lists that are written, as files or as streams.
    Exports,
    /// Requests of those who show no key.
    Requests,
}

impl Kind {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Points => "points",
            Self::Exports => "exports",
            Self::Requests => "requests",
        }
    }

    /// In how long as much may be done as a limit says.
    #[must_use]
    pub const fn period(self) -> Duration {
        match self {
            Self::Events | Self::Points | Self::Requests => Duration::from_mins(1),
            Self::Exports => Duration::from_hours(1),
        }
    }

    /// The same in words.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Events => "events a minute",
            Self::Points => "points a minute",
            Self::Exports => "exports an hour",
            Self::Requests => "requests a minute without a key",
        }
    }
}

/// How much may be done; 0 of something: any amount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Quota {
    /// Events a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events_per_minute: Option<u32>,
    /// Points a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points_per_minute: Option<u32>,
    /// Exports an hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exports_per_hour: Option<u32>,
    /// Subscriptions that are open at a time, in each process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_subscriptions: Option<u32>,
}

impl Quota {
    pub(super) fn of_all(config: &LimitConfig) -> Self {
        Self {
            events_per_minute: Some(config.events_per_minute),
            points_per_minute: Some(config.points_per_minute),
            exports_per_hour: Some(config.exports_per_hour),
            open_subscriptions: Some(config.open_subscriptions),
        }
    }

    /// This where it says something, else the other.
    pub(super) fn over(&self, other: &Self) -> Self {
        Self {
            events_per_minute: self.events_per_minute.or(other.events_per_minute),
            points_per_minute: self.points_per_minute.or(other.points_per_minute),
            exports_per_hour: self.exports_per_hour.or(other.exports_per_hour),
            open_subscriptions: self.open_subscriptions.or(other.open_subscriptions),
        }
    }

    /// Whether nothing in it is more than the other allows.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        let fits = |own: Option<u32>, all: Option<u32>| match (own, all) {
            (None, _) | (_, None | Some(0)) => true,
            (Some(own), Some(all)) => own > 0 && own <= all,
        };
        fits(self.events_per_minute, other.events_per_minute)
            && fits(self.points_per_minute, other.points_per_minute)
            && fits(self.exports_per_hour, other.exports_per_hour)
            && fits(self.open_subscriptions, other.open_subscriptions)
    }

    /// How much of a kind, if not any amount.
    pub(super) fn limit(&self, kind: Kind) -> Option<u32> {
        let limit = match kind {
            Kind::Events => self.events_per_minute,
            Kind::Points => self.points_per_minute,
            Kind::Exports => self.exports_per_hour,
            Kind::Requests => None,
        };
        limit.filter(|limit| *limit > 0)
    }
}
