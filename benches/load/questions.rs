//! How long `sales` over a year of CDNOW takes, and how many small queries a second there are
//! against a bare route.

use reqwest::RequestBuilder;
use serde_json::json;

use crate::baseline::Bare;
use crate::load::{client, load, median};
use crate::server::{KEY, Server};

const REQUESTS: usize = 20_000;
const CLIENTS: usize = 32;
const ROUNDS: usize = 3;

pub async fn run() {
    let server = Server::start().await;
    server.import_cdnow().await;
    for granularity in ["TOTAL", "MONTH", "DAY"] {
        sales(&server, granularity, "").await;
    }
    sales(&server, "MONTH", " buyers").await;
    small(&server).await;
    server.stop().await;
}

/// One after the other.
async fn sales(server: &Server, granularity: &str, more: &str) {
    let query = format!(
        r#"{{ sales(range: {{from: "1997-01-01T00:00:00Z", to: "1998-01-01T00:00:00Z"}}, granularity: {granularity}, timezone: "America/New_York") {{ buckets {{ start revenue orders units averageOrderValue{more} }} totals {{ revenue }} }} }}"#
    );
    let client = client();
    let request = || graphql(&client, server, &query);
    load((0..20).map(|_| request()), 1).await;
    let timing = load((0..500).map(|_| request()), 1).await;
    println!(
        "sales, 1997 by {granularity}{more}: p50 {:.2} ms, p99 {:.2} ms",
        timing.percentile(50),
        timing.percentile(99)
    );
}

/// In turns with the bare route.
async fn small(server: &Server) {
    let bare = Bare::start().await;
    let (mut ratios_typename, mut ratios_product) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let client = client();
        let plain = load(
            (0..REQUESTS).map(|_| {
                client
                    .post(&bare.url)
                    .body("{\"query\":\"{ __typename }\"}")
            }),
            CLIENTS,
        )
        .await;
        let typename = load(
            (0..REQUESTS).map(|_| graphql(&client, server, "{ __typename }")),
            CLIENTS,
        )
        .await;
        let product = load(
            (0..REQUESTS / 4)
                .map(|_| graphql(&client, server, "{ product(id: \"CD\") { title } }")),
            CLIENTS,
        )
        .await;
        println!(
            "small queries, round {round}: {:.0} requests/s of a bare route, {:.0} of {{ __typename }}, {:.0} of a product from the database",
            plain.per_second(),
            typename.per_second(),
            product.per_second(),
        );
        ratios_typename.push(typename.per_second() / plain.per_second());
        ratios_product.push(product.per_second() / plain.per_second());
    }
    println!(
        "  median ratios: {:.2} and {:.2}",
        median(ratios_typename),
        median(ratios_product)
    );
    bare.stop().await;
}

fn graphql(client: &reqwest::Client, server: &Server, query: &str) -> RequestBuilder {
    client
        .post(format!("{}/graphql", server.url))
        .bearer_auth(KEY)
        .json(&json!({"query": query}))
}
