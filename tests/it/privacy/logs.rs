//! The log and what is shown for people who debug name nobody and give no secret away.

use serde_json::json;
use tidewater::domain::event::UserRef;
use tokio::io::AsyncReadExt as _;
use uuid::Uuid;

use super::person::{native, others, spoilt, words};
use crate::support::{KEY, TestDb, free_port, program};

#[tokio::test]
async fn the_whole_log_of_a_server_names_nobody_and_no_secret() {
    let db = TestDb::migrated().await;
    let (api, metrics) = (free_port(), free_port());
    let mut command = program();
    command
        .args([
            "serve",
            "--listen",
            &format!("127.0.0.1:{api}"),
            "--metrics-listen",
            &format!("127.0.0.1:{metrics}"),
        ])
        .env("DATABASE_URL", db.url())
        .env(
            "RUST_LOG",
            "trace,sqlx=debug,h2=info,hyper=info,hyper_util=info",
        )
        .stdout(std::process::Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut log = child.stderr.take().unwrap();
    let reading = tokio::spawn(async move {
        let mut text = Vec::new();
        log.read_to_end(&mut text).await.unwrap();
        String::from_utf8_lossy(&text).into_owned()
    });
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://127.0.0.1:{api}");
    let is_ready = async || {
        let answer = client.get(format!("{url}/readyz")).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    };
    while !is_ready().await {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let post = |path: &str| client.post(format!("{url}{path}")).bearer_auth(KEY);
    for batch in [native(), spoilt(), others()] {
        let answer = post("/v1/batch").json(&batch).send().await.unwrap();
        assert!(answer.status().is_success());
    }
    // What the database refuses is logged, too.
    let ask = json!({"query": r#"{ user(externalId: "usr-zq93ab77") { email username } }"#});
    let erase = json!({"query": r#"mutation { eraseUser(userId: "usr-zq93ab77", mode: DELETE) { state } }"#});
    for body in [ask, erase] {
        let answer = post("/graphql").json(&body).send().await.unwrap();
        assert!(answer.status().is_success());
    }
    child.kill().await.unwrap();
    let text = reading.await.unwrap();
    assert!(
        text.contains("a person was erased") && text.len() > 10_000,
        "{text}"
    );
    let lower = text.to_lowercase();
    for word in words() {
        let at = lower.find(&word.to_lowercase());
        let around = at.map(|at| &text[at.saturating_sub(200)..(at + 100).min(text.len())]);
        assert_eq!(around, None, "{word}");
    }
    assert!(!text.contains(KEY));
}

#[test]
fn what_tells_of_people_is_not_shown_by_debug() {
    let user = UserRef {
        id: Uuid::nil(),
        external_id: "usr-zq".to_owned(),
        anonymous: false,
        username: Some("Zebediah".to_owned()),
        email: Some("zq@example.test".to_owned()),
    };
    let shown = format!("{user:?}");
    for word in ["usr-zq", "Zebediah", "zq@example.test"] {
        assert!(!shown.contains(word), "{shown}");
    }
}
