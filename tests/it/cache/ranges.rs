//! What changed fells what is made of it, and nothing else.

use chrono::TimeDelta;
use serde_json::{Value, json};
use tidewater::access::Scope;
use tidewater::clock::Clock;
use uuid::Uuid;

use super::{BYTES, MISSES, found, sales, until, whence};
use crate::records::tenants::key;
use crate::support::{Order, TestApp, TestDb, answer, pageview};

const FIRST: &str = r#"range: {from: "2026-03-01T00:00:00Z", to: "2026-03-02T00:00:00Z"}"#;

/// Users of the first of March.
fn users() -> String {
    format!("{{ traffic({FIRST}) {{ totals {{ events users }} provenance {{ cache }} }} }}")
}

/// A measure of some days of March.
fn metrics(measure: &str, from: u32, to: u32) -> String {
    format!(
        r#"{{ metrics(input: {{measures: {measure}, range: {{between: {{
            from: "2026-03-{from:02}T00:00:00Z", to: "2026-03-{to:02}T00:00:00Z"}}}}}})
            {{ series {{ total }} provenance {{ cache }} }} }}"#
    )
}

fn identify(user: &str, visitor: &str) -> Value {
    json!({"eventId": Uuid::new_v4(), "type": "identify", "timestamp": "2026-03-20T12:00:00Z",
        "userId": user, "anonymousId": visitor})
}

#[tokio::test]
async fn what_comes_late_fells_its_range_and_no_other() {
    let app = TestApp::start().await;
    app.accept(&[
        Order::of("mug").at("2026-03-01T12:00:00Z").event(),
        Order::of("mug").at("2026-03-05T12:00:00Z").event(),
        pageview("v1", "/", "2026-03-01T12:00:00Z"),
        pageview("v2", "/", "2026-03-01T13:00:00Z"),
    ])
    .await;
    let (first, fifth, users) = (sales(1, 2, 0), sales(5, 6, 0), users());
    let [new, cohorts, of_sessions] = [
        metrics("NEW_BUYERS", 5, 6),
        metrics("BUYERS, dimensions: USER_COHORT", 5, 6),
        metrics("SESSIONS", 5, 6),
    ];
    let all = [&first, &fifth, &users, &new, &cohorts, &of_sessions];
    for query in all {
        assert_eq!(whence(&app, query).await, "MISS", "{query}");
        assert_eq!(whence(&app, query).await, "HIT_PROCESS", "{query}");
    }
    let fallen = async || {
        let mut fallen = Vec::new();
        for (n, query) in all.iter().enumerate() {
            match whence(&app, query).await.as_str() {
                "MISS" => fallen.push(n),
                found => assert_eq!(found, "HIT_PROCESS", "{query}"),
            }
        }
        fallen
    };
    let none: [usize; 0] = [];
    // What happens now: only what knows of all times falls.
    app.accept(&[Order::of("mug")
        .at(Clock::System.now().to_rfc3339())
        .event()])
        .await;
    assert_eq!(fallen().await, [4]);
    assert_eq!(fallen().await, none);
    // A late order by who has bought before: buyers of the fifth may not be new any more.
    app.accept(&[Order::of("pot").at("2026-03-01T14:00:00Z").event()])
        .await;
    assert_eq!(found(&app, &first).await.1["totals"]["orders"], 2);
    assert_eq!(fallen().await, [2, 3, 4]);
    // A session may have begun the day before.
    app.accept(&[pageview("v3", "/", "2026-03-04T23:50:00Z")])
        .await;
    assert_eq!(fallen().await, [3, 4, 5]);
    // Two that are one: whoever counts users counts anew, and nobody else.
    app.accept(&[identify("u1", "v1")]).await;
    let (cache, report) = found(&app, &users).await;
    assert_eq!(
        (cache.as_str(), &report["totals"]["users"]),
        ("MISS", &json!(2))
    );
    assert_eq!(fallen().await, [3, 4, 5]);
    // An event that is a duplicate changes nothing.
    let twice = Order::of("mug").at("2026-03-05T13:00:00Z").event();
    app.accept(std::slice::from_ref(&twice)).await;
    fallen().await;
    app.send(&json!([twice])).await;
    assert_eq!(fallen().await, none);
}

#[tokio::test]
async fn a_bot_that_is_none_any_more_fells_what_it_did() {
    let app = TestApp::start().await;
    let bot = "PriceWatchBot/0.3";
    let seen = |day: u32| {
        let mut seen = pageview("v1", "/", format!("2026-03-{day:02}T12:00:00Z"));
        seen["userAgent"] = bot.into();
        seen
    };
    app.accept(&[seen(1), Order::of("mug").at("2026-03-05T12:00:00Z").event()])
        .await;
    let (first, fifth) = (users(), metrics("EVENTS", 5, 6));
    assert_eq!(found(&app, &first).await.1["totals"]["events"], 0);
    whence(&app, &fifth).await;
    let say = format!(
        r#"mutation {{ reclassifyUserAgent(userAgent: "{bot}", bot: false) {{ changed }} }}"#
    );
    app.data(&say).await;
    until("counted", async || {
        found(&app, &first).await.1["totals"]["events"] == 1
    })
    .await;
    assert_eq!(whence(&app, &fifth).await, "HIT_PROCESS");
}

