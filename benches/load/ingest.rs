//! Events a second through `POST /v1/batch` with durable commits, in turns with a plain binary
//! COPY of the same rows.

use tidewater::cli::load::event::Ids;

use crate::baseline::Copies;
use crate::bodies::Sender;
use crate::load::median;
use crate::server::Server;

const ROUNDS: usize = 5;
const EVENTS: u32 = 200_000;

/// Whole batches in several sizes, over several connections, and COPY over two and over one.
pub async fn run() {
    const WAYS: [(u32, usize); 4] = [(1_000, 8), (1_000, 16), (2_500, 8), (2_500, 16)];

    let server = Server::start().await;
    let mut senders: Vec<Sender> = (1..)
        .zip(WAYS)
        .map(|(seed, (batch, _))| Sender::new(Ids::V4, batch, 0.0, seed))
        .collect();
    let mut rates = WAYS.map(|_| Vec::new());
    let mut times = WAYS.map(|_| (Vec::new(), Vec::new()));
    let (two, one) = (Copies::new(&server, 2).await, Copies::new(&server, 1).await);
    let (mut by_two, mut by_one) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        for (n, (_, connections)) in WAYS.into_iter().enumerate() {
            let written = senders[n].write(EVENTS).await;
            if n == 0 && round == 0 {
                let bytes = written.bytes() / written.events() as usize;
                println!("{EVENTS} events a round, {bytes} bytes each, random ids (v4)");
            }
            server.settle().await;
            let timing = senders[n].send(&server, &written, connections).await;
            rates[n].push(f64::from(written.events()) / timing.whole.as_secs_f64());
            times[n].0.push(timing.percentile(50));
            times[n].1.push(timing.percentile(99));
            if n == 0 {
                let rows = two.take(&written).await;
                server.settle().await;
                by_two.push(two.copy(rows.clone()).await);
                server.settle().await;
                by_one.push(one.copy(rows).await);
            }
        }
        let so_far: Vec<String> = rates
            .iter()
            .map(|rates| format!("{:.0}", rates[round]))
            .collect();
        println!(
            "  round {round}: {} events/s through HTTP; {:.0} and {:.0} by COPY over two and one",
            so_far.join(", "),
            by_two[round],
            by_one[round]
        );
    }
    server.stop().await;

    println!("\n| | events/s, median | ratio, median | p50, p99 of a request |\n|---|---|---|---|");
    for (n, (batch, connections)) in WAYS.into_iter().enumerate() {
        println!(
            "| `POST /v1/batch`, {batch} events a request, {connections} connections | {:.0} | {:.2} | {:.0} ms, {:.0} ms |",
            median(rates[n].clone()),
            ratio(&rates[n], &by_two),
            median(times[n].0.clone()),
            median(times[n].1.clone()),
        );
    }
    println!(
        "| binary `COPY`, two connections | {:.0} | 1 | |",
        median(by_two.clone())
    );
    println!(
        "| binary `COPY`, one connection | {:.0} | {:.2} | |",
        median(by_one.clone()),
        ratio(&by_one, &by_two)
    );
}

/// With a hundredth of the events sent again, from all that was sent before, and without.
pub async fn duplicates() {
    let senders = [
        ("distinct events", Sender::new(Ids::V4, 1_000, 0.0, 1)),
        (
            "1 % sent again, at random",
            Sender::new(Ids::V4, 1_000, 0.01, 2),
        ),
    ];
    in_turns(senders).await;
}

/// With ids that sort by time, and with random ones.
pub async fn ids() {
    let senders = [
        (
            "ids in the order of time (v7)",
            Sender::new(Ids::V7, 1_000, 0.0, 1),
        ),
        ("random ids (v4)", Sender::new(Ids::V4, 1_000, 0.0, 2)),
    ];
    in_turns(senders).await;
}

/// The second against the first, over 8 connections.
async fn in_turns(mut senders: [(&str, Sender); 2]) {
    let server = Server::start().await;
    let mut rates = [Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        for (n, (_, sender)) in senders.iter_mut().enumerate() {
            let written = sender.write(EVENTS).await;
            server.settle().await;
            let timing = sender.send(&server, &written, 8).await;
            rates[n].push(f64::from(written.events()) / timing.whole.as_secs_f64());
        }
        println!(
            "  round {round}: {:.0} and {:.0} events/s",
            rates[0][round], rates[1][round]
        );
    }
    server.stop().await;

    println!("\n| | events/s, median | ratio, median |\n|---|---|---|");
    for ((name, _), own) in senders.iter().zip(&rates) {
        println!(
            "| {name} | {:.0} | {:.2} |",
            median(own.clone()),
            ratio(own, &rates[0])
        );
    }
}

/// The median of the rounds' ratios.
pub fn ratio(ours: &[f64], theirs: &[f64]) -> f64 {
    median(
        ours.iter()
            .zip(theirs)
            .map(|(ours, theirs)| ours / theirs)
            .collect(),
    )
}
