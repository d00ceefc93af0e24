//! Documents that an id stands for: those of a list that the operator gives (a manifest), and those
//! that clients sent once with their hash (automatic persisted queries).

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use async_graphql::{Request, Value};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::asked::DOCUMENT_ID;
use super::{Loaders, Rules};
use crate::access::Identity;
use crate::cache::Key;
use crate::error::{Code, Problem};

/// What clients of persisted documents look for in the message.
const NOT_FOUND: &str = "PersistedQueryNotFound";
/// The method of identification that the standard's appendix names.
const SHA256: &str = "sha256:";

/// Why a manifest cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The file.
    #[error("cannot read {0}: {1}")]
    Unreadable(std::path::PathBuf, #[source] std::io::Error),
    /// What is in it.
    #[error(
        "{0} is no manifest of persisted documents, neither an object of ids and documents nor Apollo's: {1}"
    )]
    Malformed(std::path::PathBuf, #[source] serde_json::Error),
}

/// The documents that an operator lists, by their ids.
#[derive(Clone, Debug, Default)]
pub struct Manifest(Arc<HashMap<String, Arc<str>>>);

impl Manifest {
    /// Reads a file: `{"<id>": "<document>", …}`, as Relay and GraphQL Code Generator write it, or
    /// Apollo's `{"format": "apollo-persisted-query-manifest", "operations": [{"id", "body"}, …]}`.
    ///
    /// # Errors
    /// See [`ManifestError`].
    pub fn read(path: &Path) -> Result<Self, ManifestError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ManifestError::Unreadable(path.to_owned(), error))?;
        Self::parse(&text).map_err(|error| ManifestError::Malformed(path.to_owned(), error))
    }

    fn parse(text: &str) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Apollo { operations: Vec<Operation> },
            Plain(HashMap<String, String>),
        }
        #[derive(Deserialize)]
        struct Operation {
            id: String,
            body: String,
        }
        let pairs: Vec<(String, String)> = match serde_json::from_str(text)? {
            Written::Apollo { operations } => operations
                .into_iter()
                .map(|one| (one.id, one.body))
                .collect(),
            Written::Plain(all) => all.into_iter().collect(),
        };
        let mut documents = HashMap::new();
        for (id, text) in pairs {
            let text: Arc<str> = text.into();
            // By its hash, too, whatever the list calls it.
            documents.insert(hash(&text), Arc::clone(&text));
            documents.insert(id.strip_prefix(SHA256).unwrap_or(&id).to_owned(), text);
        }
        Ok(Self(Arc::new(documents)))
    }

    fn get(&self, id: &str) -> Option<&Arc<str>> {
        self.0.get(id)
    }

    /// How many names it knows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it lists nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Puts the document into a request that names it.
///
/// # Errors
/// [`Code::PersistedQueryNotFound`], [`Code::DocumentNotAllowed`], or what is wrong with the id.
pub(super) async fn find(
    rules: &Rules,
    loaders: &Loaders,
    identity: &Identity,
    request: &mut Request,
) -> Result<(), Problem> {
    let id = id(request)?;
    let bound = rules.is_bound(identity);
    if bound && id.is_none() {
        let listed = rules.documents.get(&hash(&request.query)).is_some();
        return listed
            .then_some(())
            .ok_or_else(|| Code::DocumentNotAllowed.into());
    }
    let Some(id) = id else { return Ok(()) };
    if let Some(listed) = rules.documents.get(&id) {
        if !request.query.is_empty() && *request.query != **listed {
            return Err(not_of_its_id());
        }
        request.query = listed.to_string();
        return Ok(());
    }
    if bound {
        return Err(Code::DocumentNotAllowed.into());
    }
    let key = Key::of(identity.tenant(), "document", &id);
    let cache = loaders.0.cache();
    if request.query.is_empty() {
        let document = cache.document(key).await;
        let unknown = || Problem::with(Code::PersistedQueryNotFound, NOT_FOUND);
        request.query = document.ok_or_else(unknown)?.to_string();
        return Ok(());
    }
    if hash(&request.query) != id {
        return Err(not_of_its_id());
    }
    // What cannot be parsed need not be known again.
    super::document::text::check(&request.query)?;
    cache.keep_document(key, &request.query).await;
    Ok(())
}

/// The id that a request names its document by, without what says that it is a hash.
fn id(request: &Request) -> Result<Option<String>, Problem> {
    let malformed = |detail: &str| Problem::with(Code::MalformedRequest, detail);
    if let Some(Value::String(id)) = request.extensions.get(DOCUMENT_ID) {
        return match id.strip_prefix(SHA256) {
            Some(hash) if is_hash(hash) => Ok(Some(hash.to_owned())),
            Some(_) => Err(malformed(
                "`documentId` has behind `sha256:` 64 hexadecimal digits, in lower case.",
            )),
            None => Ok(Some(id.clone())),
        };
    }
    let Some(Value::Object(persisted)) = request.extensions.get("persistedQuery") else {
        return Ok(None);
    };
    let is_first = |version: &Value| matches!(version, Value::Number(n) if n.as_i64() == Some(1));
    if !persisted.get("version").is_some_and(is_first) {
        return Err(malformed("`persistedQuery.version` is 1."));
    }
    match persisted.get("sha256Hash") {
        Some(Value::String(hash)) if is_hash(&hash.to_ascii_lowercase()) => {
            Ok(Some(hash.to_ascii_lowercase()))
        }
        _ => Err(malformed(
            "`persistedQuery.sha256Hash` is the SHA-256 of the document: 64 hexadecimal digits.",
        )),
    }
}

fn is_hash(text: &str) -> bool {
    text.len() == 64
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn not_of_its_id() -> Problem {
    let detail =
        "The document that was sent is not the one of its id: the id is the SHA-256 of `query`.";
    Problem::with(Code::MalformedRequest, detail)
}

fn hash(text: &str) -> String {
    format!("{:x}", Sha256::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_manifests_are_read() {
        let plain = r#"{"sha256:ab": "{ a }", "sales": "{ b }"}"#;
        let apollo = r#"{"format": "apollo-persisted-query-manifest", "version": 1, "operations": [
            {"id": "ab", "body": "{ a }", "name": "A", "type": "query"},
            {"id": "sales", "body": "{ b }", "name": "B", "type": "query"}]}"#;
        for text in [plain, apollo] {
            let manifest = Manifest::parse(text).unwrap();
            let text = |id: &str| manifest.get(id).map(ToString::to_string);
            assert_eq!(text("ab").as_deref(), Some("{ a }"));
            assert_eq!(text("sales").as_deref(), Some("{ b }"));
            assert_eq!(text(&hash("{ b }")).as_deref(), Some("{ b }"));
            assert_eq!(text("{ a }"), None);
        }
        for wrong in ["", "[]", "{\"a\": 1}", "{\"operations\": [{\"id\": 1}]}"] {
            assert!(Manifest::parse(wrong).is_err(), "{wrong}");
        }
    }
}
