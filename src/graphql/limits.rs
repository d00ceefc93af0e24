//! How much one query may ask for.

/// How deep fields may nest: enough for the introspection that tools send.
pub(super) const DEPTH: usize = 15;
/// The sum over all fields of what each costs; a list costs its page size times its fields.
pub(super) const COMPLEXITY: usize = 10_000;
/// How many directives a field may carry.
pub(super) const DIRECTIVES: usize = 10;
/// How many records a page has at most.
pub(super) const MAX_PAGE: i32 = 100;
/// How many a page has unless it says otherwise.
pub(super) const DEFAULT_PAGE: i32 = 20;

/// What a list costs: as many as it can hold.
pub(super) fn list_cost(first: Option<i32>, last: Option<i32>, child: usize) -> usize {
    let records = first.or(last).unwrap_or(DEFAULT_PAGE).clamp(1, MAX_PAGE);
    usize::try_from(records).unwrap_or(1) * child + 1
}
