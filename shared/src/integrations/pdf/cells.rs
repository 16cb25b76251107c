//! Cells of tables, and what their texts tell: amounts, names of columns, headings of sections.

/// Share of a column's cells that are figures for it to be a column of figures.
const MIN_FIGURE_SHARE: f32 = 0.6;

/// Fewest figures of such a column.
const MIN_FIGURES: usize = 2;

/// Longest figure, in characters and in words: `de 8 h à 12 h et de 14 h à 18 h` has more.
const MAX_FIGURE_CHARS: usize = 24;
const MAX_FIGURE_WORDS: usize = 8;

/// A text within the columns `first` to `last` of a table.
#[derive(Clone, Debug, Default)]
pub(super) struct Cell {
    pub(super) first: usize,
    pub(super) last: usize,
    pub(super) text: String,
    /// Beginning of the first line and width of the widest one, in points.
    pub(super) start: f32,
    pub(super) width: f32,
    pub(super) size: f32,
    /// Width of the first word.
    pub(super) first_word: f32,
    /// True for bold type or a shaded ground.
    pub(super) is_styled: bool,
    /// True where a cell that is merged over several rows is repeated.
    pub(super) is_repeated: bool,
}

impl Cell {
    pub(super) fn is_spanning(&self) -> bool {
        self.last > self.first
    }

    pub(super) fn covers(&self, column: usize) -> bool {
        (self.first..=self.last).contains(&column)
    }

    /// Adds a line to the text.
    pub(super) fn append(&mut self, line: &Self) {
        self.text.push('\n');
        self.text.push_str(&line.text);
        self.width = self.width.max(line.width);
        self.is_styled &= line.is_styled;
    }
}

/// A row of a table, or a line of its header.
#[derive(Clone, Debug, Default)]
pub(super) struct CellRow {
    /// Cells from left to right.
    pub(super) cells: Vec<Cell>,
    pub(super) baseline: f32,
}

impl CellRow {
    pub(super) fn filled(&self) -> usize {
        self.cells.len()
    }

    /// Returns the text of the cell in a column, if it is that of no other column.
    pub(super) fn own(&self, column: usize) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.covers(column) && !cell.is_spanning())
    }

    pub(super) fn text(&self) -> String {
        let lines = self.cells.iter().filter(|cell| !cell.is_repeated).flat_map(|cell| cell.text.lines());
        lines.map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
    }
}

/// The columns of a table whose cells are figures.
#[derive(Clone, Debug, Default)]
pub(super) struct FigureColumns {
    columns: Vec<bool>,
    /// True for amounts, false for other figures, such as `8 h - 18 h` or `3 jours`.
    are_amounts: bool,
}

impl FigureColumns {
    /// Determines the columns of amounts or, where there are none, those of other figures.
    pub(super) fn of<'a>(rows: impl Iterator<Item = &'a CellRow> + Clone, columns: usize) -> Self {
        let are = |column: usize, is: &dyn Fn(&str) -> bool| {
            // The names of the columns stand above the first figure.
            let cells = rows.clone().filter_map(|row| row.own(column)).skip_while(|cell| !is(&cell.text));
            let cells: Vec<&Cell> = cells.filter(|cell| !is_neutral(&cell.text)).collect();
            let figures = cells.iter().filter(|cell| is(&cell.text)).count();
            figures >= MIN_FIGURES && figures as f32 >= MIN_FIGURE_SHARE * cells.len() as f32
        };
        let amounts: Vec<bool> = (0..columns).map(|column| are(column, &is_amount)).collect();
        if amounts.contains(&true) {
            return Self { columns: amounts, are_amounts: true };
        }
        // The first column is the item.
        Self { columns: (0..columns).map(|column| column > 0 && are(column, &is_figure)).collect(), are_amounts: false }
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.columns.contains(&true)
    }

    pub(super) fn contains(&self, column: usize) -> bool {
        self.columns.get(column) == Some(&true)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = usize> {
        self.columns.iter().enumerate().filter(|(_, is_figures)| **is_figures).map(|(column, _)| column)
    }

    /// Returns true when one of these columns of a row has a figure.
    pub(super) fn have_figure(&self, row: &CellRow) -> bool {
        self.iter().filter_map(|column| row.own(column)).any(|cell| self.is_figure(&cell.text))
    }

    /// Returns true for a row of figures, or of a text in the place of one: `sur devis`.
    pub(super) fn are_in(&self, row: &CellRow) -> bool {
        let is_neutral = |cell: &Cell| is_neutral(&cell.text);
        self.have_figure(row)
            || row.own(0).is_some() && self.iter().filter_map(|column| row.own(column)).any(is_neutral)
    }

    /// Returns true when one of these columns of a row has a text that is no figure, such as its name.
    pub(super) fn have_text(&self, row: &CellRow) -> bool {
        let cell = |column: usize| row.cells.iter().find(|cell| cell.covers(column));
        self.iter()
            .filter_map(cell)
            .any(|cell| !self.is_figure(&cell.text) && cell.text.contains(char::is_alphanumeric))
    }

    pub(super) fn is_figure(&self, text: &str) -> bool {
        if self.are_amounts { is_amount(text) } else { is_figure(text) }
    }
}

