//! Anyone's order lines and events, good ones and bad ones.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{import, printed, serve};
use crate::support::{TestDb, assert_consistent};

/// A directory with one file in it.
fn file(name: &str, content: &str) -> (TempDir, PathBuf) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join(name);
    std::fs::write(&path, content).unwrap();
    (directory, path)
}

/// What is asked after the small imports.
const SMALL: &str = r#"{ sales(
    range: {from: "2026-03-01T00:00:00Z", to: "2026-03-03T00:00:00Z"}, currency: "EUR",
    groupBy: [PRODUCT, REGION]
) {
    buckets { productId region revenue orders units }
    totals { revenue orders units buyers }
} }"#;

/// The two orders that the CSV and the NDJSON below tell of.
fn small_sales() -> Value {
    let bucket = |product: &str, region: &str, revenue: &str, units: u32| json!({"productId": product, "region": region, "revenue": revenue, "orders": 1, "units": units});
    json!({"sales": {
        "buckets": [
            bucket("tea, green", "", "9.00", 3),
            bucket("mug", "DE", "29.80", 2),
            bucket("tea", "DE", "4.50", 1),
        ],
        "totals": {"revenue": "43.30", "orders": 2, "units": 6, "buyers": 2},
    }})
}

const MAPS: [&str; 16] = [
    "--map",
    "orderId=no",
    "--map",
    "timestamp=when",
    "--map",
    "userId=who",
    "--map",
    "productId=sku",
    "--map",
    "quantity=n",
    "--map",
    "unitPrice=each",
    "--map",
    "region=land",
    "--currency",
    "EUR",
];

#[tokio::test]
async fn order_lines_as_csv_and_as_ndjson_become_the_same_orders() {
    let csv = "\u{feff}no,when,who,sku,n,each,land\r\n\
        1,2026-03-01 12:00,ann,mug,2,14.90,DE\r\n\
        1,2026-03-01 12:00,ann,tea,1,4.5,DE\r\n\
        \r\n\
        2,2026-03-02,bob,\"tea, green\",3,3,\r\n";
    let ndjson = r#"{"no": 1, "when": "2026-03-01T12:00:00Z", "who": "ann", "sku": "mug", "n": 2, "each": "14.90", "land": "DE"}
{"no": 1, "when": "2026-03-01T12:00:00Z", "who": "ann", "sku": "tea", "n": 1, "each": 4.5, "land": "DE"}

{"no": 2, "when": "2026-03-02T12:00:00Z", "who": "bob", "sku": "tea, green", "n": 3, "each": 3, "land": null}
"#;
    let db = Arc::new(TestDb::migrated().await);
    let app = serve(&db).await;
    let (_csv, csv) = file("orders.csv", csv);
    let (_ndjson, ndjson) = file("orders.ndjson", ndjson);
    let expected = ["2 accepted, 0 duplicates", "0 accepted, 2 duplicates"];
    for ((format, path), expected) in [("csv", csv), ("ndjson", ndjson)].into_iter().zip(expected) {
        let mut command = import(&db, &[format, path.to_str().unwrap()]);
        let output = command.args(MAPS).output().await.unwrap();
        assert_eq!(
            printed(output),
            format!("{expected}, 0 conflicts, 0 quarantined, 0 rejected\n")
        );
        assert_eq!(app.data(SMALL).await, small_sales());
    }
    assert_consistent(&db).await;
}

#[tokio::test]
async fn events_as_ndjson_are_taken_as_over_http_and_another_tenants_stay_apart() {
    let events = r#"{"type": "click", "timestamp": "2026-03-01T12:00:00Z", "userId": "ann"}
{"type": "click", "timestamp": "2026-03-01T12:00:00Z", "userId": "ann"}
{"type": "pageview", "timestamp": "2026-03-01T12:00:00Z", "anonymousId": "x", "url": "/", "eventId": "7f1c9d0e-5a57-4c0f-9b60-1d1d2c5c8a01"}
"#;
    let db = TestDb::migrated().await;
    let (_directory, path) = file("events.ndjson", events);
    let path = path.to_str().unwrap();
    for (tenant, expected) in [
        ("default", "3 accepted, 0 duplicates"),
        ("default", "0 accepted, 3 duplicates"),
        ("other", "3 accepted, 0 duplicates"),
    ] {
        let output = import(&db, &["ndjson", path, "--tenant", tenant])
            .output()
            .await;
        assert_eq!(
            printed(output.unwrap()),
            format!("{expected}, 0 conflicts, 0 quarantined, 0 rejected\n")
        );
    }
    assert_consistent(&db).await;
}

