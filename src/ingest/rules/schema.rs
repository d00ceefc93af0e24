//! One JSON Schema: bounded, compiled, and what it says of an event's properties.
//!
//! Whoever may put schemas decides how much work every event of theirs is. So nothing is loaded
//! from elsewhere, patterns are matched in linear time, a reference leads down and never back, and
//! the schema with all its references followed is of a bounded size and depth.

use std::collections::HashMap;
use std::fmt::Write as _;

use jsonschema::error::ValidationErrorKind;
use jsonschema::paths::{Location, LocationSegment};
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::Value;

/// How many bytes a schema's text has at most.
pub const MAX_SCHEMA: usize = 64 * 1024;
/// How many values a schema has at most, those that its references lead to counted each time.
const MAX_VALUES: u64 = 10_000;
/// How deep they are nested at most.
const MAX_DEPTH: u32 = 64;
/// How many patterns a schema has at most, and about how many bytes one takes when compiled.
const MAX_PATTERNS: usize = 50;
const MAX_PATTERN: usize = 64 * 1024;
/// How many keywords that look at what others left over may be nested in each other.
const MAX_UNEVALUATED: u32 = 4;
/// How many violations are told, and how many bytes each has at most.
const TOLD: usize = 3;
const MAX_WORDS: usize = 160;

const DRAFTS: [&str; 4] = [
    "https://json-schema.org/draft/2020-12/schema",
    "https://json-schema.org/draft/2019-09/schema",
    "http://json-schema.org/draft-07/schema",
    "http://json-schema.org/draft-06/schema",
];

/// A schema that is ready for use.
#[derive(Debug)]
pub struct PropertySchema(Validator);

/// Where properties do not fit, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// As in `properties.items[0].price`.
    pub path: String,
    /// In words.
    pub message: String,
}

/// Why a schema cannot be used: the place in it, and the reason.
pub type Flaw = String;

impl PropertySchema {
    /// Makes a schema ready for use; draft 2020-12 unless `$schema` names another.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn compile(schema: &Value) -> Result<Self, Flaw> {
        let text = schema.to_string();
        let size = text.len();
        if size > MAX_SCHEMA {
            return Err(format!(
                "the schema has {size} bytes, the most is {MAX_SCHEMA}"
            ));
        }
        if text.contains("\\u0000") {
            return Err("the schema holds a NUL character".to_owned());
        }
        Survey::of(schema)?;
        let patterns = PatternOptions::regex()
            .size_limit(MAX_PATTERN)
            .dfa_size_limit(MAX_PATTERN);
        let options = jsonschema::options()
            .offline()
            .with_pattern_options(patterns)
            .should_validate_formats(true)
            // Else it would compile what senders send.
            .with_format("regex", |_: &str| true);
        options.build(schema).map(Self).map_err(|error| {
            let place = error.instance_path().as_str();
            let place = if place.is_empty() {
                "the schema"
            } else {
                place
            };
            bounded(format!("{place}: {error}"), MAX_WORDS)
        })
    }

    /// What of an event's properties does not fit.
    #[must_use]
    pub fn violation(&self, properties: &str) -> Option<Violation> {
        // Properties were read before; what cannot be read has no property that fits.
        let properties = serde_json::from_str(properties).unwrap_or(Value::Null);
        if self.0.is_valid(&properties) {
            return None;
        }
        let mut errors = self.0.iter_errors(&properties);
        let first = errors.next()?;
        let path = path_of(&first);
        let mut message = words(&first);
        for error in errors.by_ref().take(TOLD - 1) {
            let _ = write!(message, "; {}: {}", path_of(&error), words(&error));
        }
        if errors.next().is_some() {
            message.push_str("; and more");
        }
        Some(Violation { path, message })
    }
}

/// What is wrong, without the value that is: it may be a person's.
fn words(error: &ValidationError<'_>) -> String {
    bounded(error.masked_with("the value").to_string(), MAX_WORDS)
}

/// The place of what does not fit; of what is missing, the place where it should be.
fn path_of(error: &ValidationError<'_>) -> String {
    let mut path = path_to(error.instance_path());
    if let ValidationErrorKind::Required { property } = error.kind()
        && let Some(property) = property.as_str()
    {
        let _ = write!(path, ".{property}");
    }
    bounded(path, MAX_WORDS)
}

