//! An erasure that is killed in the middle ends as if it had not been.

use std::time::Duration;

use sea_orm::sqlx;
use serde_json::{Value, json};
use tokio::process::Child;
use uuid::Uuid;

use crate::support::{TestApp, TestDb, program};

/// Something in each of many hours, by the person and by somebody else.
fn busy() -> Vec<Value> {
    let one = |n: u32| {
        json!({"eventId": Uuid::new_v4(), "type": "purchase", "currency": "USD",
               "userId": if n.is_multiple_of(2) { "busy-person" } else { "somebody" },
               "timestamp": format!("2026-03-{:02}T{:02}:00:00Z", 1 + n / 40, (n % 40) / 2),
               "lines": [{"productId": "mug", "quantity": 1, "amount": "1.00"}]})
    };
    (0..160).map(one).collect()
}

const LEFT: &str = r#"
    SELECT count(*) FROM event JOIN "user" USING (tenant_id, user_id)
    WHERE external_id = 'busy-person'"#;

fn erasing(db: &TestDb, mode: &str) -> Child {
    let mut command = program();
    command
        .args([
            "privacy",
            "erase",
            "--user-id",
            "busy-person",
            "--mode",
            mode,
        ])
        .env("DATABASE_URL", db.url());
    command.spawn().unwrap()
}

async fn killed_in_the_middle(mode: &str) {
    // A server without a worker: nobody else works on it.
    let db = TestDb::migrated().await;
    let app = TestApp::with_role(db, tidewater::app::Role::Api).await;
    app.accept(&busy()).await;
    let mut child = erasing(&app.db, mode);
    let all = app.db.number(LEFT).await;
    while app.db.number(LEFT).await > all / 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    child.kill().await.unwrap();
    let left = app.db.number(LEFT).await;
    assert!(left > 0 && left < all, "{left} of {all}");
    assert_eq!(
        app.db
            .number("SELECT count(*) FROM erasure WHERE finished_at IS NULL")
            .await,
        1
    );

    // Whoever asks again works on both.
    let output = erasing(&app.db, mode).wait_with_output().await.unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && told.contains("-> 0  events"),
        "{told}"
    );
    assert_eq!(
        app.db
            .number("SELECT count(*) FROM erasure WHERE finished_at IS NULL")
            .await,
        0
    );
    assert_eq!(
        app.db
            .number("SELECT count(*) FROM \"user\" WHERE external_id = 'busy-person'")
            .await,
        0
    );
    let events = if mode == "delete" { 80 } else { 160 };
    assert_eq!(app.db.number("SELECT count(*) FROM event").await, events);
    let users = if mode == "delete" { 1 } else { 2 };
    assert_eq!(
        app.db
            .number("SELECT count(DISTINCT user_id) FROM event")
            .await,
        users
    );

    let mut command = program();
    command
        .args(["rollups", "rebuild", "--all"])
        .env("DATABASE_URL", app.db.url());
    let output = command.output().await.unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains(" 0 rows differed"), "{told}");
}

#[tokio::test]
async fn a_deletion_that_is_killed_is_done_again_and_ends_the_same() {
    killed_in_the_middle("delete").await;
}

#[tokio::test]
async fn an_anonymisation_that_is_killed_is_done_again_and_ends_the_same() {
    killed_in_the_middle("anonymise").await;
}

#[tokio::test]
async fn somebody_who_goes_on_meanwhile_is_erased_up_to_a_moment() {
    let app = TestApp::start().await;
    app.accept(&busy()).await;
    let erasing = super::erase(&app, "busy-person", "DELETE", None);
    let going_on = async {
        for _ in 0..40 {
            let now = tidewater::clock::Clock::System.now().to_rfc3339();
            app.accept(&[json!({"type": "search", "timestamp": now, "userId": "busy-person"})])
                .await;
        }
    };
    let (erasure, ()) = tokio::join!(erasing, going_on);
    let mut connection = app.db.connect().await;
    let early: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM event JOIN \"user\" USING (tenant_id, user_id)
         WHERE external_id = 'busy-person' AND received_at <= $1::timestamptz",
    )
    .bind(
        erasure["erasedAt"]
            .as_str()
            .unwrap()
            .parse::<chrono::DateTime<chrono::Utc>>()
            .unwrap(),
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!(early, 0);
    let orphans = r#"SELECT count(*) FROM event LEFT JOIN "user" AS known USING (tenant_id, user_id)
                     WHERE known.user_id IS NULL"#;
    assert_eq!(app.db.number(orphans).await, 0);
}
