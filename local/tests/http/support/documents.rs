//! Documents: announcing, putting and waiting for them.

use std::{path::Path, time::Duration};

use local_postgres::root;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{App, Tenant, wait_until};

/// What a document may take until its end, as the product promises.
const A_MINUTE: Duration = Duration::from_secs(60);

/// A file of the repository.
pub(crate) fn file(path: impl AsRef<Path>) -> Vec<u8> {
    let path = root().join(path);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A hostile or harmless file that was made for the tests.
pub(crate) fn fixture(name: &str) -> Vec<u8> {
    file(format!("local/fixtures/pdf/{name}"))
}

/// A PDF with these texts, one a page. ASCII without parentheses and backslashes.
pub(crate) fn pdf(pages: &[String]) -> Vec<u8> {
    padded_pdf(pages, 0)
}

/// The same with so many bytes that mean nothing.
pub(crate) fn padded_pdf(pages: &[String], padding: usize) -> Vec<u8> {
    written(&pages.iter().map(|page| Sheet::text(page)).collect::<Vec<_>>(), padding)
}

/// A page, as somebody put it on a scanner or printed it.
pub(crate) struct Sheet {
    text: String,
    is_scanned: bool,
    /// In points.
    size: (u64, u64),
}

impl Sheet {
    /// Words alone.
    pub(crate) fn text(text: &str) -> Self {
        Self { text: text.to_owned(), is_scanned: false, size: (595, 842) }
    }

    /// Nothing.
    pub(crate) fn blank() -> Self {
        Self::text("")
    }

    /// An image, which is another one on every page.
    pub(crate) fn scan() -> Self {
        Self { is_scanned: true, ..Self::blank() }
    }

    /// An image with words over it.
    pub(crate) fn stamped(text: &str) -> Self {
        Self { is_scanned: true, ..Self::text(text) }
    }

    /// The same on paper of another size, in points.
    pub(crate) fn sized(self, width: u64, height: u64) -> Self {
        Self { size: (width, height), ..self }
    }
}

/// A PDF of these pages.
pub(crate) fn sheets(sheets: &[Sheet]) -> Vec<u8> {
    written(sheets, 0)
}

fn written(sheets: &[Sheet], padding: usize) -> Vec<u8> {
    let kids: Vec<_> = (0..sheets.len()).map(|number| format!("{} 0 R", 4 + 3 * number)).collect();
    let mut objects = vec![
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        format!("<< /Type /Pages /Kids [{}] /Count {} >>", kids.join(" "), sheets.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_owned(),
    ];
    for (number, Sheet { text, is_scanned, size: (width, height) }) in sheets.iter().enumerate() {
        let image = if *is_scanned { format!("q {width} 0 0 {height} 0 0 cm /I1 Do Q\n") } else { String::new() };
        let lines: String = text.lines().map(|line| format!("({line}) Tj T*\n")).collect();
        let content = format!("{image}BT /F1 9 Tf 11 TL 40 800 Td\n{lines}ET");
        objects.push(format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {width} {height}] /Contents {} 0 R \
             /Resources << /Font << /F1 3 0 R >> /XObject << /I1 {} 0 R >> >> >>",
            5 + 3 * number,
            6 + 3 * number
        ));
        objects.push(format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()));
        // Four rows: black, white, white, and as grey as the page's number.
        let pixels = format!("00ffff{number:02x}>");
        objects.push(format!(
            "<< /Type /XObject /Subtype /Image /Width 1 /Height 4 /ColorSpace /DeviceGray /BitsPerComponent 8 \
             /Filter /ASCIIHexDecode /Length {} >>\nstream\n{pixels}\nendstream",
            pixels.len()
        ));
    }
    let mut out = format!("%PDF-1.7\n%{}\n", "x".repeat(padding));
    let mut places = Vec::new();
    for (number, object) in (1..).zip(&objects) {
        places.push(out.len());
        out.push_str(&format!("{number} 0 obj\n{object}\nendobj\n"));
    }
    let table = out.len();
    out.push_str(&format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1));
    places.iter().for_each(|place| out.push_str(&format!("{place:010} 00000 n \n")));
    out.push_str(&format!("trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n", objects.len() + 1));
    out.into_bytes()
}

