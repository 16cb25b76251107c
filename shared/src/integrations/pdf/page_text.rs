//! Reading of one page: its annotations, what is visible of its text, and the order of its lines.

use super::annotations;
use super::display::{Area, Display};
use super::guard::call_pdfium;
use super::layout::{self, Glyph, PlacedText};
use super::page_count::FileFacts;
use super::visibility::{self, PictureBudget};
use super::{MIN_COVERED_PAGE_LETTERS, MIN_TEXT_LETTERS, RawPage, count_letters, rendering};
use pdfium_render::prelude::{PdfDocument, PdfPage, PdfiumError};

/// Number of letters and digits of a field's value that are looked for in the field's box.
const COMPARED_LETTERS: usize = 12;

/// Reader of the pages of one document.
pub(super) struct PageReader<'a, 'd> {
    document: &'a PdfDocument<'d>,
    facts: FileFacts,
    budget: PictureBudget,
}

impl<'a, 'd> PageReader<'a, 'd> {
    pub(super) fn new(document: &'a PdfDocument<'d>, facts: FileFacts) -> Self {
        Self { document, facts, budget: PictureBudget::default() }
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
        values.retain(|value| !is_drawn(value, &glyphs));
        let text = layout::text(&glyphs, &values);
        let has_picture = is_covered
            || count_letters(&text) < MIN_TEXT_LETTERS && self.budget.spend(|| rendering::has_picture(&page));
        Ok(RawPage { text, is_covered, has_picture, ..RawPage::default() })
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
    let text = layout::plain_text(&view.glyphs(&page)?);
    let is_covered = count_letters(&text) < MIN_COVERED_PAGE_LETTERS && rendering::is_covered(&page);
    // Without a picture, a page without text counts as a scan.
    Ok(RawPage { text, is_covered, has_picture: true, ..RawPage::default() })
}

/// A page as it is drawn, and the part of it that is displayed.
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

/// Returns true when the value of a field is among the characters in the field's box.
fn is_drawn(value: &PlacedText, glyphs: &[Glyph]) -> bool {
    let inside = glyphs.iter().filter(|glyph| {
        let Glyph { area, .. } = glyph;
        !glyph.is_hidden && value.area.contains(((area.x0 + area.x1) / 2.0, (area.y0 + area.y1) / 2.0))
    });
    let letters = |text: &mut dyn Iterator<Item = char>| -> String { text.filter(|c| c.is_alphanumeric()).collect() };
    let drawn = letters(&mut inside.clone().filter_map(|glyph| char::from_u32(glyph.value)));
    let wanted: String = letters(&mut value.text.chars()).chars().take(COMPARED_LETTERS).collect();
    if wanted.is_empty() { inside.count() > 0 } else { drawn.contains(&wanted) }
}
