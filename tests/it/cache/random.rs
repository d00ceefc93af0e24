//! Random writes and reads, on one server and on several: no answer is older than it may be.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use tidewater::clock::Clock;
use uuid::Uuid;

use super::{BYTES, until_up};
use crate::support::{Order, TestApp, TestDb, pageview, services};

const STEPS: usize = 100;

/// Some hours of March.
fn time(random: &mut StdRng) -> DateTime<Utc> {
    let begin: DateTime<Utc> = "2026-03-01T00:00:00Z".parse().unwrap();
    begin + TimeDelta::minutes(random.random_range(0..4 * 24 * 60))
}

/// Something that happens; anything may be late.
fn happens(random: &mut StdRng) -> Value {
    let user = format!("u{}", random.random_range(0..6));
    let visitor = format!("v{}", random.random_range(0..6));
    let at = time(random);
    let product = ["mug", "pot", "tea"].choose(random).unwrap();
    match random.random_range(0..10) {
        0..4 => Order::of(product).by(&user).at(at.to_rfc3339()).event(),
        4 => json!({
            "eventId": Uuid::new_v4(), "type": "refund", "timestamp": at, "userId": user,
            "currency": "USD", "lines": [{"productId": product, "quantity": 1, "amount": "1.00"}],
        }),
        5 => json!({
            "eventId": Uuid::new_v4(), "type": "identify", "timestamp": at,
            "userId": user, "anonymousId": visitor,
        }),
        _ => pageview(&visitor, "/", at.to_rfc3339()),
    }
}

/// Questions of few ranges, so that they come again; without what may differ of equal answers.
fn question(random: &mut StdRng, max_staleness: u32) -> String {
    let from = random.random_range(1..4);
    let to = random.random_range(from + 1..=5);
    let range = format!(
        r#"from: "2026-03-{from:02}T00:00:00Z", to: "2026-03-{to:02}T{:02}:00:00Z""#,
        if random.random_bool(0.3) { 7 } else { 0 }
    );
    let stale = format!("maxStaleness: {max_staleness}");
    let provenance = "provenance { lateEvents excludedBots source }";
    let granularity = ["TOTAL", "DAY", "HOUR"].choose(random).unwrap();
    match random.random_range(0..4) {
        0 => {
            let group = ["", ", groupBy: [PRODUCT]"].choose(random).unwrap();
            format!(
                "{{ sales(range: {{{range}}}, granularity: {granularity}, {stale}{group}) {{
                    buckets {{ start productId revenue refunds orders }}
                    totals {{ orders units buyers netRevenue }} {provenance} }} }}"
            )
        }
        1 => format!(
            "{{ traffic(range: {{{range}}}, granularity: {granularity}, {stale}) {{
                buckets {{ start events users }} totals {{ events users pageviews }} {provenance} }} }}"
        ),
        2 => format!(
            "{{ restatements(range: {{{range}}}, {stale}) {{
                buckets {{ start change {{ events revenue }} }} {provenance} }} }}"
        ),
        _ => {
            let measures = [
                "[REVENUE, ORDERS]",
                "[USERS, NEW_USERS]",
                "[NEW_BUYERS, CONVERSION_RATE]",
                "[SESSIONS]",
                "[BUYERS], dimensions: [USER_COHORT]",
                "[ORDERS], compareTo: {previous: PREVIOUS_PERIOD}",
            ];
            let measures = measures.choose(random).unwrap();
            format!(
                "{{ metrics(input: {{measures: {measures}, range: {{between: {{{range}}}}},
                    granularity: {granularity}, {stale}}}) {{
                    series {{ measure dimensions {{ value }} total comparedTotal buckets {{ value complete }} }}
                    {provenance} }} }}"
            )
        }
    }
}

/// How many events there are, to one who takes answers so old; and when that was.
async fn count(app: &TestApp, max_staleness: u32) -> (i64, DateTime<Utc>) {
    let query = format!(
        r#"{{ traffic(range: {{from: "2026-03-01T00:00:00Z", to: "2026-04-01T00:00:00Z"}},
            maxStaleness: {max_staleness}) {{ totals {{ events }} provenance {{ asOf }} }} }}"#
    );
    let traffic = app.data(&query).await["traffic"].take();
    let as_of = traffic["provenance"]["asOf"].as_str().unwrap();
    (
        traffic["totals"]["events"].as_i64().unwrap(),
        as_of.parse().unwrap(),
    )
}

