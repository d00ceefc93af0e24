//! Where everything of a private PostgreSQL is, and whose.
//!
//! `home` is ours, so that what lies directly in it is as well: the records (`socket`, `programs`)
//! and `startup.log`. PostgreSQL's user has only `data`, `run` and `log` in it; were `home` its
//! own, it could put a link where root writes. May import from `embedded` alone.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, lchown, symlink};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use nix::unistd::{Uid, User};
use tokio::process::{Child, Command};

use super::{EmbeddedError, NAME, SOCKET, STOP_TIMEOUT, failed, programs};

/// Where PostgreSQL's files go when its own user cannot reach the data directory.
const ELSEWHERE: &str = "/var/lib/tidewater";
/// Where its socket goes when the path beside the data is too long.
const SHORT: &str = "/tmp";
/// A Unix socket's path has at most 107 bytes on Linux and 103 on macOS.
const MAX_SOCKET_PATH: usize = 100;
const PRIVATE: u32 = 0o700;
const READABLE: u32 = 0o755;

/// A user and its group.
#[derive(Clone, Copy, Debug)]
struct Owner {
    uid: u32,
    gid: u32,
}

impl Owner {
    const ROOT: Self = Self { uid: 0, gid: 0 };

    /// Whom PostgreSQL runs as: nobody else than we unless we are root.
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

    fn can_enter(self, directory: &Path) -> bool {
        use std::os::unix::process::CommandExt;
        let status = std::process::Command::new("test")
            .arg("-x")
            .arg(directory)
            .current_dir("/")
            .uid(self.uid)
            .gid(self.gid)
            .status();
        status.is_ok_and(|status| status.success())
    }
}

/// Where everything of a private PostgreSQL is.
#[derive(Debug)]
pub(super) struct Site {
    bin: PathBuf,
    home: PathBuf,
    socket_dir: PathBuf,
    owner: Option<Owner>,
}

impl Site {
    /// Finds or makes all of it but the data.
    pub(super) fn prepare(
        data_dir: &Path,
        installation: Option<&Path>,
    ) -> Result<Self, EmbeddedError> {
        let owner = Owner::find()?;
        let home = find_home(data_dir, owner)?;
        // First of all: from here on nobody else can put anything into it.
        own_home(&home, owner)?;
        own_dir(&home.join("log"), owner, PRIVATE)?;
        let socket_dir = find_socket_dir(&home, owner)?;
        let bin = programs::find(installation, &home.join("programs"))?;
        for (name, path) in [("socket", &socket_dir), ("programs", &bin)] {
            let record = home.join(name);
            create_anew(&record)?
                .write_all(path.as_os_str().as_encoded_bytes())
                .map_err(failed(record.display().to_string()))?;
        }
        Ok(Self {
            bin,
            home,
            socket_dir,
            owner,
        })
    }

    /// The directory that all of it is in, but for a socket whose path would be too long.
    pub(super) fn home(&self) -> &Path {
        &self.home
    }

    /// How to reach one of its databases.
    pub(super) fn url(&self, database: &str) -> String {
        super::url(&self.socket_dir, database)
    }

    fn data(&self) -> PathBuf {
        self.home.join("data")
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

    /// Makes the data directory, whole or not at all.
    pub(super) async fn make(&self) -> Result<(), EmbeddedError> {
        if self.data().exists() {
            return Ok(());
        }
        let unfinished = self.home.join("data.unfinished");
        if unfinished.symlink_metadata().is_ok() {
            fs::remove_dir_all(&unfinished).map_err(failed(unfinished.display().to_string()))?;
        }
        own_dir(&unfinished, self.owner, PRIVATE)?;
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
        programs::run("initdb", initdb).await?;
        fs::rename(&unfinished, self.data()).map_err(failed(unfinished.display().to_string()))
    }

    /// Refuses data of another major version than the installation's.
    pub(super) async fn check_version(&self) -> Result<(), EmbeddedError> {
        let mut postgres = self.program("postgres");
        postgres.arg("--version");
        programs::check_version(postgres, self.data()).await
    }

    /// Stops a PostgreSQL that a server before us left when it was killed; if it does not stop in
    /// time, at once, and it recovers when it is started.
    pub(super) async fn stop_leftover(&self) -> Result<(), EmbeddedError> {
        let mut stopped = Ok(());
        for mode in ["fast", "immediate"] {
            if !self.has_leftover() {
                return Ok(());
            }
            tracing::warn!(mode, "stopping the PostgreSQL that a killed server left");
            let mut pg_ctl = self.program("pg_ctl");
            pg_ctl.arg("-D").arg(self.data()).args(["-m", mode]);
            let patience = STOP_TIMEOUT.as_secs().to_string();
            pg_ctl.args(["-w", "-t", &patience, "stop"]);
            stopped = programs::run("pg_ctl", pg_ctl).await;
        }
        // It may have ended before it was told to.
        if self.has_leftover() { stopped } else { Ok(()) }
    }

    /// Whether one answers, or, where there is /proc, is there but does not answer: it recovers,
    /// or stops. The process that it wrote down may have ended and its number be another's.
    fn has_leftover(&self) -> bool {
        let works_here = || {
            let file = fs::read_to_string(self.data().join("postmaster.pid")).ok()?;
            let pid: u32 = file.lines().next()?.trim().parse().ok()?;
            let works_in = fs::read_link(format!("/proc/{pid}/cwd")).ok()?;
            Some(works_in == self.data().canonicalize().ok()?)
        };
        UnixStream::connect(self.socket_dir.join(SOCKET)).is_ok() || works_here() == Some(true)
    }

    /// Starts it.
    pub(super) fn spawn(&self) -> Result<Child, EmbeddedError> {
        let log = create_anew(&self.home.join("startup.log"))?;
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
            // What is refused is named in our own log; details quote rows, and rows are people's.
            "log_error_verbosity=terse",
            "log_min_error_statement=panic",
            log_directory.as_str(),
        ] {
            command.arg("-c").arg(setting);
        }
        command
            .stdout(log.try_clone().map_err(failed("startup.log"))?)
            .stderr(log)
            // Ctrl-C is for us: we stop PostgreSQL when we are done with it.
            .process_group(0);
        command.spawn().map_err(failed(programs::path(&command)))
    }
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
    if owner.is_none_or(|owner| owner.can_enter(&data_dir)) {
        return Ok(home);
    }
    let elsewhere = elsewhere()?.join(uuid::Uuid::new_v4().to_string());
    own_home(&elsewhere, owner)?;
    symlink(&elsewhere, &home).map_err(failed(home.display().to_string()))?;
    tracing::warn!(
        directory = %elsewhere.display(),
        "PostgreSQL's user cannot enter the data directory; the data goes elsewhere, a link tells where"
    );
    Ok(elsewhere)
}

