//! JSON told apart without being built: members and items as they are written.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::error::Code;
use crate::ingest::Rejection;

/// The members of an object, in their order, values untouched.
pub(super) type Members<'a> = Vec<(Cow<'a, str>, &'a RawValue)>;

/// The members of a JSON object.
pub(super) fn object<'a>(text: &'a str, path: &str) -> Result<Members<'a>, Rejection> {
    struct Object;

    impl<'de> Visitor<'de> for Object {
        type Value = Members<'de>;

        fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::with_capacity(12);
            while let Some(Name(name)) = map.next_key()? {
                members.push((name, map.next_value()?));
            }
            Ok(members)
        }
    }

    #[derive(Deserialize)]
    struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

    let mut deserializer = serde_json::Deserializer::from_str(text);
    deserializer.deserialize_map(Object).map_err(|_| {
        let detail = if path.is_empty() {
            "An event must be an object.".to_owned()
        } else {
            format!("`{path}` must be an object.")
        };
        Rejection::with(Code::InvalidType, path, detail)
    })
}

/// The text of an object with more members at its end; their values are JSON.
pub(super) fn with_members(object: &str, more: &[(&str, &str)]) -> String {
    let object = object.trim_end();
    let own = object.strip_suffix('}').unwrap_or(object).trim_end();
    let mut text = String::with_capacity(object.len() + 64);
    text.push_str(own);
    for (name, value) in more {
        let comma = if text.ends_with('{') { "" } else { "," };
        // Names of ours need no escapes.
        let _ = write!(text, "{comma}\"{name}\":{value}");
    }
    text.push('}');
    text
}

/// The text of an object with these members.
pub(super) fn written<'m, 'a: 'm>(
    members: impl Iterator<Item = &'m (Cow<'a, str>, &'a RawValue)>,
) -> String {
    let mut text = String::from("{");
    for (name, raw) in members {
        if text.len() > 1 {
            text.push(',');
        }
        let name = serde_json::Value::from(name.as_ref());
        let _ = write!(text, "{name}:{}", raw.get());
    }
    text.push('}');
    text
}

/// The items of an array; one that has more than `N` is not read to its end.
pub(super) struct AtMost<'a, const N: usize>(pub(super) Vec<&'a RawValue>);

impl<'de: 'a, 'a, const N: usize> Deserialize<'de> for AtMost<'a, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Array<const N: usize>;

        impl<'de, const N: usize> Visitor<'de> for Array<N> {
            type Value = Vec<&'de RawValue>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::new();
                while let Some(item) = items.next_element()? {
                    if all.len() == N {
                        return Err(serde::de::Error::custom(TOO_MANY));
                    }
                    all.push(item);
                }
                Ok(all)
            }
        }

        deserializer.deserialize_seq(Array::<N>).map(Self)
    }
}

/// What [`AtMost`] says of an array that has more.
pub(super) const TOO_MANY: &str = "too many items";

/// Puts a value in its place; a name that came before is an error, not a silent choice.
pub(super) fn fill<T>(slot: &mut Option<T>, value: Option<T>, path: &str) -> Result<(), Rejection> {
    if slot.is_some() {
        return Err(Rejection::new(Code::DuplicateField, path));
    }
    *slot = value;
    Ok(())
}

/// The value, unless it is null.
pub(super) fn non_null(raw: &RawValue) -> Option<&RawValue> {
    (raw.get() != "null").then_some(raw)
}

/// A text.
pub(super) fn text<'a>(raw: &'a RawValue, path: &str) -> Result<Cow<'a, str>, Rejection> {
    serde_json::from_str(raw.get())
        .map(|Text(text)| text)
        .map_err(|_| Rejection::with(Code::InvalidType, path, format!("`{path}` must be a text.")))
}

/// The digits of a number.
pub(super) fn number<'a>(raw: &'a RawValue, path: &str) -> Result<Cow<'a, str>, Rejection> {
    if is_number(raw) {
        return Ok(raw.get().into());
    }
    let detail = format!("`{path}` must be a number.");
    Err(Rejection::with(Code::InvalidType, path, detail))
}

/// A text, or the digits of a number.
pub(super) fn text_or_number<'a>(raw: &'a RawValue, path: &str) -> Result<Cow<'a, str>, Rejection> {
    if is_number(raw) {
        return Ok(raw.get().into());
    }
    serde_json::from_str(raw.get())
        .map(|Text(text)| text)
        .map_err(|_| {
            let detail = format!("`{path}` must be a text or a number.");
            Rejection::with(Code::InvalidType, path, detail)
        })
}

/// What an optional field of little weight says: a text or a number, if it is one and not empty.
pub(super) fn lenient_text(raw: &RawValue) -> Option<Cow<'_, str>> {
    text_or_number(raw, "").ok().filter(|text| !text.is_empty())
}

/// Only a text with escapes is copied.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

fn is_number(raw: &RawValue) -> bool {
    let first = raw.get().as_bytes().first();
    first.is_some_and(|first| *first == b'-' || first.is_ascii_digit())
}
