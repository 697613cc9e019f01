//! Thrift's compact protocol, as far as one has to read it to trust what it describes.
//!
//! Role: the Parquet library sets memory aside by numbers that it reads, before it reads what they
//! count. In: a structure's bytes. Out: the numbers in it that are asked for, and where it ends. Holds
//! always: nothing is counted that the bytes at hand cannot hold, and no structure nests deeper than
//! Parquet's do.

/// How deep structures may nest; Parquet's do by six.
const MAX_DEPTH: u32 = 16;

/// What is read from.
pub(super) struct Thrift<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// One field of a structure: its number and the type of its value.
#[derive(Clone, Copy)]
pub(super) struct Field {
    pub id: i64,
    kind: u8,
}

impl<'a> Thrift<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Thrift<'a> {
        Thrift { bytes, at: 0 }
    }

    /// How many bytes were read.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The next field of a structure, after the field `last`; nothing where the structure ends.
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

    /// The value of a field that is to be a number; any other is passed over.
    pub(super) fn number_of(&mut self, field: Field) -> Option<Option<i64>> {
        match field.kind {
            4..=6 => self.number().map(Some),
            _ => self.pass(field).map(|()| None),
        }
    }

    /// Whether a field is a structure, to be read field by field.
    pub(super) fn is_structure(field: Field) -> bool {
        field.kind == 12
    }

    /// How many structures a field lists, which are then read one by one; `None` where it lists none.
    pub(super) fn structures(&mut self, field: Field) -> Option<u64> {
        let header = (field.kind == 9).then(|| self.byte())??;
        let count = match header >> 4 {
            15 => self.unsigned()?,
            count => u64::from(count),
        };
        (header & 0xf == 12).then_some(count)
    }

    /// Passes over the value of a field.
    pub(super) fn pass(&mut self, field: Field) -> Option<()> {
        self.value(field.kind, MAX_DEPTH)
    }

    /// Passes over a structure.
    pub(super) fn structure(&mut self) -> Option<()> {
        self.value(12, MAX_DEPTH)
    }

    fn value(&mut self, kind: u8, depth: u32) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match kind {
            // Of a field, a boolean stands in its header.
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
        // Each element has one byte at least.
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
    fn a_list_that_counts_more_than_there_is_is_refused() {
        // Field 1, a list of structures: one empty one; then as many as four bytes can say.
        assert!(Thrift::new(&[0x19, 0x1c, 0, 0]).structure().is_some());
        let many = [0x19, 0xfc, 0xff, 0xff, 0xff, 0x7f, 0, 0];
        assert!(Thrift::new(&many).structure().is_none());
    }

    #[test]
    fn structures_nest_only_so_deep() {
        let nested = |n: usize| [vec![0x1c; n], vec![0; n + 1]].concat();
        assert!(Thrift::new(&nested(8)).structure().is_some());
        assert!(Thrift::new(&nested(100_000)).structure().is_none());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_an_end_within_them(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut thrift = Thrift::new(&bytes);
            let _ = thrift.structure();
            prop_assert!(thrift.at() <= bytes.len());
        }
    }
}
