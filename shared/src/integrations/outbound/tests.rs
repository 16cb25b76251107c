//! Tests of calls over a simulated internet, whose local servers answer with fixed bytes.

#![expect(clippy::disallowed_methods, reason = "these are the tests")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    sync::mpsc::{self, Receiver},
    thread,
};

use reqwest::dns::{Name, Resolve};

use super::*;

const HOOK: &str = "https://hooks.example.com/in?key=s3cret";

/// A local server that records each request and then writes its response with `answer`.
struct Server {
    address: SocketAddr,
    requests: Receiver<String>,
}

impl Server {
    fn start(answer: impl Fn(&mut TcpStream) -> std::io::Result<()> + Send + Sync + Clone + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = mpsc::channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (sender, answer) = (sender.clone(), answer.clone());
                thread::spawn(move || {
                    let mut stream = stream?;
                    // The client may send several requests over one connection.
                    while let Some(request) = read_request(&stream) {
                        let _ = sender.send(request);
                        answer(&mut stream)?;
                    }
                    std::io::Result::Ok(())
                });
            }
        });
        Self { address, requests }
    }

    fn saying(answer: impl Into<String>) -> Self {
        let answer = answer.into();
        Self::start(move |stream| stream.write_all(answer.as_bytes()))
    }

    fn redirecting(status: u16, location: &str) -> Self {
        Self::saying(format!("HTTP/1.1 {status} Moved\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n"))
    }

    /// Returns the requests received since the last call.
    fn seen(&self) -> Vec<String> {
        self.requests.try_iter().collect()
    }
}

fn read_request(stream: &TcpStream) -> Option<String> {
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") {
        if reader.read_line(&mut request).ok()? == 0 {
            return None;
        }
    }
    let length = request.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    request.push_str(&String::from_utf8(body).ok()?);
    Some(request)
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn limits() -> OutboundLimits {
    OutboundLimits { total: Duration::from_secs(5), connect: Duration::from_secs(2), body_bytes: 1000 }
}

fn outbound_over(net: TestNet) -> Outbound {
    Outbound::for_tests(net, limits()).unwrap()
}

