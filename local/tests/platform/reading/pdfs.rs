//! PDF files made object by object, for what no library would write.

/// Writes numbered objects as a PDF file. The first one is the catalog.
pub(super) fn pdf_of_objects(objects: &[Vec<u8>]) -> Vec<u8> {
    let mut out = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n".to_vec();
    let mut offsets = Vec::new();
    for (number, object) in (1..).zip(objects) {
        offsets.push(out.len());
        out.extend_from_slice(format!("{number} 0 obj\n").as_bytes());
        out.extend_from_slice(object);
        out.extend_from_slice(b"\nendobj\n");
    }
    let table = out.len();
    let size = objects.len() + 1;
    out.extend_from_slice(format!("xref\n0 {size}\n0000000000 65535 f \n").as_bytes());
    for offset in offsets {
        out.extend_from_slice(format!("{offset:010} 00000 n \n").as_bytes());
    }
    out.extend_from_slice(format!("trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n").as_bytes());
    out
}

/// Encodes text as WinAnsi does for the characters of Latin-1.
pub(super) fn latin(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect()
}

/// Returns a stream object with these entries in its dictionary.
pub(super) fn stream(entries: &str, content: &str) -> Vec<u8> {
    let content = latin(content);
    let mut object = format!("<< /Length {} {entries} >>\nstream\n", content.len()).into_bytes();
    object.extend_from_slice(&content);
    object.extend_from_slice(b"\nendstream");
    object
}

/// A file of one page. Object 3 is Helvetica as `/F1`, objects from 6 on are `more`.
#[derive(Default)]
pub(super) struct OnePage<'a> {
    pub(super) content: &'a str,
    /// Entries of the page's dictionary.
    pub(super) page: &'a str,
    /// Entries of the catalog.
    pub(super) catalog: &'a str,
    /// Entries of the page's resources.
    pub(super) resources: &'a str,
    pub(super) more: Vec<Vec<u8>>,
}

impl OnePage<'_> {
    pub(super) fn write(self) -> Vec<u8> {
        let Self { content, page, catalog, resources, more } = self;
        let mut objects = vec![
            latin(&format!("<< /Type /Catalog /Pages 2 0 R {catalog} >>")),
            latin("<< /Type /Pages /Kids [4 0 R] /Count 1 >>"),
            latin("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"),
            latin(&format!(
                "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 5 0 R \
                 /Resources << /Font << /F1 3 0 R >> {resources} >> {page} >>"
            )),
            stream("", content),
        ];
        objects.extend(more);
        pdf_of_objects(&objects)
    }
}

/// Returns the operators that show a text in 11 points.
pub(super) fn show(x: i32, y: i32, text: &str) -> String {
    format!("BT /F1 11 Tf {x} {y} Td ({text}) Tj ET\n")
}

/// Makes a file of one page with this content.
pub(super) fn page_of(content: &str) -> Vec<u8> {
    OnePage { content, ..OnePage::default() }.write()
}

/// Returns a form XObject with the page's font.
pub(super) fn form(entries: &str, content: &str) -> Vec<u8> {
    stream(&format!("/Type /XObject /Subtype /Form /Resources << /Font << /F1 3 0 R >> >> {entries}"), content)
}

/// Makes a page with lines in French around a line in another script, which is `drawn` in the font `/F2`. The file has
/// the font's mapping to Unicode, `letters`, and not the font itself.
pub(super) fn among_french(drawn: &str, letters: &str) -> Vec<u8> {
    let lines = [700, 685, 655].map(|y| show(72, y, "Le tarif en vigueur vaut pour toutes les villes."));
    let content = format!("{}{}BT /F2 11 Tf 72 670 Td {drawn} ET\n{}", lines[0], lines[1], lines[2]);
    let count = letters.split_whitespace().count() / 2;
    let map = format!(
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def 1 begincodespacerange <0000> \
         <FFFF> endcodespacerange {count} beginbfchar {letters} endbfchar endcmap end end"
    );
    pdf_of_objects(&[
        latin("<< /Type /Catalog /Pages 2 0 R >>"),
        latin("<< /Type /Pages /Kids [4 0 R] /Count 1 >>"),
        latin("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"),
        latin(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 5 0 R \
             /Resources << /Font << /F1 3 0 R /F2 6 0 R >> >> >>",
        ),
        stream("", &content),
        latin(
            "<< /Type /Font /Subtype /Type0 /BaseFont /Arial /Encoding /Identity-H /DescendantFonts [7 0 R] \
             /ToUnicode 8 0 R >>",
        ),
        latin(
            "<< /Type /Font /Subtype /CIDFontType2 /BaseFont /Arial /DW 600 /FontDescriptor 9 0 R \
             /CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> >>",
        ),
        stream("", &map),
        latin(
            "<< /Type /FontDescriptor /FontName /Arial /Flags 4 /FontBBox [0 -200 1000 900] /ItalicAngle 0 \
             /Ascent 900 /Descent -200 /CapHeight 700 /StemV 80 >>",
        ),
    ])
}
