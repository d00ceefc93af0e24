//! Whether a user agent is a bot, said by someone who knows better than the list.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use tokio::time::Instant;

use super::Reports;
use crate::domain::calendar::{self, TimeRange};
use crate::error::{Code, Problem};
use crate::storage::writes::bots::{self, Saying};

pub use crate::storage::writes::bots::Saying as Reclassification;

/// How long what is stored is changed before the answer says how far it came: a request ends after
/// 30 seconds.
const BUDGET: Duration = Duration::from_secs(15);
/// How long writers have between two days.
const BREATH: Duration = Duration::from_millis(200);
/// How far is looked ahead at once for events to change.
const STEP: TimeDelta = TimeDelta::days(31);
const MAX_LENGTH: usize = 1_024;

/// How far what is stored was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reclassified {
    /// How many events are others now.
    pub changed: u64,
    /// Where to go on: all events before this moment are changed. None if all are.
    pub continue_from: Option<DateTime<Utc>>,
}

impl Reports {
    /// Says of a program whether it is a bot, for all events to come, and changes those that are
    /// stored: of a range, or all.
    ///
    /// # Errors
    /// A name that no program can have, or that the database is away or takes too long.
    pub async fn reclassify(
        &self,
        saying: Saying<'_>,
        zone: Tz,
        range: Option<TimeRange>,
    ) -> Result<Reclassified, Problem> {
        let begun = Instant::now();
        let name = saying.user_agent;
        if name.is_empty() || name.len() > MAX_LENGTH || name.contains('\0') {
            let detail = format!("A user agent has 1 to {MAX_LENGTH} bytes and no NUL character.");
            return Err(Problem::with(Code::InvalidFilter, detail));
        }
        bots::say(&self.db, saying, self.clock.now()).await?;
        let stored = match range {
            Some(range) => Some(range),
            None => bots::stored_range(&self.db, saying.tenant).await?,
        };
        let mut changed = 0;
        let Some(TimeRange { mut from, to }) = stored else {
            return Ok(Reclassified {
                changed,
                continue_from: None,
            });
        };
        while from < to {
            if begun.elapsed() > BUDGET {
                return Ok(Reclassified {
                    changed,
                    continue_from: Some(from),
                });
            }
            let ahead = TimeRange {
                from,
                to: to.min(from + STEP),
            };
            match bots::next(&self.db, saying, ahead).await? {
                Some(first) => {
                    let day = calendar::day_of(first, zone);
                    let part = TimeRange {
                        from: day.from.max(from),
                        to: day.to.min(to),
                    };
                    changed += bots::change(&self.db, saying, zone, day, part).await?;
                    // Writers that waited begin again, and must be done before the next one.
                    tokio::time::sleep(BREATH).await;
                    from = part.to;
                }
                None => from = ahead.to,
            }
        }
        Ok(Reclassified {
            changed,
            continue_from: None,
        })
    }
}
