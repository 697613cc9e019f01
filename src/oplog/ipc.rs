//! Checks the messages of a payload before the Arrow library decodes them.
//!
//! Role: the library allocates by lengths that it reads. In: a payload. Out: an error if it is
//! malformed. Invariant: a payload that passes is a schema and uncompressed record batches, each
//! message within the payload; so the decoded data is no larger than the payload.

use super::record::RecordError;
use arrow::ipc::{MessageHeader, RecordBatch as IpcBatch, root_as_message};

/// The prefix of a message's length.
const MARK: [u8; 4] = [0xff; 4];

/// Checks that the library can decode a payload safely.
pub(super) fn check(payload: &[u8]) -> Result<(), RecordError> {
    let mut rest = payload;
    let mut first = true;
    while let Some((length, after)) = length_of(rest) {
        if length == 0 {
            return Ok(());
        }
        let (header, after) = usize::try_from(length)
            .ok()
            .and_then(|length| after.split_at_checked(length))
            .ok_or(LONG)?;
        let message = root_as_message(header).map_err(|_| ODD)?;
        match message.header_type() {
            MessageHeader::Schema if first => {}
            MessageHeader::RecordBatch if !first => {
                let batch = message.header_as_record_batch().ok_or(ODD)?;
                if batch.compression().is_some() {
                    return Err(RecordError::Invalid("a payload is compressed within"));
                }
                check_buffers(&batch, message.bodyLength())?;
            }
            _ => return Err(ODD),
        }
        let (_, after) = usize::try_from(message.bodyLength())
            .ok()
            .and_then(|length| after.split_at_checked(length))
            .ok_or(LONG)?;
        (rest, first) = (after, false);
    }
    // The end mark is optional, but must come where a message would.
    match rest.is_empty() && !first {
        true => Ok(()),
        false => Err(ODD),
    }
}

/// Checks that each buffer of a batch lies within the body of its message: the library panics on
/// one that does not.
fn check_buffers(batch: &IpcBatch<'_>, body: i64) -> Result<(), RecordError> {
    let within = |offset: i64, length: i64| {
        offset >= 0 && length >= 0 && offset.checked_add(length).is_some_and(|end| end <= body)
    };
    let buffers = batch.buffers();
    let mut buffers = buffers.iter().flatten();
    let nodes = batch.nodes();
    let mut nodes = nodes.iter().flatten();
    let sound = batch.length() >= 0
        && buffers.all(|buffer| within(buffer.offset(), buffer.length()))
        && nodes.all(|node| (0..=node.length()).contains(&node.null_count()));
    sound.then_some(()).ok_or(LONG)
}

/// Returns the length of the next message's description, and the rest after it.
fn length_of(bytes: &[u8]) -> Option<(i32, &[u8])> {
    let (mut length, mut after) = bytes.split_first_chunk::<4>()?;
    if *length == MARK {
        (length, after) = after.split_first_chunk::<4>()?;
    }
    Some((i32::from_le_bytes(*length), after))
}

const ODD: RecordError = RecordError::Invalid("a payload is not a schema and records");
const LONG: RecordError = RecordError::Invalid("a payload has a message that is longer than it");

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int64Array, RecordBatch};
    use arrow::ipc::CompressionType;
    use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
    use std::sync::Arc;

    fn payload(options: IpcWriteOptions) -> Vec<u8> {
        let column = Arc::new(Int64Array::from_iter_values(0..1000)) as _;
        let batch = RecordBatch::try_from_iter([("n", column)]).unwrap();
        let mut out = Vec::new();
        let mut writer = StreamWriter::try_new_with_options(&mut out, &batch.schema(), options);
        let writer = writer.as_mut().unwrap();
        writer.write(&batch).unwrap();
        writer.finish().unwrap();
        out
    }

    #[test]
    fn a_whole_stream_passes_and_a_cut_one_does_not() {
        let whole = payload(IpcWriteOptions::default());
        assert!(check(&whole).is_ok());
        // Only the end mark may be missing.
        assert!(check(&whole[..whole.len() - 8]).is_ok());
        for end in (0..whole.len() - 8).step_by(7) {
            assert!(check(&whole[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn buffers_that_reach_beyond_the_body_of_their_message_are_refused() {
        let whole = payload(IpcWriteOptions::default());
        // The length of the column's buffer, wherever it is in the description.
        let mut harmed = 0;
        for at in (0..whole.len() - 8).step_by(8) {
            if whole[at..at + 8] == 8_000i64.to_le_bytes() {
                for length in [8_065, i64::MAX, -1] {
                    let mut payload = whole.clone();
                    payload[at..at + 8].copy_from_slice(&i64::to_le_bytes(length));
                    let error = check(&payload).unwrap_err().to_string();
                    assert!(error.contains("longer"), "{error}");
                    harmed += 1;
                }
            }
        }
        assert!(harmed > 0);
    }

    #[test]
    fn what_is_compressed_within_is_refused() {
        let options = IpcWriteOptions::default()
            .try_with_compression(Some(CompressionType::ZSTD))
            .unwrap();
        let said = check(&payload(options)).unwrap_err().to_string();
        assert!(said.contains("compressed"), "{said}");
    }
}
