//! Runs requests: over HTTP with loads gathered as far as they can be, over a socket as they come;
//! both with a code on every error.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use async_graphql::{Request, Response};
use futures_util::future::{BoxFuture, poll_fn, ready};
use futures_util::stream::{BoxStream, FuturesUnordered, once};
use futures_util::{StreamExt, task::AtomicWaker};
use tokio::sync::mpsc;

use super::context::Origin;
use super::cost::Cost;
use super::order::Order;
use super::{Loaders, Schema, errors};
use crate::access::Identity;
use crate::access::limits::{Kind, Limits, Standing};
use crate::cache::Collected;
use crate::error::Problem;

type Load = BoxFuture<'static, ()>;

/// Runs one request of `identity`, and tells what was answered, and where the limit of points stands.
///
/// A loader gathers the keys of a page until its load begins. Were loads spawned, one could begin
/// while the page is still being walked, and the rest of its keys would cost a statement more. So
/// they wait here until the execution can go no further without them.
///
/// # Errors
/// That the limit of points is used up.
pub(super) async fn execute(
    schema: &Schema,
    loaders: &Loaders,
    identity: Arc<Identity>,
    mut request: Request,
    collected: &Arc<Collected>,
) -> Result<(Response, Option<Standing>), Problem> {
    let cost = Cost::of(schema, &mut request, collected);
    let order = Order::of(&mut request);
    let limits = schema.data::<Limits>();
    let standing = match limits {
        Some(limits) => limits.take(&identity, Kind::Points, cost.points()).await?,
        None => None,
    };
    let payer = Arc::clone(&identity);
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
    let mut response = with_codes(response.await);
    order.arrange(&mut response.data);
    if let Some(limits) = limits {
        limits.owe(&payer, cost.points_of_rows());
    }
    Ok((cost.tell(response, None), standing))
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

/// Runs one request of `identity`, from an address, that may have many responses, each as it comes.
/// What is watched goes on for as long as it likes, and is not collected.
pub(super) fn execute_stream(
    schema: &Schema,
    loaders: &Loaders,
    (identity, address): (Arc<Identity>, Option<IpAddr>),
    mut request: Request,
) -> BoxStream<'static, Response> {
    let collected = Arc::default();
    let cost = Cost::of(schema, &mut request, &collected);
    let order = Order::of(&mut request);
    request.data = loaders.data_for(Arc::clone(&identity), tokio::spawn);
    request.data.insert(Origin(address));
    if cost.is_told() {
        request.data.insert(loaders.0.collecting(&collected));
    }
    let limits = schema.data::<Limits>().cloned();
    let responses = schema.execute_stream(request);
    let paid = async move {
        let taken = match &limits {
            Some(limits) => limits.take(&identity, Kind::Points, cost.points()).await,
            None => Ok(None),
        };
        let standing = match taken {
            Ok(standing) => standing,
            Err(problem) => {
                let refused = Response::from_errors(vec![errors::of_problem(&problem)]);
                return once(ready(refused)).boxed();
            }
        };
        let told = move |mut response: Response| {
            order.arrange(&mut response.data);
            if let Some(limits) = limits.as_ref().filter(|_| cost.is_told()) {
                limits.owe(&identity, cost.points_of_rows());
            }
            cost.tell(with_codes(response), standing)
        };
        responses.map(told).boxed()
    };
    once(paid).flatten().boxed()
}
