//! TLS in the process itself: a certificate, another one at a HUP, and what is no certificate.
//!
//! The certificates in `fixtures` are of nobody, and for this machine alone.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::support::{TestDb, free_port, program};

fn fixture(name: &str) -> String {
    format!(
        "{}/tests/it/edge/fixtures/{name}",
        env!("CARGO_MANIFEST_DIR")
    )
}

/// Puts a certificate and its key where the server reads them.
fn install(folder: &Path, name: &str) {
    for kind in ["cert", "key"] {
        let to = folder.join(format!("{kind}.pem"));
        std::fs::copy(fixture(&format!("{name}.{kind}.pem")), to).unwrap();
    }
}

/// The answer to a `GET`, if the server shows this certificate.
async fn get(port: u16, name: &str, path: &str) -> Option<String> {
    let mut roots = RootCertStore::empty();
    let trusted = fixture(&format!("{name}.cert.pem"));
    roots
        .add(CertificateDer::from_pem_file(trusted).unwrap())
        .unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    let server = ServerName::try_from("127.0.0.1").unwrap();
    let connecting = TlsConnector::from(Arc::new(config)).connect(server, stream);
    let mut stream = connecting.await.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    Some(String::from_utf8(answer).unwrap())
}

/// Waits until the server shows this certificate.
async fn shown(port: u16, name: &str) -> String {
    let waiting = async {
        loop {
            match get(port, name, "/graphql").await {
                Some(answer) => return answer,
                None => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    };
    tokio::time::timeout(Duration::from_mins(1), waiting)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_certificate_is_replaced_while_the_server_runs() {
    let db = TestDb::migrated().await;
    let folder = tempfile::tempdir().unwrap();
    install(folder.path(), "one");
    let (port, metrics) = (free_port(), free_port());
    let mut command = program();
    command
        .env("DATABASE_URL", db.url())
        .env("TIDEWATER_TLS_CERT", folder.path().join("cert.pem"))
        .env("TIDEWATER_TLS_KEY", folder.path().join("key.pem"))
        .args(["serve", "--listen", &format!("127.0.0.1:{port}")])
        .args(["--metrics-listen", &format!("127.0.0.1:{metrics}")])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    let server = command.spawn().unwrap();
    let answer = shown(port, "one").await.to_ascii_lowercase();
    assert!(
        answer.contains("strict-transport-security: max-age=31536000"),
        "{answer}"
    );
    assert_eq!(get(port, "two", "/livez").await, None);

    let pid = Pid::from_raw(i32::try_from(server.id().unwrap()).unwrap());
    install(folder.path(), "two");
    kill(pid, Signal::SIGHUP).unwrap();
    shown(port, "two").await;
    assert_eq!(get(port, "one", "/livez").await, None);

    // What is no certificate changes nothing.
    std::fs::write(folder.path().join("cert.pem"), "nothing").unwrap();
    kill(pid, Signal::SIGHUP).unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    shown(port, "two").await;

    // Who speaks plain HTTP is not answered.
    let mut plain = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    plain
        .write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!String::from_utf8_lossy(&answer).contains("HTTP/1.1"));
}

#[tokio::test]
async fn a_server_does_not_start_with_half_a_certificate() {
    let folder = tempfile::tempdir().unwrap();
    install(folder.path(), "one");
    std::fs::copy(fixture("two.key.pem"), folder.path().join("other.pem")).unwrap();
    for (cert, key) in [
        ("cert.pem", ""),
        ("", "key.pem"),
        ("cert.pem", "other.pem"),
        ("key.pem", "key.pem"),
    ] {
        let mut command = program();
        for (variable, name) in [("TIDEWATER_TLS_CERT", cert), ("TIDEWATER_TLS_KEY", key)] {
            if !name.is_empty() {
                command.env(variable, folder.path().join(name));
            }
        }
        let done = command.arg("serve").output().await.unwrap();
        let told = String::from_utf8_lossy(&done.stderr);
        assert!(
            !done.status.success() && told.contains("TIDEWATER_TLS_CERT"),
            "{cert} {key}: {told}"
        );
    }
}
