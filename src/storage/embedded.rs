//! A private PostgreSQL in the data directory: made, started, supervised and stopped by us.
//!
//! It keeps its defaults for durability, listens on a Unix socket alone, and never runs as root:
//! when we do, it runs as an unprivileged user. A lock file, which the kernel frees when we die,
//! keeps a second server out. If we were killed, the PostgreSQL that we left is stopped and
//! started anew; what had committed is there.
//!
//! `site` is where its files are and whose, `programs` the installation that it runs from.

mod programs;
mod site;

use std::fs::{self, File};
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sea_orm::sqlx::{
    self, AssertSqlSafe, ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions,
};
use tokio::process::Child;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use site::Site;

/// The database's name and its superuser's.
const NAME: &str = "tidewater";
/// The name of PostgreSQL's socket in its directory.
const SOCKET: &str = ".s.PGSQL.5432";
/// Recovery after a crash reads back at most what one checkpoint left.
const START_TIMEOUT: Duration = Duration::from_mins(5);
/// How often it may end at once when it is started.
const START_ATTEMPTS: u32 = 10;
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
const RESTART_AFTER: Duration = Duration::from_millis(500);

/// Why there is no private PostgreSQL.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// Another server has the data directory.
    #[error(
        "another tidewater is running on the data directory {0}; stop it, or choose another one with TIDEWATER_DATA_DIR"
    )]
    InUse(PathBuf),
    /// There is no PostgreSQL to run.
    #[error(
        "no PostgreSQL was found: set TIDEWATER_POSTGRES_DIR to an installation with pgvector (`make run` fetches one), or DATABASE_URL to a server"
    )]
    NotInstalled,
    /// We are root, and there is no other user.
    #[error("PostgreSQL does not run as root, and there is none of the users {0:?} to run it as")]
    NoUser(&'static [&'static str]),
    /// Something about files.
    #[error("{0}: {1}")]
    File(String, #[source] io::Error),
    /// A link or a file is where we would give PostgreSQL's user a directory.
    #[error("{0} is not a directory but a link or a file; remove it, and it is made anew")]
    NotADirectory(PathBuf),
    /// The data was made by another PostgreSQL.
    #[error(
        "the data in {directory} is PostgreSQL {data}'s, but {installed} is installed: set TIDEWATER_POSTGRES_DIR to an installation of version {data}, or move the data with pg_dump"
    )]
    OtherVersion {
        /// Where.
        directory: PathBuf,
        /// The data's major version.
        data: String,
        /// What the installation says of itself.
        installed: String,
    },
    /// There is no vector search without it.
    #[error(
        "the PostgreSQL in {0} has no pgvector: install it, or set TIDEWATER_POSTGRES_DIR to an installation that has it (`make run` fetches one)"
    )]
    NoPgvector(PathBuf),
    /// A program of PostgreSQL's failed.
    #[error("{program} failed: {output}")]
    Program {
        /// Which.
        program: &'static str,
        /// What it said.
        output: String,
    },
    /// It does not get ready.
    #[error("PostgreSQL did not start; see startup.log and log in {0}")]
    NotReady(PathBuf),
    /// It answers, but not as it should.
    #[error("the private PostgreSQL: {0}")]
    Sql(#[from] sqlx::Error),
}

/// A private PostgreSQL that runs.
#[derive(Debug)]
pub struct Embedded {
    url: String,
    stop: CancellationToken,
    supervisor: JoinHandle<()>,
    // Freed last.
    _lock: File,
}

impl Embedded {
    /// Makes it if need be, starts it and waits until it answers.
    ///
    /// # Errors
    /// See [`EmbeddedError`].
    pub async fn start(
        data_dir: &Path,
        installation: Option<&Path>,
    ) -> Result<Self, EmbeddedError> {
        let lock = lock(data_dir)?;
        let site = Site::prepare(data_dir, installation)?;
        site.make().await?;
        site.check_version().await?;
        site.stop_leftover().await?;
        let mut child = start(&site).await?;
        if let Err(error) = ensure_database(&site).await {
            stop_child(&mut child).await;
            return Err(error);
        }
        let url = site.url(NAME);
        let stop = CancellationToken::new();
        let supervisor = tokio::spawn(supervise(site, child, stop.clone()));
        Ok(Self {
            url,
            stop,
            supervisor,
            _lock: lock,
        })
    }

    /// How to reach its database.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Stops it cleanly.
    pub async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.supervisor.await {
            tracing::error!(%error, "the supervisor of PostgreSQL failed");
        }
    }
}

