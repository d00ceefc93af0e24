//! How much quarantine holds, and how long.

use serde_json::json;
use tidewater::clock::Clock;
use tidewater::jobs;
use tidewater::storage::Db;
use tidewater::telemetry::metrics::Metrics;

use super::{fill, priced, strict};
use crate::ingest::{rows, run};
use crate::support::TestApp;

#[tokio::test]
async fn what_is_past_its_retention_is_removed_and_counted() {
    let app = TestApp::start().await;
    // The oldest 2,501 are of before the first of June.
    fill(&app, 2_600, "'{}'").await;
    run(
        &app.db,
        "UPDATE quarantine SET received_at = received_at + interval '1 year'
         WHERE received_at > '2026-03-03 03:41Z';
         UPDATE quarantine SET state = 'replayed' WHERE received_at < '2026-03-01 10:11Z';
         UPDATE quarantine SET state = 'discarded' WHERE received_at = '2026-03-01 10:11Z';",
    )
    .await;
    let db = Db::open(&app.db.url(), |_| ()).await.unwrap();
    let metrics = Metrics::default();
    let clock = Clock::manual("2026-06-30T00:00:00Z".parse().unwrap());
    for _ in 0..2 {
        jobs::quarantine::once(&db, &metrics, 90, &clock)
            .await
            .unwrap();
    }
    assert_eq!(
        rows(&app.db, "SELECT state, count(*), min(received_at) > '2027-01-01' AS young FROM quarantine GROUP BY state").await,
        json!([{"state": "held", "count": 99, "young": true}])
    );
    let text = metrics.render();
    for line in [
        r#"tidewater_quarantine_expired_total{state="held"} 2490"#,
        r#"tidewater_quarantine_expired_total{state="replayed"} 10"#,
        r#"tidewater_quarantine_expired_total{state="discarded"} 1"#,
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    db.close().await;
}

#[tokio::test]
async fn a_full_quarantine_rejects_and_takes_again_once_there_is_room() {
    let app = strict().await;
    fill(&app, 99_999, "'{}'").await;
    let (_, answer) = app
        .send(&json!([
            priced(&json!(-1)),
            priced(&json!(-2)),
            priced(&json!(3))
        ]))
        .await;
    assert_eq!(
        [
            &answer["accepted"],
            &answer["quarantined"],
            &answer["rejected"]
        ],
        [1, 1, 1],
        "{answer}"
    );
    assert_eq!(answer["receipts"][1]["code"], "quarantine_full");
    assert_eq!(answer["receipts"][1]["status"], "rejected");
    let discard = "mutation { discardQuarantined(filter: {}) { discarded left } }";
    assert_eq!(
        app.data(discard).await["discardQuarantined"],
        json!({"discarded": 1_000, "left": 99_000})
    );
    let (_, answer) = app.send(&json!([priced(&json!(-2))])).await;
    assert_eq!(answer["quarantined"], 1, "{answer}");
}
