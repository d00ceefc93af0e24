//! The command line: one subcommand a file.
//!
//! A command prints its result to standard output and everything else to standard error; it exits
//! 0 when all went well, 1 when not. The next command: a file and a line in [`Command`].

#![allow(clippy::doc_markdown, reason = "help texts are read on terminals")]

mod audit;
mod demo;
mod healthcheck;
mod import;
mod keys;
pub mod load;
mod migrate;
mod openapi;
mod privacy;
mod rollups;
mod schema;
mod serve;
mod tenants;
mod worker;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::telemetry::logs;

/// Real-time commerce analytics: events in, exact metrics out, live.
#[derive(Debug, Parser)]
#[command(name = "tidewater", version, about, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    config: Config,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server: the API and the background jobs.
    Serve(serve::Serve),
    /// Run the background jobs and store what lies in the streams, without the API.
    Worker,
    /// Bring the database's schema up or down, or show where it stands.
    Migrate(migrate::Migrate),
    /// Store orders or events from a file; a second run of the same file changes nothing.
    Import(import::Import),
    /// Load a made-up shop into a running server and keep sending it traffic.
    Demo(demo::Demo),
    /// Send made-up events to a running server, fast, and check that all of them are stored.
    Load(load::Load),
    /// Make, list, rotate and revoke API keys.
    Keys(keys::Keys),
    /// Make and list tenants.
    Tenants(tenants::Tenants),
    /// Look whether the audit log is as it was written.
    Audit(audit::Audit),
    /// Make the rollups anew from the facts where they say something else, beside a running server.
    Rollups(rollups::Rollups),
    /// Print what is kept of a person, or take a person out of everything that is kept.
    Privacy(privacy::Privacy),
    /// Print the GraphQL schema.
    Schema,
    /// Print the OpenAPI document of the REST addresses.
    Openapi,
    /// Ask a running server whether it is ready.
    Healthcheck(healthcheck::Healthcheck),
}

/// Why a command failed, for the one who called it.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Reads the command line and does what it says.
pub async fn run() -> ExitCode {
    let Cli { config, command } = Cli::parse();
    if let Err(error) = logs::init(&config.logs.filter) {
        eprintln!("tidewater: {error}");
        return ExitCode::FAILURE;
    }
    let result = match command {
        Command::Serve(command) => command.run(config).await,
        Command::Worker => worker::run(config).await,
        Command::Migrate(command) => command.run(config).await,
        Command::Import(command) => command.run(config).await,
        Command::Demo(command) => command.run().await,
        Command::Load(command) => command.run().await,
        Command::Keys(command) => command.run(config).await,
        Command::Tenants(command) => command.run(config).await,
        Command::Audit(command) => command.run(config).await,
        Command::Rollups(command) => command.run(config).await,
        Command::Privacy(command) => command.run(config).await,
        Command::Schema => schema::run(),
        Command::Openapi => openapi::run(),
        Command::Healthcheck(command) => command.run(&config).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tidewater: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Every environment variable that the command line reads, each once, with its default, in order.
#[must_use]
pub fn variables() -> Vec<(String, Option<String>)> {
    let cli = Cli::command();
    let commands = std::iter::once(&cli).chain(cli.get_subcommands());
    let arguments = commands.flat_map(clap::Command::get_arguments);
    let variable = |argument: &clap::Arg| {
        let name = argument.get_env()?.to_string_lossy().into_owned();
        let default = argument.get_default_values().first();
        let default = default.map(|value| value.to_string_lossy().into_owned());
        Some((name, default))
    };
    let mut all: Vec<(String, Option<String>)> = Vec::new();
    for variable in arguments.filter_map(variable) {
        // Two commands send with the same key.
        if !all.contains(&variable) {
            all.push(variable);
        }
    }
    all
}

/// Cancelled by Ctrl-C or a TERM.
fn stop_signal() -> Result<CancellationToken, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let token = CancellationToken::new();
    let stop = token.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        stop.cancel();
    });
    Ok(token)
}