fn path_to(location: &Location) -> String {
    let mut path = "properties".to_owned();
    for segment in location.segments() {
        let _ = match segment {
            LocationSegment::Property(name) => write!(path, ".{name}"),
            LocationSegment::Index(n) => write!(path, "[{n}]"),
        };
    }
    path
}

/// A text cut to so many bytes.
fn bounded(mut text: String, most: usize) -> String {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most - '…'.len_utf8()));
        text.push('…');
    }
    text
}

/// How much there is of a part of a schema.
#[derive(Clone, Copy)]
struct Extent {
    values: u64,
    depth: u32,
    /// Keywords in each other that look at what others left over: each looks at all below it again.
    unevaluated: u32,
}

/// Walks a schema and follows its references.
struct Survey<'a> {
    root: &'a Value,
    patterns: usize,
    /// What references led to; nothing while it is being walked.
    known: HashMap<&'a str, Option<Extent>>,
}

impl<'a> Survey<'a> {
    fn of(schema: &'a Value) -> Result<(), Flaw> {
        if !schema.is_object() {
            return Err("the schema is not an object".to_owned());
        }
        if let Some(draft) = schema.get("$schema") {
            let name = draft.as_str().unwrap_or_default().trim_end_matches('#');
            if !DRAFTS.contains(&name) {
                let known = DRAFTS.join(", ");
                return Err(format!("/$schema: the known drafts are {known}"));
            }
        }
        let mut survey = Self {
            root: schema,
            patterns: 0,
            known: HashMap::new(),
        };
        survey.walk(schema, "", 0)?;
        if survey.patterns > MAX_PATTERNS {
            let patterns = survey.patterns;
            return Err(format!(
                "the schema has {patterns} patterns, the most is {MAX_PATTERNS}"
            ));
        }
        Ok(())
    }

    fn walk(&mut self, value: &'a Value, place: &str, above: u32) -> Result<Extent, Flaw> {
        if above > MAX_DEPTH {
            return Err(format!(
                "{place}: nested deeper than {MAX_DEPTH}, references followed"
            ));
        }
        let mut extent = Extent {
            values: 1,
            depth: 0,
            unevaluated: 0,
        };
        let mut inside = |part: Extent| {
            extent.values = extent.values.saturating_add(part.values);
            extent.depth = extent.depth.max(part.depth + 1);
            extent.unevaluated = extent.unevaluated.max(part.unevaluated);
        };
        match value {
            Value::Array(items) => {
                for (n, item) in items.iter().enumerate() {
                    inside(self.walk(item, &format!("{place}/{n}"), above + 1)?);
                }
            }
            Value::Object(members) => {
                for (name, member) in members {
                    let place = format!("{place}/{}", name.replace('~', "~0").replace('/', "~1"));
                    inside(self.member(name, member, &place, above + 1)?);
                }
                let looks = ["unevaluatedProperties", "unevaluatedItems"];
                extent.unevaluated +=
                    u32::from(looks.iter().any(|name| members.contains_key(*name)));
            }
            _ => {}
        }
        if extent.values > MAX_VALUES {
            return Err(format!(
                "{place}: more than {MAX_VALUES} values, references followed"
            ));
        }
        if above + extent.depth > MAX_DEPTH {
            return Err(format!(
                "{place}: nested deeper than {MAX_DEPTH}, references followed"
            ));
        }
        if extent.unevaluated > MAX_UNEVALUATED {
            return Err(format!(
                "{place}: more than {MAX_UNEVALUATED} unevaluatedProperties or unevaluatedItems in each other"
            ));
        }
        Ok(extent)
    }

    fn member(
        &mut self,
        name: &'a str,
        member: &'a Value,
        place: &str,
        above: u32,
    ) -> Result<Extent, Flaw> {
        match (name, member) {
            ("$ref", Value::String(target)) => self.follow(target, place, above),
            ("$dynamicRef" | "$recursiveRef", Value::String(_)) => {
                Err(format!("{place}: {name} is not taken; use $ref"))
            }
            // It would change what references below it mean.
            ("$id", Value::String(_)) if place != "/$id" => {
                Err(format!("{place}: $id stands at the top alone"))
            }
            ("pattern", Value::String(_)) => {
                self.patterns += 1;
                self.walk(member, place, above)
            }
            ("patternProperties", Value::Object(members)) => {
                self.patterns += members.len();
                self.walk(member, place, above)
            }
            _ => self.walk(member, place, above),
        }
    }

