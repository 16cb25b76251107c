//! What a call of [`super::Outbound`] travels over: names are resolved and judged here, at the moment of dialling.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::Url;

use super::tenant_url::{TenantUrl, judge_address};

/// The internet, or what stands in for it in a test. The guard is the same over both.
#[derive(Debug, Clone)]
pub(super) enum Network {
    Internet,
    Test(TestNet),
}

impl Resolve for Network {
    /// Resolves a name for one connection. The addresses that are judged are those that are dialled: nobody asks a
    /// second time, so a name that changes its mind (DNS rebinding) gains nothing.
    ///
    /// One inner address among public ones refuses the whole name: no honest name has both, and which of them is dialled
    /// would be chance.
    fn resolve(&self, name: Name) -> Resolving {
        let network = self.clone();
        Box::pin(async move {
            let addresses = network.look_up(name.as_str()).await?;
            for &address in &addresses {
                judge_address(address)?;
            }
            Ok(Box::new(network.sockets(addresses).into_iter()) as Addrs)
        })
    }
}

impl Network {
    async fn look_up(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        match self {
            Self::Internet => Ok(tokio::net::lookup_host((name, 0)).await?.map(|socket| socket.ip()).collect()),
            Self::Test(net) => net.look_up(name),
        }
    }

    /// Port 0 stands for the URL's.
    fn sockets(&self, addresses: Vec<IpAddr>) -> Vec<SocketAddr> {
        match self {
            Self::Internet => addresses.into_iter().map(|address| SocketAddr::new(address, 0)).collect(),
            Self::Test(net) => addresses.iter().filter_map(|address| net.servers.get(address).copied()).collect(),
        }
    }

    /// What the client is asked to call. A test's servers speak plain HTTP on a port of their own; what is judged, also
    /// in a redirect, is https all the same.
    pub(super) fn target(&self, url: &TenantUrl) -> Url {
        let mut target = url.as_url().clone();
        if matches!(self, Self::Test(_)) {
            let changed = target.set_scheme("http").and_then(|()| target.set_port(None));
            debug_assert!(changed.is_ok(), "https may become http, and has a host");
        }
        target
    }
}

/// A little internet for tests: names, public addresses, and local servers (plain HTTP) that answer for them.
///
/// It opens no hole in the guard: names lead to the addresses it tells, those are judged, and only what was found public
/// is answered by a local server.
#[derive(Debug, Clone, Default)]
pub struct TestNet {
    names: HashMap<String, Arc<Mutex<Vec<Vec<IpAddr>>>>>,
    servers: HashMap<IpAddr, SocketAddr>,
}

impl TestNet {
    /// Lets a name resolve to these addresses. Said again of the same name, it is the answer to the next question; the
    /// last answer stays.
    #[must_use]
    pub fn name(mut self, name: &str, addresses: &[IpAddr]) -> Self {
        let answers = self.names.entry(name.to_owned()).or_default();
        answers.lock().unwrap_or_else(PoisonError::into_inner).insert(0, addresses.to_vec());
        self
    }

    /// Lets a local server answer for a public address.
    #[must_use]
    pub fn server(mut self, address: IpAddr, local: SocketAddr) -> Self {
        self.servers.insert(address, local);
        self
    }

    /// A name with a public address of its own, answered by a local server.
    #[must_use]
    pub fn site(self, name: &str, local: SocketAddr) -> Self {
        let last = u8::try_from(self.servers.len()).unwrap_or(u8::MAX);
        let address = Ipv4Addr::new(93, 184, 215, last).into();
        self.name(name, &[address]).server(address, local)
    }

    fn look_up(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let answers = self.names.get(name).ok_or_else(|| io::Error::other("no such name"))?;
        let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
        let next = if answers.len() > 1 { answers.pop() } else { answers.last().cloned() };
        Ok(next.unwrap_or_default())
    }
}
