//! Lists as JSON, page by page.

use serde_json::{Value, json};

use super::{fill, json_of};
use crate::support::{Order, TestApp};

/// Every page of a list, of so many records each.
async fn pages(app: &TestApp, list: &str, size: usize) -> Vec<Vec<Value>> {
    let mut pages = Vec::new();
    let mut path = format!("/v1/{list}?limit={size}");
    loop {
        let mut page = json_of(app, &path).await;
        let Value::Array(data) = page["data"].take() else {
            panic!("{page}")
        };
        pages.push(data);
        let Some(cursor) = page["nextCursor"].as_str() else {
            return pages;
        };
        assert_eq!(pages.last().unwrap().len(), size);
        path = format!("/v1/{list}?limit={size}&cursor={cursor}");
    }
}

#[tokio::test]
async fn paging_walks_the_whole_list_exactly_once() {
    let app = TestApp::start().await;
    fill(&app).await;
    for (list, length) in [
        ("events", 69),
        ("pageviews", 20),
        ("purchases", 81),
        ("refunds", 6),
        ("users", 10),
        ("products", 3),
    ] {
        let whole = pages(&app, list, 500).await;
        assert_eq!(whole.len(), 1, "{list}");
        assert_eq!(whole[0].len(), length, "{list}");
        for size in [1, 3, length] {
            assert_eq!(
                pages(&app, list, size).await.concat(),
                whole[0],
                "{list} by {size}"
            );
        }
    }
    let default = json_of(&app, "/v1/purchases").await;
    assert_eq!(default["data"].as_array().unwrap().len(), 81);
}

#[tokio::test]
async fn a_cursor_of_graphql_goes_on_here_and_the_other_way_round() {
    let app = TestApp::start().await;
    fill(&app).await;
    let whole = pages(&app, "purchases", 500).await.concat();
    let id = |record: &Value| record["purchaseId"].clone();
    let graphql = app
        .data("{ purchases(first: 10) { pageInfo { endCursor } } }")
        .await;
    let cursor = graphql["purchases"]["pageInfo"]["endCursor"]
        .as_str()
        .unwrap();
    let rest = json_of(&app, &format!("/v1/purchases?limit=5&cursor={cursor}")).await;
    assert_eq!(rest["data"], json!(whole[10..15]));
    let query = format!(
        "{{ purchases(first: 1, after: {}) {{ nodes {{ purchaseId }} }} }}",
        rest["nextCursor"]
    );
    let next = app.data(&query).await;
    assert_eq!(next["purchases"]["nodes"][0]["purchaseId"], id(&whole[15]));
}

#[tokio::test]
async fn a_filter_narrows_a_list_to_what_it_names() {
    let app = TestApp::start().await;
    fill(&app).await;
    app.accept(&[Order::of("mug")
        .at("2026-03-20T12:00:00Z")
        .with("region", "=DE,1")
        .event()])
        .await;
    let ids = |list: &Value, field: &str| -> Vec<Value> {
        let data = list["data"].as_array().unwrap();
        data.iter().map(|record| record[field].clone()).collect()
    };
    let users = json_of(&app, "/v1/users").await;
    let ada = users["data"].as_array().unwrap().iter();
    let ada = ada.clone().find(|user| user["externalId"] == "u1").unwrap();
    assert_eq!(ada["mergedIds"].as_array().unwrap().len(), 1);
    let merged = ada["mergedIds"][0].as_str().unwrap();
    for (path, filter) in [
        ("purchases?category=Kitchen", r#"category: "Kitchen""#),
        (
            "purchases?category=Kitchen%20%3E%20Coffee",
            r#"category: "Kitchen > Coffee""#,
        ),
        (
            "purchases?productId=pot&region=FR",
            r#"productId: "pot", region: "FR""#,
        ),
        ("purchases?region=%3DDE%2C1", r#"region: "=DE,1""#),
        (
            "purchases?from=2026-03-02T00:00:00Z&to=2026-03-03T00:00:00Z",
            r#"range: {from: "2026-03-02T00:00:00Z", to: "2026-03-03T00:00:00Z"}"#,
        ),
        (
            "purchases?from=2026-03-05T00:00:00Z",
            r#"range: {from: "2026-03-05T00:00:00Z", to: "2100-01-01T00:00:00Z"}"#,
        ),
        (
            &format!("purchases?userId={merged}"),
            &format!("userId: \"{merged}\""),
        ),
    ] {
        let query = format!(
            "{{ purchases(first: 100, filter: {{{filter}}}) {{ nodes {{ purchaseId }} }} }}"
        );
        let expected = app.data(&query).await["purchases"]["nodes"].take();
        let expected: Vec<Value> = expected
            .as_array()
            .unwrap()
            .iter()
            .map(|node| node["purchaseId"].clone())
            .collect();
        assert!(!expected.is_empty(), "{path}");
        assert_eq!(
            ids(&json_of(&app, &format!("/v1/{path}")).await, "purchaseId"),
            expected,
            "{path}"
        );
    }
    let kitchen = json_of(&app, "/v1/products?category=Kitchen").await;
    assert_eq!(ids(&kitchen, "productId"), ["mug", "pot"]);
    let seen = json_of(
        &app,
        &format!("/v1/pageviews?userId={merged}&to=2026-03-02T00:00:00Z"),
    )
    .await;
    assert!(seen["data"].as_array().unwrap().len() < 5);
    let none = json_of(&app, "/v1/events?types=").await;
    assert_eq!(none, json!({"data": [], "nextCursor": null}));
}
