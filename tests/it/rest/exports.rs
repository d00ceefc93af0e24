//! Whole lists as streams: complete, and in the memory of a page.

use std::collections::BTreeSet;

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{LISTS, fill, get, json_of};
use crate::support::{Order, TestApp};

/// The lines of a stream of JSON.
pub async fn lines(app: &TestApp, path: &str) -> Vec<Value> {
    let answer = get(app, path).await;
    assert_eq!(answer.status(), StatusCode::OK, "{path}");
    assert_eq!(answer.headers()["content-type"], "application/x-ndjson");
    let text = answer.text().await.unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The header and the records of a table, as another reader understands it.
pub async fn table(app: &TestApp, path: &str) -> (Vec<String>, Vec<Vec<String>>) {
    let answer = get(app, path).await;
    assert_eq!(answer.status(), StatusCode::OK, "{path}");
    let text = answer.text().await.unwrap();
    assert!(text.ends_with("\r\n"));
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let cells = |record: &csv::StringRecord| record.iter().map(str::to_owned).collect();
    let header = cells(reader.headers().unwrap());
    (
        header,
        reader
            .records()
            .map(|record| cells(&record.unwrap()))
            .collect(),
    )
}

#[tokio::test]
async fn a_stream_is_the_whole_list_in_every_format() {
    let app = TestApp::start().await;
    fill(&app).await;
    for list in LISTS {
        let records = json_of(&app, &format!("/v1/{list}?limit=500")).await["data"].take();
        let records = records.as_array().unwrap();
        let mut streamed = lines(&app, &format!("/v1/{list}?format=ndjson")).await;
        let end = json!({"done": true, "rows": records.len(), "nextCursor": null});
        assert_eq!(streamed.pop(), Some(end), "{list}");
        for record in &mut streamed {
            let cursor = record.as_object_mut().unwrap().remove("cursor");
            assert!(cursor.is_some_and(|cursor| cursor.is_string()));
        }
        assert_eq!(&streamed, records, "{list}");

        let (header, rows) = table(&app, &format!("/v1/{list}?format=csv")).await;
        let names: BTreeSet<&str> = header.iter().map(String::as_str).collect();
        let fields = records[0].as_object().unwrap().keys().map(String::as_str);
        assert_eq!(names, fields.chain(["cursor"]).collect(), "{list}");
        assert_eq!(rows.len(), records.len(), "{list}");
        for (row, record) in rows.iter().zip(records) {
            for (name, cell) in header.iter().zip(row).filter(|(name, _)| *name != "cursor") {
                let value = &record[name];
                if value.is_object() {
                    let cell: Value = serde_json::from_str(cell).unwrap();
                    assert_eq!(&cell, value, "{list}.{name}");
                } else {
                    assert_eq!(cell, &as_cell(list, name, value), "{list}.{name}");
                }
            }
        }
    }
}

/// What a table has for a value.
fn as_cell(list: &str, name: &str, value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
            items.join(if (list, name) == ("users", "mergedIds") {
                " "
            } else {
                " > "
            })
        }
        other => other.to_string(),
    }
}

#[tokio::test]
async fn a_table_keeps_every_text_and_gives_no_formula() {
    let app = TestApp::start().await;
    let texts = [
        "=HYPERLINK(\"http://evil.example\",\"x\")",
        "+1",
        "-2+3",
        "@SUM(A1)",
        "\tx",
        "\r=1",
        "a,b",
        "say \"hi\"",
        "two\r\nlines",
        "plain",
        "'quoted",
        "Straße, 茶",
    ];
    let orders = texts.iter().enumerate().map(|(n, text)| {
        let order = Order::of("mug").at(format!("2026-03-01T12:{n:02}:00Z"));
        order.with("region", *text).with("orderId", *text).event()
    });
    app.accept(&orders.collect::<Vec<_>>()).await;
    let (header, rows) = table(&app, "/v1/purchases?format=csv").await;
    let column = |name: &str| header.iter().position(|column| column == name).unwrap();
    for name in ["region", "orderId"] {
        let cells: Vec<&str> = rows
            .iter()
            .rev()
            .map(|row| row[column(name)].as_str())
            .collect();
        for (text, cell) in texts.iter().zip(&cells) {
            let dangerous = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
            let expected = if dangerous {
                format!("'{text}")
            } else {
                (*text).to_owned()
            };
            assert_eq!(*cell, expected);
        }
        assert_eq!(cells.len(), texts.len());
    }
    assert!(rows.iter().all(|row| row[column("amount")] == "10.00"));
    let lines = lines(&app, "/v1/purchases?format=ndjson").await;
    assert_eq!(lines[texts.len() - 1]["region"], texts[0]);
}

/// An export whose bytes are as many as they look: nothing is packed.
pub async fn plain(app: &TestApp, path: &str) -> Response {
    let request = app.request(Method::GET, path);
    let request = request.header("accept-encoding", "identity");
    request.send().await.unwrap()
}

/// So many events, a tenth of a second apart, each with a text of so many bytes.
pub async fn fill_events(app: &TestApp, count: u32, bytes: usize) {
    let event = |n: u32| {
        let (minute, tenth) = (n / 600, n % 600);
        json!({
            "eventId": Uuid::from_u128(u128::from(n) << 64 | 7), "type": "click", "userId": "u",
            "timestamp": format!("2026-03-01T{:02}:{:02}:{:02}.{}Z", minute / 60, minute % 60, tenth / 10, tenth % 10),
            "properties": {"text": "x".repeat(bytes)},
        })
    };
    // A request has 4 MiB at most, and this process is not to hold them all.
    for first in (0..count).step_by(500) {
        let batch: Vec<Value> = (first..count.min(first + 500)).map(event).collect();
        app.accept(&batch).await;
    }
}

/// More than the buffers between a server and a client who does not read.
pub async fn fill_large(app: &TestApp) {
    fill_events(app, 4_000, 6_000).await;
}

#[tokio::test]
async fn a_long_list_is_streamed_whole_in_the_memory_of_a_page() {
    const COUNT: usize = 30_000;
    let app = TestApp::start().await;
    fill_events(&app, 30_000, 1_200).await;
    for format in ["ndjson", "csv"] {
        let before = resident_kib();
        let mut answer = plain(&app, &format!("/v1/events?format={format}")).await;
        let (mut bytes, mut breaks, mut tail) = (0, 0, Vec::new());
        while let Some(chunk) = answer.chunk().await.unwrap() {
            bytes += chunk.len();
            breaks += chunk.split(|byte| *byte == b'\n').count() - 1;
            tail.extend_from_slice(&chunk);
            tail.drain(..tail.len().saturating_sub(8_192));
        }
        // A line for each, and the last one or the header.
        assert_eq!(breaks, COUNT + 1, "{format}");
        assert!(bytes > COUNT * 1_400, "{bytes}");
        if format == "ndjson" {
            let tail = String::from_utf8_lossy(&tail).into_owned();
            let last: Value = serde_json::from_str(tail.lines().last().unwrap()).unwrap();
            assert_eq!(
                last,
                json!({"done": true, "rows": COUNT, "nextCursor": null})
            );
        }
        let grown = resident_kib().saturating_sub(before);
        assert!(
            grown < 32 * 1024,
            "{grown} KiB more for {} KiB of {format}",
            bytes / 1024
        );
    }
}

/// What this process, server and client alike, holds in memory.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or_default()
}
