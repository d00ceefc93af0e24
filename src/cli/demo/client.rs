//! The demo's side of the public HTTP API: the events as the wire takes them, and a client that
//! waits and tries again when the server is busy or away.
//!
//! Nothing here is private to the demo's server: what the demo does, any shop can do with a key.
//! Sending twice is harmless, because a batch sent again carries the same event ids; that is why
//! every failure that may pass is retried, even when the server may already have the batch.

use super::catalogue::Product;
use indicatif::ProgressBar;
use reqwest::header::RETRY_AFTER;
use reqwest::{Response, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;

const PUT_PRODUCTS: &str = "mutation PutProducts($products: [ProductInput!]!) { \
     putProducts(products: $products) { stored } }";
/// The most products the API stores in one call.
const PRODUCTS_A_CALL: usize = 500;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
const FIRST_BACKOFF: Duration = Duration::from_millis(500);
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);
/// A `Retry-After` beyond this is a mistake somewhere, not a wish to respect.
const LONGEST_RETRY_AFTER: Duration = Duration::from_mins(5);

/// What became of a batch.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct BatchReceipt {
    /// Events stored by this batch.
    pub(crate) accepted: u64,
    /// Events the server already had.
    pub(crate) duplicates: u64,
    /// Events whose id the server knows with other contents.
    pub(crate) conflicts: u64,
    /// Events the server would not take.
    pub(crate) rejected: u64,
    /// One per event, in the batch's order.
    #[serde(default)]
    pub(crate) receipts: Vec<Receipt>,
}

/// What became of one event.
#[derive(Debug, Deserialize)]
pub(crate) struct Receipt {
    code: Option<String>,
    message: Option<String>,
    path: Option<String>,
    status: String,
}

impl BatchReceipt {
    /// The server's reason for the first event it rejected.
    pub(crate) fn first_rejection(&self) -> Option<String> {
        let receipt = self
            .receipts
            .iter()
            .find(|receipt| receipt.status.eq_ignore_ascii_case("rejected"))?;
        let part = |text: &Option<String>| text.clone().unwrap_or_default();
        Some(format!(
            "{} {} {}",
            part(&receipt.code),
            part(&receipt.path),
            part(&receipt.message)
        ))
    }
}

/// Why the server could not be brought to take what the demo sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// No answer: the address is wrong, or nothing listens there.
    #[error("no answer from {url}")]
    NoAnswer {
        /// Where the request went.
        url: String,
        /// What the transport says.
        source: reqwest::Error,
    },
    /// An answer other than success.
    #[error("the server answered {status}: {detail} ({code})")]
    Refused {
        /// The HTTP status.
        status: StatusCode,
        /// The API's error code.
        code: String,
        /// The API's sentence about it.
        detail: String,
    },
    /// A success that does not read as one.
    #[error("the server's answer does not read as the API describes it")]
    Answer(#[source] serde_json::Error),
    /// The mutation was turned down.
    #[error("the server would not store the products: {0}")]
    Products(String),
}

/// An attempt's failure: whether it may pass, and how long the server asks to wait.
struct Setback {
    error: ClientError,
    passing: bool,
    retry_after: Option<Duration>,
}

/// A caller of the API with one key.
pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
    key: String,
    attempts: Option<u32>,
    progress: ProgressBar,
}

impl Client {
    /// A client that tries a request `attempts` times, or until it is dropped when `None`, and
    /// says on the progress bar what it is waiting for.
    pub(crate) fn new(url: &str, key: &str, attempts: Option<u32>, progress: &ProgressBar) -> Self {
        Self {
            http: reqwest::Client::new(),
            url: url.trim_end_matches('/').to_owned(),
            key: key.to_owned(),
            attempts,
            progress: progress.clone(),
        }
    }

    /// Stores the products; answers how many the server says it stored.
    pub(crate) async fn put_products(&self, products: &[Product]) -> Result<u64, ClientError> {
        let mut stored = 0;
        for call in products.chunks(PRODUCTS_A_CALL) {
            let inputs: Vec<Value> = call.iter().map(Product::input).collect();
            let body = json!({ "query": PUT_PRODUCTS, "variables": { "products": inputs } });
            let answer: Value = self.post("/graphql", &body).await?;
            stored += answer["data"]["putProducts"]["stored"]
                .as_u64()
                .ok_or_else(|| {
                    let message = answer["errors"][0]["message"].as_str();
                    ClientError::Products(message.unwrap_or("no reason given").to_owned())
                })?;
        }
        Ok(stored)
    }

    /// Sends one batch; the API takes up to 2,500 events at a time.
    pub(crate) async fn send_batch<E: Serialize>(
        &self,
        events: &[E],
    ) -> Result<BatchReceipt, ClientError> {
        self.post("/v1/batch", events).await
    }

    async fn post<B, A>(&self, path: &str, body: &B) -> Result<A, ClientError>
    where
        B: Serialize + ?Sized,
        A: DeserializeOwned,
    {
        let mut attempt = 1;
        loop {
            let setback = match self.post_once(path, body).await {
                Ok(answer) => return Ok(answer),
                Err(setback) => setback,
            };
            if !setback.passing || self.attempts.is_some_and(|most| attempt >= most) {
                return Err(setback.error);
            }
            let wait = setback.retry_after.unwrap_or_else(|| backoff(attempt));
            self.progress
                .set_message(format!("{}; trying again in {wait:.1?}", setback.error));
            tokio::time::sleep(wait).await;
            attempt = attempt.saturating_add(1);
        }
    }

