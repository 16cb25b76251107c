//! The displayed text of a page, by boxes, layers, colours, clips, annotations and fields.

use super::pdfs::{OnePage, among_french, form, latin, page_of, show};
use super::{line, texts};

const SHOWN: &str = "Le tarif en vigueur est de 18 000 FCFA.";
const HIDDEN: &str = "L'ancien tarif fut de 12 500 FCFA.";

/// Asserts that a file's text is that which is displayed.
async fn assert_only_shown(case: &str, pdf: Vec<u8>) {
    assert_eq!(line(&pdf).await, SHOWN, "{case}");
}

#[tokio::test]
async fn text_that_is_not_in_the_picture_is_not_read() {
    let shown = show(72, 700, SHOWN);
    let hidden = |before: &str, y: i32| format!("q {before} {} Q\n", show(72, y, HIDDEN));
    for (case, content) in [
        ("render mode 3", format!("{shown}{}", hidden("3 Tr", 650))),
        ("white on white", format!("{shown}{}", hidden("1 1 1 rg", 650))),
        ("clipped away", format!("{shown}{}", hidden("0 0 20 20 re W n", 650))),
        ("beneath a white box", format!("{}1 1 1 rg 60 640 400 30 re f 0 g {shown}", hidden("", 650))),
        ("outside of the page", format!("{shown}{}", show(700, 650, HIDDEN))),
        ("above the page", format!("{shown}{}", show(72, 900, HIDDEN))),
        ("invisible in the same place", format!("{}{shown}", hidden("3 Tr", 700))),
    ] {
        assert_only_shown(case, page_of(&content)).await;
    }
}

#[tokio::test]
async fn text_for_which_the_reader_has_no_font_is_read() {
    let letters = "<0001> <0426> <0002> <0435> <0003> <043D> <0004> <0430>";
    let text = texts(&among_french("<0001000200030004> Tj", letters)).await.remove(0);
    assert_eq!(text.lines().nth(2), Some("Цена"), "{text}");
}

#[tokio::test]
async fn light_text_on_a_dark_ground_is_read() {
    let content = format!("0 0 0.4 rg 60 690 400 30 re f 1 1 1 rg {}", show(72, 700, SHOWN));
    assert_only_shown("white on blue", page_of(&content)).await;
}

#[tokio::test]
async fn the_crop_box_counts_on_turned_pages_too() {
    let content = format!("{}{}", show(40, 700, SHOWN), show(320, 700, HIDDEN));
    for turn in [0, 90, 180, 270] {
        let page = format!("/CropBox [0 0 300 842] /Rotate {turn}");
        assert_only_shown(&page, OnePage { content: &content, page: &page, ..OnePage::default() }.write()).await;
    }
}

/// Makes a page with a text in the layer `/L` of object 6, and one in no layer.
fn layered(catalog: &str, layer: &str, more: Vec<Vec<u8>>) -> Vec<u8> {
    let content = format!("/OC /L BDC\n{}EMC\n{}", show(72, 650, HIDDEN), show(72, 700, SHOWN));
    let mut objects = vec![latin(layer)];
    objects.extend(more);
    OnePage { content: &content, catalog, resources: "/Properties << /L 6 0 R >>", more: objects, ..OnePage::default() }
        .write()
}

#[tokio::test]
async fn layers_that_are_off_are_not_read_whatever_turns_them_off() {
    let group = || latin("<< /Type /OCG /Name (Ancien) >>");
    let off = "/OCProperties << /OCGs [7 0 R] /D << /OFF [7 0 R] >> >>";
    let on = "/OCProperties << /OCGs [7 0 R] /D << /ON [7 0 R] >> >>";
    for (case, catalog, layer) in [
        ("any of a group that is off", off, "<< /Type /OCMD /OCGs [7 0 R] /P /AnyOn >>"),
        ("all off, but on", on, "<< /Type /OCMD /OCGs [7 0 R] /P /AllOff >>"),
        ("an expression", on, "<< /Type /OCMD /VE [/Not 7 0 R] >>"),
    ] {
        assert_only_shown(case, layered(catalog, layer, vec![group()])).await;
    }
    let base = "/OCProperties << /OCGs [6 0 R] /D << /BaseState /OFF >> >>";
    assert_only_shown("off by default", layered(base, "<< /Type /OCG /Name (Ancien) >>", vec![])).await;
}

#[tokio::test]
async fn a_form_within_a_layer_that_is_off_is_not_read() {
    let content = format!("/Fm Do\n{}", show(72, 700, SHOWN));
    let inner = form("/BBox [0 0 595 842] /OC 7 0 R", &show(72, 650, HIDDEN));
    let pdf = OnePage {
        content: &content,
        catalog: "/OCProperties << /OCGs [7 0 R] /D << /OFF [7 0 R] >> >>",
        resources: "/XObject << /Fm 6 0 R >>",
        more: vec![inner, latin("<< /Type /OCG /Name (Ancien) >>")],
        ..OnePage::default()
    };
    assert_only_shown("form in a layer", pdf.write()).await;
}

/// Makes a page with one annotation, object 6, whose appearance, object 7, shows a text.
fn annotated(flags: &str, text: &str, more_text: &str) -> Vec<u8> {
    let annotation = format!("<< /Type /Annot /Subtype /FreeText /Rect [72 640 472 660] {flags} /AP << /N 7 0 R >> >>");
    let appearance = form("/BBox [0 0 400 20]", &show(2, 6, text));
    OnePage {
        content: more_text,
        page: "/Annots [6 0 R]",
        more: vec![latin(&annotation), appearance],
        ..OnePage::default()
    }
    .write()
}

