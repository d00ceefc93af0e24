//! `tidewater privacy export|erase`.

use std::io::Write as _;
use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand, ValueEnum};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Failure, stop_signal};
use crate::access::keys;
use crate::app::{Home, Services};
use crate::clock::Clock;
use crate::config::{Config, IngestMode};
use crate::domain::audit::Actor;
use crate::domain::calendar::TimeRange;
use crate::domain::tenant::TenantId;
use crate::ingest::erasures::{self, Erasures, Receipt, Request, Subject};
use crate::storage::queries::user_data;
use crate::storage::writes::erasures::person;
use crate::storage::{Db, schema};

/// How long to wait where another process works on it, or something is away.
const PAUSE: Duration = Duration::from_secs(1);

/// What people may ask of a shop that keeps data about them.
#[derive(Args, Debug)]
pub(super) struct Privacy {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print all that is kept of a person, as lines of JSON.
    Export(Whom),
    /// Take a person out of everything that is kept, and print what there was and is.
    ///
    /// Everybody may go on meanwhile. Stopped or killed, it goes on by the server's job, or when it
    /// is run again.
    Erase(Erase),
}

/// Which person: by one of these.
#[derive(Args, Debug)]
struct Whom {
    /// Whose data.
    #[arg(long, value_name = "NAME", default_value = keys::DEFAULT_TENANT)]
    tenant: String,
    /// As events name them (`userId`).
    #[arg(long, value_name = "ID")]
    user_id: Option<String>,
    /// As events name a visitor (`anonymousId`).
    #[arg(long, value_name = "ID")]
    anonymous_id: Option<String>,
    /// As records have it.
    #[arg(long, value_name = "UUID")]
    id: Option<Uuid>,
}

#[derive(Args, Debug)]
struct Erase {
    #[command(flatten)]
    whom: Whom,
    /// What becomes of what they did.
    #[arg(id = "erasure_mode", long = "mode", value_enum)]
    mode: Mode,
    /// Of facts from this moment on alone, as 2026-03-01T00:00:00Z: who they are stays then.
    #[arg(long, value_name = "TIME", requires = "to")]
    from: Option<DateTime<Utc>>,
    /// Of facts before this moment.
    #[arg(long, value_name = "TIME", requires = "from")]
    to: Option<DateTime<Utc>>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Mode {
    /// It goes, and every sum that it is in is made anew.
    Delete,
    /// It stays, without anything that leads back.
    Anonymise,
}

impl Privacy {
    pub(super) async fn run(self, config: Config) -> Result<(), Failure> {
        let stop = stop_signal()?;
        let home = Home::existing(&config).await?;
        let result = Box::pin(self.run_at(&config, home.url(), &stop)).await;
        home.close().await;
        result
    }

    async fn run_at(
        self,
        config: &Config,
        url: &str,
        stop: &CancellationToken,
    ) -> Result<(), Failure> {
        schema::up(url).await?;
        let services = Services::build(url, config, IngestMode::Direct, Clock::System).await?;
        let acting = async {
            match self.action {
                Action::Export(whom) => export(&services.db, whom).await,
                Action::Erase(erase) => {
                    let erasures = services.ingest.erasures();
                    erase.run(&services.db, erasures).await
                }
            }
        };
        let result = stop.run_until_cancelled(Box::pin(acting)).await;
        Box::pin(services.close()).await;
        result.unwrap_or_else(|| Err("stopped; what was asked for goes on by the server".into()))
    }
}

impl Whom {
    /// The tenant and the person.
    async fn find(self, db: &Db) -> Result<(TenantId, Subject), Failure> {
        let found = keys::find_tenant(db, &self.tenant).await?;
        let found = found.ok_or_else(|| format!("there is no tenant {}", self.tenant))?;
        let subject = Subject::of(self.id, self.user_id, self.anonymous_id);
        let subject = subject.map_err(|_| "give one of --user-id, --anonymous-id and --id")?;
        Ok((TenantId(found.tenant_id), subject))
    }
}

async fn export(db: &Db, whom: Whom) -> Result<(), Failure> {
    let (tenant, subject) = whom.find(db).await?;
    let (user_id, word) = subject.known_as(tenant);
    let person = person(db, tenant, user_id, word.as_deref()).await?;
    let snapshot = db.snapshot().await?;
    user_data::begin(&*snapshot, &person).await?;
    let mut out = std::io::stdout().lock();
    while let Some(lines) = user_data::next(&*snapshot, &person).await? {
        for line in lines {
            writeln!(out, "{line}")?;
        }
    }
    snapshot.commit().await?;
    Ok(())
}

impl Erase {
    async fn run(self, db: &Db, erasures: &Erasures) -> Result<(), Failure> {
        let range = match self.from.zip(self.to) {
            Some((from, to)) => Some(
                TimeRange::new(from, to)
                    .map_err(|_| "--from must be before --to, both from 1970 to 2100")?,
            ),
            None => None,
        };
        let (tenant, subject) = self.whom.find(db).await?;
        let request = Request {
            tenant,
            subject,
            mode: match self.mode {
                Mode::Delete => erasures::Mode::Delete,
                Mode::Anonymise => erasures::Mode::Anonymise,
            },
            range,
            actor: Actor::Command,
        };
        let told = |problem: crate::error::Problem| problem.message().to_owned();
        let id = erasures.request(request).await.map_err(told)?;
        eprintln!("erasure {id}");
        let mut said = None;
        loop {
            erasures.work().await?;
            let receipt = erasures.receipt(tenant, id).await.map_err(told)?;
            let receipt = receipt.ok_or("the erasure is not known")?;
            if receipt.finished_at.is_some() {
                print(&receipt);
                return Ok(());
            }
            if receipt.waits_for != said {
                if let Some(what) = &receipt.waits_for {
                    eprintln!("{what}");
                }
                said = receipt.waits_for;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn print(receipt: &Receipt) {
    println!("everything of before {} is gone:", receipt.erased_at);
    for count in &receipt.counts {
        let after = count.after.unwrap_or(0);
        println!("{:>12} -> {after}  {}", count.before, count.kind);
    }
}
