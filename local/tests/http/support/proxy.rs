//! A network that can fail: TCP to an address, which a test can cut, silence and restore.

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

use super::{SOON, pooler, wait_until};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Network {
    Up,
    /// Connections are accepted, but nothing passes; as when a route is lost.
    Silent,
    /// Connections are closed, and new ones refused; as when a server ends.
    Refused,
}

/// A way to a server.
pub(crate) struct Proxy {
    address: SocketAddr,
    settings: SettingsMap,
    network: watch::Sender<Network>,
    _serving: JoinSet<()>,
}

impl Proxy {
    /// Before a server at `host:port`.
    pub(crate) async fn before(server: String) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (network, watched) = watch::channel(Network::Up);
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, server, watched));
        Self { address, settings: SettingsMap::new(), network, _serving: serving }
    }

    /// Between the functions and their database, or the pooler before it.
    pub(crate) async fn before_database() -> Self {
        let mut settings = pooler::settings().await;
        if settings.is_empty() {
            let direct = testing::database_urls("{database}").await.unwrap();
            settings.insert("DATABASE_URL".to_owned(), direct.app);
            settings.insert("SYSTEM_DATABASE_URL".to_owned(), direct.system);
        }
        // postgresql://role:password@127.0.0.1:5432/{database}
        let server = settings["DATABASE_URL"].split(['@', '/']).nth(3).unwrap().to_owned();
        let mut proxy = Self::before(server.clone()).await;
        let address = proxy.address.to_string();
        proxy.settings = settings.into_iter().map(|(name, url)| (name, url.replace(&server, &address))).collect();
        proxy
    }

    /// Between the functions and S3, SQS and Secrets Manager.
    pub(crate) async fn before_aws() -> Self {
        let endpoint = testing::servers().await.unwrap().aws.endpoint().to_owned();
        let mut proxy = Self::before(endpoint.trim_start_matches("http://").to_owned()).await;
        let endpoint = format!("http://{}", proxy.address);
        proxy.settings.insert("AWS_ENDPOINT_URL".to_owned(), endpoint);
        proxy
    }

    /// The settings that lead functions this way.
    pub(crate) fn settings(&self) -> Vec<(&str, &str)> {
        self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    /// `127.0.0.1:…`
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn silence(&self) {
        self.network.send_replace(Network::Silent);
    }

    pub(crate) async fn refuse(&self) {
        self.network.send_replace(Network::Refused);
        wait_until("connections are refused", SOON, async || TcpStream::connect(self.address).await.err()).await;
    }

    pub(crate) async fn restore(&self) {
        self.network.send_replace(Network::Up);
        wait_until("connections are accepted", SOON, async || TcpStream::connect(self.address).await.ok()).await;
    }
}

async fn serve(mut listener: TcpListener, server: String, mut network: watch::Receiver<Network>) {
    let address = listener.local_addr().unwrap();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (client, _) = accepted.unwrap();
                connections.spawn(connect(client, server.clone(), network.clone()));
            }
            _ = await_state(&mut network, Network::Refused) => {
                drop(listener);
                connections.shutdown().await;
                let _ = network.wait_for(|state| *state != Network::Refused).await;
                listener = TcpListener::bind(address).await.unwrap();
            }
        }
    }
}

async fn await_state(network: &mut watch::Receiver<Network>, wanted: Network) {
    if network.wait_for(|state| *state == wanted).await.is_err() {
        // The test is over, and so is this task.
        std::future::pending::<()>().await;
    }
}

async fn connect(client: TcpStream, server: String, network: watch::Receiver<Network>) {
    let Ok(server) = TcpStream::connect(server).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::join!(pass(from_client, to_server, network.clone()), pass(from_server, to_client, network));
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut network: watch::Receiver<Network>) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        // What was held back when the connection is cut is lost, and not passed on in the last moment.
        let passes = network.wait_for(|state| *state != Network::Silent).await.is_ok_and(|state| *state == Network::Up);
        if !passes {
            return;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
