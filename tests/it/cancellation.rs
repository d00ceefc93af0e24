//! What nobody waits for any more is not asked on.

use std::time::Duration;

use sea_orm::sqlx::{self, Connection, PgConnection};
use serde_json::{Value, json};

use crate::support::{Order, TestApp};

const SALES: &str = r#"{
    sales(range: {from: "2026-03-01T00:00:00Z", to: "2026-04-01T00:00:00Z"}) { totals { orders } }
}"#;

/// How many questions wait for a lock.
pub async fn waiting(connection: &mut PgConnection) -> i64 {
    let sql = "SELECT count(*) FROM pg_stat_activity
               WHERE datname = current_database() AND wait_event_type = 'Lock'";
    sqlx::query_scalar(sql).fetch_one(connection).await.unwrap()
}

/// Waits until so many questions wait for a lock.
pub async fn until_waiting(connection: &mut PgConnection, number: i64) {
    // Less than a statement is given.
    let looking = tokio::time::timeout(Duration::from_secs(12), async {
        while waiting(connection).await != number {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    looking
        .await
        .unwrap_or_else(|_| panic!("not {number} wait"));
}

#[tokio::test]
async fn a_client_that_goes_away_takes_its_question_along_and_nobody_elses() {
    const CANCELLED: &str = "tidewater_read_statements_cancelled_total";
    let app = TestApp::start().await;
    app.accept(&[Order::of("mug").event(), Order::of("tea").event()])
        .await;
    let mut watcher = app.db.connect().await;
    let mut holder = app.db.connect().await;
    for round in 1..=3 {
        let mut lock = holder.begin().await.unwrap();
        sqlx::query("LOCK TABLE sales_minute IN ACCESS EXCLUSIVE MODE")
            .execute(&mut *lock)
            .await
            .unwrap();
        // As many as there are connections: what comes later gets one of those that go.
        let mut asking: Vec<_> = (0..12)
            .map(|_| {
                let request = app.request(reqwest::Method::POST, "/graphql");
                tokio::spawn(crate::support::answer(
                    request.json(&json!({"query": SALES})),
                ))
            })
            .collect();
        until_waiting(&mut watcher, 12).await;
        let staying = asking.split_off(7);
        for going in asking {
            going.abort();
        }
        until_waiting(&mut watcher, 5).await;
        let later: Vec<_> = (0..7)
            .map(|_| {
                let request = app.request(reqwest::Method::POST, "/graphql");
                tokio::spawn(crate::support::answer(
                    request.json(&json!({"query": SALES})),
                ))
            })
            .collect();
        until_waiting(&mut watcher, 12).await;
        lock.rollback().await.unwrap();
        for asking in staying.into_iter().chain(later) {
            let (_, answer): (_, Value) = asking.await.unwrap();
            assert_eq!(
                answer,
                json!({"data": {"sales": {"totals": {"orders": 2}}}})
            );
        }
        assert!(app.metric(CANCELLED).await >= f64::from(7 * round));
    }
}
