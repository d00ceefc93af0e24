//! The `tidewater` program: reads the command line and calls the library.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    tidewater::cli::run().await
}
