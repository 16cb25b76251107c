use tokio::time::Instant;
use uuid::Uuid;

use super::{
    super::types::{AnswerStyle, Turn},
    *,
};
use crate::retrieval::Passage;

fn passage(text: &str, page: i32) -> Passage {
    Passage {
        chunk_id: Uuid::nil(),
        document_id: Uuid::nil(),
        filename: "guide.pdf".to_owned(),
        version: None,
        place: None,
        title: None,
        page_start: page,
        page_end: page,
        chunk_indexes: 0..=0,
        text: text.to_owned(),
        score: 1.0,
    }
}

fn answered(question: &str, language: Language, passages: &[Passage]) -> GroundedAnswer {
    follow_up_answer(question, question, language, passages)
}

fn follow_up_answer(question: &str, standalone: &str, language: Language, passages: &[Passage]) -> GroundedAnswer {
    answer(&GroundedQuestion { standalone, ..grounded(question, language, passages) })
}

fn grounded<'a>(question: &'a str, language: Language, passages: &'a [Passage]) -> GroundedQuestion<'a> {
    GroundedQuestion {
        text: question,
        standalone: question,
        history: &[],
        language,
        instructions: None,
        assistant: "Lisa",
        company: "Comptoir Baobab",
        style: AnswerStyle::SourceNumbers,
        passages,
        deadline: Instant::now(),
    }
}

#[test]
fn a_follow_up_is_answered_by_its_own_words() {
    let passages = [
        passage("La livraison à Abidjan coûte 1 500 francs.", 1),
        passage("La livraison à Bouaké coûte 2 500 francs.", 2),
    ];
    let standalone = "Combien coûte la livraison à Abidjan ? Et à Bouaké ?";
    let completion = follow_up_answer("Et à Bouaké ?", standalone, Language::French, &passages);
    assert_eq!(completion.sources[0].passage, 1, "{completion:?}");
}

#[test]
fn the_answering_sentence_is_quoted_with_file_and_page() {
    let passages = [
        passage("Le magasin ouvre à huit heures. Il ferme le dimanche.", 1),
        passage("Bienvenue. La livraison à Abidjan coûte 1 500 FCFA. Elle prend deux jours.", 2),
    ];
    let completion = answered("Combien coûte la livraison à Abidjan ?", Language::French, &passages);
    assert_eq!(
        completion.answer.unwrap(),
        "« La livraison à Abidjan coûte 1 500 FCFA. Elle prend deux jours. » (guide, p. 2)"
    );
    assert_eq!(completion.sources[0].passage, 1);
}

#[test]
fn a_question_about_an_amount_prefers_a_passage_with_a_number() {
    let passages = [
        passage("Ce guide dit ce que coûte la livraison, à Abidjan et ailleurs.", 1),
        passage("Frais de livraison\nAbidjan 24 heures 1 500 FCFA\nDakar 6 jours 12 000 FCFA", 2),
    ];
    let completion = answered("Combien coûte la livraison à Abidjan ?", Language::French, &passages);
    assert_eq!(completion.sources[0].passage, 1);
}

#[test]
fn a_section_about_the_subject_is_preferred_to_a_mention() {
    let passages = [
        passage("Keep this manual of 2026: the warranty card is on the last page.", 1),
        passage("Warranty\nWe repair the lamp free of charge for two years.", 4),
    ];
    let completion = answered("How long is the warranty?", Language::English, &passages);
    assert_eq!(completion.sources[0].passage, 1);
}

#[test]
fn a_question_not_covered_by_the_passages_gets_no_answer() {
    let passages = [passage("The lamp charges in six hours of sun.", 3)];
    for question in ["What is the capital of Mongolia?", "?", "What is it?"] {
        let completion = answered(question, Language::English, &passages);
        assert_eq!((completion.answer, completion.sources.len()), (None, 0), "{question}");
    }
    assert_eq!(answered("How long does the lamp charge?", Language::English, &[]).answer, None);
}

