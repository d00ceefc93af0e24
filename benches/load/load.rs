//! Requests in parallel, timed.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use reqwest::{Client, RequestBuilder, StatusCode};

/// What a load took.
pub struct Timing {
    pub whole: Duration,
    sorted: Vec<Duration>,
}

impl Timing {
    pub fn per_second(&self) -> f64 {
        self.sorted.len() as f64 / self.whole.as_secs_f64()
    }

    /// The latency that so many per cent stay under, in milliseconds.
    pub fn percentile(&self, percent: usize) -> f64 {
        percentile(&self.sorted, percent)
    }
}

/// Of sorted times, the one that so many per cent stay under, in milliseconds.
pub fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    let at = (sorted.len() * percent / 100).min(sorted.len() - 1);
    sorted[at].as_secs_f64() * 1_000.0
}

/// Sends requests, so many at a time; each must succeed.
pub async fn load(requests: impl IntoIterator<Item = RequestBuilder>, at_a_time: usize) -> Timing {
    load_with(requests, at_a_time, |_| ()).await.0
}

/// The same, and reads the answers.
pub async fn load_with<A>(
    requests: impl IntoIterator<Item = RequestBuilder>,
    at_a_time: usize,
    read: impl Fn(Bytes) -> A,
) -> (Timing, Vec<A>) {
    let begun = Instant::now();
    let read = &read;
    let sending = requests.into_iter().map(async |request| {
        let begun = Instant::now();
        let answer = request.send().await.expect("an answer");
        let status = answer.status();
        let body = answer.bytes().await.expect("a whole answer");
        let unchanged = status == StatusCode::NOT_MODIFIED;
        assert!(
            status.is_success() || unchanged,
            "{status}: {}",
            body.escape_ascii()
        );
        (begun.elapsed(), read(body))
    });
    let ended: Vec<(Duration, A)> = futures_util::stream::iter(sending)
        .buffer_unordered(at_a_time)
        .collect()
        .await;
    let whole = begun.elapsed();
    let (mut sorted, answers): (Vec<Duration>, Vec<A>) = ended.into_iter().unzip();
    sorted.sort_unstable();
    (Timing { whole, sorted }, answers)
}

/// A client that keeps its connections.
pub fn client() -> Client {
    let builder = Client::builder().no_proxy().no_gzip();
    builder.build().expect("a client")
}

/// The middle one.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
