//! The same again: an id counts once.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tidewater::access::Scope;
use uuid::Uuid;

use super::{click, key, rows, statuses};
use crate::support::{Order, TestApp, answer, assert_consistent, pageview};

/// Everything that a report or a rollup says.
async fn metrics(app: &TestApp) -> Value {
    let range = r#"range: {from: "2026-03-01T00:00:00Z", to: "2026-03-02T00:00:00Z"}"#;
    let measures = "revenue orders units averageOrderValue buyers";
    let data = app
        .data(&format!(
            "{{
                sales({range}, granularity: HOUR) {{
                    currency otherCurrencies buckets {{ start {measures} }} totals {{ {measures} }}
                }}
                products: sales({range}, groupBy: [PRODUCT, REGION, CHANNEL, CATEGORY]) {{
                    buckets {{ productId region channel category {measures} }}
                }}
                traffic({range}, granularity: HOUR) {{
                    buckets {{ start events pageviews users eventsByType {{ type events }} }}
                    totals {{ events pageviews users eventsByType {{ type events }} }}
                }}
            }}"
        ))
        .await;
    json!([
        data,
        rows(&app.db, "TABLE sales_minute").await,
        rows(&app.db, "TABLE traffic_minute").await,
    ])
}

#[tokio::test]
async fn a_replayed_batch_changes_no_metric() {
    let app = TestApp::start().await;
    let mut batch = Vec::new();
    for n in 0..40 {
        let (user, time) = (
            format!("u{}", n % 7),
            format!("2026-03-01T{:02}:30:00Z", n % 24),
        );
        let order = Order::of(["mug", "tea"][n % 2]).by(&user).at(&time);
        batch.push(order.and("filter", 3, "4.50").with("region", "DE").event());
        batch.push(pageview(&user, "/mugs", &time));
    }
    app.accept(&batch).await;
    let before = metrics(&app).await;
    assert_eq!(before[0]["sales"]["totals"]["orders"], 40);

    for again in [&batch[..], &batch[10..50]] {
        let (_, answer) = app.send(&json!(again)).await;
        assert_eq!(statuses(&answer), vec!["duplicate"; again.len()]);
        assert_eq!(answer["duplicates"], again.len());
        assert_eq!(metrics(&app).await, before);
    }
    // Among new events, too, only these count.
    let fresh = Order::of("mug").event();
    let (_, answer) = app.send(&json!([batch[0], fresh, batch[1]])).await;
    assert_eq!(statuses(&answer), ["duplicate", "accepted", "duplicate"]);
    assert_eq!(metrics(&app).await[0]["sales"]["totals"]["orders"], 41);
    assert_consistent(&app.db).await;
}

#[tokio::test]
async fn an_id_with_other_content_is_a_conflict_and_the_first_stays() {
    let app = TestApp::start().await;
    let id = Uuid::from_u128(7);
    let order = || Order::of("mug").with("eventId", id.to_string());
    app.accept(&[order().event()]).await;
    let before = metrics(&app).await;
    for other in [
        order().for_amount("10.01").event(),
        order().at("2026-03-01T12:00:01Z").event(),
        order().by("u2").event(),
        order().and("tea", 1, "1").event(),
        order().with("region", "DE").event(),
        order().with("properties", json!({"a": 1})).event(),
        click(id, "2026-03-01T12:00:00Z"),
    ] {
        let (_, answer) = app.send(&json!([other])).await;
        assert_eq!(
            answer["receipts"],
            json!([{
                "eventId": id, "status": "conflict", "code": "id_conflict",
                "message": "Another event with this id and other content was stored before; it stays as it was.",
            }])
        );
    }
    assert_eq!(metrics(&app).await, before);
    assert_consistent(&app.db).await;
}

#[tokio::test]
async fn an_id_twice_in_one_batch_counts_once() {
    let app = TestApp::start().await;
    let one = click(Uuid::from_u128(1), "2026-03-01T12:00:00Z");
    let two = click(Uuid::from_u128(2), "2026-03-01T12:00:00Z");
    let other = click(Uuid::from_u128(2), "2026-03-01T12:00:01Z");
    let (_, answer) = app.send(&json!([one, one, two, other, one, two])).await;
    assert_eq!(
        statuses(&answer),
        [
            "accepted",
            "duplicate",
            "accepted",
            "conflict",
            "duplicate",
            "duplicate"
        ]
    );
    assert_consistent(&app.db).await;
    assert_eq!(app.db.number("SELECT count(*) FROM event").await, 2);
}

