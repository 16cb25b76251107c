//! Tables of price lists made at random, of each kind that companies write, with the cells that must be read.

use rand::{RngExt, rngs::StdRng, seq::IndexedRandom, seq::SliceRandom};

use super::drawing::{Align, Sheet, width, write};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Ruled,
    /// Lines between the rows only.
    RowLines,
    Unruled,
    /// A category in the first column stands for several rows.
    MergedRuled,
    MergedUnruled,
    /// The name of a group above the names of its columns.
    TwoHeadingsRuled,
    TwoHeadingsUnruled,
    /// Items take several lines.
    WrappedRuled,
    WrappedUnruled,
    /// The table goes on over pages; the header stands on the first one only.
    ContinuedRuled,
    ContinuedUnruled,
}

pub(super) const KINDS: [Kind; 11] = [
    Kind::Ruled,
    Kind::RowLines,
    Kind::Unruled,
    Kind::MergedRuled,
    Kind::MergedUnruled,
    Kind::TwoHeadingsRuled,
    Kind::TwoHeadingsUnruled,
    Kind::WrappedRuled,
    Kind::WrappedUnruled,
    Kind::ContinuedRuled,
    Kind::ContinuedUnruled,
];

impl Kind {
    fn is_ruled(self) -> bool {
        matches!(
            self,
            Self::Ruled | Self::MergedRuled | Self::TwoHeadingsRuled | Self::WrappedRuled | Self::ContinuedRuled
        )
    }

    fn is_merged(self) -> bool {
        matches!(self, Self::MergedRuled | Self::MergedUnruled)
    }

    fn has_groups(self) -> bool {
        matches!(self, Self::TwoHeadingsRuled | Self::TwoHeadingsUnruled)
    }

    fn is_wrapped(self) -> bool {
        matches!(self, Self::WrappedRuled | Self::WrappedUnruled)
    }

    fn is_continued(self) -> bool {
        matches!(self, Self::ContinuedRuled | Self::ContinuedUnruled)
    }
}

/// A cell that must be read: the item of its row, the name of its column, its text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ExpectedCell {
    pub(super) item: String,
    pub(super) column: String,
    pub(super) value: String,
}

pub(super) struct MadeTable {
    pub(super) pdf: Vec<u8>,
    pub(super) cells: Vec<ExpectedCell>,
}

const ITEMS: &[&str] = &[
    "Riz local de Man 25 kg",
    "Riz parfumé 5 kg",
    "Huile de palme 5 L",
    "Huile raffinée 1 L",
    "Sucre roux 1 kg",
    "Sucre blanc 5 kg",
    "Attiéké d'Abidjan 1 kg",
    "Café moulu de Man 250 g",
    "Cacao en poudre 500 g",
    "Thon en boîte",
    "Sardines à l'huile",
    "Lait en poudre 400 g",
    "Farine de blé 10 kg",
    "Savon de Marseille",
    "Tomate concentrée",
    "Pâtes alimentaires",
    "Couscous de maïs",
    "Beurre de karité",
    "Miel de forêt",
    "Jus d'ananas 1 L",
    "Eau minérale 6 x 1,5 L",
    "Bissap séché 500 g",
    "Gingembre frais",
    "Piment en poudre",
    "Igname kponan",
    "Banane plantain",
    "Manioc frais",
    "Arachides grillées",
    "Noix de cajou 1 kg",
    "Poisson fumé",
];

const LONG_ITEMS: &[&str] = &[
    "Riz parfumé de Thaïlande premier choix, sac de 25 kg renforcé",
    "Huile de palme rouge pressée à froid, bidon de 5 L",
    "Attiéké frais d'Abidjan préparé le jour même, sachet de 1 kg",
    "Café moulu de Man torréfié sur place, paquet de 250 g",
    "Lait entier en poudre enrichi en vitamines, boîte de 400 g",
    "Savon de Marseille à l'huile végétale, lot de six pains",
    "Poisson fumé au bois de manguier, carton de dix kilos",
    "Miel de forêt récolté dans la région de Bondoukou",
    "Tomate concentrée double, carton de 24 boîtes de 400 g",
    "Beurre de karité brut pour la cuisine et la peau",
];

const CATEGORIES: &[&str] = &["Céréales", "Huiles", "Épicerie", "Boissons", "Produits frais"];
const UNITS: &[&str] = &["sac", "bidon", "carton", "paquet", "boîte", "pièce"];
const FIRST_HEADINGS: &[&str] = &["Article", "Désignation", "Produit", "Item"];
const FIGURES: &[&str] = &["Détail", "Gros", "Demi-gros", "Revendeur", "Export", "Promotion"];
const LONG_FIGURES: &[&str] = &["Prix de détail (FCFA)", "Prix de gros (FCFA)", "Prix revendeur", "Poids du colis"];
const MEASURES: &[&str] =
    &["Prix (FCFA)", "Prix TTC", "Tarif 2027", "Montant en FCFA", "Prix unitaire", "Price (FCFA)"];
