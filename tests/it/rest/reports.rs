//! `/v1/sales` and `/v1/traffic` say what GraphQL says.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{MARCH, as_rest, fill, get, json_of};
use crate::support::{Order, TestApp};

const NUMBERS: &str = "revenue refunds netRevenue orders units averageOrderValue";
const PROVENANCE: &str = "provenance { watermark source approximate lateEvents excludedBots \
                          quarantined rowsRead errorBound }";

/// The same without the moment at which it was answered.
fn timeless(mut answer: Value) -> Value {
    let provenance = answer["provenance"].as_object_mut().unwrap();
    assert!(provenance.remove("asOf").is_some());
    assert!(provenance.remove("queryMs").is_some());
    answer
}

#[tokio::test]
async fn sales_are_those_of_graphql() {
    let app = TestApp::start().await;
    fill(&app).await;
    for (parameters, arguments, groups, extra) in [
        ("", "", "", ""),
        ("&include=buyers", "", "", "buyers"),
        (
            "&granularity=DAY&timezone=Asia/Kathmandu&groupBy=category,region&include=BUYERS",
            r#", granularity: DAY, timezone: "Asia/Kathmandu", groupBy: [CATEGORY, REGION]"#,
            "category region",
            "buyers",
        ),
        (
            "&granularity=week&groupBy=PRODUCT,channel&includeBots=true&currency=USD",
            r#", granularity: WEEK, groupBy: [CHANNEL, PRODUCT], includeBots: true, currency: "USD""#,
            "channel productId",
            "",
        ),
        (
            "&granularity=QUARTER_HOUR&to=2026-03-03T00:00:00Z&currency=JPY",
            r#", granularity: QUARTER_HOUR, currency: "JPY""#,
            "",
            "",
        ),
    ] {
        let (range, to) = if parameters.contains("&to=") {
            ("from=2026-03-01T00:00:00Z", "2026-03-03T00:00:00Z")
        } else {
            (MARCH, "2026-04-01T00:00:00Z")
        };
        let query = format!(
            r#"{{ sales(range: {{from: "2026-03-01T00:00:00Z", to: "{to}"}} {arguments}) {{
                currency timezone otherCurrencies {PROVENANCE}
                buckets {{ start end {groups} {NUMBERS} {extra} }}
                totals {{ {NUMBERS} {extra} }}
            }} }}"#
        );
        let expected = as_rest(&app.data(&query).await["sales"]);
        let answer = timeless(json_of(&app, &format!("/v1/sales?{range}{parameters}")).await);
        assert!(
            answer["buckets"]
                .as_array()
                .is_some_and(|all| !all.is_empty())
        );
        assert_eq!(answer, expected, "{parameters}");
    }
    let day =
        "from=2026-03-01T00:00:00+01:00&to=2026-03-02T00:00:00%2B01:00&timezone=Europe/Berlin";
    let answer = json_of(&app, &format!("/v1/sales?{day}")).await;
    assert_eq!(answer["buckets"][0]["start"], "2026-03-01T00:00:00+01:00");
}

#[tokio::test]
async fn traffic_is_that_of_graphql() {
    let app = TestApp::start().await;
    fill(&app).await;
    let numbers = "events eventsByType { type events } pageviews";
    for (parameters, arguments, extra) in [
        ("", "", ""),
        (
            "&granularity=day&include=users",
            ", granularity: DAY",
            "users",
        ),
        (
            "&granularity=HOUR&timezone=America/New_York&includeBots=true&include=USERS",
            r#", granularity: HOUR, timezone: "America/New_York", includeBots: true"#,
            "users",
        ),
    ] {
        let query = format!(
            r#"{{ traffic(range: {{from: "2026-03-01T00:00:00Z", to: "2026-04-01T00:00:00Z"}} {arguments}) {{
                timezone {PROVENANCE}
                buckets {{ start end {numbers} {extra} }} totals {{ {numbers} {extra} }}
            }} }}"#
        );
        let expected = as_rest(&app.data(&query).await["traffic"]);
        let answer = timeless(json_of(&app, &format!("/v1/traffic?{MARCH}{parameters}")).await);
        assert_eq!(answer, expected, "{parameters}");
    }
}

