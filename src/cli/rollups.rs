//! `tidewater rollups rebuild`.

use chrono::{Days, NaiveDate, NaiveTime};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use tokio_util::sync::CancellationToken;

use super::{Failure, stop_signal};
use crate::access::{keys, sender};
use crate::app::Home;
use crate::config::Config;
use crate::domain::calendar::TimeRange;
use crate::storage::entity::tenant;
use crate::storage::queries::keys::tenants;
use crate::storage::writes::rollups::rebuild;
use crate::storage::writes::summaries::Owner;
use crate::storage::{Db, schema};

/// What to do to rollups.
#[derive(Args, Debug)]
pub(super) struct Rollups {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Compare the rollups of some days with the facts, and make anew what differs.
    ///
    /// Everybody may go on meanwhile: who stores events waits for a piece that is wrong, an hour at
    /// the most. A second run changes nothing, and so does one of rollups that are right.
    Rebuild(Rebuild),
}

#[derive(Args, Debug)]
struct Rebuild {
    /// The first day, as 2026-03-01, of the tenant's time zone.
    #[arg(
        long,
        value_name = "DAY",
        requires = "to",
        required_unless_present = "all"
    )]
    from: Option<NaiveDate>,
    /// The day after the last.
    #[arg(long, value_name = "DAY", requires = "from")]
    to: Option<NaiveDate>,
    /// Every day that has facts or rollups.
    #[arg(long, conflicts_with_all = ["from", "to"])]
    all: bool,
    /// Whose. Unset: every tenant's.
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Also forget what these days were summed up to: it is made anew by the server's job.
    #[arg(long)]
    summaries: bool,
}

/// Days, from the first to before the second.
type Range = (NaiveDate, NaiveDate);

/// How far it came: the day that is not finished.
#[derive(Debug)]
struct Reached {
    from: NaiveDate,
    to: NaiveDate,
    why: String,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    looked_at: u64,
    hours: u64,
    days: u64,
    rows: u64,
}

impl std::fmt::Display for Totals {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            looked_at,
            hours,
            days,
            rows,
        } = self;
        write!(
            out,
            "{looked_at} days looked at: {hours} hours and {days} days of users made anew, {rows} rows differed"
        )
    }
}

impl Rollups {
    pub(super) async fn run(self, config: Config) -> Result<(), Failure> {
        let Action::Rebuild(rebuild) = self.action;
        let range = rebuild.range()?;
        let stop = stop_signal()?;
        let home = Home::existing(&config).await?;
        let result = Box::pin(rebuild.run_at(home.url(), range, &stop)).await;
        home.close().await;
        result
    }
}

impl Rebuild {
    /// The days that are asked for, each of which a tenant may have.
    fn range(&self) -> Result<Range, Failure> {
        let (Some(from), Some(to)) = (self.from, self.to) else {
            let day = |year, month, day| {
                NaiveDate::from_ymd_opt(year, month, day).expect("it is in the calendar")
            };
            // A day more than the calendar has, for zones.
            return Ok((day(1969, 12, 31), day(2101, 1, 2)));
        };
        let begin = |day: NaiveDate| day.and_time(NaiveTime::MIN).and_utc();
        TimeRange::new(begin(from), begin(to))
            .map_err(|_| "--from must be a day before --to, both from 1970 to 2100")?;
        Ok((from, to))
    }

    async fn run_at(
        self,
        url: &str,
        range: Range,
        stop: &CancellationToken,
    ) -> Result<(), Failure> {
        schema::up(url).await?;
        let db = Db::open(url, |_| ()).await?;
        let mut totals = Totals::default();
        let result = self.rebuild(&db, range, stop, &mut totals).await;
        db.close().await;
        println!("{totals}");
        result
    }