/// Where nobody but root can put one directory in another's place.
fn elsewhere() -> Result<&'static Path, EmbeddedError> {
    let directory = Path::new(ELSEWHERE);
    if !directory.exists() {
        fs::create_dir_all(directory).map_err(failed(ELSEWHERE))?;
        own_dir(directory, Some(Owner::ROOT), READABLE)?;
    }
    let found = directory.symlink_metadata().map_err(failed(ELSEWHERE))?;
    if found.is_dir() && found.uid() == Owner::ROOT.uid && found.mode() & 0o022 == 0 {
        return Ok(directory);
    }
    let reason = "it must be a directory of root's that nobody else can write to";
    Err(failed(ELSEWHERE)(io::Error::other(reason)))
}

/// Beside the data, unless that path is too long for a socket.
fn find_socket_dir(home: &Path, owner: Option<Owner>) -> Result<PathBuf, EmbeddedError> {
    let beside = home.join("run");
    if beside.join(SOCKET).as_os_str().len() <= MAX_SOCKET_PATH {
        own_dir(&beside, owner, PRIVATE)?;
        return Ok(beside);
    }
    // Anybody may have made what has its name now.
    let uid = owner.map_or_else(|| Uid::effective().as_raw(), |owner| owner.uid);
    let is_its_own = |directory: &PathBuf| {
        let found = directory.symlink_metadata();
        directory.parent() == Some(Path::new(SHORT))
            && found.is_ok_and(|found| {
                found.is_dir() && found.uid() == uid && found.mode() & 0o7777 == PRIVATE
            })
    };
    let recorded = fs::read_to_string(home.join("socket")).map(PathBuf::from);
    if let Some(recorded) = recorded.ok().filter(is_its_own) {
        return Ok(recorded);
    }
    let name = format!("tidewater-{}", uuid::Uuid::new_v4().simple());
    let directory = Path::new(SHORT).join(name);
    own_dir(&directory, owner, PRIVATE)?;
    Ok(directory)
}

/// Ours; PostgreSQL's user, if it is another, can pass and read.
fn own_home(home: &Path, owner: Option<Owner>) -> Result<(), EmbeddedError> {
    match owner {
        Some(_) => own_dir(home, Some(Owner::ROOT), READABLE),
        None => own_dir(home, None, PRIVATE),
    }
}

/// Makes a directory if need be and gives it to its owner. It lies where nobody but us can put
/// another in its place; a link is not followed.
fn own_dir(directory: &Path, owner: Option<Owner>, mode: u32) -> Result<(), EmbeddedError> {
    let fail = || failed(directory.display().to_string());
    match DirBuilder::new().mode(PRIVATE).create(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(fail()(error)),
        _ => {}
    }
    if !directory.symlink_metadata().map_err(fail())?.is_dir() {
        return Err(EmbeddedError::NotADirectory(directory.to_owned()));
    }
    if let Some(Owner { uid, gid }) = owner {
        lchown(directory, Some(uid), Some(gid)).map_err(fail())?;
    }
    fs::set_permissions(directory, Permissions::from_mode(mode)).map_err(fail())
}

/// A new file in the place of the old one, or of a link.
fn create_anew(path: &Path) -> Result<File, EmbeddedError> {
    let fail = || failed(path.display().to_string());
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fail()(error)),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(fail())
}
