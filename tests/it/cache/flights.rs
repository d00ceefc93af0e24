//! A question is asked once for all who wait for its answer.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::{BYTES, MISSES, found, sales, whence};
use crate::cancellation::{ask, lock, until_waiting};
use crate::support::{Order, TestApp, TestDb, services};

const READ: &str = "tidewater_reports_total";

#[tokio::test]
async fn who_asks_the_same_at_once_waits_for_one_answer() {
    let app = TestApp::start().await;
    app.accept(&[Order::of("mug").event()]).await;
    let mut watcher = app.db.connect().await;
    let mut holder = app.db.connect().await;
    let lock = lock(&mut holder, "sales_minute").await;
    let asking: Vec<_> = (0..20).map(|_| ask(&app, &sales(1, 2, 0))).collect();
    until_waiting(&mut watcher, 1).await;
    lock.rollback().await.unwrap();
    for asking in asking {
        let answer = asking.await.unwrap();
        assert_eq!(answer["data"]["sales"]["totals"]["orders"], 1, "{answer}");
    }
    assert!((app.metric(MISSES).await - 1.0).abs() < f64::EPSILON);
    assert!((app.metric(READ).await - 1.0).abs() < f64::EPSILON);
}

#[tokio::test]
async fn who_goes_away_takes_along_nobody_elses_answer_and_leaves_nothing_running() {
    const CANCELLED: &str = "tidewater_read_statements_cancelled_total";
    let app = TestApp::start().await;
    app.accept(&[Order::of("mug").event()]).await;
    let mut watcher = app.db.connect().await;
    let mut holder = app.db.connect().await;
    let lock = lock(&mut holder, "sales_minute").await;
    let first = ask(&app, &sales(1, 2, 0));
    until_waiting(&mut watcher, 1).await;
    let others: Vec<_> = (0..5).map(|_| ask(&app, &sales(1, 2, 0))).collect();
    // Until they have come, or else they come later: it makes no difference to what they get.
    tokio::time::sleep(Duration::from_millis(200)).await;
    first.abort();
    while app.metric(CANCELLED).await < 1.0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // One of them asks anew.
    until_waiting(&mut watcher, 1).await;
    lock.rollback().await.unwrap();
    for other in others {
        let answer = other.await.unwrap();
        assert_eq!(answer["data"]["sales"]["totals"]["orders"], 1, "{answer}");
    }

    let lock = crate::cancellation::lock(&mut holder, "sales_minute").await;
    let all: Vec<_> = (0..5).map(|_| ask(&app, &sales(2, 3, 0))).collect();
    until_waiting(&mut watcher, 1).await;
    for one in all {
        one.abort();
    }
    until_waiting(&mut watcher, 0).await;
    lock.rollback().await.unwrap();
}

#[tokio::test]
async fn an_answer_that_fails_is_not_kept() {
    let app = TestApp::start().await;
    app.accept(&[Order::of("mug").event()]).await;
    app.db.run("ALTER TABLE sales_minute RENAME TO away").await;
    app.db
        .run("ALTER TABLE sales_quarter RENAME TO away_too")
        .await;
    assert_eq!(app.code(&sales(1, 2, 0)).await, "internal");
    app.db.run("ALTER TABLE away RENAME TO sales_minute").await;
    app.db
        .run("ALTER TABLE away_too RENAME TO sales_quarter")
        .await;
    assert_eq!(whence(&app, &sales(1, 2, 0)).await, "MISS");
}

#[tokio::test]
async fn servers_that_share_a_redis_share_answers_and_make_them_once() {
    let db = Arc::new(TestDb::migrated().await);
    let redis = Some(services().redis_url.as_str());
    let one = TestApp::keeping(Arc::clone(&db), redis, BYTES).await;
    let other = TestApp::keeping(db, redis, BYTES).await;
    for app in [&one, &other] {
        super::until_up(app).await;
    }
    one.accept(&[Order::of("mug").event()]).await;
    let (cache, made) = found(&one, &sales(1, 2, 0)).await;
    assert_eq!(cache, "MISS");
    let mut shared = made.clone();
    super::until("shared", async || {
        whence(&other, &sales(1, 2, 0)).await == "HIT_PROCESS"
    })
    .await;
    shared["provenance"]["cache"] = json!("HIT_PROCESS");
    assert_eq!(found(&other, &sales(1, 2, 0)).await.1, shared);
    assert!((other.metric(MISSES).await).abs() < f64::EPSILON);
    // What one server stores, the other does not answer without.
    for n in 2..6 {
        one.accept(&[Order::of("mug").event()]).await;
        assert_eq!(
            found(&other, &sales(1, 2, 0)).await.1["totals"]["orders"],
            n
        );
        assert_eq!(found(&one, &sales(1, 2, 0)).await.1["totals"]["orders"], n);
    }

    // While one makes it, the other waits for it; not for ever, so that it may ask itself.
    let mut watcher = one.db.connect().await;
    let mut holder = one.db.connect().await;
    let mut made_once = 0;
    for day in 2..7 {
        let before = one.metric(MISSES).await + other.metric(MISSES).await;
        let lock = lock(&mut holder, "sales_minute").await;
        let first = ask(&one, &sales(day, day + 1, 0));
        until_waiting(&mut watcher, 1).await;
        let second = ask(&other, &sales(day, day + 1, 0));
        tokio::time::sleep(Duration::from_millis(100)).await;
        lock.rollback().await.unwrap();
        for asking in [first, second] {
            let answer = asking.await.unwrap();
            assert_eq!(answer["data"]["sales"]["totals"]["orders"], 0, "{answer}");
        }
        let made = one.metric(MISSES).await + other.metric(MISSES).await - before;
        made_once += u32::from(made < 1.5);
    }
    assert!(made_once > 0);
}
