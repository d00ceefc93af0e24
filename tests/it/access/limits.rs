//! How much one may do, and that nobody pays for another.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use reqwest::{Client, Method, StatusCode};
use serde_json::json;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{key, reading};
use crate::support::{
    KEY, Process, Redis, Subscription, TestApp, TestDb, answer, config, services,
};

const TOO_MANY: StatusCode = StatusCode::TOO_MANY_REQUESTS;

#[tokio::test]
async fn an_operation_costs_no_less_whatever_else_its_document_holds() {
    let app = TestApp::start().await;
    let day = r#"range: {from: "2026-03-01T00:00:00Z", to: "2026-03-02T00:00:00Z"}"#;
    let asked = format!("query Q {{ sales({day}) {{ totals {{ orders buyers }} }} }}");
    let beside = format!("{asked} subscription S {{ liveSales(window: ONE_HOUR) {{ orders }} }}");
    let mut costs = Vec::new();
    for query in [asked, beside] {
        let body = json!({"query": query, "operationName": "Q"});
        let (_, told) = answer(app.request(Method::POST, "/graphql").json(&body)).await;
        costs.push(told["extensions"]["cost"]["complexity"].as_i64());
    }
    assert!(costs[0] > Some(1), "{costs:?}");
    assert!(costs[1] >= costs[0], "{costs:?}");
}

#[tokio::test]
async fn what_is_used_up_is_refused_and_headers_tell_how_much_is_left() {
    let app = TestApp::start().await;
    let quota = json!({"pointsPerMinute": 30, "eventsPerMinute": 3, "exportsPerHour": 1});
    let input = json!({"name": "k", "scopes": ["READ", "EXPORT", "INGEST"], "quota": quota});
    let (_, secret) = key(&app, input).await;
    let first = reading(&app, &secret).send().await.unwrap();
    assert_eq!(
        first.headers()["ratelimit-policy"],
        "\"points\";q=30;w=60;qu=\"points\""
    );
    assert!(
        first.headers()["ratelimit"]
            .to_str()
            .unwrap()
            .starts_with("\"points\";r=20;t=")
    );
    for _ in 0..2 {
        assert_eq!(
            reading(&app, &secret).send().await.unwrap().status(),
            StatusCode::OK
        );
    }
    let refused = reading(&app, &secret).send().await.unwrap();
    assert_eq!(refused.status(), TOO_MANY);
    let wait: u64 = refused.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=20).contains(&wait), "{wait}");
    assert!(
        refused.headers()["ratelimit"]
            .to_str()
            .unwrap()
            .starts_with("\"points\";r=0;t=")
    );
    let problem: serde_json::Value = refused.json().await.unwrap();
    assert_eq!(problem["code"], "rate_limited");

    let graphql = app.anonymous(Method::POST, "/graphql").bearer_auth(&secret);
    let (status, refused) = answer(graphql.json(&json!({"query": "{ exports { id } }"}))).await;
    assert_eq!(status, TOO_MANY);
    assert_eq!(refused["errors"][0]["extensions"]["code"], "rate_limited");
    assert!(refused["errors"][0]["extensions"]["retryAfter"].is_number());

    let event = || json!({"eventId": Uuid::new_v4(), "type": "pageview", "anonymousId": "a", "url": "/", "timestamp": "2026-03-01T12:00:00Z"});
    let send = |count: usize| {
        let events: Vec<_> = (0..count).map(|_| event()).collect();
        app.anonymous(Method::POST, "/v1/batch")
            .bearer_auth(&secret)
            .json(&json!(events))
    };
    assert_eq!(answer(send(2)).await.0, StatusCode::OK);
    assert_eq!(answer(send(2)).await.0, TOO_MANY);
    assert_eq!(answer(send(1)).await.0, StatusCode::OK);
    assert_eq!(
        app.db.number("SELECT count(*) FROM event").await,
        3,
        "nothing was dropped or kept unasked"
    );
}

