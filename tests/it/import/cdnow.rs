//! CDNOW's log gives the totals that are known of it, whatever happens on the way.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::Command;

use super::{import, printed, serve};
use crate::support::{Process, TestApp, TestDb, assert_consistent, services};

const RANGE: &str = r#"range: {from: "1997-01-01T00:00:00Z", to: "1998-07-01T00:00:00Z"}"#;
const ZONES: [&str; 5] = [
    "UTC",
    "Asia/Kathmandu",
    "America/New_York",
    "Pacific/Auckland",
    "Australia/Lord_Howe",
];

/// What Fader and Hardie's log says in all, computed from the file by other means.
fn cdnow_totals() -> Value {
    json!({"revenue": "2500315.63", "orders": 69_659, "units": 167_881, "buyers": 23_570})
}

fn cdnow(db: &TestDb, file: &str) -> Command {
    let file = services().cdnow_dir.join(file);
    import(db, &["cdnow", file.to_str().unwrap()])
}

async fn totals(app: &TestApp) -> Value {
    let query = format!("{{ sales({RANGE}) {{ totals {{ revenue orders units buyers }} }} }}");
    app.data(&query).await["sales"]["totals"].take()
}

fn cents(amount: &Value) -> i64 {
    let (whole, cents) = amount.as_str().unwrap().split_once('.').unwrap();
    whole.parse::<i64>().unwrap() * 100 + cents.parse::<i64>().unwrap()
}

#[tokio::test]
async fn the_master_of_cdnow_gives_its_published_totals_in_every_zone_and_granularity() {
    let db = Arc::new(TestDb::migrated().await);
    let all = "69659 accepted, 0 duplicates, 0 conflicts, 0 quarantined, 0 rejected\n";
    assert_eq!(
        printed(cdnow(&db, "CDNOW_master.txt").output().await.unwrap()),
        all
    );
    let app = serve(&db).await;
    for zone in ZONES {
        for granularity in ["DAY", "WEEK", "MONTH", "QUARTER", "YEAR", "TOTAL"] {
            let answer = app
                .data(&format!(
                    "{{ sales({RANGE}, granularity: {granularity}, timezone: \"{zone}\") {{
                        totals {{ revenue orders units buyers }} buckets {{ revenue orders units }}
                    }} }}"
                ))
                .await;
            let sales = &answer["sales"];
            assert_eq!(sales["totals"], cdnow_totals(), "{granularity} in {zone}");
            let sum = |measure: fn(&Value) -> i64| -> i64 {
                sales["buckets"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(measure)
                    .sum()
            };
            let sums = (
                sum(|bucket| cents(&bucket["revenue"])),
                sum(|bucket| bucket["orders"].as_i64().unwrap()),
                sum(|bucket| bucket["units"].as_i64().unwrap()),
            );
            assert_eq!(
                sums,
                (250_031_563, 69_659, 167_881),
                "{granularity} in {zone}"
            );
        }
    }

    let again = "0 accepted, 69659 duplicates, 0 conflicts, 0 quarantined, 0 rejected\n";
    assert_eq!(
        printed(cdnow(&db, "CDNOW_master.txt").output().await.unwrap()),
        again
    );
    assert_eq!(totals(&app).await, cdnow_totals());
    assert_consistent(&db).await;
}

#[tokio::test]
async fn a_killed_import_is_run_again_beside_a_killed_server_and_the_totals_are_the_same() {
    let db = Arc::new(TestDb::migrated().await);
    let sample = "6919 accepted, 0 duplicates, 0 conflicts, 0 quarantined, 0 rejected\n";
    assert_eq!(
        printed(cdnow(&db, "CDNOW_sample.txt").output().await.unwrap()),
        sample
    );

    let url = db.url();
    let server = Process::serve(&[("DATABASE_URL", url.as_str())]).await;
    let mut importing = cdnow(&db, "CDNOW_master.txt").spawn().unwrap();
    while db.number("SELECT count(*) FROM event").await < 20_000 {
        assert!(
            importing.try_wait().unwrap().is_none(),
            "the import ended early"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    importing.kill().await.unwrap();
    server.kill().await;
    let stored = db.number("SELECT count(*) FROM event").await;
    assert!(stored < 69_659, "the import was not killed in the middle");
    assert_consistent(&db).await;

    let rest = cdnow(&db, "CDNOW_master.txt").output().await.unwrap();
    let stored = db.number("SELECT count(*) FROM event").await;
    assert_eq!(stored, 69_659);
    assert!(printed(rest).ends_with(" duplicates, 0 conflicts, 0 quarantined, 0 rejected\n"));
    assert_eq!(totals(&serve(&db).await).await, cdnow_totals());
    assert_consistent(&db).await;
}
