//! How much a question may ask for, and what it costs.

#![allow(clippy::float_cmp, reason = "the metrics are whole numbers")]

use serde_json::json;
use uuid::Uuid;

use super::put_catalogue;
use crate::support::{Order, TestApp, pageview};

/// All of them.
const LISTS: [&str; 6] = [
    "events",
    "users",
    "pageviews",
    "purchases",
    "refunds",
    "products",
];

/// How many statements a query takes, once the key is known.
async fn statements(app: &TestApp, query: &str) -> f64 {
    const COUNT: &str = "tidewater_read_statement_seconds_count";
    app.data("{ __typename }").await;
    let before = app.metric(COUNT).await;
    app.data(query).await;
    app.metric(COUNT).await - before
}

/// 60 orders of two lines each, and 60 pageviews, by 30 users, 10 of whom were visitors before.
async fn fill(app: &TestApp) {
    put_catalogue(app).await;
    let orders = (0..60).map(|n| {
        let product = ["mug", "spade"][n % 2];
        let user = format!("u{}", n % 30);
        Order::of(product).by(&user).and("pot", 1, "3.00").event()
    });
    let visits = (0..60).map(|n| pageview(&format!("u{}", n % 30), "/", "2026-03-01T12:00:00Z"));
    let merges = (0..10).map(|n| {
        json!({
            "eventId": Uuid::new_v4(), "type": "identify", "timestamp": "2026-03-01T12:00:00Z",
            "userId": format!("u{n}"), "anonymousId": format!("v{n}"),
        })
    });
    let events = orders.chain(visits).chain(merges);
    app.accept(&events.collect::<Vec<_>>()).await;
}

#[tokio::test]
async fn a_page_costs_the_same_few_statements_however_many_records_it_has() {
    let app = TestApp::start().await;
    fill(&app).await;
    let purchases = "nodes { user { externalId } event { type } product { title } }";
    let events = "nodes { user { externalId } pageviews { pageUrl } purchases { amount } }";
    let deep = "nodes { event { user { username } pageviews { pageUrl } purchases { product { title } } } }";
    for (list, fields, expected) in [
        ("purchases", "nodes { productId }", 1.0),
        ("purchases", "totalCount", 2.0),
        // The page, its users, its events, its products.
        ("purchases", purchases, 4.0),
        // The page, its users, its purchases; an event has its page in it.
        ("events", events, 3.0),
        // The page, its events; their users and purchases; and those' products.
        ("purchases", deep, 5.0),
        // The page, and all its users' other ids.
        ("users", "nodes { externalId mergedIds }", 2.0),
        (
            "pageviews",
            "nodes { user { externalId } event { type } }",
            3.0,
        ),
    ] {
        for size in [1, 10, 100] {
            let query = format!("{{ {list}(first: {size}) {{ {fields} }} }}");
            assert_eq!(statements(&app, &query).await, expected, "{query}");
        }
    }
}

#[tokio::test]
async fn a_total_is_counted_only_when_it_is_asked_for() {
    let app = TestApp::start().await;
    fill(&app).await;
    let edges = "edges { cursor node { eventId } } pageInfo { hasNextPage }";
    let without = statements(&app, &format!("{{ events {{ {edges} }} }}")).await;
    let with = statements(&app, &format!("{{ events {{ totalCount {edges} }} }}")).await;
    assert_eq!((without, with), (1.0, 2.0));
}

#[tokio::test]
async fn a_page_is_of_1_to_100_records_from_one_end() {
    let app = TestApp::start().await;
    for arguments in [
        "first: 0",
        "first: 101",
        "first: -1",
        "last: 0",
        "last: 101",
        "first: 1, last: 1",
    ] {
        for list in LISTS {
            let query = format!("{{ {list}({arguments}) {{ nodes {{ __typename }} }} }}");
            assert_eq!(app.code(&query).await, "invalid_page", "{query}");
        }
    }
    app.data("{ events(first: 100) { totalCount } users(last: 100) { totalCount } }")
        .await;
}

#[tokio::test]
async fn a_cursor_that_no_list_made_is_refused() {
    use base64::Engine as _;
    let app = TestApp::start().await;
    let mut made_up = ["", "[]", "{}", "null"].map(str::to_owned).to_vec();
    for list in ["event", "pageview", "purchase", "refund", "user", "product"] {
        for place in [
            "[]",
            r#"["x"]"#,
            r#"[{"text":"a\u0000"}]"#,
            r#"[{"time":9223372036854775807},{"id":"67e55044-10b1-426f-9247-bb680e5fe0c8"}]"#,
            r#"[{"time":-200000000000000000},{"id":"67e55044-10b1-426f-9247-bb680e5fe0c8"}]"#,
        ] {
            made_up.push(format!(r#"["{list}",{place}]"#));
        }
    }
    let encode = |text: &String| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    for cursor in ["?".to_owned(), "aGVsbG8".to_owned()]
        .into_iter()
        .chain(made_up.iter().map(encode))
    {
        for list in LISTS {
            for side in ["after", "before"] {
                let query = format!(
                    "{{ {list}({side}: {}) {{ nodes {{ __typename }} }} }}",
                    json!(cursor)
                );
                assert_eq!(app.code(&query).await, "invalid_cursor", "{query}");
            }
        }
    }
}

#[tokio::test]
async fn a_query_that_asks_for_too_much_is_refused_before_it_is_run() {
    let app = TestApp::start().await;
    let nested = |depth: usize| {
        let (open, close) = ("purchases { event { ".repeat(depth), "} } ".repeat(depth));
        format!("{{ events(first: 1) {{ nodes {{ {open} eventId {close} }} }} }}")
    };
    app.data(&nested(3)).await;
    assert_eq!(app.code(&nested(8)).await, "query_too_deep");
    assert_eq!(
        app.code(&nested(1_000)).await,
        "query_too_deep",
        "{}",
        app.ask(&nested(1_000)).await
    );
    let huge = "{ users(first: 100) { nodes { events(first: 100) { nodes { eventId } } } } }";
    assert_eq!(app.code(huge).await, "query_too_complex");
    let wide = |lists: usize| {
        let list = |n| format!("a{n}: events(first: 100) {{ nodes {{ eventId data timestamp }} }}");
        let lists: Vec<String> = (0..lists).map(list).collect();
        format!("{{ {} }}", lists.join(" "))
    };
    assert_eq!(app.code(&wide(50)).await, "query_too_complex");
    assert_eq!(app.code(&wide(51)).await, "too_many_aliases");

    let before = app.metric("tidewater_read_statement_seconds_count").await;
    app.code(huge).await;
    assert_eq!(
        app.metric("tidewater_read_statement_seconds_count").await,
        before
    );
}

#[tokio::test]
async fn a_query_that_does_not_fit_the_schema_is_refused() {
    let app = TestApp::start().await;
    for query in [
        "",
        "{",
        "{ nothing }",
        "{ event { eventId } }",
        r#"{ event(id: "no uuid") { eventId } }"#,
        r#"{ events(filter: {range: {from: "yesterday", to: "today"}}) { totalCount } }"#,
        "{ events }",
    ] {
        assert_eq!(app.code(query).await, "invalid_query", "{query}");
    }
    let without = "query($n: Int!) { events(first: $n) { totalCount } }";
    assert_eq!(app.code(without).await, "invalid_variables");
    let which = "query A { __typename } query B { __typename }";
    assert_eq!(app.code(which).await, "unknown_operation");
}
