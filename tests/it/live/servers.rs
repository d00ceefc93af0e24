//! Several servers, and Redis between them.

use std::sync::Arc;
use std::time::Duration;

use tidewater::clock::Clock;

use super::WATCH;
use crate::support::{Order, TestApp, TestDb, services};

#[tokio::test]
async fn a_purchase_at_one_server_reaches_who_watches_at_another() {
    let db = Arc::new(TestDb::migrated().await);
    let redis = Some(services().redis_url.as_str());
    let clock = Clock::manual("2026-03-01T12:00:00Z".parse().unwrap());
    let one = TestApp::on(Arc::clone(&db), redis, clock.clone()).await;
    let other = TestApp::on(db, redis, clock).await;
    let (mut here, mut there) = (one.subscribe(WATCH).await, other.subscribe(WATCH).await);
    assert_eq!(here.next().await, there.next().await);
    for _ in 0..3 {
        one.accept(&[Order::of("mug").event()]).await;
        let shown = here.next().await;
        assert_eq!(there.next().await, shown);
        other
            .accept(&[Order::of("pot").and("mug", 2, "3.00").event()])
            .await;
        let shown = there.next().await;
        assert_eq!(here.next().await, shown);
    }
}

#[tokio::test]
async fn two_installations_on_one_redis_do_not_hear_each_other() {
    let redis = Some(services().redis_url.as_str());
    let clock = Clock::manual("2026-03-01T12:00:00Z".parse().unwrap());
    let one = TestApp::on(TestDb::migrated().await, redis, clock.clone()).await;
    let other = TestApp::on(TestDb::migrated().await, redis, clock).await;
    let (mut here, mut there) = (one.subscribe(WATCH).await, other.subscribe(WATCH).await);
    here.next().await;
    there.next().await;
    one.accept(&[Order::of("mug").event()]).await;
    assert_eq!(here.next().await["liveSales"]["orders"], 1);
    assert!(there.is_silent_for(Duration::from_secs(2)).await);
}
