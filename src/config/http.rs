//! Where the server listens.

use std::net::SocketAddr;

use clap::Args;

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
}
