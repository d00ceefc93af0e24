//! `GET /graphql` as a WebSocket: subscriptions over graphql-transport-ws.

use std::time::Duration;

use async_graphql::http::{WebSocket as Protocol, WebSocketProtocols, WsMessage};
use axum::extract::State as Extract;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use futures_util::{SinkExt, StreamExt, future, stream};
use serde_json::Value;

use super::State;
use super::identity::bearer;
use crate::error::{Code, Problem};

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
    let initialise = async move |payload: Value| {
        let key = payload
            .get("authorization")
            .and_then(Value::as_str)
            .and_then(bearer);
        let identity = match key {
            Some(key) => access.identify(&key).await,
            None => Err(Code::MissingKey.into()),
        };
        identity
            .map(|identity| loaders.data_for(identity))
            .map_err(async_graphql::Error::from)
    };
    let protocol = Protocol::new(state.schema, texts, WebSocketProtocols::GraphQLWS)
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
