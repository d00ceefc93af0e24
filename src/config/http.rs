//! Where the server listens.

use std::net::SocketAddr;

use clap::Args;

use crate::domain::network::Network;

/// The two listeners.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Listening")]
pub struct HttpConfig {
    /// Address and port of the API.
    #[arg(
        global = true,
        long,
        env = "TIDEWATER_LISTEN",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:8000"
    )]
    pub listen: SocketAddr,

    /// Address and port of /metrics, for Prometheus; keep it private.
    #[arg(
        global = true,
        long,
        env = "TIDEWATER_METRICS_LISTEN",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:9464"
    )]
    pub metrics_listen: SocketAddr,

    /// The proxies whose `X-Forwarded-For` is believed: addresses and networks, after commas, as in
    /// 10.0.0.0/8. Unset: none, and who connects is who asks.
    #[arg(
        global = true,
        long,
        env = "TIDEWATER_TRUSTED_PROXIES",
        value_name = "NETWORKS",
        value_delimiter = ','
    )]
    pub trusted_proxies: Vec<Network>,
}
