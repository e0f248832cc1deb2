//! One 8-bit plane of a picture, borrowed: rows of `width` pixels, `stride` bytes apart.

/// The reason why a slice of bytes cannot be a plane of the given shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlaneError {
    /// The stride is shorter than a row, so that rows would overlap.
    #[error("a stride of {stride} bytes is less than the width of {width} pixels")]
    Stride {
        /// Bytes from one row to the next.
        stride: usize,
        /// Pixels in a row.
        width: usize,
    },
    /// The slice ends before the last pixel.
    #[error(
        "a plane of {width}x{height} pixels with stride {stride} needs more than the {have} bytes it has"
    )]
    Short {
        /// Pixels in a row.
        width: usize,
        /// Number of rows.
        height: usize,
        /// Bytes from one row to the next.
        stride: usize,
        /// Bytes in the slice.
        have: usize,
    },
}

/// A plane to read.
#[derive(Clone, Copy, Debug)]
pub struct Plane<'a> {
    data: &'a [u8],
    width: usize,
    height: usize,
    stride: usize,
}

/// A plane to draw in.
#[derive(Debug)]
pub struct PlaneMut<'a> {
    data: &'a mut [u8],
    width: usize,
    height: usize,
    stride: usize,
}

/// Checks that `have` bytes hold `height` rows of `width`; the last row needs no padding.
fn check(have: usize, width: usize, height: usize, stride: usize) -> Result<(), PlaneError> {
    if stride < width {
        return Err(PlaneError::Stride { stride, width });
    }
    let last_row = height.saturating_sub(1).checked_mul(stride);
    let need = last_row.and_then(|bytes| bytes.checked_add(width));
    match need {
        _ if width == 0 || height == 0 => Ok(()),
        Some(need) if need <= have => Ok(()),
        _ => Err(PlaneError::Short {
            width,
            height,
            stride,
            have,
        }),
    }
}

impl<'a> Plane<'a> {
    /// A plane of `width` x `height` pixels in `data`, its rows `stride` bytes apart.
    pub fn new(
        data: &'a [u8],
        width: usize,
        height: usize,
        stride: usize,
    ) -> Result<Self, PlaneError> {
        check(data.len(), width, height, stride)?;
        Ok(Self {
            data,
            width,
            height,
            stride,
        })
    }

    /// Pixels in a row.
    pub const fn width(&self) -> usize {
        self.width
    }

    /// The number of rows.
    pub const fn height(&self) -> usize {
        self.height
    }

    /// The pixels `left..right` of row `y`, as far as the plane has them.
    pub(crate) fn span(&self, y: usize, left: usize, right: usize) -> &'a [u8] {
        let (left, right) = (left.min(self.width), right.min(self.width));
        if y >= self.height || left >= right {
            return &[];
        }
        &self.data[y * self.stride + left..y * self.stride + right]
    }
}

impl<'a> PlaneMut<'a> {
    /// A plane of `width` x `height` pixels in `data`, its rows `stride` bytes apart.
    pub fn new(
        data: &'a mut [u8],
        width: usize,
        height: usize,
        stride: usize,
    ) -> Result<Self, PlaneError> {
        check(data.len(), width, height, stride)?;
        Ok(Self {
            data,
            width,
            height,
            stride,
        })
    }

    /// A view of the plane for reading.
    pub fn as_plane(&self) -> Plane<'_> {
        Plane {
            data: self.data,
            width: self.width,
            height: self.height,
            stride: self.stride,
        }
    }

    /// The pixels `left..right` of row `y`, as far as the plane has them.
    pub(crate) fn span_mut(&mut self, y: usize, left: usize, right: usize) -> &mut [u8] {
        let (left, right) = (left.min(self.width), right.min(self.width));
        if y >= self.height || left >= right {
            return &mut [];
        }
        &mut self.data[y * self.stride + left..y * self.stride + right]
    }

    /// Sets a rectangle to one value, as far as the plane has it.
    pub(crate) fn fill(&mut self, left: usize, top: usize, width: usize, height: usize, value: u8) {
        for y in top..top + height {
            self.span_mut(y, left, left + width).fill(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_shorter_than_claimed_is_refused() {
        let data = [0; 100];
        assert!(Plane::new(&data, 10, 10, 10).is_ok());
        assert!(
            Plane::new(&data, 8, 9, 11).is_ok(),
            "8 * 11 + 8 bytes: the last row needs no padding"
        );
        assert!(matches!(
            Plane::new(&data, 10, 11, 10),
            Err(PlaneError::Short { have: 100, .. })
        ));
        assert!(matches!(
            Plane::new(&data, 10, 2, 9),
            Err(PlaneError::Stride { .. })
        ));
    }

    #[test]
    fn sizes_beyond_the_address_space_are_refused() {
        let most = usize::MAX;
        assert!(Plane::new(&[], most, most, most).is_err());
        assert!(Plane::new(&[], 1, most, most).is_err());
        assert!(PlaneMut::new(&mut [], most, 2, most).is_err());
    }

    #[test]
    fn an_empty_plane_has_no_pixels() {
        let plane = Plane::new(&[], 0, 5, 0).expect("no pixel needs no byte");
        assert!(plane.span(0, 0, 9).is_empty());
    }
}
