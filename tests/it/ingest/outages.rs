//! The database goes away and comes back.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tidewater::clock::Clock;

use super::statuses;
use crate::support::{Order, TestApp, TestDb, assert_consistent};

/// Waits until the server says that it can work.
async fn until_ready(app: &TestApp) {
    let ready = async {
        while app.get("/readyz").await.0 != StatusCode::OK {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), ready)
        .await
        .expect("the server does not get ready again");
}

/// Checks that a request is refused for now; the answer.
async fn refused(app: &TestApp, method: Method, path: &str, body: &Value) -> Value {
    let response = app.request(method, path).json(body).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
    let wait = response.headers()["retry-after"].to_str().unwrap();
    assert!(wait.parse::<u64>().unwrap() > 0);
    serde_json::from_str(&response.text().await.unwrap()).unwrap()
}

#[tokio::test]
async fn while_the_database_is_away_nothing_is_acknowledged_and_afterwards_all_goes_on() {
    let app = TestApp::start().await;
    app.accept(&[Order::of("mug").event()]).await;
    let batch = json!([Order::of("tea").event(), Order::of("mug").event()]);
    let question = json!({"query": "{ products(first: 1) { nodes { productId } } }"});

    app.db.shut().await;
    for _ in 0..3 {
        let problem = refused(&app, Method::POST, "/v1/batch", &batch).await;
        assert_eq!(
            problem,
            json!({
                "type": "urn:tidewater:problem:unavailable", "status": 503, "code": "unavailable",
                "title": "The database cannot be reached. Nothing of this request was acknowledged; send it again later.",
                "detail": "The database cannot be reached. Nothing of this request was acknowledged; send it again later.",
            })
        );
    }
    let problem = refused(&app, Method::GET, "/readyz", &Value::Null).await;
    assert_eq!(
        (&problem["code"], &problem["detail"]),
        (
            &json!("unavailable"),
            &json!("The database cannot be reached.")
        )
    );
    let answer = refused(&app, Method::POST, "/graphql", &question).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "unavailable");
    assert_eq!(app.get("/livez").await.0, StatusCode::OK);

    app.db.open().await;
    until_ready(&app).await;
    let (status, answer) = app.send(&batch).await;
    assert_eq!(
        (status, statuses(&answer)),
        (StatusCode::OK, vec!["accepted"; 2]),
        "{answer}"
    );
    assert_eq!(statuses(&app.send(&batch).await.1), ["duplicate"; 2]);
    app.data("{ products(first: 1) { nodes { productId } } }")
        .await;
    assert_consistent(&app.db).await;
}

#[tokio::test]
async fn batches_on_their_way_when_the_database_goes_are_stored_once_in_the_end() {
    let app = TestApp::start().await;
    let batches: Vec<Vec<Value>> = (0..30)
        .map(|_| (0..100).map(|_| Order::of("mug").event()).collect())
        .collect();
    let sending = batches.iter().map(|batch| {
        let app = &app;
        async move {
            loop {
                let (status, answer) = app.send(&json!(batch)).await;
                match status {
                    StatusCode::OK => {
                        assert_eq!(
                            (&answer["conflicts"], &answer["rejected"]),
                            (&json!(0), &json!(0))
                        );
                        return;
                    }
                    StatusCode::SERVICE_UNAVAILABLE => {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                    other => panic!("{other}: {answer}"),
                }
            }
        }
    });
    let outages = async {
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_millis(rand::random_range(20..200))).await;
            app.db.shut().await;
            tokio::time::sleep(Duration::from_millis(200)).await;
            app.db.open().await;
        }
    };
    tokio::join!(futures_util::future::join_all(sending), outages);
    assert_eq!(app.db.number("SELECT count(*) FROM event").await, 3_000);
    assert_consistent(&app.db).await;
}

#[tokio::test]
async fn a_server_started_before_its_database_becomes_ready_by_itself() {
    let db = TestDb::empty().await;
    db.shut().await;
    let app = TestApp::unready(db, None, Clock::System).await;
    let batch = json!([Order::of("mug").event()]);
    let problem = refused(&app, Method::POST, "/v1/batch", &batch).await;
    assert_eq!(problem["code"], "unavailable");
    refused(&app, Method::GET, "/readyz", &Value::Null).await;
    assert_eq!(app.get("/livez").await.0, StatusCode::OK);

    app.db.open().await;
    until_ready(&app).await;
    let (_, answer) = app.send(&batch).await;
    assert_eq!(statuses(&answer), ["accepted"]);
    assert_consistent(&app.db).await;
}
