//! Exports: lists and numbers written to files behind the requests.

use std::io::Read as _;
use std::time::Duration;

use chrono::TimeDelta;
use flate2::read::MultiGzDecoder;
use reqwest::{Method, Response, StatusCode};
use sea_orm::sqlx;
use serde_json::{Value, json};
use tidewater::access::Scope;
use tidewater::app::Role;
use tidewater::clock::Clock;
use tidewater::reports::exports::sweep;
use tidewater::storage::Db;
use uuid::Uuid;

use crate::records::tenants::{key, reader};
use crate::rest::exports::{fill_events, lines, table};
use crate::rest::{LISTS, MARCH, fill};
use crate::support::{Order, TestApp, TestDb, answer};

const CREATE: &str = "mutation($input: ExportInput!) { createExport(input: $input) {
    id state rows bytes progress error what format downloadUrl createdAt expiresAt } }";

/// Asks for an export.
async fn create(app: &TestApp, input: Value) -> Value {
    let mut answer = app.ask_with(CREATE, json!({"input": input})).await;
    assert!(answer.get("errors").is_none(), "{answer}");
    answer["data"]["createExport"].take()
}

/// The code that asking for an export is refused with.
async fn refused(app: &TestApp, input: Value) -> String {
    let answer = app.ask_with(CREATE, json!({"input": input})).await;
    let code = answer["errors"][0]["extensions"]["code"].as_str();
    code.unwrap_or_else(|| panic!("{answer}")).to_owned()
}

/// An export as it is now.
async fn now(app: &TestApp, id: &Value) -> Value {
    let query = format!("{{ export(id: {id}) {{ state rows bytes progress error downloadUrl }} }}");
    app.data(&query).await["export"].take()
}

