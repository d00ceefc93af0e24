//! `tidewater migrate up|down|status`.

use clap::{Args, Subcommand};

use super::Failure;
use crate::app::Home;
use crate::config::Config;
use crate::storage::{Db, schema};

/// What to do to the schema.
#[derive(Args, Debug)]
pub(super) struct Migrate {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Apply every step that is missing; waits while another process does so.
    Up,
    /// Take steps back, the newest first: their tables go with ALL DATA in them.
    Down {
        /// How many.
        #[arg(long, default_value_t = 1, conflicts_with = "all")]
        steps: u32,
        /// Every step.
        #[arg(long)]
        all: bool,
    },
    /// List the steps and whether they are applied.
    Status,
}

impl Migrate {
    pub(super) async fn run(self, config: Config) -> Result<(), Failure> {
        let home = match self.action {
            Action::Up => Home::share(&config).await?,
            Action::Down { .. } | Action::Status => Home::existing(&config).await?,
        };
        let result = self.act(home.url()).await;
        home.close().await;
        result
    }

    async fn act(self, url: &str) -> Result<(), Failure> {
        match self.action {
            Action::Up => schema::up(url).await?,
            Action::Down { steps, all } => schema::down(url, (!all).then_some(steps)).await?,
            Action::Status => {}
        }
        let db = Db::open(url, |_| ()).await?;
        let steps = schema::status(db.reads()).await?;
        db.close().await;
        for step in steps {
            let state = if step.applied { "applied" } else { "pending" };
            println!("{state}  {}", step.name);
        }
        Ok(())
    }
}
