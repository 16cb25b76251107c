//! Pages as they come from a scanner. The floors are below what was measured, by less than a word in ten.

use std::time::Duration;

use super::support::{Page, RECOGNIZER, SIZE_PX, assert_read, read, words_right};
use ocr::Error;

const FRENCH: [&str; 8] = [
    "Conditions de livraison",
    "Nous livrons à Abidjan et dans tout le district, du lundi",
    "au samedi, entre huit heures et dix-huit heures. Les frais",
    "sont de 1 500 FCFA à Cocody et de 2 000 FCFA à Yopougon ;",
    "ils sont offerts à partir de 50 000 FCFA d'achat.",
    "Un colis refusé reste cinq jours à l'entrepôt de",
    "Treichville, 12 rue des Jardins. Renseignements au",
    "07 55 44 33 22 ou à service@exemple.ci.",
];

const ACCENTS: [&str; 7] = [
    "La sœur aînée du maître-nageur a été reçue à l'hôtel.",
    "Elle y goûta du bœuf, des œufs et des pâtes fraîches.",
    "« Où êtes-vous, Loïc ? » demanda-t-elle, gênée et naïve.",
    "À l'été, Zoé préférait l'île d'Oléron et son théâtre.",
    "Main-d'œuvre : 1 250,50 € par mètre, 15 m² au minimum.",
    "Le nœud du problème, c'est le vœu du chœur de Noël.",
    "Ça, c'est l'œil de l'aïeul : égoïste, ambigu, âpre.",
];

const PRICES: [[&str; 4]; 6] = [
    ["Réf.", "Désignation", "Détail", "Gros"],
    ["A102", "Riz local de Man 25 kg", "16 000", "15 100"],
    ["A110", "Huile de palme rouge 20 litres", "21 500", "20 250"],
    ["A115", "Attiéké frais de Dabou", "900", "750"],
    ["B201", "Savon de Marseille 400 g", "650", "590"],
    ["C310", "Café moulu Robusta 250 g", "1 850", "1 700"],
];

fn price_list() -> Page {
    let mut page = Page::new(1200, 480);
    for (nth, row) in PRICES.iter().enumerate() {
        for (left, cell) in [60.0, 200.0, 800.0, 1020.0].iter().zip(row) {
            page.write(*left, 60.0 + 60.0 * nth as f32, SIZE_PX, &[cell]);
        }
    }
    page
}

#[test]
fn a_clean_french_page_is_read_whole() {
    assert_read(&Page::of_lines(1000, &FRENCH).image(), &FRENCH, 98.0);
}

#[test]
fn accents_and_ligatures_are_read() {
    let image = Page::of_lines(1000, &ACCENTS).image();
    let (rows, _) = read(&image);
    let right = words_right(&ACCENTS, &rows);
    assert!(right >= 92.0, "{right} of 100 words are right: {rows:#?}");
    for word in ["sœur", "bœuf,", "œufs", "Main-d'œuvre", "nœud", "vœu", "chœur"] {
        assert!(rows.iter().any(|row| row.split(' ').any(|read| read == word)), "{word} is not in {rows:#?}");
    }
}

#[test]
fn a_scan_with_a_slight_skew_is_read() {
    assert_read(&Page::of_lines(1000, &FRENCH).skewed(0.7).scanned().image(), &FRENCH, 95.0);
}

#[test]
fn a_scan_with_a_skew_of_three_degrees_is_read() {
    assert_read(&Page::of_lines(1000, &FRENCH).skewed(-3.0).scanned().image(), &FRENCH, 95.0);
}

#[test]
fn a_page_upside_down_or_on_its_side_is_read() {
    let page = Page::of_lines(1000, &FRENCH[..4]).image();
    assert_read(&page.turned_over(), &FRENCH[..4], 95.0);
    assert_read(&page.turned_right(), &FRENCH[..4], 95.0);
    assert_read(&page.turned_right().turned_over(), &FRENCH[..4], 95.0);
}

#[test]
fn two_columns_are_read_one_after_the_other() {
    let left = [
        "Les commandes passées avant",
        "midi sont préparées le jour",
        "même et remises au livreur",
        "dans l'après-midi.",
    ];
    let right = [
        "absence, le colis est laissé",
        "chez un voisin qui signe et",
        "le garde jusqu'au soir, ou",
        "dans un point relais.",
    ];
    let mut page = Page::new(1150, 420);
    page.write(60.0, 40.0, 36.0, &["Ce qu'il faut savoir avant de commander"]);
    page.write(60.0, 130.0, SIZE_PX, &left);
    page.write(600.0, 130.0, SIZE_PX, &right);
    let expected = [&["Ce qu'il faut savoir avant de commander"][..], &left, &right].concat();
    assert_read(&page.skewed(0.7).scanned().image(), &expected, 97.0);
}

#[test]
fn a_row_of_a_price_list_stays_together() {
    let (rows, _) = read(&price_list().skewed(0.7).scanned().image());
    let expected = PRICES.map(|row| row.join(" "));
    assert_eq!(rows, expected);
}

#[test]
fn a_page_without_text_gives_no_lines() {
    assert_eq!(read(&Page::new(400, 300).scanned().image()).0, [] as [&str; 0]);
    assert_eq!(read(&Page::new(3, 2).image()).0, [] as [&str; 0]);
}

#[test]
fn a_page_over_its_time_ends_with_an_error() {
    let page = Page::of_lines(1000, &FRENCH[..2]).image();
    assert!(matches!(RECOGNIZER.recognize(&page, Duration::ZERO), Err(Error::TimedOut)));
}
