//! Order, limits, comparisons, windows and gaps, on numbers that can be read.

use serde_json::{Value, json};

use tidewater::clock::Clock;

use super::random::QUERY;
use crate::sales::later;
use crate::support::{Order, TestApp, pageview};

/// Four days of orders in three regions.
async fn shop() -> TestApp {
    let app = later().await;
    let order = |region: &str, day: &str, amount: &str| {
        Order::of("mug")
            .by(&format!("{region}{day}"))
            .at(format!("2026-03-{day}T12:00:00Z"))
            .for_amount(amount)
            .with("region", region)
            .event()
    };
    app.accept(&[
        order("DE", "01", "10.00"),
        order("DE", "04", "40.00"),
        order("FR", "01", "5.00"),
        order("FR", "02", "7.00"),
        order("IT", "03", "1.00"),
        Order::of("mug")
            .at("2025-03-01T12:00:00Z")
            .for_amount("3.00")
            .with("region", "DE")
            .event(),
        pageview("v1", "/", "2026-03-04T12:00:00Z"),
    ])
    .await;
    app
}

async fn ask(app: &TestApp, change: Value) -> Value {
    let mut input = json!({
        "measures": ["REVENUE"], "granularity": "DAY",
        "range": {"between": {"from": "2026-03-01T00:00:00Z", "to": "2026-03-05T00:00:00Z"}},
    });
    input
        .as_object_mut()
        .unwrap()
        .extend(change.as_object().unwrap().clone());
    let mut answer = app.ask_with(QUERY, json!({"input": input})).await;
    assert!(answer.get("errors").is_none(), "{answer}");
    answer["data"]["metrics"].take()
}

/// The values of a field of the buckets of a series.
fn values<'a>(series: &'a Value, field: &str) -> Vec<&'a Value> {
    let buckets = series["buckets"].as_array().unwrap();
    buckets.iter().map(|bucket| &bucket[field]).collect()
}

fn groups(answer: &Value) -> Vec<(String, Value)> {
    let series = answer["series"].as_array().unwrap().iter();
    series
        .map(|one| {
            let name = if one["other"] == true {
                "other"
            } else {
                one["dimensions"][0]["value"].as_str().unwrap()
            };
            (name.to_owned(), one["total"].clone())
        })
        .collect()
}

#[tokio::test]
async fn the_largest_groups_come_first_and_the_rest_is_one() {
    let app = shop().await;
    let answer = ask(&app, json!({"dimensions": ["REGION"], "limit": 1})).await;
    assert_eq!(
        groups(&answer),
        [
            ("DE".to_owned(), json!("50.00")),
            ("other".to_owned(), json!("13.00"))
        ]
    );
    let other = &answer["series"][1];
    assert_eq!(values(other, "value"), ["5.00", "7.00", "1.00", "0.00"]);
    assert_eq!(other["dimensions"], json!([]));
    // Users do not add up: one who did something in two regions is one of the others.
    let ascending = json!({
        "measures": ["REVENUE", "BUYERS"], "dimensions": ["REGION"], "granularity": "TOTAL",
        "orderBy": {"measure": "BUYERS", "descending": false}, "limit": 2,
    });
    let twice = Order::of("mug")
        .by("FR01")
        .at("2026-03-02T12:00:00Z")
        .with("region", "DE")
        .event();
    app.accept(&[twice]).await;
    let answer = ask(&app, ascending).await;
    assert_eq!(
        groups(&answer),
        [
            ("IT".to_owned(), json!("1.00")),
            ("IT".to_owned(), json!("1")),
            ("FR".to_owned(), json!("12.00")),
            ("FR".to_owned(), json!("2")),
            ("other".to_owned(), json!("60.00")),
            ("other".to_owned(), json!("3")),
        ]
    );
}

