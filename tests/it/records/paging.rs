//! Lists, page by page.

use serde_json::{Value, json};

use super::column;
use crate::support::{Order, TestApp, pageview};

/// Every page of a list in one direction; checks that only the last one says that it is the last.
async fn pages(app: &TestApp, list: &str, id: &str, size: usize, forward: bool) -> Vec<Vec<Value>> {
    let (take, from) = if forward {
        ("first", "after")
    } else {
        ("last", "before")
    };
    let (more, edge) = if forward {
        ("hasNextPage", "endCursor")
    } else {
        ("hasPreviousPage", "startCursor")
    };
    let mut pages = Vec::new();
    let mut cursor = Value::Null;
    loop {
        let query = format!(
            "query($cursor: String) {{ {list}({take}: {size}, {from}: $cursor) {{ nodes {{ {id} }} pageInfo {{ {more} {edge} }} }} }}"
        );
        let answer = app.ask_with(&query, json!({"cursor": cursor})).await;
        let page = &answer["data"][list];
        assert!(page.is_object(), "{answer}");
        pages.push(column(page, id));
        cursor = page["pageInfo"][edge].clone();
        if page["pageInfo"][more] == false {
            return pages;
        }
        assert_eq!(pages.last().unwrap().len(), size);
    }
}

/// 23 orders of two lines and 23 pageviews; every seventh at a time of its own, the others of
/// their hour at one instant.
async fn fill(app: &TestApp) {
    let at = |n: u32| {
        let minute = if n.is_multiple_of(7) { n } else { 0 };
        format!("2026-03-01T{:02}:{minute:02}:00Z", n / 10)
    };
    let orders = (0..23).map(|n| {
        Order::of("mug")
            .at(at(n))
            .by(&format!("u{n}"))
            .and("pot", 1, "5.00")
            .event()
    });
    let visits = (0..23).map(|n| pageview("v", "/", at(n)));
    app.accept(&orders.chain(visits).collect::<Vec<_>>()).await;
    let product = |n| json!({"productId": format!("p{n:02}"), "title": "P"});
    // Ids that look like numbers, UUIDs and cursors are texts like any other.
    let odd = [
        "17",
        "67e55044-10b1-426f-9247-bb680e5fe0c8",
        "ZZZ",
        "Straße",
        "[1]",
    ];
    let odd = odd.map(|id| json!({"productId": id, "title": "P"}));
    let products: Vec<Value> = (0..18).map(product).chain(odd).collect();
    let query =
        "mutation($products: [ProductInput!]!) { putProducts(products: $products) { stored } }";
    let answer = app.ask_with(query, json!({"products": products})).await;
    assert_eq!(answer["data"]["putProducts"]["stored"], 23, "{answer}");
}

#[tokio::test]
async fn paging_through_a_list_either_way_meets_every_record_once() {
    let app = TestApp::start().await;
    fill(&app).await;
    for (list, id, length) in [
        ("events", "eventId", 46),
        ("pageviews", "pageviewId", 23),
        ("purchases", "purchaseId", 46),
        ("users", "userId", 24),
        ("products", "productId", 23),
    ] {
        let whole = app
            .data(&format!(
                "{{ {list}(first: 100) {{ nodes {{ {id} }} totalCount }} }}"
            ))
            .await;
        let whole = &whole[list];
        assert_eq!(whole["totalCount"], length, "{list}");
        let all = column(whole, id);
        assert_eq!(all.len(), length, "{list}");
        for size in [1, 4, 23, 46, 100] {
            let forward = pages(&app, list, id, size, true).await;
            assert_eq!(forward.concat(), all, "{list} by {size}");
            let mut backward = pages(&app, list, id, size, false).await;
            backward.reverse();
            assert_eq!(backward.concat(), all, "{list} by {size} from the end");
        }
    }
}

#[tokio::test]
async fn events_pageviews_and_purchases_come_newest_first() {
    let app = TestApp::start().await;
    fill(&app).await;
    for list in ["events", "pageviews", "purchases"] {
        let query = format!("{{ {list}(first: 100) {{ nodes {{ timestamp }} }} }}");
        let times = column(&app.data(&query).await[list], "timestamp");
        assert!(
            times.is_sorted_by_key(|time| std::cmp::Reverse(time.to_string())),
            "{list}: {times:?}"
        );
    }
}

#[tokio::test]
async fn a_record_that_comes_while_someone_pages_shifts_nothing() {
    let app = TestApp::start().await;
    fill(&app).await;
    let first = app
        .data("{ purchases(first: 10) { nodes { purchaseId } pageInfo { endCursor } } }")
        .await;
    let rest = format!(
        "{{ purchases(first: 100, after: {}) {{ nodes {{ purchaseId }} }} }}",
        first["purchases"]["pageInfo"]["endCursor"]
    );
    let before = app.data(&rest).await;
    app.accept(&[Order::of("mug").at("2026-03-02T00:00:00Z").event()])
        .await;
    assert_eq!(app.data(&rest).await, before);
}

#[tokio::test]
async fn a_span_between_two_cursors_can_be_asked_for() {
    let app = TestApp::start().await;
    fill(&app).await;
    let all = app
        .data("{ purchases(first: 46) { edges { cursor node { purchaseId } } } }")
        .await;
    let edge = |n: usize| &all["purchases"]["edges"][n];
    let query = format!(
        "{{ purchases(first: 100, after: {}, before: {}) {{ nodes {{ purchaseId }} pageInfo {{ hasNextPage }} }} }}",
        edge(9)["cursor"],
        edge(13)["cursor"]
    );
    let between: Vec<Value> = (10..13).map(|n| edge(n)["node"].clone()).collect();
    assert_eq!(
        app.data(&query).await,
        json!({"purchases": {"nodes": between, "pageInfo": {"hasNextPage": false}}})
    );
}

#[tokio::test]
async fn a_cursor_that_another_list_made_is_refused() {
    let app = TestApp::start().await;
    fill(&app).await;
    let lists = ["events", "pageviews", "purchases", "users", "products"];
    for maker in lists {
        let query = format!("{{ {maker}(first: 1) {{ pageInfo {{ endCursor }} }} }}");
        let cursor = app.data(&query).await[maker]["pageInfo"]["endCursor"].clone();
        for reader in lists.into_iter().filter(|reader| *reader != maker) {
            let query = format!("{{ {reader}(after: {cursor}) {{ nodes {{ __typename }} }} }}");
            assert_eq!(
                app.code(&query).await,
                "invalid_cursor",
                "{maker} → {reader}"
            );
        }
    }
}
