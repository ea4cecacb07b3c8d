use std::time::{Duration, Instant};

use crate::task::{Decay, TrainConfig};

/// How far a phase is, by its steps or by its time, whichever is further.
pub(super) struct Clock {
    steps: u64,
    /// How many are done.
    pub(super) step: u64,
    started: Instant,
    /// Before this process.
    before: Duration,
    limit: Option<Duration>,
    warm_up: f64,
    decay: Decay,
}

impl Clock {
    /// Of a phase of which `step` steps are done, in the time `before`.
    pub(super) fn new(train: &TrainConfig, steps: u64, step: u64, before: Duration) -> Self {
        let limit = train.minutes.map(|minutes| Duration::from_secs_f64(minutes.max(0.0) * 60.0));
        Self { steps, step, started: Instant::now(), before, limit, warm_up: train.warm_up, decay: train.decay }
    }

    /// Since the phase began, without the time between two processes.
    pub(super) fn elapsed(&self) -> Duration {
        self.before + self.started.elapsed()
    }

    /// From 0 to 1.
    pub(super) fn done(&self) -> f64 {
        let by_steps = self.step as f64 / self.steps.max(1) as f64;
        let by_time = self.limit.map_or(0.0, |limit| self.elapsed().as_secs_f64() / limit.as_secs_f64().max(1e-9));
        by_steps.max(by_time).min(1.0)
    }

    /// What is left, if it goes on as in this process.
    pub(super) fn left(&self) -> Option<Duration> {
        let done = self.done();
        (self.step > 0 && done > 0.0).then(|| Duration::from_secs_f64(self.elapsed().as_secs_f64() * (1.0 - done) / done))
    }

    /// Whether the time is up.
    pub(super) fn is_over(&self) -> bool {
        self.limit.is_some_and(|limit| self.elapsed() >= limit)
    }

    /// Of the next step.
    pub(super) fn learning_rate(&self, highest: f64) -> f64 {
        let done = self.done();
        let first = 1.0 / self.steps.max(1) as f64;
        if done < self.warm_up {
            return highest * (done + first) / (self.warm_up + first);
        }
        let fallen = (done - self.warm_up) / (1.0 - self.warm_up);
        match self.decay {
            Decay::Cosine => highest * 0.5 * (1.0 + (std::f64::consts::PI * fallen).cos()),
            Decay::Linear => highest * (1.0 - fallen),
            Decay::Constant => highest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: of 100 steps 10 warm up, of which the first has a hundredth of the way.
    #[test]
    fn rates_rise_in_a_line_and_fall_as_the_task_says() {
        let rate = |decay, step| {
            let train = TrainConfig { warm_up: 0.1, decay, ..TrainConfig::default() };
            Clock::new(&train, 100, step, Duration::ZERO).learning_rate(2.0)
        };
        let close = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-12, "{found}, expected {expected}");
        for decay in [Decay::Cosine, Decay::Linear, Decay::Constant] {
            close(rate(decay, 0), 2.0 * 0.01 / 0.11);
            close(rate(decay, 5), 2.0 * 0.06 / 0.11);
            close(rate(decay, 10), 2.0);
        }
        // Half of the way down.
        close(rate(Decay::Cosine, 55), 1.0);
        close(rate(Decay::Linear, 55), 1.0);
        close(rate(Decay::Constant, 55), 2.0);
        // A quarter of it: 1 + cos 45°.
        close(rate(Decay::Cosine, 32) * 1000.0, 1000.0 * (1.0 + (std::f64::consts::PI * 0.22 / 0.9).cos()));
        close(rate(Decay::Linear, 100), 0.0);
    }

    #[test]
    fn time_counts_where_it_is_further_than_steps() {
        let train = TrainConfig { minutes: Some(1.0), ..TrainConfig::default() };
        let clock = Clock::new(&train, 100, 10, Duration::from_secs(30));
        assert!((clock.done() - 0.5).abs() < 0.01 && !clock.is_over());
        assert!(Clock::new(&train, 100, 10, Duration::from_secs(60)).is_over());
        assert!((Clock::new(&train, 100, 90, Duration::from_secs(30)).done() - 0.9).abs() < 1e-12);
    }
}