#[tokio::test]
async fn numbers_stand_beside_those_of_another_range() {
    let app = shop().await;
    let year = ask(&app, json!({"compareTo": {"previous": "PREVIOUS_YEAR"}})).await;
    let series = &year["series"][0];
    assert_eq!(values(series, "compared"), ["3.00", "0.00", "0.00", "0.00"]);
    assert_eq!(
        [&series["total"], &series["comparedTotal"]],
        ["63.00", "3.00"]
    );
    let half = json!({"between": {"from": "2026-03-03T00:00:00Z", "to": "2026-03-05T00:00:00Z"}});
    let period = json!({"range": half, "compareTo": {"previous": "PREVIOUS_PERIOD"}});
    let period = ask(&app, period).await;
    let series = &period["series"][0];
    assert_eq!(values(series, "value"), ["1.00", "40.00"]);
    assert_eq!(values(series, "compared"), ["15.00", "7.00"]);
    let range = json!({"from": "2026-03-02T00:00:00Z", "to": "2026-03-03T00:00:00Z"});
    let other = ask(&app, json!({"range": half, "compareTo": {"range": range}})).await;
    let other = &other["series"][0];
    // It has fewer buckets.
    assert_eq!(values(other, "compared"), [&json!("7.00"), &Value::Null]);
}

#[tokio::test]
async fn gaps_are_filled_and_windows_rolled() {
    let app = shop().await;
    let de = json!({"dimension": {"dimension": "REGION", "in": ["DE"]}});
    let mut filled = Vec::new();
    for fill in ["ZERO", "NULL", "PREVIOUS", "LINEAR"] {
        let answer = ask(&app, json!({"filter": de, "fill": fill})).await;
        filled.push(json!(values(&answer["series"][0], "value")));
    }
    assert_eq!(
        filled,
        [
            json!(["10.00", "0.00", "0.00", "40.00"]),
            json!(["10.00", null, null, "40.00"]),
            json!(["10.00", "10.00", "10.00", "40.00"]),
            json!(["10.00", "20.000000", "30.000000", "40.00"]),
        ]
    );
    let sums = json!({"rolling": {"buckets": 2, "function": "SUM"}});
    let answer = ask(&app, sums).await;
    assert_eq!(
        json!(values(&answer["series"][0], "value")),
        json!([null, "22.00", "8.00", "41.00"])
    );
    let means = json!({"rolling": {"buckets": 3}});
    let answer = ask(&app, means).await;
    assert_eq!(
        json!(values(&answer["series"][0], "value")),
        json!([null, null, "7.666667", "16.000000"])
    );
}

#[tokio::test]
async fn ranges_go_from_now_and_weeks_begin_when_they_are_told_to() {
    // It is midnight of the first of January 2027, a Friday.
    let app = later().await;
    let order = |at: &str| Order::of("mug").at(at).event();
    app.accept(&[
        order("2026-12-31T23:30:00Z"),
        order("2026-12-27T12:00:00Z"),
        order("2026-11-15T12:00:00Z"),
        order("2026-12-01T00:00:00Z"),
    ])
    .await;
    for (range, zone, orders) in [
        (json!({"last": {"count": 1, "unit": "HOUR"}}), "UTC", "1"),
        (json!({"last": {"count": 7, "unit": "DAY"}}), "UTC", "2"),
        (json!({"last": {"count": 1, "unit": "MONTH"}}), "UTC", "3"),
        (json!({"toDate": "WEEK"}), "UTC", "1"),
        (json!({"toDate": "DAY"}), "Asia/Tokyo", "1"),
        (json!({"toDate": "MONTH"}), "America/New_York", "2"),
    ] {
        let question = json!({
            "measures": ["ORDERS"], "granularity": "TOTAL", "range": range, "timezone": zone,
        });
        let answer = ask(&app, question).await;
        assert_eq!(answer["series"][0]["total"], orders, "{range} in {zone}");
    }
    // As much of the month before, not the days before the first.
    let period = json!({
        "measures": ["ORDERS"], "granularity": "TOTAL", "range": {"toDate": "MONTH"},
        "timezone": "America/New_York", "compareTo": {"previous": "PREVIOUS_PERIOD"},
    });
    let told = ask(&app, period).await["series"][0].take();
    assert_eq!([&told["total"], &told["comparedTotal"]], ["2", "1"]);
    let week = json!({"between": {"from": "2026-12-21T00:00:00Z", "to": "2027-01-01T00:00:00Z"}});
    for (first, orders) in [("MONDAY", json!(["1", "1"])), ("SUNDAY", json!(["0", "2"]))] {
        let question = json!({
            "measures": ["ORDERS"], "granularity": "WEEK", "range": week, "weekStart": first,
        });
        let answer = ask(&app, question).await;
        assert_eq!(
            json!(values(&answer["series"][0], "value")),
            orders,
            "{first}"
        );
    }
}

