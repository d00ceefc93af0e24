//! The hot paths of one core: reading a batch, telling bots, cutting a year into buckets, moving a
//! window.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::cast_precision_loss,
    reason = "a benchmark has no outside"
)]

use std::hint::black_box;

use chrono_tz::Tz;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use serde_json::json;
use tidewater::domain::calendar::{Granularity, TimeRange, bounds};
use tidewater::domain::money::Currency;
use tidewater::domain::tenant::{Sender, TenantId};
use tidewater::ingest::bots::is_bot;
use tidewater::ingest::judge;
use tidewater::ingest::parse::parse_batch;
use tidewater::ingest::rules::Verdict;
use tidewater::realtime::window::SlidingWindow;
use uuid::Uuid;

fn reading(criterion: &mut Criterion) {
    let event = |n: usize| {
        json!({
            "eventId": Uuid::from_u128(n as u128), "type": "pageview", "timestamp": "2026-06-01T12:00:00.000Z",
            "userId": format!("user-{n}"), "sessionId": "s", "region": "DE", "channel": "search",
            "url": "https://shop.example/products/17",
            "properties": {"device": "phone", "referrer": "https://search.example/", "position": n},
        })
    };
    let events: Vec<_> = (0..1_000).map(event).collect();
    let body = serde_json::to_vec(&events).expect("plain values serialise");
    let received_at = "2026-06-01T12:00:01Z".parse().expect("a time");
    let sender = Sender {
        tenant: TenantId(1),
        zone: Tz::UTC,
        currency: Currency::from_code("USD").expect("a currency"),
    };
    let mut group = criterion.benchmark_group("1,000 pageviews");
    group.throughput(Throughput::Elements(1_000));
    group.bench_function("serde_json to values (baseline)", |bencher| {
        bencher.iter(|| serde_json::from_slice::<Vec<serde_json::Value>>(black_box(&body)));
    });
    group.bench_function("parse", |bencher| {
        bencher.iter(|| parse_batch(black_box(&body)));
    });
    group.bench_function("parse and judge", |bencher| {
        bencher.iter(|| {
            let drafts = parse_batch(black_box(&body)).expect("a good batch").drafts;
            let judged = drafts
                .into_iter()
                .map(|draft| judge(draft, &sender, received_at, Uuid::nil, |_| Verdict::Pass));
            judged.collect::<Vec<_>>()
        });
    });
    group.finish();
}

fn bots(criterion: &mut Criterion) {
    let program = |n: usize| {
        format!(
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{n}.0.0.0 Safari/537.36"
        )
    };
    let programs: Vec<_> = (0..500).map(program).collect();
    let mut group = criterion.benchmark_group("500 programs");
    group.throughput(Throughput::Elements(500));
    group.bench_function("the list alone (baseline)", |bencher| {
        bencher.iter(|| {
            let known = |text: &&String| iscrawl::crawler_info(text).is_some();
            black_box(&programs).iter().filter(known).count()
        });
    });
    group.bench_function("is it a bot", |bencher| {
        bencher.iter(|| {
            black_box(&programs)
                .iter()
                .filter(|text| is_bot(text))
                .count()
        });
    });
    group.finish();
}

fn buckets(criterion: &mut Criterion) {
    let at = |text: &str| text.parse().expect("a time");
    let year =
        TimeRange::new(at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z")).expect("a range");
    criterion.bench_function("a year of hours in New York", |bencher| {
        bencher.iter(|| bounds(black_box(year), Granularity::Hour, Tz::America__New_York));
    });
}

fn window(criterion: &mut Criterion) {
    let mut full = SlidingWindow::new(3_600, 10_000);
    let products: Vec<String> = (0..1_000).map(|n| format!("sku-{n}")).collect();
    for n in 0..360_000_i64 {
        let product = products[usize::try_from(n % 1_000).expect("small")].as_str();
        full.add(6_401 + n % 3_600, 1, [(product, 1, 1_990)]);
    }
    criterion.bench_function(
        "a second passes over an hour of 100 orders a second",
        |bencher| {
            bencher.iter_batched(
                || full.clone(),
                |mut window| {
                    window.add(10_001, 1, [("sku-1", 1, 1_990)]);
                    window.advance(10_001);
                    window.view()
                },
                BatchSize::LargeInput,
            );
        },
    );
}

criterion_group!(benches, reading, bots, buckets, window);
criterion_main!(benches);
