//! One operation of a socket: what the client is told of it, in order.

use std::net::IpAddr;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::{BoxStream, unfold};

use super::protocol::about;
use crate::access::Identity;
use crate::graphql::{Request, Told, Way, watch};
use crate::http::State;
use crate::http::operations::Operation;

/// What is told of an operation.
pub(super) enum Step {
    /// A message.
    Message(String),
    /// A message, and that the operation of this id is over.
    Last(String, String),
}

struct Running {
    id: String,
    told: Option<BoxStream<'static, Told>>,
    is_first: bool,
    _operation: Operation,
}

/// Runs an operation of this id: `next` as often as there is something, then `complete`; `error` if
/// it could not begin.
pub(super) fn run(
    state: State,
    who: (Arc<Identity>, Option<IpAddr>),
    id: String,
    request: Request,
    operation: Operation,
) -> BoxStream<'static, Step> {
    let begin = async move {
        let told = watch(state.answering(), who, request, Way::Talk).await;
        let running = Running {
            id,
            told: Some(told),
            is_first: true,
            _operation: operation,
        };
        unfold(running, Running::step)
    };
    futures_util::stream::once(begin).flatten().boxed()
}

impl Running {
    async fn step(mut self) -> Option<(Step, Self)> {
        let told = self.told.as_mut()?.next().await;
        let (step, is_over) = match told {
            Some(Told {
                errors: Some(errors),
                ..
            }) if self.is_first => {
                let message = about(&self.id, "error", Some(&errors));
                (Step::Last(self.id.clone(), message), true)
            }
            Some(told) => {
                let message = about(&self.id, "next", Some(&told.body));
                (Step::Message(message), false)
            }
            None => {
                let message = about(&self.id, "complete", None);
                (Step::Last(self.id.clone(), message), true)
            }
        };
        self.is_first = false;
        if is_over {
            self.told = None;
        }
        Some((step, self))
    }
}
