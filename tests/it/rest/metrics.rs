//! `/v1/metrics` says what GraphQL says, in every format.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::exports::{lines, table};
use super::{MARCH, as_rest, fill, get, json_of};
use crate::support::TestApp;

const QUERY: &str = "query($input: MetricsInput!) { metrics(input: $input) {
    timezone rowsRead warnings plan { subject summed reads twice estimatedRows }
    series { measure unit currency other total comparedTotal dimensions { dimension value }
             buckets { start end complete value compared } }
    provenance { watermark source approximate lateEvents excludedBots quarantined
                 rowsRead errorBound } } }";

/// Of a range in March 2026, without what differs from one answer to the next.
fn timeless(mut answer: Value) -> Value {
    let provenance = answer["provenance"].as_object_mut().unwrap();
    assert!(provenance.remove("asOf").is_some());
    assert!(provenance.remove("queryMs").is_some());
    answer
}

/// A query in its two forms: the parameters of the address, and GraphQL's input but for the range.
fn questions() -> Vec<(&'static str, Value)> {
    vec![
        ("measures=REVENUE", json!({"measures": ["REVENUE"]})),
        (
            "measures=revenue,orders,BUYERS,CONVERSION_RATE&dimensions=region,CHANNEL&granularity=day\
             &timezone=Asia/Kathmandu&compareTo=PREVIOUS_PERIOD&fill=NULL&limit=1",
            json!({"measures": ["REVENUE", "ORDERS", "BUYERS", "CONVERSION_RATE"],
                   "dimensions": ["REGION", "CHANNEL"], "granularity": "DAY", "limit": 1,
                   "timezone": "Asia/Kathmandu", "compareTo": {"previous": "PREVIOUS_PERIOD"}, "fill": "NULL"}),
        ),
        (
            "measures=NET_REVENUE&dimensions=CATEGORY&categoryLevel=1&granularity=WEEK&weekStart=SUNDAY\
             &orderBy=NET_REVENUE:ASC&currency=USD&includeBots=true&compareTo=2026-02-01T00:00:00Z/2026-03-01T00:00:00Z",
            json!({"measures": ["NET_REVENUE"], "dimensions": ["CATEGORY"], "categoryLevel": 1,
                   "granularity": "WEEK", "weekStart": "SUNDAY", "currency": "USD", "includeBots": true,
                   "orderBy": {"measure": "NET_REVENUE", "descending": false},
                   "compareTo": {"range": {"from": "2026-02-01T00:00:00Z", "to": "2026-03-01T00:00:00Z"}}}),
        ),
        (
            "measures=EVENTS&dimensions=EVENT_TYPE&granularity=DAY&rolling=3:SUM&maxStaleness=0\
             &filter={\"and\":[{\"not\":{\"dimension\":{\"dimension\":\"EVENT_TYPE\",\"in\":[\"page_view\"]}}},\
             {\"property\":{\"path\":[\"a\"],\"exists\":false}}]}",
            json!({"measures": ["EVENTS"], "dimensions": ["EVENT_TYPE"], "granularity": "DAY",
                   "rolling": {"buckets": 3, "function": "SUM"},
                   "filter": {"and": [
                       {"not": {"dimension": {"dimension": "EVENT_TYPE", "in": ["page_view"]}}},
                       {"property": {"path": ["a"], "exists": false}}]}}),
        ),
        (
            "measures=SESSIONS,BOUNCE_RATE&explain=true&granularity=HOUR",
            json!({"measures": ["SESSIONS", "BOUNCE_RATE"], "explain": true, "granularity": "HOUR"}),
        ),
    ]
}