#[tokio::test]
async fn a_bucket_that_ends_is_told_to_be_complete() {
    let clock = Clock::manual("2026-03-01T12:30:00Z".parse().unwrap());
    let app = TestApp::with_clock(clock.clone()).await;
    let query = r#"{ metrics(input: {measures: ORDERS, granularity: HOUR, range: {between: {
        from: "2026-03-01T12:00:00Z", to: "2026-03-01T15:00:00Z"}}})
        { series { buckets { complete } } provenance { cache asOf } } }"#;
    let complete = async || {
        let (cache, report) = found(&app, query).await;
        let buckets = report["series"][0]["buckets"].as_array().unwrap();
        let over = buckets.iter().filter(|bucket| bucket["complete"] == true);
        (cache, over.count(), report["provenance"]["asOf"].clone())
    };
    let (cache, over, as_of) = complete().await;
    assert_eq!((cache.as_str(), over), ("MISS", 0));
    clock.advance(TimeDelta::minutes(29));
    for _ in 0..3 {
        // The moment that it is of stays.
        let kept = ("HIT_PROCESS".to_owned(), 0, as_of.clone());
        assert_eq!(complete().await, kept);
    }
    clock.advance(TimeDelta::minutes(1));
    let (cache, over, later) = complete().await;
    assert_eq!((cache.as_str(), over), ("MISS", 1));
    assert_ne!(as_of, later);
}

#[tokio::test]
async fn a_range_until_now_is_another_the_next_minute() {
    let clock = Clock::manual("2026-03-01T12:30:10Z".parse().unwrap());
    let app = TestApp::with_clock(clock.clone()).await;
    let query = r"{ metrics(input: {measures: ORDERS, range: {last: {count: 1, unit: HOUR}}})
        { series { buckets { end } } provenance { cache } } }";
    for expected in ["MISS", "HIT_PROCESS", "HIT_PROCESS", "HIT_PROCESS"] {
        assert_eq!(whence(&app, query).await, expected);
    }
    assert!(app.metric(super::OF_RESPONSES).await >= 1.0);
    clock.advance(TimeDelta::seconds(50));
    let (cache, report) = found(&app, query).await;
    assert_eq!(cache, "MISS");
    assert_eq!(
        report["series"][0]["buckets"][0]["end"],
        "2026-03-01T12:31:00+00:00"
    );
}

#[tokio::test]
async fn who_takes_old_answers_is_given_one_while_the_next_is_made() {
    let app = TestApp::start().await;
    app.accept(&[Order::of("mug").event()]).await;
    let old = sales(1, 2, 3_600);
    assert_eq!(whence(&app, &old).await, "MISS");
    assert_eq!(whence(&app, &old).await, "HIT_PROCESS");
    app.accept(&[Order::of("mug").event()]).await;
    // Who wants to know of this moment is told, and so the process knows.
    let (_, now) = found(&app, &sales(1, 3, 0)).await;
    let (_, again) = found(&app, &sales(1, 3, 0)).await;
    assert_eq!([&now, &again].map(|one| &one["totals"]["orders"]), [2, 2]);
    let (cache, report) = found(&app, &old).await;
    let orders = report["totals"]["orders"].as_i64().unwrap();
    assert!(
        (cache == "STALE" && orders == 1) || (cache == "HIT_PROCESS" && orders == 2),
        "{cache} {report}"
    );
    until("made anew", async || {
        let (cache, report) = found(&app, &old).await;
        cache == "HIT_PROCESS" && report["totals"]["orders"] == 2
    })
    .await;
}

#[tokio::test]
async fn two_tenants_share_nothing() {
    let app = TestApp::start().await;
    app.accept(&[Order::of("mug").event()]).await;
    let other = key(&app, "other", Scope::Read).await;
    let query = sales(1, 2, 0);
    for _ in 0..4 {
        assert_eq!(found(&app, &query).await.1["totals"]["orders"], 1);
        let answer = app.ask_as(&other, &query).await;
        assert_eq!(answer["data"]["sales"]["totals"]["orders"], 0, "{answer}");
    }
    assert!((app.metric(MISSES).await - 2.0).abs() < f64::EPSILON);
    // Nor does a key that may not read get what one was given that may.
    let sender = key(&app, "default", Scope::Ingest).await;
    let refused = app.ask_as(&sender, &query).await;
    assert_eq!(refused["errors"][0]["extensions"]["code"], "forbidden");
}

#[tokio::test]
async fn what_is_kept_is_bounded() {
    const SMALL: u32 = 40_000;
    let app = TestApp::keeping(TestDb::migrated().await, None, SMALL.into()).await;
    app.accept(&[Order::of("mug").event()]).await;
    let large = metrics("ORDERS, granularity: QUARTER_HOUR", 1, 9);
    for _ in 0..3 {
        assert_eq!(whence(&app, &large).await, "MISS");
    }
    for n in 0..200 {
        let range = format!(
            "from=2026-02-01T00:00:00Z&to=2026-03-02T00:{:02}:00Z",
            n % 60
        );
        let path = format!("/v1/sales?{range}&includeBots={}", n >= 100);
        let request = app.request(reqwest::Method::GET, &path);
        assert_eq!(answer(request).await.1["totals"]["orders"], 1);
    }
    assert!(app.metric("tidewater_cache_bytes").await <= 1.5 * f64::from(SMALL));

    let off = TestApp::keeping(TestDb::migrated().await, None, 0).await;
    for _ in 0..3 {
        assert_eq!(whence(&off, &sales(1, 2, 0)).await, "BYPASS");
    }
    let on = TestApp::keeping(TestDb::migrated().await, None, BYTES).await;
    let explained = metrics("ORDERS, explain: true", 1, 2);
    for _ in 0..3 {
        assert_eq!(whence(&on, &explained).await, "BYPASS");
    }
}
