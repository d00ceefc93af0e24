//! Runs requests: over HTTP with loads gathered as far as they can be, over a socket as they come;
//! both with a code on every error.

use std::any::TypeId;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use async_graphql::{Data, Executor, Pos, Request, Response};
use futures_util::future::{BoxFuture, poll_fn, ready};
use futures_util::stream::{BoxStream, FuturesUnordered, once};
use futures_util::{StreamExt, task::AtomicWaker};
use tokio::sync::mpsc;

use super::cost::Cost;
use super::{Loaders, Schema, errors};
use crate::access::Identity;
use crate::access::limits::{Kind, Limits, Standing};
use crate::cache::Collected;
use crate::error::Problem;
use crate::reports::Reports;

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
    let response = with_codes(response.await);
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

/// Runs what comes over a socket, whose data was made when it was opened.
#[derive(Clone)]
#[allow(missing_debug_implementations, reason = "a schema has nothing to show")]
pub struct SocketExecutor(pub Schema);

impl Executor for SocketExecutor {
    async fn execute(&self, request: Request) -> Response {
        with_codes(self.0.execute(request).await)
    }

    fn execute_stream(
        &self,
        mut request: Request,
        session_data: Option<Arc<Data>>,
    ) -> BoxStream<'static, Response> {
        let collected = Arc::default();
        let cost = Cost::of(&self.0, &mut request, &collected);
        // What is watched goes on for as long as it likes, and is not collected.
        if cost.is_told()
            && let Some(reports) = self.0.data::<Reports>()
        {
            request.data.insert(reports.collecting(&collected));
        }
        let limits = self.0.data::<Limits>().cloned();
        let identity = session_data
            .as_ref()
            .and_then(|data| data.get(&TypeId::of::<Arc<Identity>>()));
        let identity = identity
            .and_then(|one| one.downcast_ref::<Arc<Identity>>())
            .cloned();
        let responses = Executor::execute_stream(&self.0, request, session_data);
        let paid = async move {
            let (Some(limits), Some(identity)) = (limits, identity) else {
                return responses.map(with_codes).boxed();
            };
            let standing = match limits.take(&identity, Kind::Points, cost.points()).await {
                Ok(standing) => standing,
                Err(problem) => {
                    let error =
                        async_graphql::Error::from(problem).into_server_error(Pos::default());
                    return once(ready(Response::from_errors(vec![error]))).boxed();
                }
            };
            let told = move |response| {
                let response = cost.tell(with_codes(response), standing);
                if cost.is_told() {
                    limits.owe(&identity, cost.points_of_rows());
                }
                response
            };
            responses.map(told).boxed()
        };
        once(paid).flatten().boxed()
    }
}
