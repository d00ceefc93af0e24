//! People: what is kept of them, what they are given of it, and that it goes.

mod addresses;
mod erasing;
mod interrupted;
mod inventory;
mod logs;
mod person;
mod retention;

use serde_json::{Value, json};

use crate::support::TestApp;

/// What `eraseUser` says.
const ERASE: &str = "mutation($userId: String, $mode: ErasureMode!, $range: TimeRangeInput) {
    eraseUser(userId: $userId, mode: $mode, range: $range) {
        id mode state rangeFrom requestedBy subject erasedAt waitsFor counts { kind before after } } }";

/// Erases a person, and waits until it is done.
async fn erase(app: &TestApp, user: &str, mode: &str, range: Option<Value>) -> Value {
    let variables = json!({"userId": user, "mode": mode, "range": range});
    let mut answer = app.ask_with(ERASE, variables).await;
    assert!(answer.get("errors").is_none(), "{answer}");
    let erasure = answer["data"]["eraseUser"].take();
    assert_eq!(erasure["state"], "DONE", "{erasure}");
    erasure
}