#[tokio::test]
async fn a_bad_line_is_reported_with_its_number_and_the_others_are_kept() {
    let line = |n: u32, price: &str| format!("{n},2026-03-01 12:00,ann,mug,1,{price},DE\n");
    let mut csv = "no,when,who,sku,n,each,land\n".to_owned();
    for n in 1..=9 {
        csv += &line(n, if n == 4 { "0.001" } else { "1" });
    }
    let no_user = csv.replace("6,2026-03-01 12:00,ann", "6,2026-03-01 12:00,");
    let too_many = csv.replace("mug,1,0.001", "mug,2000000,1");
    let ndjson = r#"{"type": "click", "timestamp": "2026-03-01T12:00:00Z", "userId": "ann"}
{"type": "Click", "timestamp": "2026-03-01T12:00:00Z", "userId": "ann"}
not JSON
{"type": "click", "timestamp": "2026-03-01T12:00:01Z", "userId": "ann"}
"#;
    let cases = [
        ("csv", &csv[..], &["line 5: "][..], 8),
        ("csv", &no_user, &["line 5: ", "line 7: "], 7),
        ("csv", &too_many, &["line 5: lines[0].quantity: "], 8),
        ("ndjson", ndjson, &["line 2: type: ", "line 3: "], 2),
    ];
    for (format, content, expected, kept) in cases {
        let db = TestDb::migrated().await;
        let (_directory, path) = file("orders", content);
        let mut command = import(&db, &[format, path.to_str().unwrap()]);
        let command = if format == "csv" {
            command.args(MAPS)
        } else {
            &mut command
        };
        let output = command.output().await.unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{errors}");
        let reported: Vec<&str> = errors
            .lines()
            .filter(|line| line.starts_with("line "))
            .collect();
        assert_eq!(reported.len(), expected.len(), "{errors}");
        for (line, expected) in reported.iter().zip(expected) {
            assert!(line.starts_with(expected), "{line}, expected {expected}");
        }
        assert_eq!(
            db.number("SELECT count(*) FROM event").await,
            kept,
            "{errors}"
        );
    }
}

#[tokio::test]
async fn what_cannot_be_imported_at_all_is_said_in_a_sentence() {
    let db = TestDb::migrated().await;
    let (_directory, path) = file("orders.csv", "a,b\n1,2\n");
    let path = path.to_str().unwrap();
    for (arguments, sentence) in [
        (
            &["cdnow", "/nowhere.txt"][..],
            "tidewater: /nowhere.txt: No such file",
        ),
        (
            &["csv", path],
            "tidewater: --map timestamp=COLUMN is needed",
        ),
        (
            &[
                "csv",
                path,
                "--map",
                "timestamp=a",
                "--map",
                "userId=a",
                "--map",
                "productId=b",
            ],
            "tidewater: --map either amount=COLUMN or unitPrice=COLUMN",
        ),
        (
            &[
                "csv",
                path,
                "--map",
                "timestamp=a",
                "--map",
                "userId=a",
                "--map",
                "productId=b",
                "--map",
                "amount=b",
                "--map",
                "orderId=c",
            ],
            "tidewater: line 1: there is no column `c`; there are: a, b",
        ),
    ] {
        let output = import(&db, arguments).output().await.unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(errors.starts_with(sentence), "{errors}");
    }
    assert_eq!(db.number("SELECT count(*) FROM event").await, 0);
}

