//! What a request costs is told with its answer, and a question that costs too much is refused.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::StatusCode;
use sea_orm::sqlx;
use serde_json::{Value, json};

use crate::support::{KEY, Subscription, TestApp, TestDb, config, pageview};

/// A pageview every ten minutes of March 2026.
const A_DAY: usize = 144;
const EVERYTHING: u64 = 200_000_000;

/// A server whose questions go through so many rows at most, and March's events.
async fn march(max_rows: u64) -> TestApp {
    let db = TestDb::migrated().await;
    let mut config = config(&db.url(), None);
    config.questions.max_rows = max_rows;
    let app = TestApp::start_with(db, config).await.ready().await;
    let begin: DateTime<Utc> = "2026-03-01T00:00:00Z".parse().unwrap();
    let events: Vec<Value> = (0..i32::try_from(31 * A_DAY).unwrap())
        .map(|n| pageview("v1", "/", (begin + TimeDelta::minutes(10) * n).to_rfc3339()))
        .collect();
    app.accept(&events).await;
    // As PostgreSQL does by itself after a while.
    sqlx::query("ANALYZE event")
        .execute(&mut app.db.connect().await)
        .await
        .unwrap();
    app
}

/// The first days of March, of which the facts themselves are counted.
fn input(days: usize, granularity: &str) -> Value {
    json!({
        "measures": ["EVENTS"], "granularity": granularity,
        "range": {"between": {"from": "2026-03-01T00:00:00Z", "to": format!("2026-03-{:02}T00:00:00Z", 1 + days)}},
        "filter": {"not": {"property": {"path": ["price"], "exists": true}}},
    })
}

const QUERY: &str = "query($input: MetricsInput!) { metrics(input: $input) { rowsRead } }";

async fn ask(app: &TestApp, input: Value) -> Value {
    let answer = app.ask_with(QUERY, json!({"input": input})).await;
    assert!(answer.get("errors").is_none(), "{answer}");
    answer
}

/// Whether an estimate is within a tenth of what there is.
fn assert_near(estimate: &Value, rows: usize) {
    let estimate = estimate.as_u64().unwrap();
    let rows = rows as u64;
    assert!(
        estimate.abs_diff(rows) <= rows / 10,
        "{estimate} is not about {rows}"
    );
}

#[tokio::test]
async fn an_answer_tells_what_was_expected_to_be_read_for_it() {
    let app = march(EVERYTHING).await;
    for days in [3, 10, 30] {
        let answer = ask(&app, input(days, "TOTAL")).await;
        assert_eq!(answer["data"]["metrics"]["rowsRead"], days * A_DAY);
        let cost = &answer["extensions"]["cost"];
        assert_near(&cost["rowsEstimated"], days * A_DAY);
        let mut rest = cost.clone();
        rest["rowsEstimated"] = Value::Null;
        assert!(
            rest["requested"]
                .take()
                .as_u64()
                .is_some_and(|points| points > 101)
        );
        assert_eq!(
            rest,
            json!({"requested": null, "complexity": 101, "maxComplexity": 10_000, "rowsEstimated": null, "maxRows": EVERYTHING})
        );
        // A kept answer tells the same, and so does a whole response.
        for _ in 0..2 {
            assert_eq!(
                ask(&app, input(days, "TOTAL")).await["extensions"],
                answer["extensions"]
            );
        }
    }
    // In buckets, and over the whole range.
    let answer = ask(&app, input(10, "DAY")).await;
    assert_near(&answer["extensions"]["cost"]["rowsEstimated"], 20 * A_DAY);
}

