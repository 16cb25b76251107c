//! A wire to PostgreSQL that can be cut: at a chosen statement it loses the answer, or falls silent.

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

/// What goes wrong.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// The first time that the client sends this text, the server gets it, but its answer does not come back, and the
    /// connection ends.
    AnswerLost(&'static str),
    /// Whenever the client sends this text, the connection stays, and nothing moves on it any more.
    Silent(&'static str),
}

/// The wire.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    faults: Arc<AtomicUsize>,
    tasks: JoinSet<()>,
}

impl Proxy {
    /// Starts one on a free port, towards the server of this connection string.
    pub(crate) async fn start(url: &str, fault: Fault) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), url, fault).await
    }

    /// Starts one where another one was.
    pub(crate) async fn start_at(address: SocketAddr, url: &str, fault: Fault) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Url::parse(url).unwrap().port().unwrap();
        let faults = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        let count = Arc::clone(&faults);
        tasks.spawn(async move {
            let mut wires = JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let server = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
                wires.spawn(wire(client, server, fault, Arc::clone(&count)));
            }
        });
        Self { address, faults, tasks }
    }

    /// The connection string that leads through it.
    pub(crate) fn url(&self, direct: &str) -> String {
        let mut url = Url::parse(direct).unwrap();
        url.set_port(Some(self.address.port())).unwrap();
        url.into()
    }

    /// How often it went wrong.
    pub(crate) fn faults(&self) -> usize {
        self.faults.load(Ordering::SeqCst)
    }

    /// Cuts everything; returns where it was.
    pub(crate) async fn stop(mut self) -> SocketAddr {
        self.tasks.shutdown().await;
        self.address
    }
}

async fn wire(mut client: TcpStream, mut server: TcpStream, fault: Fault, faults: Arc<AtomicUsize>) {
    let (mut sent, mut answered) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        tokio::select! {
            read = client.read(&mut sent) => {
                let Ok(count @ 1..) = read else { return };
                let holds = |text: &str| sent[..count].windows(text.len()).any(|window| window == text.as_bytes());
                match fault {
                    Fault::Silent(text) if holds(text) => {
                        faults.fetch_add(1, Ordering::SeqCst);
                        // Both sockets stay open until the test ends.
                        return std::future::pending().await;
                    }
                    Fault::AnswerLost(text)
                        if holds(text)
                            && faults.compare_exchange(0, 1, Ordering::SeqCst, Ordering::SeqCst).is_ok() =>
                    {
                        server.write_all(&sent[..count]).await.unwrap();
                        // Its first bytes say that it did it.
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
