//! A Redis Cluster of three nodes.

use std::time::Duration;

use tidewater::app::Role;

use super::{events, until_stored};
use crate::support::{Redis, TestApp, TestDb, assert_consistent};

/// Three nodes that share the slots.
async fn cluster() -> Vec<Redis> {
    let settings = ["--cluster-enabled", "yes", "--appendonly", "yes"];
    let mut nodes = Vec::new();
    for n in 0..3_u32 {
        let node = Redis::with(&settings).await;
        let mut slots = redis::cmd("CLUSTER");
        let (first, last) = (n * 16_384 / 3, (n + 1) * 16_384 / 3 - 1);
        slots.arg("ADDSLOTS");
        for slot in first..=last {
            slots.arg(slot);
        }
        node.ask::<()>(&slots).await;
        nodes.push(node);
    }
    for node in &nodes[1..] {
        let mut meet = redis::cmd("CLUSTER");
        meet.arg("MEET").arg("127.0.0.1").arg(node.port());
        nodes[0].ask::<()>(&meet).await;
    }
    let mut info = redis::cmd("CLUSTER");
    info.arg("INFO");
    let formed = async {
        for node in &nodes {
            loop {
                let text: String = node.ask(&info).await;
                if text.contains("cluster_state:ok") && text.contains("cluster_known_nodes:3") {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), formed)
        .await
        .expect("no cluster is formed");
    nodes
}

#[tokio::test]
async fn streams_lie_on_all_nodes_of_a_cluster_and_are_stored() {
    let nodes = cluster().await;
    let urls = format!("{},127.0.0.1:{}", nodes[0].url(), nodes[1].port());
    let app = TestApp::stream(TestDb::migrated().await, &urls, Role::All, |ingest| {
        ingest.stream_partitions = 12;
        ingest.stream_allow_volatile = false;
    })
    .await;
    for _ in 0..3 {
        app.accept(&events(100)).await;
    }
    until_stored(&app.db, 300).await;
    for node in &nodes {
        let keys: Vec<String> = node.ask(redis::cmd("KEYS").arg("*:events")).await;
        assert!(!keys.is_empty(), "a node has no streams");
    }
    assert_consistent(&app.db).await;
}