#[tokio::test]
async fn an_order_with_a_bad_line_is_left_out_whole_and_comes_when_the_file_is_mended() {
    let order = |n: u32, price: &str| {
        let line =
            |sku: &str, price: &str| format!("{n},2026-03-01 12:00,ann,{sku},1,{price},DE\n");
        line("mug", "1") + &line("tea", price) + &line("pot", "2")
    };
    let header = "no,when,who,sku,n,each,land\n";
    let bad = [header, &order(1, "3"), &order(2, "much"), &order(3, "3")].concat();
    let db = TestDb::migrated().await;
    for (content, status, said) in [
        (
            &bad,
            1,
            "2 accepted, 0 duplicates, 0 conflicts, 0 quarantined, 1 rejected\n",
        ),
        (
            &bad.replace("much", "3"),
            0,
            "1 accepted, 2 duplicates, 0 conflicts, 0 quarantined, 0 rejected\n",
        ),
    ] {
        let (_directory, path) = file("orders.csv", content);
        let mut command = import(&db, &["csv", path.to_str().unwrap()]);
        let output = command.args(MAPS).output().await.unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{errors}");
        assert_eq!(
            errors.contains("line 6: much is not a price; order 2 is left out whole\n"),
            status == 1,
            "{errors}"
        );
        assert_eq!(String::from_utf8(output.stdout).unwrap(), said);
        assert_consistent(&db).await;
    }
    assert_eq!(db.number("SELECT count(*) FROM purchase").await, 9);
}

#[tokio::test]
async fn an_order_whose_lines_come_apart_is_named_as_a_conflict_and_fails_the_import() {
    let csv = "no,when,who,sku,n,each,land\n\
        7,2026-03-01 10:00:00,ada,mug,1,5.00,DE\n\
        8,2026-03-01 11:00:00,bob,tea,1,4.00,DE\n\
        7,2026-03-01 10:00:00,ada,tea,1,4.00,DE\n";
    let (_directory, path) = file("orders.csv", csv);
    let db = TestDb::migrated().await;
    let path = path.to_str().unwrap();
    let output = import(&db, &[&["csv", path], &MAPS[..]].concat())
        .output()
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(output.stdout).unwrap().trim(),
        "2 accepted, 0 duplicates, 1 conflicts, 0 quarantined, 0 rejected"
    );
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("line 4:")
    );
}

/// What an import of order lines says: its exit code, the lines that it names, its totals.
async fn told(db: &TestDb, format: &str, content: &str) -> (Option<i32>, Vec<String>, String) {
    let (_directory, path) = file("orders", content);
    let mut command = import(db, &[format, path.to_str().unwrap()]);
    let command = command.args(MAPS).args(["--map", "currency=money"]);
    let output = command.output().await.unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    let named = errors.lines().filter(|line| line.starts_with("line "));
    (
        output.status.code(),
        named.map(str::to_owned).collect(),
        String::from_utf8(output.stdout).unwrap(),
    )
}

fn totals(accepted: u32, duplicates: u32, rejected: u32) -> String {
    format!(
        "{accepted} accepted, {duplicates} duplicates, 0 conflicts, 0 quarantined, {rejected} rejected\n"
    )
}

