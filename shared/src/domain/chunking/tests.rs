use super::*;
use proptest::prelude::*;

fn page(number: u32, text: &str) -> PageText {
    PageText { number, text: text.to_owned() }
}

fn sentences(about: &str, count: usize) -> String {
    (0..count).map(|n| format!("La phrase {n} parle de {about} et de rien d'autre. ")).collect()
}

#[test]
fn short_page_is_one_chunk() {
    let chunks = chunk(&[page(1, "Livraison\n\nNous livrons partout.\n\nEn deux jours.")]);
    assert_eq!(chunks.len(), 1);
    assert_eq!(chunks[0].text, "Livraison\n\nNous livrons partout.\n\nEn deux jours.");
}

#[test]
fn chunks_end_with_their_page() {
    let chunks = chunk(&[page(1, "Un fait."), page(2, ""), page(3, "Un autre.")]);
    let places: Vec<_> = chunks.iter().map(|c| (c.index, c.page_start, c.page_end)).collect();
    assert_eq!(places, [(0, 1, 1), (1, 3, 3)]);
}

#[test]
fn sentence_across_a_page_break_stays_whole() {
    let chunks = chunk(&[page(1, "Les retours sont"), page(2, "gratuits. Écrivez-nous.")]);
    assert_eq!(chunks[0].text, "Les retours sont gratuits.");
    assert_eq!((chunks[0].page_start, chunks[0].page_end), (1, 2));
    assert_eq!((chunks[1].page_start, chunks[1].page_end), (2, 2));
}

#[test]
fn heading_opens_its_section_and_is_repeated_in_each_chunk() {
    let text = format!("{}\n\nFrais de retour\n\n{}", sentences("délais", 10), sentences("frais", 40));
    let chunks = chunk(&[page(1, &text)]);
    assert!(!chunks[0].text.contains("Frais de retour"));
    assert!(chunks.len() > 2);
    assert!(chunks[1..].iter().all(|chunk| chunk.text.starts_with("Frais de retour\n\n")));
}

#[test]
fn long_table_repeats_its_header_in_each_chunk() {
    let rows: String = (1..80).map(|n| format!("Ville {n} {n} jours {n}00 FCFA\n")).collect();
    let chunks = chunk(&[page(1, &format!("Destination délai prix en vigueur au départ\n{rows}"))]);
    assert!(chunks.len() > 1);
    assert!(chunks.iter().all(|chunk| chunk.text.starts_with("Destination délai prix")));
    assert!(chunks.iter().all(|chunk| chunk.text.lines().count() > 5));
}

#[test]
fn rows_with_the_names_of_their_columns_stay_whole_and_their_header_is_not_repeated() {
    let row = |n: usize| {
        let name = format!("Riz local de Man, qualité n. {n}. Grain long. Récolte {n}.");
        format!("{name}\u{a0}— Unité\u{a0}: sac\u{a0}· Détail\u{a0}: {n} 000\u{a0}· Gros\u{a0}: {n} 500")
    };
    let rows: Vec<String> = (1..60).map(row).collect();
    let text = format!("Nos prix\n\nArticle Unité Détail Gros\n{}\n\nVenez nous voir.", rows.join("\n"));
    let chunks = chunk(&[page(1, &text)]);
    assert!(chunks.len() > 3);
    for row in &rows {
        let holders = chunks.iter().filter(|chunk| chunk.text.lines().any(|line| line == row)).count();
        assert_eq!(holders, 1, "{row}");
    }
    let headers = chunks.iter().filter(|chunk| chunk.text.contains("Article Unité")).count();
    assert_eq!(headers, 1);
}

#[test]
fn rows_of_a_wide_table_are_not_headings() {
    let text = "Frais\n\nVoici les frais.\n\nVille Délai Prix\n\nAbidjan un jour 1 500\n\nBouaké deux jours 3 000";
    let chunks = chunk(&[page(1, &format!("{text}\n\n{}", sentences("poids", 40)))]);
    assert!(chunks[0].text.contains("Ville Délai Prix\nAbidjan un jour 1 500\nBouaké"));
    assert!(chunks[1..].iter().all(|chunk| chunk.text.starts_with("Frais\n\n")));
}

#[test]
fn running_titles_are_not_sections() {
    let pages: Vec<_> = (1..=4).map(|n| page(n, &format!("Guide du client {n}\n\nLe fait numéro {n}."))).collect();
    let chunks = chunk(&pages);
    assert_eq!(chunks[1].text, "Guide du client 2\n\nLe fait numéro 2.");
}

#[test]
fn text_without_spaces_is_cut_to_size() {
    let chunks = chunk(&[page(1, &"é".repeat(1_000_000))]);
    assert!(chunks.iter().all(|chunk| chunk.text.chars().count() <= MAX_CHARS));
    assert_eq!(chunks.iter().map(|chunk| chunk.text.len()).sum::<usize>(), 2_000_000);
}

/// Returns true when the characters of `part`, apart from white space, occur in `whole` in order.
fn is_within(part: &str, whole: &str) -> bool {
    let mut whole = whole.chars();
    part.chars().filter(|c| !c.is_whitespace()).all(|c| whole.any(|other| other == c))
}

fn any_page() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        4 => "([A-Za-zé]{1,9} ){1,18}[a-z]{1,5}[.?]?",
        1 => "[A-Z][a-z]{2,9}( [a-z]{2,9}){0,4}",
        1 => "[•-] [a-z ]{1,40}",
        1 => "[a-z]{3,8} [0-9]{1,4} [0-9]{1,4}",
        1 => ".{0,60}",
        1 => "[xéж]{1500,2500}",
    ];
    prop::collection::vec((line, prop_oneof![2 => Just("\n"), 1 => Just("\n\n")]), 0..40)
        .prop_map(|lines| lines.into_iter().map(|(line, end)| line + end).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_character_is_lost_and_sizes_are_bounded(texts in prop::collection::vec(any_page(), 0..5)) {
        let pages: Vec<PageText> = (1..).zip(&texts).map(|(n, text)| page(n, text)).collect();
        let chunks = chunk(&pages);
        let everything: String = chunks.iter().map(|chunk| chunk.text.as_str()).collect();
        prop_assert!(is_within(&texts.concat(), &everything));
        for (index, chunk) in chunks.iter().enumerate() {
            prop_assert_eq!(chunk.index as usize, index);
            prop_assert!(!chunk.text.trim().is_empty());
            prop_assert!(chunk.text.chars().count() <= MAX_CHARS);
        }
        prop_assert_eq!(chunk(&pages), chunks);
    }

    #[test]
    fn each_chunk_names_the_pages_of_its_text(texts in prop::collection::vec(any_page(), 1..5)) {
        let marked = |(n, text): (u32, &String)| page(n, &format!("{text}\n\nThe word mark{n}mark."));
        let pages: Vec<PageText> = (1..).zip(&texts).map(marked).collect();
        let chunks = chunk(&pages);
        for page in &pages {
            let mark = format!("mark{}mark", page.number);
            let marked: Vec<_> = chunks.iter().filter(|chunk| chunk.text.contains(&mark)).collect();
            prop_assert_eq!(marked.len(), 1);
            prop_assert!((marked[0].page_start..=marked[0].page_end).contains(&page.number));
        }
        prop_assert!(chunks.iter().all(|chunk| chunk.page_end - chunk.page_start <= 1));
        prop_assert!(chunks.is_sorted_by_key(|chunk| (chunk.page_start, chunk.page_end)));
    }
}