/// Returns true for a short text that begins with a number.
fn is_figure(text: &str) -> bool {
    let text = text.trim();
    let begins = text.trim_start_matches(['+', '-', '−', '–', '~', '<', '>', '≥', '≤', '€', '$', '£', ' ', '(']);
    begins.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().count() <= MAX_FIGURE_CHARS
        && text.split_whitespace().count() <= MAX_FIGURE_WORDS
}

/// Returns true for a number, with or without a currency or a short unit. A year is none: it may name a column.
pub(super) fn is_amount(text: &str) -> bool {
    let text = text.trim();
    let digits = text.chars().filter(char::is_ascii_digit).count();
    if digits == 0 || text.chars().count() > MAX_FIGURE_CHARS {
        return false;
    }
    let is_year = digits == 4 && (text.starts_with("19") || text.starts_with("20")) && text.len() == 4;
    let begins = text.trim_start_matches(['+', '-', '−', '–', '±', '~', '<', '>', '≥', '≤', '€', '$', '£', ' ', '(']);
    let mut words = begins.split(|c: char| c.is_whitespace()).filter(|word| !word.is_empty());
    let mut has_number = false;
    let all = words.all(|word| {
        let is_number = word.starts_with(|c: char| c.is_ascii_digit())
            && word.chars().all(|c| c.is_ascii_digit() || is_sign(c))
            || word.chars().all(is_mark);
        has_number |= is_number;
        is_number || has_number && is_unit(word)
    });
    !is_year && all && has_number
}

/// Returns true for what may stand within a number or after it.
fn is_sign(c: char) -> bool {
    is_mark(c) || matches!(c, '.' | ',' | '%' | '€' | '$' | '£' | ')' | '*' | '\'')
}

/// Returns true for the number of a footnote or a fraction.
fn is_mark(c: char) -> bool {
    matches!(c, '²' | '³' | '¹' | '⁰' | '⁴'..='⁹' | '½' | '¼' | '¾')
}

/// Returns true for a currency or another short unit after a number.
fn is_unit(word: &str) -> bool {
    let word = word.trim_matches(['.', ')', '(']).to_lowercase();
    matches!(
        word.as_str(),
        "fcfa"
            | "f"
            | "cfa"
            | "xof"
            | "xaf"
            | "eur"
            | "euro"
            | "euros"
            | "€"
            | "$"
            | "usd"
            | "gbp"
            | "£"
            | "francs"
            | "%"
            | "ttc"
            | "ht"
            | "dh"
            | "mad"
            | "gnf"
            | "ghs"
            | "ngn"
    )
}

/// Returns true for a text that stands in a column of amounts in place of one.
pub(super) fn is_neutral(text: &str) -> bool {
    let text = text.trim().to_lowercase();
    let is_dash = text.chars().all(|c| !c.is_alphanumeric());
    is_dash
        || matches!(
            text.as_str(),
            "gratuit"
                | "gratuite"
                | "offert"
                | "offerte"
                | "inclus"
                | "incluse"
                | "sur devis"
                | "nc"
                | "n.c."
                | "n/a"
                | "na"
                | "free"
                | "included"
                | "on request"
                | "sur demande"
                | "non disponible"
                | "oui"
                | "non"
                | "yes"
                | "no"
        )
}

/// Words in the names of columns of amounts.
const MEASURES: &[&str] = &[
    "prix",
    "tarif",
    "montant",
    "cout",
    "coût",
    "frais",
    "total",
    "fcfa",
    "xof",
    "eur",
    "€",
    "$",
    "usd",
    "délai",
    "delai",
    "durée",
    "duree",
    "jours",
    "heures",
    "quantité",
    "quantite",
    "qté",
    "qte",
    "stock",
    "taux",
    "poids",
    "nombre",
    "price",
    "cost",
    "fee",
    "rate",
    "amount",
    "quantity",
    "qty",
    "days",
    "hours",
    "weight",
    "number",
    "caution",
    "loyer",
    "salaire",
    "solde",
    "valeur",
    "value",
    "vente",
    "détail",
    "gros",
    "ttc",
    "unitaire",
    "remise",
    "discount",
    "capacité",
    "surface",
];

/// Returns true when a text names a measure.
pub(super) fn names_measure(text: &str) -> bool {
    let text = text.to_lowercase();
    MEASURES.iter().any(|measure| text.contains(measure))
}

/// Returns true for a text that continues the cell above: it does not begin like a text of its own.
pub(super) fn begins_within(text: &str) -> bool {
    let first = text.trim_start().chars().next();
    first.is_some_and(|c| c.is_lowercase() || matches!(c, '(' | ',' | ')' | '/' | '&' | '+' | '-' | '–' | '%' | '°'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_numbers_with_or_without_a_currency() {
        for amount in
            ["16 000", "1.500,50 €", "$ 12", "12 %", "900 FCFA", "- 5", "320¹", "(45)", "15 000 F CFA", "25,5*"]
        {
            assert!(is_amount(amount), "{amount}");
        }
        for other in ["Riz 25 kg", "25 kg", "2026", "Gratuit", "", "8 h - 18 h", "A102", "FCFA", "—"] {
            assert!(!is_amount(other), "{other}");
        }
        assert!(is_neutral("—") && is_neutral("Gratuit") && !is_neutral("Riz"));
    }
}
