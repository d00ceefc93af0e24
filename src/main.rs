//! The `tidewater` program: reads the command line and calls the library.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Requests allocate much and briefly, on several threads.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    tidewater::cli::run().await
}
