//! Reading of one page: its annotations, what is visible of its text, and the order of its lines.

use super::annotations;
use super::display::{Area, Display};
use super::guard::call_pdfium;
use super::layout::{self, Glyph, PlacedText};
use super::page_count::FileFacts;
use super::rules::Rules;
use super::visibility::{self, PictureBudget};
use super::{MIN_COVERED_PAGE_LETTERS, MIN_TEXT_LETTERS, RawBlock, RawPage, count_letters, rendering};
use pdfium_render::prelude::{PdfDocument, PdfPage, PdfiumError};

/// Number of blocks at the end of a page among which a table may continue on the next page.
const MAX_BLOCKS_BELOW: usize = 3;

/// Reader of the pages of one document.
pub(super) struct PageReader<'a, 'd> {
    document: &'a PdfDocument<'d>,
    facts: FileFacts,
    budget: PictureBudget,
    /// Columns of the table at the end of the page before.
    columns_above: Option<Vec<(f32, f32)>>,
}

impl<'a, 'd> PageReader<'a, 'd> {
    pub(super) fn new(document: &'a PdfDocument<'d>, facts: FileFacts) -> Self {
        Self { document, facts, budget: PictureBudget::default(), columns_above: None }
    }

    /// Reads what a page displays. The number of the page is left to the caller.
    pub(super) fn read(&mut self, index: i32) -> Result<RawPage, PdfiumError> {
        let mut page = call_pdfium(|| self.document.pages().get(index))?;
        let original = Display::of(&page)?;
        let mut values = Vec::new();
        if !call_pdfium(|| page.annotations().is_empty()) {
            values = annotations::merge(&mut page, &original, self.facts.has_layers)?;
            drop(page);
            page = call_pdfium(|| self.document.pages().get(index))?;
        }
        let view = View::new(&page, &original)?;
        let mut glyphs = view.glyphs(&page)?;
        values.iter_mut().for_each(|value| value.area = view.convert(&value.area));
        let is_covered = self.hide_unseen(&page, &view, &mut glyphs)?;
        values.retain(|value| is_missing(value, &mut glyphs));
        let rules = Rules::of(&page, &view.display);
        let height = view.display.area().height();
        let blocks = layout::blocks(&glyphs, &values, &rules, self.columns_above.as_deref(), height);
        let last_blocks = blocks.iter().rev().take(MAX_BLOCKS_BELOW);
        self.columns_above = last_blocks.into_iter().find_map(|block| match block {
            RawBlock::Table(table) => Some(table.columns.clone()),
            RawBlock::Paragraph(_) => None,
        });
        let raw = RawPage { blocks, is_covered, ..RawPage::default() };
        let has_picture = is_covered
            || count_letters(&raw.text()) < MIN_TEXT_LETTERS && self.budget.spend(|| rendering::has_picture(&page));
        Ok(RawPage { has_picture, ..raw })
    }

    /// Marks the characters that are not in the picture of the page as hidden. Returns true when images cover a page
    /// with little text. The text layer of a scan is kept, since the image displays it.
    fn hide_unseen(&mut self, page: &PdfPage<'_>, view: &View, glyphs: &mut Vec<Glyph>) -> Result<bool, PdfiumError> {
        let mut hidden = None;
        if !self.budget.is_spent() && glyphs.iter().any(|glyph| !glyph.is_blank() && !glyph.is_hidden) {
            let examined = self.budget.spend(|| visibility::examine(page, &view.display))?;
            if examined.has_hidden {
                *glyphs = view.glyphs(page)?;
            }
            if examined.is_all_invisible {
                glyphs.iter_mut().for_each(|glyph| glyph.is_hidden = true);
            } else if let Some(ink) = &examined.ink {
                ink.hide_words(glyphs);
            }
            hidden = Some(examined);
        }
        let letters = glyphs.iter().filter(|glyph| !glyph.is_hidden && glyph.is_alphanumeric()).count();
        let is_covered = letters < MIN_COVERED_PAGE_LETTERS && rendering::is_covered(page);
        if let Some(mut examined) = hidden.filter(|_| is_covered)
            && (examined.is_all_invisible || !self.facts.has_layers)
        {
            examined.restore();
            *glyphs = view.glyphs(page)?;
        }
        Ok(is_covered)
    }
}

/// Reads a page in the order of its file, without annotations, forms and pictures.
pub(super) fn read_plain(document: &PdfDocument<'_>, index: i32) -> Result<RawPage, PdfiumError> {
    let page = call_pdfium(|| document.pages().get(index))?;
    let view = View::new(&page, &Display::of(&page)?)?;
    let blocks = layout::plain_blocks(&view.glyphs(&page)?, view.display.area().height());
    // Without a picture, a page without text counts as a scan.
    let raw = RawPage { blocks, has_picture: true, ..RawPage::default() };
    let is_covered = count_letters(&raw.text()) < MIN_COVERED_PAGE_LETTERS && rendering::is_covered(&page);
    Ok(RawPage { is_covered, ..raw })
}

/// The display of a page, with the area of the page that is visible.
struct View {
    display: Display,
    part: Area,
}

impl View {
    /// `original` is the display of the page before its annotations were merged, which may enlarge it.
    fn new(page: &PdfPage<'_>, original: &Display) -> Result<Self, PdfiumError> {
        let display = Display::of(page)?;
        Ok(Self { part: display.part(original), display })
    }

    fn glyphs(&self, page: &PdfPage<'_>) -> Result<Vec<Glyph>, PdfiumError> {
        Ok(layout::glyphs(&call_pdfium(|| page.text())?, &self.display, &self.part))
    }

    /// Converts a rectangle of the original display. Both displays have one scale and rotation.
    fn convert(&self, area: &Area) -> Area {
        let (x, y) = (self.part.x0, self.part.y0);
        Area { x0: area.x0 + x, y0: area.y0 + y, x1: area.x1 + x, y1: area.y1 + y }
    }
}

/// Returns true when the value of a field is not among the characters in the field's box. Where only a part of it is
/// there, as in a box whose text is scrolled, that part is hidden: the value takes its place.
fn is_missing(value: &PlacedText, glyphs: &mut [Glyph]) -> bool {
    let is_inside = |glyph: &Glyph| {
        let area = glyph.area;
        value.area.contains(((area.x0 + area.x1) / 2.0, (area.y0 + area.y1) / 2.0))
    };
    let visible = || glyphs.iter().filter(|glyph| !glyph.is_hidden && is_inside(glyph));
    let letters = |text: &mut dyn Iterator<Item = char>| -> String { text.filter(|c| c.is_alphanumeric()).collect() };
    let drawn = letters(&mut visible().filter_map(|glyph| char::from_u32(glyph.value)));
    let wanted = letters(&mut value.text.chars());
    if wanted.is_empty() {
        return visible().count() == 0;
    }
    if drawn.contains(&wanted) {
        return false;
    }
    if !drawn.is_empty() && wanted.contains(&drawn) {
        glyphs.iter_mut().filter(|glyph| is_inside(glyph)).for_each(|glyph| glyph.is_hidden = true);
    }
    true
}
