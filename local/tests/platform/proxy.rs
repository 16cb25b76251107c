//! A TCP proxy to PostgreSQL that fails at a chosen statement: it loses the answer, or stops forwarding.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use reqwest::Url;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// Failure that the proxy causes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ProxyFault {
    /// No failure.
    None,
    /// At the client's first message with this text, the server gets the message, but the client gets no answer, and
    /// the connection is closed.
    AnswerLost(&'static str),
    /// At every message of a client with this text, the connection stays open, but nothing is forwarded any more.
    Silent(&'static str),
}

/// A TCP proxy to PostgreSQL.
#[derive(Debug)]
pub(crate) struct FaultProxy {
    address: SocketAddr,
    faults: Arc<AtomicUsize>,
    tasks: JoinSet<()>,
}

impl FaultProxy {
    /// Starts a proxy on a free port, to the server of the connection string `url`.
    pub(crate) async fn start(url: &str, fault: ProxyFault) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), url, fault).await
    }

    /// Starts a proxy at `address`, for example that of a stopped proxy.
    pub(crate) async fn start_at(address: SocketAddr, url: &str, fault: ProxyFault) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Url::parse(url).unwrap().port().unwrap();
        let faults = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        let count = Arc::clone(&faults);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let server = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
                connections.spawn(forward(client, server, fault, Arc::clone(&count)));
            }
        });
        Self { address, faults, tasks }
    }

    /// Connection string of `direct`'s database through the proxy.
    pub(crate) fn url(&self, direct: &str) -> String {
        let mut url = Url::parse(direct).unwrap();
        url.set_port(Some(self.address.port())).unwrap();
        url.into()
    }

    /// Number of failures caused so far.
    pub(crate) fn fault_count(&self) -> usize {
        self.faults.load(Ordering::SeqCst)
    }

    /// Closes the listener and all connections; returns the address that the proxy had.
    pub(crate) async fn stop(mut self) -> SocketAddr {
        self.tasks.shutdown().await;
        self.address
    }
}

async fn forward(mut client: TcpStream, mut server: TcpStream, fault: ProxyFault, faults: Arc<AtomicUsize>) {
    let (mut sent, mut answered) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        tokio::select! {
            read = client.read(&mut sent) => {
                let Ok(count @ 1..) = read else { return };
                let holds = |text: &str| sent[..count].windows(text.len()).any(|window| window == text.as_bytes());
                match fault {
                    ProxyFault::Silent(text) if holds(text) => {
                        faults.fetch_add(1, Ordering::SeqCst);
                        // Both sockets stay open until the test ends.
                        return std::future::pending().await;
                    }
                    ProxyFault::AnswerLost(text)
                        if holds(text)
                            && faults.compare_exchange(0, 1, Ordering::SeqCst, Ordering::SeqCst).is_ok() =>
                    {
                        server.write_all(&sent[..count]).await.unwrap();
                        // The first bytes of the answer show that the server has executed the statement.
                        let _ = server.read(&mut answered).await;
                        return;
                    }
                    _ => if server.write_all(&sent[..count]).await.is_err() { return },
                }
            }
            read = server.read(&mut answered) => {
                let Ok(count @ 1..) = read else { return };
                if client.write_all(&answered[..count]).await.is_err() { return }
            }
        }
    }
}