#[tokio::test]
async fn metrics_are_those_of_graphql_in_every_format() {
    let app = TestApp::start().await;
    fill(&app).await;
    let march = json!({"between": {"from": "2026-03-01T00:00:00Z", "to": "2026-04-01T00:00:00Z"}});
    for (parameters, mut input) in questions() {
        input["range"] = march.clone();
        let mut expected = app.ask_with(QUERY, json!({"input": input})).await;
        assert!(expected.get("errors").is_none(), "{parameters}: {expected}");
        let expected = as_rest(&expected["data"]["metrics"].take());
        let path = format!("/v1/metrics?{MARCH}&{parameters}");
        let answer = timeless(json_of(&app, &path).await);
        assert_eq!(answer, expected, "{parameters}");

        let rows = rows(&answer);
        let mut streamed = lines(&app, &format!("{path}&format=ndjson")).await;
        let end = timeless(streamed.pop().unwrap());
        assert_eq!(streamed, rows, "{parameters}");
        let about = json!({"done": true, "rows": rows.len(), "timezone": answer["timezone"],
                           "warnings": answer["warnings"], "provenance": answer["provenance"]});
        assert_eq!(end, about, "{parameters}");
        let (header, cells) = table(&app, &format!("{path}&format=csv")).await;
        let known: Vec<Vec<String>> = rows.iter().map(|row| cells_of(&header, row)).collect();
        assert_eq!(cells, known, "{parameters}");
    }
}

/// A row for each bucket of each series.
fn rows(answer: &Value) -> Vec<Value> {
    let mut rows = Vec::new();
    for series in answer["series"].as_array().unwrap() {
        for bucket in series["buckets"].as_array().unwrap() {
            let mut row = bucket.as_object().unwrap().clone();
            for name in ["measure", "unit", "currency", "dimensions", "other"] {
                row.insert(name.to_owned(), series[name].clone());
            }
            rows.push(row.into());
        }
    }
    rows
}

