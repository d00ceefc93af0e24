//! Where rows go in time, and that they all hang together.

use chrono::{DateTime, Datelike, Duration, Months, Utc};
use futures_util::future::join_all;
use sea_orm::sqlx;
use serde_json::{Value, json};
use tidewater::clock::Clock;
use uuid::Uuid;

use super::{click, rows};
use crate::support::{Order, TestApp, TestDb, assert_consistent, pageview};

/// The months and years that a table has a partition for.
async fn months(db: &TestDb, table: &str) -> Vec<String> {
    let query = format!(
        "SELECT substr(inhrelid::regclass::text, {}) AS month FROM pg_inherits
         WHERE inhparent = '{table}'::regclass",
        table.len() + 2
    );
    let rows = rows(db, &query).await;
    let rows = rows.as_array().unwrap().iter();
    rows.map(|row| row["month"].as_str().unwrap().to_owned())
        .collect()
}

fn month(at: DateTime<Utc>, ahead: u32) -> String {
    let first = at.date_naive().with_day(1).unwrap() + Months::new(ahead);
    first.format("%Y_%m").to_string()
}

#[tokio::test]
async fn partitions_are_there_ahead_and_are_made_when_an_event_needs_one() {
    // The fifth of a month: tomorrow lies in the same.
    let clock = Clock::System.now();
    let app = TestApp::start().await;
    let tables = [
        "event",
        "purchase",
        "refund",
        "sales_minute",
        "traffic_minute",
        "user_day",
    ];
    let ahead: Vec<String> = (0..3).map(|n| month(clock, n)).collect();
    for table in tables {
        assert_eq!(months(&app.db, table).await, ahead, "{table}");
    }
    let days: Vec<String> = (0..3)
        .map(|n| (clock + Duration::days(n)).format("%Y_%m_%d").to_string())
        .collect();
    assert_eq!(months(&app.db, "receipt").await, days);

    let tomorrow = clock + Duration::hours(23);
    let mut events = vec![
        Order::of("CD").at("1970-01-01T00:00:00Z").event(),
        Order::of("CD").at("1997-12-31T23:59:59.999999Z").event(),
        Order::of("CD").at("1998-01-01T00:00:00Z").event(),
        pageview("a", "/", "2000-02-29T12:00:00Z"),
        Order::of("CD").at("2019-12-31T23:59:59.999999Z").event(),
        Order::of("CD").at("2020-01-01T00:00:00Z").event(),
        click(Uuid::new_v4(), &tomorrow.to_rfc3339()),
    ];
    app.accept(&events).await;
    let made: Vec<String> = ["1970", "1997", "1998", "2000", "2019", "2020_01"]
        .map(ToOwned::to_owned)
        .into_iter()
        .chain(ahead)
        .collect();
    for table in tables {
        assert_eq!(months(&app.db, table).await, made, "{table}");
    }
    assert_consistent(&app.db).await;

    // Another server knows nothing of what this one made.
    let other = TestApp::on(app.db.clone(), None, Clock::System).await;
    events.push(Order::of("CD").at("1998-01-31T00:00:00Z").event());
    let (_, answer) = other.send(&json!(events)).await;
    assert_eq!(
        (&answer["duplicates"], &answer["accepted"]),
        (&json!(7), &json!(1))
    );
}

#[tokio::test]
async fn writers_that_need_the_same_new_months_at_once_do_not_stand_in_each_others_way() {
    let first = TestApp::start().await;
    let second = TestApp::on(first.db.clone(), None, Clock::System).await;
    let order = |month: u32, day: u32| {
        Order::of("CD")
            .at(format!("2021-{month:02}-{day:02}T12:00:00Z"))
            .event()
    };
    let sending = (0..8_u32).map(|sender| {
        let app = if sender % 2 == 0 { &first } else { &second };
        let batch: Vec<Value> = (0..12)
            .map(|n| order((n + sender) % 12 + 1, sender + 1))
            .collect();
        async move { app.accept(&batch).await }
    });
    join_all(sending).await;
    assert_eq!(first.db.number("SELECT count(*) FROM event").await, 96);
    assert_consistent(&first.db).await;
}

#[tokio::test]
async fn a_partition_that_was_detached_is_attached_again_and_harms_nobody_meanwhile() {
    let app = TestApp::start().await;
    app.accept(&[Order::of("CD").at("2022-05-01T00:00:00Z").event()])
        .await;
    let mut connection = app.db.connect().await;
    sqlx::query("ALTER TABLE event DETACH PARTITION event_2022_05")
        .execute(&mut connection)
        .await
        .unwrap();
    let sending = (0..20).map(|n| {
        let time = if n % 4 == 0 {
            "2022-05-02T00:00:00Z"
        } else {
            "2022-06-02T00:00:00Z"
        };
        let (app, order) = (&app, Order::of("CD").at(time).event());
        async move { app.accept(&[order]).await }
    });
    join_all(sending).await;
    assert_eq!(app.db.number("SELECT count(*) FROM event").await, 21);
    assert_consistent(&app.db).await;
}

#[tokio::test]
async fn after_a_random_load_everything_hangs_together() {
    let app = TestApp::start().await;
    let random = |below: u64| rand::random_range(0..below);
    let batch = || -> Vec<Value> {
        let one = |_| {
            let (user, minute) = (random(30), random(60));
            let time = format!(
                "2026-0{}-01T12:{minute:02}:{:02}Z",
                1 + random(3),
                random(60)
            );
            match random(4) {
                0 => pageview(&format!("u{user}"), "/", time),
                1 => click(Uuid::from_u128(random(200).into()), &time),
                _ => Order::of(&format!("p{}", random(5)))
                    .by(&format!("u{user}"))
                    .at(time)
                    .times(1 + i64::try_from(random(3)).unwrap())
                    .and(&format!("p{}", random(5)), 1, "0.07")
                    .with("region", ["DE", "FR"][usize::from(random(2) == 0)])
                    .with("currency", ["USD", "EUR"][usize::from(random(2) == 0)])
                    .event(),
            }
        };
        (0..200).map(one).collect()
    };
    let sending = (0..10).map(|_| {
        let (app, batch) = (&app, json!(batch()));
        async move { app.send(&batch).await.1 }
    });
    let answers = join_all(sending).await;
    let accepted: i64 = answers
        .iter()
        .map(|answer| answer["accepted"].as_i64().unwrap())
        .sum();
    assert_eq!(app.db.number("SELECT count(*) FROM event").await, accepted);
    assert_consistent(&app.db).await;
}
