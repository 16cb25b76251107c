//! The stand-in for API Gateway on requests that are not well formed. They are sent over a plain connection, since an
//! HTTP client does not send them.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::support::App;

/// The time within which every answer is there: the gateway waits 30 s for headers and 10 s for the rest of a body.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(40);

async fn connect(app: &App) -> TcpStream {
    TcpStream::connect(app.stack.base_url().strip_prefix("http://").unwrap()).await.unwrap()
}

/// Sends bytes and returns the status of the answer and the whole answer. The connection stays open for writing.
async fn send(app: &App, request: &[u8]) -> (u16, String) {
    let mut connection = connect(app).await;
    connection.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    let read = async {
        while !answer.ends_with(b"}") {
            match connection.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(bytes) => answer.extend_from_slice(&buffer[..bytes]),
            }
        }
    };
    tokio::time::timeout(ANSWER_TIMEOUT, read).await.expect("an answer");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    (status, answer)
}

#[tokio::test]
async fn a_malformed_host_or_target_is_a_bad_request() {
    let app = App::start().await;
    for head in [
        "GET /health HTTP/1.1\r\nhost: a b",
        "GET /health HTTP/1.1\r\nhost: ",
        "GET /health HTTP/1.1\r\nhost: user@localhost",
        "GET /health HTTP/1.1\r\nhost: localhost/x",
        "GET /health HTTP/1.1\r\nhost: [::1",
        "GET /health HTTP/1.1\r\nhost: localhost:port",
        "GET /health HTTP/1.1\r\nhost: localhost:999999",
        "GET /health HTTP/1.1\r\nhost: exa<mple",
        "GET /health HTTP/1.1\r\nhost: one\r\nhost: two",
        "GET /health HTTP/1.1\r\naccept: */*",
        "OPTIONS * HTTP/1.1\r\nhost: localhost",
        "CONNECT localhost:443 HTTP/1.1\r\nhost: localhost",
    ] {
        let (status, answer) = send(&app, format!("{head}\r\n\r\n").as_bytes()).await;
        assert_eq!(status, 400, "{head}: {answer}");
    }
    let (status, answer) = send(&app, b"GET /health HTTP/1.1\r\nhost: localhost\r\nx-name: \xff\xfe\r\n\r\n").await;
    assert_eq!(status, 400, "{answer}");
    for head in
        ["GET /health HTTP/1.1\r\nhost: localhost", "GET /health HTTP/1.1\r\nhost: [::1]:9000", "GET /health HTTP/1.0"]
    {
        let (status, answer) = send(&app, format!("{head}\r\n\r\n").as_bytes()).await;
        assert_eq!(status, 200, "{head}: {answer}");
    }
    let (status, answer) = send(&app, "GET /health HTTP/1.1\r\nhost: localhost\r\nx-name: é\r\n\r\n".as_bytes()).await;
    assert!(matches!(status, 200 | 400), "{answer}");
}

#[tokio::test]
async fn headers_over_the_limit_are_refused() {
    let app = App::start().await;
    for (bytes, expected) in [(9_000, 200), (11_000, 431), (100_000, 431)] {
        let header = "x".repeat(bytes);
        let (status, answer) =
            send(&app, format!("GET /health HTTP/1.1\r\nhost: localhost\r\nx-long: {header}\r\n\r\n").as_bytes()).await;
        assert_eq!(status, expected, "{bytes}: {answer}");
        let (status, answer) =
            send(&app, format!("GET /health?{header} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes()).await;
        assert!(status == expected || (bytes > 60_000 && status == 414), "{bytes}: {answer}");
    }
    // An unknown method of any length is no route.
    let method = "M".repeat(9_000);
    let (status, answer) = send(&app, format!("{method} /health HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes()).await;
    assert_eq!(status, 405, "{answer}");
}

#[tokio::test]
async fn a_broken_chunked_body_is_a_bad_request() {
    let app = App::start().await;
    let head = "POST /api/v1/query HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    for body in ["zz\r\n{}\r\n0\r\n\r\n", "2\r\n{}xx\r\n0\r\n\r\n", "-1\r\n", "ffffffffffffffffff\r\n"] {
        let (status, answer) = send(&app, format!("{head}{body}").as_bytes()).await;
        assert_eq!(status, 400, "{body:?}: {answer}");
    }
    let (status, answer) = send(&app, format!("{head}2\r\n{{}}\r\n0\r\n\r\n").as_bytes()).await;
    assert_eq!(status, 401, "{answer}");
}

#[tokio::test]
async fn a_client_that_stalls_gets_408() {
    let app = App::start().await;
    let body = send(&app, b"POST /api/v1/query HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{");
    let chunk =
        send(&app, b"POST /api/v1/query HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{");
    let head = send(&app, b"POST /api/v1/query HTTP/1.1\r\nhost: local");
    for (status, answer) in <[_; 3]>::from(tokio::join!(body, chunk, head)) {
        assert_eq!(status, 408, "{answer}");
    }
}

#[tokio::test]
async fn a_client_that_asks_first_is_refused_before_it_sends() {
    let app = App::start().await;
    let head = "POST /api/v1/documents/upload HTTP/1.1\r\nhost: localhost\r\ncontent-length: 30000000\r\nexpect: 100-continue\r\n\r\n";
    let (status, answer) = send(&app, head.as_bytes()).await;
    assert_eq!(status, 413, "{answer}");
    assert!(answer.contains("\"limit_bytes\":10485760"), "{answer}");
}