#[tokio::test]
async fn a_question_tells_what_it_cost_and_what_is_left() {
    let app = TestApp::start().await;
    let input = json!({"name": "k", "scopes": ["READ"], "quota": {"pointsPerMinute": 1000}});
    let (_, secret) = key(&app, input).await;
    let query = "{ sales(range: {from: \"2026-03-01T00:00:00Z\", to: \"2026-03-02T00:00:00Z\"}) { totals { orders } } }";
    let first = app.ask_as(&secret, query).await;
    let cost = &first["extensions"]["cost"];
    let requested = cost["requested"].as_u64().unwrap();
    assert!(requested >= cost["complexity"].as_u64().unwrap());
    let left = cost["remaining"].as_u64().unwrap();
    assert!(
        left <= 1000 - cost["complexity"].as_u64().unwrap(),
        "{cost}"
    );
    assert!(cost["resetAt"].as_str().unwrap().ends_with('Z'));
    // One that is kept costs a point, and tells what is left now.
    for _ in 0..3 {
        app.ask_as(&secret, query).await;
    }
    let kept = app.ask_as(&secret, query).await;
    let now = kept["extensions"]["cost"]["remaining"].as_u64().unwrap();
    assert!(now < left, "{now} {left}");
    assert_eq!(kept["data"], first["data"]);
    // Without a limit there is nothing to tell of it.
    let all = app.ask(query).await;
    assert!(all["extensions"]["cost"]["remaining"].is_null());
    assert!(all["extensions"]["cost"]["requested"].is_number());
}

#[tokio::test]
async fn a_noisy_key_takes_nothing_from_another() {
    let app = Arc::new(TestApp::start().await);
    let input =
        |quota: u32| json!({"name": "k", "scopes": ["READ"], "quota": {"pointsPerMinute": quota}});
    let (_, noisy) = key(&app, input(100)).await;
    let (_, quiet) = key(&app, input(1_000)).await;
    let refused = Arc::new(AtomicU32::new(0));
    let mut crowd = JoinSet::new();
    for _ in 0..8 {
        let (app, noisy, refused) = (Arc::clone(&app), noisy.clone(), Arc::clone(&refused));
        crowd.spawn(async move {
            for _ in 0..100 {
                let status = reading(&app, &noisy).send().await.unwrap().status();
                refused.fetch_add(u32::from(status == TOO_MANY), Ordering::Relaxed);
            }
        });
    }
    for _ in 0..50 {
        assert_eq!(
            reading(&app, &quiet).send().await.unwrap().status(),
            StatusCode::OK
        );
    }
    crowd.join_all().await;
    assert!(refused.load(Ordering::Relaxed) > 700);
}

#[tokio::test]
async fn who_shows_no_key_is_limited_by_address_as_far_as_proxies_are_trusted() {
    let db = Arc::new(TestDb::migrated().await);
    let mut limited = config(&db.url(), None);
    limited.limits.requests_per_minute = 5;
    limited.http.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let app = TestApp::start_with(db, limited).await.ready().await;
    let from = |address: &str| {
        let asked = app.anonymous(Method::GET, "/openapi.json");
        asked.header("x-forwarded-for", address.to_owned())
    };
    for _ in 0..5 {
        assert_eq!(
            from("203.0.113.1").send().await.unwrap().status(),
            StatusCode::OK
        );
    }
    assert_eq!(from("203.0.113.1").send().await.unwrap().status(), TOO_MANY);
    // What the sender wrote before its proxy did is not believed.
    assert_eq!(
        from("198.51.100.1, 203.0.113.1")
            .send()
            .await
            .unwrap()
            .status(),
        TOO_MANY
    );
    assert_eq!(
        from("203.0.113.2").send().await.unwrap().status(),
        StatusCode::OK
    );
    // Guesses count, keys do not, though they are not known yet.
    for _ in 0..7 {
        let (_, other) = key(&app, json!({"name": "k", "scopes": ["READ"]})).await;
        let first = reading(&app, &other).header("x-forwarded-for", "203.0.113.3");
        assert_eq!(first.send().await.unwrap().status(), StatusCode::OK);
    }
    let (_, right) = key(&app, json!({"name": "k", "scopes": ["READ"]})).await;
    let guess = |n: u32| {
        let asked = app
            .anonymous(Method::GET, "/v1/products")
            .bearer_auth(format!("a guess {n}"));
        asked.header("x-forwarded-for", "203.0.113.3")
    };
    for n in 0..5 {
        assert_eq!(
            guess(n).send().await.unwrap().status(),
            StatusCode::UNAUTHORIZED
        );
    }
    assert_eq!(guess(6).send().await.unwrap().status(), TOO_MANY);
    let known = reading(&app, KEY).header("x-forwarded-for", "203.0.113.3");
    assert_eq!(known.send().await.unwrap().status(), StatusCode::OK);
    // Nor is it told by then whether a guess is right.
    for (address, status) in [("203.0.113.3", TOO_MANY), ("203.0.113.4", StatusCode::OK)] {
        let guessed = reading(&app, &right).header("x-forwarded-for", address);
        assert_eq!(guessed.send().await.unwrap().status(), status);
    }
}

