//! The recipe of Concat: files one after the other.

use crate::derive::DeriveError;
use crate::derive::cache::Draft;
use crate::derive::node::Input;
use crate::derive::recipes::{Making, Opened, Recipe, Written, Wrong};
use crate::query::Blob;
use std::io::Write;
use std::sync::Arc;

/// Concatenates files.
pub(super) struct ConcatRecipe {
    pub(super) inputs: Vec<Input>,
    /// Whether only the first file keeps its first line.
    pub(super) header_once: bool,
    /// Text between two files.
    pub(super) separator: String,
}

impl Recipe for ConcatRecipe {
    fn inputs(&self) -> Vec<&Input> {
        self.inputs.iter().collect()
    }

    fn identity(&self) -> String {
        format!("concat {} {:?}", self.header_once, self.separator)
    }

    fn is_table(&self) -> bool {
        false
    }

    fn reads_rows(&self) -> bool {
        false
    }

    fn write(&self, inputs: &Opened, making: &mut Making<'_, '_>) -> Result<Written, Wrong> {
        concat(
            &inputs.blobs,
            self.header_once,
            &self.separator,
            making.draft,
        )?;
        Ok(Written::default())
    }
}

/// Concatenates files. With `header_once`, drops the first line of all files but the first; these
/// lines must be equal.
fn concat(
    blobs: &[(String, Arc<dyn Blob>)],
    header_once: bool,
    separator: &str,
    to: &mut Draft<'_>,
) -> Result<(), DeriveError> {
    const PIECE: u64 = 1 << 20;
    let mut header: Option<Vec<u8>> = None;
    for (n, (path, blob)) in blobs.iter().enumerate() {
        if n > 0 {
            to.write_all(separator.as_bytes())?;
        }
        let mut from = 0;
        if header_once {
            let head = blob.read(0..blob.len().min(PIECE))?;
            let end = head
                .iter()
                .position(|byte| *byte == b'\n')
                .map_or(head.len(), |at| at + 1);
            let line = head.slice(..end);
            match &header {
                None => header = Some(line.to_vec()),
                Some(first) if first.trim_ascii_end() == line.trim_ascii_end() => from = end as u64,
                Some(_) => {
                    let why = format!("{path}: its header is not that of the files before it");
                    return Err(DeriveError::new(why));
                }
            }
        }
        while from < blob.len() {
            let end = blob.len().min(from + PIECE);
            to.write_all(&blob.read(from..end)?)?;
            from = end;
        }
    }
    Ok(())
}
