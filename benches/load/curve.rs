//! What an event costs as the tables grow, with ids that sort by time and with random ones: the
//! rate, and the cores' time in the server and in PostgreSQL, which noise disturbs less.

use std::time::{Duration, Instant};

use sea_orm::sqlx::{Connection, PgConnection, query_scalar};
use tidewater::cli::load::event::Ids;

use crate::bodies::Sender;
use crate::load::median;
use crate::process::{parent, seconds, seconds_with_children};
use crate::server::Server;

const MILLIONS: [u64; 5] = [1, 5, 10, 20, 50];
/// Events of one measurement, and how many there are at each size.
const EVENTS: u32 = 200_000;
const ROUNDS: usize = 5;
/// Events that are written at once in between.
const FILL: u64 = 1_000_000;

/// Ends when the time is over, whatever is reached: half of it for each kind of id.
pub async fn run(limit: Duration) {
    println!(
        "| ids | stored events | events/s | ns of server an event | ns of PostgreSQL an event |\n|---|---|---|---|---|"
    );
    for (n, ids) in (1..).zip([Ids::V7, Ids::V4]) {
        let server = Server::start().await;
        let given_up_at = Instant::now() + limit / 2;
        grow(&server, ids, Sender::new(ids, 2_500, 0.0, n), given_up_at).await;
        server.stop().await;
    }
}

async fn grow(server: &Server, ids: Ids, mut sender: Sender, given_up_at: Instant) {
    let mut stored = 0;
    let postgres = postmaster(server).await;
    for millions in MILLIONS {
        // The measurements end where the size is reached.
        let before = millions * 1_000_000 - u64::from(EVENTS) * ROUNDS as u64;
        while stored < before {
            let left = u32::try_from((before - stored).min(FILL)).expect("a million");
            let written = sender.write(left).await;
            let _ = sender.send(server, &written, 16).await;
            stored += u64::from(written.events());
            if Instant::now() > given_up_at {
                println!("| {ids:?} | the time is over at {stored} | | | |");
                return;
            }
        }
        let mut rows: [Vec<f64>; 3] = Default::default();
        for _ in 0..ROUNDS {
            let written = sender.write(EVENTS).await;
            let used = (seconds(server.pid()), seconds_with_children(postgres));
            let timing = sender.send(server, &written, 16).await;
            let events = f64::from(written.events());
            rows[0].push(events / timing.whole.as_secs_f64());
            rows[1].push((seconds(server.pid()) - used.0) * 1e9 / events);
            rows[2].push((seconds_with_children(postgres) - used.1) * 1e9 / events);
            stored += u64::from(written.events());
        }
        let [rate, of_server, of_postgres] = rows.map(median);
        println!("| {ids:?} | {stored} | {rate:.0} | {of_server:.0} | {of_postgres:.0} |");
    }
}

/// PostgreSQL's first process.
async fn postmaster(server: &Server) -> u32 {
    let mut connection = PgConnection::connect(&server.database_url)
        .await
        .expect("PostgreSQL answers");
    let own: i32 = query_scalar("SELECT pg_backend_pid()")
        .fetch_one(&mut connection)
        .await
        .expect("an id");
    parent(u32::try_from(own).expect("an id"))
}
