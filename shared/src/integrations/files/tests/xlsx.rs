//! Excel workbooks.

use super::*;

const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
const RELATIONS: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
const PACKAGE: &str = "http://schemas.openxmlformats.org/package/2006/relationships";

/// Cell formats by their numbers: 0 general, 1 `#,##0`, 2 a date, 3 a percentage, 4 an amount in FCFA, 5 struck out,
/// 6 `;;;`, 7 bold.
fn styles() -> String {
    format!(
        r###"<styleSheet xmlns="{MAIN}"><numFmts count="2"><numFmt numFmtId="164" formatCode="#,##0\ &quot;FCFA&quot;"/>
        <numFmt numFmtId="165" formatCode=";;;"/></numFmts>
        <fonts count="3"><font/><font><strike/></font><font><b/></font></fonts>
        <fills count="1"><fill><patternFill patternType="none"/></fill></fills>
        <borders count="1"><border/></borders><cellStyleXfs count="1"><xf/></cellStyleXfs><cellXfs count="8">
        <xf numFmtId="0" fontId="0" fillId="0"/><xf numFmtId="3" fontId="0" fillId="0" applyNumberFormat="1"/>
        <xf numFmtId="14" fontId="0" fillId="0" applyNumberFormat="1"/>
        <xf numFmtId="9" fontId="0" fillId="0" applyNumberFormat="1"/>
        <xf numFmtId="164" fontId="0" fillId="0" applyNumberFormat="1"/><xf numFmtId="0" fontId="1" fillId="0" applyFont="1"/>
        <xf numFmtId="165" fontId="0" fillId="0" applyNumberFormat="1"/><xf numFmtId="0" fontId="2" fillId="0" applyFont="1"/>
        </cellXfs></styleSheet>"###
    )
}

