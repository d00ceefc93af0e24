//! The server is killed while shops send to it: what was acknowledged is there, once.

use std::collections::HashSet;
use std::time::Duration;

use sea_orm::sqlx;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::support::{KEY, Order, Process, TestDb, assert_consistent, pageview};

const SENDERS: usize = 4;
const KILLS: usize = 5;

/// What senders know of the server.
#[derive(Clone)]
struct Server {
    url: String,
    /// Whether they shall go on.
    wanted: bool,
}

/// A batch in which some orders share minutes, users and products with those of others.
fn batch(sender: usize, n: usize) -> Vec<Value> {
    let one = |k: usize| {
        let (user, time) = (
            format!("u{}", k % 5),
            format!("2026-03-01T{:02}:{:02}:00Z", n % 24, k % 60),
        );
        if k.is_multiple_of(3) {
            return pageview(&user, &format!("/{sender}"), time);
        }
        let order = Order::of(["mug", "tea"][k % 2]).by(&user).at(time);
        order.with("region", format!("r{}", k % 4)).event()
    };
    (0..40).map(one).collect()
}

/// Sends a batch; whether it was acknowledged, every event of it.
async fn post(client: &reqwest::Client, url: &str, batch: &[Value]) -> bool {
    let request = client.post(format!("{url}/v1/batch")).bearer_auth(KEY);
    let Ok(response) = request.json(&batch).send().await else {
        return false;
    };
    if !response.status().is_success() {
        return false;
    }
    let Ok(answer) = response.json::<Value>().await else {
        return false;
    };
    assert_eq!(
        (&answer["conflicts"], &answer["rejected"]),
        (&json!(0), &json!(0)),
        "{answer}"
    );
    true
}

/// Sends batch after batch, each until it is acknowledged (or, `once`, not again), while it is
/// wanted; the ids that were acknowledged.
async fn send(sender: usize, server: watch::Receiver<Server>, once: bool) -> Vec<Uuid> {
    let builder = reqwest::Client::builder().no_proxy();
    let client = builder.timeout(Duration::from_secs(30)).build().unwrap();
    let mut acknowledged = Vec::new();
    for n in 0.. {
        let batch = batch(sender, n);
        loop {
            let Server { url, wanted } = server.borrow().clone();
            if post(&client, &url, &batch).await {
                let ids = batch.iter().map(|event| event["eventId"].as_str().unwrap());
                acknowledged.extend(ids.map(|id| id.parse::<Uuid>().unwrap()));
                break;
            }
            if once || (!wanted && url.is_empty()) {
                return acknowledged;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        if !server.borrow().wanted {
            break;
        }
    }
    acknowledged
}

fn start_senders(server: &watch::Receiver<Server>, once: bool) -> JoinSet<Vec<Uuid>> {
    (0..SENDERS)
        .map(|sender| send(sender, server.clone(), once))
        .collect()
}

/// The ids of all events that are stored.
pub async fn stored(db: &TestDb) -> HashSet<Uuid> {
    let ids: Vec<Uuid> = sqlx::query_scalar("SELECT event_id FROM event")
        .fetch_all(&mut db.connect().await)
        .await
        .unwrap();
    ids.into_iter().collect()
}

#[tokio::test]
async fn what_is_acknowledged_is_stored_exactly_once_however_often_the_server_is_killed() {
    let db = TestDb::migrated().await;
    let url = db.url();
    let (process, all) = kill_while_sending(&[("DATABASE_URL", url.as_str())]).await;
    assert!(
        stored(&db).await == all,
        "what is stored is not what was acknowledged"
    );
    assert_consistent(&db).await;
    assert!(process.terminate().await);
}

/// Kills servers with these variables while shops send to them, each batch until it is
/// acknowledged: the last server, and the ids of all events.
pub async fn kill_while_sending(variables: &[(&str, &str)]) -> (Process, HashSet<Uuid>) {
    let mut process = Process::serve(variables).await;
    let (tell, server) = watch::channel(Server {
        url: process.url.clone(),
        wanted: true,
    });
    let senders = start_senders(&server, false);
    for _ in 0..KILLS {
        tokio::time::sleep(Duration::from_millis(rand::random_range(50..500))).await;
        process.kill().await;
        process = Process::serve(variables).await;
        tell.send_modify(|server| server.url.clone_from(&process.url));
    }
    tell.send_modify(|server| server.wanted = false);
    let acknowledged: Vec<Uuid> = senders.join_all().await.concat();

    // Each batch was sent until it was acknowledged: nothing else may be there.
    let all: HashSet<Uuid> = acknowledged.iter().copied().collect();
    assert!(all.len() == acknowledged.len() && all.len() >= SENDERS * 40);
    (process, all)
}

#[tokio::test]
async fn a_server_that_is_told_to_stop_stores_what_it_acknowledged_and_ends_well() {
    let db = TestDb::migrated().await;
    let url = db.url();
    let process = Process::serve(&[("DATABASE_URL", url.as_str())]).await;
    let (_tell, server) = watch::channel(Server {
        url: process.url.clone(),
        wanted: true,
    });
    // They send until the first refusal.
    let senders = start_senders(&server, true);
    tokio::time::sleep(Duration::from_millis(rand::random_range(300..600))).await;
    assert!(process.terminate().await, "it did not end well");
    let acknowledged: Vec<Uuid> = senders.join_all().await.concat();

    let stored = stored(&db).await;
    assert!(!acknowledged.is_empty());
    assert!(
        acknowledged.iter().all(|id| stored.contains(id)),
        "an acknowledged event is lost"
    );
    assert_consistent(&db).await;
}
