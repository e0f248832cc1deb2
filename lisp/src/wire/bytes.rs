//! Reading fields off a message.

use super::malformed::Malformed;

/// The rest of a message that is being read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    all: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(all: &'a [u8]) -> Self {
        Self { all, at: 0 }
    }

    pub(super) fn slice(&mut self, bytes: usize) -> Result<&'a [u8], Malformed> {
        let field = self.rest().get(..bytes);
        let field = field.ok_or(Malformed::Truncated(self.all.len()))?;
        self.at += bytes;
        Ok(field)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let mut field = [0; N];
        field.copy_from_slice(self.slice(N)?);
        Ok(field)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Malformed> {
        self.array().map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    pub(super) fn u128(&mut self) -> Result<u128, Malformed> {
        self.array().map(u128::from_be_bytes)
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        &self.all[self.at..]
    }

    /// Nothing may be left.
    pub(super) fn end(&self) -> Result<(), Malformed> {
        match self.rest().len() {
            0 => Ok(()),
            left => Err(Malformed::Trailing(left)),
        }
    }
}

/// The count of a list, which one byte has to hold.
pub(super) fn count<T>(list: &[T]) -> u8 {
    u8::try_from(list.len()).expect("lists of a message have at most 255 elements")
}
