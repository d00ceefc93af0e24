//! A proxy between a server and its PostgreSQL that cuts the line at a chosen message, or holds
//! everything back for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::TestDb;

/// Which messages count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What tells PostgreSQL to do something: it is cut off before it is read.
    Asked,
    /// What tells that something was done: it is cut off after that.
    Answered,
}

impl Side {
    /// `Query`, `Execute`, `CopyData` and `CopyDone`; `CommandComplete`.
    fn counts(self, kind: u8) -> bool {
        match self {
            Self::Asked => b"QEdc".contains(&kind),
            Self::Answered => kind == b'C',
        }
    }
}

/// Cuts a connection when the count-down of its side reaches zero.
#[derive(Clone, Default)]
struct Shears {
    asked: Arc<AtomicI64>,
    answered: Arc<AtomicI64>,
}

impl Shears {
    fn side(&self, side: Side) -> &AtomicI64 {
        match side {
            Side::Asked => &self.asked,
            Side::Answered => &self.answered,
        }
    }

    /// Whether this message is the one.
    fn cut(&self, side: Side) -> bool {
        self.side(side).fetch_sub(1, Ordering::SeqCst) == 1
    }
}

/// The proxy; it ends with the test's runtime.
pub struct Proxy {
    /// How to reach the database through it.
    pub url: String,
    shears: Shears,
    held: watch::Sender<bool>,
}

impl Proxy {
    /// A proxy in front of a database.
    pub async fn before(db: &TestDb) -> Self {
        let url = db.url();
        let (scheme_and_user, rest) = url.split_once('@').unwrap();
        let (host, database) = rest.split_once('/').unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        // Encrypted messages could not be counted.
        let url = format!("{scheme_and_user}@127.0.0.1:{port}/{database}?sslmode=disable");
        let shears = Shears::default();
        let (held, is_held) = watch::channel(false);
        tokio::spawn(accept(listener, host.to_owned(), shears.clone(), is_held));
        Self { url, shears, held }
    }

    /// From now on nothing that is asked arrives; or all of it does again, also what was asked
    /// meanwhile.
    pub fn hold(&self, held: bool) {
        self.held.send_replace(held);
    }

    /// From now on, cuts the connection that carries the n-th message (from 1) of a side.
    pub fn cut_at(&self, side: Side, n: i64) {
        self.shears.side(side).store(n, Ordering::SeqCst);
    }

    /// Whether a cut that was asked for has not been made; it will not be made any more.
    pub fn spare(&self, side: Side) -> bool {
        self.shears.side(side).swap(0, Ordering::SeqCst) > 0
    }
}

async fn accept(
    listener: TcpListener,
    host: String,
    shears: Shears,
    is_held: watch::Receiver<bool>,
) {
    loop {
        let (client, _) = listener.accept().await.unwrap();
        let (host, shears, is_held) = (host.clone(), shears.clone(), is_held.clone());
        tokio::spawn(async move {
            let Ok(server) = TcpStream::connect(host).await else {
                return;
            };
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            // Either end of the line takes the other with it.
            tokio::select! {
                _ = carry(from_client, to_server, Side::Asked, &shears, is_held.clone()) => {}
                _ = carry(from_server, to_client, Side::Answered, &shears, is_held.clone()) => {}
            }
        });
    }
}

/// Carries messages until one is cut off.
async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    side: Side,
    shears: &Shears,
    mut is_held: watch::Receiver<bool>,
) -> std::io::Result<()> {
    if side == Side::Asked {
        // The first message has no type, and belongs to no statement.
        let length = from.read_u32().await?;
        to.write_u32(length).await?;
        copy(&mut (&mut from).take(u64::from(length) - 4), &mut to).await?;
    }
    loop {
        let kind = from.read_u8().await?;
        let length = from.read_u32().await?;
        let mut body = vec![0; length as usize - 4];
        from.read_exact(&mut body).await?;
        if side.counts(kind) && shears.cut(side) {
            return Ok(());
        }
        if side == Side::Asked && is_held.wait_for(|held| !held).await.is_err() {
            return Ok(());
        }
        let mut message = vec![kind];
        message.extend_from_slice(&length.to_be_bytes());
        message.extend_from_slice(&body);
        to.write_all(&message).await?;
    }
}
