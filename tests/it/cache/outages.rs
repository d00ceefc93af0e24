//! A Redis that is away, and a database that is.

use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::{BYTES, UP, found, sales, until, until_up, whence};
use crate::support::{Order, Proxy, Redis, TestApp, TestDb, config};

#[tokio::test]
async fn a_redis_that_goes_away_is_missed_by_nobody_and_found_again() {
    let mut redis = Redis::with(&[]).await;
    let db = Arc::new(TestDb::migrated().await);
    let app = TestApp::keeping(Arc::clone(&db), Some(&redis.url()), BYTES).await;
    until_up(&app).await;
    app.accept(&[Order::of("mug").event()]).await;
    assert_eq!(whence(&app, &sales(1, 2, 0)).await, "MISS");

    // Killed, and then hung: nobody waits for it.
    redis.kill().await;
    for day in 2..8 {
        assert_eq!(whence(&app, &sales(day, day + 1, 0)).await, "MISS");
        assert_eq!(whence(&app, &sales(day, day + 1, 0)).await, "HIT_PROCESS");
    }
    until("down", async || app.metric(UP).await == 0.0).await;
    redis.start().await;
    until_up(&app).await;
    redis.signal(Signal::SIGSTOP);
    for day in 8..14 {
        assert_eq!(whence(&app, &sales(day, day + 1, 0)).await, "MISS");
        assert_eq!(whence(&app, &sales(day, day + 1, 0)).await, "HIT_PROCESS");
    }
    until("down", async || app.metric(UP).await == 0.0).await;
    assert!(app.metric("tidewater_cache_redis_errors_total").await >= 2.0);
    redis.signal(Signal::SIGCONT);
    until_up(&app).await;

    // What is made from now on is there for others.
    assert_eq!(whence(&app, &sales(20, 21, 0)).await, "MISS");
    let other = TestApp::keeping(db, Some(&redis.url()), BYTES).await;
    until_up(&other).await;
    let whence = whence(&other, &sales(20, 21, 0)).await;
    // It may not have arrived there yet.
    assert!(whence == "HIT_SHARED" || whence == "MISS", "{whence}");
}

#[tokio::test]
async fn while_the_database_is_away_only_who_takes_old_answers_is_answered() {
    let db = TestDb::migrated().await;
    let proxy = Proxy::before(&db).await;
    let app = TestApp::start_with(db, config(&proxy.url, None)).await;
    until("ready", async || app.get("/readyz").await.0.is_success()).await;
    app.accept(&[Order::of("mug").event()]).await;
    let (now, old) = (sales(1, 2, 0), sales(1, 2, 3_600));
    for query in [&now, &old, &now, &old] {
        whence(&app, query).await;
    }
    proxy.hold(true);
    let (cache, report) = found(&app, &old).await;
    assert_eq!(
        (cache.as_str(), &report["totals"]["orders"]),
        ("HIT_PROCESS", &1.into())
    );
    let asking = tokio::time::timeout(Duration::from_millis(300), app.ask(&now)).await;
    assert!(asking.is_err(), "{asking:?}");
    proxy.hold(false);
    until("answered", async || {
        app.ask(&now).await["data"]["sales"]["totals"]["orders"] == 1
    })
    .await;
}

#[tokio::test]
async fn a_database_that_is_another_than_before_is_believed_anew() {
    let app = TestApp::start().await;
    app.accept(&[Order::of("mug").event()]).await;
    let query = sales(1, 2, 0);
    whence(&app, &query).await;
    assert_eq!(whence(&app, &query).await, "HIT_PROCESS");
    // As after a fail-over that lost the last changes.
    app.db
        .run("UPDATE idempotency_head SET changes = changes - 1")
        .await;
    app.db
        .run("UPDATE changed_hour SET number = number - 1")
        .await;
    assert_eq!(whence(&app, &query).await, "MISS");
    assert_eq!(whence(&app, &query).await, "HIT_PROCESS");
}