#[tokio::test]
async fn sessions_of_an_hour_with_very_many_visits_are_counted() {
    let now = "2026-12-31T23:30:00Z".parse().unwrap();
    let app = TestApp::with_clock(Clock::manual(now)).await;
    let day = (0..23).map(|hour| pageview("v1", "/", format!("2026-12-31T{hour:02}:30:00Z")));
    app.accept(&day.collect::<Vec<_>>()).await;
    app.accept(&[pageview("v1", "/", "2026-12-31T23:05:00Z")])
        .await;
    let hours = "SELECT count(*) FROM summarised WHERE span = 0 AND start >= '2026-12-31'";
    for _ in 0..300 {
        if app.db.number(hours).await >= 23 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(app.db.number(hours).await >= 23);
    app.db
        .run(
            "INSERT INTO event (tenant_id, timestamp, event_id, user_id, event_type, received_at,
                                data, page_url, session_id, bot)
             SELECT 1, '2026-12-31 23:10Z'::timestamptz + interval '5 milliseconds' * n,
                    gen_random_uuid(), md5((n % 100)::text)::uuid, 'pageview', '2026-12-31 23:29Z',
                    '{}', '/', 's' || n, false
             FROM generate_series(1, 100001) AS n",
        )
        .await;
    let question = json!({
        "measures": ["SESSIONS"], "granularity": "TOTAL", "timezone": "UTC",
        "range": {"between": {"from": "2026-12-31T00:00:00Z", "to": "2026-12-31T23:30:00Z"}},
    });
    let told = ask(&app, question).await["series"][0].take();
    assert_eq!(told["total"], "100001", "{told}");
}

#[tokio::test]
async fn days_are_beside_days_also_where_the_clock_changes() {
    let app = later().await;
    let order = |at: &str| Order::of("mug").at(at).event();
    app.accept(&[
        order("2026-10-26T12:00:00Z"),
        order("2026-10-19T12:00:00Z"),
        // The evening before the week that is compared with.
        order("2026-10-17T21:30:00Z"),
    ])
    .await;
    let question = json!({
        "measures": ["ORDERS"], "granularity": "DAY", "timezone": "Europe/Berlin",
        "range": {"between": {"from": "2026-10-24T22:00:00Z", "to": "2026-10-31T23:00:00Z"}},
        "compareTo": {"previous": "PREVIOUS_PERIOD"},
    });
    let told = ask(&app, question).await["series"][0].take();
    let days = json!(["0", "1", "0", "0", "0", "0", "0"]);
    assert_eq!(json!(values(&told, "value")), days);
    assert_eq!(json!(values(&told, "compared")), days);
    assert_eq!(told["comparedTotal"], "1");
}

#[tokio::test]
async fn a_filter_that_nothing_passes_tells_nothing_of_any_measure() {
    let app = shop().await;
    for filter in [json!({"or": []}), json!({"not": {"and": []}})] {
        let question = json!({
            "measures": ["USERS", "BUYERS", "EVENTS", "ORDERS", "SESSIONS"], "granularity": "TOTAL",
            "range": {"between": {"from": "2026-03-01T00:00:00Z", "to": "2026-03-05T00:00:00Z"}},
            "filter": filter, "includeBots": true,
        });
        let answer = ask(&app, question).await;
        for series in answer["series"].as_array().unwrap() {
            assert_eq!(series["total"], "0", "{filter}: {answer}");
        }
    }
}

#[tokio::test]
async fn a_plan_is_told_without_being_run() {
    let app = shop().await;
    let question = json!({
        "measures": ["REVENUE", "USERS", "SESSIONS"], "explain": true,
    });
    let answer = ask(&app, question).await;
    assert_eq!(answer["series"], json!([]));
    assert_eq!(answer["rowsRead"], 0);
    assert_eq!(
        answer["plan"],
        json!([
            {"subject": "LINES", "summed": false, "reads": "sales_quarter"},
            {"subject": "USERS", "summed": false, "reads": "user_day"},
            {"subject": "SESSIONS", "summed": false, "reads": "event"},
        ])
    );
    assert_eq!(answer["provenance"]["source"], "ROLLUP_AND_RAW");
}
