//! What ingest tells of itself.

use std::time::Duration;

use tidewater::clock::Clock;

use crate::support::{Order, TestApp, TestDb, config};

#[tokio::test]
async fn a_canary_flies_through_the_server_and_no_shop_hears_of_it() {
    let db = TestDb::migrated().await;
    let mut config = config(&db.url(), None);
    config.ingest.canary_seconds = 1;
    let app = TestApp::start_with(db, config).await;
    let landed = async {
        loop {
            let (status, answer) = app.send(&serde_json::json!([])).await;
            if status.is_success() {
                let health = app
                    .data("{ ingestHealth { canary { sentAt seconds } } }")
                    .await;
                let canary = &health["ingestHealth"]["canary"];
                if let Some(seconds) = canary["seconds"].as_f64() {
                    return seconds;
                }
            }
            assert!(answer.is_object());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let seconds = tokio::time::timeout(Duration::from_secs(30), landed)
        .await
        .unwrap();
    assert!(seconds > 0.0 && seconds < 30.0, "{seconds}");
    assert!(app.metric("tidewater_ingest_canary_seconds_count").await >= 1.0);
    let range = r#"range: {from: "2020-01-01T00:00:00Z", to: "2030-01-01T00:00:00Z"}"#;
    let traffic = app
        .data(&format!("{{ traffic({range}) {{ totals {{ events }} }} }}"))
        .await;
    assert_eq!(traffic["traffic"]["totals"]["events"], 0);
}

#[tokio::test]
async fn ingest_tells_how_far_it_has_come() {
    let app = TestApp::on(TestDb::migrated().await, None, Clock::System).await;
    let question =
        "{ ingestHealth { durability watermark watermarkAgeSeconds quarantined eventTypes
                      partitions { events } canary { seconds } } }";
    let health = app.data(question).await;
    assert_eq!(
        health["ingestHealth"],
        serde_json::json!({
            "durability": "committed", "watermark": null, "watermarkAgeSeconds": null,
            "quarantined": 0, "eventTypes": 0, "partitions": [], "canary": null,
        })
    );
    app.accept(&[Order::of("mug").at("2026-03-01T12:00:00Z").event()])
        .await;
    app.send(&serde_json::json!([{"type": "purchase", "userId": "u"}]))
        .await;
    let health = app.data(question).await;
    let health = &health["ingestHealth"];
    assert_eq!(health["watermark"], "2026-03-01T12:00:00+00:00");
    assert!(health["watermarkAgeSeconds"].as_f64().unwrap() < 60.0);
    assert_eq!(
        (&health["quarantined"], &health["eventTypes"]),
        (&1.into(), &1.into())
    );
    let stored = app
        .metric("tidewater_ingest_transaction_events_count")
        .await;
    let committed = app.metric("tidewater_ingest_commit_seconds_count").await;
    assert!(stored >= 1.0 && committed >= 1.0);
}
