//! `POST /v1/events`: lines without an end, answered block by block.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use uuid::Uuid;

use super::receipts::gzip;
use super::{click, rows};
use crate::support::{KEY, TestApp, assert_consistent};

/// An upload whose pieces are sent one by one.
struct Upload {
    sending: OwnedWriteHalf,
    answers: Lines<BufReader<OwnedReadHalf>>,
}

impl Upload {
    async fn begin(app: &TestApp) -> Self {
        let address = app.url.strip_prefix("http://").unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        let (receiving, mut sending) = stream.into_split();
        let head = format!(
            "POST /v1/events HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {KEY}\r\n\
             content-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n"
        );
        sending.write_all(head.as_bytes()).await.unwrap();
        Self {
            sending,
            answers: BufReader::new(receiving).lines(),
        }
    }

    async fn send(&mut self, piece: &[u8]) {
        let size = format!("{:x}\r\n", piece.len());
        for part in [size.as_bytes(), piece, b"\r\n"] {
            self.sending.write_all(part).await.unwrap();
        }
    }

    async fn end(&mut self) {
        self.sending.write_all(b"0\r\n\r\n").await.unwrap();
    }

    /// The next line of the answer, without the sizes of chunks around it.
    async fn answer(&mut self) -> Value {
        loop {
            let line = self.answers.next_line().await.unwrap().unwrap();
            if line.starts_with('{') {
                return serde_json::from_str(&line).unwrap();
            }
        }
    }

    /// The line that says that it was the last.
    async fn done(&mut self) -> Value {
        loop {
            let answer = self.answer().await;
            if answer["done"] == true {
                return answer;
            }
        }
    }
}

/// The answer's lines.
fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

async fn send(app: &TestApp, body: Vec<u8>) -> Vec<Value> {
    let request = app
        .request(Method::POST, "/v1/events")
        .header("content-type", "application/x-ndjson");
    let answer = request.body(body).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    lines(&answer.text().await.unwrap())
}

fn event(n: u128) -> String {
    click(Uuid::from_u128(n), "2026-03-01T12:00:00Z").to_string()
}

#[tokio::test]
async fn a_block_is_answered_while_the_upload_goes_on() {
    let app = TestApp::start().await;
    let mut upload = Upload::begin(&app).await;
    for n in 1..=2 {
        upload.send(format!("{}\n", event(n)).as_bytes()).await;
        let answer = upload.answer().await;
        assert_eq!(
            (
                &answer["firstLine"],
                &answer["lastLine"],
                &answer["accepted"]
            ),
            (&json!(n), &json!(n), &json!(1))
        );
    }
    upload.end().await;
    let last = upload.answer().await;
    assert_eq!(
        (&last["done"], &last["lines"], &last["accepted"]),
        (&json!(true), &json!(2), &json!(2))
    );
    assert_consistent(&app.db).await;
}

