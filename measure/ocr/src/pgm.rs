//! Binary PGM (netpbm's `P5`), several images in one file, read one at a time.
//!
//! netpbm defines such a file as a sequence of images; both xr-client and `ffmpeg -f image2pipe` write it. The reader is
//! total and bounded: whatever the bytes are, it keeps at most one image of [`MAX_PIXELS`].

use std::io::{self, BufRead, Read as _};

/// The largest image that is read: more than two lines of digits ever need, in pixels.
pub const MAX_PIXELS: usize = 4 << 20;

/// A comment in the header is at most this long, in bytes.
const MAX_COMMENT_BYTES: usize = 4_096;

/// A grey picture of 8 bits a pixel, its rows without gaps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `width * height` bytes, 0 black.
    pub pixels: Vec<u8>,
}

impl Image {
    /// The rows from `top`, `height` of them, as far as there are any.
    #[must_use]
    pub fn rows(&self, top: usize, height: usize) -> Self {
        let from = top.min(self.height);
        let to = top.saturating_add(height).min(self.height);
        Self {
            width: self.width,
            height: to - from,
            pixels: self.pixels[from * self.width..to * self.width].to_vec(),
        }
    }

    /// The upper and the lower half: the two lines of a strip.
    #[must_use]
    pub fn halves(&self) -> [Self; 2] {
        let half = self.height / 2;
        [self.rows(0, half), self.rows(half, half)]
    }
}

/// The reason why a file's next image could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PgmError {
    /// The file could not be read.
    #[error("cannot read image {image}")]
    Io {
        image: u64,
        /// What the system said.
        source: io::Error,
    },
    /// The bytes at the image's start are no header of a binary PGM of 8 bits.
    #[error(
        "image {image} does not begin as a binary PGM of 8 bits a pixel (\"P5 WIDTH HEIGHT 255\")"
    )]
    Header { image: u64 },
    /// The header asks for more than [`MAX_PIXELS`].
    #[error("image {image} has {width}x{height} pixels; at most {MAX_PIXELS} are read")]
    TooLarge {
        image: u64,
        /// Pixels in a row.
        width: usize,
        /// Rows.
        height: usize,
    },
}

/// Reads the images of one file in order.
#[derive(Debug)]
pub struct PgmReader<R> {
    from: R,
    image: u64,
    ended: bool,
    cut_off: bool,
}

impl<R: BufRead> PgmReader<R> {
    /// A reader of the images in `from`.
    pub const fn new(from: R) -> Self {
        Self {
            from,
            image: 0,
            ended: false,
            cut_off: false,
        }
    }

    /// Whether the file ended within an image, which was left out. Known once the images are read.
    pub const fn was_cut_off(&self) -> bool {
        self.cut_off
    }

    fn read(&mut self) -> Result<Option<Image>, PgmError> {
        let Some([width, height, depth]) = self.header()? else {
            return Ok(None);
        };
        let image = self.image;
        let pixels = width
            .checked_mul(height)
            .filter(|pixels| *pixels <= MAX_PIXELS)
            .ok_or(PgmError::TooLarge {
                image,
                width,
                height,
            })?;
        if !(1..=255).contains(&depth) || pixels == 0 {
            return Err(PgmError::Header { image });
        }
        let mut found = Image {
            width,
            height,
            pixels: Vec::with_capacity(pixels),
        };
        (&mut self.from)
            .take(pixels as u64)
            .read_to_end(&mut found.pixels)
            .map_err(|source| PgmError::Io { image, source })?;
        if found.pixels.len() < pixels {
            self.cut_off = true;
            return Ok(None);
        }
        self.image += 1;
        Ok(Some(found))
    }

