//! `tidewater audit verify`.

use std::fmt::Write as _;

use clap::{Args, Subcommand};

use super::Failure;
use crate::app::Home;
use crate::config::Config;
use crate::storage::queries::audit::{Verdict, verify};
use crate::storage::{Db, schema};

/// What to do to the audit log.
#[derive(Args, Debug)]
pub(super) struct Audit {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Look whether each entry is as it was written and follows from the one before it. Prints how
    /// many there are and the hash of the last; note both elsewhere.
    Verify {
        /// What was printed before, as `12:3f…`: that entry must still be there, and the same.
        #[arg(long, value_name = "ENTRY:HASH")]
        noted: Option<String>,
    },
}

impl Audit {
    pub(super) async fn run(self, config: Config) -> Result<(), Failure> {
        let home = Home::existing(&config).await?;
        let result = self.act(home.url()).await;
        home.close().await;
        result
    }

    async fn act(self, url: &str) -> Result<(), Failure> {
        schema::up(url).await?;
        let db = Db::open(url, |_| ()).await?;
        let Action::Verify { noted } = self.action;
        let verdict = match noted.as_deref().map(read).transpose() {
            Ok(noted) => verify(db.reads(), noted).await.map_err(Failure::from),
            Err(failure) => Err(failure),
        };
        db.close().await;
        match verdict? {
            Verdict::Whole { entries, hash } => {
                println!("{entries}:{}", hex(&hash));
                Ok(())
            }
            Verdict::Broken { entry, why } => {
                Err(format!("the audit log is broken at entry {entry}: {why}").into())
            }
        }
    }
}

/// An entry and its hash, as they were printed.
fn read(noted: &str) -> Result<(i64, Vec<u8>), Failure> {
    let unfit = || format!("`{noted}` is not what `tidewater audit verify` prints");
    let (entry, hash) = noted.split_once(':').ok_or_else(unfit)?;
    let byte = |at| u8::from_str_radix(hash.get(at..at + 2)?, 16).ok();
    let bytes: Option<Vec<u8>> = (0..hash.len()).step_by(2).map(byte).collect();
    Ok((
        entry.parse().map_err(|_| unfit())?,
        bytes.ok_or_else(unfit)?,
    ))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a text cannot fail");
        text
    })
}
