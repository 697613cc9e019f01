//! Reads one request line from a client, within limits of length, time and memory.
//!
//! A client may send anything, at any speed, on many connections. A line has a maximum length and
//! a deadline. Only one long line is in memory at a time. A line with more JSON values than any
//! request has is rejected before it is parsed: a parsed value takes many times its text's memory.

use parking_lot::{Mutex, MutexGuard};
use std::io::{self, BufRead, BufReader};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// The maximum length of a line in bytes.
pub(super) const MAX: usize = 16 << 20;
/// Lines longer than this are read one at a time.
pub(super) const LONG: usize = 64 << 10;
/// The maximum number of JSON values in a line. A path that is not UTF-8 has one for each byte.
pub(super) const MAX_VALUES: usize = 1 << 20;

/// A complete line.
pub(super) struct Line<'l> {
    /// Its bytes with the newline.
    pub(super) bytes: Vec<u8>,
    /// Held as long as a long line is in memory.
    long: Option<MutexGuard<'l, ()>>,
}

/// Why no line was read.
#[derive(Debug)]
pub(super) enum ReadError {
    /// The client has closed the connection between two lines.
    Closed,
    /// The line is longer than [`MAX`], or the connection was closed within it.
    TooLong,
    /// The deadline has passed, or the connection failed.
    Io(io::Error),
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> ReadError {
        ReadError::Io(error)
    }
}

/// Reads a line that has to be complete within `limit`. Long lines are read under the lock `long`.
pub(super) fn read_line<'l>(
    stream: &mut BufReader<UnixStream>,
    limit: Duration,
    long: &'l Mutex<()>,
) -> Result<Line<'l>, ReadError> {
    let deadline = Instant::now() + limit;
    let timed_out = || ReadError::Io(io::ErrorKind::TimedOut.into());
    let mut line = Line {
        bytes: Vec::new(),
        long: None,
    };
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(timed_out());
        }
        stream.get_ref().set_read_timeout(Some(left))?;
        let found = match stream.fill_buf() {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        if found.is_empty() {
            return Err(match line.bytes.is_empty() {
                true => ReadError::Closed,
                false => ReadError::TooLong,
            });
        }
        let end = found.iter().position(|b| *b == b'\n').map(|at| at + 1);
        let taken = end.unwrap_or(found.len());
        if line.bytes.len() + taken > MAX {
            return Err(ReadError::TooLong);
        }
        if line.long.is_none() && line.bytes.len() + taken > LONG {
            line.long = Some(long.try_lock_until(deadline).ok_or_else(timed_out)?);
        }
        line.bytes.extend_from_slice(&found[..taken]);
        stream.consume(taken);
        if end.is_some() {
            return Ok(line);
        }
    }
}

/// Returns whether a line has at most [`MAX_VALUES`] JSON values.
pub(super) fn is_within_value_limit(line: &[u8]) -> bool {
    let (mut values, mut quoted, mut escaped) = (0, false, false);
    for byte in line {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' | b'[' | b'{' if !quoted => values += 1,
            _ => {}
        }
    }
    values <= MAX_VALUES
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const LIMIT: Duration = Duration::from_secs(30);

    fn pair() -> (UnixStream, BufReader<UnixStream>) {
        let (client, server) = UnixStream::pair().unwrap();
        (client, BufReader::new(server))
    }

    #[test]
    fn lines_are_read_one_by_one_however_they_are_split() {
        let long = Mutex::new(());
        let (mut client, mut server) = pair();
        client.write_all(b"one\ntw").unwrap();
        let mut read = || read_line(&mut server, LIMIT, &long).map(|line| line.bytes);
        assert_eq!(read().unwrap(), b"one\n");
        client.write_all(b"o\nend").unwrap();
        assert_eq!(read().unwrap(), b"two\n");
        drop(client);
        assert!(matches!(read(), Err(ReadError::TooLong)));
        assert!(matches!(read(), Err(ReadError::Closed)));
    }

    #[test]
    fn a_line_that_does_not_end_fails_at_its_deadline() {
        let long = Mutex::new(());
        let (mut client, mut server) = pair();
        client.write_all(b"{").unwrap();
        let failed = read_line(&mut server, Duration::from_millis(20), &long);
        assert!(matches!(failed, Err(ReadError::Io(_))));
    }

    #[test]
    fn a_second_long_line_waits_for_the_first() {
        let long = Mutex::new(());
        let (mut client, mut server) = pair();
        let writer = std::thread::spawn(move || {
            // The server closes the connection before everything is sent.
            let _ = client.write_all(&vec![b'x'; 4 * LONG]);
        });
        let first = long.lock();
        let failed = read_line(&mut server, Duration::from_millis(20), &long);
        assert!(matches!(failed, Err(ReadError::Io(_))));
        drop((first, server));
        writer.join().unwrap();
    }

    #[test]
    fn values_are_counted_outside_of_strings() {
        assert!(is_within_value_limit(br#"{"text":"a,b,[\"[[[,,,"}"#));
        let many = [b"{\"path\":[".to_vec(), b"1,".repeat(MAX_VALUES)].concat();
        assert!(!is_within_value_limit(&many));
        let text = [b"{\"text\":\"", &b"[,".repeat(MAX_VALUES)[..], b"\"}"].concat();
        assert!(is_within_value_limit(&text));
    }
}
