//! `GET /graphql` as a WebSocket: subscriptions over graphql-transport-ws.

use std::time::Duration;

use async_graphql::http::{WebSocket as Protocol, WebSocketProtocols, WsMessage};
use axum::extract::State as Extract;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use futures_util::{FutureExt, SinkExt, StreamExt, future, stream};
use serde_json::Value;

use super::State;
use super::identity::bearer;
use crate::access::Access;
use crate::error::{Code, Problem};
use crate::graphql::Loaders;

const PROTOCOL: &str = "graphql-transport-ws";
/// How large a message may be.
const MAX_MESSAGE: usize = 256 * 1024;
/// How long a new connection may be silent.
const INIT_TIMEOUT: Duration = Duration::from_secs(10);

/// Turns a request into a socket.
pub(super) async fn upgrade(
    Extract(state): Extract<State>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade = upgrade.map_err(|_| {
        let detail = "GET /graphql is a WebSocket (graphql-transport-ws); send queries with POST.";
        Problem::with(Code::MethodNotAllowed, detail)
    })?;
    let upgrade = upgrade.protocols([PROTOCOL]).max_message_size(MAX_MESSAGE);
    Ok(upgrade.on_upgrade(move |socket| serve(socket, state)))
}

async fn serve(socket: WebSocket, state: State) {
    let (mut sink, mut messages) = socket.split();
    let Ok(first) = tokio::time::timeout(INIT_TIMEOUT, messages.next()).await else {
        let close = close(4408, "Connection initialisation timeout");
        let _ = sink.send(close).await;
        return;
    };
    let texts = stream::iter(first).chain(messages);
    let texts = texts.filter_map(|message| future::ready(message.ok().and_then(text_of)));
    let (access, loaders) = (state.access, state.loaders);
    let initialise = move |payload: Value| initialise(access, loaders, payload).boxed();
    let protocol = Protocol::new(state.schema, texts.boxed(), WebSocketProtocols::GraphQLWS)
        .on_connection_init(initialise);
    let mut answers = std::pin::pin!(protocol);
    let mut welcomed = false;
    while let Some(answer) = answers.next().await {
        let message = match answer {
            WsMessage::Text(text) => {
                welcomed |= text.contains("connection_ack");
                Message::Text(text.into())
            }
            // The library's 1002 would say that the client broke the protocol.
            WsMessage::Close(1002, reason) if !welcomed => close(4403, &reason),
            WsMessage::Close(code, reason) => close(code, &reason),
        };
        if sink.send(message).await.is_err() {
            return;
        }
    }
}

/// Who is asking: the payload is `{"authorization": "Bearer <key>"}`.
async fn initialise(
    access: Access,
    loaders: Loaders,
    payload: Value,
) -> async_graphql::Result<async_graphql::Data> {
    let key = payload.get("authorization").and_then(Value::as_str);
    let key = key.and_then(bearer).ok_or(Problem::new(Code::MissingKey))?;
    let identity = access.identify(&key).await?;
    Ok(loaders.data_for(identity))
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
