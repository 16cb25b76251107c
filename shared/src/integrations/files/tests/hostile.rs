//! Files that are made to break a reader.

use super::*;

fn code(format: FileFormat, file: &[u8]) -> &'static str {
    read(format, file).map_or_else(|error| error.code(), |_| "read")
}

fn document(body: &str) -> Vec<u8> {
    archive(&[("word/document.xml", body)])
}

#[test]
fn bombs_end_as_too_large() {
    // 240 MB of spaces, in 240 kB.
    let bomb = " ".repeat(240 * 1024 * 1024);
    assert_eq!(code(FileFormat::Docx, &document(&bomb)), "too_large");
    let parts: Vec<(String, String)> =
        (0..30).map(|nth| (format!("word/media/{nth}.bin"), " ".repeat(8 * 1024 * 1024))).collect();
    let mut all: Vec<_> = parts.iter().map(|(name, content)| (name.as_str(), content.as_str())).collect();
    all.push(("word/document.xml", "<w:document/>"));
    assert_eq!(code(FileFormat::Docx, &archive(&all)), "too_large");
}

#[test]
fn an_archive_that_lies_about_its_sizes_is_measured() {
    let mut file = document(&" ".repeat(240 * 1024 * 1024));
    // The sizes before packing: in the part's own header, and in the directory.
    let real = (240_u32 * 1024 * 1024).to_le_bytes();
    let places: Vec<usize> =
        file.windows(4).enumerate().filter(|(_, bytes)| *bytes == real).map(|(at, _)| at).collect();
    assert!(!places.is_empty());
    for at in places {
        file[at..at + 4].copy_from_slice(&100_u32.to_le_bytes());
    }
    assert!(matches!(code(FileFormat::Docx, &file), "too_large" | "corrupt"));
}

#[test]
fn entities_are_neither_defined_nor_fetched() {
    let laughs = "<!DOCTYPE lolz [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;\">]>\
                  <w:document><w:body><w:p><w:r><w:t>&b;</w:t></w:r></w:p></w:body></w:document>";
    assert_eq!(code(FileFormat::Docx, &document(laughs)), "corrupt");
    let external = "<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]>\
                    <w:document><w:body><w:p><w:r><w:t>&e;</w:t></w:r></w:p></w:body></w:document>";
    assert_eq!(code(FileFormat::Docx, &document(external)), "corrupt");
    let undefined = "<w:document><w:body><w:p><w:r><w:t>un&e;deux</w:t></w:r></w:p></w:body></w:document>";
    assert_eq!(shown(FileFormat::Docx, &document(undefined)), ["1 undeux"]);
}

#[test]
fn elements_nested_too_deep_and_cut_xml_are_refused() {
    let deep = format!("<w:document>{}{}</w:document>", "<w:sdt>".repeat(200_000), "</w:sdt>".repeat(200_000));
    assert_eq!(code(FileFormat::Docx, &document(&deep)), "corrupt");
    assert_eq!(code(FileFormat::Docx, &document("<w:document><w:body><w:p>")), "corrupt");
    assert_eq!(code(FileFormat::Docx, &document("")), "no_text");
    // The time of a browser-grade parser grows with the square of the depth: far more ends at the limit of processor time.
    let deep_page = format!("{}Bonjour{}", "<div>".repeat(2_000), "</div>".repeat(2_000));
    assert_eq!(shown(FileFormat::Html, deep_page.as_bytes()), ["1 Bonjour"]);
}

#[test]
fn a_cut_or_other_file_is_refused_with_its_code() {
    let whole = document("<w:document><w:body><w:p><w:r><w:t>Bonjour</w:t></w:r></w:p></w:body></w:document>");
    assert_eq!(code(FileFormat::Docx, &whole), "read");
    assert_eq!(code(FileFormat::Docx, &whole[..whole.len() / 2]), "corrupt");
    assert_eq!(code(FileFormat::Xlsx, &whole), "format_mismatch");
    assert_eq!(code(FileFormat::Docx, b"%PDF-1.7 a PDF"), "format_mismatch");
    assert_eq!(code(FileFormat::Docx, b"plain text"), "format_mismatch");
    assert_eq!(code(FileFormat::Text, &whole), "format_mismatch");
    assert_eq!(code(FileFormat::Csv, b"\x00\x01\x02\x03\x04\xff\xfe"), "format_mismatch");
    assert_eq!(code(FileFormat::Docx, b""), "corrupt");
    assert_eq!(code(FileFormat::Html, b"<p hidden>x</p>"), "no_text");
}

#[test]
fn a_locked_office_file_needs_its_password_and_an_old_one_is_another_format() {
    let ole = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec();
    let name: Vec<u8> = "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let locked = [ole.clone(), vec![0; 512], name, vec![0; 512]].concat();
    assert_eq!(code(FileFormat::Docx, &locked), "encrypted");
    assert_eq!(code(FileFormat::Xlsx, &locked), "encrypted");
    assert_eq!(code(FileFormat::Xlsx, &[ole, vec![0; 1024]].concat()), "format_mismatch");
}

#[test]
fn macros_are_not_read() {
    let file = archive(&[
        ("word/document.xml", "<w:document><w:body><w:p><w:r><w:t>Bonjour</w:t></w:r></w:p></w:body></w:document>"),
        ("word/vbaProject.bin", "Sub AutoOpen() 12345 End Sub"),
    ]);
    assert_eq!(shown(FileFormat::Docx, &file), ["1 Bonjour"]);
}

#[test]
fn rows_and_columns_are_limited() {
    let rows = |count: usize| "a;1\n".repeat(count);
    assert_eq!(code(FileFormat::Csv, rows(MAX_ROWS).as_bytes()), "read");
    assert_eq!(code(FileFormat::Csv, rows(MAX_ROWS + 1).as_bytes()), "too_many_rows");
    let wide = |columns: usize| format!("{0}\n{0}\n", vec!["x"; columns].join(";"));
    assert_eq!(code(FileFormat::Csv, wide(MAX_COLUMNS).as_bytes()), "read");
    assert_eq!(code(FileFormat::Csv, wide(MAX_COLUMNS + 1).as_bytes()), "too_many_rows");
    let sheet: String =
        (1..=u32::try_from(MAX_ROWS).unwrap() + 1).map(|number| xlsx::row(number, "", &["0=1"])).collect();
    let file = xlsx::workbook(&[("A", "visible", &format!("<sheetData>{sheet}</sheetData>"))]);
    assert_eq!(code(FileFormat::Xlsx, &file), "too_many_rows");
    let far = r#"<sheetData><row r="1"><c r="XFD1"><v>1</v></c></row></sheetData>"#;
    assert_eq!(code(FileFormat::Xlsx, &xlsx::workbook(&[("A", "visible", far)])), "too_many_rows");
    let text = format!("{}\n\n", "mot ".repeat(1_000)).repeat(1_700);
    assert_eq!(code(FileFormat::Text, text.as_bytes()), "too_much_text");
}
