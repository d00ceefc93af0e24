//! People: what is kept of them, what they are given of it, and that it goes.

mod addresses;
mod erasing;
mod interrupted;
mod inventory;
mod logs;
mod person;
mod retention;

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::TestApp;

/// What is asked of an erasure.
const RECEIPT: &str = "{ id mode state rangeFrom requestedBy subject erasedAt waitsFor counts { kind before after } }";

/// Erases a person, and waits until it is done.
async fn erase(app: &TestApp, user: &str, mode: &str, range: Option<Value>) -> Value {
    let mutation = format!(
        "mutation($userId: String, $mode: ErasureMode!, $range: TimeRangeInput) {{
             eraseUser(userId: $userId, mode: $mode, range: $range) {RECEIPT} }}"
    );
    let variables = json!({"userId": user, "mode": mode, "range": range});
    let mut answer = app.ask_with(&mutation, variables).await;
    assert!(answer.get("errors").is_none(), "{answer}");
    let mut erasure = answer["data"]["eraseUser"].take();
    // On a busy machine it goes on after the answer.
    while erasure["state"] == "RUNNING" {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let query = format!("{{ erasure(id: {}) {RECEIPT} }}", erasure["id"]);
        erasure = app.data(&query).await["erasure"].take();
    }
    assert_eq!(erasure["state"], "DONE", "{erasure}");
    erasure
}
