//! What is being sold right now, as it reaches those who watch.

#![allow(clippy::float_cmp, reason = "the metrics are whole numbers")]

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tidewater::clock::Clock;

use crate::support::{KEY, Order, Subscription, TestApp, pageview};

mod crowd;
mod servers;
mod socket;

/// Everything of the five-minute window.
pub const WATCH: &str = "subscription { liveSales(window: FIVE_MINUTES) {
    revenue orders units topProducts { productId revenue units }
} }";

/// The moment at which these tests begin, and a clock that stands there.
fn noon() -> (DateTime<Utc>, Clock) {
    let noon = "2026-03-01T12:00:00Z".parse().unwrap();
    (noon, Clock::manual(noon))
}

fn nothing() -> Value {
    json!({"liveSales": {"revenue": "0.00", "orders": 0, "units": 0, "topProducts": []}})
}

/// Waits until a metric reads so.
pub async fn wait_for(app: &TestApp, metric: &str, value: f64) {
    let waiting = async {
        while app.metric(metric).await != value {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let patience = Duration::from_secs(20);
    let result = tokio::time::timeout(patience, waiting).await;
    assert!(result.is_ok(), "{metric} is {}", app.metric(metric).await);
}

/// The next value that differs in what matters; what was committed together may come in two.
pub async fn until(subscription: &mut Subscription, expected: &Value) {
    let mut seen = Vec::new();
    while seen.last() != Some(expected) {
        assert!(seen.len() < 300, "never {expected}, but {seen:?}");
        seen.push(subscription.next().await);
    }
}

#[tokio::test]
async fn the_window_is_shown_at_once_and_then_with_each_purchase() {
    let (noon, clock) = noon();
    let app = TestApp::with_clock(clock).await;
    let mut watching = app.subscribe(WATCH).await;
    assert_eq!(watching.next().await, nothing());

    let order = Order::of("mug")
        .at(noon.to_rfc3339())
        .times(2)
        .and("pot", 1, "29.90");
    app.accept(&[order.event()]).await;
    assert_eq!(
        watching.next().await,
        json!({"liveSales": {
            "revenue": "39.90", "orders": 1, "units": 3,
            "topProducts": [
                {"productId": "pot", "revenue": "29.90", "units": 1},
                {"productId": "mug", "revenue": "10.00", "units": 2},
            ],
        }})
    );
    app.accept(&[Order::of("mug")
        .at(noon.to_rfc3339())
        .for_amount("25.00")
        .event()])
        .await;
    assert_eq!(
        watching.next().await,
        json!({"liveSales": {
            "revenue": "64.90", "orders": 2, "units": 4,
            "topProducts": [
                {"productId": "mug", "revenue": "35.00", "units": 3},
                {"productId": "pot", "revenue": "29.90", "units": 1},
            ],
        }})
    );
}

#[tokio::test]
async fn what_changes_no_sum_is_not_shown() {
    let (noon, clock) = noon();
    let app = TestApp::with_clock(clock).await;
    let mut watching = app.subscribe(WATCH).await;
    watching.next().await;
    let order = Order::of("mug").at(noon.to_rfc3339()).event();
    app.accept(std::slice::from_ref(&order)).await;
    watching.next().await;

    let (status, replay) = app.send(&json!([order])).await;
    assert_eq!((status.as_u16(), &replay["duplicates"]), (200, &json!(1)));
    let long_ago = noon - TimeDelta::minutes(5);
    let ahead = noon + TimeDelta::minutes(5);
    app.accept(&[
        pageview("v1", "/", noon.to_rfc3339()),
        Order::of("mug").at(long_ago.to_rfc3339()).event(),
        Order::of("mug").at(ahead.to_rfc3339()).event(),
        Order::of("mug")
            .at(noon.to_rfc3339())
            .with("currency", "EUR")
            .event(),
    ])
    .await;
    assert!(watching.is_silent_for(Duration::from_secs(3)).await);
}

#[tokio::test]
async fn a_purchase_leaves_when_the_window_has_passed_it() {
    let (noon, clock) = noon();
    let app = TestApp::with_clock(clock.clone()).await;
    let mut watching = app.subscribe(WATCH).await;
    watching.next().await;
    app.accept(&[Order::of("mug").at(noon.to_rfc3339()).event()])
        .await;
    assert_eq!(watching.next().await["liveSales"]["orders"], 1);

    clock.advance(TimeDelta::seconds(299));
    assert!(watching.is_silent_for(Duration::from_secs(2)).await);
    clock.advance(TimeDelta::seconds(1));
    assert_eq!(watching.next().await, nothing());
}

#[tokio::test]
async fn an_order_of_the_near_future_is_shown_when_its_time_comes() {
    let (noon, clock) = noon();
    let app = TestApp::with_clock(clock.clone()).await;
    let mut watching = app.subscribe(WATCH).await;
    watching.next().await;
    let soon = noon + TimeDelta::seconds(30);
    app.accept(&[Order::of("mug").at(soon.to_rfc3339()).event()])
        .await;
    assert!(watching.is_silent_for(Duration::from_secs(2)).await);
    clock.advance(TimeDelta::seconds(30));
    assert_eq!(watching.next().await["liveSales"]["orders"], 1);
    // Also for one who comes later.
    let first = app.subscribe(WATCH).await.next().await;
    assert_eq!(first["liveSales"]["orders"], 1);
}

#[tokio::test]
async fn what_was_sold_before_anyone_watched_is_in_the_first_value_of_each_window() {
    let (noon, clock) = noon();
    let app = TestApp::with_clock(clock).await;
    let before = |seconds| (noon - TimeDelta::seconds(seconds)).to_rfc3339();
    app.accept(&[59, 60, 299, 300, 3_599, 3_600].map(|age| {
        Order::of("mug")
            .and("pot", 1, "1.00")
            .at(before(age))
            .event()
    }))
    .await;
    for (window, orders) in [("ONE_MINUTE", 1), ("FIVE_MINUTES", 3), ("ONE_HOUR", 5)] {
        let query =
            format!("subscription {{ liveSales(window: {window}) {{ orders units revenue }} }}");
        let sales = json!({"orders": orders, "units": 2 * orders, "revenue": format!("{}.00", 11 * orders)});
        let first = app.subscribe(&query).await.next().await;
        assert_eq!(first, json!({"liveSales": sales}), "{window}");
    }
}

#[tokio::test]
async fn the_window_ends_when_the_last_one_leaves() {
    let app = TestApp::start().await;
    let mut one = app.subscribe(WATCH).await;
    let mut other = app.subscribe(WATCH).await;
    one.next().await;
    other.next().await;
    assert_eq!(app.metric("tidewater_live_windows").await, 1.0);
    assert_eq!(app.metric("tidewater_live_subscribers").await, 2.0);
    drop(one);
    wait_for(&app, "tidewater_live_subscribers", 1.0).await;
    // One leaves by falling silent, the other by its own word.
    other.say(json!({"id": "1", "type": "complete"})).await;
    wait_for(&app, "tidewater_live_subscribers", 0.0).await;
    wait_for(&app, "tidewater_live_windows", 0.0).await;
    // And begins anew.
    let mut third = Subscription::begin(&app.url, KEY, WATCH).await;
    assert_eq!(third.next().await, nothing());
    assert_eq!(app.metric("tidewater_live_windows").await, 1.0);
}
