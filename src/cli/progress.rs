//! Shows how far the index has replayed the oplog while a pond opens.
//!
//! In: progress reports at any rate. Out: a bar on the terminal, or one line elsewhere. Invariant:
//! short waits show nothing.

use super::output::Output;
use crate::pond::Progress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::{Duration, Instant};

/// The time before the first report.
const SILENCE: Duration = Duration::from_secs(1);
/// The interval between reports.
const EVERY: Duration = Duration::from_millis(100);
/// The format of the bar, in `indicatif`'s template syntax.
const LOOKS: &str = "{wide_bar} {percent}% {msg}, {eta} left";

/// Limits the rate of reports.
#[derive(Debug)]
pub struct Pace(Instant);

impl Default for Pace {
    fn default() -> Pace {
        Pace(Instant::now() + SILENCE)
    }
}

impl Pace {
    /// Returns whether a report is due.
    pub fn is_due(&mut self) -> bool {
        let now = Instant::now();
        let due = now >= self.0;
        if due {
            self.0 = now + EVERY;
        }
        due
    }
}

/// The progress bar.
#[derive(Debug)]
pub struct Bar {
    output: Output,
    bar: Option<ProgressBar>,
}

impl Bar {
    /// Creates a bar that is not shown yet.
    pub fn new(output: Output) -> Bar {
        Bar { output, bar: None }
    }

    /// Shows the progress.
    pub fn show(&mut self, progress: &Progress) {
        let bar = self.bar.get_or_insert_with(|| {
            self.output.notice(&format!(
                "the index is made from the oplog, up to version {}",
                progress.of
            ));
            let target = match self.output.is_for_people() {
                // Draws nothing if it is no terminal.
                true => ProgressDrawTarget::stderr(),
                false => ProgressDrawTarget::hidden(),
            };
            let bar = ProgressBar::with_draw_target(Some(progress.of), target);
            if let Ok(style) = ProgressStyle::with_template(LOOKS) {
                bar.set_style(style);
            }
            bar
        });
        bar.set_position(progress.version);
        bar.set_message(format!("{} records", progress.records));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_at_once_is_not_told_of_and_the_rest_seldom() {
        let mut pace = Pace::default();
        assert!(!pace.is_due());
        pace.0 = Instant::now();
        assert!(pace.is_due());
        assert!(!pace.is_due());
    }

    #[test]
    fn the_bar_has_a_style_of_ours() {
        assert!(ProgressStyle::with_template(LOOKS).is_ok());
    }
}
