//! The server under load, on a database of its own.

use std::collections::HashMap;
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use sea_orm::sqlx::{self, AssertSqlSafe, Connection, PgConnection};
use serde_json::Value;
use tokio::process::{Child, Command};

pub const KEY: &str = "a-key-for-load-0123456789";
const DATABASE: &str = "tidewater_load";

/// The program as a process of its own, and workers beside it.
pub struct Server {
    pub url: String,
    pub database_url: String,
    /// By what its database is dropped in the end, if it was made for it.
    admin_url: Option<String>,
    cdnow: String,
    child: Child,
}

impl Server {
    /// Starts it on an empty database, which it writes to itself.
    pub async fn start() -> Self {
        Self::start_as("all", &[("TIDEWATER_INGEST", "direct")]).await
    }

    /// Starts it in a role, with these variables, on an empty database.
    pub async fn start_as(role: &str, variables: &[(&str, &str)]) -> Self {
        let admin_url = found("TIDEWATER_TEST_DATABASE_URL");
        recreate(&admin_url).await;
        let server = admin_url.rsplit_once('/').expect("a URL with a database").0;
        let started = Self::start_on(format!("{server}/{DATABASE}"), role, variables).await;
        Self {
            admin_url: Some(admin_url),
            ..started
        }
    }

    /// Starts it on a database that stays.
    pub async fn start_on(database_url: String, role: &str, variables: &[(&str, &str)]) -> Self {
        let (api, metrics) = (free_port(), free_port());
        let child = program(&database_url)
            .envs(variables.iter().copied())
            .args([
                "serve",
                "--role",
                role,
                "--listen",
                &format!("127.0.0.1:{api}"),
                "--metrics-listen",
                &format!("127.0.0.1:{metrics}"),
            ])
            .spawn()
            .expect("the program starts");
        let url = format!("http://127.0.0.1:{api}");
        wait_for(&format!("{url}/readyz")).await;
        Self {
            url,
            database_url,
            admin_url: None,
            cdnow: found("TIDEWATER_TEST_CDNOW_DIR"),
            child,
        }
    }

    /// Another one on the same database; ends when it is dropped.
    pub async fn beside(&self, variables: &[(&str, &str)]) -> (String, Child) {
        let (api, metrics) = (free_port(), free_port());
        let child = program(&self.database_url)
            .envs(variables.iter().copied())
            .args(["serve", "--role", "api"])
            .args(["--listen", &format!("127.0.0.1:{api}")])
            .args(["--metrics-listen", &format!("127.0.0.1:{metrics}")])
            .spawn()
            .expect("the program starts");
        let url = format!("http://127.0.0.1:{api}");
        wait_for(&format!("{url}/readyz")).await;
        (url, child)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("the server runs")
    }

    /// Lets what was written before not be paid for by what is measured next.
    pub async fn settle(&self) {
        let connection = PgConnection::connect(&self.database_url).await;
        run(&mut connection.expect("PostgreSQL answers"), "CHECKPOINT").await;
    }

    /// Runs `tidewater load` against it; the report.
    pub async fn load(&self, arguments: &str) -> Value {
        let output = self.loading(arguments).output().await;
        let output = output.expect("the program starts");
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).expect("a report")
    }

    /// `tidewater load` against it, not begun.
    pub fn loading(&self, arguments: &str) -> Command {
        let mut command = program(&self.database_url);
        command
            .args(["load", &self.url, "--key", KEY, "--json"])
            .args(arguments.split(' '))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Imports CDNOW's whole log with the program.
    pub async fn import_cdnow(&self) {
        let status = program(&self.database_url)
            .args([
                "import",
                "cdnow",
                &format!("{}/CDNOW_master.txt", self.cdnow),
            ])
            .status()
            .await;
        assert!(status.expect("the program starts").success());
    }

    /// Ends it and drops the database that was made for it.
    pub async fn stop(mut self) {
        self.child.kill().await.expect("the server was running");
        let Some(admin_url) = &self.admin_url else {
            return;
        };
        let mut admin = PgConnection::connect(admin_url)
            .await
            .expect("PostgreSQL answers");
        run(
            &mut admin,
            &format!("DROP DATABASE {DATABASE} WITH (FORCE)"),
        )
        .await;
    }
}

/// Where something of `make services` is.
fn found(name: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(".services/env");
    let file = std::fs::read_to_string(file).unwrap_or_default();
    let written: HashMap<&str, &str> = file
        .lines()
        .filter_map(|line| line.split_once('='))
        .collect();
    let set = std::env::var(name).ok();
    set.or_else(|| written.get(name).map(ToString::to_string))
        .unwrap_or_else(|| panic!("{name} is not set: run `make services` first"))
}

/// The program, with what it needs to write to a database.
pub fn program(database_url: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidewater"));
    command
        .env("DATABASE_URL", database_url)
        .env("TIDEWATER_BOOTSTRAP_KEY", KEY)
        .env("RUST_LOG", "warn")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    command
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound").port()
}

/// Waits until an address answers well.
pub async fn wait_for(url: &str) {
    let client = reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a client");
    for _ in 0..600 {
        if client
            .get(url)
            .send()
            .await
            .is_ok_and(|answer| answer.status().is_success())
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{url} does not answer");
}

async fn recreate(admin_url: &str) {
    let mut admin = PgConnection::connect(admin_url)
        .await
        .expect("PostgreSQL answers");
    run(
        &mut admin,
        &format!("DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)"),
    )
    .await;
    run(&mut admin, &format!("CREATE DATABASE {DATABASE}")).await;
}

/// Runs a statement made of constants.
pub async fn run(connection: &mut PgConnection, statement: &str) {
    let statement = AssertSqlSafe(statement.to_owned());
    sqlx::query(statement)
        .execute(connection)
        .await
        .expect("the statement is good");
}
