//! Requests after public reports of people who run such systems: `fixtures/field/http/requests.jsonl`. The field
//! `expected` of each row says what is right.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use reqwest::Method;
use serde_json::Value;

use super::support::{App, repository_file, small_pdf};

fn rows() -> Vec<Value> {
    let file = repository_file("local/fixtures/field/http/requests.jsonl");
    let text = String::from_utf8(file).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The rows whose `expected` has these words.
fn rows_expecting(words: &str) -> Vec<Value> {
    let found: Vec<_> = rows().into_iter().filter(|row| row["expected"].as_str().unwrap().contains(words)).collect();
    assert!(!found.is_empty(), "{words}");
    found
}

#[tokio::test]
async fn head_has_the_headers_of_get_and_no_body() {
    let app = App::start().await;
    for row in rows_expecting("200 with the headers of GET and no body") {
        let path = row["path"].as_str().unwrap();
        let got = app.get(path).await;
        let head = app.call(Method::HEAD, path).await;
        assert_eq!((head.status, head.text.as_str()), (200, ""), "{path}");
        for name in ["content-type", "content-length", "cache-control", "etag"] {
            assert_eq!(head.header(name), got.header(name), "{path} {name}");
        }
    }
}

#[tokio::test]
async fn a_compressed_question_is_read_as_if_it_were_not() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    for row in rows_expecting("read as if it were not compressed") {
        let plain = row["body"].as_str().unwrap().strip_suffix(" compressed by gzip").unwrap();
        let mut body = GzEncoder::new(Vec::new(), Compression::default());
        body.write_all(plain.as_bytes()).unwrap();
        let call = app.post(row["path"].as_str().unwrap()).by(&tenant);
        let call = call.header("content-encoding", row["headers"]["content-encoding"].as_str().unwrap());
        let answer = call.raw_json(body.finish().unwrap()).await.data(200);
        assert_eq!(answer["answered"], false, "there is no document yet: {answer}");
    }
}

#[tokio::test]
async fn an_extended_file_name_is_the_name() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    for row in rows_expecting("201, named ") {
        let head = format!("--b\r\n{}\r\n\r\n", row["form"].as_str().unwrap());
        let form = [head.as_bytes(), &small_pdf("The delivery takes three days."), b"\r\n--b--\r\n"].concat();
        let call = app.post(row["path"].as_str().unwrap()).by(&tenant);
        let data = call.body("multipart/form-data; boundary=b", form).await.data(201);
        let name = row["expected"].as_str().unwrap().strip_prefix("201, named ").unwrap();
        assert_eq!(data["document"]["filename"], name);
    }
}
