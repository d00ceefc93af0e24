//! Orders and events from files, through the real program.

mod cdnow;
mod lines;

use std::process::Output;
use std::sync::Arc;

use tidewater::clock::Clock;
use tokio::process::Command;

use crate::support::{TestApp, TestDb, program};

/// `tidewater import` into this database.
fn import(db: &TestDb, arguments: &[&str]) -> Command {
    let mut command = program();
    command
        .arg("import")
        .args(arguments)
        .env("DATABASE_URL", db.url());
    command
}

/// What it printed, if it ended well.
fn printed(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

async fn serve(db: &Arc<TestDb>) -> TestApp {
    TestApp::on(Arc::clone(db), None, Clock::System).await
}