    async fn post_once<B, A>(&self, path: &str, body: &B) -> Result<A, Setback>
    where
        B: Serialize + ?Sized,
        A: DeserializeOwned,
    {
        let url = format!("{}{path}", self.url);
        let unanswered = |source: reqwest::Error| Setback {
            // A request that could not even be built will not be built next time.
            passing: !source.is_builder(),
            retry_after: None,
            error: ClientError::NoAnswer {
                url: url.clone(),
                source,
            },
        };
        let request = self
            .http
            .post(&url)
            .bearer_auth(&self.key)
            .timeout(REQUEST_TIMEOUT)
            .json(body);
        let response = request.send().await.map_err(unanswered)?;
        if !response.status().is_success() {
            return Err(refused(response).await);
        }
        let bytes = response.bytes().await.map_err(unanswered)?;
        serde_json::from_slice(&bytes).map_err(|error| Setback {
            error: ClientError::Answer(error),
            passing: false,
            retry_after: None,
        })
    }
}

/// Half a second, doubled with each attempt, up to half a minute.
fn backoff(attempt: u32) -> Duration {
    let doublings = attempt.saturating_sub(1).min(16);
    (FIRST_BACKOFF * 2_u32.pow(doublings)).min(LONGEST_BACKOFF)
}

async fn refused(response: Response) -> Setback {
    let status = response.status();
    let retry_after = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.trim().parse().ok())
        .map(|seconds| Duration::from_secs(seconds).min(LONGEST_RETRY_AFTER));
    // A proxy's page instead of a problem document still has its status to tell.
    let problem: Value = response.json().await.unwrap_or_default();
    let text = |field: &str| problem[field].as_str().unwrap_or_default().to_owned();
    let passing = matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    );
    let error = ClientError::Refused {
        status,
        code: text("code"),
        detail: text("detail"),
    };
    Setback {
        error,
        passing,
        retry_after,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    const RECEIPT: &str = r#"{"batchId":"b","accepted":1,"duplicates":0,"conflicts":0,"rejected":1,
        "receipts":[{"eventId":"e","status":"accepted","code":null,"message":null,"path":null},
        {"eventId":"f","status":"rejected","code":"BAD","message":"is late","path":"timestamp"}]}"#;

    /// A server that gives these answers, one a connection, and then the requests it got.
    async fn answering(
        answers: Vec<(&'static str, &'static str)>,
    ) -> (String, tokio::task::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move {
            let mut requests = Vec::new();
            for (head, body) in answers {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut request = String::new();
                while !request.ends_with("[]") {
                    let mut part = [0; 4096];
                    let read = socket.read(&mut part).await.unwrap();
                    request.push_str(std::str::from_utf8(&part[..read]).unwrap());
                }
                requests.push(request);
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
                );
                socket.write_all(answer.as_bytes()).await.unwrap();
            }
            requests
        });
        (url, serving)
    }

    #[tokio::test]
    async fn a_busy_server_is_asked_again_and_its_receipt_read() {
        let (url, serving) = answering(vec![
            ("503 Busy\r\nretry-after: 0", "{}"),
            ("200 OK", RECEIPT),
        ])
        .await;
        let client = Client::new(&url, "secret", None, &ProgressBar::hidden());
        let receipt = client.send_batch::<Value>(&[]).await.unwrap();
        assert_eq!((receipt.accepted, receipt.rejected), (1, 1));
        assert_eq!(receipt.first_rejection().unwrap(), "BAD timestamp is late");
        let requests = serving.await.unwrap();
        assert_eq!(requests.len(), 2);
        assert!(
            requests
                .iter()
                .all(|request| request.starts_with("POST /v1/batch HTTP/1.1"))
        );
        assert!(requests[1].contains("authorization: Bearer secret"));
    }

    #[tokio::test]
    async fn attempts_are_bounded_and_a_refusal_for_good_is_not_retried() {
        let busy = (
            "429 Slow Down\r\nretry-after: 0",
            r#"{"code":"QUOTA","detail":"too many"}"#,
        );
        let (url, serving) = answering(vec![busy, busy]).await;
        let client = Client::new(&url, "secret", Some(2), &ProgressBar::hidden());
        let error = client.send_batch::<Value>(&[]).await.unwrap_err();
        assert!(error.to_string().contains("too many (QUOTA)"), "{error}");
        assert_eq!(serving.await.unwrap().len(), 2);

        let (url, serving) = answering(vec![("401 Unauthorized", "who?")]).await;
        let client = Client::new(&url, "wrong", None, &ProgressBar::hidden());
        let error = client.send_batch::<Value>(&[]).await.unwrap_err();
        assert!(matches!(
            error,
            ClientError::Refused {
                status: StatusCode::UNAUTHORIZED,
                ..
            }
        ));
        assert_eq!(serving.await.unwrap().len(), 1);
    }

    #[test]
    fn backoff_doubles_up_to_half_a_minute() {
        let waits = [1, 2, 3, 7, u32::MAX].map(|attempt| backoff(attempt).as_millis());
        assert_eq!(waits, [500, 1_000, 2_000, 30_000, 30_000]);
    }
}