#[tokio::test]
async fn a_key_has_as_many_subscriptions_open_as_it_may() {
    let app = TestApp::start().await;
    let input = json!({"name": "k", "scopes": ["READ"], "quota": {"openSubscriptions": 2}});
    let (_, secret) = key(&app, input).await;
    let query = "subscription { liveSales(window: ONE_HOUR) { orders } }";
    let mut one = Subscription::begin(&app.url, &secret, query).await;
    let mut other = Subscription::begin(&app.url, &secret, query).await;
    one.next().await;
    other.next().await;
    let mut third = Subscription::begin(&app.url, &secret, query).await;
    let refused = third.hear().await.unwrap();
    assert!(
        refused.to_string().contains("too_many_subscriptions"),
        "{refused}"
    );
    drop(one);
    loop {
        let mut again = Subscription::begin(&app.url, &secret, query).await;
        if !again
            .hear()
            .await
            .unwrap()
            .to_string()
            .contains("too_many_subscriptions")
        {
            break;
        }
    }
}

#[tokio::test]
async fn three_processes_on_one_redis_admit_as_much_as_one() {
    const LIMIT: u32 = 3_000;
    let db = TestDb::migrated().await;
    let url = db.url();
    let variables = [
        ("DATABASE_URL", url.as_str()),
        ("REDIS_URL", services().redis_url.as_str()),
        ("TIDEWATER_INGEST", "direct"),
        ("TIDEWATER_POINTS_PER_MINUTE", "3000"),
    ];
    let (one, two, three) = tokio::join!(
        Process::serve(&variables),
        Process::serve(&variables),
        Process::serve(&variables)
    );
    let client = Client::builder().no_proxy().build().unwrap();
    let ask = move |url: String| {
        let client = client.clone();
        async move {
            let asked = client.post(format!("{url}/graphql")).bearer_auth(KEY);
            let asked = asked.json(&json!({"query": "{ __typename }"}));
            asked.send().await.unwrap().status()
        }
    };
    // Each has found Redis, and the key.
    for process in [&one, &two, &three] {
        assert_eq!(ask(process.url.clone()).await, StatusCode::OK);
    }
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let begun = Instant::now();
    let admitted = Arc::new(AtomicU32::new(0));
    let refused = Arc::new(AtomicU32::new(0));
    let mut asking = JoinSet::new();
    for process in [&one, &two, &three] {
        for _ in 0..6 {
            let (url, ask) = (process.url.clone(), ask.clone());
            let (admitted, refused) = (Arc::clone(&admitted), Arc::clone(&refused));
            asking.spawn(async move {
                while refused.load(Ordering::Relaxed) < 300 {
                    if ask(url.clone()).await == StatusCode::OK {
                        admitted.fetch_add(1, Ordering::Relaxed);
                    } else {
                        refused.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    }
    asking.join_all().await;
    let expected = f64::from(LIMIT) + begun.elapsed().as_secs_f64() * f64::from(LIMIT) / 60.0;
    let admitted = f64::from(admitted.load(Ordering::Relaxed));
    let off = (admitted - expected).abs() / expected;
    assert!(off <= 0.02, "{admitted} of {expected}");
}

#[tokio::test]
async fn while_redis_is_away_each_process_limits_by_itself() {
    let mut redis = Redis::with(&[]).await;
    let db = Arc::new(TestDb::migrated().await);
    let limited = config(&db.url(), Some(&redis.url()));
    let app = TestApp::start_with(db, limited).await.ready().await;
    let input = json!({"name": "k", "scopes": ["READ"], "quota": {"pointsPerMinute": 50}});
    let (_, secret) = key(&app, input).await;
    assert_eq!(
        reading(&app, &secret).send().await.unwrap().status(),
        StatusCode::OK
    );
    redis.kill().await;
    let mut passed = 0;
    for _ in 0..10 {
        let status = reading(&app, &secret).send().await.unwrap().status();
        passed += u32::from(status == StatusCode::OK);
    }
    assert!((4..=6).contains(&passed), "{passed} of a limit of 5");
}