    fn follow(&mut self, target: &'a str, place: &str, above: u32) -> Result<Extent, Flaw> {
        match self.known.get(target) {
            Some(Some(extent)) => return Ok(*extent),
            Some(None) => return Err(format!("{place}: {target} leads back to itself")),
            None => {}
        }
        let pointer = target.strip_prefix('#');
        let pointer = pointer.filter(|pointer| pointer.is_empty() || pointer.starts_with('/'));
        let Some(pointer) = pointer else {
            return Err(format!(
                "{place}: a reference leads to a place in the schema, as #/$defs/name"
            ));
        };
        let Some(found) = self.root.pointer(pointer) else {
            return Err(format!("{place}: there is nothing at {target}"));
        };
        self.known.insert(target, None);
        let extent = self.walk(found, place, above)?;
        self.known.insert(target, Some(extent));
        Ok(extent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::time::{Duration, Instant};

    fn flaw(schema: &Value) -> String {
        PropertySchema::compile(schema).unwrap_err()
    }

    fn violation(schema: &Value, properties: &Value) -> Option<(String, String)> {
        let schema = PropertySchema::compile(schema).unwrap();
        let found = schema.violation(&properties.to_string())?;
        Some((found.path, found.message))
    }

    #[test]
    fn a_violation_names_the_place_and_the_rule() {
        let schema = json!({
            "type": "object",
            "required": ["sku"],
            "properties": {
                "price": {"type": "number", "minimum": 0},
                "items": {"items": {"properties": {"n": {"type": "integer"}}}},
                "mail": {"format": "email"},
            },
        });
        let cases = [
            (json!({"sku": "a", "price": 1.5, "other": null}), None),
            (
                json!({"sku": "a", "price": -5}),
                Some((
                    "properties.price",
                    "the value is less than the minimum of 0",
                )),
            ),
            (
                json!({"price": 5}),
                Some(("properties.sku", r#""sku" is a required property"#)),
            ),
            (
                json!({"sku": "a", "items": [{"n": 1}, {"n": "x"}]}),
                Some((
                    "properties.items[1].n",
                    r#"the value is not of type "integer""#,
                )),
            ),
            (
                json!({"sku": "a", "mail": "nobody"}),
                Some(("properties.mail", r#"the value is not a "email""#)),
            ),
        ];
        for (properties, expected) in cases {
            let expected = expected.map(|(path, message)| (path.to_owned(), message.to_owned()));
            assert_eq!(violation(&schema, &properties), expected, "{properties}");
        }
    }

    #[test]
    fn of_many_violations_three_are_told_and_none_at_length() {
        let schema = json!({"additionalProperties": {"type": "integer"}});
        let three = violation(&schema, &json!({"a": "1", "b": "2", "c": "3"})).unwrap();
        assert_eq!(
            three,
            (
                "properties.a".to_owned(),
                r#"the value is not of type "integer"; properties.b: the value is not of type "integer"; properties.c: the value is not of type "integer""#
                    .to_owned()
            )
        );
        let four = violation(&schema, &json!({"a": "1", "b": "2", "c": "3", "d": "4"}));
        assert!(four.unwrap().1.ends_with("; and more"));
        let long = violation(&schema, &json!({"ä".repeat(500): "ö".repeat(5_000)})).unwrap();
        assert!(
            long.0.len() <= MAX_WORDS && long.1.len() <= MAX_WORDS,
            "{long:?}"
        );
    }

    #[test]
    fn a_schema_that_cannot_be_used_says_where_and_why() {
        let cases = [
            (json!(true), "not an object"),
            (json!({"type": "objekt"}), "/type: "),
            (
                json!({"properties": {"a": {"minimum": "1"}}}),
                "/properties/a/minimum: ",
            ),
            (json!({"pattern": "("}), "is not a \"regex\""),
            (json!({"pattern": "(a)\\1"}), "is not a \"regex\""),
            (json!({"pattern": "(?=a)b"}), "is not a \"regex\""),
            (
                json!({"$schema": "http://json-schema.org/draft-04/schema#"}),
                "/$schema: ",
            ),
            (json!({"$ref": "https://example.com/a.json"}), "/$ref: "),
            (json!({"$ref": "file:///etc/passwd"}), "/$ref: "),
            (json!({"$ref": "#/$defs/a"}), "/$ref: there is nothing"),
            (
                json!({"properties": {"a": {"$ref": "#"}}}),
                "leads back to itself",
            ),
            (json!({"$dynamicRef": "#a"}), "/$dynamicRef: "),
            (
                json!({"$defs": {"a": {"$id": "https://example.com/"}}}),
                "$id stands at the top",
            ),
            (
                json!({"description": "x".repeat(MAX_SCHEMA)}),
                "bytes, the most is",
            ),
            (
                json!({"allOf": vec![json!({"pattern": "a"}); MAX_PATTERNS + 1]}),
                "51 patterns",
            ),
        ];
        for (schema, expected) in cases {
            let flaw = flaw(&schema);
            assert!(flaw.contains(expected), "{schema}: {flaw}");
        }
        let named = json!({
            "$schema": "http://json-schema.org/draft-07/schema#", "$id": "https://shop.example/a",
            "properties": {"$id": {"type": "string"}, "$ref": {"$ref": "#/definitions/a"}},
            "definitions": {"a": {"type": "integer"}},
        });
        assert_eq!(
            violation(&named, &json!({"$ref": "x"})).unwrap().0,
            "properties.$ref"
        );
    }

    /// Each level refers to the next `times` times: times^levels when followed.
    fn multiplying(times: usize, levels: usize) -> Value {
        let level = |n: usize| {
            let next = json!({"$ref": format!("#/$defs/l{}", n + 1)});
            (format!("l{n}"), json!({"allOf": vec![next; times]}))
        };
        let mut defs: serde_json::Map<String, Value> = (0..levels).map(level).collect();
        defs.insert(format!("l{levels}"), json!({"minProperties": 1}));
        json!({"$ref": "#/$defs/l0", "$defs": defs})
    }

    #[test]
    fn references_cannot_multiply_the_work_of_an_event() {
        assert!(PropertySchema::compile(&multiplying(2, 6)).is_ok());
        let many = flaw(&multiplying(10, 10));
        assert!(many.contains("10000 values"), "{many}");
        let mut deep = json!({});
        for _ in 0..MAX_DEPTH {
            deep = json!({"not": deep});
        }
        assert!(PropertySchema::compile(&deep).is_ok());
        assert!(flaw(&json!({"not": deep})).contains("nested deeper"));
    }

    #[test]
    fn the_worst_that_is_taken_is_compiled_and_checked_in_bounded_time() {
        let mut nested = json!({"properties": {"z": true}, "unevaluatedProperties": false});
        for n in 1..MAX_UNEVALUATED {
            let names: Vec<Value> = (0..20)
                .map(|k| json!({"properties": {format!("p{n}{k}"): {}}}))
                .collect();
            let mut parts = names;
            parts.push(nested);
            nested = json!({"anyOf": parts, "unevaluatedProperties": {"type": "integer"}});
        }
        let patterns: Vec<Value> = (0..MAX_PATTERNS)
            .map(|n| json!({"additionalProperties": {"pattern": format!("^(a|a?)+{n}$")}}))
            .collect();
        let properties = json!({"a": "a".repeat(30_000)});
        let many: serde_json::Map<String, Value> =
            (0..2_000).map(|n| (format!("k{n}"), json!("a"))).collect();
        let unique: Vec<Value> = (0..8_000).map(|n| json!(n)).collect();
        for (what, schema, properties) in [
            ("unevaluated", nested.clone(), Value::Object(many)),
            ("patterns", json!({"allOf": patterns}), properties),
            (
                "unique",
                json!({"properties": {"u": {"uniqueItems": true}}}),
                json!({"u": unique}),
            ),
        ] {
            let begun = Instant::now();
            let compiled = PropertySchema::compile(&schema).unwrap();
            let ready = begun.elapsed();
            let _ = compiled.violation(&properties.to_string());
            let checked = begun.elapsed().saturating_sub(ready);
            eprintln!("{what}: compiled in {ready:?}, checked in {checked:?}");
            assert!(
                ready + checked < Duration::from_secs(5),
                "{what}: {ready:?}, {checked:?}"
            );
        }
    }
}
