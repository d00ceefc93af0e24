//! The private PostgreSQL in the data directory, on which a server runs that is given no database.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};
use reqwest::{Method, StatusCode};
use sea_orm::sqlx::postgres::PgConnectOptions;
use sea_orm::sqlx::{self, ConnectOptions, PgConnection};
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use crate::support::{KEY, Order, Process, answer, program};

const TOTALS: &str = r#"{
    sales(range: {from: "2026-03-01T00:00:00Z", to: "2026-03-02T00:00:00Z"}) {
        totals { revenue orders units buyers }
    }
}"#;

/// A data directory; whatever runs in it, or was put elsewhere for it, goes with the test.
struct DataDir(TempDir);

impl DataDir {
    fn new() -> Self {
        Self::named(".tmp", 0o755)
    }

    /// A directory that nobody else can enter.
    fn private() -> Self {
        Self::named(".tmp", 0o700)
    }

    /// A directory whose path is too long for a socket.
    fn with_a_long_path() -> Self {
        Self::named(&"long".repeat(25), 0o755)
    }

    fn named(prefix: &str, mode: u32) -> Self {
        let mut builder = tempfile::Builder::new();
        builder
            .prefix(prefix)
            .permissions(fs::Permissions::from_mode(mode));
        Self(builder.tempdir().unwrap())
    }

    fn path(&self) -> &str {
        self.0.path().to_str().unwrap()
    }

    /// Where PostgreSQL's files are: below, or behind a link if its user cannot come here.
    fn home(&self) -> PathBuf {
        self.0.path().join("postgres").canonicalize().unwrap()
    }

    /// Where PostgreSQL's socket is.
    fn socket_dir(&self) -> PathBuf {
        fs::read_to_string(self.home().join("socket"))
            .unwrap()
            .into()
    }

    /// The first process of PostgreSQL, if one runs.
    fn postmaster(&self) -> Option<Pid> {
        let file = fs::read_to_string(self.home().join("data/postmaster.pid")).ok()?;
        let pid = Pid::from_raw(file.lines().next()?.parse().ok()?);
        is_running(pid).then_some(pid)
    }

    /// All of its processes.
    fn processes(&self) -> Vec<Pid> {
        let Some(postmaster) = self.postmaster() else {
            return Vec::new();
        };
        let mut all = vec![postmaster];
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let pid = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok());
            if let Some(pid) = pid.map(Pid::from_raw)
                && status_of(pid, "PPid").is_some_and(|parent| parent == postmaster.to_string())
            {
                all.push(pid);
            }
        }
        all
    }

    /// Starts a server here and waits until it is ready.
    async fn serve(&self) -> Process {
        Process::serve(&[("TIDEWATER_DATA_DIR", self.path())]).await
    }

    /// Runs the program here.
    async fn run(&self, arguments: &[&str]) -> Output {
        let mut command = program();
        command
            .args(arguments)
            .env("TIDEWATER_DATA_DIR", self.path());
        command.output().await.unwrap()
    }

    /// Connects to its PostgreSQL beside the server.
    async fn connect(&self) -> PgConnection {
        let options = PgConnectOptions::new_without_pgpass();
        let options = options
            .socket(self.socket_dir())
            .username("tidewater")
            .database("tidewater");
        options.connect().await.unwrap()
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        let Ok(home) = self.0.path().join("postgres").canonicalize() else {
            return;
        };
        for pid in self.processes() {
            let _ = kill(pid, Signal::SIGKILL);
        }
        let _ = fs::remove_dir_all(home);
    }
}

/// A line of what the kernel tells of a process.
fn status_of(pid: Pid, name: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(line.split_whitespace().next()?.to_owned())
}

/// Whether a process is there and not merely waiting for its parent to take note of its end.
fn is_running(pid: Pid) -> bool {
    status_of(pid, "State").is_some_and(|state| state != "Z")
}

async fn ask(process: &Process, key: &str) -> (StatusCode, Value) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.request(Method::POST, format!("{}/graphql", process.url));
    answer(request.bearer_auth(key).json(&json!({"query": TOTALS}))).await
}

async fn orders(process: &Process) -> Value {
    let (_, mut answer) = ask(process, KEY).await;
    answer["data"]["sales"]["totals"]["orders"].take()
}

async fn sell(process: &Process, orders: usize) {
    let batch: Vec<Value> = (0..orders).map(|_| Order::of("mug").event()).collect();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client
        .post(format!("{}/v1/batch", process.url))
        .bearer_auth(KEY);
    let (status, answer) = answer(request.json(&batch)).await;
    assert_eq!(
        (status, &answer["accepted"]),
        (StatusCode::OK, &json!(orders)),
        "{answer}"
    );
}

