//! How much memory the server holds: just started, at full rate, and after it.

use std::time::Duration;

use crate::load::median;
use crate::process::resident;
use crate::server::Server;

const ROUNDS: usize = 5;

pub async fn run() {
    let mut rows: [Vec<f64>; 3] = Default::default();
    for round in 0..ROUNDS {
        let server = Server::start().await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        let idle = resident(server.pid());
        let mut loading = server
            .loading("--duration 12s --no-verify")
            .spawn()
            .expect("the program starts");
        let mut most = idle;
        while loading.try_wait().expect("a child").is_none() {
            most = most.max(resident(server.pid()));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
        let after = resident(server.pid());
        println!(
            "  round {round}: {idle:.0} MB idle, up to {most:.0} MB at full rate, {after:.0} MB afterwards"
        );
        for (row, figure) in rows.iter_mut().zip([idle, most, after]) {
            row.push(figure);
        }
        server.stop().await;
    }
    let [idle, most, after] = rows.map(median);
    println!("\n| | resident memory of the server, median |\n|---|---|");
    println!("| idle, just started | {idle:.0} MB |");
    println!("| the most at full rate, for 12 seconds | {most:.0} MB |");
    println!("| idle, 5 seconds afterwards | {after:.0} MB |");
}
