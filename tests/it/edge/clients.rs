//! The clients and audits of others: the npm packages `graphql-http`, `graphql-ws` and `graphql-sse`
//! against a server of ours. `make test` installs them where there is Node (`scripts/clients-dir`);
//! elsewhere the other tests of this folder say the same without them.

use serde_json::Value;
use tokio::process::Command;

use crate::support::{KEY, TestApp};

/// Runs a script of `tests/clients`; what it says, or nothing where there is no Node.
async fn run(script: &str) -> Option<Value> {
    let folder = std::env::var("TIDEWATER_TEST_CLIENTS_DIR").ok();
    let Some(folder) = folder.filter(|folder| !folder.is_empty()) else {
        println!("not run: TIDEWATER_TEST_CLIENTS_DIR is not set");
        return None;
    };
    let app = TestApp::start().await;
    let mut command = Command::new("node");
    command.env("CHROMIUM", chromium().unwrap_or_default());
    command.arg(script).current_dir(folder);
    command
        .env("TIDEWATER_URL", &app.url)
        .env("TIDEWATER_KEY", KEY);
    let done = command.kill_on_drop(true).output().await.unwrap();
    let (said, wrong) = (
        String::from_utf8_lossy(&done.stdout).into_owned(),
        String::from_utf8_lossy(&done.stderr).into_owned(),
    );
    assert!(done.status.success(), "{said}{wrong}");
    Some(serde_json::from_str(&said).unwrap())
}

#[tokio::test]
async fn graphql_http_finds_nothing() {
    if let Some(told) = run("audits.mjs").await {
        let count = |of: &str| told[of].as_u64().unwrap();
        assert_eq!(
            (count("total"), count("ok"), count("notice"), count("warn")),
            (61, 61, 0, 0)
        );
    }
}

#[tokio::test]
async fn graphql_ws_is_served() {
    run("sockets.mjs").await;
}

/// A Chromium of this machine.
fn chromium() -> Option<String> {
    let set = std::env::var("CHROMIUM").ok();
    let paths = std::env::var("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let at = |folder: &str| {
        let found = names.iter().map(|name| format!("{folder}/{name}"));
        found
            .into_iter()
            .find(|path| std::path::Path::new(path).exists())
    };
    set.or_else(|| paths.split(':').find_map(at))
}

#[tokio::test]
async fn the_explorer_works_in_a_browser_under_its_policy() {
    if chromium().is_none() {
        println!("not run: there is no Chromium");
        return;
    }
    run("explorer.mjs").await;
}

#[tokio::test]
async fn graphql_sse_is_served() {
    run("events.mjs").await;
}
