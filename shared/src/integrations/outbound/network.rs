//! The network of [`super::Outbound`]. Host names are resolved, and their addresses checked, when a connection is
//! made. Names of local sites are the exception: their servers are on this machine.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::Url;

use super::tenant_url::{TenantUrl, check_address};

/// The internet, or a simulation of it in a test. Both go through the checks of `resolve`.
#[derive(Debug, Clone)]
pub(super) enum OutboundNetwork {
    Internet(LocalSites),
    Test(TestNet),
}

/// Host names that are served from this machine, for development and tests: the setting OUTBOUND_LOCAL_SITES. A
/// deployment has none.
#[derive(Debug, Clone, Default)]
pub(super) struct LocalSites(HashMap<String, LocalSite>);

/// A local site.
#[derive(Debug, Clone, PartialEq, Eq)]
enum LocalSite {
    /// A server (plain HTTP) on the loopback interface, which stands for a server at a public address.
    Server(SocketAddr),
    /// The address to which the name resolves. It is checked like any other.
    Address(IpAddr),
}

impl LocalSites {
    /// Parses entries `name=address`, and `name=address:port` for a server on the loopback interface.
    pub(super) fn parse(entries: &[String]) -> Result<Self, &'static str> {
        let sites = entries.iter().map(|entry| {
            let (name, target) = entry.split_once('=').ok_or("has an entry that is not of the form name=address")?;
            let site = match (target.parse::<SocketAddr>(), target.parse::<IpAddr>()) {
                (Ok(server), _) if server.ip().is_loopback() => LocalSite::Server(server),
                (Ok(_), _) => return Err("has a server that is not on the loopback interface"),
                (_, Ok(address)) => LocalSite::Address(address),
                _ => return Err("has an entry without an IP address"),
            };
            Ok((name.trim().to_ascii_lowercase(), site))
        });
        sites.collect::<Result<_, _>>().map(Self)
    }

    /// Returns true when no name is served from this machine.
    pub(super) fn has_no_server(&self) -> bool {
        !self.0.values().any(|site| matches!(site, LocalSite::Server(_)))
    }

    fn server(&self, name: &str) -> Option<SocketAddr> {
        match self.0.get(name) {
            Some(LocalSite::Server(server)) => Some(*server),
            Some(LocalSite::Address(_)) | None => None,
        }
    }
}

impl Resolve for OutboundNetwork {
    /// Resolves a name for one connection, and refuses it when an address is not public. The connection is made to
    /// the addresses checked here, without a second lookup. So DNS rebinding (a name that resolves differently the
    /// next time) has no effect.
    ///
    /// One private address among public ones refuses the whole name. No legitimate name has both, and chance would
    /// decide which of them is called.
    fn resolve(&self, name: Name) -> Resolving {
        let network = self.clone();
        Box::pin(async move {
            if let Self::Internet(sites) = &network
                && let Some(server) = sites.server(name.as_str())
            {
                return Ok(Box::new(std::iter::once(server)) as Addrs);
            }
            let addresses = network.look_up(name.as_str()).await?;
            for &address in &addresses {
                check_address(address)?;
            }
            Ok(Box::new(network.sockets(addresses).into_iter()) as Addrs)
        })
    }
}

impl OutboundNetwork {
    /// Resolves a name to all its addresses.
    async fn look_up(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        match self {
            Self::Internet(sites) => match sites.0.get(name) {
                Some(LocalSite::Address(address)) => Ok(vec![*address]),
                _ => Ok(tokio::net::lookup_host((name, 0)).await?.map(|socket| socket.ip()).collect()),
            },
            Self::Test(net) => net.look_up(name),
        }
    }

    /// Returns the socket addresses to connect to. Port 0 means the port of the URL.
    fn sockets(&self, addresses: Vec<IpAddr>) -> Vec<SocketAddr> {
        match self {
            Self::Internet(_) => addresses.into_iter().map(|address| SocketAddr::new(address, 0)).collect(),
            Self::Test(net) => addresses.iter().filter_map(|address| net.servers.get(address).copied()).collect(),
        }
    }

    /// Returns the URL for the HTTP client. The servers of a test and of local sites speak plain HTTP on ports of their
    /// own, so there the scheme and port are replaced. The checks always see the https URL, also in a redirect.
    pub(super) fn target(&self, url: &TenantUrl) -> Url {
        let mut target = url.as_url().clone();
        let is_local = match self {
            Self::Internet(sites) => sites.server(url.host()).is_some(),
            Self::Test(_) => true,
        };
        if is_local {
            let changed = target.set_scheme("http").and_then(|()| target.set_port(None));
            debug_assert!(changed.is_ok(), "https may become http, and has a host");
        }
        target
    }
}

/// A simulated internet for tests: names, public addresses, and local servers (plain HTTP) behind these addresses.
///
/// It does not weaken the guard: its names resolve to the given addresses, those are checked, and only then are they
/// mapped to local servers.
#[derive(Debug, Clone, Default)]
pub struct TestNet {
    /// The answers to lookups of each name, the last one first.
    names: HashMap<String, Arc<Mutex<Vec<Vec<IpAddr>>>>>,
    servers: HashMap<IpAddr, SocketAddr>,
}

impl TestNet {
    /// Adds a name that resolves to `addresses`. A repeated call for one name sets the answer to its next lookup; the
    /// answer of the last call is kept for all further lookups.
    #[must_use]
    pub fn name(mut self, name: &str, addresses: &[IpAddr]) -> Self {
        let answers = self.names.entry(name.to_owned()).or_default();
        answers.lock().unwrap_or_else(PoisonError::into_inner).insert(0, addresses.to_vec());
        self
    }

    /// Puts the server at `local` behind a public address.
    #[must_use]
    pub fn server(mut self, address: IpAddr, local: SocketAddr) -> Self {
        self.servers.insert(address, local);
        self
    }

    /// Adds a name with a public address of its own, and puts the server at `local` behind it.
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
