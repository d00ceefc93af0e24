//! Sends what is written to PostgreSQL at once.
//!
//! A `COPY` ends with two writes, the rows and a few bytes that say that they are complete. While
//! Nagle's algorithm is on, the second waits until PostgreSQL's kernel has acknowledged the first,
//! which takes it 40 ms: by far the longest part of a transaction. `sqlx` 0.9.0 leaves it on, and
//! has no way to ask for a connection's socket; the release after it turns it off
//! (<https://github.com/transact-rs/sqlx/pull/4336>), and this file can go.

use std::mem::ManuallyDrop;
use std::net::TcpStream;
use std::os::fd::{FromRawFd, RawFd};

/// Where Linux lists what a process has open. Elsewhere nothing happens.
const OPEN: &str = "/proc/self/fd";

/// Turns Nagle's algorithm off for all connections of this process to a port.
pub(super) fn on_connections_to(port: u16) {
    let Ok(open) = std::fs::read_dir(OPEN) else {
        return;
    };
    let number = |name: std::ffi::OsString| name.to_str()?.parse::<RawFd>().ok();
    for fd in open.flatten().filter_map(|entry| number(entry.file_name())) {
        // SAFETY: it is borrowed for two system calls and never closed here. What is no TCP
        // connection, or was closed by now, refuses the first; and what took its number in between
        // is a connection of this process too, which the second does no harm.
        #[allow(unsafe_code, reason = "the only way to a socket that sqlx keeps")]
        let stream = ManuallyDrop::new(unsafe { TcpStream::from_raw_fd(fd) });
        if stream.peer_addr().is_ok_and(|peer| peer.port() == port)
            && let Err(error) = stream.set_nodelay(true)
        {
            tracing::debug!(%error, "a connection to PostgreSQL keeps Nagle's algorithm");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn only_connections_to_the_port_are_touched() {
        let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
        let [one, other] = listeners.each_ref().map(|listener| {
            let address = listener.local_addr().expect("it is bound");
            TcpStream::connect(address).expect("it listens")
        });
        let port = one.peer_addr().expect("it is connected").port();
        on_connections_to(port);
        assert!(one.nodelay().expect("it is open"));
        assert!(!other.nodelay().expect("it is open"));
    }
}
