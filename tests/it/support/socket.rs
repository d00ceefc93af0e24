//! A client of graphql-transport-ws.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// A subscription on a socket of its own.
pub struct Subscription {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Subscription {
    /// Connects with a key and subscribes.
    pub async fn begin(url: &str, key: &str, query: &str) -> Self {
        let mut subscription = Self::connect(url).await;
        subscription.say(json!({"type": "connection_init", "payload": {"authorization": format!("Bearer {key}")}})).await;
        assert_eq!(subscription.hear().await.unwrap()["type"], "connection_ack");
        subscription
            .say(json!({"id": "1", "type": "subscribe", "payload": {"query": query}}))
            .await;
        subscription
    }

    /// Connects and says nothing.
    pub async fn connect(url: &str) -> Self {
        let url = format!("{}/graphql", url.replacen("http", "ws", 1));
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().insert(
            "sec-websocket-protocol",
            "graphql-transport-ws".parse().unwrap(),
        );
        let (socket, _) = connect_async(request).await.unwrap();
        Self { socket }
    }

    /// Sends a message.
    pub async fn say(&mut self, message: Value) {
        self.socket
            .send(Message::text(message.to_string()))
            .await
            .unwrap();
    }

    /// The next message; the code of the close frame if the server ends the talk.
    pub async fn hear(&mut self) -> Result<Value, u16> {
        loop {
            let message = tokio::time::timeout(Duration::from_secs(20), self.socket.next()).await;
            match message.expect("the server is silent") {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(frame))) => {
                    return Err(frame.map_or(1005, |frame| frame.code.into()));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(1006),
            }
        }
    }

    /// The data of the next value.
    pub async fn next(&mut self) -> Value {
        let mut message = self.hear().await.unwrap();
        assert_eq!(message["type"], "next", "{message}");
        assert!(message["payload"].get("errors").is_none(), "{message}");
        message["payload"]["data"].take()
    }

    /// Whether nothing comes for a while.
    pub async fn is_silent_for(&mut self, time: Duration) -> bool {
        let something = async {
            // The server asks from time to time whether we are there.
            while let Some(Ok(Message::Ping(_))) = self.socket.next().await {}
        };
        tokio::time::timeout(time, something).await.is_err()
    }
}
