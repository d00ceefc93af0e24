//! `GET /graphql` as a WebSocket: subscriptions over graphql-transport-ws.

use std::sync::{Arc, OnceLock};
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
use super::identity::bearer;
use crate::access::Access;
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
pub(super) fn upgrade(state: State, upgrade: WebSocketUpgrade) -> Response {
    let upgrade = upgrade.protocols([PROTOCOL]).max_message_size(MAX_MESSAGE);
    let open = state.sockets.open.clone();
    upgrade.on_upgrade(move |socket| open.track_future(serve(socket, state)))
}

async fn serve(socket: WebSocket, state: State) {
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
        key: OnceLock::new(),
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
            _ = recheck.tick() => {
                if !welcomed && opened.elapsed() >= INIT_TIMEOUT {
                    close(4408, "Connection initialisation timeout")
                } else if guest.may_stay().await {
                    // Notices a client that is gone.
                    Message::Ping(Bytes::new())
                } else {
                    close(4403, Code::UnknownKey.sentence())
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
    key: OnceLock<String>,
}

impl Guest {
    /// Lets in who has a key: the payload is `{"authorization": "Bearer <key>"}`.
    async fn welcome(&self, payload: &Value) -> async_graphql::Result<async_graphql::Data> {
        let key = payload.get("authorization").and_then(Value::as_str);
        let key = key.and_then(bearer).ok_or(Problem::new(Code::MissingKey))?;
        let identity = self.access.identify(&key).await?;
        let _ = self.key.set(key);
        Ok(self.loaders.data_for(identity, tokio::spawn))
    }

    /// Whether the key was not revoked since; a database that is away throws nobody out.
    async fn may_stay(&self) -> bool {
        let Some(key) = self.key.get() else {
            return true;
        };
        let known = self.access.identify(key).await;
        !known.is_err_and(|problem| problem.code == Code::UnknownKey)
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
