//! Where buckets begin and end, and that they are there when nothing happened.

use serde_json::{Value, json};

use super::later;
use crate::support::{Order, TestApp};

/// Start and orders of each bucket.
async fn orders(app: &TestApp, from: &str, to: &str, arguments: &str) -> Vec<Value> {
    let query = format!(
        r#"{{ sales(range: {{from: "{from}", to: "{to}"}}, {arguments}) {{ buckets {{ start end orders }} }} }}"#
    );
    let answer = app.data(&query).await;
    let buckets = answer["sales"]["buckets"].as_array().unwrap();
    for pair in buckets.windows(2) {
        assert_eq!(pair[0]["end"], pair[1]["start"]);
    }
    buckets
        .iter()
        .map(|bucket| json!([bucket["start"], bucket["orders"]]))
        .collect()
}

/// An order at each whole hour and at half past of these UTC hours.
async fn sell_each_half_hour(app: &TestApp, day: &str, hours: std::ops::Range<u32>) {
    let times =
        hours.flat_map(|hour| [0, 30].map(|minute| format!("{day}T{hour:02}:{minute:02}:00Z")));
    let events: Vec<Value> = times
        .map(|time| Order::of("mug").at(time).event())
        .collect();
    app.accept(&events).await;
}

#[tokio::test]
async fn the_hour_that_autumn_repeats_is_two_buckets() {
    let app = later().await;
    sell_each_half_hour(&app, "2026-10-25", 0..3).await;
    assert_eq!(
        orders(
            &app,
            "2026-10-24T23:00:00Z",
            "2026-10-25T03:00:00Z",
            r#"granularity: HOUR, timezone: "Europe/Berlin""#
        )
        .await,
        [
            json!(["2026-10-25T01:00:00+02:00", 0]),
            json!(["2026-10-25T02:00:00+02:00", 2]),
            json!(["2026-10-25T02:00:00+01:00", 2]),
            json!(["2026-10-25T03:00:00+01:00", 2]),
        ]
    );
}

#[tokio::test]
async fn the_days_of_a_change_have_23_and_25_hours() {
    let app = later().await;
    for day in ["2026-03-28", "2026-03-29", "2026-10-24", "2026-10-25"] {
        sell_each_half_hour(&app, day, 0..24).await;
    }
    let berlin = r#"granularity: DAY, timezone: "Europe/Berlin""#;
    assert_eq!(
        orders(
            &app,
            "2026-03-28T00:00:00+01:00",
            "2026-03-31T00:00:00+02:00",
            berlin
        )
        .await,
        [
            // Nothing was sold in the first hour.
            json!(["2026-03-28T00:00:00+01:00", 46]),
            json!(["2026-03-29T00:00:00+01:00", 46]),
            json!(["2026-03-30T00:00:00+02:00", 4]),
        ]
    );
    assert_eq!(
        orders(
            &app,
            "2026-10-25T00:00:00+02:00",
            "2026-10-26T00:00:00+01:00",
            berlin
        )
        .await,
        [json!(["2026-10-25T00:00:00+02:00", 50])]
    );
}

#[tokio::test]
async fn weeks_months_quarters_and_years_are_cut_to_the_range() {
    let app = later().await;
    let days = [
        "2025-12-31",
        "2026-01-31",
        "2026-02-01",
        "2026-03-31",
        "2026-04-01",
    ];
    app.accept(&days.map(|day| Order::of("mug").at(format!("{day}T12:00:00Z")).event()))
        .await;
    let ask = async |granularity: &str| {
        orders(
            &app,
            "2025-12-15T06:00:00Z",
            "2026-04-02T00:00:00Z",
            &format!("granularity: {granularity}"),
        )
        .await
    };
    assert_eq!(
        ask("MONTH").await,
        [
            json!(["2025-12-15T06:00:00+00:00", 1]),
            json!(["2026-01-01T00:00:00+00:00", 1]),
            json!(["2026-02-01T00:00:00+00:00", 1]),
            json!(["2026-03-01T00:00:00+00:00", 1]),
            json!(["2026-04-01T00:00:00+00:00", 1]),
        ]
    );
    assert_eq!(
        ask("QUARTER").await,
        [
            json!(["2025-12-15T06:00:00+00:00", 1]),
            json!(["2026-01-01T00:00:00+00:00", 3]),
            json!(["2026-04-01T00:00:00+00:00", 1]),
        ]
    );
    assert_eq!(
        ask("YEAR").await,
        [
            json!(["2025-12-15T06:00:00+00:00", 1]),
            json!(["2026-01-01T00:00:00+00:00", 4])
        ]
    );
    assert_eq!(
        ask("TOTAL").await,
        [json!(["2025-12-15T06:00:00+00:00", 5])]
    );
    let weeks = ask("WEEK").await;
    assert_eq!(
        weeks[..3],
        [
            json!(["2025-12-15T06:00:00+00:00", 0]),
            json!(["2025-12-22T00:00:00+00:00", 0]),
            json!(["2025-12-29T00:00:00+00:00", 1])
        ]
    );
    assert_eq!(weeks.len(), 16);
}

#[tokio::test]
async fn without_groups_an_empty_bucket_is_all_zeros_and_with_groups_it_is_left_out() {
    let app = later().await;
    app.accept(&[Order::of("mug").at("2026-03-01T00:02:00Z").event()])
        .await;
    let query = |groups| {
        format!(
            r#"{{ sales(range: {{from: "2026-03-01T00:00:00Z", to: "2026-03-01T00:03:00Z"}}, granularity: MINUTE, groupBy: [{groups}]) {{
                buckets {{ start end category region channel productId revenue orders units averageOrderValue buyers }}
            }} }}"#
        )
    };
    let bucket = |minute: u32, sold: u32| {
        json!({
            "start": format!("2026-03-01T00:0{minute}:00+00:00"), "end": format!("2026-03-01T00:0{}:00+00:00", minute + 1),
            "category": null, "region": null, "channel": null, "productId": null,
            "revenue": format!("{}0.00", if sold == 0 { "" } else { "1" }),
            "orders": sold, "units": sold, "averageOrderValue": (sold > 0).then_some("10.00"), "buyers": sold,
        })
    };
    let buckets = [bucket(0, 0), bucket(1, 0), bucket(2, 1)];
    assert_eq!(
        app.data(&query("")).await,
        json!({"sales": {"buckets": buckets}})
    );
    let mut only = bucket(2, 1);
    only["region"] = "".into();
    only["channel"] = "".into();
    assert_eq!(
        app.data(&query("REGION, CHANNEL")).await,
        json!({"sales": {"buckets": [only]}})
    );
}

#[tokio::test]
async fn a_range_is_widened_to_whole_minutes() {
    let app = later().await;
    let times = [
        "11:59:59.999999",
        "12:00:00",
        "12:00:29",
        "12:01:59.999999",
        "12:02:00",
    ];
    app.accept(&times.map(|time| Order::of("mug").at(format!("2026-03-01T{time}Z")).event()))
        .await;
    assert_eq!(
        orders(
            &app,
            "2026-03-01T12:00:30Z",
            "2026-03-01T12:01:00.000001Z",
            "granularity: MINUTE"
        )
        .await,
        [
            json!(["2026-03-01T12:00:00+00:00", 2]),
            json!(["2026-03-01T12:01:00+00:00", 1])
        ]
    );
}
