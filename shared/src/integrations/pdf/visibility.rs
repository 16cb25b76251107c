//! Visibility of text, taken from pdfium's picture of the page: a text is visible when the picture changes with it.
//! This one rule covers layers that are off, text in the colour of its background, invisible and clipped text, and
//! text beneath an image.

use super::display::{Area, Display};
use super::guard::call_pdfium;
use super::layout::Glyph;
use pdfium_render::prelude::{
    PdfBitmapFormat, PdfMatrix, PdfPage, PdfPageObject, PdfPageObjectCommon, PdfPageObjectsCommon,
    PdfPageTextRenderMode, PdfQuadPoints, PdfRenderConfig, PdfiumError,
};
use std::time::{Duration, Instant};

/// Longest side of a picture, in pixels: 1.4 pixels per point of an A4 page.
const LONGEST_SIDE_PX: f32 = 1200.0;

/// Maximum number of pixels per point, for small pages.
const MAX_PIXELS_PER_POINT: f32 = 4.0;

/// Difference of a colour channel, out of 255, from which a pixel counts as changed.
const MIN_CHANGE: u8 = 6;

/// Maximum number of text objects of a page whose visibility is examined.
const MAX_TEXT_OBJECTS: usize = 20_000;

/// Maximum depth of form objects within form objects.
const MAX_DEPTH: usize = 8;

/// Maximum number of pictures for texts that lie upon each other.
const MAX_PASSES: usize = 6;

/// Share of the smaller of two texts from which they lie upon each other.
const MIN_OVERLAP: f32 = 0.3;

/// Time for the pictures of a document. Pages after it are read without pictures.
const MAX_TIME: Duration = Duration::from_secs(8);

/// Share of a word's characters that must be in the picture for the word to be visible.
const MIN_VISIBLE_SHARE: f32 = 0.5;

/// Time left for the pictures of a document.
#[derive(Debug)]
pub(super) struct PictureBudget(Duration);

impl Default for PictureBudget {
    fn default() -> Self {
        Self(MAX_TIME)
    }
}

impl PictureBudget {
    pub(super) fn is_spent(&self) -> bool {
        self.0.is_zero()
    }

    pub(super) fn spend<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let done = work();
        self.0 = self.0.saturating_sub(started.elapsed());
        done
    }
}

/// A text object of a page, at any depth.
struct TextObject<'a> {
    object: PdfPageObject<'a>,
    area: Area,
    /// True for the render mode that draws nothing.
    is_invisible: bool,
    is_hidden: bool,
}

/// The pixels of a page that change with its text.
pub(super) struct Ink {
    changed: Vec<bool>,
    width: usize,
    height: usize,
    scale: f32,
}

/// Result of examining a page's text objects.
pub(super) struct Examined<'a> {
    objects: Vec<TextObject<'a>>,
    /// The pixels that change with the text; `None` when there was no time for pictures.
    pub(super) ink: Option<Ink>,
    /// True when text objects that are covered by another text were taken out of the page.
    pub(super) has_hidden: bool,
    /// True when no text of the page is drawn, as in the text layer of a scan.
    pub(super) is_all_invisible: bool,
}

impl Examined<'_> {
    /// Returns hidden text objects to the page.
    pub(super) fn restore(&mut self) {
        for text in self.objects.iter_mut().filter(|text| text.is_hidden) {
            let _ = call_pdfium(|| text.object.set_active());
        }
    }
}

