//! Tables: each row is read as one line with the names of its columns, and what is no table stays as it is.

mod drawing;
mod made;

use std::collections::HashSet;

use rand::{SeedableRng, rngs::StdRng};
use shared::text::{TableRow, is_table_row};

use self::drawing::{Align, Sheet, write};
use self::made::{ExpectedCell, KINDS, Kind, MadeTable, make};
use super::pdfs::{page_of, show};
use super::texts;

/// Cells of made tables, read and compared.
#[derive(Debug, Default)]
struct Score {
    cells: usize,
    exact: usize,
    /// Cells that were read beside another item or under another column.
    wrong: usize,
    /// The first row with such a cell.
    wrong_row: Option<String>,
}

async fn score(table: &MadeTable) -> Score {
    let pages = texts(&table.pdf).await;
    let rows: Vec<TableRow> = pages.iter().flat_map(|page| page.lines()).filter_map(TableRow::parse).collect();
    let expected: HashSet<&ExpectedCell> = table.cells.iter().collect();
    let mut read = HashSet::new();
    let (mut wrong, mut wrong_row) = (0, None);
    for row in &rows {
        // A category stands before the item.
        let item = row.label.rsplit_once(", ").filter(|(category, _)| !category.contains(' '));
        let candidates =
            [Some(row.label.as_str()), item.map(|(_, item)| item), row.label.split_once(", ").map(|(_, item)| item)];
        for cell in &row.cells {
            let found = candidates.iter().flatten().find_map(|item| {
                let cell =
                    ExpectedCell { item: (*item).to_owned(), column: cell.column.clone(), value: cell.value.clone() };
                expected.get(&cell).copied()
            });
            match found {
                Some(cell) => {
                    read.insert(cell);
                }
                None if cell.column.is_empty() => {}
                None => {
                    wrong += 1;
                    wrong_row.get_or_insert_with(|| row.to_string().replace('\u{a0}', " "));
                }
            }
        }
    }
    Score { cells: expected.len(), exact: read.len(), wrong, wrong_row }
}

async fn scores(kind: Kind, is_hard: bool, tables: u64) -> Score {
    let mut sum = Score::default();
    for seed in 0..tables {
        let table = make(kind, is_hard, &mut StdRng::seed_from_u64(1_000 * seed + 14));
        let score = score(&table).await;
        if score.exact < score.cells || score.wrong > 0 {
            println!("{kind:?} {is_hard} {seed}: {score:?}");
            let text = texts(&table.pdf).await.join("\n--\n").replace('\u{a0}', " ");
            text.lines().take(16).for_each(|line| println!("    {line}"));
        }
        sum = Score {
            cells: sum.cells + score.cells,
            exact: sum.exact + score.exact,
            wrong: sum.wrong + score.wrong,
            wrong_row: score.wrong_row.or(sum.wrong_row),
        };
    }
    sum
}

#[tokio::test]
async fn cells_of_made_tables_are_read_with_the_names_of_their_columns() {
    for (kind, is_hard) in KINDS.into_iter().flat_map(|kind| [(kind, false), (kind, true)]) {
        let score = scores(kind, is_hard, 3).await;
        let share = score.exact as f64 / score.cells as f64;
        assert!(share >= 0.95 && score.wrong * 50 <= score.cells, "{kind:?} {is_hard}: {share:.3} {score:?}");
    }
}

#[tokio::test]
#[ignore = "takes minutes; the test above reads three of each kind"]
async fn figures_of_sixty_made_tables_of_each_kind() {
    let mut sum = Score::default();
    for (kind, is_hard) in KINDS.into_iter().flat_map(|kind| [(kind, false), (kind, true)]) {
        let score = scores(kind, is_hard, 60).await;
        println!(
            "| {kind:?} | {is_hard} | {} | {:.4} | {:.4} |",
            score.cells,
            score.exact as f64 / score.cells as f64,
            score.wrong as f64 / score.cells as f64
        );
        sum = Score {
            cells: sum.cells + score.cells,
            exact: sum.exact + score.exact,
            wrong: sum.wrong + score.wrong,
            wrong_row: score.wrong_row.or(sum.wrong_row),
        };
    }
    println!("| all | {} | {:.4} | {} wrong |", sum.cells, sum.exact as f64 / sum.cells as f64, sum.wrong);
    assert!(sum.exact * 100 >= sum.cells * 97 && sum.wrong * 200 <= sum.cells, "{sum:?}");
}

/// Shows rows of texts at the places of columns.
fn columns(places: &[i32], rows: &[&[&str]]) -> Vec<u8> {
    let mut content = String::new();
    for (y, row) in (0..).map(|nth| 700 - 18 * nth).zip(rows) {
        for (x, text) in places.iter().zip(*row).filter(|(_, text)| !text.is_empty()) {
            content.push_str(&show(*x, y, text));
        }
    }
    page_of(&content)
}

async fn plain(pdf: &[u8]) -> String {
    texts(pdf).await.join("\n\n").replace('\u{a0}', " ")
}

