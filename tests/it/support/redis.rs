//! A Redis of a test's own, to be stopped, killed and asked.

use std::process::Stdio;
use std::time::Duration;

use redis::{Cmd, FromRedisValue};
use tokio::process::{Child, Command};

use super::process::free_port;

/// The server and its data, which end with the test.
pub struct Redis {
    port: u16,
    arguments: Vec<String>,
    data: tempfile::TempDir,
    child: Option<Child>,
}

impl Redis {
    /// One that has on its disk what it answers for.
    pub async fn durable() -> Self {
        Self::with(&["--appendonly", "yes", "--appendfsync", "always"]).await
    }

    /// One with these settings.
    pub async fn with(arguments: &[&str]) -> Self {
        let mut redis = Self::stopped(arguments);
        redis.start().await;
        redis
    }

    /// One with these settings that does not run yet.
    pub fn stopped(arguments: &[&str]) -> Self {
        Self {
            port: free_port(),
            arguments: arguments
                .iter()
                .map(|&argument| argument.to_owned())
                .collect(),
            data: tempfile::tempdir().unwrap(),
            child: None,
        }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Starts it, on the data it has.
    pub async fn start(&mut self) {
        let start = |program: &str| {
            Command::new(program)
                .args([
                    "--port",
                    &self.port.to_string(),
                    "--bind",
                    "127.0.0.1",
                    "--save",
                    "",
                ])
                .args(&self.arguments)
                .arg("--dir")
                .arg(self.data.path())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .kill_on_drop(true)
                .spawn()
        };
        let child = start("redis-server").or_else(|_| start("valkey-server"));
        self.child = Some(child.expect("there is a Redis, for the services use it"));
        let pinged = async {
            while self.try_ask::<String>(&redis::cmd("PING")).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), pinged)
            .await
            .expect("Redis does not start");
    }

    /// kill -9.
    pub async fn kill(&mut self) {
        self.child.take().unwrap().kill().await.unwrap();
    }

    /// Stops or continues it where it stands.
    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = self.child.as_ref().unwrap().id().unwrap();
        let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap());
        nix::sys::signal::kill(pid, signal).unwrap();
    }

    /// Asks it something that must work.
    pub async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> T {
        self.try_ask(command).await.unwrap()
    }

    async fn try_ask<T: FromRedisValue>(&self, command: &Cmd) -> redis::RedisResult<T> {
        let client = redis::Client::open(self.url())?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        command.query_async(&mut connection).await
    }
}
