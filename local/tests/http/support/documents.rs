//! Documents: PDF files for tests, their upload, and waiting for their ingestion.

use std::{path::Path, time::Duration};

use local_postgres::{ProgressOutput, ensure_embedding_model, root};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{App, TenantUser, plant, wait_until};

/// Maximum time until a document reaches an end state, as the product promises.
const INGESTION_TIMEOUT: Duration = Duration::from_secs(60);

/// Number of lines of a page that are planted as what no log may tell.
const MAX_PLANTED_LINES: usize = 20;

/// Reads a file of the repository.
pub(crate) fn repository_file(path: impl AsRef<Path>) -> Vec<u8> {
    let path = root().join(path);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The file of the embedding model multilingual-e5-small, fetched when it is missing.
pub(crate) fn e5_model_file() -> String {
    let file = ensure_embedding_model(ProgressOutput::Silent).unwrap();
    file.to_str().unwrap().to_owned()
}

/// Reads one of the PDF files in local/fixtures/pdf.
pub(crate) fn fixture(name: &str) -> Vec<u8> {
    repository_file(format!("local/fixtures/pdf/{name}"))
}

/// Makes a PDF with one page for each text. Texts are ASCII without parentheses and backslashes.
pub(crate) fn pdf(pages: &[String]) -> Vec<u8> {
    padded_pdf(pages, 0)
}

/// Makes a PDF with one page for each text, and a comment of `padding` bytes.
pub(crate) fn padded_pdf(pages: &[String], padding: usize) -> Vec<u8> {
    write_pdf(&pages.iter().map(|page| PdfPage::text(page)).collect::<Vec<_>>(), padding)
}

/// The content of one PDF page: text, a scanned image, or both.
pub(crate) struct PdfPage {
    text: String,
    is_scanned: bool,
    /// Width and height in points.
    size: (u64, u64),
}

impl PdfPage {
    /// A page of text without an image.
    pub(crate) fn text(text: &str) -> Self {
        Self { text: text.to_owned(), is_scanned: false, size: (595, 842) }
    }

    /// An empty page.
    pub(crate) fn blank() -> Self {
        Self::text("")
    }

    /// A page that is an image without text. The image differs from page to page.
    pub(crate) fn scan() -> Self {
        Self { is_scanned: true, ..Self::blank() }
    }

    /// A page that is an image with text over it.
    pub(crate) fn scan_with_text(text: &str) -> Self {
        Self { is_scanned: true, ..Self::text(text) }
    }

    /// Sets the page size in points.
    pub(crate) fn with_size(self, width: u64, height: u64) -> Self {
        Self { size: (width, height), ..self }
    }
}

/// Makes a PDF of these pages.
pub(crate) fn pdf_of_pages(sheets: &[PdfPage]) -> Vec<u8> {
    write_pdf(sheets, 0)
}

/// Writes a PDF file with its cross-reference table, and a comment of `padding` bytes.
fn write_pdf(sheets: &[PdfPage], padding: usize) -> Vec<u8> {
    let kids: Vec<_> = (0..sheets.len()).map(|number| format!("{} 0 R", 4 + 3 * number)).collect();
    let mut objects = vec![
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        format!("<< /Type /Pages /Kids [{}] /Count {} >>", kids.join(" "), sheets.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_owned(),
    ];
    for (number, PdfPage { text, is_scanned, size: (width, height) }) in sheets.iter().enumerate() {
        text.lines().take(MAX_PLANTED_LINES).for_each(plant);
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
        // Four pixel rows: black, white, white, and the page's number as grey value.
        let pixels = format!("00ffff{number:02x}>");
        objects.push(format!(
            "<< /Type /XObject /Subtype /Image /Width 1 /Height 4 /ColorSpace /DeviceGray /BitsPerComponent 8 \
             /Filter /ASCIIHexDecode /Length {} >>\nstream\n{pixels}\nendstream",
            pixels.len()
        ));
    }
    let mut out = format!("%PDF-1.7\n%{}\n", "x".repeat(padding));
    let mut offsets = Vec::new();
    for (number, object) in (1..).zip(&objects) {
        offsets.push(out.len());
        out.push_str(&format!("{number} 0 obj\n{object}\nendobj\n"));
    }
    let table = out.len();
    out.push_str(&format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1));
    offsets.iter().for_each(|offset| out.push_str(&format!("{offset:010} 00000 n \n")));
    out.push_str(&format!("trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n", objects.len() + 1));
    out.into_bytes()
}

/// Makes a PDF of one page.
pub(crate) fn small_pdf(text: &str) -> Vec<u8> {
    pdf(&[text.to_owned()])
}

/// Makes a PDF with more chunks than the ingest worker stores in one batch.
pub(crate) fn long_pdf() -> Vec<u8> {
    let line =
        |page: usize, line: usize| format!("Item {page}-{line} of the catalogue is kept on shelf {}.", page * line);
    let page = |page: usize| (1..60).map(|number| line(page, number)).collect::<Vec<_>>().join("\n");
    pdf(&(1..60).map(page).collect::<Vec<_>>())
}

/// The presigned upload of a document's file, as the product returned it.
#[derive(Debug, Clone)]
pub(crate) struct PresignedUpload {
    pub(crate) document: Uuid,
    pub(crate) url: String,
    headers: Vec<(String, String)>,
}

impl App {
    /// Announces a file and returns its presigned upload.
    pub(crate) async fn announce(&self, tenant: &TenantUser, filename: &str, bytes: usize) -> PresignedUpload {
        let body = json!({ "filename": filename, "size_bytes": bytes });
        presigned_upload(&self.post("/api/v1/documents/upload").by(tenant).json(&body).await.data(201))
    }

    /// Uploads a file to its presigned URL.
    pub(crate) async fn put_file(&self, place: &PresignedUpload, bytes: Vec<u8>) {
        let status = self.try_put_file(place, bytes).await;
        assert!((200..300).contains(&status), "{status}");
    }

    /// Uploads a file to its presigned URL once, and returns the status of the answer.
    pub(crate) async fn try_put_file(&self, place: &PresignedUpload, bytes: Vec<u8>) -> u16 {
        let mut request = self.http().put(&place.url);
        // The HTTP client sets Content-Length and Host itself.
        for (name, value) in place.headers.iter().filter(|(name, _)| name != "content-length" && name != "host") {
            request = request.header(name, value);
        }
        request.body(bytes).send().await.unwrap().status().as_u16()
    }

    /// Lets the slots of killed workers expire, as they do after 330 s, and lets maintenance send the messages. Comes
    /// after a restart: a test's queue delivers again within seconds, before a slot expires, and loses that message.
    pub(crate) async fn pass_on_slots_of_dead_workers(&self) {
        self.sql("update ingest_slots set held_until = now()").await;
        self.stack.invoke("maintenance", json!({})).await.unwrap();
    }

    /// Announces a file, uploads it, and returns the document's id.
    pub(crate) async fn upload(&self, tenant: &TenantUser, filename: &str, bytes: Vec<u8>) -> Uuid {
        let place = self.announce(tenant, filename, bytes.len()).await;
        self.put_file(&place, bytes).await;
        place.document
    }

    /// Gets a document through the API.
    pub(crate) async fn document(&self, tenant: &TenantUser, id: Uuid) -> Value {
        self.get(&format!("/api/v1/documents/{id}")).by(tenant).await.data(200)
    }

    /// Waits until a document is processed or failed, and returns it.
    pub(crate) async fn wait_for_end_state(&self, tenant: &TenantUser, id: Uuid) -> Value {
        wait_until("the document is in an end state", INGESTION_TIMEOUT, async || {
            let document = self.document(tenant, id).await;
            (document["status"] != "pending").then_some(document)
        })
        .await
    }

    /// Uploads a file, waits until it is processed, and returns the document's id.
    pub(crate) async fn upload_and_process(&self, tenant: &TenantUser, filename: &str, bytes: Vec<u8>) -> Uuid {
        let id = self.upload(tenant, filename, bytes).await;
        let document = self.wait_for_end_state(tenant, id).await;
        assert_eq!(document["status"], "processed", "{document}");
        assert_eq!(document["pages_done"], document["pages_total"]);
        id
    }

    /// A request to `POST /api/v1/query` with this question.
    pub(crate) fn ask(&self, token: impl AsRef<str>, question: &str) -> super::TestRequest {
        self.post("/api/v1/query").by(token).json(&json!({ "question": question }))
    }

    /// Number of chunks of a document.
    pub(crate) async fn chunk_count(&self, document: Uuid) -> i64 {
        self.number(&format!("select count(*) from document_chunks where document_id = '{document}'")).await
    }
}

/// Reads the presigned upload from the `data` of the response to an announcement.
pub(crate) fn presigned_upload(data: &Value) -> PresignedUpload {
    let upload = &data["upload"];
    assert_eq!(upload["method"], "PUT");
    let headers = upload["headers"].as_object().unwrap();
    PresignedUpload {
        document: data["document"]["id"].as_str().unwrap().parse().unwrap(),
        url: upload["url"].as_str().unwrap().to_owned(),
        headers: headers.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect(),
    }
}