const GROUPS: &[&str] = &["Abidjan", "Bouaké", "Intérieur du pays", "Tarif membre"];

const PROSE: &[&str] = &[
    "Ces prix sont valables dans tous nos magasins et peuvent changer sans préavis au cours de",
    "l'année. La livraison est gratuite à partir de 50 000 FCFA d'achat dans la ville.",
];

/// Layout of one table.
struct Layout {
    kind: Kind,
    size: f32,
    step: f32,
    line_step: f32,
    header_is_bold: bool,
    figures: Align,
    /// Left and right edges of the columns.
    columns: Vec<(f32, f32)>,
    padding: f32,
    has_unit: bool,
    /// True for names of two lines, empty cells, texts in place of figures, figures in the middle of wrapped items, and
    /// pages with their own header.
    is_hard: bool,
    /// True where figures stand in the middle of an item of several lines.
    are_centered: bool,
    /// True where each page repeats the names of the columns.
    repeats_header: bool,
}

impl Layout {
    fn cell(&self, column: usize) -> (f32, f32) {
        let (left, right) = self.columns[column];
        (left + self.padding, right - self.padding)
    }
}

fn figure(random: &mut StdRng) -> String {
    match random.random_range(0..6) {
        0 => format!("{} {:03}", random.random_range(1..30), 50 * random.random_range(0..20)),
        1 => format!("{}", 50 * random.random_range(2..20)),
        2 => format!("{},{:02}", random.random_range(1..90), 5 * random.random_range(0..20)),
        _ => format!("{} {}00", random.random_range(1..90), random.random_range(0..9) + 1),
    }
}