#[tokio::test]
async fn a_price_list_with_codes_units_and_two_prices_is_read_by_rows() {
    let rows: &[&[&str]] = &[
        &["Réf.", "Désignation", "Unité", "Détail", "Gros"],
        &["A102", "Riz local de Man 25 kg", "sac", "16 000", "15 100"],
        &["A110", "Huile de palme 5 L", "bidon", "8 500", "sur devis"],
        &["A115", "Sucre roux", "kg", "900", "—"],
    ];
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| cell.replace('—', "-")).collect()).collect();
    let rows: Vec<Vec<&str>> = rows.iter().map(|row| row.iter().map(String::as_str).collect()).collect();
    let rows: Vec<&[&str]> = rows.iter().map(Vec::as_slice).collect();
    let text = plain(&columns(&[60, 110, 280, 360, 440], &rows)).await;
    let expected = "Réf. Désignation Unité Détail Gros\n\
        A102 Riz local de Man 25 kg — Unité : sac · Détail : 16 000 · Gros : 15 100\n\
        A110 Huile de palme 5 L — Unité : bidon · Détail : 8 500 · Gros : sur devis\n\
        A115 Sucre roux — Unité : kg · Détail : 900 · Gros : -";
    assert_eq!(text, expected);
}

#[tokio::test]
async fn headings_of_sections_stand_before_their_rows() {
    let rows: &[&[&str]] = &[
        &["Destination", "Colis 5 kg", "Colis 10 kg"],
        &["ZONE ABIDJAN"],
        &["Cocody", "1 500", "2 500"],
        &["Yopougon", "2 000", "3 000"],
        &["ZONE NORD"],
        &["Korhogo", "4 200", "6 100"],
        &["Odienné", "5 000", "7 000"],
    ];
    let text = plain(&columns(&[60, 260, 400], rows)).await;
    assert!(text.contains("ZONE NORD\nZONE NORD, Korhogo — Colis 5 kg : 4 200 · Colis 10 kg : 6 100"), "{text}");
    assert!(text.contains("ZONE ABIDJAN, Cocody — Colis 5 kg : 1 500 · Colis 10 kg : 2 500"), "{text}");
}

#[tokio::test]
async fn opening_hours_are_read_by_rows() {
    let rows: &[&[&str]] = &[
        &["Magasin", "Semaine", "Samedi", "Dimanche"],
        &["Plateau", "8 h - 18 h", "9 h - 13 h", "fermé"],
        &["Cocody", "9 h - 19 h", "9 h - 15 h", "10 h - 12 h"],
        &["Treichville", "7 h - 17 h", "8 h - 12 h", "fermé"],
    ];
    let text = plain(&columns(&[60, 200, 320, 440], rows)).await;
    assert!(text.contains("Cocody — Semaine : 9 h - 19 h · Samedi : 9 h - 15 h · Dimanche : 10 h - 12 h"), "{text}");
    assert!(text.contains("Plateau — Semaine : 8 h - 18 h · Samedi : 9 h - 13 h · Dimanche : fermé"), "{text}");
}

#[tokio::test]
async fn what_is_no_table_stays_as_it_is() {
    let form: &[&[&str]] = &[&["Nom :", "Adama Traoré"], &["Téléphone :", "07 55 44 33 22"], &["Âge :", "45"]];
    let pairs: &[&[&str]] = &[&["Ville", "Abidjan"], &["Loyer", "150 000"], &["Charges", "20 000"]];
    let contents: &[&[&str]] = &[&["Livraison", "3"], &["Retours", "7"], &["Paiement", "12"]];
    let addresses: &[&[&str]] = &[
        &["Comptoir Baobab", "Facture n 2027-114"],
        &["12 rue du Commerce", "Date : 12/03/2027"],
        &["01 BP 1234 Abidjan 01", "Échéance : 30 jours"],
    ];
    let invoice_head: &[&[&str]] = &[&["Client", "Awa Koné"], &["Numéro", "2027-114"], &["Total", "45 000"]];
    for (case, rows) in
        [("form", form), ("pairs", pairs), ("contents", contents), ("addresses", addresses), ("head", invoice_head)]
    {
        let text = texts(&columns(&[60, 300], rows)).await.remove(0);
        assert!(!text.lines().any(is_table_row), "{case}: {text}");
        for cell in rows.iter().flat_map(|row| row.iter()) {
            assert!(text.contains(cell), "{case}: {text}");
        }
    }
}

#[tokio::test]
async fn boxes_of_a_form_are_no_table_and_their_texts_stay_together() {
    let mut sheet = Sheet::default();
    let cells =
        [["Nom et prénom", "Adama Traoré"], ["Adresse du relais", "Cocody, rue des Jardins"], ["Contact", "07 55 44"]];
    for (nth, row) in (0..).zip(cells) {
        let y = 100.0 + 30.0 * f32::from(u8::try_from(nth).unwrap());
        sheet.show(row[0], (60.0, 200.0), y, (10.0, false, Align::Left));
        sheet.show(row[1], (210.0, 400.0), y, (10.0, false, Align::Left));
    }
    for y in [80.0, 110.0, 140.0, 170.0] {
        sheet.line((55.0, y), (405.0, y));
    }
    for x in [55.0, 205.0, 405.0] {
        sheet.line((x, 80.0), (x, 170.0));
    }
    let text = texts(&write(&[sheet])).await.remove(0);
    assert!(!text.lines().any(is_table_row), "{text}");
    assert!(text.contains("Nom et prénom Adama Traoré\nAdresse du relais Cocody, rue des Jardins"), "{text}");
}