#[test]
fn long_quotes_are_truncated_between_words() {
    let short = shorten(&"word ".repeat(400));
    assert!(short.chars().count() <= MAX_QUOTE_CHARS + 1 && short.ends_with("word…"), "{short}");
}

fn french(question: &str, passages: &[Passage]) -> Option<String> {
    answered(question, Language::French, passages).answer.map(|answer| answer.replace('\u{a0}', " "))
}

fn price_list() -> [Passage; 1] {
    let row = |label: &str, retail: &str, dozen: &str| {
        format!("{label}\u{a0}— Détail\u{a0}: {retail}\u{a0}· Par dix\u{a0}: {dozen}")
    };
    let rows = [
        row("Drap brodé", "12 500 FCFA", "11 000 FCFA"),
        row("Serviette", "4 000 FCFA", "3 500 FCFA"),
        row("Nappe ronde", "9 000 FCFA", "8 200 FCFA"),
        row("Nappe carrée", "7 000 FCFA", "6 300 FCFA"),
    ];
    [passage(&format!("Linge de maison\n\n{}", rows.join("\n")), 2)]
}

#[test]
fn a_price_is_quoted_from_its_row_alone() {
    for question in ["Combien coûte le drap brodé ?", "bjr c combien le drap svp", "prix des draps", "le tarif du drpa"]
    {
        let expected = "« Drap brodé — Détail : 12 500 FCFA · Par dix : 11 000 FCFA » (guide, p. 2)";
        assert_eq!(french(question, &price_list()).as_deref(), Some(expected), "{question}");
    }
}

#[test]
fn rows_that_fit_equally_are_quoted_together() {
    let expected = "« Nappe ronde — Détail : 9 000 FCFA · Par dix : 8 200 FCFA\n\
        Nappe carrée — Détail : 7 000 FCFA · Par dix : 6 300 FCFA » (guide, p. 2)";
    assert_eq!(french("Combien coûte une nappe ?", &price_list()).as_deref(), Some(expected));
}

#[test]
fn a_price_of_something_else_is_refused() {
    for question in ["Combien coûte le rideau ?", "Combien coûte le drap housse ?", "c combien la livraison à Lomé"]
    {
        assert_eq!(french(question, &price_list()), None, "{question}");
    }
}

#[test]
fn a_place_to_send_returns_to_is_found_by_another_word() {
    let passages = [
        passage("Livraison\n\nNous livrons partout. La livraison d'un article coûte 1 500 FCFA.", 1),
        passage(
            "Droit de rétractation\n\nVous avez dix jours. Les retours se font à l'entrepôt de Vridi, rue 12.\n\nPaiement\n\nNous prenons Wave.",
            2,
        ),
    ];
    let expected = "« Les retours se font à l'entrepôt de Vridi, rue 12. » (guide, p. 2)";
    assert_eq!(french("Où faut-il renvoyer un article ?", &passages).as_deref(), Some(expected));
    let expected = "« Vous avez dix jours. Les retours se font à l'entrepôt de Vridi, rue 12. » (guide, p. 2)";
    assert_eq!(french("Bonjour, quel est le délai de retour svp ?", &passages).as_deref(), Some(expected));
}

#[test]
fn phone_and_hours_are_found_without_a_shared_word() {
    let passages = [passage(
        "Nous joindre\n\nAppelez le +225 07 00 00 00 00.\n\nAccueil\n\nNous recevons du lundi au samedi de 8 h à 18 h.",
        3,
    )];
    let phone = french("votre numero de telephone svp", &passages).unwrap_or_default();
    assert!(phone.contains("+225 07 00 00 00 00") && !phone.contains("Accueil"), "{phone}");
    let hours = french("vous ouvrez à quelle heure ?", &passages).unwrap_or_default();
    assert!(hours.contains("de 8 h à 18 h"), "{hours}");
}

