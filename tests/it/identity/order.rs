//! Whatever the order and however often: one answer.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{again, alias, aliases, identify, known, merged, run, visitor, whose};
use crate::support::{TestApp, assert_consistent};

#[tokio::test]
async fn saying_it_again_changes_nothing() {
    let app = TestApp::start().await;
    let said = [
        identify("u1", "v1", 10),
        identify("u1", "v2", 10),
        alias("u1", "u2"),
    ];
    app.accept(&said).await;
    let before = aliases(&app).await;
    let links = "SELECT count(*) FROM user_link";
    assert_eq!((before.len(), app.db.number(links).await), (3, 3));
    for minute in [10, 50, 5] {
        app.accept(&again(&said)).await;
        app.accept(&[identify("u1", "v1", minute)]).await;
        // The other way round it is the same, but said anew.
        app.accept(&[alias("u2", "u1"), alias("u2", "u2")]).await;
        assert_eq!(aliases(&app).await, before);
        assert_eq!(app.db.number(links).await, 4);
    }
    assert_consistent(&app.db).await;
}

#[tokio::test]
async fn a_circle_is_one_user() {
    let app = TestApp::start().await;
    let users = ["u1", "u2", "u3", "u4"];
    for (n, user) in users.iter().enumerate() {
        app.accept(&[alias(user, users[(n + 1) % users.len()])])
            .await;
    }
    let canonical = users.map(known).into_iter().min().unwrap();
    let others = users.map(known).into_iter().filter(|id| *id != canonical);
    let mut expected: Vec<(Uuid, Uuid)> = others.map(|id| (id, canonical)).collect();
    expected.sort_unstable();
    assert_eq!(aliases(&app).await, expected);
}

#[tokio::test]
async fn an_event_that_is_refused_joins_nobody() {
    let app = TestApp::start().await;
    let id = Uuid::from_u128(7);
    let with_id = |mut event: Value| {
        event["eventId"] = json!(id);
        event
    };
    app.accept(&[with_id(identify("u1", "v1", 0))]).await;
    let (_, answer) = app.send(&json!([with_id(identify("u2", "v2", 0))])).await;
    assert_eq!(answer["conflicts"], 1, "{answer}");
    assert_eq!(aliases(&app).await, merged([(visitor("v1"), known("u1"))]));
}

/// One of 5 users tells that they are one of 6 visitors, or is said to be another user, or one
/// visitor another.
fn something(random: &mut StdRng) -> Value {
    let user = format!("u{}", random.random_range(0..5));
    if random.random_bool(0.8) {
        let visitor = format!("v{}", random.random_range(0..6));
        identify(&user, &visitor, random.random_range(0..8))
    } else if random.random_bool(0.7) {
        alias(&user, &format!("u{}", random.random_range(0..5)))
    } else {
        let mut visitor = || format!("v{}", random.random_range(0..6));
        json!({
            "eventId": Uuid::nil(), "type": "alias", "timestamp": "2026-03-01T13:00:00Z",
            "anonymousId": visitor(), "previousId": visitor(),
        })
    }
}

/// The same by another way, over the words that were sent.
fn naive(said: &[Value]) -> Vec<(Uuid, Uuid)> {
    /// Whether a visitor's, and the id.
    type Id = (bool, Uuid);
    let named = |event: &Value, known_as: &str, visitor_as: &str| -> Option<Id> {
        let known = event[known_as].as_str().map(|name| (false, known(name)));
        known.or_else(|| Some((true, visitor(event[visitor_as].as_str()?))))
    };
    let mut first: BTreeMap<Id, (String, Id)> = BTreeMap::new();
    let mut pairs = Vec::new();
    for event in said {
        let user = named(event, "userId", "anonymousId").unwrap();
        if let Some(previous) = named(event, "previousUserId", "previousId") {
            pairs.push((user, previous));
            continue;
        }
        let rival = (event["timestamp"].to_string(), user);
        let best = first.entry(named(event, "", "anonymousId").unwrap());
        let best = best.or_insert_with(|| rival.clone());
        *best = best.clone().min(rival);
    }
    pairs.extend(
        first
            .into_iter()
            .map(|(visitor, (_, user))| (user, visitor)),
    );
    let ids = pairs.iter().flat_map(|(a, b)| [*a, *b]);
    let mut best: BTreeMap<Id, Id> = ids.map(|id| (id, id)).collect();
    // Longer than any chain of them.
    for (a, b) in pairs.iter().cycle().take(pairs.len() * 12) {
        let better = best[a].min(best[b]);
        best.insert(*a, better);
        best.insert(*b, better);
    }
    let all = best.into_iter().map(|((_, id), (_, whose))| (id, whose));
    let mut aliases: Vec<(Uuid, Uuid)> = all.filter(|(id, whose)| id != whose).collect();
    aliases.sort_unstable();
    aliases
}

#[tokio::test]
async fn links_in_any_order_from_any_number_of_senders_make_the_same_users() {
    let mut random = StdRng::seed_from_u64(3);
    let app = TestApp::start().await;
    for _ in 0..8 {
        let count = random.random_range(4..16);
        let said: Vec<Value> = (0..count).map(|_| something(&mut random)).collect();
        let expected = naive(&said);
        for at_once in [1, 1, 4, 8] {
            run(&app, "TRUNCATE user_link, user_alias").await;
            let mut shuffled = said.clone();
            shuffled.shuffle(&mut random);
            shuffled.extend(said.iter().take(3).cloned());
            let shuffled = again(&shuffled);
            let batches: Vec<&[Value]> = shuffled.chunks(random.random_range(1..4)).collect();
            for senders in batches.chunks(at_once) {
                join_all(senders.iter().map(|batch| app.accept(batch))).await;
            }
            assert_eq!(aliases(&app).await, expected, "{shuffled:#?}");
        }
    }
    assert_consistent(&app.db).await;
}

#[tokio::test]
async fn an_id_that_every_visitor_is_given_makes_no_user_of_more_than_a_thousand_links() {
    let app = TestApp::start().await;
    let guests: Vec<Value> = (0..1_100)
        .map(|n| identify("guest", &format!("v{n}"), 10 + n / 100))
        .collect();
    for some in guests.chunks(300) {
        app.accept(some).await;
    }
    assert_eq!(aliases(&app).await.len(), 1_000);
    let refused = app.metric("tidewater_identity_refused_total").await;
    assert!((refused - 100.0).abs() < f64::EPSILON, "{refused}");
    // Those who were left out may be somebody yet.
    let left_out = visitor("v1099");
    assert_eq!(whose(&app, left_out).await, json!(left_out));
    app.accept(&[identify("u1", "v1099", 30)]).await;
    assert_eq!(whose(&app, left_out).await, json!(known("u1")));
}

#[tokio::test]
async fn a_device_that_everybody_uses_is_the_first_ones() {
    let app = TestApp::start().await;
    let mut everybody: Vec<Value> = (0..60)
        .map(|n| identify(&format!("u{n}"), "kiosk", n))
        .collect();
    everybody.shuffle(&mut StdRng::seed_from_u64(5));
    for some in everybody.chunks(7) {
        app.accept(some).await;
    }
    assert_eq!(
        aliases(&app).await,
        merged([(visitor("kiosk"), known("u0"))])
    );
    assert!(app.db.number("SELECT count(*) FROM user_link").await <= 10);
}