    async fn rebuild(
        &self,
        db: &Db,
        range: Range,
        stop: &CancellationToken,
        totals: &mut Totals,
    ) -> Result<(), Failure> {
        let tenants = match &self.tenant {
            None => tenants(db.control()).await?,
            Some(name) => {
                let found = keys::find_tenant(db, name).await?;
                vec![found.ok_or_else(|| format!("there is no tenant {name}"))?]
            }
        };
        for (n, tenant) in tenants.iter().enumerate() {
            let reached = self.rebuild_of(db, tenant, range, stop, totals).await?;
            let Some(Reached { from, to, why }) = reached else {
                continue;
            };
            let mut text = format!(
                "{why}; what is before is done. Go on with --tenant {} --from {from} --to {to}",
                tenant.name
            );
            if self.summaries {
                text += " --summaries";
            }
            let others: Vec<&str> = tenants[n + 1..]
                .iter()
                .map(|tenant| tenant.name.as_str())
                .collect();
            if !others.is_empty() {
                text.push_str(", then with the tenants ");
                text.push_str(&others.join(", "));
            }
            return Err(text.into());
        }
        Ok(())
    }

    /// Rebuilds a tenant's days; how far it came, if not to the end.
    async fn rebuild_of(
        &self,
        db: &Db,
        tenant: &tenant::Model,
        (from, to): Range,
        stop: &CancellationToken,
        totals: &mut Totals,
    ) -> Result<Option<Reached>, Failure> {
        let sender = sender(tenant)?;
        let owner = Owner {
            tenant: sender.tenant,
            zone: sender.zone,
        };
        let Some(last) = rebuild::last_day(db, owner, from, to).await? else {
            return Ok(None);
        };
        let to = last + Days::new(1);
        let mut next = rebuild::first_day(db, owner, from, to).await?;
        let first = next.unwrap_or(last);
        let progress = progress(&tenant.name, (last - first).num_days() + 1);
        while let Some(day) = next {
            progress.set_position(u64::try_from((day - first).num_days())?);
            let why = match self.rebuild_day(db, owner, day, stop, totals).await {
                Ok(true) => None,
                Ok(false) => Some("stopped".to_owned()),
                Err(error) => Some(error.to_string()),
            };
            if let Some(why) = why {
                return Ok(Some(Reached { from: day, to, why }));
            }
            totals.looked_at += 1;
            let from = day + Days::new(1);
            next = match rebuild::first_day(db, owner, from, to).await {
                Ok(next) => next,
                Err(error) => {
                    let why = error.to_string();
                    return Ok(Some(Reached { from, to, why }));
                }
            };
        }
        progress.finish();
        Ok(None)
    }

    /// Rebuilds a day, unless it is stopped; whether it came to its end.
    async fn rebuild_day(
        &self,
        db: &Db,
        owner: Owner,
        day: NaiveDate,
        stop: &CancellationToken,
        totals: &mut Totals,
    ) -> Result<bool, Failure> {
        let mut hours = rebuild::hours_of(day, owner.zone);
        if !rebuild::any_wrong(db, owner.tenant, &hours).await? {
            hours.clear();
        }
        for hour in hours {
            if stop.is_cancelled() {
                return Ok(false);
            }
            let rows = rebuild::hour(db, owner.tenant, hour).await?;
            totals.hours += u64::from(rows > 0);
            totals.rows += rows;
        }
        if stop.is_cancelled() {
            return Ok(false);
        }
        let rows = rebuild::users(db, owner, day).await?;
        totals.days += u64::from(rows > 0);
        totals.rows += rows;
        if self.summaries {
            rebuild::forget_summaries(db, owner, day).await?;
        }
        Ok(true)
    }
}

/// A bar of so many days.
fn progress(tenant: &str, days: i64) -> ProgressBar {
    let style = ProgressStyle::with_template("rebuilding {msg} {bar:30} {pos}/{len} days")
        .expect("the template is well formed");
    ProgressBar::new(days.unsigned_abs())
        .with_style(style)
        .with_message(tenant.to_owned())
}