#[tokio::test]
async fn a_request_costs_what_all_of_it_costs_and_so_over_a_socket() {
    let app = march(EVERYTHING).await;
    let metrics = |days: usize| {
        format!(
            r#"metrics(input: {{measures: [EVENTS], range: {{between: {{from: "2026-03-01T00:00:00Z",
                to: "2026-03-{:02}T00:00:00Z"}}}},
                filter: {{property: {{path: ["price"], exists: false}}}}}}) {{ rowsRead }}"#,
            1 + days
        )
    };
    let both = format!("{{ a: {} b: {} __typename }}", metrics(10), metrics(20));
    let over_http = app.ask(&both).await["extensions"]["cost"].take();
    assert_eq!(over_http["complexity"], 202);
    assert_near(&over_http["rowsEstimated"], 30 * A_DAY);
    let mut socket = Subscription::begin(&app.url, KEY, &both).await;
    let message = socket.hear().await.unwrap();
    assert_eq!(message["payload"]["extensions"]["cost"], over_http);
    // What is asked next costs what it costs alone.
    let next = json!({"id": "2", "type": "subscribe", "payload": {"query": "{ __typename }"}});
    socket.say(next).await;
    let message = loop {
        let message = socket.hear().await.unwrap();
        if message["type"] == "next" {
            break message;
        }
    };
    let cost = &message["payload"]["extensions"]["cost"];
    assert_eq!(
        cost,
        &json!({"requested": 1, "complexity": 0, "maxComplexity": 10_000, "rowsEstimated": 0, "maxRows": EVERYTHING})
    );
    // Who asks for too much is told how much it was.
    let fields = "nodes { purchases(first: 100) { nodes { purchaseId } } }";
    let too_much = app
        .ask(&format!("{{ users(first: 100) {{ {fields} }} }}"))
        .await;
    assert_eq!(
        too_much["errors"][0]["extensions"]["code"],
        "query_too_complex"
    );
    let complexity = too_much["extensions"]["cost"]["complexity"].as_u64();
    assert!(complexity.unwrap() > 10_000, "{too_much}");
}

#[tokio::test]
async fn a_question_that_goes_through_too_many_rows_is_refused() {
    let app = march(1_000).await;
    let answer = ask(&app, input(5, "TOTAL")).await;
    assert_eq!(answer["data"]["metrics"]["rowsRead"], 5 * A_DAY);
    assert_eq!(answer["extensions"]["cost"]["maxRows"], 1_000);
    let refused = app
        .ask_with(QUERY, json!({"input": input(20, "TOTAL")}))
        .await;
    let error = &refused["errors"][0];
    assert_eq!(error["extensions"]["code"], "query_too_expensive");
    let message = error["message"].as_str().unwrap();
    let words: Vec<&str> = message.split(' ').collect();
    assert_eq!(words[..6].join(" "), "The question would go through about");
    assert_near(&json!(words[6].parse::<u64>().unwrap()), 20 * A_DAY);
    assert_eq!(
        words[7..].join(" "),
        "rows, and may through 1000. Narrow its range, tell fewer dimensions apart, or ask for no properties; `explain` says where they are."
    );
    // Two passes of what one would be allowed.
    let refused = app.ask_with(QUERY, json!({"input": input(5, "DAY")})).await;
    assert_eq!(
        refused["errors"][0]["extensions"]["code"],
        "query_too_expensive"
    );

    let mut explained = input(20, "TOTAL");
    explained["explain"] = true.into();
    let plan = "query($input: MetricsInput!) { metrics(input: $input) { rowsRead plan { reads estimatedRows } } }";
    let answer = app.ask_with(plan, json!({"input": explained})).await;
    let step = &answer["data"]["metrics"]["plan"][0];
    assert_eq!(step["reads"], "event");
    assert_near(&step["estimatedRows"], 20 * A_DAY);
    assert_eq!(answer["data"]["metrics"]["rowsRead"], 0);
    assert_eq!(
        answer["extensions"]["cost"]["rowsEstimated"],
        step["estimatedRows"]
    );
}

#[tokio::test]
async fn rest_refuses_and_explains_alike() {
    let app = march(1_000).await;
    let path = |to: &str| {
        format!(
            "/v1/metrics?measures=EVENTS&from=2026-03-01T00:00:00Z&to=2026-03-{to}T00:00:00Z\
             &filter={{\"property\":{{\"path\":[\"price\"],\"exists\":false}}}}"
        )
    };
    assert_eq!(app.get(&path("05")).await.0, StatusCode::OK);
    let (status, problem) = app.get(&path("21")).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::BAD_REQUEST, &json!("query_too_expensive"))
    );
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("may through 1000"), "{detail}");
    let (status, plan) = app.get(&format!("{}&explain=true", path("21"))).await;
    assert_eq!(status, StatusCode::OK, "{plan}");
    assert_near(&plan["plan"][0]["estimatedRows"], 20 * A_DAY);
    // No limit at all.
    let free = march(0).await;
    assert_eq!(free.get(&path("31")).await.0, StatusCode::OK);
    let cost = free.ask("{ __typename }").await["extensions"]["cost"].take();
    assert_eq!(cost["maxRows"], Value::Null);
}
