//! Word documents, workbooks, CSV, plain text, Markdown and HTML: from the upload to an answer with its place, and files
//! that are not what they seem.

use std::io::{Cursor, Write};

use serde_json::{Value, json};
use uuid::Uuid;
use zip::{ZipWriter, write::SimpleFileOptions};

use super::support::{App, TenantUser, presigned_upload, small_pdf};

const UPLOAD: &str = "/api/v1/documents/upload";
const WORD: &str = r#"xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main""#;

fn archive(parts: &[(&str, String)]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in parts {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(content.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn docx() -> Vec<u8> {
    let heading =
        |text: &str| format!("<w:p><w:pPr><w:pStyle w:val=\"H1\"/></w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>");
    let paragraph = |text: &str| format!("<w:p><w:r><w:t>{text}</w:t></w:r></w:p>");
    let body = [
        heading("Livraison"),
        paragraph("La livraison à Yopougon coûte 1 750 FCFA et prend deux jours."),
        heading("Garantie"),
        paragraph("La garantie des lampes solaires dure trente mois à compter de l’achat."),
    ];
    archive(&[
        ("[Content_Types].xml", "<Types/>".to_owned()),
        ("word/document.xml", format!("<w:document {WORD}><w:body>{}</w:body></w:document>", body.concat())),
        (
            "word/styles.xml",
            format!("<w:styles {WORD}><w:style w:styleId=\"H1\"><w:name w:val=\"heading 1\"/></w:style></w:styles>"),
        ),
    ])
}

fn xlsx() -> Vec<u8> {
    let cell = |place: &str, text: &str| format!("<c r=\"{place}\" t=\"inlineStr\"><is><t>{text}</t></is></c>");
    let number = |place: &str, value: &str| format!("<c r=\"{place}\"><v>{value}</v></c>");
    let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    let relations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let package = "http://schemas.openxmlformats.org/package/2006/relationships";
    let rows = [
        format!("<row r=\"1\">{}{}{}</row>", cell("A1", "Article"), cell("B1", "Détail"), cell("C1", "Gros")),
        format!(
            "<row r=\"2\">{}{}{}</row>",
            cell("A2", "Riz local de Man 25 kg"),
            number("B2", "16000"),
            number("C2", "15100")
        ),
        format!(
            "<row r=\"3\" hidden=\"1\">{}{}{}</row>",
            cell("A3", "Huile rouge 5 L"),
            number("B3", "1111"),
            number("C3", "1110")
        ),
        format!(
            "<row r=\"4\">{}{}{}</row>",
            cell("A4", "Huile rouge de palme 5 L"),
            number("B4", "8500"),
            number("C4", "8000")
        ),
    ];
    archive(&[
        ("[Content_Types].xml", "<Types/>".to_owned()),
        (
            "_rels/.rels",
            format!(
                "<Relationships xmlns=\"{package}\"><Relationship Id=\"r\" Type=\"{relations}/officeDocument\" \
                 Target=\"xl/workbook.xml\"/></Relationships>"
            ),
        ),
        (
            "xl/workbook.xml",
            format!(
                "<workbook xmlns=\"{main}\" xmlns:r=\"{relations}\"><sheets><sheet name=\"Tarifs\" sheetId=\"1\" \
                 r:id=\"s1\"/></sheets></workbook>"
            ),
        ),
        (
            "xl/_rels/workbook.xml.rels",
            format!(
                "<Relationships xmlns=\"{package}\"><Relationship Id=\"s1\" Type=\"{relations}/worksheet\" \
                 Target=\"worksheets/sheet1.xml\"/></Relationships>"
            ),
        ),
        (
            "xl/worksheets/sheet1.xml",
            format!("<worksheet xmlns=\"{main}\"><sheetData>{}</sheetData></worksheet>", rows.concat()),
        ),
    ])
}

/// Asks, and returns the citation that has `value`.
async fn citation(app: &App, tenant: &TenantUser, question: &str, value: &str) -> Value {
    let answer = app.ask(tenant, question).await.data(200);
    let text = answer["answer"].as_str().unwrap().replace(['\u{a0}', '\u{202f}'], " ");
    assert!(text.contains(value), "{question}: {answer}");
    let has_value = |citation: &&Value| citation["snippet"].as_str().unwrap().replace('\u{a0}', " ").contains(value);
    let citation = answer["citations"].as_array().unwrap().iter().find(has_value).cloned().unwrap();
    assert!(text.contains(citation["location"].as_str().unwrap()), "{answer}");
    citation
}

#[tokio::test]
async fn a_word_document_and_a_workbook_are_cited_by_heading_and_row() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let letter = app.upload_and_process(&tenant, "Conditions.docx", docx()).await;
    let document = app.document(&tenant, letter).await;
    assert_eq!((&document["format"], &document["pages_total"]), (&json!("docx"), &json!(2)), "{document}");
    app.upload_and_process(&tenant, "tarifs.xlsx", xlsx()).await;

    let cited = citation(&app, &tenant, "Combien coûte la livraison à Yopougon ?", "1 750").await;
    assert_eq!((&cited["page"], &cited["location"]), (&Value::Null, &json!("section « Livraison »")), "{cited}");
    let cited = citation(&app, &tenant, "Combien de temps dure la garantie des lampes solaires ?", "trente mois").await;
    assert_eq!(cited["location"], "section « Garantie »", "{cited}");
    let cited = citation(&app, &tenant, "Quel est le prix de gros du riz local de Man ?", "15100").await;
    assert!(cited["location"].as_str().unwrap().starts_with("Feuille Tarifs, ligne"), "{cited}");
    assert_eq!(app.number("select count(*) from document_chunks where text_chunk like '%1111%'").await, 0);
    // Stored with the conversation as the API gave it.
    let stored = "select count(*) from messages where citations::text like '%Feuille Tarifs, ligne%'";
    assert_eq!(app.number(stored).await, 1);
}

#[tokio::test]
async fn texts_are_cited_by_row_line_and_heading() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let csv = "Ville;Frais de livraison;Délai\nAbidjan;1 500;24 h\nBouaké;2 500;48 h\n";
    let csv = encoding_rs::WINDOWS_1252.encode(csv).0.into_owned();
    app.upload_and_process(&tenant, "frais.csv", csv).await;
    app.upload_and_process(
        &tenant,
        "horaires.txt",
        "Comptoir Baobab\n\nLa boutique de Cocody est ouverte de huit heures à dix-neuf heures.\n".into(),
    )
    .await;
    app.upload_and_process(
        &tenant,
        "retours.md",
        "# Retours\n\nUn article se renvoie à l'entrepôt de Treichville sous ~~30~~ **14 jours**.\n".into(),
    )
    .await;
    app.upload_and_process(
        &tenant,
        "contact.html",
        "<html><head><meta charset=utf-8></head><body><h1>Service client</h1><p>Téléphone du service client : \
         07 55 44 33 22</p><p hidden>Téléphone du service client : 01 02 03 04 05</p></body></html>"
            .into(),
    )
    .await;
    for (question, value, location) in [
        ("Quels sont les frais de livraison pour Bouaké ?", "2 500", "ligne"),
        ("À quelle heure est ouverte la boutique de Cocody ?", "dix-neuf heures", "ligne 3"),
        ("Sous combien de jours se renvoie un article ?", "14 jours", "section « Retours »"),
        ("Quel est le téléphone du service client ?", "07 55 44 33 22", "section « Service client »"),
    ] {
        let cited = citation(&app, &tenant, question, value).await;
        assert_eq!(cited["page"], Value::Null);
        assert!(cited["location"].as_str().unwrap().starts_with(location), "{question}: {cited}");
    }
    let all = "select count(*) from document_chunks where text_chunk ~ '01 02 03 04 05|30 14'";
    assert_eq!(app.number(all).await, 0);
}

#[tokio::test]
async fn the_presigned_upload_is_of_the_content_type_of_the_name() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    for (name, content_type) in [
        ("guide.pdf", "application/pdf"),
        ("guide", "application/pdf"),
        ("tarifs.XLSX", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        ("lettre.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        ("frais.csv", "text/csv"),
        ("notes.txt", "text/plain"),
        ("notes.md", "text/markdown"),
        ("page.html", "text/html"),
    ] {
        let body = json!({ "filename": name, "size_bytes": 100 });
        let data = app.post(UPLOAD).by(&tenant).json(&body).await.data(201);
        assert_eq!(data["upload"]["headers"]["content-type"], content_type, "{name}");
    }
}

#[tokio::test]
async fn files_that_are_not_read_are_refused_with_advice() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    for (name, format) in
        [("tarifs.xlsm", ".xlsx"), ("lettre.docm", ".docx"), ("vieux.doc", ".docx"), ("a.xls", ".xlsx")]
    {
        let body = json!({ "filename": name, "size_bytes": 100 });
        let answer = app.post(UPLOAD).by(&tenant).header("accept-language", "fr").json(&body).await;
        assert!(answer.body["error"]["message"].as_str().unwrap().contains(format), "{}", answer.text);
        answer.refused(415, "unsupported_media_type");
    }
    for (name, file) in [
        ("guide.pdf", docx()),
        ("lettre.docx", small_pdf("A PDF.")),
        ("lettre.docx", xlsx()),
        ("notes.txt", docx()),
        ("frais.csv", vec![0, 1, 2, 3, 255, 0]),
        ("page.html", small_pdf("A PDF.")),
    ] {
        let mut form =
            format!("--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n").into_bytes();
        form.extend_from_slice(&file);
        form.extend_from_slice(b"\r\n--b--\r\n");
        let answer = app.post(UPLOAD).by(&tenant).body("multipart/form-data; boundary=b", form).await;
        answer.refused(415, "unsupported_media_type");
    }
    assert_eq!(app.number("select count(*) from documents").await, 0);
}

/// Uploads a file by a presigned URL, and returns its error code.
async fn failure(app: &App, tenant: &TenantUser, name: &str, file: Vec<u8>) -> String {
    let body = json!({ "filename": name, "size_bytes": file.len() });
    let place = presigned_upload(&app.post(UPLOAD).by(tenant).json(&body).await.data(201));
    app.put_file(&place, file).await;
    let document = app.wait_for_end_state(tenant, place.document).await;
    assert_eq!(document["status"], "failed", "{name}: {document}");
    assert!(!document["error"].as_str().unwrap().is_empty());
    document["error_code"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn hostile_files_end_with_their_code_and_the_worker_survives() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let bomb = archive(&[("word/document.xml", " ".repeat(220 * 1024 * 1024))]);
    let laughs = archive(&[(
        "word/document.xml",
        "<!DOCTYPE l [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;&a;\">]><w:document>&b;</w:document>".to_owned(),
    )]);
    let name: Vec<u8> = "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let locked = [b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec(), vec![0; 504], name, vec![0; 480]].concat();
    let rows: String = (0..1_500_000).map(|row| format!("{row};x\n")).collect();
    let whole = docx();
    for (name, file, code) in [
        ("bombe.docx", bomb, "too_large"),
        ("rires.docx", laughs, "corrupt"),
        ("verrou.docx", locked.clone(), "encrypted"),
        ("verrou.xlsx", locked, "encrypted"),
        ("lignes.csv", rows.into_bytes(), "too_many_rows"),
        ("coupe.docx", whole[..whole.len() / 2].to_vec(), "corrupt"),
        ("faux.xlsx", whole.clone(), "format_mismatch"),
        ("faux.pdf", whole, "format_mismatch"),
        ("profond.html", "<div>".repeat(300_000).into_bytes(), "timed_out"),
        ("vide.html", b"<p hidden>rien</p>".to_vec(), "no_text"),
    ] {
        assert_eq!(failure(&app, &tenant, name, file).await, code, "{name}");
    }
    let _: Uuid = app.upload_and_process(&tenant, "Conditions.docx", docx()).await;
    app.wait_for_empty_ingest_queue().await;
    assert_eq!(app.dead_letter_count().await, 0);
}
