//! Figures of a running program, in the text format of OpenMetrics, which Prometheus reads.
//!
//! In: that something of a kind was done, and how long it took; numbers as they are when somebody asks. Out: text.
//! Holds always: to note a duration allocates nothing, and waits for nobody but who notes one of the same kind.

use parking_lot::Mutex;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

/// What all names begin with.
const PREFIX: &str = "pondmount";
/// The buckets of a histogram: the first ends at a microsecond, each other at twice that of the one before; the
/// last at eight seconds.
const BUCKETS: u16 = 24;

/// A set of figures that are told together.
pub struct Metrics(Mutex<Registry>);

/// How long things of one kind take: a histogram, which all copies share.
#[derive(Clone, Debug)]
pub struct Durations(Histogram);

/// A number as it was told last, which all copies share.
#[derive(Clone, Debug, Default)]
pub struct Number(Gauge<u64, AtomicU64>);

/// Something that is being done. It ends when this is dropped.
#[derive(Debug)]
pub struct Timer {
    durations: Durations,
    since: Instant,
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics(Mutex::new(Registry::with_prefix(PREFIX)))
    }
}

impl Metrics {
    /// Histograms, in seconds, of things of several `kinds`, in their order; each is told with its kind as `label`.
    pub fn durations(
        &self,
        name: &str,
        help: &str,
        label: &'static str,
        kinds: &[&'static str],
    ) -> Vec<Durations> {
        let new: fn() -> Histogram = || Histogram::new(exponential_buckets(1e-6, 2.0, BUCKETS));
        let family = Family::<[(&str, &str); 1], Histogram, _>::new_with_constructor(new);
        let of = |kind| Durations(family.get_or_create_owned(&[(label, kind)]));
        let durations = kinds.iter().copied().map(of).collect();
        let mut registry = self.0.lock();
        registry.register_with_unit(name, help, Unit::Seconds, family);
        durations
    }

    /// A number, which is 0 until it is set.
    pub fn number(&self, name: &str, help: &str) -> Number {
        let number = Number::default();
        self.0.lock().register(name, help, number.0.clone());
        number
    }

    /// All of it as text.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.0.lock())?;
        Ok(text)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Durations {
    /// Begins something of this kind.
    pub fn start(&self) -> Timer {
        Timer {
            durations: self.clone(),
            since: Instant::now(),
        }
    }
}

impl Number {
    /// What it is now.
    pub fn set(&self, value: u64) {
        self.0.set(value);
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.durations.0.observe(self.since.elapsed().as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_and_what_is_are_told_as_text() {
        let metrics = Metrics::default();
        let kinds = metrics.durations("request", "Requests", "op", &["read", "write"]);
        let depth = metrics.number("depth", "How deep it is");
        drop(kinds[1].start());
        drop(kinds[1].clone().start());
        depth.set(7);
        let text = metrics.text().unwrap();
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("{name} in {text}"))
                .trim()
                .parse::<f64>()
                .unwrap()
        };
        assert_eq!(value("pondmount_request_seconds_count{op=\"read\"}"), 0.0);
        assert_eq!(value("pondmount_request_seconds_count{op=\"write\"}"), 2.0);
        assert_eq!(
            value("pondmount_request_seconds_bucket{le=\"+Inf\",op=\"write\"}"),
            2.0
        );
        assert_eq!(value("pondmount_depth"), 7.0);
        assert!(text.ends_with("# EOF\n"), "{text}");
    }
}
