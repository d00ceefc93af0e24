//! Whom a text names: events that were never read as such, of which nothing is known but their JSON.

use std::collections::BTreeSet;

use serde_json::Value;
use uuid::Uuid;

use super::event::user_id;
use super::tenant::TenantId;

/// What `Debug` shows of a type that holds personal data: the fields that are named, and no others.
/// Names, addresses, ids that senders give, and texts that may hold any of these are left out, so
/// that no log and no panic quotes them.
macro_rules! shown {
    ($type:ty as $name:literal { $($field:ident),* $(,)? }) => {
        impl std::fmt::Debug for $type {
            fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.debug_struct($name)
                    $(.field(stringify!($field), &self.$field))*
                    .finish_non_exhaustive()
            }
        }
    };
}

pub(crate) use shown;

/// A word of so many characters names a person wherever it stands; a shorter one, say a `7`, only
/// where an id stands.
const TELLING: usize = 6;

/// A person: all ids that they have, and the words by which texts name them.
#[derive(Clone, PartialEq, Eq)]
pub struct Person {
    /// Of which tenant.
    pub tenant: TenantId,
    /// Every id.
    pub ids: Vec<Uuid>,
    /// What senders call them, their names and addresses.
    pub words: Vec<String>,
}

shown!(Person as "Person" { tenant });

impl Person {
    /// Whether the text of an event names this person: by an id of theirs where an id stands, or by
    /// a telling word anywhere.
    #[must_use]
    pub fn is_named_by(&self, text: &str) -> bool {
        let words: Vec<String> = self.words.iter().map(|word| word.to_lowercase()).collect();
        match serde_json::from_str::<Value>(text) {
            Ok(value) => self.is_in(&value, false, &words),
            Err(_) => has_telling(text, &words),
        }
    }

    fn is_in(&self, value: &Value, is_id: bool, words: &[String]) -> bool {
        let told = |text: &str| {
            let lower = text.to_lowercase();
            has_telling(text, words)
                || is_id
                    && (words.contains(&lower)
                        || ids_of(self.tenant, text)
                            .iter()
                            .any(|id| self.ids.contains(id)))
        };
        match value {
            Value::String(text) => told(text),
            Value::Number(number) => is_id && told(&number.to_string()),
            Value::Array(all) => all.iter().any(|one| self.is_in(one, is_id, words)),
            Value::Object(members) => members.iter().any(|(name, one)| {
                has_telling(name, words) || self.is_in(one, stands_for_id(name), words)
            }),
            Value::Null | Value::Bool(_) => false,
        }
    }
}

fn has_telling(text: &str, words: &[String]) -> bool {
    let lower = text.to_lowercase();
    let is_in = |word: &&String| word.chars().count() >= TELLING && lower.contains(word.as_str());
    words.iter().any(|word| is_in(&word))
}

/// Whether an id of a user may stand under this name: `userId`, `distinct_id`, `$user_id`, `alias`.
fn stands_for_id(name: &str) -> bool {
    let letters = name.chars().filter(|c| c.is_alphanumeric());
    let plain: String = letters.flat_map(char::to_lowercase).collect();
    plain.ends_with("id") || matches!(plain.as_str(), "alias" | "email" | "username" | "name")
}

/// The users that a sender may mean by an id.
fn ids_of(tenant: TenantId, text: &str) -> [Uuid; 2] {
    [user_id(tenant, text, false), user_id(tenant, text, true)]
}

/// The users that the text of an event may name where ids stand.
#[must_use]
pub fn named_by(tenant: TenantId, text: &str) -> BTreeSet<Uuid> {
    let mut users = BTreeSet::new();
    if let Ok(value) = serde_json::from_str(text) {
        collect(tenant, &value, false, &mut users);
    }
    users
}

fn collect(tenant: TenantId, value: &Value, is_id: bool, users: &mut BTreeSet<Uuid>) {
    match value {
        Value::String(text) if is_id => users.extend(ids_of(tenant, text)),
        Value::Number(number) if is_id => users.extend(ids_of(tenant, &number.to_string())),
        Value::Array(all) => {
            for one in all {
                collect(tenant, one, is_id, users);
            }
        }
        Value::Object(members) => {
            for (name, one) in members {
                collect(tenant, one, stands_for_id(name), users);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_found_by_an_id_where_ids_stand_and_by_telling_words_anywhere() {
        let tenant = TenantId(1);
        let person = Person {
            tenant,
            ids: vec![user_id(tenant, "anon-1", true)],
            words: vec!["7".to_owned(), "Jane@Example.com".to_owned()],
        };
        for (text, expected) in [
            (r#"{"userId": "7", "url": 1}"#, true),
            (r#"{"userId": 7}"#, true),
            (r#"{"properties": {"distinct_id": "anon-1"}}"#, true),
            (r#"{"data": ["mail to jane@example.com"]}"#, true),
            (r#"{"jane@example.com": 1}"#, true),
            (r#"{"userId": "77", "quantity": 7, "size": "7"}"#, false),
            (r#"{"page": "anon-1"}"#, false),
            ("no json, but jane@example.com", true),
        ] {
            assert_eq!(person.is_named_by(text), expected, "{text}");
        }
        let named = named_by(tenant, r#"{"anonymousId": "anon-1", "size": "x"}"#);
        assert!(named.contains(&person.ids[0]) && named.len() == 2);
    }
}