#[test]
fn a_follow_up_does_not_repeat_the_last_answer() {
    let passages =
        [passage("La livraison à Abidjan coûte 1 500 FCFA.\n\nLa livraison en express coûte 3 000 FCFA.", 1)];
    let history = [Turn { role: Role::Assistant, text: "« La livraison à Abidjan coûte 1 500 FCFA. »".to_owned() }];
    let completion = answer(&GroundedQuestion {
        text: "Et en express ?",
        standalone: "Combien coûte la livraison ? Et en express ?",
        history: &history,
        language: Language::French,
        instructions: None,
        assistant: "Lisa",
        company: "Comptoir Baobab",
        style: AnswerStyle::SourceNumbers,
        passages: &passages,
        deadline: Instant::now(),
    });
    assert_eq!(completion.sources[0].quote, "La livraison en express coûte 3 000 FCFA.");
}

#[test]
fn the_most_similar_sentence_answers_when_it_is_similar_enough() {
    let passages = [passage("Un régulateur protège contre la foudre. Les dégâts d'orage restent à votre charge.", 4)];
    let question = GroundedQuestion {
        text: "Qui paie si mon poste grille ?",
        standalone: "Qui paie si mon poste grille ?",
        history: &[],
        language: Language::French,
        instructions: None,
        assistant: "Lisa",
        company: "Comptoir Baobab",
        style: AnswerStyle::SourceNumbers,
        passages: &passages,
        deadline: Instant::now(),
    };
    assert_eq!(answer(&question).answer, None);
    let candidates = quote_candidates(&question);
    assert_eq!(candidates.len(), 2);
    let by = |similarities: &[f32]| answer_by_similarity(&question, &candidates, similarities).answer;
    let expected = "« Les dégâts d'orage restent à votre charge. » (guide, p. 4)";
    assert_eq!(by(&[0.84, 0.87]).as_deref(), Some(expected));
    assert_eq!(by(&[0.84, 0.855]), None);
}

#[test]
fn a_document_is_named_by_its_title_or_its_filename_as_words() {
    let mut titled = passage("Les draps sont lavés à 60 degrés.", 1);
    titled.filename = "guide_du-linge.v2.pdf".to_owned();
    assert_eq!(titled.display_title(), "guide du linge.v2");
    titled.title = Some("Guide du linge".to_owned());
    let quoted = french("À combien de degrés laver les draps ?", &[titled]).unwrap_or_default();
    assert!(quoted.ends_with("(Guide du linge, p. 1)"), "{quoted}");
}

#[test]
fn a_price_comes_from_its_row_rather_than_from_a_sentence_that_mentions_free() {
    let mut list = passage(
        "1. Délais de livraison\n\nAbidjan\u{a0}— Délai\u{a0}: 24 heures\u{a0}· Frais de livraison\u{a0}: 1 500 FCFA\n\
         Dakar\u{a0}— Délai\u{a0}: 6 jours\u{a0}· Frais de livraison\u{a0}: 12 000 FCFA",
        1,
    );
    list.score = 0.1;
    let exchange = "5. Échange\n\nLe nouvel article part dès que l'ancien est remis au livreur, sans frais à Abidjan. Si le \
                    nouvel article coûte plus cher, la différence se paie avant l'envoi.";
    let answer = french("bjr c combien pour envoyer à Abidjan svp", &[passage(exchange, 2), list]).unwrap();
    assert!(answer.contains("Frais de livraison : 1 500 FCFA"), "{answer}");
}

#[test]
fn a_free_service_is_no_price_of_the_goods() {
    let repair = "Garantie\n\nLumaworks répare ou remplace la lampe gratuitement pendant deux ans.";
    let exchange = "Échange\n\nLe premier échange d'une robe est gratuit.";
    let delivery = "Livraison\n\nUn sac est livré gratuitement à Abidjan.";
    for (text, goods, service) in [
        (repair, "Combien coûte une lampe ?", "Combien coûte la réparation d'une lampe ?"),
        (exchange, "C'est combien une robe ?", "C'est combien pour échanger une robe ?"),
        (delivery, "Quel est le prix d'un sac ?", "Quels sont les frais de port d'un sac ?"),
    ] {
        assert_eq!(french(goods, &[passage(text, 1)]), None, "{goods}");
        let answer = french(service, &[passage(text, 1)]);
        assert!(answer.is_some_and(|answer| answer.contains("gratuit")), "{service}");
    }
}

