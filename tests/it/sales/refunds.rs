//! What was paid back, and what that leaves.

use serde_json::{Value, json};

use super::{later, put};
use crate::support::{Order, assert_consistent};

fn refund(order: Order) -> Order {
    order.with("type", "refund").with("orderId", "o-1")
}

#[tokio::test]
async fn a_refund_is_taken_off_when_it_is_paid_back_whatever_was_bought_then() {
    let app = later().await;
    put(&app, &[("mug", &["Kitchen"]), ("spade", &["Garden"])]).await;
    let bought = Order::of("mug")
        .with("orderId", "o-1")
        .for_amount("30.00")
        .and("spade", 1, "20.00")
        .at("2026-03-01T12:00:00Z");
    let of_mug = refund(Order::of("mug"))
        .for_amount("30.00")
        .at("2026-03-03T12:00:00Z");
    // For the delay: of no product in particular.
    let of_none = refund(Order::of("mug"))
        .with("lines", json!([{"amount": "2.50"}]))
        .at("2026-03-03T18:00:00Z");
    app.accept(&[bought.event(), of_mug.event(), of_none.event()])
        .await;

    let measures = "revenue refunds netRevenue orders units averageOrderValue buyers";
    let range = r#"range: {from: "2026-03-01T00:00:00Z", to: "2026-03-04T00:00:00Z"}"#;
    let data = app
        .data(&format!(
            "{{
                days: sales({range}, granularity: DAY) {{ buckets {{ {measures} }} totals {{ {measures} }} }}
                products: sales({range}, groupBy: [PRODUCT]) {{ buckets {{ productId revenue refunds netRevenue orders }} totals {{ netRevenue }} }}
                categories: sales({range}, groupBy: [CATEGORY]) {{ buckets {{ category netRevenue }} }}
            }}"
        ))
        .await;
    let nothing = json!({
        "revenue": "0.00", "refunds": "0.00", "netRevenue": "0.00", "orders": 0, "units": 0,
        "averageOrderValue": null, "buyers": 0,
    });
    let mut paid_back = nothing.clone();
    paid_back["refunds"] = "32.50".into();
    paid_back["netRevenue"] = "-32.50".into();
    let sold = |refunds: &str, net: &str| {
        json!({
            "revenue": "50.00", "refunds": refunds, "netRevenue": net, "orders": 1, "units": 2,
            "averageOrderValue": "50.00", "buyers": 1,
        })
    };
    let product = |id: &str, revenue: &str, refunds: &str, net: &str, orders: u32| json!({"productId": id, "revenue": revenue, "refunds": refunds, "netRevenue": net, "orders": orders});
    assert_eq!(
        data,
        json!({
            "days": {
                "buckets": [sold("0.00", "50.00"), nothing, paid_back],
                "totals": sold("32.50", "17.50"),
            },
            "products": {
                "buckets": [
                    product("", "0.00", "2.50", "-2.50", 0),
                    product("mug", "30.00", "30.00", "0.00", 1),
                    product("spade", "20.00", "0.00", "20.00", 1),
                ],
                "totals": {"netRevenue": "17.50"},
            },
            "categories": {"buckets": [
                {"category": "", "netRevenue": "-2.50"},
                {"category": "Garden", "netRevenue": "20.00"},
                {"category": "Kitchen", "netRevenue": "0.00"},
            ]},
        })
    );
    assert_consistent(&app.db).await;
}

#[tokio::test]
async fn a_refund_is_a_record_with_all_that_belongs_to_it() {
    let app = later().await;
    put(&app, &[("mug", &["Kitchen"])]).await;
    let order = Order::of("mug").with("orderId", "o-1").event();
    let paid_back = refund(Order::of("mug"))
        .with("region", "DE")
        .with(
            "lines",
            json!([{"productId": "mug", "quantity": 1, "amount": "9.00"}, {"amount": "0.50"}]),
        )
        .at("2026-03-02T12:00:00Z")
        .event();
    app.accept(&[order, paid_back.clone()]).await;
    let id = paid_back["eventId"].as_str().unwrap();

    let fields = "refundId timestamp orderId productId quantity amount currency category region product { title } event { type } user { externalId }";
    let data = app
        .data(&format!(
            r#"{{
                refunds {{ totalCount nodes {{ {fields} }} }}
                ofMug: refunds(filter: {{productId: "mug"}}) {{ nodes {{ amount }} }}
                event(id: "{id}") {{ refunds {{ amount }} purchases {{ amount }} }}
                purchases {{ nodes {{ orderId event {{ refunds {{ amount }} }} }} }}
                user(externalId: "u1") {{ refunds {{ totalCount nodes {{ orderId }} }} }}
            }}"#
        ))
        .await;
    let amounts = |of: &Value| {
        let mut amounts: Vec<String> = of
            .as_array()
            .unwrap()
            .iter()
            .map(|line| line["amount"].as_str().unwrap().to_owned())
            .collect();
        amounts.sort();
        amounts
    };
    assert_eq!(amounts(&data["event"]["refunds"]), ["0.50", "9.00"]);
    assert_eq!(data["event"]["purchases"], json!([]));
    assert_eq!(data["ofMug"], json!({"nodes": [{"amount": "9.00"}]}));
    assert_eq!(
        data["purchases"],
        json!({"nodes": [{"orderId": "o-1", "event": {"refunds": []}}]})
    );
    assert_eq!(
        data["user"]["refunds"],
        json!({"totalCount": 2, "nodes": [{"orderId": "o-1"}, {"orderId": "o-1"}]})
    );
    assert_eq!(data["refunds"]["totalCount"], 2);
    for listed in data["refunds"]["nodes"].as_array().unwrap() {
        let of_mug = listed["amount"] == "9.00";
        let mut expected = json!({
            "refundId": listed["refundId"], "timestamp": "2026-03-02T12:00:00+00:00",
            "orderId": "o-1", "productId": "mug", "quantity": 1, "amount": "9.00",
            "currency": "USD", "category": "Kitchen", "region": "DE", "product": {"title": "mug"},
            "event": {"type": "refund"}, "user": {"externalId": "u1"},
        });
        if !of_mug {
            expected["productId"] = Value::Null;
            expected["product"] = Value::Null;
            expected["category"] = Value::Null;
            expected["quantity"] = 0.into();
            expected["amount"] = "0.50".into();
        }
        assert_eq!(*listed, expected);
        let alone = app
            .data(&format!(
                "{{ refund(id: {}) {{ {fields} }} }}",
                listed["refundId"]
            ))
            .await;
        assert_eq!(alone["refund"], *listed);
    }
}
