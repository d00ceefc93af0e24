//! `tidewater load`: what it sends is stored as it says, and what is not is noticed.

use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use sea_orm::sqlx;
use serde_json::{Value, json};
use tokio::process::Child;

use crate::support::{KEY, Process, TestApp, TestDb, assert_consistent, free_port, program};

/// The command at work.
fn start(url: &str, arguments: &str) -> Child {
    let mut command = program();
    command.args(["load", url, "--key", KEY]);
    command.args(arguments.split(' ')).spawn().unwrap()
}

/// The command's end.
async fn load(url: &str, arguments: &str) -> Output {
    start(url, arguments).wait_with_output().await.unwrap()
}

/// What it reports as JSON.
fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn what_is_acknowledged_is_stored_with_duplicates_and_late_events_too() {
    let app = TestApp::start().await;
    let output = load(
        &app.url,
        "--rate 4000 --duration 3s --batch 200 --duplicates 0.05 --late 0.02 --shape wave --json",
    )
    .await;
    assert!(output.status.success(), "{output:?}");
    let report = report(&output);
    let number = |pointer: &str| report.pointer(pointer).unwrap().as_i64().unwrap();
    assert_eq!(report["verdict"]["verified"], json!(true), "{report}");
    assert_eq!((number("/sent"), number("/acknowledged")), (12_000, 12_000));
    let resent = number("/resent");
    assert!((300..800).contains(&resent), "{resent}");
    assert_eq!(number("/counts/duplicates"), resent);
    let stored = app.db.number("SELECT count(*) FROM event").await;
    assert_eq!(stored, 12_000 - resent);
    let lines = app
        .db
        .number("SELECT sum(amount)::bigint FROM purchase")
        .await;
    assert_eq!(number("/verdict/stored/revenueMinorUnits"), lines);
    let late = "SELECT sum(late_events)::bigint FROM traffic_minute";
    assert!((120..360).contains(&app.db.number(late).await));
    let at = |pointer: &str| report.pointer(pointer).unwrap().as_f64().unwrap();
    assert!(at("/latencyMs/max") >= at("/serviceMs/max"), "{report}");

    // A second run beside what is there; for people.
    let output = load(&app.url, "--rate 2000 --duration 1s --gzip --ids v7").await;
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(
        text.contains("stored equals acknowledged: 2000 events"),
        "{text}"
    );
    assert_consistent(&app.db).await;
}

#[tokio::test]
async fn a_server_that_is_killed_and_comes_back_in_between_loses_nothing() {
    let db = TestDb::migrated().await;
    let url = db.url();
    let variables = [("DATABASE_URL", url.as_str())];
    let port = free_port();
    let server = Process::serve_at(port, &variables).await;
    let loading = start(
        &server.url,
        "--rate 3000 --duration 4s --batch 100 --connections 8 --duplicates 0.02 --json",
    );
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    server.kill().await;
    let server = Process::serve_at(port, &variables).await;
    let output = loading.wait_with_output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    let report = report(&output);
    assert_eq!(report["verdict"]["verified"], json!(true), "{report}");
    assert_eq!(report["acknowledged"], json!(12_000), "{report}");
    assert!(
        report["retries"]["unanswered"].as_u64().unwrap() > 0,
        "{report}"
    );
    // The outage is in the latency of what was due in it.
    assert!(
        report["latencyMs"]["max"].as_f64().unwrap() > 100.0,
        "{report}"
    );
    assert_consistent(&db).await;
    assert!(server.terminate().await);
}

#[tokio::test]
async fn a_number_that_was_tampered_with_is_a_mismatch() {
    let app = TestApp::start().await;
    let loading = start(
        &app.url,
        "--rate 1000 --duration 3s --batch 100 --verify-within 2s",
    );
    let mut connection = app.db.connect().await;
    loop {
        let deleted = sqlx::query("DELETE FROM traffic_minute WHERE event_type = 'pageview'")
            .execute(&mut connection)
            .await
            .unwrap();
        if deleted.rows_affected() > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let output = loading.wait_with_output().await.unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = said(&output);
    assert!(
        said.contains("stored is not what was acknowledged: events: stored "),
        "{said}"
    );
    assert!(
        said.contains("; pageviews: stored ") && !said.contains("orders"),
        "{said}"
    );
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("acknowledged     3000 events") && text.contains("MISMATCH"),
        "{text}"
    );
}

