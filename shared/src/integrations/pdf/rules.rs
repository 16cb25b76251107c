//! Ruling lines and shaded boxes of a page, which show the cells of tables.

use super::display::{Area, Display};
use super::guard::call_pdfium;
use pdfium_render::prelude::{
    PdfMatrix, PdfPage, PdfPageObject, PdfPageObjectsCommon, PdfPagePathObject, PdfPathFillMode, PdfPathSegmentType,
    PdfPathSegments,
};

/// Maximum number of a page's objects that are inspected, and of the lines that are kept.
const MAX_OBJECTS: usize = 20_000;
const MAX_STROKES: usize = 6_000;

/// Maximum number of segments of a path that is inspected: drawings have more.
const MAX_SEGMENTS: u32 = 2_000;

/// Maximum depth of form objects within form objects.
const MAX_DEPTH: usize = 4;

/// Thickness up to which a box is a line, in points.
const MAX_THICKNESS: f32 = 3.0;

/// Length from which a line counts, in points.
const MIN_LENGTH: f32 = 4.0;

/// Distance up to which lines are one line, in points.
const MAX_GAP: f32 = 2.5;

/// A straight line across or along the display.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Stroke {
    /// Place across the line.
    pub(super) at: f32,
    /// Beginning and end along the line.
    pub(super) from: f32,
    pub(super) to: f32,
}

impl Stroke {
    /// Returns true when the line passes a place.
    pub(super) fn passes(&self, place: f32) -> bool {
        (self.from - MAX_GAP..=self.to + MAX_GAP).contains(&place)
    }
}

/// The ruling lines and shaded boxes of a page.
#[derive(Debug, Default)]
pub(super) struct Rules {
    pub(super) vertical: Vec<Stroke>,
    pub(super) horizontal: Vec<Stroke>,
    pub(super) shades: Vec<Area>,
}

impl Rules {
    /// Finds the ruling lines of a page.
    pub(super) fn of(page: &PdfPage<'_>, display: &Display) -> Self {
        let mut found = Self::default();
        let mut inspected = 0;
        for index in call_pdfium(|| page.objects().as_range()).take(MAX_OBJECTS) {
            if let Ok(object) = call_pdfium(|| page.objects().get(index)) {
                found.collect(&object, &PdfMatrix::IDENTITY, display, 0, &mut inspected);
            }
        }
        found.vertical = joined(found.vertical);
        found.horizontal = joined(found.horizontal);
        found
    }

    fn collect(
        &mut self,
        object: &PdfPageObject<'_>,
        to_page: &PdfMatrix,
        display: &Display,
        depth: usize,
        inspected: &mut usize,
    ) {
        *inspected += 1;
        if *inspected > MAX_OBJECTS || self.vertical.len() + self.horizontal.len() > MAX_STROKES {
            return;
        }
        match object {
            PdfPageObject::XObjectForm(form) if depth < MAX_DEPTH => {
                let inner = call_pdfium(|| form.matrix()).map_or(*to_page, |matrix| matrix.multiply(*to_page));
                for index in call_pdfium(|| form.as_range()) {
                    if let Ok(child) = call_pdfium(|| form.get(index)) {
                        self.collect(&child, &inner, display, depth + 1, inspected);
                    }
                }
            }
            PdfPageObject::Path(path) => self.add_path(path, to_page, display),
            _ => {}
        }
    }

    fn add_path(&mut self, path: &PdfPagePathObject<'_>, to_page: &PdfMatrix, display: &Display) {
        let is_stroked = call_pdfium(|| path.is_stroked()).unwrap_or(false);
        let is_filled = call_pdfium(|| path.fill_mode()).is_ok_and(|mode| mode != PdfPathFillMode::None);
        let segments = path.segments();
        if !is_stroked && !is_filled || call_pdfium(|| segments.len()) > MAX_SEGMENTS {
            return;
        }
        let matrix = call_pdfium(|| path.matrix()).map_or(*to_page, |matrix| matrix.multiply(*to_page));
        let (mut start, mut last) = ((0.0, 0.0), (0.0, 0.0));
        let mut lines = Vec::new();
        let mut extent: Option<Area> = None;
        for index in 0..call_pdfium(|| segments.len()) {
            let Ok(segment) = call_pdfium(|| segments.get(index)) else { continue };
            let (x, y) = call_pdfium(|| segment.point());
            let (x, y) = matrix.apply_to_points(x, y);
            let point = display.point(x.value, y.value);
            match call_pdfium(|| segment.segment_type()) {
                PdfPathSegmentType::MoveTo => start = point,
                PdfPathSegmentType::LineTo => lines.push((last, point)),
                // Curves draw no cells.
                PdfPathSegmentType::BezierTo | PdfPathSegmentType::Unknown => {}
            }
            if call_pdfium(|| segment.is_close()) {
                lines.push((point, start));
            }
            last = point;
            let Area { x0, y0, x1, y1 } = extent.unwrap_or(Area { x0: point.0, y0: point.1, x1: point.0, y1: point.1 });
            extent = Some(Area { x0: x0.min(point.0), y0: y0.min(point.1), x1: x1.max(point.0), y1: y1.max(point.1) });
        }
        let Some(extent) = extent else { return };
        let is_thin = extent.width().min(extent.height()) <= MAX_THICKNESS;
        if is_stroked || is_thin {
            lines.into_iter().for_each(|(from, to)| self.add_line(from, to));
        } else {
            self.shades.push(extent);
        }
    }

    fn add_line(&mut self, (ax, ay): (f32, f32), (bx, by): (f32, f32)) {
        let (width, height) = ((ax - bx).abs(), (ay - by).abs());
        if width >= MIN_LENGTH && height <= 1.0 {
            self.horizontal.push(Stroke { at: (ay + by) / 2.0, from: ax.min(bx), to: ax.max(bx) });
        } else if height >= MIN_LENGTH && width <= 1.0 {
            self.vertical.push(Stroke { at: (ax + bx) / 2.0, from: ay.min(by), to: ay.max(by) });
        }
    }
}

/// Joins lines that lie upon each other or end where another one begins.
fn joined(mut strokes: Vec<Stroke>) -> Vec<Stroke> {
    strokes.retain(|stroke| stroke.at.is_finite() && stroke.from.is_finite() && stroke.to.is_finite());
    strokes.sort_by(|a, b| a.at.total_cmp(&b.at));
    let mut lines: Vec<Stroke> = Vec::new();
    for group in strokes.chunk_by_mut(|a, b| b.at - a.at <= MAX_GAP) {
        let at = group.iter().map(|stroke| stroke.at).sum::<f32>() / group.len() as f32;
        group.sort_by(|a, b| a.from.total_cmp(&b.from));
        let first = lines.len();
        for stroke in group.iter() {
            match lines[first..].last_mut() {
                Some(line) if stroke.from <= line.to + MAX_GAP => line.to = line.to.max(stroke.to),
                _ => lines.push(Stroke { at, ..*stroke }),
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_line_are_joined() {
        let stroke = |at, from, to| Stroke { at, from, to };
        let parts = vec![stroke(10.0, 50.0, 90.0), stroke(10.5, 0.0, 49.0), stroke(10.0, 120.0, 140.0)];
        let lines = joined(parts);
        assert_eq!(lines.iter().map(|line| (line.from, line.to)).collect::<Vec<_>>(), [(0.0, 90.0), (120.0, 140.0)]);
        assert!(lines[0].passes(91.0) && !lines[0].passes(100.0));
    }
}
