//! A TCP proxy whose network a test can silence, cut and restore.

use std::net::{Ipv4Addr, SocketAddr};

use local::testing;
use shared::settings::SettingsMap;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinSet,
};

use super::{WAIT_TIMEOUT, pooler, wait_until};

/// State of the network behind the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NetworkState {
    Up,
    /// Connections are accepted, but no data passes, as when a route is lost.
    Silent,
    /// Connections are closed and new ones are refused, as when a server ends.
    Refused,
}

/// A TCP proxy to one server.
pub(crate) struct FaultProxy {
    address: SocketAddr,
    settings: SettingsMap,
    network: watch::Sender<NetworkState>,
    _serving: JoinSet<()>,
}

impl FaultProxy {
    /// Starts a proxy to the server at `host:port`.
    pub(crate) async fn for_server(server: String) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (network, watched) = watch::channel(NetworkState::Up);
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, server, watched));
        Self { address, settings: SettingsMap::new(), network, _serving: serving }
    }

    /// Starts a proxy between the functions and their database, or PgBouncer when the tests use it.
    pub(crate) async fn for_database() -> Self {
        let mut settings = pooler::settings().await;
        if settings.is_empty() {
            let direct = testing::database_urls("{database}").await.unwrap();
            settings.insert("DATABASE_URL".to_owned(), direct.app);
            settings.insert("SYSTEM_DATABASE_URL".to_owned(), direct.system);
        }
        // postgresql://role:password@127.0.0.1:5432/{database}
        let server = settings["DATABASE_URL"].split(['@', '/']).nth(3).unwrap().to_owned();
        let mut proxy = Self::for_server(server.clone()).await;
        let address = proxy.address.to_string();
        proxy.settings = settings.into_iter().map(|(name, url)| (name, url.replace(&server, &address))).collect();
        proxy
    }

    /// Starts a proxy between the functions and S3, SQS and Secrets Manager.
    pub(crate) async fn for_aws() -> Self {
        let endpoint = testing::servers().await.unwrap().aws.endpoint().to_owned();
        let mut proxy = Self::for_server(endpoint.trim_start_matches("http://").to_owned()).await;
        let endpoint = format!("http://{}", proxy.address);
        proxy.settings.insert("AWS_ENDPOINT_URL".to_owned(), endpoint);
        proxy
    }

    /// The settings that route the functions through the proxy.
    pub(crate) fn settings(&self) -> Vec<(&str, &str)> {
        self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    /// The local address of the proxy.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops all data; connections stay open and new ones are accepted.
    pub(crate) fn silence(&self) {
        self.network.send_replace(NetworkState::Silent);
    }

    /// Closes all connections and waits until new ones are refused.
    pub(crate) async fn refuse(&self) {
        self.network.send_replace(NetworkState::Refused);
        wait_until("connections are refused", WAIT_TIMEOUT, async || TcpStream::connect(self.address).await.err())
            .await;
    }

    /// Lets data pass again and waits until connections are accepted.
    pub(crate) async fn restore(&self) {
        self.network.send_replace(NetworkState::Up);
        wait_until("connections are accepted", WAIT_TIMEOUT, async || TcpStream::connect(self.address).await.ok())
            .await;
    }
}

async fn serve(mut listener: TcpListener, server: String, mut network: watch::Receiver<NetworkState>) {
    let address = listener.local_addr().unwrap();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (client, _) = accepted.unwrap();
                connections.spawn(connect(client, server.clone(), network.clone()));
            }
            _ = await_state(&mut network, NetworkState::Refused) => {
                drop(listener);
                connections.shutdown().await;
                let _ = network.wait_for(|state| *state != NetworkState::Refused).await;
                listener = TcpListener::bind(address).await.unwrap();
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

/// Connects a client to the server and copies data in both directions.
async fn connect(client: TcpStream, server: String, network: watch::Receiver<NetworkState>) {
    let Ok(server) = TcpStream::connect(server).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::join!(pass(from_client, to_server, network.clone()), pass(from_server, to_client, network));
}

/// Copies data in one direction while the network is up.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut network: watch::Receiver<NetworkState>) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        // Data that was held back while silent is lost when the connection is cut; it must not be passed on then.
        let is_up = network
            .wait_for(|state| *state != NetworkState::Silent)
            .await
            .is_ok_and(|state| *state == NetworkState::Up);
        if !is_up {
            return;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