    /// Width, height and the value of white; nothing at the end of the file.
    fn header(&mut self) -> Result<Option<[usize; 3]>, PgmError> {
        let wrong = PgmError::Header { image: self.image };
        let Some(first) = self.byte()? else {
            return Ok(None);
        };
        match self.byte()? {
            _ if first != b'P' => return Err(wrong),
            Some(b'5') => {}
            Some(_) => return Err(wrong),
            None => return Ok(self.cut()),
        }
        let mut numbers = [0_usize; 3];
        let Some(mut next) = self.byte()? else {
            return Ok(self.cut());
        };
        for number in &mut numbers {
            if !next.is_ascii_whitespace() && next != b'#' {
                return Err(wrong);
            }
            let mut skipped = 0;
            while next.is_ascii_whitespace() || next == b'#' {
                if next == b'#' {
                    while !matches!(self.byte()?, Some(b'\n') | None) {
                        skipped += 1;
                    }
                }
                skipped += 1;
                if skipped > MAX_COMMENT_BYTES {
                    return Err(wrong);
                }
                let Some(byte) = self.byte()? else {
                    return Ok(self.cut());
                };
                next = byte;
            }
            if !next.is_ascii_digit() {
                return Err(wrong);
            }
            while next.is_ascii_digit() {
                *number = number
                    .checked_mul(10)
                    .and_then(|number| number.checked_add(usize::from(next - b'0')))
                    .ok_or(PgmError::Header { image: self.image })?;
                let Some(byte) = self.byte()? else {
                    return Ok(self.cut());
                };
                next = byte;
            }
        }
        // One byte of white space ends the header: it is in `next`.
        if next.is_ascii_whitespace() {
            Ok(Some(numbers))
        } else {
            Err(wrong)
        }
    }

    fn cut<T>(&mut self) -> Option<T> {
        self.cut_off = true;
        None
    }

    fn byte(&mut self) -> Result<Option<u8>, PgmError> {
        let image = self.image;
        let io = |source| PgmError::Io { image, source };
        let byte = self.from.fill_buf().map_err(io)?.first().copied();
        if byte.is_some() {
            self.from.consume(1);
        }
        Ok(byte)
    }
}

impl<R: BufRead> Iterator for PgmReader<R> {
    type Item = Result<Image, PgmError>;

    /// The next image; after an error there is none, since nothing says where another would begin.
    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let read = self.read().transpose();
        self.ended = !matches!(read, Some(Ok(_)));
        read
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(bytes: &[u8]) -> (Vec<Image>, bool, bool) {
        let mut reader = PgmReader::new(bytes);
        let mut images = Vec::new();
        let mut failed = false;
        for image in &mut reader {
            match image {
                Ok(image) => images.push(image),
                Err(_) => failed = true,
            }
        }
        (images, reader.was_cut_off(), failed)
    }

    #[test]
    fn images_follow_one_another_whatever_their_headers_look_like() {
        let bytes = b"P5\n2 1\n255\nabP5 # written by hand\n3\t1 255 \n\x00\x01P5 1 1 255 z";
        let (images, cut_off, failed) = all(bytes);
        let sizes: Vec<_> = images.iter().map(|image| image.width).collect();
        assert_eq!(sizes, [2, 3, 1]);
        assert_eq!(images[1].pixels, b"\n\x00\x01");
        assert!(!cut_off && !failed);
    }

    #[test]
    fn the_rest_of_a_crash_is_left_out_and_said() {
        let (images, cut_off, failed) = all(b"P5 2 1 255\nabP5 2 1 255\na");
        assert_eq!((images.len(), cut_off, failed), (1, true, false));
        assert_eq!(all(b"P5 2 1 255\nabP5 2"), (images, true, false));
    }

    #[test]
    fn what_is_no_such_image_fails() {
        for bytes in [
            b"P6 1 1 255\nabc".as_slice(),
            b"hello",
            b"P5 1 1 65535\nab",
            b"P5 0 1 255\n",
            b"P5 -1 1 255\n",
            b"P5 99999999999999999999999 1 255\n",
            b"P5 100000 100000 255\n",
            b"P51 1 255\na",
        ] {
            let (images, _, failed) = all(bytes);
            assert!(images.is_empty() && failed, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_an_end(bytes: Vec<u8>) {
            all(&bytes);
            all(&[b"P5 3 3 255\n", bytes.as_slice()].concat());
        }

        #[test]
        fn what_was_written_is_read(sizes in prop::collection::vec((1..40_usize, 1..40_usize, any::<u8>()), 0..9)) {
            let mut bytes = Vec::new();
            for (width, height, grey) in &sizes {
                bytes.extend(format!("P5\n{width} {height}\n255\n").bytes());
                bytes.extend(std::iter::repeat_n(*grey, width * height));
            }
            let (images, cut_off, failed) = all(&bytes);
            prop_assert!(!cut_off && !failed);
            let read: Vec<_> = images.iter().map(|image| (image.width, image.height, image.pixels[0])).collect();
            prop_assert_eq!(read, sizes);
        }
    }
}
