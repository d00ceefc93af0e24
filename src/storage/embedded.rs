//! A private PostgreSQL in the data directory: made, started, supervised and stopped by us.
//!
//! It keeps its defaults for durability, listens on a Unix socket alone, and never runs as root:
//! when we do, it runs as an unprivileged user. A lock file, which the kernel frees when we die,
//! keeps a second server out. If we were killed, the PostgreSQL that we left is stopped and
//! started anew; what had committed is there.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown, symlink};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid, User};
use sea_orm::sqlx::{
    self, AssertSqlSafe, ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions,
};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The database's name and its superuser's.
const NAME: &str = "tidewater";
/// Where PostgreSQL's data goes when its own user cannot reach the data directory.
const ELSEWHERE: &str = "/var/lib/tidewater";
/// A Unix socket's path has at most 107 bytes on Linux and 103 on macOS.
const MAX_SOCKET_PATH: usize = 100;
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
    #[error("PostgreSQL did not start; see {0}")]
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
        let mut child = site.start().await?;
        if let Err(error) = site.ensure_database().await {
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
    UnixStream::connect(socket_dir.join(".s.PGSQL.5432")).ok()?;
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

/// Whom PostgreSQL runs as when we are root.
#[derive(Clone, Copy, Debug)]
struct Owner {
    uid: u32,
    gid: u32,
}

impl Owner {
    /// Nobody else unless we are root.
    fn find() -> Result<Option<Self>, EmbeddedError> {
        const USERS: &[&str] = &["tidewater", "postgres", "nobody"];
        if !Uid::effective().is_root() {
            return Ok(None);
        }
        let find = |name: &&str| User::from_name(name).ok().flatten();
        let user = USERS
            .iter()
            .find_map(find)
            .ok_or(EmbeddedError::NoUser(USERS))?;
        Ok(Some(Self {
            uid: user.uid.as_raw(),
            gid: user.gid.as_raw(),
        }))
    }
}

/// Where everything of a private PostgreSQL is.
#[derive(Debug)]
struct Site {
    bin: PathBuf,
    home: PathBuf,
    socket_dir: PathBuf,
    owner: Option<Owner>,
}

impl Site {
    fn prepare(data_dir: &Path, installation: Option<&Path>) -> Result<Self, EmbeddedError> {
        let owner = Owner::find()?;
        let home = find_home(data_dir, owner)?;
        own_dir(&home, owner)?;
        let bin = find_programs(installation, &home)?;
        let socket_dir = find_socket_dir(&home)?;
        own_dir(&socket_dir, owner)?;
        own_dir(&home.join("log"), owner)?;
        for (name, path) in [("socket", &socket_dir), ("programs", &bin)] {
            let record = home.join(name);
            fs::write(&record, path.as_os_str().as_encoded_bytes())
                .map_err(failed(record.display().to_string()))?;
        }
        Ok(Self {
            bin,
            home,
            socket_dir,
            owner,
        })
    }

    fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    fn url(&self, database: &str) -> String {
        url(&self.socket_dir, database)
    }

    /// One of PostgreSQL's programs, as the user that it runs as.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.bin.join(name));
        command.current_dir(&self.home).stdin(Stdio::null());
        // The environment may speak of another server.
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"PG"))
        {
            command.env_remove(name);
        }
        if let Some(owner) = self.owner {
            command.uid(owner.uid).gid(owner.gid);
        }
        command
    }

    async fn run(&self, program: &'static str, mut command: Command) -> Result<(), EmbeddedError> {
        let output = command
            .output()
            .await
            .map_err(failed(self.bin.join(program).display().to_string()))?;
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

    /// Makes the data directory, whole or not at all.
    async fn make(&self) -> Result<(), EmbeddedError> {
        if self.data().exists() {
            return Ok(());
        }
        let unfinished = self.home.join("data.unfinished");
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).map_err(failed(unfinished.display().to_string()))?;
        }
        tracing::info!(directory = %self.home.display(), "making a private PostgreSQL");
        let mut initdb = self.program("initdb");
        initdb.arg("-D").arg(&unfinished).args([
            "-U",
            NAME,
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-locale",
            "--data-checksums",
        ]);
        self.run("initdb", initdb).await?;
        fs::rename(&unfinished, self.data()).map_err(failed(unfinished.display().to_string()))
    }

    /// Refuses data of another major version, which PostgreSQL would, less clearly.
    async fn check_version(&self) -> Result<(), EmbeddedError> {
        let directory = self.data();
        let data = fs::read_to_string(directory.join("PG_VERSION"));
        let data = data.map_err(failed(directory.display().to_string()))?;
        let output = self.program("postgres").arg("--version").output().await;
        let output = output.map_err(failed(self.bin.join("postgres").display().to_string()))?;
        let installed = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let version = installed.split(' ').nth(2).unwrap_or_default();
        let major = version.split('.').next().unwrap_or_default();
        if major == data.trim() {
            return Ok(());
        }
        Err(EmbeddedError::OtherVersion {
            directory,
            data: data.trim().to_owned(),
            installed,
        })
    }

    /// Stops a PostgreSQL that a server before us left when it was killed.
    async fn stop_leftover(&self) -> Result<(), EmbeddedError> {
        if UnixStream::connect(self.socket_dir.join(".s.PGSQL.5432")).is_err() {
            return Ok(());
        }
        tracing::warn!("stopping the PostgreSQL that a killed server left");
        let mut pg_ctl = self.program("pg_ctl");
        pg_ctl
            .arg("-D")
            .arg(self.data())
            .args(["-m", "fast", "-w", "stop"]);
        self.run("pg_ctl", pg_ctl).await
    }

    fn spawn(&self) -> Result<Child, EmbeddedError> {
        let path = self.home.join("log/startup.log");
        let log = File::create(&path).map_err(failed(path.display().to_string()))?;
        let log_directory = format!("log_directory={}", self.home.join("log").display());
        let mut command = self.program("postgres");
        command
            .arg("-D")
            .arg(self.data())
            .arg("-k")
            .arg(&self.socket_dir);
        for setting in [
            "listen_addresses=",
            "unix_socket_permissions=0700",
            "max_connections=60",
            "max_locks_per_transaction=256",
            "shared_buffers=256MB",
            "max_wal_size=4GB",
            "wal_compression=on",
            // One file for each day of the week.
            "logging_collector=on",
            "log_filename=postgresql-%a.log",
            "log_truncate_on_rotation=on",
            "log_rotation_age=1d",
            "log_rotation_size=0",
            log_directory.as_str(),
        ] {
            command.arg("-c").arg(setting);
        }
        command
            .stdout(log.try_clone().map_err(failed("startup.log"))?)
            .stderr(log)
            // Ctrl-C is for us: we stop PostgreSQL when we are done with it.
            .process_group(0);
        command
            .spawn()
            .map_err(failed(self.bin.join("postgres").display().to_string()))
    }

    /// Starts it and waits until it answers. One that ends at once is tried again: the last
    /// processes of a PostgreSQL that was killed may still hold its shared memory.
    async fn start(&self) -> Result<Child, EmbeddedError> {
        let mut attempt = 1;
        loop {
            let mut child = self.spawn()?;
            let Err(error) = self.wait_until_ready(&mut child).await else {
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

    async fn wait_until_ready(&self, child: &mut Child) -> Result<(), EmbeddedError> {
        let ready = async {
            loop {
                let exited = child.try_wait().map_err(failed("postgres"))?.is_some();
                if exited {
                    return Err(EmbeddedError::NotReady(self.home.join("log")));
                }
                if let Ok(connection) = connect(&self.url("postgres")).await {
                    return Ok(connection.close().await?);
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(START_TIMEOUT, ready)
            .await
            .unwrap_or_else(|_| Err(EmbeddedError::NotReady(self.home.join("log"))))
    }

    async fn ensure_database(&self) -> Result<(), EmbeddedError> {
        let mut connection = connect(&self.url("postgres")).await?;
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

/// The directory of PostgreSQL's programs: of the given installation, else of the one that was
/// used the last time, else of the one on the PATH if it has pgvector.
fn find_programs(installation: Option<&Path>, home: &Path) -> Result<PathBuf, EmbeddedError> {
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
    let last_time = fs::read_to_string(home.join("programs")).map(PathBuf::from);
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

/// Below the data directory, or where the owner can go, with a link to it.
fn find_home(data_dir: &Path, owner: Option<Owner>) -> Result<PathBuf, EmbeddedError> {
    let data_dir = data_dir
        .canonicalize()
        .map_err(failed(data_dir.display().to_string()))?;
    let home = data_dir.join("postgres");
    if let Ok(linked) = home.canonicalize() {
        return Ok(linked);
    }
    // A link to what is gone.
    let _ = fs::remove_file(&home);
    let Some(owner) = owner.filter(|owner| !can_enter(*owner, &data_dir)) else {
        return Ok(home);
    };
    fs::create_dir_all(ELSEWHERE).map_err(failed(ELSEWHERE))?;
    let elsewhere = Path::new(ELSEWHERE).join(uuid::Uuid::new_v4().to_string());
    own_dir(&elsewhere, Some(owner))?;
    symlink(&elsewhere, &home).map_err(failed(home.display().to_string()))?;
    tracing::warn!(
        directory = %elsewhere.display(),
        "PostgreSQL's user cannot enter the data directory; the data goes elsewhere, a link tells where"
    );
    Ok(elsewhere)
}

fn can_enter(owner: Owner, directory: &Path) -> bool {
    use std::os::unix::process::CommandExt;
    let status = std::process::Command::new("test")
        .arg("-x")
        .arg(directory)
        .current_dir("/")
        .uid(owner.uid)
        .gid(owner.gid)
        .status();
    status.is_ok_and(|status| status.success())
}

/// Beside the data, unless that path is too long for a socket.
fn find_socket_dir(home: &Path) -> Result<PathBuf, EmbeddedError> {
    let beside = home.join("run");
    if beside.as_os_str().len() + "/.s.PGSQL.5432".len() <= MAX_SOCKET_PATH {
        return Ok(beside);
    }
    let recorded = fs::read_to_string(home.join("socket")).map(PathBuf::from);
    if let Ok(recorded) = recorded
        && recorded.exists()
    {
        return Ok(recorded);
    }
    let directory = Path::new("/tmp").join(format!("tidewater-{}", uuid::Uuid::new_v4().simple()));
    fs::DirBuilder::new()
        .mode(0o700)
        .create(&directory)
        .map_err(failed(directory.display().to_string()))?;
    Ok(directory)
}

/// A directory that belongs to PostgreSQL's user alone.
fn own_dir(directory: &Path, owner: Option<Owner>) -> Result<(), EmbeddedError> {
    let fail = || failed(directory.display().to_string());
    fs::create_dir_all(directory).map_err(fail())?;
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700)).map_err(fail())?;
    if let Some(Owner { uid, gid }) = owner {
        chown(directory, Some(uid), Some(gid)).map_err(fail())?;
    }
    Ok(())
}
