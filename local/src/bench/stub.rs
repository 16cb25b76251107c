//! A minimal HTTP/1.1 server for the two services that a function calls at its start: the Runtime API and Secrets
//! Manager. It uses plain threads, so that no async runtime delays the measured moment.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Instant,
};

use anyhow::{Context, Result, bail};

/// A received request.
pub(super) struct StubRequest {
    /// Method and path.
    pub(super) route: String,
    pub(super) body: Vec<u8>,
    /// The time at which the head was read.
    pub(super) at: Instant,
}

/// The answer to a request.
pub(super) struct StubResponse {
    /// The end of the status line, such as `200 OK`.
    pub(super) status: &'static str,
    /// Complete header lines, each with its line end.
    pub(super) headers: String,
    pub(super) body: String,
}

/// A server on the loopback interface. After dropping it, no new connection is accepted; an open one lives until the
/// client closes it or the handler has no answer.
pub(super) struct StubServer {
    address: SocketAddr,
    is_stopped: Arc<AtomicBool>,
}

impl StubServer {
    /// Starts a server. The handler runs on one thread per connection; `None` closes the connection.
    pub(super) fn start(handler: impl Fn(StubRequest) -> Option<StubResponse> + Send + Sync + 'static) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free on 127.0.0.1")?;
        let address = listener.local_addr().context("the address of a socket cannot be read")?;
        let is_stopped = Arc::new(AtomicBool::new(false));
        let (stop_flag, handler) = (Arc::clone(&is_stopped), Arc::new(handler));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stop_flag.load(Ordering::Relaxed) {
                    return;
                }
                let handler = Arc::clone(&handler);
                // Errors are ignored: the killing of a process during a request is the normal end of a measurement.
                thread::spawn(move || drop(serve_connection(stream, handler.as_ref())));
            }
        });
        Ok(Self { address, is_stopped })
    }

    /// The address, `127.0.0.1:<port>`.
    pub(super) fn address(&self) -> String {
        self.address.to_string()
    }
}

impl Drop for StubServer {
    fn drop(&mut self) {
        self.is_stopped.store(true, Ordering::Relaxed);
        // Wakes the accepting thread.
        drop(TcpStream::connect(self.address));
    }
}

fn serve_connection(stream: TcpStream, handler: &impl Fn(StubRequest) -> Option<StubResponse>) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader)? {
        let Some(StubResponse { status, headers, body }) = handler(request) else { break };
        let length = body.len();
        let whole = format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n{body}");
        reader.get_mut().write_all(whole.as_bytes())?;
    }
    Ok(())
}

/// Reads a request; `None` when the client has closed the connection.
fn read(reader: &mut BufReader<TcpStream>) -> Result<Option<StubRequest>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let route = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse()?,
            "transfer-encoding" => bail!("the stub reads bodies of a known length only"),
            _ => {}
        }
    }
    let at = Instant::now();
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some(StubRequest { route, body, at }))
}
