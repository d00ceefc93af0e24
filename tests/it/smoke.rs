//! A purchase goes in over HTTP and comes out over GraphQL.

use serde_json::json;

use crate::support::{Order, TestApp};

#[tokio::test]
async fn a_purchase_is_answered_over_graphql() {
    let app = TestApp::start().await;
    app.accept(&[Order::of("mug").for_amount("29.90").times(2).event()])
        .await;
    let sales = app
        .data(r#"{ sales(range: {from: "2026-03-01T00:00:00Z", to: "2026-03-02T00:00:00Z"}) { totals { revenue orders units buyers } } }"#)
        .await;
    assert_eq!(
        sales["sales"]["totals"],
        json!({"revenue": "29.90", "orders": 1, "units": 2, "buyers": 1})
    );
}
