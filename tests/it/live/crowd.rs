//! Many who watch at once.

use std::time::Duration;

use chrono::{DateTime, Utc};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use tidewater::clock::Clock;
use tokio::task::JoinSet;

use super::{WATCH, until, wait_for};
use crate::support::{KEY, Order, Subscription, TestApp};

#[tokio::test]
async fn fifty_who_watch_one_window_cost_as_much_as_one() {
    let noon: DateTime<Utc> = "2026-03-01T12:00:00Z".parse().unwrap();
    let app = TestApp::with_clock(Clock::manual(noon)).await;
    let mut crowd = Vec::new();
    for _ in 0..50 {
        let mut watching = app.subscribe(WATCH).await;
        assert_eq!(watching.next().await["liveSales"]["orders"], 0);
        crowd.push(watching);
    }
    assert_eq!(app.metric("tidewater_live_windows").await, 1.0);
    assert_eq!(app.metric("tidewater_live_subscribers").await, 50.0);

    let updates = app.metric("tidewater_live_updates_total").await;
    for n in 1..=3 {
        app.accept(&[Order::of("mug").at(noon.to_rfc3339()).event()])
            .await;
        for watching in &mut crowd {
            assert_eq!(watching.next().await["liveSales"]["orders"], n);
        }
    }
    assert_eq!(
        app.metric("tidewater_live_updates_total").await,
        updates + 3.0
    );
}

#[tokio::test]
async fn who_joins_a_window_reads_nothing_from_the_database() {
    const STATEMENTS: &str = "tidewater_read_statement_seconds_count";
    let app = TestApp::start().await;
    let mut first = app.subscribe(WATCH).await;
    first.next().await;
    let before = app.metric(STATEMENTS).await;
    let mut crowd = vec![first];
    for _ in 0..20 {
        let mut watching = app.subscribe(WATCH).await;
        watching.next().await;
        crowd.push(watching);
    }
    // The key may have been looked up again, and the window read anew; not once for each.
    let statements = app.metric(STATEMENTS).await - before;
    assert!(statements <= 5.0, "{statements} statements");
}

#[tokio::test]
async fn one_who_does_not_read_holds_up_nobody() {
    let noon: DateTime<Utc> = "2026-03-01T12:00:00Z".parse().unwrap();
    let app = TestApp::with_clock(Clock::manual(noon)).await;
    let mut deaf = app.subscribe(WATCH).await;
    deaf.next().await;
    let mut watching = app.subscribe(WATCH).await;
    watching.next().await;
    for n in 1..=20 {
        let order = Order::of("mug")
            .at(noon.to_rfc3339())
            .and(&"x".repeat(100), 1, "1.00");
        app.accept(&[order.event()]).await;
        assert_eq!(watching.next().await["liveSales"]["orders"], n);
    }
    // What it reads in the end is where things stand.
    let mut last = 0;
    while last != 20 {
        let orders = deaf.next().await["liveSales"]["orders"].as_i64().unwrap();
        assert!(orders > last);
        last = orders;
    }
}

/// The window begins from the database while purchases commit: none may fall between the two, and
/// none be in both.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_missed_or_doubled_while_many_come_and_go_and_buy() {
    const ORDERS: i64 = 200;
    let now = Clock::System.now();
    let app = std::sync::Arc::new(TestApp::with_clock(Clock::manual(now)).await);
    let mut random = StdRng::seed_from_u64(7);
    let mut tasks = JoinSet::new();
    let mut revenue = 0;
    for _ in 0..ORDERS / 4 {
        let events: Vec<_> = (0..4)
            .map(|_| {
                let cents = random.random_range(1..100_000_i64);
                revenue += cents;
                let amount = format!("{}.{:02}", cents / 100, cents % 100);
                let product = format!("p{}", random.random_range(0..30));
                Order::of(&product)
                    .at(now.to_rfc3339())
                    .for_amount(&amount)
                    .event()
            })
            .collect();
        let app = std::sync::Arc::clone(&app);
        let pause = Duration::from_millis(random.random_range(0..3_000));
        tasks.spawn(async move {
            tokio::time::sleep(pause).await;
            app.accept(&events).await;
        });
    }
    // Each stays for as long as it takes to see one value, so that windows end and begin.
    for _ in 0..60 {
        let url = app.url.clone();
        let pause = Duration::from_millis(random.random_range(0..3_000));
        tasks.spawn(async move {
            tokio::time::sleep(pause).await;
            Subscription::begin(&url, KEY, WATCH).await.next().await;
        });
    }
    let query = "subscription { liveSales(window: FIVE_MINUTES) { orders revenue units } }";
    let total = json!({"liveSales": {
        "orders": ORDERS, "units": ORDERS, "revenue": format!("{}.{:02}", revenue / 100, revenue % 100),
    }});
    let mut faithful = Vec::new();
    for pause in [0, 500, 1_000, 2_000] {
        tokio::time::sleep(Duration::from_millis(pause / 2)).await;
        faithful.push(app.subscribe(query).await);
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
    for watching in &mut faithful {
        until(watching, &total).await;
        assert!(
            watching.is_silent_for(Duration::from_millis(1_500)).await,
            "it went on after the total"
        );
    }
    drop(faithful);
    wait_for(&app, "tidewater_live_windows", 0.0).await;
    // Read anew, it is the same.
    assert_eq!(app.subscribe(query).await.next().await, total);
}
