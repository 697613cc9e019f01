//! Parses Thrift's compact protocol, as far as Parquet metadata has to be checked.
//!
//! The Parquet library allocates memory by counts in the metadata before it reads the elements.
//! [`pages`](super::pages) uses this parser to check them first.
//!
//! Invariants: a list has no more elements than the input has bytes. Structures do not nest deeper
//! than [`MAX_DEPTH`].

/// Greatest nesting depth of structures. Parquet uses six levels.
const MAX_DEPTH: u32 = 16;

/// A cursor in a structure's bytes. All methods return `None` for malformed input.
pub(super) struct Thrift<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// A field header: its id and the type of its value.
#[derive(Clone, Copy)]
pub(super) struct Field {
    pub id: i64,
    kind: u8,
}

impl<'a> Thrift<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Thrift<'a> {
        Thrift { bytes, at: 0 }
    }

    /// Returns the number of bytes that were read.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Reads the header of the field after field `last`; `Some(None)` at the end of the structure.
    pub(super) fn field(&mut self, last: i64) -> Option<Option<Field>> {
        let header = self.byte()?;
        if header == 0 {
            return Some(None);
        }
        let id = match header >> 4 {
            0 => self.number()?,
            step => last.checked_add(i64::from(step))?,
        };
        let kind = header & 0xf;
        Some(Some(Field { id, kind }))
    }

    /// Reads the value of a field if it is an integer. Skips any other and returns `Some(None)`.
    pub(super) fn number_of(&mut self, field: Field) -> Option<Option<i64>> {
        match field.kind {
            4..=6 => self.number().map(Some),
            _ => self.pass(field).map(|()| None),
        }
    }

    /// Returns whether the value of a field is a structure, to be read field by field.
    pub(super) fn is_structure(field: Field) -> bool {
        field.kind == 12
    }

    /// Reads the header of a list of structures and returns their number.
    pub(super) fn structures(&mut self, field: Field) -> Option<u64> {
        let header = (field.kind == 9).then(|| self.byte())??;
        let count = match header >> 4 {
            15 => self.unsigned()?,
            count => u64::from(count),
        };
        (header & 0xf == 12).then_some(count)
    }

    /// Skips the value of a field.
    pub(super) fn pass(&mut self, field: Field) -> Option<()> {
        self.value(field.kind, MAX_DEPTH)
    }

    /// Skips a structure.
    pub(super) fn structure(&mut self) -> Option<()> {
        self.value(12, MAX_DEPTH)
    }

    fn value(&mut self, kind: u8, depth: u32) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match kind {
            // The value of a boolean field is in its header.
            1 | 2 => Some(()),
            3 => self.take(1),
            4..=6 => self.number().map(drop),
            7 => self.take(8),
            8 => {
                let length = self.unsigned()?;
                self.take(usize::try_from(length).ok()?)
            }
            9 | 10 => self.list(depth),
            12 => {
                let mut last = 0;
                while let Some(field) = self.field(last)? {
                    self.value(field.kind, depth)?;
                    last = field.id;
                }
                Some(())
            }
            // Parquet has no maps.
            _ => None,
        }
    }

    fn list(&mut self, depth: u32) -> Option<()> {
        let header = self.byte()?;
        let count = match header >> 4 {
            15 => self.unsigned()?,
            count => u64::from(count),
        };
        // Each element takes at least one byte.
        let left = self.bytes.len() - self.at;
        if count > left as u64 {
            return None;
        }
        for _ in 0..count {
            match header & 0xf {
                1 | 2 => self.take(1)?,
                kind => self.value(kind, depth)?,
            }
        }
        Some(())
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn take(&mut self, n: usize) -> Option<()> {
        let end = self.at.checked_add(n)?;
        (end <= self.bytes.len()).then(|| self.at = end)
    }

    fn unsigned(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn number(&mut self) -> Option<i64> {
        let number = self.unsigned()?;
        Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_list_with_more_elements_than_bytes_is_refused() {
        // A list of structures in field 1: one empty structure, then a count of 2^31 and more.
        assert!(Thrift::new(&[0x19, 0x1c, 0, 0]).structure().is_some());
        let many = [0x19, 0xfc, 0xff, 0xff, 0xff, 0x7f, 0, 0];
        assert!(Thrift::new(&many).structure().is_none());
    }

    #[test]
    fn deeply_nested_structures_are_refused() {
        let nested = |n: usize| [vec![0x1c; n], vec![0; n + 1]].concat();
        assert!(Thrift::new(&nested(8)).structure().is_some());
        assert!(Thrift::new(&nested(100_000)).structure().is_none());
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_without_reading_past_the_end(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut thrift = Thrift::new(&bytes);
            let _ = thrift.structure();
            prop_assert!(thrift.at() <= bytes.len());
        }
    }
}