#[tokio::test]
async fn a_line_that_cannot_be_read_leaves_out_the_orders_it_may_belong_to_until_it_is_mended() {
    // The first of the bad lines is the middle of order 2, the second the first of order 5.
    let orders = [
        "1 mug", "2 mug", "2 tea", "2 pot", "3 mug", "4 mug", "5 mug", "5 tea", "6 mug", "6 tea",
    ];
    let bad = [2, 6];
    let csv = |order: &str| {
        let (no, sku) = order.split_once(' ').unwrap();
        format!("{no},2026-03-01,ann,{sku},1,5,DE,EUR\n")
    };
    let ndjson = |order: &str| {
        let (no, sku) = order.split_once(' ').unwrap();
        let line = json!({"no": no, "when": "2026-03-01", "who": "ann", "sku": sku, "each": 5});
        format!("{line}\n")
    };
    let file = |header: &str, line: &dyn Fn(&str) -> String, rubbish: &[&str]| -> String {
        let mut rubbish = rubbish.iter();
        let lines = orders.iter().enumerate().map(|(n, order)| {
            let rubbish = bad.contains(&n).then(|| rubbish.next()).flatten();
            rubbish.map_or_else(|| line(order), |text| format!("{text}\n"))
        });
        header.to_owned() + &lines.collect::<String>()
    };
    let header = "no,when,who,sku,n,each,land,money\n";
    let cases = [
        (
            "csv",
            file(header, &csv, &["2,2026-03-01,ann", ",,,,,,,"]),
            file(header, &csv, &[]),
            [
                "line 4: 3 fields where the header has 8; order 2 is left out whole",
                "line 8: column each is empty or missing; order 4 is left out whole",
                "line 9: line 8, which cannot be read, may belong to the same order; order 5 is left out whole",
            ],
        ),
        (
            "ndjson",
            file("", &ndjson, &["[]", "{\"no\": 5,"]),
            file("", &ndjson, &[]),
            [
                "line 3: not a JSON object; order 2 is left out whole",
                "line 7: EOF while parsing a value at line 1 column 9; order 4 is left out whole",
                "line 8: line 7, which cannot be read, may belong to the same order; order 5 is left out whole",
            ],
        ),
    ];
    for (format, broken, mended, named) in cases {
        let db = TestDb::migrated().await;
        let named = named.map(str::to_owned).to_vec();
        assert_eq!(
            told(&db, format, &broken).await,
            (Some(1), named, totals(3, 0, 3))
        );
        assert_eq!(db.number("SELECT count(*) FROM purchase").await, 4);
        assert_eq!(
            told(&db, format, &mended).await,
            (Some(0), vec![], totals(3, 3, 0))
        );
        assert_eq!(db.number("SELECT count(*) FROM purchase").await, 10);
        assert_consistent(&db).await;
    }
}

#[tokio::test]
async fn without_an_order_id_a_line_that_cannot_be_read_leaves_out_only_itself() {
    let csv = "when,who,sku,each\n\
        2026-03-01,ann,mug,5\n\
        2026-03-01,ann\n\
        2026-03-01,ann,tea,5\n";
    let (_directory, path) = file("lines.csv", csv);
    let db = TestDb::migrated().await;
    let mut command = import(&db, &["csv", path.to_str().unwrap()]);
    let output = command.args(&MAPS[2..8]).args(&MAPS[10..12]).output();
    let output = output.await.unwrap();
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "line 3: 2 fields where the header has 4\ntidewater: 1 events are not stored; the others are\n"
    );
    assert_eq!(String::from_utf8(output.stdout).unwrap(), totals(2, 0, 1));
}

#[tokio::test]
async fn lines_that_share_an_order_id_and_differ_in_user_time_or_currency_are_not_one_order() {
    let csv = "no,when,who,sku,n,each,land,money\n\
        1,2026-03-01,ann,mug,1,5,DE,USD\n\
        1,2026-03-01,bob,tea,1,2000,DE,JPY\n\
        2,2026-03-01,ann,mug,1,5,DE,USD\n\
        2,2026-03-02,ann,tea,1,4,DE,USD\n\
        3,2026-03-01,ann,mug,1,500,DE,JPY\n\
        3,,,tea,1,400,,\n\
        4,2026-03-01,ann,mug,1,5,DE,\n\
        4,2026-03-01T12:00:00Z,ann,tea,1,4,DE,EUR\n";
    let db = TestDb::migrated().await;
    let named = [
        "line 3: userId is bob where line 2 has ann, currency is JPY where line 2 has USD; order 1 is left out whole",
        "line 5: timestamp is 2026-03-02T12:00:00+00:00 where line 4 has 2026-03-01T12:00:00+00:00; order 2 is left out whole",
    ];
    assert_eq!(
        told(&db, "csv", csv).await,
        (Some(1), named.map(str::to_owned).to_vec(), totals(2, 0, 2))
    );
    // Orders 3 and 4: a field that a later line leaves empty is the first line's.
    for (currency, amount) in [("JPY", 900), ("EUR", 900)] {
        let sum =
            format!("SELECT sum(p.amount)::bigint FROM purchase p WHERE p.currency = '{currency}'");
        assert_eq!(db.number(&sum).await, amount, "{currency}");
    }
    assert_consistent(&db).await;
}
