//! Grey images, and the resampling that the models need.

use crate::Error;

/// Maximum number of pixels of an image: 16 million, an A4 page at 400 dpi.
pub const MAX_PIXELS: usize = 16_000_000;

/// White, and the shade beyond an image's edge.
const WHITE: u8 = u8::MAX;

/// An image in shades of grey, one byte a pixel, row by row from the top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrayImage {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl GrayImage {
    /// Creates an image from its pixels, row by row from the top.
    ///
    /// # Errors
    /// Returns [`Error::ImageSize`] when the number of pixels is not `width` times `height`, is 0 or is more than
    /// [`MAX_PIXELS`].
    pub fn new(width: usize, height: usize, pixels: Vec<u8>) -> Result<Self, Error> {
        if width.checked_mul(height) != Some(pixels.len()) || pixels.is_empty() || pixels.len() > MAX_PIXELS {
            return Err(Error::ImageSize { width, height });
        }
        Ok(Self { width, height, pixels })
    }

    /// Width in pixels.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// Pixels row by row from the top; 0 is black.
    #[must_use]
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// Returns the image turned clockwise by a quarter.
    #[must_use]
    pub fn turned_right(&self) -> Self {
        let columns = 0..self.width;
        let pixels = columns.flat_map(|x| (0..self.height).rev().map(move |y| self.pixels[y * self.width + x]));
        Self { width: self.height, height: self.width, pixels: pixels.collect() }
    }

    /// Returns the image turned upside down.
    #[must_use]
    pub fn turned_over(&self) -> Self {
        Self { pixels: self.pixels.iter().rev().copied().collect(), ..*self }
    }

    /// Returns the image in another size. Each new pixel is the mean of the area that it covers.
    pub(crate) fn resized(&self, width: usize, height: usize) -> Self {
        let (columns, rows) = (Spans::new(self.width, width), Spans::new(self.height, height));
        let mut sums = vec![0.0_f32; width];
        let mut pixels = Vec::with_capacity(width * height);
        for y in 0..height {
            sums.fill(0.0);
            for (row, share) in rows.weights(y) {
                let line = &self.pixels[row * self.width..][..self.width];
                for (x, sum) in sums.iter_mut().enumerate() {
                    let mean: f32 = columns.weights(x).map(|(column, part)| part * f32::from(line[column])).sum();
                    *sum += share * mean;
                }
            }
            pixels.extend(sums.iter().map(|sum| sum.round() as u8));
        }
        Self { width, height, pixels }
    }

    /// Returns the shade at a point, interpolated between the four pixels around it. Pixel centres are at halves.
    pub(crate) fn shade_at(&self, x: f32, y: f32) -> f32 {
        let (x, y) = (x - 0.5, y - 0.5);
        let (left, top) = (x.floor(), y.floor());
        let (right_share, bottom_share) = (x - left, y - top);
        let (left, top) = (left as isize, top as isize);
        let upper = self.pixel(left, top) * (1.0 - right_share) + self.pixel(left + 1, top) * right_share;
        let lower = self.pixel(left, top + 1) * (1.0 - right_share) + self.pixel(left + 1, top + 1) * right_share;
        upper * (1.0 - bottom_share) + lower * bottom_share
    }

    fn pixel(&self, x: isize, y: isize) -> f32 {
        let inside = |at: isize, size: usize| usize::try_from(at).ok().filter(|at| *at < size);
        let pixel = inside(x, self.width).zip(inside(y, self.height)).map(|(x, y)| self.pixels[y * self.width + x]);
        f32::from(pixel.unwrap_or(WHITE))
    }
}

/// Division of `from` pixels into `to` spans of equal length.
struct Spans {
    from: usize,
    length: f32,
}

impl Spans {
    fn new(from: usize, to: usize) -> Self {
        Self { from, length: from as f32 / to as f32 }
    }

    /// Returns the pixels of a span with their shares, which add up to 1.
    fn weights(&self, span: usize) -> impl Iterator<Item = (usize, f32)> {
        let (start, length) = (span as f32 * self.length, self.length);
        let end = start + length;
        let last = (end.ceil() as usize).clamp(1, self.from);
        ((start as usize).min(last - 1)..last).map(move |pixel| {
            let covered = (end.min(pixel as f32 + 1.0) - start.max(pixel as f32)).max(0.0);
            (pixel, covered / length)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(width: usize, pixels: &[u8]) -> GrayImage {
        GrayImage::new(width, pixels.len() / width, pixels.to_vec()).unwrap()
    }

    #[test]
    fn sizes_that_do_not_fit_are_refused() {
        for (width, height, pixels) in [(0, 0, 0), (2, 2, 3), (usize::MAX, 2, 4), (MAX_PIXELS + 1, 1, MAX_PIXELS + 1)] {
            let refused = GrayImage::new(width, height, vec![0; pixels]);
            assert!(matches!(refused, Err(Error::ImageSize { .. })), "{width} x {height}");
        }
    }

    #[test]
    fn a_resized_pixel_is_the_mean_of_its_area() {
        let small = image(4, &[0, 100, 200, 200, 0, 100, 200, 200]).resized(2, 1);
        assert_eq!(small.pixels(), [50, 200]);
        let uneven = image(3, &[0, 90, 240]).resized(2, 1);
        assert_eq!(uneven.pixels(), [30, 190]);
        assert_eq!(image(2, &[10, 20]).resized(4, 2).pixels(), [10, 10, 20, 20, 10, 10, 20, 20]);
    }

    #[test]
    fn turning_moves_the_corners() {
        let page = image(3, &[1, 2, 3, 4, 5, 6]);
        assert_eq!(page.turned_right(), image(2, &[4, 1, 5, 2, 6, 3]));
        assert_eq!(page.turned_over(), image(3, &[6, 5, 4, 3, 2, 1]));
    }

    #[test]
    fn a_shade_between_pixels_is_interpolated_and_white_beyond_the_edge() {
        let page = image(2, &[0, 100]);
        assert!((page.shade_at(1.0, 0.5) - 50.0).abs() < 0.01);
        assert!((page.shade_at(-9.0, -9.0) - 255.0).abs() < 0.01);
    }
}
