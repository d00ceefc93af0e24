//! Works on the erasures that are asked for, and those that somebody left.

use std::time::Duration;

use crate::ingest::Ingest;

/// How often it is looked for some.
const INTERVAL: Duration = Duration::from_secs(1);

/// Does it for ever; what fails is tried again.
pub async fn run(ingest: Ingest) {
    loop {
        if let Err(error) = ingest.erasures().work().await {
            tracing::debug!(%error, "erasures were not looked for");
        }
        tokio::time::sleep(INTERVAL).await;
    }
}