/// Makes a workbook of sheets: name, state and the XML within `worksheet`.
pub(super) fn workbook(sheets: &[(&str, &str, &str)]) -> Vec<u8> {
    let listed: String = (1..)
        .zip(sheets)
        .map(|(nth, (name, state, _))| {
            format!(r#"<sheet name="{name}" sheetId="{nth}" state="{state}" r:id="rId{nth}"/>"#)
        })
        .collect();
    let related: String = (1..=sheets.len())
        .map(|nth| {
            format!(r#"<Relationship Id="rId{nth}" Type="{RELATIONS}/worksheet" Target="worksheets/sheet{nth}.xml"/>"#)
        })
        .collect();
    let mut parts = vec![
        ("[Content_Types].xml".to_owned(), "<Types/>".to_owned()),
        (
            "_rels/.rels".to_owned(),
            format!(
                r#"<Relationships xmlns="{PACKAGE}"><Relationship Id="rId1" Type="{RELATIONS}/officeDocument" Target="xl/workbook.xml"/></Relationships>"#
            ),
        ),
        (
            "xl/workbook.xml".to_owned(),
            format!(r#"<workbook xmlns="{MAIN}" xmlns:r="{RELATIONS}"><sheets>{listed}</sheets></workbook>"#),
        ),
        (
            "xl/_rels/workbook.xml.rels".to_owned(),
            format!(
                r#"<Relationships xmlns="{PACKAGE}">{related}<Relationship Id="rIdS" Type="{RELATIONS}/styles" Target="styles.xml"/></Relationships>"#
            ),
        ),
        ("xl/styles.xml".to_owned(), styles()),
    ];
    for (nth, (.., content)) in (1..).zip(sheets) {
        parts.push((
            format!("xl/worksheets/sheet{nth}.xml"),
            format!(r#"<worksheet xmlns="{MAIN}">{content}</worksheet>"#),
        ));
    }
    let parts: Vec<_> = parts.iter().map(|(name, content)| (name.as_str(), content.as_str())).collect();
    archive(&parts)
}

/// A row of cells: text, or `style=number`.
pub(super) fn row(number: u32, attributes: &str, cells: &[&str]) -> String {
    let cell = |(column, cell): (char, &&str)| match cell.split_once('=') {
        _ if cell.is_empty() => String::new(),
        Some((style, value)) if style.len() == 1 => {
            format!(r#"<c r="{column}{number}" s="{style}"><v>{value}</v></c>"#)
        }
        _ => format!(r#"<c r="{column}{number}" t="inlineStr"><is><t>{cell}</t></is></c>"#),
    };
    let cells: String = ('A'..).zip(cells).map(cell).collect();
    format!(r#"<row r="{number}" {attributes}>{cells}</row>"#)
}

fn sheet(rows: &[String]) -> String {
    format!("<sheetData>{}</sheetData>", rows.concat())
}

#[test]
fn values_are_read_as_the_sheet_shows_them() {
    let rows = [
        row(1, "", &["Tarifs de la boutique du plateau, valables toute l’année"]),
        row(3, "", &["Article", "Détail", "Gros", "Remise", "Depuis le"]),
        row(4, "", &["Riz local de Man 25 kg", "1=16000", "4=15100", "3=0.05", "2=46355"]),
        row(5, "", &["Huile rouge", "1=8500.4", "0=8000.5", "", "2=46023"]),
        row(6, "", &["Sel", "5=999", "6=777", "0=300", ""]),
    ];
    assert_eq!(
        shown(FileFormat::Xlsx, &workbook(&[("Tarifs", "visible", &sheet(&rows))])),
        [
            "# Tarifs",
            "1 Tarifs de la boutique du plateau, valables toute l’année",
            "4 Riz local de Man 25 kg — Détail : 16 000 · Gros : 15 100 FCFA · Remise : 5% · Depuis le : 29/11/2026",
            "5 Huile rouge — Détail : 8 500 · Gros : 8000,5 · Depuis le : 01/01/2026",
            "6 Sel — Remise : 300",
        ]
    );
}

#[test]
fn hidden_sheets_rows_and_columns_are_not_read() {
    let rows = [
        row(1, "", &["Article", "Achat", "Vente"]),
        row(2, "", &["Riz", "1=11111", "1=16000"]),
        row(3, "hidden=\"1\"", &["Ancien", "1=22222", "1=12500"]),
        row(4, "ht=\"0\" customHeight=\"1\"", &["Plat", "1=3", "1=33333"]),
        row(5, "", &["Sel", "1=44444", "1=300"]),
    ];
    let visible = format!(r#"<cols><col min="2" max="2" width="10" hidden="1"/></cols>{}"#, sheet(&rows));
    let secret = sheet(&[row(1, "", &["secret", "1=55555"])]);
    let file =
        workbook(&[("Marges", "hidden", &secret), ("Tarifs", "visible", &visible), ("X", "veryHidden", &secret)]);
    assert_eq!(shown(FileFormat::Xlsx, &file), ["# Tarifs", "2 Riz — Vente : 16,000", "5 Sel — Vente : 300"]);
}

#[test]
fn merged_cells_and_cached_results_are_read() {
    let rows = [
        row(1, "", &["Ville", "Prix", "", "Délai"]),
        row(2, "", &["", "Moto", "Camion", ""]),
        row(3, "", &["Abidjan", "0=1500", "0=4000", "24 h"]),
        row(4, "", &["Bouaké", "0=2500", "0=6000", ""]),
        r#"<row r="5"><c r="A5" t="inlineStr"><is><t>Total</t></is></c><c r="B5"><f>SUM(B3:B4)</f><v>4000</v></c>
           <c r="C5"><f>NOW()</f></c><c r="D5" t="e"><v>#N/A</v></c></row>"#
            .to_owned(),
    ];
    let merges = r#"<mergeCells count="3"><mergeCell ref="B1:C1"/><mergeCell ref="A1:A2"/><mergeCell ref="D3:D4"/></mergeCells>"#;
    let file = workbook(&[("Frais", "visible", &format!("{}{merges}", sheet(&rows)))]);
    assert_eq!(
        shown(FileFormat::Xlsx, &file),
        [
            "# Frais",
            "3 Abidjan — Prix Moto : 1500 · Prix Camion : 4000 · Délai : 24 h",
            "4 Bouaké — Prix Moto : 2500 · Prix Camion : 6000 · Délai : 24 h",
            "5 Total — Prix Moto : 4000",
        ]
    );
}
