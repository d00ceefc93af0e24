//! What the program is made of may be used as it is used: every package has a licence that is allowed,
//! and comes from the registry. Nothing is asked of the network.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

/// What may be used. deny.toml says the same.
const ALLOWED: [&str; 13] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Zlib",
];

/// Whether an expression of SPDX can be satisfied: `OR` is a choice, `AND` is not. `/` is how older
/// packages write `OR`.
fn is_allowed(expression: &str) -> bool {
    let text = expression.replace('/', " OR ");
    let text = text.trim();
    // The outermost words alone, outside of parentheses.
    let split = |word: &str| -> Option<(String, String)> {
        let mut depth = 0;
        for (at, c) in text.char_indices() {
            match c {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            if depth == 0 && text[at..].starts_with(word) {
                return Some((text[..at].to_owned(), text[at + word.len()..].to_owned()));
            }
        }
        None
    };
    if let Some((left, right)) = split(" OR ") {
        return is_allowed(&left) || is_allowed(&right);
    }
    if let Some((left, right)) = split(" AND ") {
        return is_allowed(&left) && is_allowed(&right);
    }
    if let Some(inner) = text
        .strip_prefix('(')
        .and_then(|text| text.strip_suffix(')'))
    {
        return is_allowed(inner);
    }
    ALLOWED.contains(&text)
}

/// The platform that this is built on.
fn host() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("-vV").output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    let host = told.lines().find_map(|line| line.strip_prefix("host: "));
    host.expect("rustc tells its host").to_owned()
}

/// What is built here: packages of other platforms may not be at hand.
fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--locked"])
        .args(["--filter-platform", &host()])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

#[test]
fn every_package_has_a_licence_that_is_allowed_and_a_known_source() {
    let packages = packages();
    assert!(packages.len() > 100);
    let mut wrong = Vec::new();
    for package in &packages {
        let name = &package["name"];
        match package["license"].as_str() {
            Some(licence) if is_allowed(licence) => {}
            other => wrong.push(format!("{name}: licence {other:?}")),
        }
        match package["source"].as_str() {
            None | Some("registry+https://github.com/rust-lang/crates.io-index") => {}
            Some(other) => wrong.push(format!("{name}: from {other}")),
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn an_expression_is_read_as_spdx_means_it() {
    for (expression, expected) in [
        ("MIT", true),
        ("MIT/Apache-2.0", true),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0 AND MIT", false),
        ("(MIT OR GPL-3.0) AND Unicode-3.0", true),
        ("(GPL-3.0 OR AGPL-3.0) AND MIT", false),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("GPL-3.0", false),
    ] {
        assert_eq!(is_allowed(expression), expected, "{expression}");
    }
}

#[test]
fn what_cargo_deny_allows_is_what_is_allowed_here() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/deny.toml");
    let text = std::fs::read_to_string(file).unwrap();
    let (_, list) = text.split_once("allow = [").unwrap();
    let (list, _) = list.split_once(']').unwrap();
    let listed: BTreeSet<&str> = list.split('"').skip(1).step_by(2).collect();
    assert_eq!(listed, BTreeSet::from(ALLOWED));
}
