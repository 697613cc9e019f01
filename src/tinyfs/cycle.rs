//! Cycle detection for walks along links, such as from a node to its parent.
//!
//! Links that are read from disk may be damaged or forged, so each such walk calls
//! [`Cycle::is_closed_by`] at every step.

/// Brent's cycle detection: notes the place after 1, 2, 4, 8 … steps. A walk in a cycle comes back
/// to the noted place, whatever the length of the cycle. The memory is constant.
#[derive(Debug)]
pub struct Cycle<T> {
    noted: Option<T>,
    steps: u64,
    until: u64,
}

impl<T: PartialEq + Copy> Default for Cycle<T> {
    fn default() -> Self {
        Cycle {
            noted: None,
            steps: 0,
            until: 1,
        }
    }
}

impl<T: PartialEq + Copy> Cycle<T> {
    /// Records the next place of the walk and returns whether the walk is in a cycle.
    pub fn is_closed_by(&mut self, at: T) -> bool {
        if self.noted == Some(at) {
            return true;
        }
        self.steps += 1;
        if self.steps == self.until {
            (self.noted, self.until) = (Some(at), self.until.saturating_mul(2));
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cycle_is_found_behind_any_way_into_it_and_a_straight_way_is_none() {
        let steps_until_found = |tail: u64, length: u64| {
            let mut cycle = Cycle::default();
            let place = |step: u64| match step < tail {
                true => step,
                false => tail + (step - tail) % length,
            };
            (0..).find(|step| cycle.is_closed_by(place(*step)))
        };
        for tail in 0..20 {
            for length in 1..20 {
                let found = steps_until_found(tail, length).unwrap();
                assert!(found <= 3 * (tail + length) + 2, "{tail} {length}: {found}");
            }
        }
        let mut cycle = Cycle::default();
        assert!((0..10_000).all(|step| !cycle.is_closed_by(step)));
    }
}
