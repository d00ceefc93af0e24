//! Every operation that is public, each with what it is asked: a new one without a case fails.

use std::collections::BTreeSet;
use std::fs::read_to_string;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Subscription, TestApp, answer};

/// The range of all that tests send.
pub(super) const RANGE: &str =
    r#"range: {from: "2026-03-01T00:00:00Z", to: "2026-03-03T00:00:00Z"}"#;
/// The same as `metrics` and top lists take it.
pub(super) const BETWEEN: &str =
    r#"range: {between: {from: "2026-03-01T00:00:00Z", to: "2026-03-03T00:00:00Z"}}"#;
const FROM_TO: &str = "from=2026-03-01T00:00:00Z&to=2026-03-03T00:00:00Z";
const PROVENANCE: &str =
    "provenance { watermark lateEvents excludedBots quarantined rowsRead source }";

/// Ids that somebody else's records have.
#[derive(Clone, Debug)]
pub(super) struct Foreign {
    pub(super) event: String,
    pub(super) purchase: String,
    pub(super) refund: String,
    pub(super) pageview: String,
    pub(super) user: String,
    pub(super) external: String,
    pub(super) product: String,
    pub(super) batch: String,
    pub(super) export: String,
}

/// The queries: the field, and each of several ways to ask it.
#[allow(clippy::too_many_lines, reason = "a list")]
pub(super) fn queries(of: &Foreign) -> Vec<(&'static str, String)> {
    let purchase = "purchaseId productId quantity amount region category userId \
                    event { eventId } user { email } product { title }";
    let list = |field: &str, fields: &str| {
        format!(
            "{{ {field}(first: 50) {{ totalCount pageInfo {{ hasNextPage }} nodes {{ {fields} }} }} }}"
        )
    };
    let metrics = |measures: &str, dimensions: &str| {
        format!(
            "{{ metrics(input: {{measures: [{measures}], dimensions: [{dimensions}], {BETWEEN}, granularity: DAY}}) \
             {{ rowsRead series {{ measure dimensions {{ value }} total buckets {{ value }} }} plan {{ estimatedRows }} {PROVENANCE} }} }}"
        )
    };
    vec![
        (
            "event",
            format!("{{ event(id: \"{}\") {{ eventId type data }} }}", of.event),
        ),
        (
            "user",
            format!(
                "{{ user(id: \"{}\") {{ userId email mergedIds }} }}",
                of.user
            ),
        ),
        (
            "user",
            format!(
                "{{ user(externalId: \"{}\") {{ userId email }} }}",
                of.external
            ),
        ),
        (
            "pageview",
            format!("{{ pageview(id: \"{}\") {{ pageUrl }} }}", of.pageview),
        ),
        (
            "purchase",
            format!("{{ purchase(id: \"{}\") {{ {purchase} }} }}", of.purchase),
        ),
        (
            "refund",
            format!("{{ refund(id: \"{}\") {{ refundId amount }} }}", of.refund),
        ),
        (
            "product",
            format!(
                "{{ product(id: \"{}\") {{ productId title }} }}",
                of.product
            ),
        ),
        (
            "events",
            list(
                "events",
                "eventId type region userAgent data purchases { purchaseId } refunds { refundId } user { email }",
            ),
        ),
        (
            "events",
            list(
                "events",
                "eventId type region userAgent data purchases { purchaseId } refunds { refundId }",
            ),
        ),
        ("users", list("users", "userId externalId email")),
        (
            "pageviews",
            list("pageviews", "pageviewId pageUrl event { data }"),
        ),
        (
            "purchases",
            list(
                "purchases",
                "purchaseId productId quantity amount region category",
            ),
        ),
        ("purchases", list("purchases", purchase)),
        (
            "refunds",
            list("refunds", "refundId productId amount region category"),
        ),
        ("userAgents", list("userAgents", "userAgent bot")),
        ("products", list("products", "productId title")),
        (
            "sales",
            format!(
                "{{ sales({RANGE}, groupBy: [CATEGORY, REGION, PRODUCT]) {{ otherCurrencies totals {{ orders units revenue buyers }} buckets {{ category region productId orders revenue buyers }} {PROVENANCE} }} }}"
            ),
        ),
        (
            "sales",
            format!(
                "{{ sales({RANGE}, granularity: DAY) {{ otherCurrencies totals {{ orders units revenue refunds }} buckets {{ orders revenue }} {PROVENANCE} }} }}"
            ),
        ),
        (
            "restatements",
            format!(
                "{{ restatements({RANGE}) {{ buckets {{ change {{ events }} after {{ events revenue }} }} {PROVENANCE} }} }}"
            ),
        ),
        (
            "traffic",
            format!(
                "{{ traffic({RANGE}, granularity: DAY) {{ totals {{ events users eventsByType {{ type events }} }} buckets {{ events }} {PROVENANCE} }} }}"
            ),
        ),
        (
            "eventSchemas",
            "{ eventSchemas { eventType schema } }".to_owned(),
        ),
        ("quarantine", list("quarantine", "quarantineId payload")),
        ("ingestHealth", "{ ingestHealth { watermark } }".to_owned()),
        (
            "receipt",
            format!("{{ receipt(batchId: \"{}\") {{ accepted }} }}", of.batch),
        ),
        (
            "metrics",
            metrics("REVENUE, ORDERS, UNITS, BUYERS", "REGION"),
        ),
        (
            "metrics",
            metrics("REVENUE, REFUNDS, NET_REVENUE", "CATEGORY, PRODUCT"),
        ),
        ("metrics", metrics("REVENUE, ORDERS", "")),
        (
            "metrics",
            metrics("EVENTS, USERS, PAGEVIEWS, CART_ADDS", ""),
        ),
        ("metrics", metrics("EVENTS", "EVENT_TYPE, REGION")),
        (
            "metrics",
            metrics("SESSIONS, BOUNCE_RATE, SESSION_DURATION", ""),
        ),
        (
            "metrics",
            metrics("CONVERSION_RATE, CART_ABANDONMENT_RATE", "REGION"),
        ),
        ("metrics", metrics("NEW_BUYERS, NEW_USERS", "")),
        ("metrics", metrics("BUYERS", "USER_COHORT")),
        ("metrics", metrics("REVENUE", "CAMPAIGN, DEVICE")),
        (
            "topProducts",
            format!(
                "{{ topProducts({BETWEEN}) {{ rows {{ rank productId revenue orders buyers product {{ title }} }} others {{ revenue }} total {{ revenue }} {PROVENANCE} }} }}"
            ),
        ),
        (
            "topPages",
            format!(
                "{{ topPages({BETWEEN}) {{ rows {{ pageUrl pageviews users sessions }} total {{ pageviews }} {PROVENANCE} }} }}"
            ),
        ),
        (
            "export",
            format!("{{ export(id: \"{}\") {{ id }} }}", of.export),
        ),
        ("exports", "{ exports { id } }".to_owned()),
        ("apiKeys", "{ apiKeys { name apiKeyId } }".to_owned()),
        ("tenants", "{ tenants { name } }".to_owned()),
        ("auditLog", list("auditLog", "action subject details")),
        (
            "node",
            format!(
                "{{ node(id: \"{}\") {{ id }} }}",
                URL_SAFE_NO_PAD.encode(format!("Purchase:{}", of.purchase))
            ),
        ),
        (
            "erasure",
            format!("{{ erasure(id: \"{}\") {{ state }} }}", of.event),
        ),
        ("erasures", "{ erasures { id state } }".to_owned()),
        (
            "privacyPolicy",
            "{ privacyPolicy { ipAddresses keptFrom } }".to_owned(),
        ),
    ]
}