#[tokio::test]
async fn the_order_of_keys_and_the_writing_of_values_make_no_conflict() {
    let app = TestApp::start().await;
    let id = Uuid::from_u128(0xabcd);
    let writings = [
        format!(
            r#"[{{"eventId": "{id}", "type": "purchase", "timestamp": "2026-03-01T12:00:00Z",
                 "userId": "u1", "currency": "USD", "properties": {{"a": 1, "b": {{"c": 2, "d": 3}}}},
                 "lines": [{{"productId": "mug", "quantity": 1, "amount": "10.00"}}]}}]"#
        ),
        format!(
            r#"{{"batch":[{{"lines":[{{"amount":10,"productId":"\u006dug","quantity":1}}],
                 "properties":{{"b":{{"d":3,"c":2}},"a":1}},"userId":"u1","currency":"USD",
                 "timestamp":"2026-03-01T13:00:00.000+01:00","type":"purchase","region":null,
                 "eventId":"{}"}}]}}"#,
            id.to_string().to_uppercase()
        ),
    ];
    for (body, expected) in writings.into_iter().zip(["accepted", "duplicate"]) {
        let request = app.request(Method::POST, "/v1/batch").body(body);
        let (_, answer) = answer(request).await;
        assert_eq!(statuses(&answer), [expected], "{answer}");
    }
    assert_consistent(&app.db).await;
}

#[tokio::test]
async fn ids_that_are_sent_by_many_at_once_are_accepted_once() {
    let app = TestApp::start().await;
    let events: Vec<Value> = (0..500)
        .map(|n| {
            let id = Uuid::new_v4().to_string();
            Order::of("mug")
                .by(&format!("u{}", n % 50))
                .with("eventId", id)
                .event()
        })
        .collect();
    // Each sender has an order of its own.
    let batches = (0..8).map(|sender| {
        let mut batch = events.clone();
        batch.rotate_left(sender * 61);
        if sender % 2 == 1 {
            batch.reverse();
        }
        json!(batch)
    });
    let sending = batches.map(|batch| {
        let app = &app;
        async move { app.send(&batch).await }
    });
    let answers = join_all(sending).await;
    let sum = |field: &str| -> u64 {
        answers
            .iter()
            .map(|(_, answer)| answer[field].as_u64().unwrap())
            .sum()
    };
    assert_eq!((sum("accepted"), sum("duplicates")), (500, 3_500));
    assert_eq!(app.db.number("SELECT count(*) FROM event").await, 500);
    assert_consistent(&app.db).await;
}

#[tokio::test]
async fn two_tenants_may_use_the_same_id() {
    let app = TestApp::start().await;
    let order = Order::of("mug").event();
    app.accept(std::slice::from_ref(&order)).await;
    let key = key(&app.db, "other", Scope::Admin).await;
    let send = || {
        let request = app.anonymous(Method::POST, "/v1/batch").bearer_auth(&key);
        answer(request.json(&json!([order])))
    };
    assert_eq!(statuses(&send().await.1), ["accepted"]);
    assert_eq!(statuses(&send().await.1), ["duplicate"]);
    let per_tenant = "SELECT name, count(*) FROM event JOIN tenant USING (tenant_id) GROUP BY name";
    assert_eq!(
        rows(&app.db, per_tenant).await,
        json!([{"name": "default", "count": 1}, {"name": "other", "count": 1}])
    );
    assert_consistent(&app.db).await;
}

#[tokio::test]
async fn batches_of_many_requests_share_transactions() {
    let app = TestApp::start().await;
    let before = app
        .metric("tidewater_ingest_transaction_seconds_count")
        .await;
    let sending = (0..200).map(|_| async { app.accept(&[Order::of("mug").event()]).await });
    join_all(sending).await;
    let transactions = app
        .metric("tidewater_ingest_transaction_seconds_count")
        .await
        - before;
    assert!(transactions <= 100.0, "{transactions} for 200 requests");
}
