//! The line to the database is cut at every statement of a transaction, before it is done and after
//! it: whatever step of the writer it falls into, a sender who sends again until the answer
//! comes has every event counted once.

use reqwest::StatusCode;
use serde_json::{Value, json};
use tidewater::clock::Clock;

use crate::support::{Order, Proxy, Side, TestApp, TestDb, assert_consistent, pageview};

/// Something of everything that a transaction stores.
fn batch(n: usize) -> Vec<Value> {
    let user = format!("u{}", n % 3);
    let minute = format!("2026-03-01T12:{:02}:00Z", n % 60);
    let order = Order::of("mug").by(&user).at(&minute);
    vec![
        order.and("tea", 2, "3.10").event(),
        pageview(&format!("new-{n}"), "/", &minute),
        json!({"type": format!("type_{n}"), "timestamp": minute, "userId": user,
               "eventId": uuid::Uuid::new_v4()}),
        // Nobody can store this.
        json!({"type": "purchase", "timestamp": minute, "userId": user, "currency": "XYZ"}),
    ]
}

/// Sends a batch until it is answered, as a client does; how often that took.
async fn send_until_answered(app: &TestApp, batch: &[Value]) -> usize {
    for tries in 1..=50 {
        let (status, answer) = app.send(&json!(batch)).await;
        if status == StatusCode::OK {
            assert_eq!(answer["conflicts"], 0, "{answer}");
            let stored =
                answer["accepted"].as_u64().unwrap() + answer["duplicates"].as_u64().unwrap();
            assert_eq!(stored, 3, "{answer}");
            return tries;
        }
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
    }
    panic!("no answer");
}

/// Cuts at every other message of a side; `first` is 1 or 2.
async fn every_event_counts_once(side: Side, first: i64) {
    let db = TestDb::migrated().await;
    let proxy = Proxy::before(&db).await;
    let app = TestApp::reaching(&proxy.url, db, Clock::System).await;
    send_until_answered(&app, &batch(0)).await;

    let mut sent = 1;
    let mut cuts = 0;
    for n in (first..).step_by(2) {
        assert!(n < 200, "a transaction of two hundred statements");
        proxy.cut_at(side, n);
        send_until_answered(&app, &batch(sent)).await;
        sent += 1;
        if proxy.spare(side) {
            break;
        }
        cuts += 1;
    }
    assert!(cuts > 6, "{cuts} cuts are fewer than the writer has steps");
    let expected = i64::try_from(3 * sent).unwrap();
    assert_eq!(app.db.number("SELECT count(*) FROM event").await, expected);
    assert_consistent(&app.db).await;
}

/// They mostly wait for the writer to try again, so all four do at once.
mod whatever_step_of_a_transaction_is_cut {
    use super::{Side, every_event_counts_once};

    #[tokio::test]
    async fn odd_ones_before_they_are_done() {
        every_event_counts_once(Side::Asked, 1).await;
    }

    #[tokio::test]
    async fn even_ones_before_they_are_done() {
        every_event_counts_once(Side::Asked, 2).await;
    }

    #[tokio::test]
    async fn odd_ones_after_they_are_done() {
        every_event_counts_once(Side::Answered, 1).await;
    }

    #[tokio::test]
    async fn even_ones_after_they_are_done() {
        every_event_counts_once(Side::Answered, 2).await;
    }
}
