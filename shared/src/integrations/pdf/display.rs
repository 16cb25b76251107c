//! Geometry of a page as it is displayed: cropped and turned, in points from the top left corner.

use super::guard::call_pdfium;
use pdfium_render::prelude::{PdfPage, PdfPageRenderRotation, PdfRect, PdfiumError};

/// Rectangle in points. `y` grows downwards.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Area {
    pub(super) x0: f32,
    pub(super) y0: f32,
    pub(super) x1: f32,
    pub(super) y1: f32,
}

impl Area {
    pub(super) fn width(&self) -> f32 {
        self.x1 - self.x0
    }

    pub(super) fn height(&self) -> f32 {
        self.y1 - self.y0
    }

    /// Returns the area common to both rectangles, in square points.
    pub(super) fn overlap(&self, other: &Self) -> f32 {
        let width = self.x1.min(other.x1) - self.x0.max(other.x0);
        let height = self.y1.min(other.y1) - self.y0.max(other.y0);
        width.max(0.0) * height.max(0.0)
    }

    /// Returns true when the rectangle contains a point.
    pub(super) fn contains(&self, (x, y): (f32, f32)) -> bool {
        (self.x0..=self.x1).contains(&x) && (self.y0..=self.y1).contains(&y)
    }

    /// Returns the rectangle without these shares of its width and height on each side.
    pub(super) fn shrunk(&self, of_width: f32, of_height: f32) -> Self {
        let (x, y) = (self.width() * of_width, self.height() * of_height);
        Self { x0: self.x0 + x, y0: self.y0 + y, x1: self.x1 - x, y1: self.y1 - y }
    }
}

/// The part of a page that is displayed, and its rotation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Display {
    left: f32,
    bottom: f32,
    right: f32,
    top: f32,
    /// Clockwise quarter turns of the page.
    turns: u8,
}

impl Display {
    pub(super) fn of(page: &PdfPage<'_>) -> Result<Self, PdfiumError> {
        let bounds = call_pdfium(|| page.boundaries().bounding())?.bounds;
        let turns = match call_pdfium(|| page.rotation()).unwrap_or(PdfPageRenderRotation::None) {
            PdfPageRenderRotation::None => 0,
            PdfPageRenderRotation::Degrees90 => 1,
            PdfPageRenderRotation::Degrees180 => 2,
            PdfPageRenderRotation::Degrees270 => 3,
        };
        Ok(Self {
            left: bounds.left().value,
            bottom: bounds.bottom().value,
            right: bounds.right().value,
            top: bounds.top().value,
            turns,
        })
    }

    /// Returns the displayed page as a rectangle at the origin.
    pub(super) fn area(&self) -> Area {
        let (width, height) = (self.right - self.left, self.top - self.bottom);
        let (x1, y1) = if self.turns.is_multiple_of(2) { (width, height) } else { (height, width) };
        Area { x0: 0.0, y0: 0.0, x1, y1 }
    }

    /// Returns the part of this display that another display of the same page shows. Merging annotations may enlarge a
    /// page.
    pub(super) fn part(&self, other: &Self) -> Area {
        let (ax, ay) = self.point(other.left, other.bottom);
        let (bx, by) = self.point(other.right, other.top);
        Area { x0: ax.min(bx), y0: ay.min(by), x1: ax.max(bx), y1: ay.max(by) }
    }

    /// Converts a point of the page to a point of the display.
    pub(super) fn point(&self, x: f32, y: f32) -> (f32, f32) {
        match self.turns {
            0 => (x - self.left, self.top - y),
            1 => (y - self.bottom, x - self.left),
            2 => (self.right - x, y - self.bottom),
            _ => (self.top - y, self.right - x),
        }
    }

    /// Converts a rectangle of the page to a rectangle of the display.
    pub(super) fn rect(&self, rect: &PdfRect) -> Area {
        let (ax, ay) = self.point(rect.left().value, rect.bottom().value);
        let (bx, by) = self.point(rect.right().value, rect.top().value);
        Area { x0: ax.min(bx), y0: ay.min(by), x1: ax.max(bx), y1: ay.max(by) }
    }

    /// Converts the clockwise angle of a text on the page, in degrees, to its angle on the display.
    pub(super) fn angle(&self, degrees: f32) -> f32 {
        (degrees + 90.0 * f32::from(self.turns)).rem_euclid(360.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_top_left_corner_moves_clockwise_with_each_quarter_turn() {
        let page = |turns| Display { left: 10.0, bottom: 20.0, right: 110.0, top: 220.0, turns };
        assert_eq!(page(0).point(10.0, 220.0), (0.0, 0.0));
        assert_eq!(page(1).point(10.0, 220.0), (200.0, 0.0));
        assert_eq!(page(2).point(10.0, 220.0), (100.0, 200.0));
        assert_eq!(page(3).point(10.0, 220.0), (0.0, 100.0));
        assert_eq!(page(1).area(), Area { x0: 0.0, y0: 0.0, x1: 200.0, y1: 100.0 });
        assert_eq!(page(3).angle(90.0), 0.0);
    }
}
