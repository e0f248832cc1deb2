//! Makes a line narrower before Tesseract sees it.
//!
//! Its network looks at every column of the line, scaled to 36 rows, and that is nearly all of its work. A monospaced
//! digit is wider than it needs: a line squeezed to two thirds of its width is read in two thirds of the time.

use super::pgm::Image;

/// `image` at `percent` of its width, each new column the mean of the old ones that it covers; `percent` of 100 or more
/// leaves it as it is.
pub(super) fn narrow(image: &Image, percent: usize) -> Image {
    let width = image.width * percent / 100;
    if percent >= 100 || width == 0 {
        return image.clone();
    }
    // In units of 1/percent of an old column, a new one covers exactly 100.
    let mut spans = Vec::with_capacity(width);
    for column in 0..width {
        let (from, to) = (column * 100, (column + 1) * 100);
        let first = from / percent;
        let weights: Vec<u32> = (first..to.div_ceil(percent).min(image.width))
            .map(|old| {
                let covered = to.min((old + 1) * percent) - from.max(old * percent);
                u32::try_from(covered).expect("at most 100")
            })
            .collect();
        spans.push((first, weights));
    }
    let mut pixels = Vec::with_capacity(width * image.height);
    for row in image.pixels.chunks_exact(image.width) {
        for (first, weights) in &spans {
            let sum: u32 = weights
                .iter()
                .zip(&row[*first..])
                .map(|(weight, pixel)| weight * u32::from(*pixel))
                .sum();
            pixels.push(u8::try_from(sum / 100).unwrap_or(u8::MAX));
        }
    }
    Image {
        width,
        height: image.height,
        pixels,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn columns_are_means_of_what_they_cover() {
        let image = Image {
            width: 4,
            height: 1,
            pixels: vec![0, 100, 200, 40],
        };
        assert_eq!(narrow(&image, 50).pixels, [50, 120]);
        // 100/75 = 1.33 old columns each: 0 + 100/3, and so on.
        assert_eq!(narrow(&image, 75).pixels, [25, 150, 80]);
        assert_eq!(narrow(&image, 100), image);
    }

    proptest! {
        #[test]
        fn grey_stays_grey(width in 1..60_usize, grey: u8, percent in 1..130_usize) {
            let image = Image { width, height: 2, pixels: vec![grey; width * 2] };
            let narrowed = narrow(&image, percent);
            prop_assert_eq!(narrowed.pixels.len(), narrowed.width * 2);
            prop_assert!(narrowed.pixels.iter().all(|pixel| *pixel == grey));
        }
    }
}