/// How to reach the database of a server that already runs on this data directory.
#[must_use]
pub fn running(data_dir: &Path) -> Option<String> {
    let socket_dir = fs::read_to_string(data_dir.join("postgres/socket")).ok()?;
    let socket_dir = PathBuf::from(socket_dir.trim());
    UnixStream::connect(socket_dir.join(SOCKET)).ok()?;
    Some(url(&socket_dir, NAME))
}

fn url(socket_dir: &Path, database: &str) -> String {
    let bytes = socket_dir.as_os_str().as_encoded_bytes();
    let host = bytes
        .iter()
        .fold(String::new(), |host, byte| format!("{host}%{byte:02X}"));
    format!("postgres://{NAME}@localhost/{database}?host={host}")
}

fn failed(what: impl Into<String>) -> impl FnOnce(io::Error) -> EmbeddedError {
    let what = what.into();
    |error| EmbeddedError::File(what, error)
}

fn lock(data_dir: &Path) -> Result<File, EmbeddedError> {
    fs::create_dir_all(data_dir).map_err(failed(data_dir.display().to_string()))?;
    let path = data_dir.join("lock");
    let file = File::create(&path).map_err(failed(path.display().to_string()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(EmbeddedError::InUse(data_dir.to_owned())),
        Err(fs::TryLockError::Error(error)) => Err(failed("locking the data directory")(error)),
    }
}

/// Starts it and waits until it answers. One that ends at once is tried again: the last
/// processes of a PostgreSQL that was killed may still hold its shared memory.
async fn start(site: &Site) -> Result<Child, EmbeddedError> {
    let mut attempt = 1;
    loop {
        let mut child = site.spawn()?;
        let Err(error) = wait_until_ready(site, &mut child).await else {
            return Ok(child);
        };
        let ended = child.try_wait().is_ok_and(|exit| exit.is_some());
        if !ended || attempt == START_ATTEMPTS {
            stop_child(&mut child).await;
            return Err(error);
        }
        attempt += 1;
        tokio::time::sleep(RESTART_AFTER).await;
    }
}

async fn wait_until_ready(site: &Site, child: &mut Child) -> Result<(), EmbeddedError> {
    let ready = async {
        loop {
            let exited = child.try_wait().map_err(failed("postgres"))?.is_some();
            if exited {
                return Err(EmbeddedError::NotReady(site.home().to_owned()));
            }
            if let Ok(connection) = connect(&site.url("postgres")).await {
                return Ok(connection.close().await?);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(START_TIMEOUT, ready)
        .await
        .unwrap_or_else(|_| Err(EmbeddedError::NotReady(site.home().to_owned())))
}

async fn ensure_database(site: &Site) -> Result<(), EmbeddedError> {
    let mut connection = connect(&site.url("postgres")).await?;
    let exists: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
            .bind(NAME)
            .fetch_one(&mut connection)
            .await?;
    if !exists {
        sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {NAME}")))
            .execute(&mut connection)
            .await?;
    }
    Ok(connection.close().await?)
}
async fn connect(url: &str) -> Result<PgConnection, sqlx::Error> {
    url.parse::<PgConnectOptions>()?.connect().await
}

/// Restarts PostgreSQL when it ends, until we stop it.
async fn supervise(site: Site, mut child: Child, stop: CancellationToken) {
    while let Some(exit) = stop.run_until_cancelled(child.wait()).await {
        tracing::error!(?exit, "the private PostgreSQL ended; starting it again");
        // Its last processes may still hold the shared memory.
        loop {
            tokio::time::sleep(RESTART_AFTER).await;
            if stop.is_cancelled() {
                return;
            }
            match site.spawn() {
                Ok(next) => {
                    child = next;
                    break;
                }
                Err(error) => tracing::error!(%error, "PostgreSQL cannot be started"),
            }
        }
    }
    stop_child(&mut child).await;
}

/// Asks for a fast shutdown (sessions end, a checkpoint is written), then for an immediate one
/// (ends at once, recovers at the next start).
async fn stop_child(child: &mut Child) {
    for signal in [Signal::SIGINT, Signal::SIGQUIT] {
        let Some(pid) = child.id().and_then(|id| i32::try_from(id).ok()) else {
            return;
        };
        if let Err(error) = kill(Pid::from_raw(pid), signal) {
            tracing::error!(%error, "PostgreSQL cannot be stopped");
        }
        if tokio::time::timeout(STOP_TIMEOUT, child.wait())
            .await
            .is_ok()
        {
            return;
        }
    }
}
