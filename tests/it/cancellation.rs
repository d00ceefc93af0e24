//! What nobody waits for any more is not asked on.

use std::time::Duration;

use reqwest::Method;
use sea_orm::sqlx::{self, AssertSqlSafe, Connection, PgConnection, Postgres, Transaction};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::support::{Order, TestApp, TestDb, answer};

/// A single question, without a snapshot.
const PURCHASES: &str = "{ purchases(first: 2) { nodes { productId } } }";
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

/// Asks something behind the test's back, as a client that can go away.
pub fn ask(app: &TestApp, query: &str) -> JoinHandle<Value> {
    let request = app.request(Method::POST, "/graphql");
    let request = request.json(&json!({"query": query}));
    tokio::spawn(async { answer(request).await.1 })
}

/// Locks a table until it is rolled back.
pub async fn lock<'c>(holder: &'c mut PgConnection, table: &str) -> Transaction<'c, Postgres> {
    let mut lock = holder.begin().await.unwrap();
    let statement = format!("LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE");
    let statement = sqlx::query(AssertSqlSafe(statement));
    statement.execute(&mut *lock).await.unwrap();
    lock
}

#[tokio::test]
async fn a_client_that_goes_away_takes_its_report_along_and_nobody_elses() {
    const CANCELLED: &str = "tidewater_read_statements_cancelled_total";
    // Of what is kept, one would ask for all.
    let app = TestApp::keeping(TestDb::migrated().await, None, 0).await;
    app.accept(&[Order::of("mug").event(), Order::of("tea").event()])
        .await;
    let mut watcher = app.db.connect().await;
    let mut holder = app.db.connect().await;
    for round in 1..=3 {
        let lock = lock(&mut holder, "traffic_minute").await;
        // As many as there are connections: what comes later gets one of those that go.
        let mut asking: Vec<_> = (0..12).map(|_| ask(&app, SALES)).collect();
        until_waiting(&mut watcher, 12).await;
        let staying = asking.split_off(7);
        for going in asking {
            going.abort();
        }
        until_waiting(&mut watcher, 5).await;
        let later: Vec<_> = (0..7).map(|_| ask(&app, SALES)).collect();
        until_waiting(&mut watcher, 12).await;
        lock.rollback().await.unwrap();
        for asking in staying.into_iter().chain(later) {
            assert_eq!(
                asking.await.unwrap()["data"],
                json!({"sales": {"totals": {"orders": 2}}})
            );
        }
        assert!(app.metric(CANCELLED).await >= f64::from(7 * round));
    }
}

#[tokio::test]
async fn a_client_that_goes_away_takes_its_list_along_and_nobody_elses() {
    let app = TestApp::start().await;
    app.accept(&[Order::of("mug").event(), Order::of("mug").event()])
        .await;
    let mut watcher = app.db.connect().await;
    let mut holder = app.db.connect().await;
    let lock = lock(&mut holder, "purchase").await;
    let mut asking: Vec<_> = (0..12).map(|_| ask(&app, PURCHASES)).collect();
    until_waiting(&mut watcher, 12).await;
    let staying = asking.split_off(7);
    for going in asking {
        going.abort();
    }
    until_waiting(&mut watcher, 5).await;
    let later: Vec<_> = (0..7).map(|_| ask(&app, PURCHASES)).collect();
    until_waiting(&mut watcher, 12).await;
    lock.rollback().await.unwrap();
    for asking in staying.into_iter().chain(later) {
        let purchase = json!({"productId": "mug"});
        assert_eq!(
            asking.await.unwrap()["data"],
            json!({"purchases": {"nodes": [purchase, purchase]}})
        );
    }
}