/// The line of a table that a row is.
fn cells_of(header: &[String], row: &Value) -> Vec<String> {
    let cell = |name: &String| {
        let dimensions = row["dimensions"].as_array().unwrap();
        let dimension = dimensions.iter().find(|one| one["dimension"] == **name);
        match dimension.map_or(&row[name.as_str()], |one| &one["value"]) {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    };
    header.iter().map(cell).collect()
}

#[tokio::test]
async fn a_range_may_be_told_from_now() {
    let clock: chrono::DateTime<chrono::Utc> = "2026-03-09T12:00:00Z".parse().unwrap();
    let app = TestApp::with_clock(tidewater::clock::Clock::manual(clock)).await;
    fill(&app).await;
    for (range, start, end) in [
        ("last=24h", "2026-03-08T12:00:00Z", "2026-03-09T12:00:00Z"),
        ("last=90m", "2026-03-09T10:30:00Z", "2026-03-09T12:00:00Z"),
        ("last=1mo", "2026-02-09T12:00:00Z", "2026-03-09T12:00:00Z"),
        (
            "toDate=month",
            "2026-03-01T00:00:00Z",
            "2026-03-09T12:00:00Z",
        ),
    ] {
        let answer = json_of(&app, &format!("/v1/metrics?measures=ORDERS&{range}")).await;
        let bucket = &answer["series"][0]["buckets"][0];
        assert_eq!(
            (&bucket["start"], &bucket["end"]),
            (&json!(start), &json!(end)),
            "{range}"
        );
    }
}

#[tokio::test]
async fn who_has_the_numbers_already_is_told_so() {
    let app = TestApp::start().await;
    fill(&app).await;
    let path = format!("/v1/metrics?{MARCH}&measures=REVENUE&dimensions=PRODUCT");
    for format in ["json", "csv", "ndjson"] {
        let path = format!("{path}&format={format}");
        let tag = get(&app, &path).await.headers()["etag"].clone();
        let again = app.request(Method::GET, &path).header("if-none-match", tag);
        let again = again.send().await.unwrap();
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{format}");
    }
}

/// Parameters, and the code and words that they are refused with.
type Case = (String, &'static str, &'static str);

fn words() -> Vec<Case> {
    let cases = [
        ("", "missing field `measures`"),
        ("measures=PROFIT", "`CART_ABANDONMENT_RATE`"),
        ("measures=EVENTS&dimensions=COLOUR", "`USER_COHORT`"),
        ("measures=EVENTS&limit=-1", "limit"),
        ("measures=EVENTS&rolling=7:MEDIAN", "7:SUM"),
        ("measures=EVENTS&orderBy=USERS:UP", "REVENUE:ASC"),
        ("measures=EVENTS&compareTo=YESTERDAY", "PREVIOUS_PERIOD"),
        ("measures=EVENTS&weekStart=SOMEDAY", "MONDAY"),
        ("measures=EVENTS&fill=EMPTY", "`LINEAR`"),
        ("measures=EVENTS&last=24h", "or `toDate`"),
        ("measures=EVENTS&format=xml", "`NDJSON`"),
    ];
    let case = |(asked, words): (&str, _)| (asked.to_owned(), "invalid_parameter", words);
    cases.map(case).to_vec()
}

fn limits() -> Vec<Case> {
    let backwards = "compareTo=2026-03-02T00:00:00Z/2026-03-01T00:00:00Z";
    let cases = [
        (
            "dimensions=PRODUCT",
            "unsupported_dimension",
            "It has: EVENT_TYPE",
        ),
        ("timezone=Mars", "invalid_timezone", "IANA"),
        ("granularity=MINUTE", "too_many_buckets", "coarser"),
        ("limit=1001", "invalid_metrics", "1 to 1000"),
        ("rolling=367", "invalid_metrics", "1 to 366"),
        ("orderBy=USERS", "invalid_metrics", "not asked for"),
        (backwards, "invalid_range", "1970"),
        ("currency=DOGE", "invalid_currency", "ISO 4217"),
        ("maxStaleness=3601", "invalid_staleness", "3600"),
        ("categoryLevel=0", "invalid_metrics", "1 or more"),
    ];
    let case = |(asked, code, words)| (format!("measures=EVENTS&{asked}"), code, words);
    let none = (
        "measures=".to_owned(),
        "invalid_metrics",
        "1 to 10 measures",
    );
    cases.map(case).into_iter().chain([none]).collect()
}

fn filters() -> Vec<Case> {
    let region = r#"{"dimension":{"dimension":"REGION","in":["DE"]}}"#;
    let not = |depth| {
        format!(
            "{}{region}{}",
            r#"{"not":"#.repeat(depth),
            "}".repeat(depth)
        )
    };
    let wide = format!(r#"{{"or":[{}]}}"#, vec![region; 50].join(","));
    let number = r#"{"property":{"path":["a"],"min":1.5}}"#.to_owned();
    let cases = [
        ("REGION".to_owned(), "not a filter as JSON"),
        (r#"{"colour":[]}"#.to_owned(), "`dimension`"),
        (number, "decimal as a text"),
        (not(8), "at most 8 deep"),
        (not(500), "at most 8 deep"),
        (wide, "at most 50 conditions"),
    ];
    let case = |(filter, words)| {
        let asked = format!("measures=EVENTS&filter={filter}");
        (asked, "invalid_filter", words)
    };
    cases.map(case).to_vec()
}

#[tokio::test]
async fn what_cannot_be_asked_is_said_with_its_limit() {
    let app = TestApp::start().await;
    let cases = words().into_iter().chain(limits()).chain(filters());
    for (parameters, code, words) in cases {
        let (_, problem) = app.get(&format!("/v1/metrics?{MARCH}&{parameters}")).await;
        assert_eq!(problem["code"], code, "{parameters}: {problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(words), "{parameters}: {detail}");
    }
    for (range, code) in [
        (
            "from=2026-03-02T00:00:00Z&to=2026-03-01T00:00:00Z",
            "invalid_range",
        ),
        ("from=2026-03-02T00:00:00Z", "invalid_parameter"),
        ("last=0d", "invalid_range"),
        ("last=4000000000y", "invalid_range"),
        ("last=1fortnight", "invalid_parameter"),
        ("toDate=TOTAL", "invalid_range"),
    ] {
        let (_, problem) = app
            .get(&format!("/v1/metrics?measures=EVENTS&{range}"))
            .await;
        assert_eq!(problem["code"], code, "{range}: {problem}");
    }
}
