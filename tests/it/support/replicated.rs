//! A primary and a standby that follows it, made for a test.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid, User};
use sea_orm::sqlx::{Connection, PgConnection};
use tempfile::TempDir;

use super::{free_port, services};

/// What an ordinary role is called.
const ROLE: &str = "shop";

/// A PostgreSQL in a directory.
struct Postgres {
    data: PathBuf,
    port: u16,
    process: Option<Child>,
}

impl Postgres {
    fn start(&mut self) {
        let mut command = program("postgres");
        command.arg("-D").arg(&self.data);
        self.process = Some(command.spawn().unwrap());
    }

    /// Ends its sessions and then itself.
    fn stop(&mut self, how: Signal) {
        if let Some(mut process) = self.process.take() {
            let pid = Pid::from_raw(process.id().try_into().unwrap());
            kill(pid, how).unwrap();
            process.wait().unwrap();
        }
    }

    fn url(&self, role: &str) -> String {
        format!("postgres://{role}@127.0.0.1:{}/postgres", self.port)
    }

    async fn until_it_answers(&self) {
        let connected = async {
            while PgConnection::connect(&self.url("tidewater")).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), connected)
            .await
            .expect("a PostgreSQL does not start");
    }

    fn set(&self, settings: &str) {
        let file = self.data.join("postgresql.conf");
        let mut file = fs::OpenOptions::new().append(true).open(file).unwrap();
        writeln!(file, "port = {}\n{settings}", self.port).unwrap();
    }
}

/// A primary and its standby; both end with the test.
pub struct Replicated {
    primary: Postgres,
    standby: Postgres,
    _home: TempDir,
}

impl Replicated {
    /// Makes and starts both.
    pub async fn start() -> Self {
        let mut builder = tempfile::Builder::new();
        let readable = fs::Permissions::from_mode(0o755);
        let home = builder.permissions(readable).tempdir().unwrap();
        let postgres = |name: &str| {
            let data = home.path().join(name);
            fs::DirBuilder::new().create(&data).unwrap();
            fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).unwrap();
            if let Some(user) = user() {
                chown(&data, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
            }
            Postgres {
                data,
                port: free_port(),
                process: None,
            }
        };
        let (mut primary, mut standby) = (postgres("primary"), postgres("standby"));
        let initdb = [
            "-U",
            "tidewater",
            "--auth=trust",
            "-E",
            "UTF8",
            "--locale=C",
        ];
        run(program("initdb")
            .args(initdb)
            .arg("--no-sync")
            .arg(&primary.data));
        // Nothing here has to survive the machine. What is deleted on the primary is taken from
        // the standby's questions at once.
        primary.set(
            "listen_addresses = '127.0.0.1'
             unix_socket_directories = ''
             shared_buffers = 32MB
             fsync = off
             autovacuum = off
             wal_keep_size = 256MB
             max_standby_streaming_delay = 0
             wal_retrieve_retry_interval = 100ms",
        );
        primary.start();
        primary.until_it_answers().await;
        let basebackup = [
            "-U",
            "tidewater",
            "-R",
            "-c",
            "fast",
            "--no-sync",
            "-h",
            "127.0.0.1",
        ];
        let port = primary.port.to_string();
        let mut command = program("pg_basebackup");
        run(command
            .args(basebackup)
            .args(["-p", &port, "-D"])
            .arg(&standby.data));
        standby.set("");
        standby.start();
        standby.until_it_answers().await;
        Self {
            primary,
            standby,
            _home: home,
        }
    }

    /// How its superuser reaches the primary.
    pub fn primary(&self) -> String {
        self.primary.url("tidewater")
    }

    /// How its superuser reaches the standby.
    pub fn standby(&self) -> String {
        self.standby.url("tidewater")
    }

    /// The same for a role that may do nothing but what its database lets it.
    pub fn ordinary(&self) -> (String, String) {
        (self.primary.url(ROLE), self.standby.url(ROLE))
    }

    /// Where the standby is.
    pub fn standby_host(&self) -> String {
        format!("127.0.0.1:{}", self.standby.port)
    }

    /// Stops the primary.
    pub fn stop_primary(&mut self) {
        self.primary.stop(Signal::SIGINT);
    }

    /// Starts it again.
    pub async fn start_primary(&mut self) {
        self.primary.start();
        self.primary.until_it_answers().await;
    }

    /// Stops the standby.
    pub fn stop_standby(&mut self) {
        self.standby.stop(Signal::SIGINT);
    }

    /// Starts it again.
    pub async fn start_standby(&mut self) {
        self.standby.start();
        self.standby.until_it_answers().await;
    }
}

impl Drop for Replicated {
    fn drop(&mut self) {
        self.standby.stop(Signal::SIGQUIT);
        self.primary.stop(Signal::SIGQUIT);
    }
}

/// Whom PostgreSQL runs as: nobody else than we unless we are root.
fn user() -> Option<User> {
    let find = |name| User::from_name(name).unwrap();
    let is_root = Uid::effective().is_root();
    is_root.then(|| find("postgres").or(find("nobody")).unwrap())
}

/// A program of PostgreSQL's.
fn program(name: &str) -> Command {
    let mut command = Command::new(Path::new(&services().postgres_dir).join("bin").join(name));
    command
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if let Some(user) = user() {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    command
}

fn run(command: &mut Command) {
    let output = command.stderr(Stdio::piped()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
}