/// A server that is none: it gives these answers, the last for ever, each after a while.
async fn pretender(pause: Duration, answers: Vec<(StatusCode, Value)>) -> (String, Arc<AtomicU32>) {
    #[derive(Clone)]
    struct Script(Arc<AtomicU32>, Duration, Vec<(StatusCode, Value)>);

    async fn answer(State(Script(count, pause, answers)): State<Script>) -> Response {
        let n = count.fetch_add(1, Ordering::Relaxed) as usize;
        tokio::time::sleep(pause).await;
        let (status, body) = answers[n.min(answers.len() - 1)].clone();
        (status, [("retry-after", "1")], Json(body)).into_response()
    }

    let count = Arc::new(AtomicU32::new(0));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/v1/batch", post(answer));
    let script = Script(Arc::clone(&count), pause, answers);
    tokio::spawn(async move { axum::serve(listener, router.with_state(script)).await });
    (url, count)
}

#[tokio::test]
async fn latency_counts_from_when_a_request_was_due_and_service_from_when_it_was_sent() {
    let taken = (StatusCode::OK, json!({"accepted": 10}));
    let (url, _) = pretender(Duration::from_millis(300), vec![taken]).await;
    // One is due every 100 ms, and takes 300 ms: the last is 1.8 s late.
    let output = load(
        &url,
        "--rate 100 --batch 10 --duration 1s --connections 1 --no-verify --json",
    )
    .await;
    assert!(output.status.success(), "{output:?}");
    let report = report(&output);
    let at = |pointer: &str| report.pointer(pointer).unwrap().as_f64().unwrap();
    assert!(at("/latencyMs/max") >= 2_000.0, "{report}");
    assert!((300.0..1_000.0).contains(&at("/serviceMs/p50")), "{report}");
}

#[tokio::test]
async fn a_busy_server_is_given_the_time_it_asks_for() {
    let busy = (
        StatusCode::SERVICE_UNAVAILABLE,
        json!({"code": "overloaded"}),
    );
    let limited = (StatusCode::OK, json!({"accepted": 6, "limited": 4}));
    let taken = (StatusCode::OK, json!({"accepted": 4, "duplicates": 6}));
    let (url, count) = pretender(Duration::ZERO, vec![busy, limited, taken]).await;
    let begun = Instant::now();
    let output = load(
        &url,
        "--rate 10 --batch 10 --duration 1s --no-verify --json",
    )
    .await;
    assert!(output.status.success(), "{output:?}");
    assert!(begun.elapsed() >= Duration::from_secs(1));
    let report = report(&output);
    assert_eq!(
        (
            &report["retries"]["unavailable"],
            &report["retries"]["limited"]
        ),
        (&json!(1), &json!(1)),
        "{report}"
    );
    assert_eq!(
        (
            report["acknowledged"].as_u64(),
            count.load(Ordering::Relaxed)
        ),
        (Some(10), 3)
    );
}

#[tokio::test]
async fn what_cannot_go_well_is_an_error_with_its_reason() {
    let cases = [
        (
            StatusCode::UNAUTHORIZED,
            json!({"detail": "No such key."}),
            "No such key.",
        ),
        (
            StatusCode::OK,
            json!({"accepted": 9}),
            "10 events were sent, but the answer tells of 9",
        ),
        (
            StatusCode::OK,
            json!({"accepted": 7, "quarantined": 3}),
            "3 good events were refused",
        ),
    ];
    for (status, body, reason) in cases {
        let (url, _) = pretender(Duration::ZERO, vec![(status, body)]).await;
        let output = load(&url, "--rate 10 --batch 10 --duration 1s --no-verify").await;
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(said(&output).contains(reason), "{output:?}");
    }
    // Nobody is there.
    let output = load(
        &format!("http://127.0.0.1:{}", free_port()),
        "--duration 1s",
    )
    .await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}
