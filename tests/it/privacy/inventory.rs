//! What is kept of people is written down: no table and no column comes without a word on it.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::sqlx;

use crate::support::TestDb;

/// The tables of docs/SECURITY.md, with their columns: those of people, and all others.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/SECURITY.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, section) = text.split_once("### What is kept where").unwrap();
    let rows = section.lines().skip_while(|line| !line.starts_with('|'));
    let rows = rows.take_while(|line| line.starts_with('|')).skip(2);
    let words = |cell: &str| -> Vec<String> {
        let quoted = cell.split('`').skip(1).step_by(2);
        quoted.map(str::to_owned).collect()
    };
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').collect();
        assert_eq!(cells.len(), 6, "{row}");
        let columns = words(cells[2]).into_iter().chain(words(cells[3]));
        (words(cells[1]).remove(0), columns.collect())
    })
    .collect()
}

#[tokio::test]
async fn every_column_is_on_the_list_of_what_is_kept_where() {
    let db = TestDb::migrated().await;
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT relname::text, attname::text
         FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
         WHERE relkind IN ('r', 'p') AND NOT relispartition AND attnum > 0 AND NOT attisdropped
               AND relnamespace = current_schema()::regnamespace
               AND relname <> 'seaql_migrations'",
    )
    .fetch_all(&mut db.connect().await)
    .await
    .unwrap();
    let mut stored: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (table, column) in rows {
        stored.entry(table).or_default().insert(column);
    }
    let documented = documented();
    for (table, columns) in &stored {
        let known = documented.get(table).cloned().unwrap_or_default();
        let missing: Vec<_> = columns.difference(&known).collect();
        let invented: Vec<_> = known.difference(columns).collect();
        assert!(
            missing.is_empty() && invented.is_empty(),
            "docs/SECURITY.md, `{table}`: say of {missing:?} whether it tells of people, and how it \
             is erased; {invented:?} is not there"
        );
    }
    let names = |map: &BTreeMap<String, _>| map.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(&documented), names(&stored));
}
