//! The listener: connections, bounded in number, in the size of their heads, in the time that a head
//! may take, and in how long nothing of an answer is taken; with TLS if there is a certificate.
//!
//! HTTP/1.1 alone: HTTP/2 is for a proxy in front.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::ConnectInfo;
use axum::http::header::STRICT_TRANSPORT_SECURITY;
use axum::http::{HeaderValue, Request, Response};
use bytes::Bytes;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::patience::Patient;
use super::tls::Tls;

/// How many connections are open at a time.
const CONNECTIONS: usize = 8_192;
/// How long the head of a request may take to arrive, the wait for the next on the same connection
/// included.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How large the head of a request may be, its address included,
const HEAD_BYTES: usize = 32 * 1024;
/// and how many headers it may have.
const HEADERS: usize = 64;
/// How much of what arrives on a connection waits to be read.
const BUFFER_BYTES: usize = 64 * 1024;
/// How much of a body that nobody wants is taken, and for how long: as long as one that is wanted.
const REST_BYTES: usize = 8 * 1024 * 1024;
const REST_TIMEOUT: Duration = Duration::from_secs(15);
/// How long the two sides may take to agree on TLS.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait when no connection can be taken.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop` is ready and the requests that are under way are answered.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Tls>,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let stopping = CancellationToken::new();
    let open = TaskTracker::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let place = tokio::select! {
            () = &mut stop => break,
            place = Arc::clone(&places).acquire_owned() => place.expect("nobody closes the semaphore"),
        };
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // A connection that was lost at once, or no more file descriptors.
                tracing::debug!(%error, "a connection was not taken");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let (tls, router, stopping) = (tls.clone(), router.clone(), stopping.clone());
        open.spawn(async move {
            let _place = place;
            match tls {
                Some(tls) => Box::pin(secured(stream, &tls, router, address, stopping)).await,
                None => converse(stream, router, address, false, stopping).await,
            }
        });
    }
    drop(listener);
    stopping.cancel();
    open.close();
    open.wait().await;
}

/// Serves one connection with TLS.
async fn secured(
    stream: TcpStream,
    tls: &Tls,
    router: Router,
    address: SocketAddr,
    stopping: CancellationToken,
) {
    let agreed = tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await;
    if let Ok(Ok(stream)) = agreed {
        converse(stream, router, address, true, stopping).await;
    }
}

/// Serves the requests of one connection, one after the other.
async fn converse(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    router: Router,
    address: SocketAddr,
    is_secure: bool,
    stopping: CancellationToken,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let router = router.clone();
        async move {
            let mut request = request.map(|body| Body::new(Whole::of(body)));
            request.extensions_mut().insert(ConnectInfo(address));
            let answer = router.oneshot(request).await;
            answer.map(|answer| harden(answer, is_secure))
        }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(BUFFER_BYTES)
        .max_headers(HEADERS)
        .max_header_size(HEAD_BYTES);
    let connection = builder.serve_connection(TokioIo::new(Patient::new(stream)), service);
    let mut connection = std::pin::pin!(connection.with_upgrades());
    let mut stopped = std::pin::pin!(stopping.cancelled());
    let mut is_stopping = false;
    let done = poll_fn(|context| {
        if !is_stopping && stopped.as_mut().poll(context).is_ready() {
            is_stopping = true;
            connection.as_mut().graceful_shutdown();
        }
        connection.as_mut().poll(context)
    });
    // A client that breaks off is none of our errors.
    let _ = done.await;
}

/// A body that is taken to its end, within bounds, even if nobody wants it: who is refused before
/// they have sent it all would be cut off instead, and not read why.
struct Whole(Option<Incoming>);

impl Whole {
    const fn of(body: Incoming) -> Self {
        Self(Some(body))
    }
}

impl HttpBody for Whole {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.0 else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(body).poll_frame(context);
        if !matches!(polled, Poll::Pending | Poll::Ready(Some(Ok(_)))) {
            self.0 = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        let rest = self.0.take().filter(|body| !body.is_end_stream());
        if let Some(mut body) = rest
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let taking = async move {
                let mut taken = 0;
                while let Some(Ok(frame)) =
                    poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await
                    && taken < REST_BYTES
                {
                    taken += frame.data_ref().map_or(0, Bytes::len);
                }
            };
            runtime.spawn(tokio::time::timeout(REST_TIMEOUT, taking));
        }
    }
}

/// Browsers that were served with TLS once are to come back with it.
fn harden(mut answer: Response<Body>, is_secure: bool) -> Response<Body> {
    if is_secure {
        let always = HeaderValue::from_static("max-age=31536000");
        answer
            .headers_mut()
            .insert(STRICT_TRANSPORT_SECURITY, always);
    }
    answer
}
