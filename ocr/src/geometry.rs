//! Places of texts on a page whose lines may be skewed.

use rten_imageproc::{Point, PointF, min_area_rect};

/// Direction of a page's lines.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Frame {
    cos: f32,
    sin: f32,
}

impl Frame {
    /// Creates the frame of lines that fall by `angle` radians, clockwise from the horizontal.
    pub(crate) fn new(angle: f32) -> Self {
        Self { cos: angle.cos(), sin: angle.sin() }
    }

    /// Returns a point of the image in the frame: along the lines, and across them.
    fn project(self, point: PointF) -> (f32, f32) {
        (point.x * self.cos + point.y * self.sin, point.y * self.cos - point.x * self.sin)
    }

    /// Returns a point of the frame in the image.
    pub(crate) fn locate(self, along: f32, across: f32) -> (f32, f32) {
        (along * self.cos - across * self.sin, along * self.sin + across * self.cos)
    }
}

/// Rectangle on the upright page, in pixels of the image from its top left corner.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// Left edge.
    pub left: f32,
    /// Upper edge.
    pub top: f32,
    /// Length of the text.
    pub width: f32,
    /// Height of the text.
    pub height: f32,
}

impl Place {
    /// Right edge.
    #[must_use]
    pub fn right(&self) -> f32 {
        self.left + self.width
    }

    /// Lower edge.
    #[must_use]
    pub fn bottom(&self) -> f32 {
        self.top + self.height
    }

    /// Height of the middle.
    #[must_use]
    pub fn middle(&self) -> f32 {
        self.top + self.height / 2.0
    }

    /// Returns the smallest rectangle of a frame around points; `None` without points.
    pub(crate) fn around(points: &[PointF], frame: Frame) -> Option<Self> {
        let mut points = points.iter().map(|point| frame.project(*point));
        let first = points.next()?;
        let (left, top, right, bottom) = points
            .fold((first.0, first.1, first.0, first.1), |(left, top, right, bottom), (x, y)| {
                (left.min(x), top.min(y), right.max(x), bottom.max(y))
            });
        Some(Self { left, top, width: right - left, height: bottom - top })
    }

    /// Returns the rectangle with `margin` more on each side.
    pub(crate) fn grown(self, margin: f32) -> Self {
        Self {
            left: self.left - margin,
            top: self.top - margin,
            width: self.width + 2.0 * margin,
            height: self.height + 2.0 * margin,
        }
    }
}

/// Outline of a text that was found in an image.
#[derive(Debug, Clone)]
pub(crate) struct Region {
    /// Points in pixels of the image.
    pub(crate) outline: Vec<PointF>,
}

impl Region {
    /// Returns the length and the angle of the longer side, clockwise from the horizontal, within a quarter turn in
    /// both directions. `None` for a text too short to have a direction.
    fn direction(&self) -> Option<(f32, f32)> {
        let corners = min_area_rect(&self.outline)?.corners();
        let side = |from: PointF, to: PointF| (to.x - from.x, to.y - from.y);
        let (one, other) = (side(corners[0], corners[1]), side(corners[1], corners[2]));
        let length = |side: (f32, f32)| side.0.hypot(side.1);
        let (long, short) = if length(one) >= length(other) { (one, other) } else { (other, one) };
        if length(long) < MIN_DIRECTION_RATIO * length(short).max(1.0) {
            return None;
        }
        // A line has no beginning here: opposite directions count as one.
        let angle = (long.1 / long.0).atan();
        Some((length(long), if angle.is_nan() { 0.0 } else { angle }))
    }
}

/// Ratio of length to height from which a text shows the direction of the page's lines.
const MIN_DIRECTION_RATIO: f32 = 4.0;

/// Direction of most of a page's text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Direction {
    /// The lines fall by this angle, in radians, clockwise from the horizontal.
    Horizontal(f32),
    /// The page lies on its side.
    Vertical,
}

/// Returns the direction of most of the text: the median of the angles, weighted by length.
pub(crate) fn direction(regions: &[Region]) -> Direction {
    let mut directions: Vec<(f32, f32)> = regions.iter().filter_map(Region::direction).collect();
    let is_horizontal = |angle: f32| angle.abs() < std::f32::consts::FRAC_PI_4;
    let sum = |directions: &[(f32, f32)]| directions.iter().map(|(length, _)| length).sum::<f32>();
    let total = sum(&directions);
    directions.retain(|(_, angle)| is_horizontal(*angle));
    let horizontal = sum(&directions);
    if horizontal < total / 2.0 {
        return Direction::Vertical;
    }
    directions.sort_by(|one, other| one.1.total_cmp(&other.1));
    let mut passed = 0.0;
    let median = directions.iter().find(|(length, _)| {
        passed += length;
        passed >= horizontal / 2.0
    });
    Direction::Horizontal(median.map_or(0.0, |(_, angle)| *angle))
}

/// Returns a point in pixels.
pub(crate) fn point(x: f32, y: f32) -> PointF {
    Point::from_yx(y, x)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A text of `width` by `height` around a centre, turned by `angle` radians.
    fn region(width: f32, height: f32, angle: f32) -> Region {
        let frame = Frame::new(angle);
        let corners = [(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)];
        let outline = corners.map(|(x, y)| {
            let (x, y) = frame.locate(x * width / 2.0, y * height / 2.0);
            point(x + 500.0, y + 300.0)
        });
        Region { outline: outline.to_vec() }
    }

    #[test]
    fn the_direction_is_that_of_most_of_the_text() {
        let skew = 0.05;
        let page = [region(400.0, 20.0, skew), region(300.0, 20.0, skew), region(100.0, 20.0, -0.7)];
        let Direction::Horizontal(angle) = direction(&page) else { panic!("not horizontal") };
        assert!((angle - skew).abs() < 0.001, "{angle}");
        let side = std::f32::consts::FRAC_PI_2;
        let turned = [region(400.0, 20.0, side), region(300.0, 20.0, -side + 0.02), region(100.0, 20.0, 0.0)];
        assert_eq!(direction(&turned), Direction::Vertical);
    }

    #[test]
    fn short_texts_have_no_direction() {
        assert_eq!(direction(&[region(30.0, 20.0, 0.3)]), Direction::Horizontal(0.0));
        assert_eq!(direction(&[]), Direction::Horizontal(0.0));
    }

    #[test]
    fn a_place_in_the_frame_of_the_lines_is_upright() {
        let frame = Frame::new(0.1);
        let place = Place::around(&region(200.0, 20.0, 0.1).outline, frame).unwrap();
        assert!((place.width - 200.0).abs() < 0.1 && (place.height - 20.0).abs() < 0.1, "{place:?}");
        let (x, y) = frame.locate(place.left + 100.0, place.middle());
        assert!((x - 500.0).abs() < 0.1 && (y - 300.0).abs() < 0.1, "{x} {y}");
    }
}