/// An export when it is over.
async fn over(app: &TestApp, id: &Value) -> Value {
    for _ in 0..600 {
        let export = now(app, id).await;
        if export["state"] != "QUEUED" && export["state"] != "RUNNING" {
            return export;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{:?} goes on", now(app, id).await);
}

/// What a link leads to, for one without a key.
async fn download(app: &TestApp, export: &Value) -> Response {
    let url = export["downloadUrl"].as_str().unwrap();
    app.anonymous(Method::GET, url).send().await.unwrap()
}

fn unpacked(bytes: &[u8]) -> String {
    let mut text = String::new();
    MultiGzDecoder::new(bytes)
        .read_to_string(&mut text)
        .unwrap();
    text
}

/// The text of an export, once it is done.
async fn text(app: &TestApp, input: Value) -> String {
    let export = create(app, input).await;
    assert_eq!(over(app, &export["id"]).await["state"], "DONE");
    let answer = download(app, &export).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["content-type"], "application/gzip");
    unpacked(&answer.bytes().await.unwrap())
}

#[tokio::test]
async fn every_list_is_written_whole_in_both_formats() {
    let app = TestApp::start().await;
    fill(&app).await;
    for list in LISTS {
        let what = list.to_uppercase();
        let mut rows = lines(&app, &format!("/v1/{list}?format=ndjson")).await;
        rows.pop();
        for row in &mut rows {
            row.as_object_mut().unwrap().remove("cursor");
        }
        let written = text(&app, json!({"what": what, "format": "NDJSON"})).await;
        let written: Vec<Value> = written
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert!(!rows.is_empty());
        assert_eq!(written, rows, "{list}");

        let (mut header, mut cells) = table(&app, &format!("/v1/{list}?format=csv")).await;
        let last = header.len() - 1;
        assert_eq!(header.remove(last), "cursor");
        for row in &mut cells {
            row.remove(last);
        }
        let written = text(&app, json!({"what": what})).await;
        let mut reader = csv::Reader::from_reader(written.as_bytes());
        assert_eq!(
            reader.headers().unwrap().iter().collect::<Vec<_>>(),
            header,
            "{list}"
        );
        let records = reader
            .records()
            .map(|record| record.unwrap().iter().map(str::to_owned).collect());
        assert_eq!(records.collect::<Vec<Vec<String>>>(), cells, "{list}");
        for export in app.data("{ exports { id } }").await["exports"]
            .as_array()
            .unwrap()
        {
            let query = format!("mutation {{ deleteExport(id: {}) }}", export["id"]);
            assert_eq!(app.data(&query).await, json!({"deleteExport": true}));
        }
    }
    let filter = json!({"range": {"from": "2026-03-02T00:00:00Z", "to": "2026-03-04T00:00:00Z"},
                        "productId": "mug", "region": "FR"});
    let narrowed = text(
        &app,
        json!({"what": "PURCHASES", "format": "NDJSON", "filter": filter}),
    )
    .await;
    let path =
        "/v1/purchases?from=2026-03-02T00:00:00Z&to=2026-03-04T00:00:00Z&productId=mug&region=FR";
    let (_, page) = app.get(path).await;
    let rows: Vec<Value> = narrowed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(!rows.is_empty());
    assert_eq!(json!(rows), page["data"]);
    let nothing = json!({"what": "EVENTS", "filter": {"region": "nowhere"}});
    assert_eq!(text(&app, nothing).await.lines().count(), 1, "the header");
}

#[tokio::test]
async fn numbers_are_written_as_rest_tells_them() {
    let app = TestApp::start().await;
    fill(&app).await;
    let metrics = json!({
        "measures": ["REVENUE", "BUYERS"], "dimensions": ["PRODUCT"], "granularity": "DAY", "limit": 2,
        "range": {"between": {"from": "2026-03-01T00:00:00Z", "to": "2026-04-01T00:00:00Z"}},
    });
    let path = format!(
        "/v1/metrics?{MARCH}&measures=REVENUE,BUYERS&dimensions=PRODUCT&granularity=DAY&limit=2"
    );
    let export = create(&app, json!({"what": "METRICS", "metrics": metrics})).await;
    let done = over(&app, &export["id"]).await;
    assert_eq!(
        (&done["state"], &done["rows"]),
        (&json!("DONE"), &json!(2 * 3 * 31))
    );
    let written = unpacked(&download(&app, &export).await.bytes().await.unwrap());
    let told = app
        .request(Method::GET, &format!("{path}&format=csv"))
        .send()
        .await
        .unwrap();
    assert_eq!(written, told.text().await.unwrap());

    let written = text(
        &app,
        json!({"what": "METRICS", "format": "NDJSON", "metrics": metrics}),
    )
    .await;
    let told = lines(
        &app,
        &path.replace("/v1/metrics?", "/v1/metrics?format=ndjson&"),
    )
    .await;
    let written: Vec<Value> = written
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(written[..written.len() - 1], told[..told.len() - 1]);
    assert_eq!(written.last().unwrap()["done"], true);
}

#[tokio::test]
async fn a_file_is_of_one_moment() {
    let app = TestApp::start().await;
    fill_events(&app, 4_000, 100).await;
    // Each batch has an event at either end of the list: whoever reads page by page, each as of its
    // own moment, would find the later of some batches without the earlier, or the other way round.
    let pair = |n: u32| {
        let event = |at: &str| json!({"type": "pair", "userId": "u", "timestamp": at, "properties": {"n": n}});
        [event("2026-02-01T00:00:00Z"), event("2026-04-01T00:00:00Z")]
    };
    let writing = async {
        for n in 0..150 {
            app.accept(&pair(n)).await;
        }
    };
    let exporting = async {
        let mut files = Vec::new();
        for _ in 0..3 {
            files.push(text(&app, json!({"what": "EVENTS", "format": "NDJSON"})).await);
        }
        files
    };
    let ((), files) = tokio::join!(writing, exporting);
    for file in files {
        let events = file
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let pairs = events
            .filter(|event| event["type"] == "pair")
            .map(|event| event["data"]["n"].as_u64().unwrap());
        let mut pairs: Vec<u64> = pairs.collect();
        pairs.sort_unstable();
        assert!(
            pairs
                .chunks(2)
                .all(|pair| pair.len() == 2 && pair[0] == pair[1]),
            "{pairs:?}"
        );
    }
}

#[tokio::test]
async fn a_download_goes_on_where_it_was_cut_off() {
    let app = TestApp::start().await;
    fill_events(&app, 3_000, 1_200).await;
    let export = create(&app, json!({"what": "EVENTS", "format": "NDJSON"})).await;
    let done = over(&app, &export["id"]).await;
    assert_eq!(
        (&done["rows"], &done["progress"]),
        (&json!(3_000), &json!(1.0))
    );
    let pieces = app.db.number("SELECT count(*) FROM export_chunk").await;
    assert!(pieces > 3, "{pieces}");
    let large = "SELECT count(*) FROM export_chunk WHERE length(content) > 1048576";
    assert_eq!(app.db.number(large).await, 0);

    let answer = download(&app, &export).await;
    let tag = answer.headers()["etag"].clone();
    assert_eq!(answer.headers()["accept-ranges"], "bytes");
    let name = answer.headers()["content-disposition"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(
        name.starts_with("attachment; filename=\"events-") && name.ends_with(".ndjson.gz\""),
        "{name}"
    );
    let whole = answer.bytes().await.unwrap();
    assert_eq!(json!(whole.len()), done["bytes"]);
    assert_eq!(unpacked(&whole).lines().count(), 3_000);

    let url = export["downloadUrl"].as_str().unwrap();
    let part = async |range: String, known: &str| {
        let request = app.anonymous(Method::GET, url).header("range", range);
        request.header("if-range", known).send().await.unwrap()
    };
    let tag = tag.to_str().unwrap();
    let (mut joined, mut at) = (Vec::new(), 0);
    while at < whole.len() {
        let answer = part(format!("bytes={at}-{}", at + 6_999), tag).await;
        assert_eq!(answer.status(), StatusCode::PARTIAL_CONTENT);
        let end = whole.len().min(at + 7_000);
        let told = format!("bytes {at}-{}/{}", end - 1, whole.len());
        assert_eq!(answer.headers()["content-range"], told.as_str());
        joined.extend_from_slice(&answer.bytes().await.unwrap());
        at = end;
    }
    assert!(joined == whole);
    let rest = part("bytes=-5".to_owned(), tag)
        .await
        .bytes()
        .await
        .unwrap();
    assert_eq!(rest, whole[whole.len() - 5..]);
    // Another file than the one that was begun: from the beginning.
    let other = part("bytes=5-".to_owned(), "\"another\"").await;
    assert_eq!(other.status(), StatusCode::OK);
    let beyond = part(format!("bytes={}-", whole.len()), tag).await;
    assert_eq!(beyond.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(
        beyond.headers()["content-range"],
        format!("bytes */{}", whole.len()).as_str()
    );
}

#[tokio::test]
async fn what_a_process_left_is_taken_up_by_another_and_given_by_all() {
    // A server that takes requests, and none that does the work.
    let api = TestApp::with_role(TestDb::migrated().await, Role::Api).await;
    fill(&api).await;
    let export = create(&api, json!({"what": "PURCHASES", "format": "NDJSON"})).await;
    assert_eq!(
        (&export["state"], &export["progress"]),
        (&json!("QUEUED"), &json!(0.0))
    );
    assert_eq!(download(&api, &export).await.status(), StatusCode::CONFLICT);
    let unreadable = create(&api, json!({"what": "EVENTS"})).await;

    // One has begun, and died.
    let mut connection = api.db.connect().await;
    let id: Uuid = export["id"].as_str().unwrap().parse().unwrap();
    for statement in [
        "UPDATE export SET state = 1, attempt = 1, rows = 7, leased_until = now() - interval '1 second'
         WHERE export_id = $1",
        "INSERT INTO export_chunk VALUES ($1, 1, 0, 'what was written')",
        "UPDATE export SET question = '{}' WHERE export_id <> $1",
    ] {
        sqlx::query(statement).bind(id).execute(&mut connection).await.unwrap();
    }
    let worker = TestApp::with_role(api.db.clone(), Role::Worker).await;
    let done = over(&api, &export["id"]).await;
    assert_eq!(done["state"], "DONE");
    let text = unpacked(&download(&api, &export).await.bytes().await.unwrap());
    let mut rows = lines(&api, "/v1/purchases?format=ndjson").await;
    rows.pop();
    assert_eq!(text.lines().count(), rows.len());
    assert_eq!(done["rows"], rows.len());
    let attempts = api
        .db
        .number("SELECT count(*) FROM export_chunk WHERE attempt <> 2")
        .await;
    assert_eq!(attempts, 0);
    let failed = over(&api, &unreadable["id"]).await;
    assert_eq!(
        (&failed["state"], &failed["error"]),
        (&json!("FAILED"), &json!("internal"))
    );
    assert!(worker.metric("tidewater_exports_total").await >= 2.0);
}

#[tokio::test]
async fn a_tenant_has_so_many_exports_and_sees_its_own() {
    let api = TestApp::with_role(TestDb::migrated().await, Role::Api).await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(create(&api, json!({"what": "USERS"})).await["id"].clone());
    }
    assert_eq!(
        refused(&api, json!({"what": "USERS"})).await,
        "too_many_exports"
    );
    let other = reader(&api, "another shop").await;
    let ask = format!("{{ exports {{ id }} export(id: {}) {{ state }} }}", ids[0]);
    let nothing = json!({"exports": [], "export": null});
    assert_eq!(api.ask_as(&other, &ask).await["data"], nothing);
    let delete = format!("mutation {{ deleteExport(id: {}) }}", ids[0]);
    assert_eq!(
        api.ask_as(&other, &delete).await["data"]["deleteExport"],
        false
    );
    let path = format!("/v1/exports/{}", ids[0].as_str().unwrap());
    let foreign = api.anonymous(Method::GET, &path).bearer_auth(&other);
    assert_eq!(answer(foreign).await.1["code"], "unknown_export");
    assert_eq!(
        answer(api.anonymous(Method::GET, &path)).await.1["code"],
        "missing_key"
    );
    assert_eq!(api.get(&path).await.1["code"], "export_not_ready");
    assert_eq!(
        api.get("/v1/exports/guess").await.1["code"],
        "unknown_export"
    );

    assert_eq!(api.data(&delete).await["deleteExport"], true);
    assert_eq!(api.data(&ask).await["export"], Value::Null);
    create(&api, json!({"what": "USERS"})).await;
    let ingest = key(&api, "default", Scope::Ingest).await;
    let answer = api
        .ask_as(
            &ingest,
            "mutation { createExport(input: {what: USERS}) { id } }",
        )
        .await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "forbidden");
    let stored = "SELECT count(*) FROM export WHERE length(token_hash) = 32";
    assert_eq!(api.db.number(stored).await, 5);
}

#[tokio::test]
async fn a_file_goes_when_its_time_is_over() {
    let clock = Clock::manual("2026-06-01T12:00:00Z".parse().unwrap());
    let app = TestApp::with_clock(clock.clone()).await;
    app.accept(&[Order::of("mug").event()]).await;
    let export = create(&app, json!({"what": "PURCHASES"})).await;
    assert_eq!(export["expiresAt"], "2026-06-02T12:00:00+00:00");
    assert_eq!(over(&app, &export["id"]).await["state"], "DONE");
    assert_eq!(download(&app, &export).await.status(), StatusCode::OK);
    clock.advance(TimeDelta::hours(24));
    assert_eq!(now(&app, &export["id"]).await["state"], "EXPIRED");
    assert_eq!(
        download(&app, &export).await.status(),
        StatusCode::NOT_FOUND
    );
    let db = Db::open(&app.db.url(), |_| ()).await.unwrap();
    assert_eq!(sweep(&db, clock.now()).await.unwrap(), 0);
    assert_eq!(app.db.number("SELECT count(*) FROM export_chunk").await, 0);
    assert_eq!(now(&app, &export["id"]).await["state"], "EXPIRED");
    clock.advance(TimeDelta::days(7));
    assert_eq!(sweep(&db, clock.now()).await.unwrap(), 1);
    assert_eq!(now(&app, &export["id"]).await, Value::Null);
}

#[tokio::test]
async fn who_watches_an_export_sees_it_end() {
    let app = TestApp::start().await;
    fill(&app).await;
    let export = create(&app, json!({"what": "EVENTS"})).await;
    let query = format!(
        "subscription {{ exportProgress(id: {}) {{ state rows }} }}",
        export["id"]
    );
    let mut watching = app.subscribe(&query).await;
    let mut last = Value::Null;
    while last["state"] != "DONE" {
        last = watching.next().await["exportProgress"].take();
    }
    let (_, events) = app.get("/v1/events?limit=500").await;
    assert_eq!(last["rows"], events["data"].as_array().unwrap().len());
}

#[tokio::test]
async fn what_no_export_can_be_of_is_refused() {
    let app = TestApp::start().await;
    let metrics = json!({"measures": ["REVENUE"], "range": {"last": {"count": 1, "unit": "DAY"}}});
    for (input, code) in [
        (json!({"what": "METRICS"}), "invalid_export"),
        (
            json!({"what": "EVENTS", "metrics": metrics}),
            "invalid_export",
        ),
        (
            json!({"what": "EVENTS", "filter": {"productId": "mug"}}),
            "invalid_export",
        ),
        (
            json!({"what": "USERS", "filter": {"bot": true}}),
            "invalid_export",
        ),
        (
            json!({"what": "EVENTS", "filter": {"types": ["No Type"]}}),
            "invalid_filter",
        ),
        (
            json!({"what": "EVENTS", "filter": {"range": {"from": "2026-03-02T00:00:00Z", "to": "2026-03-01T00:00:00Z"}}}),
            "invalid_range",
        ),
        (
            json!({"what": "METRICS", "metrics": {"measures": [], "range": {"last": {"count": 1, "unit": "DAY"}}}}),
            "invalid_metrics",
        ),
    ] {
        assert_eq!(refused(&app, input.clone()).await, code, "{input}");
    }
    assert_eq!(app.db.number("SELECT count(*) FROM export").await, 0);
    let query =
        r#"subscription { exportProgress(id: "67e55044-10b1-426f-9247-bb680e5fe0c8") { state } }"#;
    let mut watching = app.subscribe(query).await;
    let error = watching.hear().await.unwrap();
    assert!(error.to_string().contains("unknown_export"), "{error}");
}
