//! TLS by our own certificate, which can be replaced while the server runs.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use tokio_rustls::rustls::{self, ServerConfig};
use tokio_rustls::server::TlsStream;

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// One of the files.
    #[error("cannot read {0}: {1}")]
    Unreadable(PathBuf, #[source] pem::Error),
    /// There is no certificate.
    #[error("there is no certificate in {0}")]
    Empty(PathBuf),
    /// They do not belong together, or are of a kind that is not known.
    #[error("the certificate and its key cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
}

/// Accepts connections with TLS 1.2 and 1.3.
#[derive(Clone)]
#[allow(missing_debug_implementations, reason = "it holds a private key")]
pub struct Tls {
    files: Arc<(PathBuf, PathBuf)>,
    config: Arc<RwLock<Arc<ServerConfig>>>,
}

impl Tls {
    /// With the certificate chain and the private key of these PEM files.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn read(cert: &Path, key: &Path) -> Result<Self, TlsError> {
        Ok(Self {
            files: Arc::new((cert.to_owned(), key.to_owned())),
            config: Arc::new(RwLock::new(read(cert, key)?)),
        })
    }

    /// Reads both files again, for connections to come. What is in use stays if they are no good.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn reload(&self) -> Result<(), TlsError> {
        let config = read(&self.files.0, &self.files.1)?;
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let config = {
            let config = self.config.read();
            Arc::clone(&config.unwrap_or_else(PoisonError::into_inner))
        };
        TlsAcceptor::from(config).accept(stream).await
    }
}

fn read(cert: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        |error| TlsError::Unreadable(path, error)
    };
    let chain = CertificateDer::pem_file_iter(cert).map_err(unreadable(cert))?;
    let chain: Vec<_> = chain.collect::<Result<_, _>>().map_err(unreadable(cert))?;
    if chain.is_empty() {
        return Err(TlsError::Empty(cert.to_owned()));
    }
    let secret = PrivateKeyDer::from_pem_file(key).map_err(unreadable(key))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, secret)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
