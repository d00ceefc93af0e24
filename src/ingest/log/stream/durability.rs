//! What a Redis does with what it is given.

use std::collections::HashMap;

use redis::{FromRedisValue, InfoDict, RedisError};

use super::Settings;
use super::line::Line;
use crate::config::FsyncPolicy;
use crate::ingest::log::Durability;

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// What an append is worth.
    pub(super) durability: Durability,
    /// Why nothing may be appended, if so.
    pub(super) refused: Option<&'static str>,
}

/// Asks every node that takes writes; the weakest counts.
pub(super) async fn ask(line: &mut Line, settings: &Settings) -> Result<Found, RedisError> {
    let (policy, evicts) = match settings.durability {
        Some(policy) => (policy, false),
        None => match config(line).await {
            // A managed service may keep its settings to itself.
            Err(error) if !error.is_io_error() => info(line).await?,
            answer => answer?,
        },
    };
    let refused = match policy {
        _ if settings.allow_volatile => None,
        FsyncPolicy::None => {
            Some("it persists nothing it must (`appendonly no`, or `appendfsync no`)")
        }
        _ if evicts => Some("it evicts keys when its memory is full (`maxmemory-policy`)"),
        FsyncPolicy::Everysec | FsyncPolicy::Always => None,
    };
    let durability = match policy {
        FsyncPolicy::Always => Durability::Always,
        FsyncPolicy::Everysec => Durability::Everysec,
        FsyncPolicy::None => Durability::None,
    };
    Ok(Found {
        durability,
        refused,
    })
}

/// The policy, and whether our keys may be evicted.
async fn config(line: &mut Line) -> Result<(FsyncPolicy, bool), RedisError> {
    let (mut policy, mut evicts) = (FsyncPolicy::Always, false);
    for pattern in ["append*", "maxmemory*"] {
        let mut command = redis::cmd("CONFIG");
        command.arg("GET").arg(pattern);
        for answer in line.ask_masters(&command).await? {
            let settings = HashMap::<String, String>::from_redis_value(answer)?;
            let get = |name: &str| settings.get(name).map_or("", String::as_str);
            if pattern == "append*" {
                policy = policy.min(match (get("appendonly"), get("appendfsync")) {
                    ("yes", "always") => FsyncPolicy::Always,
                    ("yes", "everysec") => FsyncPolicy::Everysec,
                    _ => FsyncPolicy::None,
                });
            } else {
                // The other policies evict what expires, and our keys do not.
                evicts |= get("maxmemory") != "0" && get("maxmemory-policy").starts_with("allkeys");
            }
        }
    }
    Ok((policy, evicts))
}

/// What can be told without the settings: a service that keeps a log syncs it every second.
async fn info(line: &mut Line) -> Result<(FsyncPolicy, bool), RedisError> {
    let (mut policy, mut evicts) = (FsyncPolicy::Everysec, false);
    for section in ["persistence", "memory"] {
        let mut command = redis::cmd("INFO");
        command.arg(section);
        for answer in line.ask_masters(&command).await? {
            let info = InfoDict::from_redis_value(answer)?;
            if section == "memory" {
                let limit: Option<u64> = info.get("maxmemory");
                let eviction: String = info.get("maxmemory_policy").unwrap_or_default();
                evicts |= limit != Some(0) && eviction.starts_with("allkeys");
            } else if info.get::<u8>("aof_enabled") != Some(1) {
                policy = FsyncPolicy::None;
            }
        }
    }
    Ok((policy, evicts))
}
