//! `GET /graphql` as a WebSocket: subscriptions over graphql-transport-ws.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use async_graphql::http::{WebSocket as Protocol, WebSocketProtocols, WsMessage};
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use bytes::Bytes;
use futures_util::{FutureExt, SinkExt, StreamExt, future, stream};
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::State;
use super::identity::{Whence, bearer};
use crate::access::{Access, Credentials, Identity};
use crate::error::{Code, Problem};
use crate::graphql::{Loaders, SocketExecutor};

const PROTOCOL: &str = "graphql-transport-ws";
/// How large a message may be.
const MAX_MESSAGE: usize = 256 * 1024;
/// How long a new connection may be silent.
const INIT_TIMEOUT: Duration = Duration::from_secs(10);
/// How often it is asked whether the key was revoked.
const RECHECK: Duration = Duration::from_secs(5);
/// How long a client may take to accept a message before it is given up.
const PATIENCE: Duration = Duration::from_secs(10);
/// A clock may be set: how long one waits at most until the time is looked at again.
const LONGEST_SLEEP: Duration = Duration::from_hours(1);
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
}

/// Turns a request into a socket.
pub(super) fn upgrade(state: State, upgrade: WebSocketUpgrade, whence: Whence) -> Response {
    let upgrade = upgrade.protocols([PROTOCOL]).max_message_size(MAX_MESSAGE);
    let open = state.sockets.open.clone();
    upgrade.on_upgrade(move |socket| open.track_future(serve(socket, state, whence)))
}

async fn serve(socket: WebSocket, state: State, whence: Whence) {
    let (mut sink, messages) = socket.split();
    let texts = messages.filter_map(|message| future::ready(message.ok().and_then(text_of)));
    let mut texts = texts.boxed();
    let Ok(first) = tokio::time::timeout(INIT_TIMEOUT, texts.next()).await else {
        let close = close(4408, "Connection initialisation timeout");
        let _ = sink.send(close).await;
        return;
    };
    let texts = stream::iter(first).chain(texts);
    let guest = Arc::new(Guest {
        access: state.access,
        loaders: state.loaders,
        whence,
        shown: OnceLock::new(),
        identity: Mutex::default(),
    });
    let newcomer = Arc::clone(&guest);
    let initialise = move |payload: Value| async move { newcomer.welcome(&payload).await }.boxed();
    let protocol = Protocol::new(
        SocketExecutor(state.schema),
        texts,
        WebSocketProtocols::GraphQLWS,
    )
    .on_connection_init(initialise);
    let mut answers = std::pin::pin!(protocol);
    let mut changes = guest.access.changes();
    let mut recheck = tokio::time::interval(RECHECK);
    let opened = Instant::now();
    let mut welcomed = false;
    loop {
        let message = tokio::select! {
            answer = answers.next() => match answer {
                None => return,
                Some(WsMessage::Text(text)) => {
                    welcomed |= text.contains("connection_ack");
                    Message::Text(text.into())
                }
                // The library's 1002 would say that the client broke the protocol.
                Some(WsMessage::Close(1002, reason)) if !welcomed => close(4403, &reason),
                Some(WsMessage::Close(code, reason)) => close(code, &reason),
            },
            // Service restart: clients connect again.
            () = state.sockets.closing.cancelled() => close(1012, "The server is stopping"),
            // A key changed; it may be this one. Or this one expired.
            Ok(()) = changes.changed() => match guest.must_go().await {
                None => continue,
                Some(code) => close(4403, code.sentence()),
            },
            () = guest.expired() => close(4403, Code::ExpiredKey.sentence()),
            _ = recheck.tick() => {
                if !welcomed && opened.elapsed() >= INIT_TIMEOUT {
                    close(4408, "Connection initialisation timeout")
                } else if let Some(code) = guest.must_go().await {
                    close(4403, code.sentence())
                } else {
                    // Notices a client that is gone.
                    Message::Ping(Bytes::new())
                }
            }
        };
        let is_last = matches!(message, Message::Close(_));
        let sent = tokio::time::timeout(PATIENCE, sink.send(message)).await;
        if !matches!(sent, Ok(Ok(()))) || is_last {
            return;
        }
    }
}

/// Who is at the other end.
struct Guest {
    access: Access,
    loaders: Loaders,
    whence: Whence,
    shown: OnceLock<Credentials>,
    identity: Mutex<Option<Arc<Identity>>>,
}

impl Guest {
    /// Lets in who has a key: the payload is `{"authorization": "Bearer <key>"}`.
    async fn welcome(&self, payload: &Value) -> async_graphql::Result<async_graphql::Data> {
        let key = payload.get("authorization").and_then(Value::as_str);
        let key = key.and_then(bearer).ok_or(Problem::new(Code::MissingKey))?;
        let shown = self.whence.clone().with(key);
        let identity = self.access.identify(&shown).await?;
        let _ = self.shown.set(shown);
        self.note(&identity);
        Ok(self.loaders.data_for(identity, tokio::spawn))
    }

    /// Why who was let in may not stay, if so; a database that is away throws nobody out.
    async fn must_go(&self) -> Option<Code> {
        let shown = self.shown.get()?;
        match self.access.identify(shown).await {
            Ok(identity) => {
                let is_same = self.note(&identity);
                // What was begun was begun with what the key could do then.
                (!is_same).then_some(Code::RevokedKey)
            }
            Err(problem) => (problem.code.status() < 500).then_some(problem.code),
        }
    }

    /// Notes who it is; whether they can do what they could.
    fn note(&self, now: &Arc<Identity>) -> bool {
        let mut known = self.identity.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known.replace(Arc::clone(now));
        before.is_none_or(|before| before.is_as_able_as(now))
    }

    /// Waits until the key expires, for ever if it does not.
    async fn expired(&self) {
        let end = {
            let known = self.identity.lock().unwrap_or_else(PoisonError::into_inner);
            known.as_ref().and_then(|identity| identity.expires_at())
        };
        match end.map(|end| (end - self.access.now()).to_std().unwrap_or_default()) {
            Some(left) => tokio::time::sleep(left.min(LONGEST_SLEEP)).await,
            None => future::pending().await,
        }
        if !self.access.has_expired(end) {
            future::pending().await
        }
    }
}

fn text_of(message: Message) -> Option<Vec<u8>> {
    match message {
        Message::Text(text) => Some(text.as_bytes().to_vec()),
        Message::Binary(bytes) => Some(bytes.to_vec()),
        _ => None,
    }
}

fn close(code: u16, reason: &str) -> Message {
    // A close frame holds 123 bytes of reason.
    let end = reason.floor_char_boundary(123);
    let reason = &reason[..end];
    Message::Close(Some(CloseFrame {
        code,
        reason: reason.into(),
    }))
}
