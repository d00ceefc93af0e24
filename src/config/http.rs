//! Where the server listens.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

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

    /// The certificate chain of the API, in PEM; with it the API speaks TLS. Read again at a HUP.
    /// Unset: plain HTTP, for a proxy in front or for the machine itself.
    #[arg(global = true, long, env = "TIDEWATER_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,

    /// The private key of TIDEWATER_TLS_CERT, in PEM.
    #[arg(global = true, long, env = "TIDEWATER_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,

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

impl HttpConfig {
    /// The certificate chain and its key, if either is set; a path that is set to nothing is none.
    #[must_use]
    pub fn tls(&self) -> Option<(&Path, &Path)> {
        let cert = self.tls_cert.as_deref().unwrap_or(Path::new(""));
        let key = self.tls_key.as_deref().unwrap_or(Path::new(""));
        let set = [cert, key].iter().any(|path| !path.as_os_str().is_empty());
        set.then_some((cert, key))
    }
}
