//! Order of lines, columns and rows, marks beside figures, hyphens, headers and footers.

use super::pdfs::{OnePage, among_french, latin, page_of, pdf_of_objects, show, stream};
use super::{line, texts};

const LEFT: [&str; 4] = [
    "Les retours sont acceptés dans un",
    "délai de quatorze jours après la date",
    "de la livraison, dans leur emballage",
    "d'origine et avec la facture.",
];
const RIGHT: [&str; 4] = [
    "Le remboursement se fait sur le moyen",
    "de paiement de la commande, sous dix",
    "jours ouvrables après la réception du",
    "colis dans notre entrepôt.",
];

#[tokio::test]
async fn columns_whose_lines_alternate_in_the_file_are_read_one_after_the_other() {
    let expected = format!("{} {}", LEFT.join(" "), RIGHT.join(" "));
    for shift in [0, 5] {
        let lines = (0..4).map(|nth| {
            let y = 700 - 15 * i32::try_from(nth).unwrap();
            format!("{}{}", show(50, y, LEFT[nth]), show(320, y - shift, RIGHT[nth]))
        });
        let content: String = lines.collect();
        assert_eq!(line(&page_of(&content)).await, expected, "shifted by {shift}");
    }
}

#[tokio::test]
async fn a_table_drawn_by_columns_is_read_by_rows() {
    let columns = [["Article", "Riz local 25 kg", "Huile 5 litres", "Sucre 1 kg"], ["Prix", "16 000", "8 500", "900"]];
    let mut content = String::new();
    for (x, cells) in [(72, columns[0]), (320, columns[1])] {
        for (y, cell) in [700, 685, 670, 655].into_iter().zip(cells) {
            content.push_str(&show(x, y, cell));
        }
    }
    let text = texts(&page_of(&content)).await.remove(0);
    let expected =
        "Article Prix\nRiz local 25 kg — Prix : 16 000\nHuile 5 litres — Prix : 8 500\nSucre 1 kg — Prix : 900";
    assert_eq!(text.replace('\u{a0}', " "), expected);
}

#[tokio::test]
async fn a_raised_or_lowered_mark_stays_apart_from_its_figure() {
    let show = |operators: &str| page_of(&format!("BT 72 700 Td /F1 11 Tf {operators} ET"));
    let raised = "(Soit 320) Tj 5 Ts /F1 7 Tf (1) Tj 0 Ts /F1 11 Tf ( euros par mois.) Tj";
    assert_eq!(line(&show(raised)).await, "Soit 320¹ euros par mois.");
    let same_size = "(Soit 10) Tj 4 Ts (3) Tj 0 Ts ( germes.) Tj";
    assert_eq!(line(&show(same_size)).await, "Soit 10³ germes.");
    let small_only = "(Soit 48) Tj /F1 6 Tf (2) Tj /F1 11 Tf ( euros.) Tj";
    assert_eq!(line(&show(small_only)).await, "Soit 48² euros.");
    let lowered = "(Eau H) Tj -3 Ts /F1 7 Tf (2) Tj 0 Ts /F1 11 Tf (O pure.) Tj";
    assert_eq!(line(&show(lowered)).await, "Eau H₂O pure.");
    let ordinal = "(Le 1) Tj 4 Ts /F1 7 Tf (er) Tj 0 Ts /F1 11 Tf ( mai) Tj";
    assert_eq!(line(&show(ordinal)).await, "Le 1er mai");
}

#[tokio::test]
async fn a_page_written_sideways_is_read_along_its_lines() {
    let content = "BT /F1 11 Tf 0 1 -1 0 100 100 Tm (Premiere ligne du tarif) Tj ET \
        BT /F1 11 Tf 0 1 -1 0 115 100 Tm (puis la seconde ligne.) Tj ET";
    assert_eq!(line(&page_of(content)).await, "Premiere ligne du tarif puis la seconde ligne.");
    let content = "BT /F1 11 Tf 0 1 -1 0 100 100 Tm (Soit 320) Tj 5 Ts /F1 7 Tf (1) Tj 0 Ts /F1 11 Tf ( euros.) Tj ET";
    let turned = OnePage { content, page: "/Rotate 90", ..OnePage::default() };
    assert_eq!(line(&turned.write()).await, "Soit 320¹ euros.");
}

#[tokio::test]
async fn a_line_in_arabic_among_lines_in_french_is_read_from_right_to_left() {
    // Drawn from left to right, with figures in its midst.
    let drawn = "<00050004> Tj /F1 11 Tf ( 18 000 ) Tj /F2 11 Tf <000300020001> Tj";
    let letters = "<0001> <0627> <0002> <0628> <0003> <062A> <0004> <062B> <0005> <062C>";
    let text = texts(&among_french(drawn, letters)).await.remove(0);
    assert_eq!(text.lines().nth(2), Some("ابت 18 000 ثج"), "{text}");
}

/// Makes a file with one page for each list of texts, each text with its height.
fn pages(pages: &[Vec<(i32, String)>]) -> Vec<u8> {
    let kids: Vec<String> = (0..pages.len()).map(|nth| format!("{} 0 R", 4 + 2 * nth)).collect();
    let mut objects = vec![
        latin("<< /Type /Catalog /Pages 2 0 R >>"),
        latin(&format!("<< /Type /Pages /Kids [{}] /Count {} >>", kids.join(" "), pages.len())),
        latin("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"),
    ];
    for (nth, lines) in pages.iter().enumerate() {
        objects.push(latin(&format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {} 0 R \
             /Resources << /Font << /F1 3 0 R >> >> >>",
            5 + 2 * nth
        )));
        objects.push(stream("", &lines.iter().map(|(y, text)| show(72, *y, text)).collect::<String>()));
    }
    pdf_of_objects(&objects)
}

#[tokio::test]
async fn headers_and_footers_stand_on_the_first_page_only() {
    let bodies = [
        ["Les frais de port dépendent du poids.", "Ils sont offerts dès 50 000 FCFA, sauf pour"],
        ["les colis de plus de trente kilos, qui", "paient 2 500 FCFA par zone."],
        ["La zone 3 comprend Korhogo et Man.", "La zone 4 comprend tout le reste."],
    ];
    let sheets: Vec<_> = (1..)
        .zip(&bodies)
        .map(|(number, body)| {
            vec![
                (800, "Comptoir Baobab - conditions 2027".to_owned()),
                (700, body[0].to_owned()),
                (685, body[1].to_owned()),
                (40, format!("Page {number} sur 3")),
            ]
        })
        .collect();
    let texts = texts(&pages(&sheets)).await;
    assert!(texts[0].starts_with("Comptoir Baobab") && texts[0].ends_with("Page 1 sur 3"), "{texts:?}");
    assert_eq!(texts[1], bodies[1].join("\n"));
    assert_eq!(texts[2], bodies[2].join("\n"));
}