#[tokio::test]
async fn a_server_starts_from_nothing_and_keeps_its_data_over_a_clean_restart() {
    let dir = DataDir::new();
    let process = dir.serve().await;
    sell(&process, 3).await;
    assert_eq!(
        ask(&process, KEY).await.1["data"],
        json!({"sales": {
            "totals": {"revenue": "30.00", "orders": 3, "units": 3, "buyers": 1},
        }})
    );

    // Durable, private, and never root.
    let mut connection = dir.connect().await;
    for (setting, expected) in [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("data_checksums", "on"),
        ("listen_addresses", ""),
        ("unix_socket_permissions", "0700"),
    ] {
        let value: String = sqlx::query_scalar("SELECT current_setting($1)")
            .bind(setting)
            .fetch_one(&mut connection)
            .await
            .unwrap();
        assert_eq!(value, expected, "{setting}");
    }
    drop(connection);
    let processes = dir.processes();
    assert!(processes.len() > 3, "a PostgreSQL has several processes");
    for pid in &processes {
        // One of a session or a vacuum may have ended since.
        assert_ne!(status_of(*pid, "Uid").as_deref(), Some("0"), "runs as root");
    }
    let own = Uid::effective();
    let uid = status_of(processes[0], "Uid").unwrap();
    assert!(own.is_root() || uid == own.to_string());

    assert!(process.terminate().await, "it did not end well");
    // Its logger ends when it finds that nobody is left to log for.
    let gone = async {
        while processes.iter().any(|pid| is_running(*pid)) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone)
        .await
        .expect("a process of PostgreSQL is left");
    assert_eq!(dir.postmaster(), None);

    let process = dir.serve().await;
    assert_eq!(orders(&process).await, 3);
    assert!(process.terminate().await);
}

