//! Bounds of documents: what is refused before the schema looks at it.
//!
//! The parser and the rules of validation take time and room that may grow faster than a document
//! does. So its tokens are counted before it is parsed ([`text`]), and what it becomes once its
//! fragments are put in is counted before it is validated ([`shape`]); both take one pass.

pub(super) mod shape;
pub(super) mod text;
