//! One connection of a client to the gateway.

use std::{convert::Infallible, future::poll_fn, net::SocketAddr, sync::Arc, time::Duration};

use axum::body::Body;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use super::Site;

/// The time that a client may take for the headers of a request, and that a connection may be idle.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
const TIMEOUT_RESPONSE: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\ncontent-type: application/json\r\ncontent-length: 29\r\n\
    connection: close\r\n\r\n{\"message\":\"Request Timeout\"}";

/// Serves the requests of a connection until either side ends it.
pub(super) async fn serve(stream: TcpStream, client: SocketAddr, site: Arc<Site>) {
    // Without TCP_NODELAY, small pieces of a stream wait for the acknowledgement of the piece before.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::warn!(%error, "a connection delays small pieces");
    }
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let site = Arc::clone(&site);
        Box::pin(async move { Ok::<_, Infallible>(super::handle(&site, client, request.map(Body::new)).await) })
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let ended = poll_fn(|context| connection.poll_without_shutdown(context)).await;
    let parts = connection.into_parts();
    let mut stream = parts.io.into_inner();
    // The client may have gone, so a failed write is no news.
    if ended.is_err_and(|error| error.is_timeout()) && !parts.read_buf.is_empty() {
        let _ = stream.write_all(TIMEOUT_RESPONSE).await;
    }
    let _ = stream.shutdown().await;
}
