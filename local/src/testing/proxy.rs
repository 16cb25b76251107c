//! A TCP proxy between the product and one of its servers. A test can silence, cut and restore its network, or lose
//! single messages.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::{Context, Result};
use reqwest::Url;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinSet,
};

/// State of the network behind the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NetworkState {
    Up,
    /// Connections are accepted, but no data passes, as when a route is lost.
    Silent,
    /// Connections are closed and new ones are refused, as when a server ends.
    Refused,
}

/// A failure at a message of a client.
#[derive(Debug, Clone, Copy)]
pub enum MessageFault {
    /// At the first message with this text, the server gets the message, but the client gets no answer, and the
    /// connection is closed.
    AnswerLost(&'static str),
    /// At every message with this text, the connection stays open, but nothing is forwarded any more.
    Silent(&'static str),
}

/// A TCP proxy to one server. Dropping it closes its connections.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    network: watch::Sender<NetworkState>,
    /// True while the listener accepts connections; an error when it could not be bound again.
    accepts: watch::Receiver<bool>,
    fault_count: Arc<AtomicUsize>,
    _serving: JoinSet<()>,
}

/// State shared by all connections of a proxy.
#[derive(Debug, Clone)]
struct Link {
    /// The server, as `host:port`.
    server: String,
    network: watch::Receiver<NetworkState>,
    fault: Option<MessageFault>,
    fault_count: Arc<AtomicUsize>,
}

impl FaultProxy {
    /// Starts a proxy on a free port, to the server at `host:port`.
    ///
    /// # Errors
    /// Fails when no port can be bound.
    pub async fn start(server: impl Into<String>) -> Result<Self> {
        Self::start_with(server.into(), None).await
    }

    /// Starts a proxy with a failure, to the server of the connection string `url`.
    ///
    /// # Errors
    /// Fails when `url` has no port, or when no port can be bound.
    pub async fn with_fault(url: &str, fault: MessageFault) -> Result<Self> {
        Self::start_with(server_of(url)?, Some(fault)).await
    }

    /// Starts a proxy to the server of the connection string `url`.
    ///
    /// # Errors
    /// Fails when `url` has no port, or when no port can be bound.
    pub async fn to_server_of(url: &str) -> Result<Self> {
        Self::start_with(server_of(url)?, None).await
    }

    async fn start_with(server: String, fault: Option<MessageFault>) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (network, watched) = watch::channel(NetworkState::Up);
        let (accepting, accepts) = watch::channel(true);
        let fault_count = Arc::new(AtomicUsize::new(0));
        let link = Link { server, network: watched, fault, fault_count: Arc::clone(&fault_count) };
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, address, link, accepting));
        Ok(Self { address, network, accepts, fault_count, _serving: serving })
    }

    /// Returns the local address of the proxy.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the connection string of `direct`'s database through the proxy.
    ///
    /// # Errors
    /// Fails when `direct` is not a URL with a host.
    pub fn url(&self, direct: &str) -> Result<String> {
        let mut url = Url::parse(direct)?;
        url.set_port(Some(self.address.port())).ok().context("a connection string without a host")?;
        Ok(url.into())
    }

    /// Returns the number of failures caused so far by a [`MessageFault`].
    pub fn fault_count(&self) -> usize {
        self.fault_count.load(Ordering::SeqCst)
    }

    /// Stops all data; connections stay open and new ones are accepted.
    pub fn silence(&self) {
        self.network.send_replace(NetworkState::Silent);
    }

    /// Closes all connections; when it returns, new ones are refused.
    ///
    /// # Errors
    /// Fails when the proxy has ended.
    pub async fn refuse(&self) -> Result<()> {
        self.network.send_replace(NetworkState::Refused);
        self.accepts.clone().wait_for(|accepts| !accepts).await.map(drop).context("the proxy has ended")
    }

    /// Lets data pass again; when it returns, connections are accepted.
    ///
    /// # Errors
    /// Fails when the port is in use meanwhile.
    pub async fn restore(&self) -> Result<()> {
        self.network.send_replace(NetworkState::Up);
        self.accepts.clone().wait_for(|accepts| *accepts).await.map(drop).context("the proxy has ended")
    }
}

fn server_of(url: &str) -> Result<String> {
    let port = Url::parse(url)?.port().context("a connection string without a port")?;
    Ok(format!("{}:{port}", Ipv4Addr::LOCALHOST))
}

async fn serve(listener: TcpListener, address: SocketAddr, link: Link, accepting: watch::Sender<bool>) {
    let mut network = link.network.clone();
    let mut listener = listener;
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((client, _)) = accepted {
                    connections.spawn(connect(client, link.clone()));
                }
            }
            _ = await_state(&mut network, NetworkState::Refused) => {
                drop(listener);
                connections.shutdown().await;
                accepting.send_replace(false);
                let _ = network.wait_for(|state| *state != NetworkState::Refused).await;
                let Ok(bound) = TcpListener::bind(address).await else { return };
                listener = bound;
                accepting.send_replace(true);
            }
        }
    }
}

/// Waits until the network is in a state.
async fn await_state(network: &mut watch::Receiver<NetworkState>, wanted: NetworkState) {
    if network.wait_for(|state| *state == wanted).await.is_err() {
        // The sender was dropped: the test is over, and this task is about to be aborted.
        std::future::pending::<()>().await;
    }
}

/// The end of a connection whose answer is lost.
struct AnswerLost;

/// Connects a client to the server and copies data in both directions.
async fn connect(client: TcpStream, link: Link) {
    let Ok(server) = TcpStream::connect(&link.server).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let (losing, loses_answer) = watch::channel(false);
    let requests = async {
        pass_requests(from_client, to_server, link.clone(), losing).await;
        Ok(())
    };
    let answers = pass_answers(from_server, to_client, link.network.clone(), loses_answer);
    // The error drops both directions at once, which closes both sockets.
    let _ = tokio::try_join!(requests, answers);
}

/// Copies the client's data while the network is up, until a [`MessageFault`].
async fn pass_requests(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, link: Link, losing: watch::Sender<bool>) {
    let mut network = link.network;
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if !passes(&mut network).await {
            return;
        }
        let message = &buffer[..read];
        let holds = |text: &str| message.windows(text.len()).any(|window| window == text.as_bytes());
        match link.fault {
            Some(MessageFault::Silent(text)) if holds(text) => {
                link.fault_count.fetch_add(1, Ordering::SeqCst);
                std::future::pending::<()>().await;
            }
            Some(MessageFault::AnswerLost(text))
                if holds(text)
                    && link.fault_count.compare_exchange(0, 1, Ordering::SeqCst, Ordering::SeqCst).is_ok() =>
            {
                losing.send_replace(true);
                if to.write_all(message).await.is_ok() {
                    std::future::pending::<()>().await;
                }
            }
            _ if to.write_all(message).await.is_err() => return,
            _ => {}
        }
    }
}

/// Copies the server's data while the network is up. Fails at the first bytes of an answer that is lost: they show
/// that the server has executed the statement.
async fn pass_answers(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut network: watch::Receiver<NetworkState>,
    loses_answer: watch::Receiver<bool>,
) -> Result<(), AnswerLost> {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if *loses_answer.borrow() {
            return Err(AnswerLost);
        }
        if !passes(&mut network).await || to.write_all(&buffer[..read]).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// Waits while the network is silent. Returns false when the connection was cut: data that was held back is lost then.
async fn passes(network: &mut watch::Receiver<NetworkState>) -> bool {
    network.wait_for(|state| *state != NetworkState::Silent).await.is_ok_and(|state| *state == NetworkState::Up)
}
