//! What is written down in two places says the same in both, and the rooms keep to the map.

use std::collections::BTreeSet;
use std::fs::read_to_string;
use std::path::{Path, PathBuf};

use tidewater::error::Code;

#[test]
fn the_committed_schema_is_the_one_that_is_served() {
    let committed = read("schema.graphql");
    assert!(
        committed.trim_end() == tidewater::graphql::sdl().trim_end(),
        "schema.graphql is stale: run `make schema`"
    );
}

#[test]
fn the_committed_openapi_document_is_the_one_that_is_served() {
    let committed = read("openapi.json");
    assert!(
        committed == tidewater::http::openapi::document(),
        "openapi.json is stale: run `make schema`"
    );
}

#[test]
fn the_example_environment_lists_every_variable_in_order_with_its_default() {
    let written: Vec<(String, Option<String>)> = read(".env.example")
        .lines()
        .filter_map(|line| line.trim_start_matches(['#', ' ']).split_once('='))
        .filter(|(name, _)| is_variable(name))
        .map(|(name, default)| (name.to_owned(), Some(default.to_owned())))
        .map(|(name, default)| (name, default.filter(|text| !text.is_empty())))
        .collect();
    assert_eq!(written, tidewater::cli::variables());
}

fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_'))
}

#[test]
fn the_documented_codes_are_the_codes() {
    let written: Vec<String> = read("docs/API.md")
        .lines()
        .filter(|line| line.starts_with("| `") && line.split('|').count() == 5)
        .filter(|line| {
            line.split('|')
                .nth(2)
                .unwrap()
                .trim()
                .parse::<u16>()
                .is_ok()
        })
        .map(str::to_owned)
        .collect();
    let row = |code: &Code| {
        let (name, status, sentence) = (code.name(), code.status(), code.sentence());
        format!("| `{name}` | {status} | {sentence} |")
    };
    let codes: Vec<String> = Code::ALL.iter().map(row).collect();
    assert_eq!(written, codes);
}

#[test]
fn every_table_has_an_entity_or_is_internal() {
    /// Written and read by hand-made SQL alone.
    const INTERNAL: [&str; 25] = [
        "audit_head",
        "changed_hour",
        "erased_user",
        "erasure",
        "event_type",
        "export",
        "export_chunk",
        "idempotency_head",
        "idempotency_page",
        "idempotency_run",
        "idempotency_segment",
        "idempotency_key",
        "idempotency_period",
        "installation",
        "privacy_policy",
        "receipt",
        "sales_quarter",
        "stream_entry",
        "summarised",
        "summary",
        "traffic_quarter",
        "user_alias",
        "user_link",
        "user_number",
        "user_split",
    ];

    let named_after = |folder: &str, ending: &str, word: &str| -> BTreeSet<String> {
        let texts = files(folder).into_iter().filter(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name.ends_with(ending)
        });
        let texts: Vec<String> = texts.map(|path| read_to_string(path).unwrap()).collect();
        let rests = texts.iter().flat_map(|text| text.split(word).skip(1));
        let name = |rest: &str| {
            let rest = rest.trim_start_matches('"');
            let end = rest.find(|c: char| c != '_' && !c.is_alphanumeric());
            rest[..end.unwrap()].to_owned()
        };
        // Partitions are made with a name that is computed.
        rests.map(name).filter(|name| !name.is_empty()).collect()
    };
    let tables = named_after("migration/src/sql", ".up.sql", "CREATE TABLE ");
    let entities = named_after("src/storage/entity", ".rs", "table_name = ");
    let internal = INTERNAL.map(str::to_owned);
    assert_eq!(tables, entities.into_iter().chain(internal).collect());
}

#[test]
fn every_source_file_says_what_it_is() {
    let silent: Vec<PathBuf> = files("src")
        .into_iter()
        .filter(|path| !read_to_string(path).unwrap().starts_with("//! "))
        .collect();
    assert_eq!(silent, Vec::<PathBuf>::new());
}

/// Which rooms a room may use. A path may go on: only what lies below it may be used then.
const MAY_USE: &[(&str, &[&str])] = &[
    // Leaves: usable by all, and using leaves alone.
    ("domain", &[]),
    ("clock", &[]),
    ("error", &[]),
    ("config", &[]),
    ("telemetry", &[]),
    ("redis_line", &[]),
    // What keeps, and what stands on it.
    ("storage", &[]),
    ("access", &["storage", "redis_line"]),
    ("realtime", &["storage"]),
    ("ingest", &["storage", "realtime", "redis_line"]),
    ("cache", &["storage", "redis_line"]),
    ("reports", &["storage", "cache"]),
    ("jobs", &["storage", "reports", "ingest"]),
    // Faces.
    (
        "graphql",
        &[
            "reports",
            "cache",
            "ingest",
            "realtime",
            "access",
            "storage::entity",
        ],
    ),
    (
        "http",
        &[
            "graphql",
            "reports",
            "cache",
            "ingest",
            "access",
            "storage::entity",
        ],
    ),
    // What wires: `app` every room, `cli` what a command needs.
    (
        "app",
        &[
            "access", "cache", "graphql", "http", "ingest", "jobs", "realtime", "reports",
            "storage",
        ],
    ),
    (
        "cli",
        &[
            "app",
            "access",
            "graphql",
            "http::openapi",
            "ingest",
            "storage",
        ],
    ),
    ("main", &["cli"]),
];
const LEAVES: [&str; 5] = ["domain", "clock", "error", "config", "telemetry"];

