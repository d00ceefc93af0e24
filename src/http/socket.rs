//! `GET /graphql` as a WebSocket: graphql-transport-ws, by a state machine of our own.
//!
//! All of a socket is one task: it reads a message, or sends one, or looks whether the key is still
//! good. While a client does not take what it is sent, nothing more is made for it, and nothing is
//! read from it.

mod operation;
mod protocol;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{AbortHandle, Abortable, BoxStream, SelectAll};
use serde_json::{Value, json};
use tokio::time::{Instant, interval_at, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::operation::Step;
use self::protocol::{ACK, End, Said};
use super::State;
use super::identity::{Whence, bearer};
use super::operations::still;
use crate::access::{Credentials, Identity};
use crate::error::{Code, Problem};
use crate::graphql::Request;

const PROTOCOL: &str = "graphql-transport-ws";
/// How large a message may be.
const MAX_MESSAGE: usize = 256 * 1024;
/// How many operations a socket may have open.
const OPERATIONS: usize = 100;
/// How long a new connection may name no key.
const INIT_TIMEOUT: Duration = Duration::from_secs(10);
/// How often it is asked whether the key is still good.
const RECHECK: Duration = Duration::from_secs(1);
/// After how many of those looks the client is asked whether it is there,
const BEATS: u32 = 15;
/// and after how many without a word it is given up.
const SILENCE: u32 = 50;
/// How long a client may take to accept a message before it is given up.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a client may take to answer the end.
const LINGER: Duration = Duration::from_secs(1);
/// How long closing sockets are waited for.
const FAREWELL: Duration = Duration::from_secs(2);

/// The sockets that are open.
#[derive(Clone, Debug, Default)]
pub struct Sockets {
    closing: CancellationToken,
    open: TaskTracker,
}

impl Sockets {
    /// Tells every client that the server restarts, so that it connects again, and waits a while
    /// until it is told.
    pub async fn close(&self) {
        self.closing.cancel();
        self.open.close();
        let _ = tokio::time::timeout(FAREWELL, self.open.wait()).await;
    }

    /// Cancelled when the server stops.
    pub(super) fn closing(&self) -> &CancellationToken {
        &self.closing
    }
}

/// Turns a request into a socket.
pub(super) fn upgrade(state: State, upgrade: WebSocketUpgrade, whence: Whence) -> Response {
    let upgrade = upgrade
        .protocols([PROTOCOL])
        .max_message_size(MAX_MESSAGE)
        .max_frame_size(MAX_MESSAGE);
    let speaks = upgrade.selected_protocol().is_some();
    let open = state.sockets.open.clone();
    upgrade.on_upgrade(move |socket| open.track_future(serve(socket, state, whence, speaks)))
}

async fn serve(mut socket: WebSocket, state: State, whence: Whence, speaks: bool) {
    let end = if speaks {
        Box::pin(Talk::new(state, whence).go_on(&mut socket)).await
    } else {
        Some(End::unacceptable())
    };
    let farewell = async {
        if let Some(End(code, reason)) = end {
            // A close frame holds 123 bytes of reason.
            let reason = &reason[..reason.floor_char_boundary(123)];
            let frame = CloseFrame {
                code,
                reason: reason.into(),
            };
            let _ = socket.send(Message::Close(Some(frame))).await;
        }
        // Until both have said goodbye: a connection that is dropped with something unread, or
        // unsent, would lose what was said last.
        while let Some(Ok(_)) = socket.recv().await {}
    };
    let _ = tokio::time::timeout(LINGER, farewell).await;
}

/// A conversation.
struct Talk {
    state: State,
    whence: Whence,
    /// Who is there, and what they showed, once it was said.
    guest: Option<(Credentials, Arc<Identity>)>,
    /// Looks since something was heard, and since the client was asked whether it is there.
    silence: u32,
    beats: u32,
    running: SelectAll<Abortable<BoxStream<'static, Step>>>,
    open: HashMap<String, AbortHandle>,
}

impl Talk {
    fn new(state: State, whence: Whence) -> Self {
        Self {
            state,
            whence,
            guest: None,
            silence: 0,
            beats: 0,
            running: SelectAll::new(),
            open: HashMap::new(),
        }
    }

    /// Goes on until one of both ends it; nothing if there is nobody to tell.
    async fn go_on(mut self, socket: &mut WebSocket) -> Option<End> {
        let deadline = Instant::now() + INIT_TIMEOUT;
        let mut looks = interval_at(Instant::now() + RECHECK, RECHECK);
        let closing = self.state.sockets.closing().clone();
        let mut changes = self.state.access.changes();
        loop {
            let answer = tokio::select! {
                () = closing.cancelled() => return Some(End::restart()),
                () = sleep_until(deadline), if self.guest.is_none() => return Some(End::silent()),
                _ = looks.tick() => self.look().await,
                // A key changed; it may be this one.
                Ok(()) = changes.changed() => self.look_at_key().await.map(|()| None),
                Some(step) = self.running.next(), if !self.running.is_empty() => {
                    Ok(Some(self.tell(step)))
                }
                heard = socket.recv() => match heard {
                    None | Some(Ok(Message::Close(_))) => return None,
                    Some(Err(error)) => return unreadable(&error),
                    Some(Ok(message)) => {
                        self.silence = 0;
                        self.hear(message).await
                    }
                },
            };
            let message = match answer {
                Ok(None) => continue,
                Ok(Some(message)) => message,
                Err(end) => return Some(end),
            };
            let sent = tokio::time::timeout(PATIENCE, socket.send(message)).await;
            if !matches!(sent, Ok(Ok(()))) {
                return None;
            }
        }
    }

    /// Looks whether the key is still good, and from time to time whether the client is there.
    async fn look(&mut self) -> Result<Option<Message>, End> {
        self.look_at_key().await?;
        self.silence += 1;
        self.beats += 1;
        if self.silence >= SILENCE {
            return Err(End(1001, "The client is silent".to_owned()));
        }
        if self.beats < BEATS {
            return Ok(None);
        }
        self.beats = 0;
        Ok(Some(Message::Ping(Bytes::new())))
    }

    async fn look_at_key(&mut self) -> Result<(), End> {
        if let Some((shown, identity)) = &mut self.guest {
            let now = still(&self.state.access, shown, identity).await;
            *identity = now.map_err(End::of)?;
        }
        Ok(())
    }

    /// What is told of an operation.
    fn tell(&mut self, step: Step) -> Message {
        Message::Text(match step {
            Step::Message(text) => text.into(),
            Step::Last(id, text) => {
                self.open.remove(&id);
                text.into()
            }
        })
    }

    /// Hears a message, and what is to be said to it.
    async fn hear(&mut self, message: Message) -> Result<Option<Message>, End> {
        let text = match message {
            Message::Text(text) => text,
            Message::Binary(_) => return Err(End::invalid("Invalid message: it is no text")),
            // The library answers pings.
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) => return Ok(None),
        };
        let answer = match protocol::read(&text)? {
            Said::Init(payload) => {
                self.welcome(&payload).await?;
                ACK.to_owned()
            }
            Said::Ping(payload) => protocol::pong(payload.as_deref()),
            Said::Pong => return Ok(None),
            Said::Complete(id) => {
                if let Some(handle) = self.open.remove(&id) {
                    handle.abort();
                }
                return Ok(None);
            }
            Said::Subscribe(id, request) => match self.begin(&id, request)? {
                Ok(()) => return Ok(None),
                Err(problem) => {
                    let errors = json!([{
                        "message": problem.message(),
                        "extensions": {"code": problem.code.name()},
                    }]);
                    protocol::about(&id, "error", Some(&errors.to_string()))
                }
            },
        };
        Ok(Some(Message::Text(answer.into())))
    }

    /// Lets in who has a key: the payload is `{"authorization": "Bearer <key>"}`.
    async fn welcome(&mut self, payload: &HashMap<String, Value>) -> Result<(), End> {
        if self.guest.is_some() {
            return Err(End::twice());
        }
        let named = |(name, _): &(&String, &Value)| name.eq_ignore_ascii_case("authorization");
        let header = payload
            .iter()
            .find(named)
            .and_then(|(_, value)| value.as_str());
        let key = header.and_then(bearer).ok_or_else(End::forbidden)?;
        let shown = self.whence.clone().with(key);
        let identity = self
            .state
            .access
            .identify(&shown)
            .await
            .map_err(|problem| {
                if problem.code.status() >= 500 {
                    End::later()
                } else {
                    End::of(problem.code)
                }
            })?;
        self.guest = Some((shown, identity));
        Ok(())
    }

    /// Begins an operation. The inner error is told to the client; the conversation goes on.
    fn begin(
        &mut self,
        id: &str,
        request: Result<Box<Request>, Problem>,
    ) -> Result<Result<(), Problem>, End> {
        let (shown, identity) = self.guest.as_ref().ok_or_else(End::unauthorized)?;
        if self.open.contains_key(id) {
            return Err(End::taken(id));
        }
        if self.open.len() >= OPERATIONS {
            return Ok(Err(Code::TooManyOperations.into()));
        }
        let opened =
            request.and_then(|request| Ok((request, self.state.operations.open(identity)?)));
        let (request, operation) = match opened {
            Ok(opened) => opened,
            Err(problem) => return Ok(Err(problem)),
        };
        let state = self.state.clone();
        let who = (Arc::clone(identity), shown.address);
        let steps = operation::run(state, who, id.to_owned(), *request, operation);
        let (handle, registration) = AbortHandle::new_pair();
        self.running.push(Abortable::new(steps, registration));
        self.open.insert(id.to_owned(), handle);
        Ok(Ok(()))
    }
}

/// Says what is wrong with what cannot be read as a message at all.
fn unreadable(error: &axum::Error) -> Option<End> {
    let text = error.to_string();
    if text.contains("UTF-8") || text.contains("utf-8") {
        return Some(End(1007, "The message is not UTF-8".to_owned()));
    }
    let too_long = text.contains("too long") || text.contains("too big");
    too_long.then(|| End(1009, format!("A message has at most {MAX_MESSAGE} bytes")))
}
