//! Runs requests: over HTTP with loads gathered as far as they can be, over a socket as they come;
//! both with a code on every error.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use async_graphql::{Request, Response};
use futures_util::future::{BoxFuture, poll_fn};
use futures_util::stream::{BoxStream, FuturesUnordered};
use futures_util::{StreamExt, task::AtomicWaker};
use tokio::sync::mpsc;

use super::cost::Cost;
use super::{Loaders, Schema, errors};
use crate::access::Identity;
use crate::cache::Collected;

type Load = BoxFuture<'static, ()>;

/// Runs one request of `identity`, and tells what was answered.
///
/// A loader gathers the keys of a page until its load begins. Were loads spawned, one could begin
/// while the page is still being walked, and the rest of its keys would cost a statement more. So
/// they wait here until the execution can go no further without them.
pub(super) async fn execute(
    schema: &Schema,
    loaders: &Loaders,
    identity: Arc<Identity>,
    mut request: Request,
    collected: &Arc<Collected>,
) -> Response {
    let cost = Cost::of(schema, &mut request, collected);
    let (queue, mut queued) = mpsc::unbounded_channel::<Load>();
    request.data = loaders.data_for(identity, move |load| {
        // Without a receiver the request is gone, and its loads with it.
        let _ = queue.send(load);
    });
    // Before the reports of all requests, resolvers find those of this one.
    request.data.insert(loaders.0.collecting(collected));
    let mut execution = std::pin::pin!(schema.execute(request));
    let mut loading = FuturesUnordered::new();
    let idle = Arc::new(Idle::default());
    let waker = Waker::from(Arc::clone(&idle));
    let response = poll_fn(|context| {
        idle.parent.register(context.waker());
        idle.woken.store(false, Ordering::Relaxed);
        let execution = execution.as_mut();
        if let Poll::Ready(response) = execution.poll(&mut Context::from_waker(&waker)) {
            return Poll::Ready(response);
        }
        if !idle.woken.load(Ordering::Relaxed) {
            while let Ok(load) = queued.try_recv() {
                loading.push(load);
            }
        }
        while let Poll::Ready(Some(())) = Pin::new(&mut loading).poll_next_unpin(context) {}
        Poll::Pending
    });
    cost.tell(with_codes(response.await))
}

/// Notices whether an execution that gave way only wants to be polled again.
#[derive(Default)]
struct Idle {
    woken: AtomicBool,
    parent: AtomicWaker,
}

impl Wake for Idle {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Relaxed);
        self.parent.wake();
    }
}

fn with_codes(mut response: Response) -> Response {
    response.errors.iter_mut().for_each(errors::ensure_code);
    response
}

/// Runs one request of `identity` that may have many responses, each as it comes. What is watched goes
/// on for as long as it likes, and is not collected.
pub(super) fn execute_stream(
    schema: &Schema,
    loaders: &Loaders,
    identity: Arc<Identity>,
    mut request: Request,
) -> BoxStream<'static, Response> {
    let collected = Arc::default();
    let cost = Cost::of(schema, &mut request, &collected);
    request.data = loaders.data_for(identity, tokio::spawn);
    if cost.is_told() {
        request.data.insert(loaders.0.collecting(&collected));
    }
    let responses = schema.execute_stream(request);
    let told = move |response| cost.tell(with_codes(response));
    responses.map(told).boxed()
}