/// A PDF of one page.
pub(crate) fn small_pdf(text: &str) -> Vec<u8> {
    pdf(&[text.to_owned()])
}

/// A PDF that gives more chunks than are stored in one batch.
pub(crate) fn long_pdf() -> Vec<u8> {
    let line =
        |page: usize, line: usize| format!("Item {page}-{line} of the catalogue is kept on shelf {}.", page * line);
    let page = |page: usize| (1..60).map(|number| line(page, number)).collect::<Vec<_>>().join("\n");
    pdf(&(1..60).map(page).collect::<Vec<_>>())
}

/// A place to put a file, as the product answered.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) document: Uuid,
    pub(crate) url: String,
    headers: Vec<(String, String)>,
}

impl App {
    /// Announces a file and returns the place for it.
    pub(crate) async fn announce(&self, tenant: &Tenant, filename: &str, bytes: usize) -> Place {
        let body = json!({ "filename": filename, "size_bytes": bytes });
        place(&self.post("/api/v1/documents/upload").by(tenant).json(&body).await.data(201))
    }

    /// Puts a file where it belongs.
    pub(crate) async fn put(&self, place: &Place, bytes: Vec<u8>) {
        let mut request = self.http().put(&place.url);
        // The client says itself how long the body is.
        for (name, value) in place.headers.iter().filter(|(name, _)| name != "content-length" && name != "host") {
            request = request.header(name, value);
        }
        let answer = request.body(bytes).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    }

    /// Announces a file and puts it.
    pub(crate) async fn upload(&self, tenant: &Tenant, filename: &str, bytes: Vec<u8>) -> Uuid {
        let place = self.announce(tenant, filename, bytes.len()).await;
        self.put(&place, bytes).await;
        place.document
    }

    /// A document as its tenant sees it.
    pub(crate) async fn document(&self, tenant: &Tenant, id: Uuid) -> Value {
        self.get(&format!("/api/v1/documents/{id}")).by(tenant).await.data(200)
    }

    /// Waits until a document is in an end state.
    pub(crate) async fn ended(&self, tenant: &Tenant, id: Uuid) -> Value {
        wait_until("the document is in an end state", A_MINUTE, async || {
            let document = self.document(tenant, id).await;
            (document["status"] != "pending").then_some(document)
        })
        .await
    }

    /// Uploads a file and waits until answers can be made from it.
    pub(crate) async fn learn(&self, tenant: &Tenant, filename: &str, bytes: Vec<u8>) -> Uuid {
        let id = self.upload(tenant, filename, bytes).await;
        let document = self.ended(tenant, id).await;
        assert_eq!(document["status"], "processed", "{document}");
        assert_eq!(document["pages_done"], document["pages_total"]);
        id
    }

    /// Asks a question.
    pub(crate) fn ask(&self, token: impl AsRef<str>, question: &str) -> super::Call {
        self.post("/api/v1/query").by(token).json(&json!({ "question": question }))
    }

    /// Chunks of a document.
    pub(crate) async fn chunks(&self, document: Uuid) -> i64 {
        self.number(&format!("select count(*) from document_chunks where document_id = '{document}'")).await
    }
}

/// The place in the answer to an announcement.
pub(crate) fn place(data: &Value) -> Place {
    let upload = &data["upload"];
    assert_eq!(upload["method"], "PUT");
    let headers = upload["headers"].as_object().unwrap();
    Place {
        document: data["document"]["id"].as_str().unwrap().parse().unwrap(),
        url: upload["url"].as_str().unwrap().to_owned(),
        headers: headers.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect(),
    }
}
