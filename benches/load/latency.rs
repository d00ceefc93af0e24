//! How long a batch takes from when it is due to its answer, which comes after the commit, at half
//! the maximum rate.

use serde_json::Value;

use crate::load::median;
use crate::server::Server;

const ROUNDS: usize = 5;

pub async fn run() {
    let server = Server::start().await;
    let mut maxima = Vec::new();
    let mut rows: [Vec<f64>; 4] = Default::default();
    for round in 0..ROUNDS {
        let maximum = maximum(&server).await;
        let half = maximum / 2.0;
        server.settle().await;
        let report = server
            .load(&format!("--rate {half:.0} --duration 12s --connections 32"))
            .await;
        let at = |pointer: &str| {
            report
                .pointer(pointer)
                .and_then(Value::as_f64)
                .expect("a number")
        };
        let figures = [
            at("/latencyMs/p50"),
            at("/latencyMs/p99"),
            at("/serviceMs/p50"),
            at("/serviceMs/p99"),
        ];
        for (row, figure) in rows.iter_mut().zip(figures) {
            row.push(figure);
        }
        maxima.push(maximum);
        println!(
            "  round {round}: {maximum:.0} events/s at most; at half of it p50 {:.0} ms, p99 {:.0} ms from due, {:.0} and {:.0} ms from sent",
            figures[0], figures[1], figures[2], figures[3]
        );
    }
    server.stop().await;
    let [p50, p99, service_p50, service_p99] = rows.map(median);
    println!("\n| | p50 | p99 |\n|---|---|---|");
    println!(
        "| from due to committed and answered, at half of {:.0} events/s | {p50:.0} ms | {p99:.0} ms |",
        median(maxima)
    );
    println!("| from sent | {service_p50:.0} ms | {service_p99:.0} ms |");
}

/// Events a second with the generator on the same cores.
pub async fn maximum(server: &Server) -> f64 {
    let report = server.load("--duration 6s").await;
    report["eventsPerSecond"].as_f64().expect("a rate")
}
