//! Files like those on which others' readers failed (local/fixtures/field/pdf): each with the value that its page
//! displays.

use shared::pdf::PageKind;

use super::pdfs::{latin, pdf_of_objects, show, stream};
use super::{extract, line, texts};

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(local_postgres::root().join("local/fixtures/field/pdf").join(name)).unwrap()
}

#[tokio::test]
async fn each_page_of_a_spread_holds_the_half_that_its_crop_box_shows() {
    let pages = texts(&fixture("spread_cropbox.pdf")).await;
    assert!(pages[0].contains("Abidjan coûte 1 500 FCFA") && !pages[0].contains("Korhogo"), "{pages:?}");
    assert!(pages[1].contains("Korhogo coûte 4 200 FCFA") && !pages[1].contains("Abidjan"), "{pages:?}");
}

#[tokio::test]
async fn a_note_on_the_page_and_values_of_fields_are_read() {
    let note = line(&fixture("freetext_note.pdf")).await;
    assert!(note.ends_with("samedi. Fermeture exceptionnelle le mercredi 3 décembre."), "{note}");
    let form = line(&fixture("form_values_without_appearance.pdf")).await;
    let expected = "Nom du gérant : Adama Traoré Téléphone du relais : 07 55 44 33 22";
    assert!(form.ends_with(expected), "{form}");
}

#[tokio::test]
async fn marks_of_footnotes_fractions_and_exponents_do_not_change_figures() {
    let notes = line(&fixture("footnote_mark_character.pdf")).await;
    assert!(notes.contains("coûte 320¹ euros") && notes.contains("coûte 48² euros"), "{notes}");
    let figures = line(&fixture("fraction_exponent.pdf")).await;
    for expected in ["dure 2½ heures", "contient 10³ germes", "mesure 15 m²"] {
        assert!(figures.contains(expected), "{figures}");
    }
    let folded = shared::text::fold(&figures);
    assert!(folded.contains("2 1/2 heures") && folded.contains("10 3 germes") && folded.contains("15 m2"), "{folded}");
}

#[tokio::test]
async fn a_layer_that_is_off_is_not_read() {
    let text = line(&fixture("hidden_layer.pdf")).await;
    assert_eq!(text, "Abonnement à la salle de sport L'abonnement mensuel coûte 18 000 FCFA.");
}

#[tokio::test]
async fn lines_drawn_from_the_foot_are_read_from_the_top() {
    let text = line(&fixture("drawn_bottom_up.pdf")).await;
    let expected = "Conditions de retour Le client dispose de quatorze jours pour retourner un article. Les frais de \
        retour sont de 1 000 FCFA pour un colis de moins de cinq kilos, et de 3 500 FCFA au-delà.";
    assert_eq!(text, expected);
}

#[tokio::test]
async fn a_hyphen_of_the_word_itself_stays_at_the_end_of_a_line() {
    let text = line(&fixture("own_hyphen_at_line_end.pdf")).await;
    for expected in ["sur rendez-vous.", "garde-meuble", "peut-être", "demi-journée"] {
        assert!(text.contains(expected), "{text}");
    }
}

#[tokio::test]
async fn a_ligature_without_a_meaning_is_kept_as_such_and_the_page_is_not_read_whole() {
    let pages = extract(&fixture("ligature_is_nul.pdf")).await.unwrap();
    assert_eq!(pages.kinds(), [PageKind::Unreadable]);
    let text = &pages.as_slice()[0].text;
    assert!(text.contains("certi\u{fffd}cat \u{fffd}nal") && !text.contains("certicat"), "{text}");
}

#[tokio::test]
async fn a_picture_beside_text_is_a_page_that_is_not_read() {
    let pages = extract(&fixture("text_and_scan.pdf")).await.unwrap();
    assert_eq!(pages.kinds(), [PageKind::Text, PageKind::Scan]);
}

#[tokio::test]
async fn a_form_that_only_asks_to_wait_has_a_code_of_its_own() {
    assert_eq!(extract(&fixture("xfa_shell.pdf")).await.unwrap_err().code(), Some("xfa_form"));
}

/// Makes a file with an attachment and these entries of its catalog.
fn with_attachment(catalog: &str, content: &str) -> Vec<u8> {
    pdf_of_objects(&[
        latin(&format!("<< /Type /Catalog /Pages 2 0 R /Names << /EmbeddedFiles 6 0 R >> {catalog} >>")),
        latin("<< /Type /Pages /Kids [4 0 R] /Count 1 >>"),
        latin("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"),
        latin(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 5 0 R \
             /Resources << /Font << /F1 3 0 R >> >> >>",
        ),
        stream("", content),
        latin("<< /Names [(tarif.txt) 7 0 R] >>"),
        latin("<< /Type /Filespec /F (tarif.txt) /UF (tarif.txt) /EF << /F 8 0 R >> >>"),
        stream("/Type /EmbeddedFile", "Riz 25 kg : 16 000 FCFA"),
    ])
}

#[tokio::test]
async fn a_portfolio_has_a_code_of_its_own_and_a_document_with_an_attachment_is_read() {
    let cover = show(72, 700, "For the best experience, open this PDF portfolio in a newer reader.");
    let collection = "/Collection << /Type /Collection /View /D >>";
    assert_eq!(extract(&with_attachment(collection, &cover)).await.unwrap_err().code(), Some("portfolio"));
    let text = line(&with_attachment("", &show(72, 700, "Le prix est de 900 FCFA."))).await;
    assert_eq!(text, "Le prix est de 900 FCFA.");
    // A collection with pages of its own.
    let page: String =
        (0..40).map(|nth| show(72, 800 - 18 * nth, "La livraison dure deux jours et le retour est gratuit.")).collect();
    assert!(line(&with_attachment(collection, &page)).await.contains("deux jours"));
}
