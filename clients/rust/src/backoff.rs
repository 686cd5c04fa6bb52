//! How long to wait before something is tried again, and how often.

use std::time::Duration;

/// Waits before each try after a break. With the last one failed, the break stands.
const DELAYS: [Duration; 7] = [
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
    Duration::from_millis(1600),
    Duration::from_millis(3200),
    Duration::from_millis(5000),
];

/// How long waits last: as they are written, or shorter in tests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace(pub(crate) f64);

impl Default for Pace {
    fn default() -> Self {
        Self(1.0)
    }
}

impl Pace {
    /// Between `least` and all of `delay`: clients whose connections broke at the same moment shall not come back at
    /// the same moment.
    pub(crate) fn some_of(self, delay: Duration, least: f64) -> Duration {
        delay.mul_f64(self.0 * (least + fastrand::f64() * (1.0 - least)))
    }
}

/// Counts the tries since something was last received.
#[derive(Debug)]
pub(crate) struct Backoff {
    pace: Pace,
    tries: usize,
}

impl Backoff {
    pub(crate) fn new(pace: Pace) -> Self {
        Self { pace, tries: 0 }
    }

    /// Something was received: the next break is a new one.
    pub(crate) fn renew(&mut self) {
        self.tries = 0;
    }

    /// How long to wait before the next try. None = there were enough.
    pub(crate) fn next_delay(&mut self) -> Option<Duration> {
        let delay = *DELAYS.get(self.tries)?;
        self.tries += 1;
        Some(self.pace.some_of(delay, 0.5))
    }
}
