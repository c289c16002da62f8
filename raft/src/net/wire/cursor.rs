//! Taking values off bytes, one after the other.

use std::ops::Range;

use super::error::WireError;

/// Bytes, and how far they are read.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next `len` bytes, as a range of the whole.
    pub(super) fn range(&mut self, len: usize) -> Result<Range<usize>, WireError> {
        let end = self.at.checked_add(len).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or(WireError::Short)?;
        let range = self.at..end;
        self.at = end;
        Ok(range)
    }

    pub(super) fn bytes(&mut self, len: usize) -> Result<&'a [u8], WireError> {
        let range = self.range(len)?;
        Ok(&self.bytes[range])
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        Ok(self.bytes(N)?.try_into().expect("so many were taken"))
    }

    pub(super) fn u8(&mut self) -> Result<u8, WireError> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub(super) fn u16(&mut self) -> Result<u16, WireError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(super) fn u32(&mut self) -> Result<u32, WireError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, WireError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(super) fn u128(&mut self) -> Result<u128, WireError> {
        Ok(u128::from_le_bytes(self.array()?))
    }

    /// `len` as it is written: of what follows.
    pub(super) fn len(&mut self) -> Result<usize, WireError> {
        usize::try_from(self.u32()?).map_err(|_| WireError::Short)
    }

    /// A byte that says yes or no.
    pub(super) fn flag(&mut self, what: &'static str) -> Result<bool, WireError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            found => Err(WireError::Case { what, found }),
        }
    }

    /// Bytes without a meaning.
    pub(super) fn zeros<const N: usize>(&mut self) -> Result<(), WireError> {
        match self.array::<N>()? == [0; N] {
            true => Ok(()),
            false => Err(WireError::NotZero),
        }
    }

    /// A text that can be printed in a line.
    pub(super) fn text(&mut self, len: usize, what: &'static str) -> Result<String, WireError> {
        let text = std::str::from_utf8(self.bytes(len)?).map_err(|_| WireError::Text(what))?;
        match text.contains(char::is_control) {
            true => Err(WireError::Text(what)),
            false => Ok(text.to_owned()),
        }
    }

    /// All that is left.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        let rest = &self.bytes[self.at..];
        self.at = self.bytes.len();
        rest
    }

    /// Nothing may be left.
    pub(super) fn end(self) -> Result<(), WireError> {
        match self.bytes.len() - self.at {
            0 => Ok(()),
            left => Err(WireError::Long(left)),
        }
    }
}
