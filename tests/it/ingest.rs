//! Events in: what is accepted and where it goes, what is refused and why, what is done twice,
//! and what happens while the database is away.

mod bad_events;
mod faults;
mod idempotency;
mod outages;
mod partitions;
mod pressure;
mod receipts;
mod refusals;
mod replays;
mod segment;
mod uploads;

use sea_orm::sqlx::{self, AssertSqlSafe};
use serde_json::{Value, json};
use tidewater::access::{Scope, keys};
use tidewater::clock::Clock;
use tidewater::domain::tenant::TenantId;
use tidewater::storage::Db;
use uuid::Uuid;

use crate::support::TestDb;

/// The statuses of a batch's receipts, in order.
pub fn statuses(answer: &Value) -> Vec<&str> {
    let receipts = answer["receipts"].as_array().unwrap().iter();
    receipts
        .map(|receipt| receipt["status"].as_str().unwrap())
        .collect()
}

/// A key of a tenant, which is made if there is none.
pub async fn key(db: &TestDb, tenant: &str, scope: Scope) -> String {
    let db = Db::open(&db.url(), |_| ()).await.unwrap();
    let tenant = keys::ensure_tenant(&db, tenant).await.unwrap().tenant_id;
    let now = Clock::System.now();
    let key = keys::create(&db, TenantId(tenant), "a test's", &[scope], now).await;
    db.close().await;
    key.unwrap()
}

/// All rows of a table or a query as JSON, in the order of their text.
pub async fn rows(db: &TestDb, query: &str) -> Value {
    let sql = format!(
        "SELECT coalesce(jsonb_agg(to_jsonb(r) ORDER BY r::text), '[]') FROM ({query}) AS r"
    );
    let mut connection = db.connect().await;
    sqlx::query_scalar(AssertSqlSafe(sql))
        .fetch_one(&mut connection)
        .await
        .unwrap()
}

/// Runs a statement as the database's owner.
pub async fn run(db: &TestDb, sql: &str) {
    let mut connection = db.connect().await;
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(&mut connection)
        .await
        .unwrap();
}

/// A click, the plainest of events.
pub fn click(id: Uuid, time: &str) -> Value {
    json!({"eventId": id, "type": "click", "timestamp": time, "userId": "u1"})
}