fn url(text: &str) -> TenantUrl {
    TenantUrl::parse(text).unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn key() -> HeaderMap {
    HeaderMap::from_iter([(header::HeaderName::from_static("x-api-key"), HeaderValue::from_static("k3y"))])
}

async fn get(net: TestNet) -> Result<OutboundResponse, OutboundError> {
    outbound_over(net).get(&url(HOOK), key()).await
}

#[tokio::test]
async fn a_get_returns_status_and_body() {
    let server = Server::saying(OK);
    let answer = get(TestNet::default().site("hooks.example.com", server.address)).await.unwrap();
    assert_eq!(answer, OutboundResponse { status: StatusCode::OK, body: Bytes::from_static(b"ok") });
    let [request] = server.seen().try_into().unwrap();
    assert!(request.starts_with("GET /in?key=s3cret HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("\r\nhost: hooks.example.com\r\n"), "{request}");
    assert!(request.contains("\r\nx-api-key: k3y\r\n"), "{request}");
}

#[tokio::test]
async fn json_is_posted_byte_for_byte_and_any_status_is_a_response() {
    let server = Server::saying("HTTP/1.1 503 Down\r\ncontent-length: 0\r\n\r\n");
    let net = TestNet::default().site("hooks.example.com", server.address);
    let answer = outbound_over(net).post_json(&url(HOOK), key(), r#"{"b":1, "a":2}"#).await.unwrap();
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    let [request] = server.seen().try_into().unwrap();
    assert!(request.starts_with("POST /in?key=s3cret HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("\r\ncontent-type: application/json\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\n{\"b\":1, \"a\":2}"), "{request}");
}

#[tokio::test]
async fn a_name_with_one_private_address_is_refused() {
    let server = Server::saying(OK);
    for addresses in [
        &["127.0.0.1"][..],
        &["169.254.169.254"],
        &["93.184.215.1", "10.0.0.1"],
        &["10.0.0.1", "93.184.215.1"],
        &["93.184.215.1", "::ffff:93.184.215.1"],
        &["93.184.215.1", "fd00:ec2::254"],
    ] {
        let mut net = TestNet::default();
        // A server is behind every address, so a call that is not refused would get a response.
        for address in addresses {
            net = net.server(ip(address), server.address);
        }
        let addresses: Vec<_> = addresses.iter().map(|address| ip(address)).collect();
        let error = get(net.name("hooks.example.com", &addresses)).await.unwrap_err();
        assert!(matches!(error, OutboundError::Refused(UrlRefusal::PrivateAddress)), "{addresses:?}: {error:?}");
    }
    assert_eq!(server.seen(), [""; 0]);
}

#[tokio::test]
async fn a_name_that_later_resolves_to_a_private_address_is_refused_at_the_next_call() {
    let server = Server::saying(OK);
    let net = TestNet::default()
        .name("hooks.example.com", &[ip("93.184.215.1")])
        .name("hooks.example.com", &[ip("127.0.0.1")])
        .server(ip("93.184.215.1"), server.address)
        .server(ip("127.0.0.1"), server.address);
    let outbound = outbound_over(net);
    outbound.get(&url(HOOK), HeaderMap::new()).await.unwrap();
    let error = outbound.get(&url(HOOK), HeaderMap::new()).await.unwrap_err();
    assert!(matches!(error, OutboundError::Refused(UrlRefusal::PrivateAddress)), "{error:?}");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_name_that_resolves_to_a_private_address_after_a_redirect_is_refused() {
    let server = Server::redirecting(302, "/again");
    let net = TestNet::default()
        .name("hooks.example.com", &[ip("93.184.215.1")])
        .name("hooks.example.com", &[ip("127.0.0.1")])
        .server(ip("93.184.215.1"), server.address)
        .server(ip("127.0.0.1"), server.address);
    let error = get(net).await.unwrap_err();
    assert!(matches!(error, OutboundError::Refused(UrlRefusal::PrivateAddress)), "{error:?}");
}

#[tokio::test]
async fn redirects_to_anything_but_public_https_are_refused() {
    for (location, expected) in [
        ("https://127.0.0.1/", UrlRefusal::PrivateAddress),
        ("https://2130706433/", UrlRefusal::PrivateAddress),
        ("//[::1]/", UrlRefusal::PrivateAddress),
        ("https://[::ffff:169.254.169.254]/", UrlRefusal::PrivateAddress),
        ("https://169.254.169.254/latest/meta-data/", UrlRefusal::PrivateAddress),
        ("https://inner.example.com/", UrlRefusal::PrivateAddress),
        ("https://localhost/", UrlRefusal::InternalName),
        ("https://metadata.google.internal/", UrlRefusal::InternalName),
        ("http://169.254.169.254/latest/meta-data/", UrlRefusal::NotHttps),
        ("http://hooks.example.com/", UrlRefusal::NotHttps),
        ("file:///etc/passwd", UrlRefusal::NotHttps),
        ("https://hooks.example.com:22/", UrlRefusal::Port),
        ("https://a:b@hooks.example.com/", UrlRefusal::Credentials),
        ("caf\u{e9}", UrlRefusal::Invalid),
    ] {
        let server = Server::redirecting(307, location);
        let inner = Server::saying(OK);
        let net = TestNet::default()
            .site("hooks.example.com", server.address)
            .name("inner.example.com", &[ip("10.1.2.3")])
            .server(ip("10.1.2.3"), inner.address);
        let outbound = outbound_over(net);
        for outcome in [outbound.get(&url(HOOK), key()).await, outbound.post_json(&url(HOOK), key(), "{}").await] {
            let error = outcome.unwrap_err();
            assert!(matches!(error, OutboundError::Refused(refusal) if refusal == expected), "{location}: {error:?}");
        }
        assert_eq!((server.seen().len(), inner.seen().len()), (2, 0), "{location}");
    }
}

#[tokio::test]
async fn three_redirects_are_followed_and_a_fourth_is_an_error() {
    let last = Server::saying(OK);
    let third = Server::redirecting(301, "https://last.example.com:8443/x");
    let second = Server::redirecting(308, "https://third.example.com/");
    let first = Server::redirecting(302, "//second.example.com/");
    let before = Server::redirecting(303, "https://first.example.com/");
    let net = TestNet::default()
        .site("before.example.com", before.address)
        .site("first.example.com", first.address)
        .site("second.example.com", second.address)
        .site("third.example.com", third.address)
        .site("last.example.com", last.address);
    let outbound = outbound_over(net);
    assert_eq!(outbound.get(&url("https://first.example.com/"), key()).await.unwrap().body, "ok");
    let [request] = last.seen().try_into().unwrap();
    assert!(request.starts_with("GET /x HTTP/1.1\r\n"), "{request}");
    let error = outbound.get(&url("https://before.example.com/"), key()).await.unwrap_err();
    assert!(matches!(error, OutboundError::TooManyRedirects), "{error:?}");
    assert_eq!(last.seen(), [""; 0]);
}

#[tokio::test]
async fn a_redirect_to_another_host_is_followed_without_the_headers() {
    let other = Server::saying(OK);
    let server = Server::redirecting(307, "https://other.example.com/");
    let net = TestNet::default().site("hooks.example.com", server.address).site("other.example.com", other.address);
    outbound_over(net).post_json(&url(HOOK), key(), r#"{"a":1}"#).await.unwrap();
    let [request] = other.seen().try_into().unwrap();
    assert!(request.starts_with("POST / ") && request.ends_with(r#"{"a":1}"#), "{request}");
    assert!(!request.contains("k3y") && !request.contains("s3cret"), "{request}");
}

#[tokio::test]
async fn a_post_is_not_redirected_as_a_get() {
    for status in [301, 302, 303] {
        let server = Server::redirecting(status, "https://127.0.0.1/");
        let net = TestNet::default().site("hooks.example.com", server.address);
        let answer = outbound_over(net).post_json(&url(HOOK), key(), "{}").await.unwrap();
        assert_eq!(answer.status, status);
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_an_error() {
    let announced = Server::saying("HTTP/1.1 200 OK\r\ncontent-length: 1001\r\n\r\n");
    let endless = Server::start(|stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
        loop {
            stream.write_all(b"8\r\nendless \r\n")?;
        }
    });
    let unframed = Server::start(|stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
        loop {
            stream.write_all(&[b'x'; 500])?;
        }
    });
    let headers = Server::start(|stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
        loop {
            stream.write_all(b"x-more: headers\r\n")?;
        }
    });
    for server in [announced, endless, unframed] {
        let error = get(TestNet::default().site("hooks.example.com", server.address)).await.unwrap_err();
        assert!(matches!(error, OutboundError::TooLarge(1000)), "{error:?}");
    }
    let error = get(TestNet::default().site("hooks.example.com", headers.address)).await.unwrap_err();
    assert!(matches!(error, OutboundError::Unreachable(_)), "{error:?}");
    let whole = Server::saying(format!("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{}", "x".repeat(1000)));
    let answer = get(TestNet::default().site("hooks.example.com", whole.address)).await.unwrap();
    assert_eq!(answer.body.len(), 1000);
}

#[tokio::test]
async fn a_slow_server_times_out() {
    let silent = Server::saying("");
    let slow = Server::saying("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nslow");
    for server in [silent, slow] {
        let net = TestNet::default().site("hooks.example.com", server.address);
        let limits = OutboundLimits { total: Duration::from_millis(200), ..limits() };
        let error = Outbound::for_tests(net, limits).unwrap().get(&url(HOOK), key()).await.unwrap_err();
        assert!(matches!(error, OutboundError::TimedOut), "{error:?}");
    }
}

#[tokio::test]
async fn the_total_timeout_covers_all_redirects_together() {
    let server = Server::start(|stream| {
        thread::sleep(Duration::from_millis(300));
        stream.write_all(b"HTTP/1.1 307 On\r\nlocation: /on\r\ncontent-length: 0\r\n\r\n")
    });
    let net = TestNet::default().site("hooks.example.com", server.address);
    let limits = OutboundLimits { total: Duration::from_millis(800), ..limits() };
    let error = Outbound::for_tests(net, limits).unwrap().get(&url(HOOK), key()).await.unwrap_err();
    assert!(matches!(error, OutboundError::TimedOut), "{error:?}");
}

#[tokio::test]
async fn errors_never_contain_the_url() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let broken = Server::saying("SSH-2.0-OpenSSH\r\n\r\n");
    let cut = Server::start(|stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\ncut")?;
        stream.shutdown(std::net::Shutdown::Both)
    });
    let site = |address| TestNet::default().site("hooks.example.com", address);
    let empty = TestNet::default().name("hooks.example.com", &[]);
    for net in [site(closed), site(broken.address), site(cut.address), empty, TestNet::default()] {
        let error = get(net).await.unwrap_err();
        assert!(matches!(error, OutboundError::Unreachable(_)), "{error:?}");
        let mut texts = format!("{error:?}");
        let mut cause: Option<&dyn Error> = Some(&error);
        while let Some(error) = cause {
            texts.push_str(&error.to_string());
            cause = error.source();
        }
        assert!(!texts.contains("s3cret") && !texts.contains("hooks.example.com/"), "{texts}");
    }
}

#[tokio::test]
async fn the_real_resolver_refuses_localhost() {
    // `localhost` is in the hosts file, so no DNS query leaves the machine.
    let Err(error) =
        OutboundNetwork::Internet(LocalSites::default()).resolve("localhost".parse::<Name>().unwrap()).await
    else {
        panic!("localhost resolved")
    };
    assert_eq!(error.downcast_ref(), Some(&UrlRefusal::PrivateAddress), "{error:?}");
}

/// The client of [`Outbound::new`] never sends plain HTTP.
#[tokio::test]
async fn the_real_client_refuses_plain_http() {
    let server = Server::saying(OK);
    let outbound = Outbound::new(limits()).unwrap();
    outbound.http.get(format!("http://{}/", server.address)).send().await.unwrap_err();
    assert_eq!(server.seen(), [""; 0]);
}

/// Runs another test of this file in a process whose environment names a proxy that does not exist.
#[test]
fn a_proxy_in_the_environment_is_ignored() {
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        child.env(name, "http://127.0.0.1:9").env(name.to_lowercase(), "http://127.0.0.1:9");
    }
    child.env_remove("NO_PROXY").env_remove("no_proxy").env_remove("REQUEST_METHOD");
    let output =
        child.args(["--exact", "integrations::outbound::tests::a_get_returns_status_and_body"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[tokio::test]
async fn a_delivery_follows_no_redirect_and_reads_no_body() {
    let inner = Server::saying(OK);
    let redirecting = Server::start(move |stream| {
        stream.write_all(b"HTTP/1.1 307 On\r\nlocation: https://inner.example.com/\r\ncontent-length: 0\r\n\r\n")
    });
    let endless = Server::start(|stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
        loop {
            stream.write_all(b"8\r\nendless \r\n")?;
        }
    });
    let busy = Server::saying("HTTP/1.1 429 Slow\r\nretry-after: 90\r\ncontent-length: 0\r\n\r\n");
    let net = TestNet::default()
        .site("inner.example.com", inner.address)
        .site("redirecting.example.com", redirecting.address)
        .site("endless.example.com", endless.address)
        .site("busy.example.com", busy.address);
    let outbound = outbound_over(net);
    for (host, status, retry_after) in
        [("redirecting", 307, None), ("endless", 200, None), ("busy", 429, Some(Duration::from_secs(90)))]
    {
        let response = outbound.deliver_json(&url(&format!("https://{host}.example.com/")), key(), r#"{"a":1}"#).await;
        let expected = DeliveryResponse { status: StatusCode::from_u16(status).unwrap(), retry_after };
        assert_eq!(response.unwrap(), expected, "{host}");
    }
    assert_eq!(inner.seen(), [""; 0]);
    let [request] = busy.seen().try_into().unwrap();
    assert!(request.contains("\r\nx-api-key: k3y\r\n") && request.ends_with(r#"{"a":1}"#), "{request}");
}

#[tokio::test]
async fn a_delivery_goes_to_public_addresses_only_and_times_out() {
    let server = Server::saying(OK);
    let silent = Server::saying("");
    let net = TestNet::default()
        .name("private.example.com", &[ip("10.0.0.7")])
        .server(ip("10.0.0.7"), server.address)
        .site("silent.example.com", silent.address);
    let limits = OutboundLimits { total: Duration::from_millis(200), ..limits() };
    let outbound = Outbound::for_tests(net, limits).unwrap();
    let error = outbound.deliver_json(&url("https://private.example.com/"), key(), "{}").await.unwrap_err();
    assert!(matches!(error, OutboundError::Refused(UrlRefusal::PrivateAddress)), "{error:?}");
    let error = outbound.deliver_json(&url("https://silent.example.com/"), key(), "{}").await.unwrap_err();
    assert!(matches!(error, OutboundError::TimedOut), "{error:?}");
    assert_eq!(server.seen(), [""; 0]);
}

#[test]
fn retry_after_is_read_in_both_forms() {
    let now = "2026-11-29T14:35:00Z".parse().unwrap();
    for (text, expected) in [
        ("120", Some(120)),
        (" 0 ", Some(0)),
        ("Sun, 29 Nov 2026 14:37:30 GMT", Some(150)),
        ("Sun, 29 Nov 2026 14:00:00 GMT", None),
        ("soon", None),
        ("-5", None),
    ] {
        let value = HeaderValue::from_str(text).unwrap();
        assert_eq!(parse_retry_after(Some(&value), now), expected.map(Duration::from_secs), "{text}");
    }
    assert_eq!(parse_retry_after(None, now), None);
}

fn read(sites: &str) -> (Outbound, Result<(), String>) {
    let mut settings = Settings::new([("OUTBOUND_LOCAL_SITES".to_owned(), sites.to_owned())].into());
    let outbound = Outbound::read(&mut settings, limits());
    (outbound, settings.finish().map_err(|invalid| invalid.to_string()))
}

#[tokio::test]
async fn a_local_site_is_called_and_an_address_is_checked_as_any_other() {
    let server = Server::saying(OK);
    let (outbound, problems) =
        read(&format!("hooks.example.com={}, private.example.com=169.254.169.254", server.address));
    assert_eq!(problems, Ok(()));
    let answer = outbound.deliver_json(&url("https://hooks.example.com:8443/in"), key(), "{}").await.unwrap();
    assert_eq!(answer.status, StatusCode::OK);
    let [request] = server.seen().try_into().unwrap();
    assert!(request.starts_with("POST /in HTTP/1.1\r\n"), "{request}");
    let error = outbound.deliver_json(&url("https://private.example.com/"), key(), "{}").await.unwrap_err();
    assert!(matches!(error, OutboundError::Refused(UrlRefusal::PrivateAddress)), "{error:?}");
}

#[tokio::test]
async fn local_sites_are_on_the_loopback_interface() {
    for (sites, expected) in [
        (
            "hooks.example.com=10.0.0.1:80",
            Some("OUTBOUND_LOCAL_SITES has a server that is not on the loopback interface"),
        ),
        ("hooks.example.com", Some("OUTBOUND_LOCAL_SITES has an entry that is not of the form name=address")),
        ("hooks.example.com=there", Some("OUTBOUND_LOCAL_SITES has an entry without an IP address")),
        ("", None),
    ] {
        let (_, problems) = read(sites);
        assert_eq!(problems.err().is_some_and(|problem| problem.contains(expected.unwrap_or("?"))), expected.is_some());
    }
}
