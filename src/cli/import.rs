//! `tidewater import cdnow|csv|ndjson`: orders or events from a file, through the same code as
//! HTTP.
//!
//! Every event's id follows from what it says (and, where the same is said twice, from which time
//! it is), so that an import that was killed is simply run again.

pub(super) mod cdnow;
mod columns;
mod csv;
mod mapping;
mod ndjson;
pub(super) mod source;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use tokio_util::sync::CancellationToken;

use super::{Failure, stop_signal};
use crate::access::{keys, sender};
use crate::app::{Home, Services};
use crate::clock::Clock;
use crate::config::{Config, IngestMode};
use crate::domain::tenant::Sender;
use crate::ingest::parse::parse_batch;
use crate::ingest::{Ingest, Receipts, Status};
use crate::storage::schema;
use mapping::Mapping;
use source::{Batch, Lines, Source};

/// How many events go to the writer at once, and how many such batches are under way.
const BATCH: usize = 2_000;
const IN_FLIGHT: usize = 4;
/// How many lines that are not stored are shown.
const SHOWN: u64 = 10;
/// How long an import waits for a database that is away.
const PATIENCE: u32 = 60;

/// What to store.
#[derive(Args, Debug)]
pub(super) struct Import {
    /// Whose data it becomes; made if there is no such tenant.
    #[arg(long, default_value = keys::DEFAULT_TENANT, global = true)]
    tenant: String,
    #[command(subcommand)]
    format: Format,
}

#[derive(Debug, Subcommand)]
enum Format {
    /// CDNOW's transaction log: CDNOW_master.txt or CDNOW_sample.txt. Its dates become noon UTC,
    /// so that an order falls on its own date from UTC-12 to UTC+11.
    Cdnow {
        /// The file.
        file: PathBuf,
    },
    /// Order lines as CSV with a header line.
    Csv {
        /// The file.
        file: PathBuf,
        #[command(flatten)]
        mapping: Mapping,
    },
    /// JSON objects, one a line: events as `POST /v1/batch` takes them, or with --map order lines.
    Ndjson {
        /// The file.
        file: PathBuf,
        #[command(flatten)]
        mapping: Mapping,
    },
}

impl Import {
    pub(super) async fn run(self, config: Config) -> Result<(), Failure> {
        let stop = stop_signal()?;
        let home = Home::share(&config).await?;
        let result = Box::pin(self.run_at(&config, home.url(), stop)).await;
        home.close().await;
        result
    }

    async fn run_at(
        self,
        config: &Config,
        url: &str,
        stop: CancellationToken,
    ) -> Result<(), Failure> {
        schema::up(url).await?;
        // What becomes of each line is told: that is known after the commit.
        let services = Services::build(url, config, IngestMode::Direct, Clock::System).await?;
        let tenant = keys::ensure_tenant(&services.db, &self.tenant).await?;
        let ingest = services.ingest.clone();
        let sender = sender(&tenant)?;
        let storing = async {
            match self.format {
                Format::Cdnow { file } => {
                    store(
                        Source::open(&file, cdnow::Reader::default())?,
                        &ingest,
                        &sender,
                    )
                    .await
                }
                Format::Csv { file, mapping } => {
                    store(
                        Source::open(&file, csv::Reader::new(mapping.into_columns()?))?,
                        &ingest,
                        &sender,
                    )
                    .await
                }
                Format::Ndjson { file, mapping } => {
                    store(
                        Source::open(&file, ndjson::Reader::new(mapping)?)?,
                        &ingest,
                        &sender,
                    )
                    .await
                }
            }
        };
        let result = stop.run_until_cancelled(storing).await;
        Box::pin(services.close()).await;
        let Some(result) = result else {
            return Err("stopped; run it again to go on".into());
        };
        let totals = result?;
        println!("{totals}");
        let left_out = totals.left_out();
        if left_out > 0 {
            return Err(format!("{left_out} events are not stored; the others are").into());
        }
        Ok(())
    }
}

/// A line's number, and what is wrong with it if it could not be read.
type Line = (u64, Option<String>);

/// What became of a file's events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Totals {
    accepted: u64,
    duplicates: u64,
    conflicts: u64,
    quarantined: u64,
    rejected: u64,
}

impl std::fmt::Display for Totals {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            accepted,
            duplicates,
            conflicts,
            quarantined,
            rejected,
        } = self;
        write!(
            out,
            "{accepted} accepted, {duplicates} duplicates, {conflicts} conflicts, {quarantined} quarantined, {rejected} rejected"
        )
    }
}

impl Totals {
    /// How many are not stored.
    fn left_out(&self) -> u64 {
        self.conflicts + self.quarantined + self.rejected
    }

    fn add(&mut self, lines: &[Line], receipts: &Receipts) {
        let mut receipts = receipts.receipts.iter();
        for (line, unreadable) in lines {
            if let Some(why) = unreadable {
                self.rejected += 1;
                if self.left_out() <= SHOWN {
                    eprintln!("line {line}: {why}");
                }
                continue;
            }
            let Some(receipt) = receipts.next() else {
                return;
            };
            let counter = match receipt.status {
                Status::Accepted => &mut self.accepted,
                Status::Duplicate => &mut self.duplicates,
                Status::Conflict => &mut self.conflicts,
                Status::Quarantined => &mut self.quarantined,
                Status::Rejected | Status::Pending => &mut self.rejected,
            };
            *counter += 1;
            let is_stored = matches!(receipt.status, Status::Accepted | Status::Duplicate);
            if !is_stored && self.left_out() <= SHOWN {
                let path = receipt.path.as_deref().unwrap_or("the event");
                let message = receipt.message.as_deref().unwrap_or_default();
                eprintln!("line {line}: {path}: {message}");
            }
        }
    }
}

/// Stores a whole file, several batches at a time.
async fn store<L: Lines>(
    mut source: Source<L>,
    ingest: &Ingest,
    sender: &Sender,
) -> Result<Totals, Failure> {
    let progress = source.progress("importing");
    let mut totals = Totals::default();
    let mut under_way = FuturesOrdered::new();
    loop {
        let events = source.next_batch(BATCH)?;
        let is_last = events.is_empty();
        if !is_last {
            under_way.push_back(take(ingest, sender, events));
        }
        while under_way.len() >= IN_FLIGHT || (is_last && !under_way.is_empty()) {
            if let Some(result) = under_way.next().await {
                let (lines, receipts) = result?;
                totals.add(&lines, &receipts);
            }
        }
        progress.set_position(source.bytes_read());
        if is_last {
            progress.finish();
            return Ok(totals);
        }
    }
}

/// Stores one batch, waiting while the database is away.
async fn take(
    ingest: &Ingest,
    sender: &Sender,
    batch: Batch,
) -> Result<(Vec<Line>, Receipts), Failure> {
    let (mut lines, mut events) = (Vec::with_capacity(batch.len()), Vec::new());
    for (line, event) in batch {
        lines.push((line, event.map(|event| events.push(event)).err()));
    }
    let body = serde_json::to_vec(&events)?;
    let mut attempt = 0;
    loop {
        let parsed = parse_batch(&body).map_err(|problem| problem.message().to_owned())?;
        match ingest.take(sender, parsed.drafts).await {
            Ok(receipts) => return Ok((lines, receipts)),
            Err(problem) if problem.code.retry_after().is_some() && attempt < PATIENCE => {
                attempt += 1;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Err(problem) => return Err(problem.message().to_owned().into()),
        }
    }
}
