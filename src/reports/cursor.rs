//! Cursors: opaque texts that name a place in a list, the same for every face.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::records::{KeyPart, Listed};
use crate::error::{Code, Problem};

/// The cursor of a place in the list of this name.
#[must_use]
pub fn encode(list: &str, place: &[KeyPart]) -> String {
    let json = serde_json::to_vec(&(list, place)).expect("plain values serialise");
    URL_SAFE_NO_PAD.encode(json)
}

/// The cursor of a row.
#[must_use]
pub fn of<E: Listed>(row: &E::Model) -> String {
    encode(E::list(), &E::place(row))
}

/// The cursor of a place in this list.
#[must_use]
pub fn at<E: Listed>(place: &[KeyPart]) -> String {
    encode(E::list(), place)
}

/// A row's place.
#[must_use]
pub fn place<E: Listed>(row: &E::Model) -> Vec<KeyPart> {
    E::place(row)
}

/// The place that a cursor of this list names.
///
/// # Errors
/// [`Code::InvalidCursor`] of a text that is none, or of another list.
pub fn decode<E: Listed>(cursor: &str) -> Result<Vec<KeyPart>, Problem> {
    let json = URL_SAFE_NO_PAD.decode(cursor).ok();
    json.and_then(|json| serde_json::from_slice::<(String, Vec<KeyPart>)>(&json).ok())
        .filter(|(list, _)| list == E::list())
        .map(|(_, place)| place)
        .ok_or_else(|| Code::InvalidCursor.into())
}