/// Which files may use a crate that must not spread: those whose path begins so.
const CRATES: &[(&str, &[&str])] = &[
    ("async_graphql", &["src/graphql.rs", "src/graphql/"]),
    ("axum", &["src/http.rs", "src/http/"]),
    ("hyper", &["src/http/serve.rs"]),
    ("tokio_rustls", &["src/http/tls.rs"]),
    ("utoipa", &["src/http/"]),
    ("sea_orm", &["src/storage.rs", "src/storage/"]),
    ("sqlx", &["src/storage.rs", "src/storage/"]),
    ("migration", &["src/storage/schema.rs"]),
    (
        "redis",
        &[
            "src/cache.rs",
            "src/cache/",
            "src/realtime/",
            "src/ingest/log/",
            "src/access/limits.rs",
            "src/access/limits/",
            "src/redis_line.rs",
            "src/app.rs",
        ],
    ),
    (
        "clap",
        &[
            "src/cli.rs",
            "src/cli/",
            "src/config.rs",
            "src/config/",
            "src/access.rs",
            "src/app.rs",
        ],
    ),
];

#[test]
fn rooms_use_only_the_rooms_below_them() {
    let mut broken = BTreeSet::new();
    for (file, room, code) in sources() {
        let Some((_, may)) = MAY_USE.iter().find(|(name, _)| *name == room) else {
            broken.insert(format!("{file}: the room `{room}` is not on the map"));
            continue;
        };
        for word in ["crate::", "tidewater::"] {
            for used in code.split(word).skip(1).map(path_of) {
                let head = used.split("::").next().unwrap();
                let is_leaf = LEAVES.contains(&head) && (room != "domain" || head == "domain");
                let below =
                    |allowed: &&str| used == **allowed || used.starts_with(&format!("{allowed}::"));
                if !(head == room || is_leaf || may.iter().any(below)) {
                    broken.insert(format!("{file} uses {used}"));
                }
            }
        }
        // A room that leaves itself through `super` would not be seen above.
        let depth = file.trim_end_matches(".rs").matches('/').count();
        if room != "main" && code.contains(&"super::".repeat(depth)) {
            broken.insert(format!("{file} leaves its room through `super`"));
        }
    }
    assert_eq!(broken, BTreeSet::new());
}

#[test]
fn each_library_stays_in_its_rooms() {
    let mut broken = BTreeSet::new();
    for (file, _, code) in sources() {
        for (library, homes) in CRATES {
            let at_home = homes.iter().any(|home| file.starts_with(home));
            if !at_home && names(&code, library) {
                broken.insert(format!("{file} uses {library}"));
            }
        }
    }
    assert_eq!(broken, BTreeSet::new());
}

/// Whether a path in this code begins with that crate.
fn names(code: &str, library: &str) -> bool {
    code.match_indices(&format!("{library}::")).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        !before.is_some_and(|c| c == '_' || c == ':' || c.is_alphanumeric())
    })
}

/// The path that a text begins with.
fn path_of(text: &str) -> String {
    let end = text.find(|c: char| c != '_' && c != ':' && !c.is_alphanumeric());
    let path = &text[..end.unwrap_or(text.len())];
    assert!(
        !path.is_empty() && !path.starts_with(':'),
        "write one `use crate::room` a line, so that this test can read it: {}",
        text.lines().next().unwrap()
    );
    path.trim_end_matches("::").to_owned()
}

/// Each file's path, its room, and its code without comments and unit tests.
fn sources() -> Vec<(String, String, String)> {
    let source = |path: PathBuf| {
        let file = path.strip_prefix(root()).unwrap().to_str().unwrap();
        let room = file["src/".len()..].split(['/', '.']).next().unwrap();
        let text = read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        let lines = code
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .map(|line| line.split(" // ").next().unwrap());
        let code = lines.collect::<Vec<_>>().join("\n");
        (file.to_owned(), room.to_owned(), code)
    };
    let all = files("src").into_iter().map(source);
    all.filter(|(_, room, _)| room != "lib").collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(file: &str) -> String {
    read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Every `.rs` and `.sql` file below a folder.
fn files(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|ending| ending == "rs" || ending == "sql")
            {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn every_query_says_whether_its_answer_may_be_kept() {
    let mut silent = Vec::new();
    let says = |attributes: &str| attributes.contains("cache_control(");
    for (folder, all) in [("src/graphql/query", true), ("src/graphql/types", false)] {
        for file in files(folder) {
            let text = read_to_string(&file).unwrap();
            let mut parts = text.split("\n    async fn ");
            let mut before = parts.next().unwrap_or_default().to_owned();
            for part in parts {
                let (signature, _) = part.split_once('{').unwrap();
                let attributes = before.rsplit("\n\n").next().unwrap_or_default();
                // What asks for more of a record is answered from elsewhere than the report.
                let matters = all || signature.contains("ctx: &Context");
                if matters && !says(attributes) {
                    let name = signature.split('(').next().unwrap_or_default();
                    silent.push(format!("{}: {name}", file.display()));
                }
                before = part.to_owned();
            }
        }
    }
    assert_eq!(silent, Vec::<String>::new());
}