/// Determines which pixels change with the page's text. Where texts lie upon each other, those that are not in the
/// picture themselves are taken out of the page.
pub(super) fn examine<'a>(page: &'a PdfPage<'_>, display: &Display) -> Result<Examined<'a>, PdfiumError> {
    let mut objects = Vec::new();
    for index in call_pdfium(|| page.objects().as_range()) {
        if let Ok(object) = call_pdfium(|| page.objects().get(index)) {
            collect(object, &PdfMatrix::IDENTITY, display, 0, &mut objects);
        }
    }
    let is_all_invisible = !objects.is_empty() && objects.iter().all(|text| text.is_invisible);
    if objects.is_empty() || is_all_invisible || objects.len() > MAX_TEXT_OBJECTS {
        return Ok(Examined { objects, ink: None, has_hidden: false, is_all_invisible });
    }
    let area = display.area();
    let camera = Camera::new(page, &area);
    let with_text = camera.picture(false)?;
    set_active(&mut objects, |_| false);
    let without_text = camera.picture(false)?;
    let ink = camera.ink(&with_text, &without_text);
    let passes = passes(&objects);
    let last_pass = passes.iter().map(|pass| pass.number).max().unwrap_or(0);
    for number in (0..=last_pass).filter(|_| last_pass > 0) {
        for (text, pass) in objects.iter_mut().zip(&passes) {
            let _ = call_pdfium(|| set_object_active(&mut text.object, pass.number == number));
        }
        let alone = camera.ink(&camera.picture(false)?, &without_text);
        for (text, pass) in objects.iter_mut().zip(&passes) {
            if pass.number == number && pass.is_shared {
                text.is_hidden = !alone.is_in(&text.area.shrunk(0.0, 0.1));
            }
        }
    }
    let hidden: Vec<bool> = objects.iter().map(|text| text.is_hidden).collect();
    set_active(&mut objects, |nth| !hidden[nth]);
    Ok(Examined { objects, ink: Some(ink), has_hidden: hidden.contains(&true), is_all_invisible })
}

/// Determines which pixels change with the annotations of a page, apart from form fields.
pub(super) fn annotation_ink(page: &PdfPage<'_>, display: &Display) -> Result<Ink, PdfiumError> {
    let camera = Camera::new(page, &display.area());
    Ok(camera.ink(&camera.picture(true)?, &camera.picture(false)?))
}

fn set_active(objects: &mut [TextObject<'_>], is_active: impl Fn(usize) -> bool) {
    for (nth, text) in objects.iter_mut().enumerate() {
        // A text that cannot be switched off counts as visible, as does everything that is not examined.
        let _ = call_pdfium(|| set_object_active(&mut text.object, is_active(nth)));
    }
}

fn set_object_active(object: &mut PdfPageObject<'_>, is_active: bool) -> Result<(), PdfiumError> {
    if is_active { object.set_active() } else { object.set_inactive() }
}

/// Adds the text objects within `object` to `texts`.
fn collect<'a>(
    object: PdfPageObject<'a>,
    to_page: &PdfMatrix,
    display: &Display,
    depth: usize,
    texts: &mut Vec<TextObject<'a>>,
) {
    if texts.len() > MAX_TEXT_OBJECTS {
        return;
    }
    let object = match object {
        PdfPageObject::XObjectForm(form) if depth < MAX_DEPTH => {
            let inner = call_pdfium(|| form.matrix()).map_or(*to_page, |matrix| matrix.multiply(*to_page));
            for index in call_pdfium(|| form.as_range()) {
                if let Ok(child) = call_pdfium(|| form.get(index)) {
                    collect(child, &inner, display, depth + 1, texts);
                }
            }
            return;
        }
        object => object,
    };
    // A text that only clips is seen through what it clips.
    let Some(mode) = object.as_text_object().map(|text| call_pdfium(|| text.render_mode())) else { return };
    if mode == PdfPageTextRenderMode::InvisibleClipping {
        return;
    }
    let is_invisible = mode == PdfPageTextRenderMode::Invisible;
    if let Ok(bounds) = call_pdfium(|| object.bounds()) {
        let bounds: PdfQuadPoints = bounds.transform(*to_page);
        let area = display.rect(&bounds.to_rect());
        texts.push(TextObject { object, area, is_invisible, is_hidden: false });
    }
}

/// Pass of a text object, and whether another one lies upon it.
#[derive(Clone, Copy, Default)]
struct Pass {
    number: usize,
    is_shared: bool,
}

