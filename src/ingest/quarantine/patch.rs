//! JSON merge patches (RFC 7396) on texts: what a patch does not touch keeps every digit.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

/// A document with a patch merged into it.
pub(super) fn merged(document: &str, patch: &Value) -> String {
    let Value::Object(patch) = patch else {
        return patch.to_string();
    };
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(document).unwrap_or_default();
    let mut members: BTreeMap<String, String> = members
        .into_iter()
        .map(|(name, value)| (name, value.get().to_owned()))
        .collect();
    for (name, patch) in patch {
        if patch.is_null() {
            members.remove(name);
        } else {
            let before = members.get(name).map_or("null", String::as_str);
            members.insert(name.clone(), merged(before, patch));
        }
    }
    let members = members
        .iter()
        .map(|(name, value)| format!("{}:{value}", Value::from(name.as_str())));
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_standard_hold() {
        for (document, patch, expected) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, "{}"),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (
                r#"{"a":{"b":"c"}}"#,
                r#"{"a":{"b":"d","c":null}}"#,
                r#"{"a":{"b":"d"}}"#,
            ),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            (r#"["a","b"]"#, r#"["c","d"]"#, r#"["c","d"]"#),
            (r#"{"a":"b"}"#, r#"["c"]"#, r#"["c"]"#),
            (r#"{"a":"foo"}"#, "null", "null"),
            (r#"{"a":"foo"}"#, r#""bar""#, r#""bar""#),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"a":1,"e":null}"#),
            ("[1,2]", r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#),
            ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
        ] {
            let patch = serde_json::from_str(patch).unwrap();
            assert_eq!(merged(document, &patch), expected, "{document} + {patch}");
        }
    }

    #[test]
    fn what_is_not_touched_keeps_every_digit() {
        let patch = serde_json::json!({"lines": {"currency": "EUR"}, "a\"b": 1});
        assert_eq!(
            merged(
                r#"{"lines": {"amount": 12345678901234567890.10, "n": 1e400}, "x": 29.90}"#,
                &patch
            ),
            r#"{"a\"b":1,"lines":{"amount":12345678901234567890.10,"currency":"EUR","n":1e400},"x":29.90}"#
        );
    }
}