#[tokio::test]
async fn who_has_an_answer_already_is_told_so_until_it_changes() {
    let app = TestApp::start().await;
    fill(&app).await;
    for path in [
        format!("/v1/sales?{MARCH}"),
        format!("/v1/traffic?{MARCH}&include=users"),
        "/v1/purchases?limit=3".to_owned(),
        "/v1/users".to_owned(),
    ] {
        let plain = app.request(Method::GET, &path);
        let plain = plain.header("accept-encoding", "identity");
        let answer = plain.send().await.unwrap();
        assert_eq!(answer.headers()["cache-control"], "private, no-cache");
        let tag = answer.headers()["etag"].to_str().unwrap().to_owned();
        // A kept report, too, is the same byte by byte.
        assert!(tag.starts_with('"'), "{path}");
        let again = |known: String| {
            let request = app.request(Method::GET, &path);
            async move {
                let answer = request.header("if-none-match", known).send().await.unwrap();
                assert_eq!(answer.headers()["cache-control"], "private, no-cache");
                assert!(answer.headers().contains_key("etag"));
                (answer.status(), answer.text().await.unwrap().is_empty())
            }
        };
        let same = (StatusCode::NOT_MODIFIED, true);
        for known in [
            tag.clone(),
            "*".to_owned(),
            format!("\"x\", {tag}"),
            format!("W/\"y\",{tag}"),
        ] {
            assert_eq!(again(known.clone()).await, same, "{path} {known}");
        }
        assert_eq!(
            again("\"x\"".to_owned()).await,
            (StatusCode::OK, false),
            "{path}"
        );

        // A sale, the newest purchase, and a user who was not there.
        let more = Order::of("mug").at("2026-03-31T00:00:00Z").by(&path);
        app.accept(&[more.event()]).await;
        assert_eq!(again(tag).await, (StatusCode::OK, false), "{path}");
    }
    // The client asks for gzip by itself: the packed answer is another one.
    let packed = get(&app, "/v1/purchases?limit=50").await;
    assert!(packed.headers()["etag"].to_str().unwrap().starts_with("W/"));
}

#[tokio::test]
async fn a_list_has_the_fields_of_graphql() {
    let app = TestApp::start().await;
    fill(&app).await;
    for (list, id, fields) in [
        (
            "events",
            "eventId",
            "eventId type timestamp receivedAt data sessionId region channel campaign pageUrl userAgent bot userId",
        ),
        (
            "pageviews",
            "pageviewId",
            "pageviewId timestamp pageUrl region eventId userId",
        ),
        (
            "users",
            "userId",
            "userId mergedIds externalId anonymous username email createdAt",
        ),
        (
            "purchases",
            "purchaseId",
            "purchaseId timestamp productId quantity amount currency category region channel orderId eventId userId",
        ),
        (
            "refunds",
            "refundId",
            "refundId timestamp productId quantity amount currency category region channel orderId eventId userId",
        ),
        (
            "products",
            "productId",
            "productId title description category price currency stock leadTimeDays attributes updatedAt",
        ),
    ] {
        let query = format!("{{ {list}(first: 100) {{ nodes {{ {fields} }} }} }}");
        let expected = as_rest(&app.data(&query).await[list]["nodes"]);
        let mut answer = json_of(&app, &format!("/v1/{list}")).await["data"].take();
        for record in answer.as_array_mut().unwrap() {
            assert!(record[id].is_string());
            // GraphQL tells of bots where events are.
            if list != "events" {
                record.as_object_mut().unwrap().remove("bot");
            }
        }
        assert_eq!(answer, expected, "{list}");
    }
    let filtered = json_of(&app, "/v1/events?bot=true&types=click,page_view").await;
    assert_eq!(filtered["data"].as_array().unwrap().len(), 1);
    assert_eq!(filtered["nextCursor"], json!(null));
}

#[tokio::test]
async fn restatements_are_those_of_graphql() {
    let app = TestApp::start().await;
    fill(&app).await;
    let numbers = "{ events orders units revenue refunds netRevenue }";
    for (parameters, arguments) in [
        ("", ""),
        (
            "&granularity=DAY&timezone=Asia/Kathmandu&currency=JPY&includeBots=true",
            r#", granularity: DAY, timezone: "Asia/Kathmandu", currency: "JPY", includeBots: true"#,
        ),
    ] {
        let query = format!(
            r#"{{ restatements(range: {{from: "2026-03-01T00:00:00Z", to: "2026-04-01T00:00:00Z"}} {arguments}) {{
                currency timezone {PROVENANCE}
                buckets {{ start end restatedAt before {numbers} after {numbers} change {numbers} }}
            }} }}"#
        );
        let expected = as_rest(&app.data(&query).await["restatements"]);
        let path = format!("/v1/restatements?{MARCH}{parameters}");
        let answer = timeless(json_of(&app, &path).await);
        assert!(
            answer["buckets"]
                .as_array()
                .is_some_and(|all| !all.is_empty())
        );
        assert_eq!(answer, expected, "{parameters}");
    }
}