/// The mutations, aimed at what is somebody else's.
pub(super) fn mutations(of: &Foreign) -> Vec<(&'static str, String)> {
    let own = uuid::Uuid::new_v4();
    vec![
        ("ingestEvents", format!("mutation {{ ingestEvents(events: [{{eventId: \"{own}\", type: \"pageview\", anonymousId: \"me\", url: \"/mine\", timestamp: \"2026-03-01T12:00:00Z\"}}]) {{ accepted }} }}")),
        ("putProducts", format!("mutation {{ putProducts(products: [{{productId: \"{}\", title: \"mine\"}}]) {{ stored }} }}", of.product)),
        ("reclassifyUserAgent", "mutation { reclassifyUserAgent(userAgent: \"zebra/1.0\", bot: true) { changed } }".to_owned()),
        ("putEventSchema", "mutation { putEventSchema(eventType: \"zebra_seen\", schema: {}, mode: ENFORCE) { eventSchema { eventType } } }".to_owned()),
        ("deleteEventSchema", "mutation { deleteEventSchema(eventType: \"zebra_seen\") { deleted } }".to_owned()),
        ("replayQuarantined", "mutation { replayQuarantined(filter: {}) { replayed results { status } } }".to_owned()),
        ("discardQuarantined", "mutation { discardQuarantined(filter: {}) { discarded } }".to_owned()),
        ("createExport", "mutation { createExport(input: {what: PURCHASES}) { state } }".to_owned()),
        ("deleteExport", format!("mutation {{ deleteExport(id: \"{}\") }}", of.export)),
        ("exportUserData", format!("mutation {{ exportUserData(id: \"{}\") {{ state }} }}", of.user)),
        ("eraseUser", format!("mutation {{ eraseUser(id: \"{}\", mode: DELETE) {{ state counts {{ kind before }} }} }}", of.user)),
        ("putPrivacyPolicy", "mutation { putPrivacyPolicy(policy: {}) { eventsDays } }".to_owned()),
        ("createTenant", "mutation { createTenant(input: {name: \"mine\"}) { secret } }".to_owned()),
        ("createApiKey", "mutation { createApiKey(input: {name: \"mine\", scopes: [READ], tenant: \"default\"}) { secret } }".to_owned()),
        ("rotateApiKey", format!("mutation {{ rotateApiKey(id: \"{}\") {{ secret }} }}", of.event)),
        ("revokeApiKey", format!("mutation {{ revokeApiKey(id: \"{}\") {{ apiKey {{ name }} }} }}", of.event)),
    ]
}