/// Returns a pass for each text object, so that no two of a pass lie upon each other.
fn passes(objects: &[TextObject<'_>]) -> Vec<Pass> {
    let mut order: Vec<usize> = (0..objects.len()).collect();
    order.sort_by(|&a, &b| objects[a].area.y0.total_cmp(&objects[b].area.y0));
    let mut passes = vec![Pass::default(); objects.len()];
    let mut open: Vec<usize> = Vec::new();
    let size = |area: &Area| area.width() * area.height();
    for nth in order {
        let area = &objects[nth].area;
        open.retain(|&other| objects[other].area.y1 > area.y0);
        let mut taken = [false; MAX_PASSES + 1];
        for &other in &open {
            let smaller = size(area).min(size(&objects[other].area));
            if smaller > 0.0 && area.overlap(&objects[other].area) > MIN_OVERLAP * smaller {
                taken[passes[other].number] = true;
                (passes[other].is_shared, passes[nth].is_shared) = (true, true);
            }
        }
        passes[nth].number = taken.iter().position(|taken| !taken).unwrap_or(MAX_PASSES);
        open.push(nth);
    }
    passes
}

/// Takes pictures of a page, all of one size.
struct Camera<'a, 'p> {
    page: &'a PdfPage<'p>,
    width: u16,
    height: u16,
    scale: f32,
}

impl<'a, 'p> Camera<'a, 'p> {
    fn new(page: &'a PdfPage<'p>, area: &Area) -> Self {
        let scale = (LONGEST_SIDE_PX / area.width().max(area.height())).min(MAX_PIXELS_PER_POINT);
        // A cast from float to integer saturates.
        let pixels = |points: f32| ((points * scale).round() as u16).clamp(1, LONGEST_SIDE_PX as u16);
        Self { page, width: pixels(area.width()), height: pixels(area.height()), scale }
    }

    fn picture(&self, with_annotations: bool) -> Result<Vec<u8>, PdfiumError> {
        let config = PdfRenderConfig::new()
            .set_fixed_size(self.width.into(), self.height.into())
            .set_format(PdfBitmapFormat::BGRx)
            .render_annotations(with_annotations)
            .limit_render_image_cache_size(true);
        call_pdfium(|| self.page.render_with_config(&config)).map(|bitmap| bitmap.as_raw_bytes())
    }

    fn ink(&self, one: &[u8], other: &[u8]) -> Ink {
        let changed = one.chunks_exact(4).zip(other.chunks_exact(4));
        let changed = changed.map(|(a, b)| (0..3).any(|channel| a[channel].abs_diff(b[channel]) >= MIN_CHANGE));
        Ink { changed: changed.collect(), width: self.width.into(), height: self.height.into(), scale: self.scale }
    }
}

impl Ink {
    /// Returns true when a pixel of the area changes with the text.
    pub(super) fn is_in(&self, area: &Area) -> bool {
        let pixel = |points: f32, most: usize| ((points * self.scale).max(0.0) as usize).min(most);
        let (x0, x1) = (pixel(area.x0, self.width), pixel(area.x1.ceil(), self.width));
        let (y0, y1) = (pixel(area.y0, self.height), pixel(area.y1.ceil(), self.height));
        (y0..y1.max(y0 + 1)).any(|y| {
            let row = y * self.width;
            self.changed.get(row + x0..row + x1.max(x0 + 1)).is_some_and(|pixels| pixels.contains(&true))
        })
    }

    /// Marks the words that are not in the picture as hidden.
    pub(super) fn hide_words(&self, glyphs: &mut [Glyph]) {
        let words = glyphs.chunk_by_mut(|a, b| !a.is_blank() && !b.is_blank());
        for word in words.filter(|word| !word[0].is_blank()) {
            // Fonts for other characters may be missing here, and be there where the document is displayed.
            if word.iter().any(|glyph| !glyph.can_be_drawn) {
                word.iter_mut().for_each(|glyph| glyph.is_hidden |= glyph.is_invisible);
                continue;
            }
            // Dots and commas are at the edge of their box.
            let inner = |glyph: &Glyph| match glyph.is_alphanumeric() {
                true => glyph.area.shrunk(0.1, 0.2),
                false => glyph.area,
            };
            let seen = word.iter().filter(|glyph| self.is_in(&inner(glyph))).count();
            if (seen as f32) < MIN_VISIBLE_SHARE * word.len() as f32 {
                word.iter_mut().for_each(|glyph| glyph.is_hidden = true);
            }
        }
    }
}