/// Writes and reads by these servers, each read compared with that of one that keeps nothing.
async fn writes_and_reads(apps: &[TestApp], fresh: &TestApp, seed: u64) {
    let random = &mut StdRng::seed_from_u64(seed);
    // When each event had been acknowledged.
    let mut known: Vec<DateTime<Utc>> = Vec::new();
    for step in 0..STEPS {
        let app = apps.choose(random).unwrap();
        if random.random_bool(0.25) {
            let batch: Vec<Value> = (0..random.random_range(1..4))
                .map(|_| happens(random))
                .collect();
            app.accept(&batch).await;
            known.extend(batch.iter().map(|_| Clock::System.now()));
            continue;
        }
        if random.random_bool(0.6) {
            let query = question(random, 0);
            let answers = (app.data(&query).await, fresh.data(&query).await);
            assert_eq!(answers.0, answers.1, "seed {seed}, step {step}: {query}");
            continue;
        }
        let max_staleness = *[0, 1, 1, 3_600].choose(random).unwrap();
        let before = Clock::System.now();
        let (events, as_of) = count(app, max_staleness).await;
        let oldest = before - TimeDelta::seconds(max_staleness.into());
        for moment in [as_of, oldest] {
            let least = known.iter().filter(|at| **at < moment).count();
            assert!(
                events >= i64::try_from(least).unwrap(),
                "seed {seed}, step {step}: {events} of {least}"
            );
        }
        if random.random_bool(0.2) {
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }
    let last = i64::try_from(known.len()).unwrap();
    for app in apps {
        assert_eq!(count(app, 0).await.0, last);
    }
}

/// So many servers on one database, and one that keeps nothing.
async fn run(servers: usize, redis: Option<&str>, seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let db = Arc::new(TestDb::migrated().await);
        let fresh = TestApp::keeping(Arc::clone(&db), None, 0).await;
        let mut apps = Vec::new();
        for _ in 0..servers {
            let app = TestApp::keeping(Arc::clone(&db), redis, BYTES).await;
            if redis.is_some() {
                until_up(&app).await;
            }
            apps.push(app);
        }
        writes_and_reads(&apps, &fresh, seed).await;
    }
}

#[tokio::test]
async fn a_server_answers_as_one_that_keeps_nothing() {
    run(1, None, 0..3).await;
}

#[tokio::test]
async fn servers_side_by_side_answer_as_one_that_keeps_nothing() {
    run(2, None, 10..12).await;
}

#[tokio::test]
async fn servers_that_share_a_redis_answer_as_one_that_keeps_nothing() {
    run(2, Some(services().redis_url.as_str()), 20..23).await;
}

/// All at once: whoever asks after an event was acknowledged finds it, at whichever server.
#[tokio::test]
async fn who_asks_after_an_acknowledgement_finds_the_event_at_every_server() {
    let db = Arc::new(TestDb::migrated().await);
    let redis = Some(services().redis_url.as_str());
    let one = Arc::new(TestApp::keeping(Arc::clone(&db), redis, BYTES).await);
    let other = Arc::new(TestApp::keeping(db, redis, BYTES).await);
    let known = Arc::new(AtomicI64::new(0));
    let mut all = tokio::task::JoinSet::new();
    for n in 0..6_u64 {
        let apps = [Arc::clone(&one), Arc::clone(&other)];
        let known = Arc::clone(&known);
        all.spawn(async move {
            let mut random = StdRng::seed_from_u64(n);
            for _ in 0..25 {
                let (app, elsewhere) = if random.random_bool(0.5) {
                    (&apps[0], &apps[1])
                } else {
                    (&apps[1], &apps[0])
                };
                if n < 2 {
                    let seen = pageview("v1", "/", time(&mut random).to_rfc3339());
                    app.accept(&[seen]).await;
                    known.fetch_add(1, Ordering::SeqCst);
                }
                let least = known.load(Ordering::SeqCst);
                let (events, _) = count(elsewhere, 0).await;
                assert!(events >= least, "{events} of {least}");
            }
        });
    }
    while let Some(done) = all.join_next().await {
        done.unwrap();
    }
    assert_eq!(count(&one, 0).await, count(&one, 0).await);
    assert_eq!(count(&other, 0).await.0, 50);
}