/// The subscriptions.
pub(super) fn subscriptions(of: &Foreign) -> Vec<(&'static str, String)> {
    vec![
        ("exportProgress", format!("subscription {{ exportProgress(id: \"{}\") {{ state }} }}", of.export)),
        ("liveSales", "subscription { liveSales(window: ONE_HOUR) { orders revenue topProducts { productId } } }".to_owned()),
    ]
}

/// The addresses that are asked: the path as it is described, and each of several ways to ask it.
pub(super) fn addresses(of: &Foreign) -> Vec<(&'static str, String)> {
    let mut all = vec![
        (
            "/v1/metrics",
            format!("/v1/metrics?measures=REVENUE,ORDERS&dimensions=REGION&{FROM_TO}"),
        ),
        (
            "/v1/metrics",
            format!("/v1/metrics?measures=EVENTS,USERS&{FROM_TO}"),
        ),
        ("/v1/top/products", format!("/v1/top/products?{FROM_TO}")),
        ("/v1/top/pages", format!("/v1/top/pages?{FROM_TO}")),
        (
            "/v1/sales",
            format!("/v1/sales?groupBy=REGION,PRODUCT&{FROM_TO}"),
        ),
        ("/v1/traffic", format!("/v1/traffic?{FROM_TO}")),
        ("/v1/restatements", format!("/v1/restatements?{FROM_TO}")),
        ("/v1/exports/{token}", format!("/v1/exports/{}", of.export)),
        (
            "/v1/receipts/{batchId}",
            format!("/v1/receipts/{}", of.batch),
        ),
    ];
    for (path, list) in [
        ("/v1/events", "/v1/events"),
        ("/v1/pageviews", "/v1/pageviews"),
        ("/v1/users", "/v1/users"),
        ("/v1/purchases", "/v1/purchases"),
        ("/v1/refunds", "/v1/refunds"),
        ("/v1/products", "/v1/products"),
    ] {
        for format in ["json", "ndjson", "csv"] {
            all.push((path, format!("{list}?format={format}")));
        }
    }
    all
}

/// Where events are sent to, which answer for what was sent alone.
const SENDERS: [&str; 8] = [
    "/v1/events",
    "/v1/batch",
    "/v1/track",
    "/v1/identify",
    "/v1/page",
    "/v1/screen",
    "/v1/group",
    "/v1/alias",
];

