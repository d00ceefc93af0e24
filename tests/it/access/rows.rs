//! Keys that see some rows alone: as if nothing else had ever been stored.

use std::io::Read;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::isolation::{HIDDEN, Words, assert_clean, assert_same, ids, put, random_events, send};
use super::operations::{BETWEEN, RANGE, read_all};
use super::{code, key};
use crate::support::{KEY, Order, TestApp};

const SEEN: Words = Words {
    mark: "otter",
    regions: &["north"],
    products: &["mug", "pot"],
};
const HIDDEN_ROWS: Words = Words {
    mark: HIDDEN,
    regions: &["zebra-south", "zebra-west", ""],
    products: &["zebra-mug", "zebra-rake"],
};

async fn scoped(app: &TestApp, rows: Value) -> String {
    let input = json!({"name": "a partner", "scopes": ["READ", "EXPORT"], "rowScope": rows});
    key(app, input).await.1
}

#[tokio::test]
async fn what_a_key_does_not_see_is_as_if_it_were_not_there() {
    let app = TestApp::start().await;
    put(&app, KEY, "Kitchen", SEEN.products).await;
    put(&app, KEY, "zebra", HIDDEN_ROWS.products).await;
    send(&app, KEY, &random_events(SEEN, 80, 11)).await;
    let batch = send(&app, KEY, &random_events(HIDDEN_ROWS, 80, 12)).await;
    let foreign = ids(&app, KEY, HIDDEN, batch).await;
    let partners = [
        scoped(&app, json!({"regions": ["north"]})).await,
        scoped(&app, json!({"categories": ["Kitchen"]})).await,
        scoped(&app, json!({"products": ["mug", "pot"]})).await,
        scoped(
            &app,
            json!({"categories": ["Kitchen > deep"], "regions": ["north", "east"]}),
        )
        .await,
    ];
    let mut before = Vec::new();
    for partner in &partners {
        let answers = read_all(&app, partner, &foreign).await;
        assert_clean(&answers);
        let has_own = |part: &str| {
            answers
                .iter()
                .any(|(_, answer)| answer.to_string().contains(part))
        };
        assert!(has_own("mug") && has_own("out_of_scope"));
        before.push(answers);
    }
    // Answers that the one who sees all was given are kept; and there is more.
    read_all(&app, KEY, &foreign).await;
    send(&app, KEY, &random_events(HIDDEN_ROWS, 200, 13)).await;
    for (partner, before) in partners.iter().zip(before) {
        read_all(&app, KEY, &foreign).await;
        let after = read_all(&app, partner, &foreign).await;
        assert_clean(&after);
        assert_same(&before, &after);
    }
}

#[tokio::test]
async fn numbers_are_those_of_the_rows_one_sees_and_lines_of_one_order_are_told_apart() {
    let app = TestApp::start().await;
    put(&app, KEY, "Kitchen", &["mug"]).await;
    put(&app, KEY, "Garden", &["rake"]).await;
    let north = Order::of("mug")
        .and("rake", 2, "7.00")
        .with("region", "north");
    let south = Order::of("mug")
        .for_amount("3.00")
        .by("u2")
        .with("region", "south");
    let both = [north.event(), south.event()];
    app.accept(&both).await;
    let sum = format!("{{ sales({RANGE}) {{ totals {{ orders units revenue buyers }} }} }}");
    let totals = async |key: &str| app.ask_as(key, &sum).await["data"]["sales"]["totals"].clone();
    let kitchen = scoped(&app, json!({"categories": ["Kitchen"]})).await;
    let garden = scoped(&app, json!({"products": ["rake"]})).await;
    let south = scoped(
        &app,
        json!({"categories": ["Kitchen"], "regions": ["south"]}),
    )
    .await;
    let of = |orders: i64, units: i64, revenue: &str, buyers: i64| json!({"orders": orders, "units": units, "revenue": revenue, "buyers": buyers});
    assert_eq!(totals(KEY).await, of(2, 4, "20.00", 2));
    assert_eq!(totals(&kitchen).await, of(2, 2, "13.00", 2));
    assert_eq!(totals(&garden).await, of(1, 2, "7.00", 1));
    assert_eq!(totals(&south).await, of(1, 1, "3.00", 1));
    // A filter of one's own narrows further, and never widens.
    let query = format!(
        "{{ metrics(input: {{measures: [REVENUE], {BETWEEN}, filter: {{or: [
            {{dimension: {{dimension: REGION, in: [\"north\"]}}}}, {{dimension: {{dimension: REGION, in: [\"south\"]}}}}
        ]}}}}) {{ series {{ total }} }} }}"
    );
    let asked = app.ask_as(&south, &query).await;
    assert_eq!(
        asked["data"]["metrics"]["series"][0]["total"], "3.00",
        "{asked}"
    );
    // What has not what the rows are limited by is refused.
    let traffic = format!("{{ traffic({RANGE}) {{ totals {{ events }} }} }}");
    let refused = app.ask_as(&kitchen, &traffic).await;
    assert_eq!(refused["errors"][0]["extensions"]["code"], "out_of_scope");
    let users = app.anonymous(Method::GET, "/v1/users").bearer_auth(&south);
    assert_eq!(
        code(users).await,
        (StatusCode::FORBIDDEN, "out_of_scope".to_owned())
    );
}

#[tokio::test]
async fn an_export_has_the_rows_that_one_sees_and_no_other_key_finds_it() {
    let app = TestApp::start().await;
    put(&app, KEY, "Kitchen", &["mug"]).await;
    app.accept(&[
        Order::of("mug").with("region", "north").event(),
        Order::of("zebra-mug").with("region", "south").event(),
    ])
    .await;
    let partner = scoped(&app, json!({"regions": ["north"]})).await;
    let other = scoped(&app, json!({"regions": ["south"]})).await;
    let query = "mutation { createExport(input: {what: PURCHASES}) { id downloadUrl } }";
    let made = app.ask_as(&partner, query).await;
    let made = &made["data"]["createExport"];
    let (id, link) = (
        made["id"].as_str().unwrap(),
        made["downloadUrl"].as_str().unwrap(),
    );
    let file = loop {
        let answer = app.anonymous(Method::GET, link).send().await.unwrap();
        if answer.status() == StatusCode::OK {
            break answer.bytes().await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(&file[..])
        .read_to_string(&mut text)
        .unwrap();
    assert!(text.contains("mug") && !text.contains(HIDDEN), "{text}");
    let path = format!("/v1/exports/{id}");
    let asked = app.anonymous(Method::GET, &path).bearer_auth(&other);
    assert_eq!(
        code(asked).await,
        (StatusCode::NOT_FOUND, "unknown_export".to_owned())
    );
    assert_eq!(
        app.ask_as(&other, "{ exports { id } }").await["data"]["exports"],
        json!([])
    );
    assert_eq!(
        app.data("{ exports { id } }").await["exports"],
        json!([{"id": id}])
    );
    // What cannot be limited is refused before anything is queued.
    let users = "mutation { createExport(input: {what: USERS}) { id } }";
    let refused = app.ask_as(&partner, users).await;
    assert_eq!(refused["errors"][0]["extensions"]["code"], "out_of_scope");
}
