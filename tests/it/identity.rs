//! Who is who: ids that turn out to be one user, and what is told of that user then.

mod order;
mod reports;

use sea_orm::sqlx::{self, AssertSqlSafe};
use serde_json::{Value, json};
use tidewater::domain::event::user_id;
use tidewater::domain::tenant::TenantId;
use uuid::Uuid;

use crate::support::TestApp;

const TENANT: TenantId = TenantId(1);

/// The server's id of a known user.
fn known(name: &str) -> Uuid {
    user_id(TENANT, name, false)
}

/// The server's id of a visitor.
fn visitor(name: &str) -> Uuid {
    user_id(TENANT, name, true)
}

/// A visitor tells who they are, some minutes after noon.
fn identify(user: &str, visitor: &str, minute: u32) -> Value {
    json!({
        "eventId": Uuid::new_v4(), "type": "identify",
        "timestamp": format!("2026-03-01T12:{minute:02}:00Z"),
        "userId": user, "anonymousId": visitor,
    })
}

/// The shop says that two known users are one.
fn alias(user: &str, previous: &str) -> Value {
    json!({
        "eventId": Uuid::new_v4(), "type": "alias", "timestamp": "2026-03-01T13:00:00Z",
        "userId": user, "previousUserId": previous,
    })
}

/// The same, said anew: other events.
fn again(said: &[Value]) -> Vec<Value> {
    let anew = said.iter().cloned().map(|mut event| {
        event["eventId"] = json!(Uuid::new_v4());
        event
    });
    anew.collect()
}

/// Each id that is somebody else's, and whose.
async fn aliases(app: &TestApp) -> Vec<(Uuid, Uuid)> {
    let sql = "SELECT user_id, canonical_id FROM user_alias ORDER BY user_id";
    let mut connection = app.db.connect().await;
    sqlx::query_as(sql)
        .fetch_all(&mut connection)
        .await
        .unwrap()
}

/// What [`aliases`] should be.
fn merged<const N: usize>(mut pairs: [(Uuid, Uuid); N]) -> Vec<(Uuid, Uuid)> {
    pairs.sort_unstable();
    pairs.into()
}

/// Runs a statement as the database's owner.
async fn run(app: &TestApp, sql: &str) {
    let mut connection = app.db.connect().await;
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(&mut connection)
        .await
        .unwrap();
}

/// The user whom an id stands for, as `userId`.
async fn whose(app: &TestApp, id: Uuid) -> Value {
    let query = format!(r#"{{ user(id: "{id}") {{ userId }} }}"#);
    app.data(&query).await["user"]["userId"].take()
}