#[tokio::test]
async fn a_second_server_says_who_has_the_directory_and_commands_work_beside_the_first() {
    let dir = DataDir::new();
    let process = dir.serve().await;
    let listen = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--metrics-listen",
        "127.0.0.1:0",
    ];
    let second = dir.run(&listen).await;
    assert_eq!(second.status.code(), Some(1));
    let errors = String::from_utf8(second.stderr).unwrap();
    let sentence = format!(
        "tidewater: another tidewater is running on the data directory {}",
        dir.path()
    );
    assert!(errors.contains(&sentence), "{errors}");

    let text = |output: Output| {
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout)
            .unwrap()
            .trim_end()
            .to_owned()
    };
    let key = text(
        dir.run(&["keys", "create", "--label", "a till", "--scope", "read"])
            .await,
    );
    assert_eq!(ask(&process, &key).await.0, StatusCode::OK);
    let list = text(dir.run(&["keys", "list"]).await);
    let line = list
        .lines()
        .find(|line| line.contains("active  read  a till"))
        .unwrap();
    assert!(line.contains(&key[..7]) && !list.contains(&key), "{list}");
    let (id, _) = line.split_once(' ').unwrap();

    assert_eq!(text(dir.run(&["keys", "revoke", id]).await), "revoked");
    let refused = async {
        while ask(&process, &key).await.0 != StatusCode::UNAUTHORIZED {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    // Five seconds, and what a busy machine adds.
    tokio::time::timeout(Duration::from_secs(10), refused)
        .await
        .expect("a revoked key still opens");
    let list = text(dir.run(&["keys", "list"]).await);
    assert!(
        list.lines()
            .any(|line| line.contains("revoked  read  a till")),
        "{list}"
    );
    for id in [id, &Uuid::nil().to_string()] {
        let again = dir.run(&["keys", "revoke", id]).await;
        assert_eq!(again.status.code(), Some(1));
        let errors = String::from_utf8(again.stderr).unwrap();
        assert_eq!(
            errors,
            "tidewater: There is no such API key, or it was revoked.\n"
        );
    }
    assert!(process.terminate().await);
}

#[tokio::test]
async fn what_was_stored_survives_kill_9_of_the_server_and_of_its_postgres() {
    let dir = DataDir::private();
    let process = dir.serve().await;
    // PostgreSQL's user cannot come here if we are root; then the data is elsewhere.
    let is_here = dir.home().starts_with(dir.0.path().canonicalize().unwrap());
    assert_eq!(is_here, !Uid::effective().is_root());
    sell(&process, 2).await;

    // The server leaves a PostgreSQL behind, which does not answer, as if it still recovered; the
    // next server starts its own.
    let left = dir.postmaster().unwrap();
    process.kill().await;
    fs::remove_file(dir.socket_dir().join(".s.PGSQL.5432")).unwrap();
    let process = dir.serve().await;
    assert_ne!(dir.postmaster(), Some(left));
    assert_eq!(orders(&process).await, 2);
    sell(&process, 1).await;

    // The server starts a new PostgreSQL.
    let killed = dir.postmaster().unwrap();
    kill(killed, Signal::SIGKILL).unwrap();
    let restarted = async {
        while dir.postmaster().is_none_or(|pid| pid == killed) || !process.is_ready().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // Who meets a connection to the old one hears that the database is away.
        while ask(&process, KEY).await.0 == StatusCode::SERVICE_UNAVAILABLE {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), restarted)
        .await
        .expect("the server does not get ready again");
    assert_eq!(orders(&process).await, 3);
    sell(&process, 1).await;
    assert_eq!(orders(&process).await, 4);

    // Both at once.
    let killed = dir.postmaster().unwrap();
    process.kill().await;
    kill(killed, Signal::SIGKILL).unwrap();
    let process = dir.serve().await;
    assert_eq!(orders(&process).await, 4);
    assert!(process.terminate().await);
    assert_eq!(dir.postmaster(), None);
}

#[tokio::test]
async fn what_root_writes_lies_where_postgres_user_cannot() {
    let dir = DataDir::new();
    let process = dir.serve().await;
    let home = dir.home();
    let uid_of = |path: &Path| path.symlink_metadata().unwrap().uid();
    let mode_of = |path: &Path| path.symlink_metadata().unwrap().mode() & 0o7777;
    let own = Uid::effective().as_raw();
    let postgres = status_of(dir.postmaster().unwrap(), "Uid").unwrap();
    let postgres: u32 = postgres.parse().unwrap();
    let check = || {
        let mode = if postgres == own { 0o700 } else { 0o755 };
        assert_eq!((uid_of(&home), mode_of(&home)), (own, mode));
        for name in ["socket", "programs", "startup.log"] {
            let path = home.join(name);
            assert!(path.symlink_metadata().unwrap().is_file(), "{name}");
            assert_eq!((uid_of(&path), mode_of(&path) & 0o022), (own, 0), "{name}");
        }
        for name in ["data", "run", "log"] {
            let path = home.join(name);
            assert_eq!((uid_of(&path), mode_of(&path)), (postgres, 0o700), "{name}");
        }
    };
    check();
    assert!(process.terminate().await);

    // A home that was PostgreSQL's user's, who used it, is taken back.
    chown(&home, Some(postgres), None).unwrap();
    let precious = dir.0.path().join("precious");
    fs::write(&precious, "not a log").unwrap();
    for name in ["socket", "programs", "startup.log"] {
        fs::remove_file(home.join(name)).unwrap();
        symlink(&precious, home.join(name)).unwrap();
    }
    let process = dir.serve().await;
    check();
    assert_eq!(fs::read_to_string(&precious).unwrap(), "not a log");
    assert_eq!(uid_of(&precious), own);
    assert!(process.terminate().await);
}

#[tokio::test]
async fn a_link_where_postgres_user_is_given_a_directory_is_refused() {
    let dir = DataDir::new();
    let precious = TempDir::new().unwrap();
    let before = precious.path().metadata().unwrap();
    for name in ["log", "run"] {
        let link = dir.0.path().join("postgres").join(name);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(precious.path(), &link).unwrap();
        let output = dir.run(&["keys", "list"]).await;
        assert_eq!(output.status.code(), Some(1));
        let errors = String::from_utf8(output.stderr).unwrap();
        let sentence = format!(
            "{} is not a directory but a link or a file; remove it, and it is made anew\n",
            dir.home().join(name).display()
        );
        assert!(errors.ends_with(&sentence), "{errors}");
        fs::remove_file(&link).unwrap();
    }
    let after = precious.path().metadata().unwrap();
    let of = |found: &fs::Metadata| (found.uid(), found.gid(), found.mode());
    assert_eq!(of(&after), of(&before));
}

#[tokio::test]
async fn a_socket_directory_that_anybody_may_have_made_is_not_used_again() {
    let dir = DataDir::with_a_long_path();
    let process = dir.serve().await;
    let first = dir.socket_dir();
    assert!(first.starts_with("/tmp"), "{}", first.display());
    assert!(process.terminate().await);

    let process = dir.serve().await;
    assert_eq!(dir.socket_dir(), first);
    assert!(process.terminate().await);

    fs::set_permissions(&first, fs::Permissions::from_mode(0o777)).unwrap();
    let process = dir.serve().await;
    let second = dir.socket_dir();
    assert_ne!(second, first);
    assert!(process.terminate().await);
    for directory in [first, second] {
        fs::remove_dir_all(directory).unwrap();
    }
}
