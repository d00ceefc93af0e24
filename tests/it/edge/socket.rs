//! graphql-transport-ws to the letter: each close code, and what stays open.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tidewater::access::{Scope, keys};
use tidewater::clock::Clock;
use tidewater::domain::tenant::TenantId;
use tidewater::storage::Db;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{Frame, FrameHeader};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::support::{KEY, Subscription, TestApp};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A socket that offers these protocols.
async fn open(app: &TestApp, protocols: Option<&str>) -> Socket {
    let url = format!("{}/graphql", app.url.replacen("http", "ws", 1));
    let mut request = url.into_client_request().unwrap();
    if let Some(protocols) = protocols {
        let value = protocols.parse().unwrap();
        request
            .headers_mut()
            .insert("sec-websocket-protocol", value);
    }
    let connected = connect_async(request).await;
    connected.unwrap().0
}

/// What comes next of messages; the close code and its reason at the end.
async fn hear(socket: &mut Socket) -> Result<Value, (u16, String)> {
    loop {
        let message = tokio::time::timeout(Duration::from_secs(20), socket.next()).await;
        match message.expect("the server is silent") {
            Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
            Some(Ok(Message::Close(Some(frame)))) => {
                return Err((frame.code.into(), frame.reason.to_string()));
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            other => return Err((1006, format!("{other:?}"))),
        }
    }
}

async fn say(socket: &mut Socket, message: &Value) {
    socket
        .send(Message::text(message.to_string()))
        .await
        .unwrap();
}

fn init(key: &str) -> Value {
    json!({"type": "connection_init", "payload": {"Authorization": format!("Bearer {key}")}})
}

fn subscribe(id: &str, query: &str) -> Value {
    json!({"type": "subscribe", "id": id, "payload": {"query": query}})
}

const WATCH: &str = "subscription { liveSales(window: ONE_HOUR) { orders } }";

/// A socket whose key was accepted.
async fn welcomed(app: &TestApp) -> Socket {
    let mut socket = open(app, Some("graphql-transport-ws")).await;
    say(&mut socket, &init(KEY)).await;
    assert_eq!(
        hear(&mut socket).await,
        Ok(json!({"type": "connection_ack"}))
    );
    socket
}

#[tokio::test]
async fn every_breach_of_the_protocol_has_its_close_code() {
    let app = TestApp::start().await;
    let breach = async |messages: &[Value]| {
        let mut socket = open(&app, Some("graphql-transport-ws")).await;
        for message in messages {
            say(&mut socket, message).await;
        }
        loop {
            if let Err(end) = hear(&mut socket).await {
                return end;
            }
        }
    };
    let ends = |code: u16, reason: &str| (code, reason.to_owned());
    assert_eq!(
        breach(&[subscribe("1", WATCH)]).await,
        ends(4401, "Unauthorized")
    );
    let unknown =
        "The API key is not known. Check it, or make a new one with `tidewater keys create`.";
    assert_eq!(breach(&[init("nobody")]).await, ends(4403, unknown));
    assert_eq!(
        breach(&[init(KEY), init(KEY)]).await,
        ends(4429, "Too many initialisation requests")
    );
    assert_eq!(
        breach(&[init(KEY), subscribe("one", WATCH), subscribe("one", WATCH)]).await,
        ends(4409, "Subscriber for one already exists")
    );
    for wrong in [
        json!("hello"),
        json!({"type": "start", "id": "1"}),
        json!({"type": "subscribe", "payload": {"query": WATCH}}),
        json!({"type": "subscribe", "id": "1", "payload": {"query": null}}),
        json!({"type": "complete"}),
        json!({"type": "connection_init", "payload": []}),
    ] {
        let (code, reason) = breach(std::slice::from_ref(&wrong)).await;
        assert_eq!(code, 4400, "{wrong}: {reason}");
        assert!(reason.starts_with("Invalid message"), "{reason}");
    }
}

#[tokio::test]
async fn frames_that_are_no_messages_end_the_socket() {
    let app = TestApp::start().await;
    let mut socket = welcomed(&app).await;
    socket.send(Message::text("not JSON")).await.unwrap();
    assert_eq!(hear(&mut socket).await.unwrap_err().0, 4400);

    let mut socket = welcomed(&app).await;
    socket
        .send(Message::binary(r#"{"type":"ping"}"#))
        .await
        .unwrap();
    assert_eq!(hear(&mut socket).await.unwrap_err().0, 4400);

    let mut socket = welcomed(&app).await;
    let broken = Frame::message(vec![0xff, 0xfe], OpCode::Data(Data::Text), true);
    socket.send(Message::Frame(broken)).await.unwrap();
    assert_eq!(hear(&mut socket).await.unwrap_err().0, 1007);

    let mut socket = welcomed(&app).await;
    let header = FrameHeader {
        opcode: OpCode::Data(Data::Text),
        ..FrameHeader::default()
    };
    let long = Frame::from_payload(header, vec![b' '; 300 * 1024].into());
    let _ = socket.send(Message::Frame(long)).await;
    assert_eq!(hear(&mut socket).await.unwrap_err().0, 1009);
}

#[tokio::test]
async fn another_protocol_or_none_is_not_acceptable() {
    let app = TestApp::start().await;
    for protocols in [None, Some("graphql-ws"), Some("a, b")] {
        let url = format!("{}/graphql", app.url.replacen("http", "ws", 1));
        let mut request = url.into_client_request().unwrap();
        // The client refuses a server that speaks none of its protocols; so none is offered by name.
        if let Some(protocols) = protocols {
            request
                .headers_mut()
                .insert("sec-websocket-protocol", protocols.parse().unwrap());
        }
        // RFC 6455 lets a client give up here; others hear 4406.
        let Ok((mut socket, _)) = connect_async(request).await else {
            continue;
        };
        assert_eq!(
            hear(&mut socket).await.unwrap_err().0,
            4406,
            "{protocols:?}"
        );
    }
    let mut socket = open(&app, Some("graphql-ws, graphql-transport-ws")).await;
    say(&mut socket, &init(KEY)).await;
    assert!(hear(&mut socket).await.is_ok());
}

#[tokio::test]
async fn an_id_is_free_again_once_its_operation_is_over() {
    let app = TestApp::start().await;
    let mut socket = welcomed(&app).await;
    for _ in 0..2 {
        say(&mut socket, &subscribe("q", "{ __typename }")).await;
        let next = hear(&mut socket).await.unwrap();
        assert_eq!((&next["id"], &next["type"]), (&json!("q"), &json!("next")));
        assert_eq!(next["payload"]["data"], json!({"__typename": "Query"}));
        assert_eq!(
            hear(&mut socket).await,
            Ok(json!({"id": "q", "type": "complete"}))
        );
    }
    for _ in 0..2 {
        say(&mut socket, &subscribe("w", WATCH)).await;
        assert_eq!(hear(&mut socket).await.unwrap()["type"], "next");
        say(&mut socket, &json!({"type": "complete", "id": "w"})).await;
    }
    // What is not open can be completed, too.
    say(&mut socket, &json!({"type": "complete", "id": "nothing"})).await;
    say(&mut socket, &subscribe("bad", "{ nothing }")).await;
    let error = hear(&mut socket).await.unwrap();
    assert_eq!(
        (&error["type"], &error["payload"][0]["extensions"]["code"]),
        (&json!("error"), &json!("invalid_query"))
    );
    say(&mut socket, &subscribe("bad", "{ __typename }")).await;
    assert_eq!(hear(&mut socket).await.unwrap()["type"], "next");
    assert_eq!(hear(&mut socket).await.unwrap()["type"], "complete");
    say(&mut socket, &json!({"type": "ping", "payload": {"a": 1}})).await;
    assert_eq!(
        hear(&mut socket).await,
        Ok(json!({"type": "pong", "payload": {"a": 1}}))
    );
    say(&mut socket, &json!({"type": "pong"})).await;
    say(&mut socket, &subscribe("m", "mutation { __typename }")).await;
    assert_eq!(
        hear(&mut socket).await.unwrap()["payload"]["data"]["__typename"],
        "Mutation"
    );
}

#[tokio::test]
async fn a_client_that_says_goodbye_is_told_goodbye() {
    let app = TestApp::start().await;
    let mut socket = welcomed(&app).await;
    let frame = CloseFrame {
        code: CloseCode::Normal,
        reason: "enough".into(),
    };
    socket.send(Message::Close(Some(frame))).await.unwrap();
    assert_eq!(hear(&mut socket).await.unwrap_err().0, 1000);
}

#[tokio::test]
async fn a_socket_and_a_key_have_a_bounded_number_of_operations() {
    let app = TestApp::start().await;
    let refused = async |socket: &mut Socket, wanted: usize| {
        let mut refused = 0;
        for id in 0..wanted {
            say(socket, &subscribe(&format!("{id}"), WATCH)).await;
            let heard = hear(socket).await.unwrap();
            if heard["type"] == "error" {
                assert_eq!(
                    heard["payload"][0]["extensions"]["code"],
                    "too_many_operations"
                );
                refused += 1;
            }
        }
        refused
    };
    let mut first = welcomed(&app).await;
    assert_eq!(refused(&mut first, 102).await, 2);
    let mut second = welcomed(&app).await;
    assert_eq!(refused(&mut second, 100).await, 0);
    let mut third = welcomed(&app).await;
    assert_eq!(refused(&mut third, 60).await, 4);
    // As events, too: it is the key that has too many.
    let events = app
        .request(reqwest::Method::POST, "/graphql")
        .header("accept", "text/event-stream");
    let events = events.json(&json!({"query": WATCH})).send().await.unwrap();
    assert_eq!(events.status(), 429);
    drop((first, second));
    let mut fourth = welcomed(&app).await;
    while refused(&mut fourth, 1).await == 1 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_key_that_is_revoked_ends_its_sockets_and_no_others() {
    let app = TestApp::start().await;
    let db = Db::open(&app.db.url(), |_| ()).await.unwrap();
    let now = Clock::System.now();
    let tenant = keys::ensure_tenant(&db, keys::DEFAULT_TENANT)
        .await
        .unwrap();
    let tenant = TenantId(tenant.tenant_id);
    let key = keys::create(&db, tenant, "partner", &[Scope::Read], now)
        .await
        .unwrap();
    let mut partner = Subscription::begin(&app.url, &key, WATCH).await;
    partner.next().await;
    let mut own = app.subscribe(WATCH).await;
    own.next().await;
    let listed = keys::list(&db, tenant).await.unwrap();
    let found = listed.iter().find(|key| key.label == "partner").unwrap();
    assert!(keys::revoke(&db, found.api_key_id, now).await.unwrap());
    assert_eq!(partner.hear().await, Err(4403));
    own.say(json!({"type": "ping"})).await;
    assert_eq!(own.hear().await.unwrap()["type"], "pong");
}
