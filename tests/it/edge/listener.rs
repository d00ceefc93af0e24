//! The listener: heads that are slow, long, or say two things at once.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{KEY, TestApp, TestDb, config};

async fn connect(app: &TestApp) -> TcpStream {
    let address = app.url.strip_prefix("http://").unwrap();
    TcpStream::connect(address).await.unwrap()
}

/// What is answered to these bytes until the server hangs up.
async fn answer_to(app: &TestApp, bytes: &[u8]) -> String {
    let mut stream = connect(app).await;
    // A server that refuses need not read to the end.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    let _ = tokio::time::timeout(Duration::from_secs(30), reading)
        .await
        .unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

#[tokio::test]
async fn who_is_refused_before_all_is_sent_is_told_why() {
    let app = TestApp::start().await;
    for _ in 0..20 {
        let request = app.anonymous(Method::POST, "/v1/batch");
        let request = request.bearer_auth("nobody's key, nobody's");
        let answer = request.body(vec![b' '; 5_000_000]).send().await;
        assert_eq!(answer.unwrap().status(), StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn who_shows_no_key_and_is_slow_takes_nobody_elses_turn() {
    let db = TestDb::migrated().await;
    let mut config = config(&db.url(), None);
    config.http.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let app = TestApp::start_with(db, config).await.ready().await;
    let begin = |address: &str| {
        format!(
            "POST /v1/batch HTTP/1.1\r\nhost: a\r\nx-forwarded-for: {address}\r\n\
             content-type: application/json\r\ncontent-length: 400000\r\n\r\n["
        )
    };
    let mut slow = Vec::new();
    for _ in 0..16 {
        let mut stream = connect(&app).await;
        stream
            .write_all(begin("203.0.113.1").as_bytes())
            .await
            .unwrap();
        slow.push(stream);
    }
    let send = |address: &'static str| {
        let request = app.anonymous(Method::POST, "/v1/batch");
        let request = request.header("x-forwarded-for", address);
        request.json(&serde_json::json!({"batch": [], "writeKey": KEY}))
    };
    let status = async |address| send(address).send().await.unwrap().status();
    while status("203.0.113.1").await != StatusCode::SERVICE_UNAVAILABLE {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_ne!(status("203.0.113.2").await, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused() {
    let app = TestApp::start().await;
    let head =
        |more: &str| format!("GET /livez HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{more}\r\n");
    assert_eq!(status(&answer_to(&app, head("").as_bytes()).await), "200");
    let long = head(&format!("x: {}\r\n", "y".repeat(40 * 1024)));
    assert_eq!(status(&answer_to(&app, long.as_bytes()).await), "431");
    let many = head(&"x: y\r\n".repeat(100));
    assert_eq!(status(&answer_to(&app, many.as_bytes()).await), "431");
    let some = head(&"x: y\r\n".repeat(50));
    assert_eq!(status(&answer_to(&app, some.as_bytes()).await), "200");
}

#[tokio::test]
async fn a_request_that_can_be_read_in_two_ways_is_read_in_none() {
    let app = TestApp::start().await;
    let body = "0\r\n\r\nGET /v1/sales HTTP/1.1\r\nhost: a\r\n\r\n";
    for head in [
        "content-length: 5\r\ncontent-length: 6",
        "content-length: 5, 6",
        "content-length: +5",
        "content-length: -1",
        "content-length: 0x5",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity",
        "transfer-encoding: identity",
        "transfer-encoding: chunked\r\ncontent-length: 5",
        "transfer-encoding : chunked",
        "transfer-encoding: xchunked",
    ] {
        let request = format!(
            "POST /graphql HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{head}\r\n\r\n{body}"
        );
        let answer = answer_to(&app, request.as_bytes()).await;
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{head}: {answer}");
        assert!(status(&answer).starts_with('4'), "{head}: {answer}");
    }
    for broken in [
        "GET /livez HTTP/1.1\r\nhost: a\r\nx: \u{0}\r\n\r\n",
        "GET /livez HTTP/9.9\r\n\r\n",
        "GET\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{2}",
    ] {
        let answer = answer_to(&app, broken.as_bytes()).await;
        assert!(answer.is_empty() || status(&answer) == "400", "{answer}");
    }
}

#[tokio::test]
async fn who_is_slow_with_a_head_is_hung_up_on() {
    let app = TestApp::start().await;
    let mut stream = connect(&app).await;
    stream
        .write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\n")
        .await
        .unwrap();
    let begun = Instant::now();
    let (mut reader, mut writer) = stream.into_split();
    // A byte from time to time does not help.
    let dripping = tokio::spawn(async move {
        while writer.write_all(b"x: y\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let mut answer = Vec::new();
    let reading = reader.read_to_end(&mut answer);
    let ended = tokio::time::timeout(Duration::from_mins(1), reading).await;
    assert!(ended.is_ok(), "still open after {:?}", begun.elapsed());
    dripping.abort();
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || status(&answer) == "408", "{answer}");
    // Others are served meanwhile, and after.
    assert_eq!(app.get("/livez").await.0, 200);
}

#[tokio::test]
async fn who_takes_no_answers_is_hung_up_on() {
    const REQUESTS: usize = 200;
    let app = TestApp::start().await;
    let length = app.get("/openapi.json").await.1.to_string().len();
    let mut stream = connect(&app).await;
    let requests = "GET /openapi.json HTTP/1.1\r\nhost: a\r\n\r\n".repeat(REQUESTS);
    stream.write_all(requests.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(55)).await;
    // What is on its way arrives; the server has given up the rest.
    let mut taken = Vec::new();
    let taking = stream.read_to_end(&mut taken);
    let _ = tokio::time::timeout(Duration::from_secs(20), taking)
        .await
        .expect("it is still served");
    assert!(taken.starts_with(b"HTTP/1.1 200") && taken.len() < REQUESTS * length / 2);
}
