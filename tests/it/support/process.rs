//! The real program beside the test, to be killed.

use std::net::TcpListener;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::{Child, Command};

use super::{KEY, services};

/// The program with an empty environment, but for what it needs.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidewater"));
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("TIDEWATER_BOOTSTRAP_KEY", KEY)
        // Tests count events.
        .env("TIDEWATER_CANARY_SECONDS", "0")
        .env("TIDEWATER_POSTGRES_DIR", &services().postgres_dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// A server as a process of its own.
pub struct Process {
    /// The API's address.
    pub url: String,
    child: Child,
}

impl Process {
    /// Starts a server with these variables and waits until it is ready.
    pub async fn serve(variables: &[(&str, &str)]) -> Self {
        Self::serve_at(free_port(), variables).await
    }

    /// The same at a port of the test's choice, so that it can come back where it was.
    pub async fn serve_at(api: u16, variables: &[(&str, &str)]) -> Self {
        let metrics = free_port();
        let mut command = program();
        command
            .args([
                "serve",
                "--listen",
                &format!("127.0.0.1:{api}"),
                "--metrics-listen",
                &format!("127.0.0.1:{metrics}"),
            ])
            .envs(variables.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut process = Self {
            url: format!("http://127.0.0.1:{api}"),
            child: command.spawn().unwrap(),
        };
        let patience = Instant::now() + Duration::from_mins(1);
        while !process.is_ready().await {
            assert!(
                process.child.try_wait().unwrap().is_none(),
                "the server ended"
            );
            assert!(Instant::now() < patience, "the server does not get ready");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        process
    }

    /// Whether it can work.
    pub async fn is_ready(&self) -> bool {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = client.get(format!("{}/readyz", self.url)).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    /// The most memory that it had so far, in MiB.
    pub fn peak_memory(&self) -> u64 {
        let status = format!("/proc/{}/status", self.child.id().unwrap());
        let status = std::fs::read_to_string(status).unwrap();
        let peak = status.lines().find(|line| line.starts_with("VmHWM:"));
        let kib = peak.unwrap().split_whitespace().nth(1).unwrap();
        kib.parse::<u64>().unwrap() / 1024
    }

    /// kill -9.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// SIGTERM; waits until it has ended, and tells whether it ended well.
    pub async fn terminate(mut self) -> bool {
        let pid = i32::try_from(self.child.id().unwrap()).unwrap();
        nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(pid),
            nix::sys::signal::Signal::SIGTERM,
        )
        .unwrap();
        self.child.wait().await.unwrap().success()
    }
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
