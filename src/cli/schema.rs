//! `tidewater schema`.

use super::Failure;
use crate::graphql::sdl;

/// Prints the GraphQL schema in its definition language.
#[allow(clippy::unnecessary_wraps, reason = "as the other commands")]
pub(super) fn run() -> Result<(), Failure> {
    print!("{}", sdl());
    Ok(())
}