#[tokio::test]
async fn annotations_are_read_as_far_as_they_are_displayed() {
    for flags in ["", "/F 0", "/F 4", "/F 64"] {
        assert_only_shown(flags, annotated(flags, SHOWN, "")).await;
    }
    for flags in ["/F 2", "/F 6", "/F 36"] {
        assert_only_shown(flags, annotated(flags, HIDDEN, &show(72, 700, SHOWN))).await;
    }
}

#[tokio::test]
async fn a_note_in_a_layer_that_is_on_is_read() {
    let annotation = "<< /Type /Annot /Subtype /FreeText /Rect [72 640 472 660] /F 4 /OC 8 0 R /AP << /N 7 0 R >> >>";
    let pdf = OnePage {
        page: "/Annots [6 0 R]",
        catalog: "/OCProperties << /OCGs [8 0 R 9 0 R] /D << /OFF [9 0 R] >> >>",
        more: vec![
            latin(annotation),
            form("/BBox [0 0 400 20]", &show(2, 6, SHOWN)),
            latin("<< /Type /OCG /Name (Nouveau) >>"),
            latin("<< /Type /OCG /Name (Ancien) >>"),
        ],
        ..OnePage::default()
    };
    assert_only_shown("on", pdf.write()).await;
}

#[tokio::test]
async fn invisible_text_for_which_the_reader_has_no_font_is_not_read() {
    let letters = "<0001> <0426> <0002> <0435> <0003> <043D> <0004> <0430>";
    let text = texts(&among_french("3 Tr <0001000200030004> Tj 0 Tr", letters)).await.remove(0);
    assert_eq!(text.lines().count(), 3, "{text}");
}

#[tokio::test]
async fn a_value_that_its_box_shows_in_part_is_read_whole() {
    let value = "Premiere ligne du champ avec la deuxieme ligne et la troisieme ligne du texte long";
    let field = format!("/FT /Tx /Ff 4096 /T (note) /V ({value}) /DA (/F1 11 Tf 0 g) /Rect [72 660 200 690]");
    for needs_appearances in [true, false] {
        let text = line(&fields(&[&field], &show(72, 700, SHOWN), needs_appearances)).await;
        assert_eq!(text, format!("{SHOWN} {value}"));
    }
}

/// Makes a form with these fields, from object 6 on.
fn fields(fields: &[&str], content: &str, needs_appearances: bool) -> Vec<u8> {
    let list: Vec<String> = (6..).take(fields.len()).map(|number| format!("{number} 0 R")).collect();
    let list = list.join(" ");
    let catalog = format!(
        "/AcroForm << /Fields [{list}] /NeedAppearances {needs_appearances} /DR << /Font << /F1 3 0 R >> >> \
         /DA (/F1 11 Tf 0 g) >>"
    );
    let page = format!("/Annots [{list}]");
    let more = fields.iter().map(|field| latin(&format!("<< /Type /Annot /Subtype /Widget /F 4 {field} >>"))).collect();
    OnePage { content, page: &page, catalog: &catalog, more, ..OnePage::default() }.write()
}

#[tokio::test]
async fn values_of_fields_are_read_beside_their_labels() {
    let labels =
        [show(72, 730, "Nom :"), show(72, 700, "Ville :"), show(72, 670, "Jours :"), show(72, 640, "Express :")];
    let list = [
        "/FT /Tx /T (nom) /V (Adama Koné) /DA (/F1 11 Tf 0 g) /Rect [200 726 420 742]",
        "/FT /Ch /Ff 131072 /T (ville) /Opt [(Abidjan) (Korhogo)] /V (Korhogo) /DA (/F1 11 Tf 0 g) /Rect [200 696 420 712]",
        "/FT /Ch /T (jours) /Opt [(lundi) (mardi) (jeudi)] /V (jeudi) /DA (/F1 11 Tf 0 g) /Rect [200 660 420 690]",
        "/FT /Btn /T (express) /V /Oui /AS /Oui /Rect [200 636 212 652]",
    ];
    for needs_appearances in [true, false] {
        let text = line(&fields(&list, &labels.concat(), needs_appearances)).await;
        for expected in ["Nom : Adama Koné", "Ville : Korhogo", "jeudi"] {
            assert!(text.contains(expected), "{needs_appearances}: {text}");
        }
    }
    let hidden = ["/FT /Tx /T (nom) /V (12 500) /F 2 /DA (/F1 11 Tf 0 g) /Rect [200 726 420 742]"];
    let hidden = line(&fields(&hidden, &show(72, 700, SHOWN), true)).await;
    assert_eq!(hidden, SHOWN);
    let password = ["/FT /Tx /Ff 8192 /T (code) /V (secret) /DA (/F1 11 Tf 0 g) /Rect [200 726 420 742]"];
    assert!(!line(&fields(&password, &show(72, 700, SHOWN), false)).await.contains("secret"));
}

#[tokio::test]
async fn the_text_layer_of_a_scan_is_read() {
    let image = b"<< /Type /XObject /Subtype /Image /Width 1 /Height 2 /ColorSpace /DeviceGray /BitsPerComponent 8 \
        /Filter /ASCIIHexDecode /Length 5 >>\nstream\n80ff>\nendstream";
    let content = format!("q 595 0 0 842 0 0 cm /Im Do Q\nBT 3 Tr ET\n{}", show(72, 700, SHOWN));
    let pdf = OnePage {
        content: &content,
        resources: "/XObject << /Im 6 0 R >>",
        more: vec![image.to_vec()],
        ..OnePage::default()
    };
    assert_eq!(texts(&pdf.write()).await, [SHOWN]);
}