fn rooms() -> [Passage; 1] {
    let row = |label: &str, one: &str, two: &str| {
        format!("{label}\u{a0}— 1 personne\u{a0}: {one}\u{a0}· 2 personnes\u{a0}: {two}")
    };
    let rows = [
        row("Chambre Baobab, climatisée", "23 000", "27 000"),
        row("Suite Iroko, salon et kitchenette", "48 000", "55 000"),
    ];
    let lead = "Tarifs par nuit, en francs CFA, taxe de séjour non comprise.";
    [passage(&format!("Nos chambres\n\n{lead}\n\nType de chambre 1 personne 2 personnes\n{}", rows.join("\n")), 2)]
}

#[test]
fn the_sentence_above_a_table_says_that_its_figures_are_prices() {
    let quoted = french("prix de la suite iroko pour un couple", &rooms()).unwrap();
    assert!(
        quoted.contains("Suite Iroko, salon et kitchenette — 1 personne : 48 000 · 2 personnes : 55 000"),
        "{quoted}"
    );
    assert!(!quoted.contains("Baobab"), "{quoted}");
    let quoted = french("la chambre climatisée la moins chère pour 2 pers c combien la nuit", &rooms()).unwrap();
    assert!(quoted.contains("2 personnes : 27 000"), "{quoted}");
}

#[test]
fn names_of_columns_and_other_periods_are_no_answer() {
    let question = "vous avez une chambre pour personne en fauteuil roulant";
    let passages = rooms();
    let candidates = quote_candidates(&grounded(question, Language::French, &passages));
    assert!(!candidates.is_empty());
    assert!(candidates.iter().all(|candidate| !candidate.text.starts_with("Type de chambre")), "{candidates:?}");
    let bikes = [passage("Tariff\n\nMountain bike\u{a0}— Day\u{a0}: £28.00\u{a0}· Week\u{a0}: £125.00", 2)];
    let month = answered("how much is a mountain bike for a month", Language::English, &bikes);
    assert_eq!(month.answer, None);
    let week = answered("how much is a mountain bike for a week", Language::English, &bikes).answer.unwrap();
    assert!(week.contains("£125.00"), "{week}");
}

#[test]
fn a_day_is_not_answered_with_another_one() {
    let row = |day: &str, hours: &str| format!("{day}\u{a0}— Lavage\u{a0}: {hours}");
    let rows = [row("Lundi au vendredi", "7 h – 19 h"), row("Samedi", "7 h – 20 h"), row("Dimanche", "8 h – 14 h")];
    let passages = [passage(&format!("Horaires\n\n{}", rows.join("\n")), 1)];
    for (day, hours) in [("dimanche", "8 h – 14 h"), ("mercredi", "7 h – 19 h"), ("samedi", "7 h – 20 h")] {
        let quoted = french(&format!("Horaires du lavage le {day} ?"), &passages).unwrap();
        assert!(quoted.contains(hours), "{day}: {quoted}");
        let others = rows.iter().filter(|row| quoted.contains(&row.replace('\u{a0}', " "))).count();
        assert_eq!(others, 1, "{day}: {quoted}");
    }
}

#[test]
fn what_stands_beside_the_asking_clause_is_not_wanted_of_the_answer() {
    let hall = passage(
        "Événements\n\nLa paillote accueille vos baptêmes. La location de la paillote coûte 85 000 francs la \
         demi-journée et 140 000 francs la journée.",
        4,
    );
    let question = "Bonjour je cherche à fêter les dix-huit ans de ma fille, louer votre paillote toute la journée revient à combien ?";
    let quoted = french(question, &[hall]).unwrap();
    assert!(quoted.contains("140 000 francs la journée"), "{quoted}");
    // A place that the passages do not know is still wanted where the asking clause names it.
    let delivery = passage("Livraison\n\nLa livraison à Abidjan coûte 1 500 FCFA.", 1);
    assert_eq!(french("c'est pour ma mère, la livraison à Bouaké coûte combien ?", &[delivery]), None);
}