/// Wraps a text at a width.
fn wrap(text: &str, room: f32, size: f32) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut().filter(|line| width(&format!("{line} {word}"), size, false) <= room) {
            Some(line) => *line = format!("{line} {word}"),
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Returns the left and right edges of the columns.
fn columns(
    kind: Kind,
    (size, padding): (f32, f32),
    (has_unit, figure_columns): (bool, usize),
    random: &mut StdRng,
) -> Vec<(f32, f32)> {
    let mut columns = Vec::new();
    let mut x = random.random_range(40.0..70.0);
    let add = |columns: &mut Vec<(f32, f32)>, x: &mut f32, room: f32| {
        columns.push((*x, *x + room + 2.0 * padding));
        *x += room + 2.0 * padding;
    };
    if kind.is_merged() {
        add(&mut columns, &mut x, 7.2 * size);
    }
    let item_room = if kind.is_wrapped() { random.random_range(13.0..17.0) } else { 13.0 };
    add(&mut columns, &mut x, item_room * size);
    if has_unit {
        add(&mut columns, &mut x, 3.6 * size);
    }
    for _ in 0..figure_columns {
        // Room for the name of the column, in bold type.
        add(&mut columns, &mut x, if figure_columns == 1 { 9.0 * size } else { 6.0 * size });
    }
    columns
}

/// Makes a table of a kind.
pub(super) fn make(kind: Kind, is_hard: bool, random: &mut StdRng) -> MadeTable {
    let size = *[8.0, 9.0, 10.0, 11.0].choose(random).unwrap();
    let figure_columns = if kind.has_groups() { *[2, 4].choose(random).unwrap() } else { random.random_range(1..=4) };
    let has_unit = random.random_bool(0.4) && !kind.has_groups();
    let padding = random.random_range(2.0..6.0);
    let columns = columns(kind, (size, padding), (has_unit, figure_columns), random);
    let line_step = size * random.random_range(1.15..1.25);
    let is_tight = random.random_bool(0.3) && !kind.is_ruled();
    let layout = Layout {
        kind,
        size,
        line_step,
        step: if is_tight { line_step } else { size * random.random_range(1.5..2.2) },
        header_is_bold: random.random_bool(0.6),
        figures: *[Align::Right, Align::Right, Align::Center, Align::Left].choose(random).unwrap(),
        columns,
        padding,
        has_unit,
        is_hard,
        are_centered: is_hard && random.random_bool(0.4),
        repeats_header: is_hard && random.random_bool(0.5),
    };
    draw(&layout, figure_columns, random)
}

fn draw(layout: &Layout, figure_columns: usize, random: &mut StdRng) -> MadeTable {
    let names = headings(layout, figure_columns, random);
    let count = if layout.kind.is_continued() { random.random_range(30..60) } else { random.random_range(4..14) };
    let items = items(layout.kind, count, random);
    let mut sheets = vec![Sheet::default()];
    let mut y = 80.0;
    if random.random_bool(0.7) {
        for line in PROSE {
            sheets[0].show(line, (60.0, 540.0), y, (10.0, false, Align::Left));
            y += 12.0;
        }
        y += 30.0;
    }
    let mut top = y - layout.size - 2.0;
    y = draw_header(layout, &names, &mut sheets[0], y);
    let mut cells = Vec::new();
    let mut left_in_category = 0;
    let bottom = if layout.kind.is_continued() { 700.0 } else { 800.0 };
    for (nth, item) in items.iter().enumerate() {
        if y > bottom {
            close_page(layout, &mut sheets, top, y);
            sheets.push(Sheet::default());
            y = 80.0;
            top = y - layout.size - 2.0;
            if layout.repeats_header {
                y = draw_header(layout, &names, sheets.last_mut().unwrap(), y);
            }
        }
        let sheet = sheets.last_mut().unwrap();
        if layout.kind.is_merged() && left_in_category == 0 {
            let category = CATEGORIES[cells.len() % CATEGORIES.len()];
            left_in_category = random.random_range(2..4).min(items.len() - nth);
            let lines = if layout.kind.is_ruled() { left_in_category - 1 } else { 0 };
            let middle = y + layout.step * f32::from(u8::try_from(lines).unwrap()) / 2.0;
            sheet.show(category, layout.cell(0), middle, (layout.size, false, Align::Left));
        }
        let next = draw_row(layout, item, &names, sheet, y, random, &mut cells);
        left_in_category = left_in_category.saturating_sub(1);
        if layout.kind.is_ruled() || layout.kind == Kind::RowLines {
            let first = usize::from(layout.kind.is_merged() && left_in_category > 0);
            let line_y = next - layout.size - 2.0;
            sheet.line((layout.columns[first].0, line_y), (layout.columns.last().unwrap().1, line_y));
        }
        y = next;
    }
    close_page(layout, &mut sheets, top, y);
    if random.random_bool(0.7) {
        let sheet = sheets.last_mut().unwrap();
        sheet.show("Les prix s'entendent hors livraison.", (60.0, 540.0), y + 24.0, (10.0, false, Align::Left));
    }
    if layout.is_hard {
        show_running_lines(&mut sheets);
    }
    for sheet in &mut sheets {
        if random.random_bool(0.3) {
            sheet.parts.shuffle(random);
        }
    }
    MadeTable { pdf: write(&sheets), cells }
}

/// Writes a header and a page number onto each page.
fn show_running_lines(sheets: &mut [Sheet]) {
    for (nth, sheet) in (1..).zip(sheets) {
        sheet.show("Comptoir Baobab - tarif 2027", (60.0, 540.0), 40.0, (9.0, false, Align::Left));
        sheet.show(&format!("Page {nth}"), (60.0, 540.0), 815.0, (9.0, false, Align::Center));
    }
}

/// Returns the names of all columns, each with the name of its group.
fn headings(layout: &Layout, figure_columns: usize, random: &mut StdRng) -> Vec<(String, String)> {
    let mut names = Vec::new();
    let name = |name: &str| (String::new(), name.to_owned());
    if layout.kind.is_merged() {
        names.push(name("Rayon"));
    }
    names.push(name(FIRST_HEADINGS.choose(random).unwrap()));
    if layout.has_unit {
        names.push(name("Unité"));
    }
    let groups: Vec<&str> = GROUPS.sample(random, 2).copied().collect();
    let figures: Vec<&str> = FIGURES.sample(random, 4).copied().collect();
    for nth in 0..figure_columns {
        names.push(match layout.kind.has_groups() {
            true => (groups[nth / 2].to_owned(), figures[nth % 2].to_owned()),
            false if layout.is_hard => name(LONG_FIGURES[nth]),
            false if figure_columns == 1 => name(MEASURES.choose(random).unwrap()),
            false => name(figures[nth]),
        });
    }
    names
}

fn items(kind: Kind, count: usize, random: &mut StdRng) -> Vec<String> {
    let pool: Vec<&str> = match kind {
        _ if kind.is_wrapped() => ITEMS.iter().chain(LONG_ITEMS).copied().collect(),
        _ => ITEMS.to_vec(),
    };
    let item = |nth: usize| {
        let name = pool[nth % pool.len()];
        if nth < pool.len() { name.to_owned() } else { format!("{} n{}", name, nth / pool.len() + 1) }
    };
    let mut items: Vec<String> = (0..count.max(pool.len())).map(item).collect();
    items.shuffle(random);
    items.truncate(count);
    items
}

fn draw_header(layout: &Layout, names: &[(String, String)], sheet: &mut Sheet, mut y: f32) -> f32 {
    let style = |align| (layout.size, layout.header_is_bold, align);
    let (left, right) = (layout.columns[0].0, layout.columns.last().unwrap().1);
    if layout.kind.is_ruled() {
        sheet.line((left, y - layout.size - 2.0), (right, y - layout.size - 2.0));
    }
    if layout.kind.has_groups() {
        let first = names.iter().position(|name| !name.0.is_empty()).unwrap();
        for pair in (first..names.len()).step_by(2) {
            let room = (layout.columns[pair].0, layout.columns[pair + 1].1);
            sheet.show(&names[pair].0, room, y, style(Align::Center));
        }
        let line_y = y + layout.step - layout.size - 2.0;
        if layout.kind.is_ruled() {
            sheet.line((layout.columns[first].0, line_y), (right, line_y));
        }
        y += layout.step.max(layout.size * 1.3);
    }
    let mut most = 1;
    for (column, (_, name)) in names.iter().enumerate() {
        let is_figure = column + 1 >= names.len() - names.len() / 2 && column > 0;
        let align = if is_figure { layout.figures } else { Align::Left };
        let (left, right) = layout.cell(column);
        let room = if layout.is_hard { (right - left) / 1.07 } else { f32::INFINITY };
        let lines = wrap(name, room, layout.size);
        // The name of the item stands beside the groups or beside the names below them.
        let is_above = layout.is_hard && layout.kind == Kind::TwoHeadingsUnruled && names[column].0.is_empty();
        let y = if is_above { y - layout.step.max(layout.size * 1.3) } else { y };
        for (nth, line) in lines.iter().enumerate() {
            let y = y + layout.line_step * f32::from(u8::try_from(nth).unwrap());
            sheet.show(line, (left, right), y, style(align));
        }
        most = most.max(lines.len());
    }
    y += layout.line_step * f32::from(u8::try_from(most - 1).unwrap());
    y += layout.step.max(layout.size * 1.4);
    if layout.kind.is_ruled() || layout.kind == Kind::RowLines {
        sheet.line((left, y - layout.size - 2.0), (right, y - layout.size - 2.0));
    }
    y
}

fn draw_row(
    layout: &Layout,
    item: &str,
    names: &[(String, String)],
    sheet: &mut Sheet,
    y: f32,
    random: &mut StdRng,
    cells: &mut Vec<ExpectedCell>,
) -> f32 {
    let style = |align| (layout.size, false, align);
    let first = usize::from(layout.kind.is_merged());
    let (left, right) = layout.cell(first);
    let lines = wrap(item, right - left, layout.size);
    for (nth, line) in lines.iter().enumerate() {
        let y = y + layout.line_step * f32::from(u8::try_from(nth).unwrap());
        sheet.show(line, (left, right), y, style(Align::Left));
    }
    for column in first + 1..names.len() {
        let is_unit = layout.has_unit && column == first + 1;
        let value = if is_unit { (*UNITS.choose(random).unwrap()).to_owned() } else { figure(random) };
        let value = match random.random_range(0..20) {
            0 if layout.is_hard && column + 1 < names.len() => continue,
            1 if layout.is_hard && !is_unit => (*["sur devis", "-", "gratuit"].choose(random).unwrap()).to_owned(),
            _ => value,
        };
        let align = if is_unit { Align::Left } else { layout.figures };
        let below = if layout.are_centered { lines.len() - 1 } else { 0 };
        let y = y + layout.line_step * f32::from(u8::try_from(below).unwrap()) / 2.0;
        sheet.show(&value, layout.cell(column), y, style(align));
        let (group, name) = &names[column];
        let name = format!("{group} {name}").trim().to_owned();
        cells.push(ExpectedCell { item: item.to_owned(), column: name, value });
    }
    y + layout.step + layout.line_step * f32::from(u8::try_from(lines.len() - 1).unwrap())
}

/// Draws the lines between the columns of a page.
fn close_page(layout: &Layout, sheets: &mut [Sheet], top: f32, y: f32) {
    let sheet = sheets.last_mut().unwrap();
    if !layout.kind.is_ruled() {
        return;
    }
    let bottom = y - layout.size - 2.0;
    let (left, right) = (layout.columns[0].0, layout.columns.last().unwrap().1);
    sheet.line((left, top), (right, top));
    for (nth, x) in layout.columns.iter().map(|column| column.0).chain([right]).enumerate() {
        let is_within_group = layout.kind.has_groups() && nth > 1 && nth < layout.columns.len() && nth % 2 == 0;
        let from = if is_within_group { top + layout.step.max(layout.size * 1.3) } else { top };
        sheet.line((x, from), (x, bottom));
    }
}
