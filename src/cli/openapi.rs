//! `tidewater openapi`.

use super::Failure;
use crate::http::openapi::document;

/// Prints the OpenAPI document of the REST addresses.
#[allow(clippy::unnecessary_wraps, reason = "as the other commands")]
pub(super) fn run() -> Result<(), Failure> {
    print!("{}", document());
    Ok(())
}
