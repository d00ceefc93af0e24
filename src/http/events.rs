//! Answers as server-sent events: `graphql-sse` in the mode of distinct connections. Each response is
//! an event `next`, and `complete` is the last. What is refused before it runs is an event, too, for
//! that is what the client reads.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderName, Response};
use axum::response::IntoResponse;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{BoxStream, unfold};
use serde_json::json;
use tokio::time::{Instant, Interval, interval_at};

use super::State;
use super::accept::Kind;
use super::graphql::refusal;
use super::operations::{Operation, still};
use crate::access::{Credentials, Identity};
use crate::error::{Code, Problem};
use crate::graphql::{Request, Told, Way, watch};

/// How often it is asked whether the key is still good.
const RECHECK: Duration = Duration::from_secs(1);
/// After how many of those looks something is sent, so that proxies keep the connection.
const BEATS: u32 = 12;
/// A comment, which clients skip.
const HEARTBEAT: Bytes = Bytes::from_static(b":\n\n");
const COMPLETE: Bytes = Bytes::from_static(b"event: complete\ndata:\n\n");

/// Proxies that gather answers must not gather this one.
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Answers with the events of one operation.
pub(super) async fn answer(
    state: &State,
    shown: Result<Credentials, Problem>,
    identity: Arc<Identity>,
    request: Request,
    way: Way,
) -> Response<Body> {
    let opened = shown.and_then(|shown| Ok((state.operations.open(&identity)?, shown)));
    let (operation, shown) = match opened {
        Ok(opened) => opened,
        Err(problem) => return refusal(state, &problem, Kind::EventStream),
    };
    let who = (Arc::clone(&identity), shown.address);
    let told = watch(state.answering(), who, request, way).await;
    let watching = Watching {
        state: state.clone(),
        shown,
        identity,
        told,
        looks: interval_at(Instant::now() + RECHECK, RECHECK),
        quiet: 0,
        last: None,
        over: false,
        _operation: operation,
    };
    let head = [
        (CONTENT_TYPE, Kind::EventStream.content_type()),
        (CACHE_CONTROL, "no-store"),
        (BUFFERING, "no"),
    ];
    let events = unfold(watching, |mut watching| async move {
        let event = watching.step().await?;
        Some((Ok::<_, std::convert::Infallible>(event), watching))
    });
    (head, Body::from_stream(events)).into_response()
}

/// One operation whose events are sent.
struct Watching {
    state: State,
    shown: Credentials,
    identity: Arc<Identity>,
    told: BoxStream<'static, Told>,
    looks: Interval,
    /// Looks since something was sent.
    quiet: u32,
    /// What is still to be sent.
    last: Option<Bytes>,
    over: bool,
    _operation: Operation,
}

impl Watching {
    /// What is to be sent next. A server that stops says nothing more: clients ask again.
    async fn step(&mut self) -> Option<Bytes> {
        if let Some(last) = self.last.take() {
            return Some(last);
        }
        if self.over {
            return None;
        }
        loop {
            tokio::select! {
                told = self.told.next() => {
                    self.quiet = 0;
                    let Some(told) = told else {
                        self.over = true;
                        return Some(COMPLETE);
                    };
                    return Some(next(&told.body));
                }
                () = self.state.sockets.closing().cancelled() => return None,
                _ = self.looks.tick() => {
                    match still(&self.state.access, &self.shown, &self.identity).await {
                        Ok(now) => self.identity = now,
                        Err(code) => return Some(self.end(code)),
                    }
                    self.quiet += 1;
                    if self.quiet >= BEATS {
                        self.quiet = 0;
                        return Some(HEARTBEAT);
                    }
                }
            }
        }
    }

    /// Says that the key is no longer good, and that this was all.
    fn end(&mut self, code: Code) -> Bytes {
        self.over = true;
        self.last = Some(COMPLETE);
        let body = json!({"errors": [{
            "message": code.sentence(),
            "extensions": {"code": code.name()},
        }]});
        next(&body.to_string())
    }
}

/// The event of a response; its JSON has no line breaks.
fn next(body: &str) -> Bytes {
    format!("event: next\ndata: {body}\n\n").into()
}
