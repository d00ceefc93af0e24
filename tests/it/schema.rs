//! The schema comes up and goes down, by one or by many at once.

use futures_util::future::join_all;
use sea_orm::sqlx;
use serde_json::{Value, json};
use tidewater::storage::{Db, schema};

use crate::support::{TestDb, program};

const STEPS: usize = 23;

/// Everything that the catalogues know of tables, columns, indexes, constraints and sequences.
async fn shape(db: &TestDb) -> Value {
    sqlx::query_scalar(
        "SELECT coalesce(jsonb_agg(line ORDER BY line::text), '[]') FROM (
             SELECT to_jsonb(c) - '{table_catalog,udt_catalog}'::text[] AS line
             FROM information_schema.columns AS c WHERE table_schema = 'public'
             UNION ALL
             SELECT to_jsonb(i) FROM pg_indexes AS i WHERE schemaname = 'public'
             UNION ALL
             SELECT jsonb_build_array(conrelid::regclass::text, conname, pg_get_constraintdef(oid))
             FROM pg_constraint WHERE connamespace = 'public'::regnamespace
             UNION ALL
             SELECT jsonb_build_array(relname, relkind, relpersistence, pg_get_partkeydef(oid))
             FROM pg_class WHERE relnamespace = 'public'::regnamespace
         ) AS known",
    )
    .fetch_one(&mut db.connect().await)
    .await
    .unwrap()
}

async fn tables(db: &TestDb) -> i64 {
    db.number(
        "SELECT count(*) FROM information_schema.tables
         WHERE table_schema = 'public' AND table_name <> 'seaql_migrations'",
    )
    .await
}

/// Which steps the database has.
async fn applied(db: &TestDb) -> Vec<bool> {
    let db = Db::open(&db.url(), |_| ()).await.unwrap();
    let steps = schema::status(db.reads()).await.unwrap();
    db.close().await;
    steps.iter().map(|step| step.applied).collect()
}

#[tokio::test]
async fn up_down_and_up_again_gives_the_same_schema() {
    let db = TestDb::empty().await;
    assert_eq!(applied(&db).await, [false; STEPS]);
    schema::up(&db.url()).await.unwrap();
    assert_eq!(applied(&db).await, [true; STEPS]);
    let first = shape(&db).await;
    assert_eq!(shape(&TestDb::migrated().await).await, first);

    schema::down(&db.url(), None).await.unwrap();
    assert_eq!(
        (tables(&db).await, applied(&db).await),
        (0, vec![false; STEPS])
    );
    schema::up(&db.url()).await.unwrap();
    assert_eq!(shape(&db).await, first);
    // Nothing is left to do.
    schema::up(&db.url()).await.unwrap();
    assert_eq!(shape(&db).await, first);
}

#[tokio::test]
async fn each_step_can_be_taken_back_alone() {
    let db = TestDb::migrated().await;
    let whole = shape(&db).await;
    for left in (0..STEPS).rev() {
        schema::down(&db.url(), Some(1)).await.unwrap();
        let mut expected = vec![true; left];
        expected.resize(STEPS, false);
        assert_eq!(applied(&db).await, expected);
    }
    assert_eq!(tables(&db).await, 0);
    schema::up(&db.url()).await.unwrap();
    assert_eq!(shape(&db).await, whole);
}

#[tokio::test]
async fn many_may_bring_the_schema_up_at_once() {
    let db = TestDb::empty().await;
    let url = db.url();
    for result in join_all((0..5).map(|_| schema::up(&url))).await {
        result.unwrap();
    }
    assert_eq!(applied(&db).await, [true; STEPS]);
    assert_eq!(shape(&db).await, shape(&TestDb::migrated().await).await);
}

#[tokio::test]
async fn the_program_brings_the_schema_up_and_down_and_says_where_it_stands() {
    let db = TestDb::empty().await;
    let migrate = |arguments: &'static [&'static str]| {
        let url = db.url();
        async move {
            let mut command = program();
            command
                .arg("migrate")
                .args(arguments)
                .env("DATABASE_URL", url);
            let output = command.output().await.unwrap();
            let errors = String::from_utf8(output.stderr).unwrap();
            assert!(output.status.success(), "{errors}");
            String::from_utf8(output.stdout).unwrap()
        }
    };
    let standing = |applied: usize| -> String {
        let names = [
            "m0001_tenants",
            "m0002_catalogue",
            "m0003_facts",
            "m0004_idempotency",
            "m0005_rollups",
            "m0006_event_shape",
            "m0007_idempotency_log",
            "m0008_rollup_parts",
            "m0009_identity",
            "m0010_intake",
            "m0011_stream",
            "m0012_classification",
            "m0013_quarters",
            "m0014_changes",
            "m0015_summaries",
            "m0016_exports",
            "m0017_keys",
            "m0018_audit",
            "m0019_privacy",
            "m0020_visits",
            "m0021_listed_documents",
            "m0022_devices",
            "m0023_user_splits",
        ];
        let line = |(n, name)| {
            let state = if n < applied { "applied" } else { "pending" };
            format!("{state}  {name}\n")
        };
        names.iter().enumerate().map(line).collect()
    };
    assert_eq!(migrate(&["status"]).await, standing(0));
    assert_eq!(json!(tables(&db).await), 0, "looking changes nothing");
    assert_eq!(migrate(&["up"]).await, standing(STEPS));
    assert_eq!(migrate(&["up"]).await, standing(STEPS));
    assert_eq!(migrate(&["down"]).await, standing(STEPS - 1));
    assert_eq!(
        migrate(&["down", "--steps", "2"]).await,
        standing(STEPS - 3)
    );
    assert_eq!(migrate(&["up"]).await, standing(STEPS));
    assert_eq!(migrate(&["down", "--all"]).await, standing(0));
    assert_eq!(tables(&db).await, 0);
}

#[tokio::test]
async fn a_database_that_is_away_is_said_so() {
    let db = TestDb::empty().await;
    db.shut().await;
    let mut command = program();
    command
        .args(["migrate", "up"])
        .env("DATABASE_URL", db.url());
    let output = command.output().await.unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(
        errors.contains("the database cannot be reached"),
        "{errors}"
    );
}
