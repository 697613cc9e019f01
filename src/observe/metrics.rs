//! Metrics of a running process, in the OpenMetrics text format that Prometheus reads.
//!
//! `mount` records the duration of each request here, and shows the text as `.pond/metrics`.
//!
//! Recording a duration allocates nothing, and contends only with recordings of the same kind and
//! with the encoding of the text.

use parking_lot::Mutex;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// Prefix of all metric names.
const PREFIX: &str = "pondmount";
/// Number of buckets of a histogram. The first ends at one microsecond, each next one at twice the
/// previous, the last at eight seconds.
const BUCKETS: u16 = 24;

/// A set of metrics that are encoded together.
pub struct Metrics(Mutex<Registry>);

/// Histogram of the durations of one kind of operation. Clones share it.
#[derive(Clone, Debug)]
pub struct Durations(Histogram);

/// A gauge. Clones share its value.
#[derive(Clone, Debug, Default)]
pub struct Number(Gauge<u64, AtomicU64>);

impl Default for Metrics {
    fn default() -> Self {
        Metrics(Mutex::new(Registry::with_prefix(PREFIX)))
    }
}

impl Metrics {
    /// Registers one histogram, in seconds, for each of `kinds`, and returns them in this order.
    /// The kind is the value of the label `label`.
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

    /// Registers a gauge with the value 0.
    pub fn number(&self, name: &str, help: &str) -> Number {
        let number = Number::default();
        self.0.lock().register(name, help, number.0.clone());
        number
    }

    /// Returns all metrics as text.
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
    /// Records that an operation took so long.
    pub fn observe(&self, took: Duration) {
        self.0.observe(took.as_secs_f64());
    }
}

impl Number {
    /// Sets the value.
    pub fn set(&self, value: u64) {
        self.0.set(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_gauges_are_encoded_as_text() {
        let metrics = Metrics::default();
        let kinds = metrics.durations("request", "Requests", "op", &["read", "write"]);
        let depth = metrics.number("depth", "How deep it is");
        kinds[1].observe(Duration::from_millis(3));
        kinds[1].clone().observe(Duration::ZERO);
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
