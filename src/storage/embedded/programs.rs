//! The installation that a private PostgreSQL runs from: where its programs are, whether they fit
//! the data, and what they say when they fail.
//!
//! May import from `embedded` alone.

use std::fs;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::{EmbeddedError, failed};

/// The directory of PostgreSQL's programs: of the given installation, else of the one that was
/// used the last time, else of the one on the PATH if it has pgvector.
pub(super) fn find(
    installation: Option<&Path>,
    last_time: &Path,
) -> Result<PathBuf, EmbeddedError> {
    let is_whole = |bin: &PathBuf| bin.join("postgres").exists() && bin.join("initdb").exists();
    if let Some(installation) = installation {
        let found = installation.canonicalize();
        let bin = found
            .map_err(failed(installation.display().to_string()))?
            .join("bin");
        return Some(bin)
            .filter(is_whole)
            .ok_or(EmbeddedError::NotInstalled);
    }
    let last_time = fs::read_to_string(last_time).map(PathBuf::from);
    if let Some(bin) = last_time.ok().filter(is_whole) {
        return Ok(bin);
    }
    let ask = |what: &str| {
        let output = std::process::Command::new("pg_config")
            .arg(what)
            .output()
            .ok()?;
        Some(PathBuf::from(
            String::from_utf8_lossy(&output.stdout).trim(),
        ))
    };
    let bin = ask("--bindir")
        .filter(is_whole)
        .ok_or(EmbeddedError::NotInstalled)?;
    let vector = ask("--sharedir").map(|share| share.join("extension/vector.control"));
    if !vector.is_some_and(|vector| vector.exists()) {
        return Err(EmbeddedError::NoPgvector(bin));
    }
    Ok(bin)
}

/// Refuses data of another major version than this `postgres`, which it would, less clearly.
pub(super) async fn check_version(
    mut postgres: Command,
    directory: PathBuf,
) -> Result<(), EmbeddedError> {
    let data = fs::read_to_string(directory.join("PG_VERSION"));
    let data = data.map_err(failed(directory.display().to_string()))?;
    // The file is PostgreSQL's user's: nothing but a number is repeated.
    let data: String = data.chars().take_while(char::is_ascii_digit).collect();
    let output = postgres.output().await.map_err(failed(path(&postgres)))?;
    let installed = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let version = installed.split(' ').nth(2).unwrap_or_default();
    let major = version.split('.').next().unwrap_or_default();
    if major == data {
        return Ok(());
    }
    Err(EmbeddedError::OtherVersion {
        directory,
        data,
        installed,
    })
}

/// Runs one to its end.
pub(super) async fn run(program: &'static str, mut command: Command) -> Result<(), EmbeddedError> {
    let output = command.output().await.map_err(failed(path(&command)))?;
    if output.status.success() {
        return Ok(());
    }
    let output = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Err(EmbeddedError::Program { program, output })
}

/// Where a program is, for an error.
pub(super) fn path(command: &Command) -> String {
    Path::new(command.as_std().get_program())
        .display()
        .to_string()
}