/// All that can be read, as one answers it who holds this key.
pub(super) async fn read_all(app: &TestApp, key: &str, of: &Foreign) -> Vec<(String, Value)> {
    let mut answers = Vec::new();
    for (_, query) in queries(of) {
        let answer = app.ask_as(key, &query).await;
        // A case that does not fit the schema would be refused whatever it finds.
        let code = &answer["errors"][0]["extensions"]["code"];
        assert!(
            code != "invalid_query" && code != "malformed_request",
            "{query}: {answer}"
        );
        answers.push((query, answer));
    }
    for (_, path) in addresses(of) {
        let request = app.anonymous(Method::GET, &path).bearer_auth(key);
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        assert!(body["code"] != "invalid_parameter", "{path}: {body}");
        answers.push((path, json!({"status": status, "body": body})));
    }
    for (_, query) in subscriptions(of) {
        let mut socket = Subscription::begin(&app.url, key, &query).await;
        answers.push((query, socket.hear().await.unwrap()));
    }
    for (_, answer) in &mut answers {
        scrub(answer);
    }
    answers
}

/// Takes out what tells only when the answer was made.
fn scrub(value: &mut Value) {
    match value {
        Value::Array(all) => all.iter_mut().for_each(scrub),
        Value::Object(fields) => {
            for volatile in [
                "asOf",
                "queryMs",
                "cache",
                "reset_at",
                "resetAt",
                "lastUsedAt",
            ] {
                fields.remove(volatile);
            }
            fields.values_mut().for_each(scrub);
        }
        _ => {}
    }
}

/// Changes all that can be changed, as one who holds this key; what is answered.
pub(super) async fn change_all(app: &TestApp, key: &str, of: &Foreign) -> Vec<(String, Value)> {
    let mut answers = Vec::new();
    for (_, query) in mutations(of) {
        let answer = app.ask_as(key, &query).await;
        let code = &answer["errors"][0]["extensions"]["code"];
        assert!(code != "invalid_query", "{query}: {answer}");
        answers.push((query, answer));
    }
    for path in SENDERS {
        let request = app.anonymous(Method::POST, path).bearer_auth(key);
        answers.push((path.to_owned(), answer(request.json(&json!([]))).await.1));
    }
    answers
}

#[test]
fn every_public_operation_has_a_case() {
    let nobody = Foreign {
        event: String::new(),
        purchase: String::new(),
        refund: String::new(),
        pageview: String::new(),
        user: String::new(),
        external: String::new(),
        product: String::new(),
        batch: String::new(),
        export: String::new(),
    };
    let root = env!("CARGO_MANIFEST_DIR");
    let schema = read_to_string(format!("{root}/schema.graphql")).unwrap();
    for (name, cases) in [
        ("Query", queries(&nobody)),
        ("Mutation", mutations(&nobody)),
        ("Subscription", subscriptions(&nobody)),
    ] {
        let (_, fields) = schema.split_once(&format!("\ntype {name} {{")).unwrap();
        let (fields, _) = fields.split_once("\n}").unwrap();
        // Descriptions are between quotes; what is further in is an argument.
        let fields = fields.split("\"\"\"").step_by(2);
        let lines = fields.flat_map(str::lines);
        let lines = lines.filter(|line| line.starts_with('\t') && !line.starts_with("\t\t"));
        let name = |line: &str| {
            let end = line.find(|letter: char| !letter.is_alphanumeric());
            line[..end.unwrap_or(line.len())].to_owned()
        };
        let known: BTreeSet<String> = lines
            .map(|line| name(line.trim_start_matches('\t')))
            .filter(|name| !name.is_empty())
            .collect();
        let cased: BTreeSet<String> = cases.iter().map(|(field, _)| (*field).to_owned()).collect();
        assert_eq!(known, cased);
    }
    let document = read_to_string(format!("{root}/openapi.json")).unwrap();
    let document: Value = serde_json::from_str(&document).unwrap();
    let mut known = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        known.extend(
            methods
                .as_object()
                .unwrap()
                .keys()
                .map(|method| (method.clone(), path.clone())),
        );
    }
    let asked = addresses(&nobody);
    let asked = asked
        .iter()
        .map(|(path, _)| ("get".to_owned(), (*path).to_owned()));
    let sent = SENDERS.map(|path| ("post".to_owned(), path.to_owned()));
    assert_eq!(known, asked.chain(sent).collect());
}
