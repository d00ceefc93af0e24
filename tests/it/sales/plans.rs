//! What PostgreSQL does to answer: the index it reads, the partitions it leaves out.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, Statement, sqlx};
use serde_json::Value;
use tidewater::domain::calendar::{Granularity, TimeRange, bounds};
use tidewater::domain::measure::{Dimension, Subject};
use tidewater::domain::tenant::{TenantId, View};
use tidewater::storage::Db;
use tidewater::storage::entity::sales_minute::Grain;
use tidewater::storage::queries::metrics::{Cut, Groups, Source, Span, statement};

use super::later;
use crate::support::{Order, TestApp};

/// Two years of partitions, and 60 000 rows of the rollup for five tenants.
async fn fill(app: &TestApp) -> Db {
    let months = (2025..2027)
        .flat_map(|year| (1..=12).map(move |month| format!("{year}-{month:02}-15T00:00:00Z")));
    let orders: Vec<Value> = months
        .map(|time| Order::of("mug").at(time).event())
        .collect();
    app.accept(&orders).await;
    let mut connection = app.db.connect().await;
    for statement in [
        "INSERT INTO sales_minute
         SELECT tenant, grain, timestamptz '2025-01-01 00:00Z' + n * interval '8 hours 40 minutes', 'USD', '', '', '',
                CASE grain WHEN 2 THEN 'p' || n % 7 ELSE '' END, 1, 1, 1000
         FROM generate_series(1, 5) AS tenant, generate_series(0, 2, 2) AS grain, generate_series(0, 1999) AS n
         ON CONFLICT DO NOTHING",
        "INSERT INTO sales_minute
         SELECT tenant, 2, timestamptz '2026-06-01 00:00Z' + n * interval '5 minutes', 'USD', '', '', '', 'q', 1, 1, 1000
         FROM generate_series(1, 5) AS tenant, generate_series(0, 7999) AS n",
        "ANALYZE sales_minute",
    ] {
        sqlx::query(statement).execute(&mut connection).await.unwrap();
    }
    Db::open(&app.db.url(), |_| ()).await.unwrap()
}

/// The nodes of the plan of tenant 1's sales by product.
async fn plan(db: &Db, from: &str, to: &str) -> Vec<Value> {
    fn collect(node: &Value, all: &mut Vec<Value>) {
        all.push(node.clone());
        for child in node["Plans"].as_array().into_iter().flatten() {
            collect(child, all);
        }
    }
    let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
    let range = TimeRange::new(at(from), at(to)).unwrap();
    let days = bounds(range, Granularity::Day, chrono_tz::UTC).unwrap();
    let cut = Cut {
        view: &View::whole(TenantId(1)),
        tenant_zone: chrono_tz::UTC,
        bounds: &days,
        keys: &[Dimension::Product.into()],
        groups: Groups::All,
        filter: None,
        currency: None,
        bots: false,
        limit: 10_000,
    };
    let source = Source::Sales(Grain::Product, Span::Minute);
    let asked = statement(Subject::Lines, source, &cut);
    let explain = format!("EXPLAIN (ANALYZE, FORMAT JSON) {}", asked.sql);
    let explain = Statement {
        sql: explain,
        ..asked
    };
    let row = db.reads().query_one_raw(explain).await.unwrap().unwrap();
    let plan: Value = row.try_get_by_index(0).unwrap();
    let mut nodes = Vec::new();
    collect(&plan[0]["Plan"], &mut nodes);
    nodes
}

/// The partitions that a plan reads, without those that it left out when it began.
fn partitions(nodes: &[Value]) -> Vec<&str> {
    let mut names: Vec<&str> = nodes
        .iter()
        .filter_map(|node| node["Relation Name"].as_str())
        .collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn sales_are_read_by_the_key_of_the_rollup() {
    let app = later().await;
    let db = fill(&app).await;
    let nodes = plan(&db, "2026-06-10T00:00:00Z", "2026-06-13T00:00:00Z").await;
    assert_eq!(partitions(&nodes), ["sales_minute_2026_06"]);
    let scans: Vec<&Value> = nodes
        .iter()
        .filter(|node| node["Index Name"].is_string())
        .collect();
    assert_eq!(scans.len(), 1, "{nodes:#?}");
    assert_eq!(scans[0]["Index Name"], "sales_minute_2026_06_pkey");
    let condition = scans[0]["Index Cond"].as_str().unwrap();
    for column in ["tenant_id", "grain", "minute >=", "minute <"] {
        assert!(condition.contains(column), "{condition}");
    }
    assert!(
        nodes.iter().all(|node| node["Node Type"] != "Seq Scan"),
        "{nodes:#?}"
    );
}

#[tokio::test]
async fn a_year_of_sales_reads_the_partitions_of_that_year_alone() {
    let app = later().await;
    let db = fill(&app).await;
    let nodes = plan(&db, "2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z").await;
    let year: Vec<String> = (1..=12)
        .map(|month| format!("sales_minute_2025_{month:02}"))
        .collect();
    assert_eq!(partitions(&nodes), year);
    assert!(
        nodes.iter().all(|node| node["Node Type"] != "Seq Scan"),
        "{nodes:#?}"
    );
}
