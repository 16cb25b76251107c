//! CSV, plain text, Markdown and HTML.

use super::*;

#[test]
fn csv_of_french_spreadsheets_is_read() {
    let text = "Article;Détail;Gros\r\nRiz local de Man 25 kg;16 000;15 100,50\r\n\"Huile; rouge\";8 500;\r\n;;\r\nSel;300;250\r\n";
    let expected = [
        "2 Riz local de Man 25 kg — Détail : 16 000 · Gros : 15 100,50",
        "3 Huile; rouge — Détail : 8 500",
        "5 Sel — Détail : 300 · Gros : 250",
    ];
    let windows = encoding_rs::WINDOWS_1252.encode(text).0.into_owned();
    let utf_16: Vec<u8> = [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    for file in [text.as_bytes().to_vec(), windows, utf_16, [b"\xef\xbb\xbf", text.as_bytes()].concat()] {
        assert_eq!(shown(FileFormat::Csv, &file), expected);
    }
    let named = format!("sep=;\n{text}");
    assert_eq!(shown(FileFormat::Csv, named.as_bytes())[0], format!("3{}", &expected[0][1..]));
}

#[test]
fn csv_with_commas_and_tabs_is_read() {
    let commas = "City,Price,Days\nAbidjan,\"1,500\",1\nDakar,\"12,000\",6\n";
    let expected = ["2 Abidjan — Price : 1,500 · Days : 1", "3 Dakar — Price : 12,000 · Days : 6"];
    assert_eq!(shown(FileFormat::Csv, commas.as_bytes()), expected);
    let tabs = "City\tPrice\tDays\nAbidjan\t1,500\t1\nDakar\t12,000\t6\n";
    assert_eq!(shown(FileFormat::Csv, tabs.as_bytes()), expected);
    assert_eq!(
        shown(FileFormat::Csv, "Question;Réponse\nOuvert le lundi ?;Oui, dès 8 h".as_bytes()),
        ["2 Ouvert le lundi ? — Réponse : Oui, dès 8 h"]
    );
}

#[test]
fn paragraphs_of_a_text_have_their_lines() {
    let text = "Horaires\n\nLa boutique ouvre du lundi au samedi de huit heures à dix-neuf\nheures, et ferme le dimanche.\n\
                - Livraison : 1 500 FCFA\n- Retour : gratuit\n";
    assert_eq!(
        shown(FileFormat::Text, text.as_bytes()),
        [
            "1 Horaires",
            "3 La boutique ouvre du lundi au samedi de huit heures à dix-neuf heures, et ferme le dimanche.",
            "5 - Livraison : 1 500 FCFA",
            "6 - Retour : gratuit",
        ]
    );
}

#[test]
fn markdown_is_read_without_its_marks() {
    let text = "---\ntitle: interne\n---\nIntro *soignée*.\n\n# Tarifs\n\nLa course coûte ~~1 500~~ **2 100** FCFA[^1].\n\n\
                | Ville | Prix |\n|---|--:|\n| Abidjan | 1 500 |\n| Bouaké | 2 500 |\n\n## Retours\n\n\
                1. Emballer\n2. Envoyer\n   - par la poste\n\n<!-- secret -->\n\n<p hidden>caché</p>\n\n[^1]: Taxes comprises.\n";
    assert_eq!(
        shown(FileFormat::Markdown, text.as_bytes()),
        [
            "1 Intro soignée.",
            "# Tarifs",
            "2 La course coûte 2 100 FCFA [1].",
            "4 Abidjan — Prix : 1 500",
            "5 Bouaké — Prix : 2 500",
            "# Retours",
            "6 1. Emballer",
            "7 2. Envoyer",
            "8 • par la poste",
            "9 [1] Taxes comprises.",
        ]
    );
}

#[test]
fn html_is_read_as_a_browser_shows_it() {
    let page = r#"<!DOCTYPE html><html><head><meta charset="utf-8"><title>Onglet</title>
        <style>/* .montre {} */ .cache, #ancien { display: none !important } .montre { display: block }
        @media print { p { display: none } }</style><script>var prix = 111;</script></head><body>
        <!-- 222 --><h1>Livraison</h1><p>Elle co&ucirc;te <s>333</s> <b>2&nbsp;100</b> FCFA,<br>et prend deux jours.</p>
        <p class="cache">444</p><div id="ancien"><p>555</p></div><p hidden>666</p><p style="color:red;display:none">777</p>
        <input type="hidden" value="888"><template>999</template><p class="montre">320<sup>1</sup> euros</p>
        <h2>Tarifs</h2><table><thead><tr><th>Ville</th><th colspan="2">Prix</th></tr>
        <tr><th></th><th>Moto</th><th>Camion</th></tr></thead>
        <tr><td>Abidjan</td><td>1 500</td><td rowspan="2">4 000</td></tr><tr><td>Bouaké</td><td>2 500</td></tr></table>
        <ul><li>un<li>deux</ul><ol start="3"><li>trois</li></ol></body></html>"#;
    let expected = [
        "# Livraison",
        "1 Elle coûte 2 100 FCFA,",
        "2 et prend deux jours.",
        "3 320¹ euros",
        "# Tarifs",
        "6 Abidjan — Prix Moto : 1 500 · Prix Camion : 4 000",
        "7 Bouaké — Prix Moto : 2 500 · Prix Camion : 4 000",
        "8 • un",
        "9 • deux",
        "10 3. trois",
    ];
    assert_eq!(shown(FileFormat::Html, page.as_bytes()), expected);
    let latin = page.replace("utf-8", "iso-8859-1").replace("co&ucirc;te", "coûte").replace('€', "");
    let latin = encoding_rs::WINDOWS_1252.encode(&latin).0.into_owned();
    assert_eq!(shown(FileFormat::Html, &latin), expected);
}
