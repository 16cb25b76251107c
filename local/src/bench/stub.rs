//! Just enough of HTTP/1.1 to stand in for the two services that a function meets at its start: the Runtime API and
//! Secrets Manager. On threads of its own, so that no runtime's work delays the moment that is measured.

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

/// A request.
pub(super) struct Request {
    /// Its method and path.
    pub(super) route: String,
    pub(super) body: Vec<u8>,
    /// When its head was read.
    pub(super) at: Instant,
}

/// An answer.
pub(super) struct Answer {
    /// The status line's end: `200 OK`.
    pub(super) status: &'static str,
    /// Whole lines, each with its end.
    pub(super) headers: String,
    pub(super) body: String,
}

/// A server on the loopback interface. Dropped, it takes no further connection; one that is open lives until the other
/// side closes it, or its handler has no answer.
pub(super) struct Server {
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
}

impl Server {
    /// Starts one. The handler runs on one thread a connection; without an answer it closes the connection.
    pub(super) fn start(handler: impl Fn(Request) -> Option<Answer> + Send + Sync + 'static) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free on 127.0.0.1")?;
        let address = listener.local_addr().context("the address of a socket cannot be read")?;
        let is_over = Arc::new(AtomicBool::new(false));
        let (ends, handler) = (Arc::clone(&is_over), Arc::new(handler));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if ends.load(Ordering::Relaxed) {
                    return;
                }
                let handler = Arc::clone(&handler);
                // A process that is killed in the middle of a request is the normal end of a measurement.
                thread::spawn(move || drop(converse(stream, handler.as_ref())));
            }
        });
        Ok(Self { address, is_over })
    }

    /// `127.0.0.1:<port>`
    pub(super) fn address(&self) -> String {
        self.address.to_string()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for a connection.
        drop(TcpStream::connect(self.address));
    }
}

fn converse(stream: TcpStream, handler: &impl Fn(Request) -> Option<Answer>) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader)? {
        let Some(Answer { status, headers, body }) = handler(request) else { break };
        let length = body.len();
        let whole = format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n{body}");
        reader.get_mut().write_all(whole.as_bytes())?;
    }
    Ok(())
}

/// `None`: the other side has closed the connection.
fn read(reader: &mut BufReader<TcpStream>) -> Result<Option<Request>> {
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
    Ok(Some(Request { route, body, at }))
}
