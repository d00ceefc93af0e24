//! How much one query may ask for.

use std::time::Duration;

/// How many bytes the text of a document may have.
pub(super) const DOCUMENT_BYTES: usize = 128 * 1024;
/// How many names, numbers, texts and signs a document may have.
pub(super) const TOKENS: usize = 5_000;
/// How deep brackets may nest, whatever they hold; also how many selections lie in one another,
/// fragments included.
pub(super) const NESTING: usize = 48;
/// How deep fields may nest: enough for the introspection that tools send.
pub(super) const DEPTH: usize = 15;
/// The sum over all fields of what each costs; a list costs its page size times its fields.
pub(super) const COMPLEXITY: usize = 10_000;
/// How many fields an operation may have, each counted as often as its fragment is used.
pub(super) const FIELDS: usize = 1_000;
/// How many fields an operation may have at its root, counted alike.
pub(super) const ROOT_FIELDS: usize = 50;
/// How many aliases an operation may have, counted alike.
pub(super) const ALIASES: usize = 50;
/// How many directives may stand at one place.
pub(super) const DIRECTIVES: usize = 5;
/// How many an operation may have, counted as its fields are.
pub(super) const ALL_DIRECTIVES: usize = 50;
/// How many values the JSON of a request may have: its variables, mostly.
pub(super) const VALUES: usize = 250_000;
/// How long a request may run.
pub(super) const EXECUTION: Duration = Duration::from_secs(25);
/// How many errors are told.
pub(super) const ERRORS: usize = 50;
/// How many records a page has at most.
pub(super) const MAX_PAGE: i32 = 100;
/// How many a page has unless it says otherwise.
pub(super) const DEFAULT_PAGE: i32 = 20;

/// What a list costs: as many as it can hold.
pub(super) fn list_cost(first: Option<i32>, last: Option<i32>, child: usize) -> usize {
    let records = first.or(last).unwrap_or(DEFAULT_PAGE).clamp(1, MAX_PAGE);
    usize::try_from(records).unwrap_or(1) * child + 1
}