#[tokio::test]
async fn a_spoilt_line_is_told_with_its_number_and_the_others_are_stored() {
    let app = TestApp::start().await;
    let mut body = Vec::new();
    for line in [
        event(1).as_bytes(),
        b"",
        b"{\"type\": ",
        b"{\"type\": \"\xff\"}",
        format!("{{\"type\": \"{}\"}}", "x".repeat(2_000_000)).as_bytes(),
        br#"{"type": "click"}"#,
        br#"{"type": "track", "event": "Product Viewed", "userId": "u", "messageId": "m"}"#,
        event(1).as_bytes(),
        event(2).as_bytes(),
    ] {
        body.extend_from_slice(line);
        body.extend_from_slice(b"\r\n");
    }
    let answers = send(&app, body).await;
    let told: Vec<(u64, &str, &str)> = answers
        .iter()
        .flat_map(|answer| answer["problems"].as_array().into_iter().flatten())
        .map(|problem| {
            (
                problem["line"].as_u64().unwrap(),
                problem["status"].as_str().unwrap(),
                problem["code"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (3, "rejected", "malformed_json"),
            (4, "rejected", "malformed_json"),
            (5, "rejected", "event_too_large"),
            (6, "quarantined", "missing_field"),
        ]
    );
    assert_eq!(
        answers.last().unwrap(),
        &json!({"done": true, "lines": 9, "accepted": 3, "duplicates": 1, "conflicts": 0,
                "quarantined": 1, "rejected": 3, "outsideIdempotencyWindow": 2})
    );
    assert_consistent(&app.db).await;
}

#[tokio::test]
async fn a_packed_upload_that_breaks_off_says_where_to_go_on() {
    let app = TestApp::start().await;
    let events: String = (1..=3_000).map(|n| event(n) + "\n").collect();
    let packed = gzip(events.as_bytes());
    let request = |body: Vec<u8>| {
        app.request(Method::POST, "/v1/events")
            .header("content-type", "application/x-ndjson")
            .header("content-encoding", "gzip")
            .body(body)
    };
    let cut = request(packed[..packed.len() - 20].to_vec());
    let answers = lines(&cut.send().await.unwrap().text().await.unwrap());
    let last = answers.last().unwrap();
    assert_eq!(last["error"]["code"], "malformed_json", "{last}");
    assert!(last["error"]["message"].as_str().unwrap().contains("gzip"));
    let stored: u64 = answers
        .iter()
        .filter_map(|answer| answer["accepted"].as_u64())
        .sum();
    assert_eq!(last["resumeAtLine"], stored + 1);

    let whole = request(packed).send().await.unwrap().text().await.unwrap();
    let done = lines(&whole).pop().unwrap();
    assert_eq!(
        (&done["duplicates"], &done["accepted"]),
        (&json!(stored), &json!(3_000 - stored))
    );
    assert_consistent(&app.db).await;
}

#[tokio::test]
async fn an_upload_of_any_length_takes_the_memory_of_a_block() {
    let app = TestApp::start().await;
    let mut upload = Upload::begin(&app).await;
    // 72 MB, nearly all of it one line that is skipped and blank ones, and then many blocks.
    let before = resident_kib();
    let (long, blank) = (vec![b'x'; 1 << 20], vec![b'\n'; 1 << 20]);
    upload.send(event(1).as_bytes()).await;
    upload.send(b"\n").await;
    for _ in 0..64 {
        upload.send(&long).await;
    }
    upload.send(b"\n").await;
    for _ in 0..8 {
        upload.send(&blank).await;
    }
    for block in 0..8_u128 {
        let events = (0..2_500).map(|n| event(10 + block * 2_500 + n) + "\n");
        upload.send(events.collect::<String>().as_bytes()).await;
    }
    upload.end().await;
    let done = upload.done().await;
    let grown = resident_kib().saturating_sub(before);
    assert_eq!(
        (&done["accepted"], &done["rejected"], &done["lines"]),
        (&json!(20_001), &json!(1), &json!(2 + (8 << 20) + 20_000))
    );
    assert!(grown < 64 * 1024, "{grown} KiB more");
    let count = rows(&app.db, "SELECT count(*) FROM event").await;
    assert_eq!(count, json!([{"count": 20_001}]));
}

/// What this process, server and sender alike, holds in memory.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or_default()
}

#[tokio::test]
async fn an_upload_that_stands_still_ends_and_a_tenant_has_eight_at_a_time() {
    let app = TestApp::start().await;
    let mut uploads = Vec::new();
    for n in 1..=8 {
        let mut upload = Upload::begin(&app).await;
        upload.send(format!("{}\n", event(n)).as_bytes()).await;
        assert_eq!(upload.answer().await["accepted"], 1);
        uploads.push(upload);
    }
    let ninth = app
        .request(Method::POST, "/v1/events")
        .header("content-type", "application/x-ndjson");
    let ninth = ninth.body(event(9)).send().await.unwrap();
    assert_eq!(ninth.status().as_u16(), 503);
    // A byte now and then is no line.
    let mut still = uploads.pop().unwrap();
    for _ in 0..4 {
        still.send(b" ").await;
        tokio::time::sleep(Duration::from_secs(4)).await;
    }
    let answer = still.answer().await;
    assert_eq!(
        (&answer["error"]["code"], &answer["resumeAtLine"]),
        (&json!("request_timeout"), &json!(2))
    );
}

#[tokio::test]
async fn an_upload_of_another_kind_or_without_a_key_is_a_problem() {
    let app = TestApp::start().await;
    let json = app.request(Method::POST, "/v1/events").json(&json!([]));
    assert_eq!(json.send().await.unwrap().status().as_u16(), 415);
    let keyless = app.anonymous(Method::POST, "/v1/events").body("");
    assert_eq!(keyless.send().await.unwrap().status().as_u16(), 401);
    let empty = send(&app, Vec::new()).await;
    assert_eq!(empty.len(), 1);
    assert_eq!(empty[0]["done"], true);
}
