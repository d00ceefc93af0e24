//! Exports that end before their list does, and how one goes on.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tidewater::access::keys;
use tidewater::clock::Clock;
use tidewater::domain::tenant::TenantId;
use tidewater::storage::Db;

use super::exports::{fill_events, fill_large, lines, plain, table};
use super::{get, json_of};
use crate::records::tenants::reader;
use crate::support::TestApp;

#[tokio::test]
async fn who_was_cut_off_goes_on_behind_the_last_whole_record() {
    let app = TestApp::start().await;
    fill_events(&app, 3_000, 400).await;
    let ids = |lines: &[Value]| -> Vec<Value> {
        let records = lines.iter().filter(|line| line["eventId"].is_string());
        records.map(|line| line["eventId"].clone()).collect()
    };
    let whole = ids(&lines(&app, "/v1/events?format=ndjson").await);
    assert_eq!(whole.len(), 3_000);

    // The client goes away in the middle of it.
    let mut answer = get(&app, "/v1/events?format=ndjson").await;
    let mut received = Vec::new();
    while received.len() < 500_000 {
        received.extend_from_slice(&answer.chunk().await.unwrap().unwrap());
    }
    drop(answer);
    let received = String::from_utf8_lossy(&received).into_owned();
    let (got, _) = received.rsplit_once('\n').unwrap();
    let got: Vec<Value> = got
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let cursor = got.last().unwrap()["cursor"].as_str().unwrap();
    let rest = lines(&app, &format!("/v1/events?format=ndjson&cursor={cursor}")).await;
    assert_eq!([ids(&got), ids(&rest)].concat(), whole);
    let (_, rows) = table(&app, &format!("/v1/events?format=csv&cursor={cursor}")).await;
    let rest_of_table: Vec<Value> = rows.iter().map(|row| json!(row[0])).collect();
    assert_eq!(rest_of_table, whole[got.len()..]);

    // As many as are wanted, and where to go on.
    let mut some = lines(&app, "/v1/events?format=ndjson&limit=700").await;
    let end = some.pop().unwrap();
    assert_eq!((&end["done"], &end["rows"]), (&json!(true), &json!(700)));
    assert_eq!(end["nextCursor"], some[699]["cursor"]);
    let path = format!(
        "/v1/events?limit=1&cursor={}",
        end["nextCursor"].as_str().unwrap()
    );
    assert_eq!(json_of(&app, &path).await["data"][0]["eventId"], whole[700]);
}

#[tokio::test]
async fn an_export_that_breaks_off_says_so() {
    let app = TestApp::start().await;
    fill_large(&app).await;
    let db = Db::open(&app.db.url(), |_| {}).await.unwrap();
    for format in ["ndjson", "csv"] {
        let reader = reader(&app, "default").await;
        let path = format!("/v1/events?format={format}");
        let request = app.anonymous(Method::GET, &path).bearer_auth(&reader);
        let request = request.header("accept-encoding", "identity");
        let mut answer = request.send().await.unwrap();
        let mut received = answer.chunk().await.unwrap().unwrap().to_vec();
        let known = keys::list(&db, TenantId(1)).await.unwrap().into_iter();
        let mut known = known.filter(|known| !known.prefix.is_empty());
        let known = known
            .find(|known| reader.starts_with(&known.prefix))
            .unwrap();
        let now = Clock::System.now();
        assert!(keys::revoke(&db, known.api_key_id, now).await.unwrap());
        // A key is looked at again after five seconds at most.
        tokio::time::sleep(std::time::Duration::from_secs(6)).await;
        let broken = loop {
            match answer.chunk().await {
                Ok(Some(chunk)) => received.extend_from_slice(&chunk),
                Ok(None) => break false,
                Err(_) => break true,
            }
        };
        let text = String::from_utf8_lossy(&received).into_owned();
        assert!(text.lines().count() < 4_000);
        assert_eq!(broken, format == "csv", "{format}");
        if format == "ndjson" {
            let all: Vec<&str> = text.lines().collect();
            let last: Value = serde_json::from_str(all[all.len() - 1]).unwrap();
            let record: Value = serde_json::from_str(all[all.len() - 2]).unwrap();
            assert_eq!(last["error"]["code"], "revoked_key", "{last}");
            assert_eq!(last["rows"], all.len() - 1);
            assert_eq!(last["nextCursor"], record["cursor"]);
        }
    }
    db.close().await;
}

#[tokio::test]
async fn a_tenant_has_four_exports_at_a_time_and_pages_besides() {
    let app = TestApp::start().await;
    fill_large(&app).await;
    let mut open = Vec::new();
    for _ in 0..4 {
        let answer = plain(&app, "/v1/events?format=csv").await;
        assert_eq!(answer.status(), StatusCode::OK);
        open.push(answer);
    }
    let fifth = get(&app, "/v1/events?format=ndjson").await;
    assert_eq!(fifth.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(fifth.headers()["retry-after"], "1");
    json_of(&app, "/v1/events").await;
    let other = reader(&app, "another shop").await;
    let request = app.anonymous(Method::GET, "/v1/events?format=csv");
    let request = request.bearer_auth(&other);
    assert_eq!(request.send().await.unwrap().status(), StatusCode::OK);
    // One that is given up makes room.
    drop(open.pop());
    while get(&app, "/v1/events?format=ndjson&limit=1").await.status() != StatusCode::OK {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn an_export_that_nobody_reads_ends_and_does_not_look_whole() {
    let app = TestApp::start().await;
    fill_large(&app).await;
    let mut still = Vec::new();
    for _ in 0..4 {
        still.push(plain(&app, "/v1/events?format=csv").await);
    }
    let next = "/v1/events?format=csv&limit=1";
    assert_eq!(get(&app, next).await.status().as_u16(), 503);
    while get(&app, next).await.status() != StatusCode::OK {
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    // One gave up its turn; the others may go on when they are read.
    let mut broken = 0;
    for mut export in still {
        broken += loop {
            match export.chunk().await {
                Ok(Some(_)) => {}
                Ok(None) => break 0,
                Err(_) => break 1,
            }
        };
    }
    assert!(broken > 0);
}

#[tokio::test]
async fn a_server_that_stops_tells_where_to_go_on() {
    let app = TestApp::start().await;
    fill_large(&app).await;
    let answer = plain(&app, "/v1/events?format=ndjson").await;
    app.stop();
    let text = answer.text().await.unwrap();
    let all: Vec<&str> = text.lines().collect();
    let last: Value = serde_json::from_str(all[all.len() - 1]).unwrap();
    let record: Value = serde_json::from_str(all[all.len() - 2]).unwrap();
    assert_eq!(last["error"]["code"], "shutting_down", "{last}");
    assert_eq!(last["error"]["retryAfter"], 1);
    assert_eq!(last["nextCursor"], record["cursor"]);
}
