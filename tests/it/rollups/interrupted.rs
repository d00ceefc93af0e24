//! A rebuild that is killed or told to stop on its way.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sea_orm::sqlx::{self, Connection, PgConnection};
use tokio::process::Child;

use super::{DAMAGE, accept, changes, complaint, damage, history, in_berlin, rebuild, rebuilt};
use crate::support::{TestApp, TestDb, assert_consistent, pageview};

/// Keeps a wrong row in the middle of time, so that who mends it waits.
const HOLD: &str = "
    SELECT FROM sales_minute
    WHERE minute > '2026-03-25' AND hashtext(minute::text || currency) % 5 = 1
    ORDER BY minute LIMIT 1 FOR UPDATE";

/// What the rollups of sums say of each hour.
const HOURS: &str = "
    WITH now AS (
        SELECT date_trunc('hour', minute, 'UTC') AS hour, 's' || its::text AS text FROM sales_minute AS its
        UNION ALL
        SELECT date_trunc('hour', minute, 'UTC'), 't' || its::text FROM traffic_minute AS its
        UNION ALL
        SELECT date_trunc('hour', quarter, 'UTC'), 'q' || its::text FROM traffic_quarter AS its
        UNION ALL
        SELECT date_trunc('hour', quarter, 'UTC'), 'r' || its::text FROM sales_quarter AS its
    )
    SELECT hour, string_agg(text, ',' ORDER BY text) AS text FROM now GROUP BY 1";

/// Keeps the rollups as they are now under a name.
async fn keep(db: &TestDb, name: &str) {
    db.run(&format!("CREATE TABLE {name} AS {HOURS}")).await;
}

/// A damaged history, before which `good` and after which `bad` is kept.
async fn damaged(seed: u64) -> TestApp {
    let app = in_berlin().await;
    accept(&app, &history(seed, 400)).await;
    keep(&app.db, "good").await;
    damage(&app.db, DAMAGE).await;
    keep(&app.db, "bad").await;
    app
}

/// A rebuild that waits for a row in the middle, and who holds it.
async fn waiting(db: &TestDb) -> (Child, PgConnection) {
    let mut holder = db.connect().await;
    sqlx::raw_sql("BEGIN").execute(&mut holder).await.unwrap();
    let held = sqlx::query(HOLD).fetch_all(&mut holder).await.unwrap();
    assert_eq!(held.len(), 1);
    let child = rebuild(db, &["--all"]).spawn().unwrap();
    let waits = "SELECT count(*) FROM pg_stat_activity
                 WHERE datname = current_database() AND wait_event_type = 'Lock'
                       AND query LIKE 'WITH expected%'";
    while db.number(waits).await == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    (child, holder)
}

#[tokio::test]
async fn killed_in_the_middle_it_leaves_each_piece_old_or_new_and_is_run_again() {
    let app = damaged(4).await;
    let begun = changes(&app.db).await;
    let (mut child, holder) = waiting(&app.db).await;
    assert!(changes(&app.db).await > begun, "nothing was mended before");
    child.kill().await.unwrap();
    holder.close().await.unwrap();

    // Whoever stores waits until the killed one's transaction is gone.
    app.accept(&[pageview("v1", "/", "2026-07-01T00:00:00Z")])
        .await;
    keep(&app.db, "found").await;
    for kept in ["good", "bad"] {
        let other = format!(
            "SELECT count(*) FROM found FULL JOIN {kept} USING (hour)
             WHERE hour < '2026-07-01' AND found.text IS DISTINCT FROM {kept}.text"
        );
        assert!(app.db.number(&other).await > 0, "all is as {kept}");
    }
    let neither = "
        SELECT count(*) FROM found
        FULL JOIN good USING (hour) FULL JOIN bad USING (hour)
        WHERE hour < '2026-07-01' AND found.text IS DISTINCT FROM good.text
              AND found.text IS DISTINCT FROM bad.text";
    assert_eq!(app.db.number(neither).await, 0);
    rebuilt(&app.db, &["--all"]).await;
    assert_consistent(&app.db).await;
}

#[tokio::test]
async fn told_to_stop_it_ends_the_piece_and_says_where_to_go_on() {
    let app = damaged(5).await;
    let (child, holder) = waiting(&app.db).await;
    let id = i32::try_from(child.id().unwrap()).unwrap();
    kill(Pid::from_raw(id), Signal::SIGINT).unwrap();
    holder.close().await.unwrap();
    let complaint = complaint(child.wait_with_output().await.unwrap());
    let (_, rest) = complaint.split_once("Go on with ").unwrap();
    let arguments: Vec<&str> = rest.split_whitespace().collect();
    assert!(
        arguments.len() == 6 && arguments[3] > "2026-03-20",
        "{complaint}"
    );
    // The piece that it waited for is done; the others are not.
    let summary = rebuilt(&app.db, &arguments).await;
    assert!(!summary.contains(" 0 rows"), "{summary}");
    assert_consistent(&app.db).await;
}
