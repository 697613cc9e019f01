//! A log file that is created with its first line and truncated when it reaches a size limit.
//!
//! The daemon logs through it, see [`log_to_file`](super::log_to_file). A write error never reaches
//! the code that logs.

use parking_lot::Mutex;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use tracing_subscriber::fmt::MakeWriter;

/// Maximum length in bytes. A line that would exceed it truncates the file first: the newest lines
/// matter.
const MAX: u64 = 4 << 20;

/// A log file, created by the first line. Clones share it.
#[derive(Clone)]
pub(super) struct LogFile(Arc<Mutex<State>>);

struct State {
    path: Box<dyn Fn() -> Option<PathBuf> + Send>,
    file: Option<File>,
    len: u64,
    failed: bool,
}

impl LogFile {
    /// Creates a log. `path` is called when the first line is written.
    pub(super) fn new(path: impl Fn() -> Option<PathBuf> + Send + 'static) -> LogFile {
        LogFile(Arc::new(Mutex::new(State {
            path: Box::new(path),
            file: None,
            len: 0,
            failed: false,
        })))
    }
}

impl State {
    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        let mut file = match self.file.take() {
            Some(file) => file,
            None => self.open()?,
        };
        if self.len.saturating_add(line.len() as u64) > MAX {
            file.set_len(0)?;
            self.len = 0;
        }
        file.write_all(line)?;
        self.len += line.len() as u64;
        self.file = Some(file);
        Ok(())
    }

    fn open(&mut self) -> io::Result<File> {
        let path = (self.path)().ok_or(io::ErrorKind::NotFound)?;
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir)?;
        }
        // Log lines may contain file names, so only the owner may read them.
        let mut options = OpenOptions::new();
        let file = options.create(true).append(true).mode(0o600).open(&path)?;
        self.len = file.metadata()?.len();
        Ok(file)
    }
}

impl Write for LogFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut state = self.0.lock();
        // A file that cannot be written is not tried again for every line.
        if !state.failed && state.append(line).is_err() {
            state.failed = true;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogFile {
    type Writer = LogFile;

    fn make_writer(&'a self) -> LogFile {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log_at(path: PathBuf) -> LogFile {
        LogFile::new(move || Some(path.clone()))
    }

    #[test]
    fn file_is_created_by_the_first_line_and_truncated_at_its_limit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state/pond.log");
        let mut log = log_at(path.clone());
        assert!(!path.exists());
        log.write_all(b"one\n").unwrap();
        log.write_all(b"two\n").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"one\ntwo\n");
        // Another process appends to the file.
        let mut log = log_at(path.clone());
        log.write_all(b"three\n").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"one\ntwo\nthree\n");
        log.write_all(&vec![b'x'; MAX as usize]).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), MAX);
    }

    #[test]
    fn unwritable_log_is_not_an_error() {
        let mut log = log_at("/proc/none/pond.log".into());
        log.write_all(b"lost\n").unwrap();
        log.write_all(b"lost\n").unwrap();
    }
}
