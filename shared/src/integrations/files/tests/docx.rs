//! Word documents.

use super::*;

const NAMESPACES: &str = r#"xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" xmlns:wps="wps""#;

fn part(root: &str, content: &str) -> String {
    format!(r#"<?xml version="1.0" encoding="UTF-8"?><w:{root} {NAMESPACES}>{content}</w:{root}>"#)
}

fn document(body: &str, others: &[(&str, String)]) -> Vec<u8> {
    let body = part("document", &format!("<w:body>{body}</w:body>"));
    let mut parts = vec![("[Content_Types].xml", "<Types/>"), ("word/document.xml", body.as_str())];
    parts.extend(others.iter().map(|(name, content)| (*name, content.as_str())));
    archive(&parts)
}

fn paragraph(text: &str) -> String {
    format!("<w:p><w:r><w:t xml:space=\"preserve\">{text}</w:t></w:r></w:p>")
}

fn styled(style: &str, text: &str) -> String {
    format!("<w:p><w:pPr><w:pStyle w:val=\"{style}\"/></w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>")
}

fn styles() -> (&'static str, String) {
    let styles = r#"<w:style w:styleId="Titre1"><w:name w:val="heading 1"/></w:style>
        <w:style w:styleId="Titre2"><w:name w:val="heading 2"/></w:style>
        <w:style w:styleId="Perso"><w:name w:val="Mon titre"/><w:basedOn w:val="Titre1"/></w:style>
        <w:style w:styleId="Cache"><w:name w:val="Caché"/><w:rPr><w:vanish/></w:rPr></w:style>"#;
    ("word/styles.xml", part("styles", styles))
}

fn read_document(body: &str, others: &[(&str, String)]) -> Vec<String> {
    shown(FileFormat::Docx, &document(body, others))
}

#[test]
fn headings_hold_their_paragraphs() {
    let body = [
        paragraph("Conditions générales"),
        styled("Titre1", "Livraison"),
        paragraph("Elle coûte 1 500 FCFA &amp; prend deux jours."),
        styled("Titre2", "Hors d’Abidjan"),
        paragraph("Trois jours."),
        styled("Perso", "Retours"),
    ];
    let file = document(&body.concat(), &[styles()]);
    assert_eq!(
        shown(FileFormat::Docx, &file),
        [
            "1 Conditions générales",
            "# Livraison",
            "2 Elle coûte 1 500 FCFA & prend deux jours.",
            "# Hors d’Abidjan",
            "3 Trois jours.",
            "# Retours",
        ]
    );
    let blocks = read(FileFormat::Docx, &file).unwrap();
    let headings = |block: &Block| match block {
        Block::Section(section) => Some(section.headings.join(" > ")),
        Block::Line(_) => None,
    };
    let headings: Vec<_> = blocks.iter().filter_map(headings).filter(|path| !path.is_empty()).collect();
    assert_eq!(headings, ["Livraison", "Livraison > Hors d’Abidjan", "Retours"]);
}

#[test]
fn deleted_hidden_and_struck_text_is_not_read_and_inserted_text_is() {
    let run = |properties: &str, text: &str| format!("<w:r><w:rPr>{properties}</w:rPr><w:t>{text}</w:t></w:r>");
    let body = format!(
        "<w:p><w:r><w:t xml:space=\"preserve\">Prix : </w:t></w:r>\
         <w:del w:id=\"1\"><w:r><w:delText>1 500</w:delText></w:r></w:del>\
         <w:moveFrom w:id=\"2\"><w:r><w:t>1 600</w:t></w:r></w:moveFrom>\
         <w:ins w:id=\"3\"><w:r><w:t>2 100</w:t></w:r></w:ins>{}{}{}{}{}\
         <w:r><w:instrText>PAGE 77</w:instrText></w:r><w:commentReference w:id=\"4\"/></w:p>\
         <w:p><w:pPr><w:pStyle w:val=\"Cache\"/></w:pPr><w:r><w:t>invisible</w:t></w:r></w:p>\
         <w:p><w:pPr><w:pStyle w:val=\"Normal\"/><w:rPr><w:del/><w:vanish/></w:rPr>\
         <w:pPrChange><w:pPr><w:pStyle w:val=\"Titre1\"/></w:pPr></w:pPrChange></w:pPr><w:r><w:t>visible</w:t></w:r></w:p>",
        run("<w:vanish/>", "secret"),
        run("<w:vanish w:val=\"0\"/>", " FCFA"),
        run("<w:strike/>", " barré"),
        run("<w:dstrike/>", " barré"),
        run("<w:rStyle w:val=\"Cache\"/>", " caché"),
    );
    let comments = part("comments", &paragraph("Ne pas publier : 9 999"));
    let lines = read_document(&body, &[styles(), ("word/comments.xml", comments)]);
    assert_eq!(lines, ["1 Prix : 2 100 FCFA", "2 visible"]);
}

#[test]
fn marks_stay_apart_from_figures() {
    let raised =
        |text: &str| format!("<w:r><w:rPr><w:vertAlign w:val=\"superscript\"/></w:rPr><w:t>{text}</w:t></w:r>");
    let body = format!(
        "<w:p><w:r><w:t>320</w:t></w:r><w:r><w:rPr><w:vertAlign w:val=\"superscript\"/></w:rPr>\
         <w:footnoteReference w:id=\"2\"/></w:r><w:r><w:t xml:space=\"preserve\"> euros, 10</w:t></w:r>{}\
         <w:r><w:t xml:space=\"preserve\"> germes, H</w:t></w:r>\
         <w:r><w:rPr><w:vertAlign w:val=\"subscript\"/></w:rPr><w:t>2</w:t></w:r><w:r><w:t>O, 48</w:t></w:r>{}</w:p>",
        raised("3"),
        raised("2")
    );
    let notes = part(
        "footnotes",
        &format!(
            "<w:footnote w:id=\"0\" w:type=\"separator\">{}</w:footnote><w:footnote w:id=\"2\">{}</w:footnote>",
            paragraph("____"),
            paragraph("Hors taxes.")
        ),
    );
    let lines = read_document(&body, &[("word/footnotes.xml", notes)]);
    assert_eq!(lines, ["1 320 [1] euros, 10³ germes, H₂O, 48²", "2 [1] Hors taxes."]);
}

#[test]
fn tables_are_rows_with_their_columns() {
    let cell = |properties: &str, text: &str| format!("<w:tc><w:tcPr>{properties}</w:tcPr>{}</w:tc>", paragraph(text));
    let row =
        |properties: &str, cells: &[String]| format!("<w:tr><w:trPr>{properties}</w:trPr>{}</w:tr>", cells.concat());
    let merged = |value: &str| format!("<w:vMerge{value}/>");
    let body = format!(
        "<w:tbl><w:tblPr/>{}{}{}{}{}</w:tbl>",
        row("<w:tblHeader/>", &[cell("", "Ville"), cell("", "Prix"), cell("", "Délai")]),
        row("", &[cell("", "Abidjan"), cell("", "1 500"), cell(&merged(" w:val=\"restart\""), "24 h")]),
        row("<w:del w:id=\"1\"/>", &[cell("", "Dakar"), cell("", "9 000"), cell("", "6 j")]),
        row("", &[cell("", "Bouaké"), cell("", "2 500"), cell(&merged(""), "")]),
        row("", &[cell("<w:gridSpan w:val=\"2\"/>", "Autres villes"), cell("", "sur demande")]),
    );
    assert_eq!(
        read_document(&body, &[]),
        [
            "2 Abidjan — Prix : 1 500 · Délai : 24 h",
            "3 Bouaké — Prix : 2 500 · Délai : 24 h",
            "4 Autres villes — Délai : sur demande",
        ]
    );
}

#[test]
fn lists_have_their_numbers() {
    let item = |list: u32, level: u32, text: &str| {
        format!(
            "<w:p><w:pPr><w:numPr><w:ilvl w:val=\"{level}\"/><w:numId w:val=\"{list}\"/></w:numPr></w:pPr>\
             <w:r><w:t>{text}</w:t></w:r></w:p>"
        )
    };
    let level = |number: u32, format: &str, text: &str| {
        format!(
            "<w:lvl w:ilvl=\"{number}\"><w:start w:val=\"1\"/><w:numFmt w:val=\"{format}\"/>\
             <w:lvlText w:val=\"{text}\"/></w:lvl>"
        )
    };
    let numbering = part(
        "numbering",
        &format!(
            "<w:abstractNum w:abstractNumId=\"7\">{}{}</w:abstractNum>\
             <w:abstractNum w:abstractNumId=\"8\">{}</w:abstractNum>\
             <w:num w:numId=\"1\"><w:abstractNumId w:val=\"7\"/></w:num>\
             <w:num w:numId=\"2\"><w:abstractNumId w:val=\"8\"/></w:num>",
            level(0, "decimal", "%1."),
            level(1, "decimal", "%1.%2"),
            level(0, "bullet", "\u{f0b7}")
        ),
    );
    let body = [
        item(1, 0, "Objet"),
        item(1, 1, "Vente"),
        item(1, 1, "Retour"),
        item(1, 0, "Prix"),
        item(1, 1, "Détail"),
        item(2, 0, "puce"),
        item(0, 0, "rien"),
    ];
    assert_eq!(
        read_document(&body.concat(), &[("word/numbering.xml", numbering)]),
        ["1 1. Objet", "2 1.1 Vente", "3 1.2 Retour", "4 2. Prix", "5 2.1 Détail", "6 • puce", "7 rien"]
    );
}

#[test]
fn text_boxes_are_read_once_and_headers_and_footers_apart() {
    let content = format!("<w:txbxContent>{}</w:txbxContent>", paragraph("Encadré : 3 000 FCFA"));
    let body = format!(
        "<w:p><w:r><w:t>Avant</w:t><mc:AlternateContent><mc:Choice><wps:txbx>{content}</wps:txbx></mc:Choice>\
         <mc:Fallback><w:pict>{content}</w:pict></mc:Fallback></mc:AlternateContent></w:r>\
         <w:r><w:t xml:space=\"preserve\"> après</w:t></w:r></w:p>"
    );
    let header = part("hdr", &paragraph("Comptoir Baobab, tél. 07 55 44 33 22"));
    let footer = part("ftr", &[paragraph("12"), paragraph("Comptoir Baobab, tél. 07 55 44 33 22")].concat());
    let others = [("word/header1.xml", header.clone()), ("word/header2.xml", header), ("word/footer1.xml", footer)];
    let lines = read_document(&body, &others);
    assert_eq!(lines, ["1 Avant après", "2 Encadré : 3 000 FCFA", "1 Comptoir Baobab, tél. 07 55 44 33 22"]);
    let blocks = read(FileFormat::Docx, &document(&body, &others)).unwrap();
    assert!(blocks.iter().any(|block| matches!(block, Block::Section(section) if section.kind == PlaceKind::Margin)));
}
