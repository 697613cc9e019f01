//! A log file that exists only once there is something to say, and never grows without limit.

use parking_lot::Mutex;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use tracing_subscriber::fmt::MakeWriter;

/// A file that reaches this length is emptied: what matters in a log is its end.
const MAX: u64 = 4 << 20;

/// A log file, made at the first line.
#[derive(Clone)]
pub(super) struct LogFile(Arc<Mutex<State>>);

struct State {
    path: Box<dyn Fn() -> Option<PathBuf> + Send>,
    file: Option<File>,
    len: u64,
    failed: bool,
}

impl LogFile {
    /// `path` is asked at the first line.
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
        // Names of files may stand in it, so it is for its owner only.
        let mut options = OpenOptions::new();
        let file = options.create(true).append(true).mode(0o600).open(&path)?;
        self.len = file.metadata()?.len();
        Ok(file)
    }
}

impl Write for LogFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut state = self.0.lock();
        // A place that cannot be written is not tried again for every line.
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
    fn the_file_is_made_by_the_first_line_and_emptied_at_its_limit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state/pond.log");
        let mut log = log_at(path.clone());
        assert!(!path.exists());
        log.write_all(b"one\n").unwrap();
        log.write_all(b"two\n").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"one\ntwo\n");
        // A second program goes on where the first stopped.
        let mut log = log_at(path.clone());
        log.write_all(b"three\n").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"one\ntwo\nthree\n");
        log.write_all(&vec![b'x'; MAX as usize]).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), MAX);
    }

    #[test]
    fn a_log_that_cannot_be_written_is_no_error() {
        let mut log = log_at("/proc/none/pond.log".into());
        log.write_all(b"lost\n").unwrap();
        log.write_all(b"lost\n").unwrap();
    }
}
