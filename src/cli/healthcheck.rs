//! `tidewater healthcheck`: for container runtimes and scripts.

use std::time::Duration;

use clap::Args;

use super::Failure;
use crate::config::Config;

const PATIENCE: Duration = Duration::from_secs(5);

/// Whom to ask.
#[derive(Args, Debug)]
pub(super) struct Healthcheck {
    /// The server's address; by default the API of TIDEWATER_LISTEN on this machine.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

impl Healthcheck {
    pub(super) async fn run(self, config: &Config) -> Result<(), Failure> {
        let url = self.url.unwrap_or_else(|| {
            let mut address = config.http.listen;
            // A server that listens everywhere is also here.
            if address.ip().is_unspecified() {
                address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
            }
            format!("http://{address}")
        });
        let client = reqwest::Client::builder()
            .timeout(PATIENCE)
            .no_proxy()
            .build()?;
        let answer = client.get(format!("{url}/readyz")).send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        if !status.is_success() {
            return Err(format!("not ready: {text}").into());
        }
        println!("ready");
        Ok(())
    }
}
