//! Decides when the watcher probes the cluster and when it triggers a hook. Pure: callers pass the time.

use std::time::Duration;

use tokio::time::Instant;

/// Changes come in bursts; this lets one probe cover them.
const DEBOUNCE: Duration = Duration::from_millis(150);
/// The minimum between two probes: continuous changes cost two probes a second.
const PROBE_INTERVAL: Duration = Duration::from_millis(500);
/// The pause before an outcome that may be transient is checked again. A restarting API server or a leader at work is
/// done by then.
const RECHECK: Duration = Duration::from_secs(2);
/// The average interval between triggered hooks, such as for a flapping model.
const REFILL: Duration = Duration::from_secs(15);
/// How many hooks may be triggered at once; an operator who tries things out stays below.
const BURST: u32 = 20;
/// The longest pause after failed triggers, while the unit agent is away.
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    Probe,
    Trigger,
    /// Until then, or until the next event.
    Wait(Option<Instant>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeResult {
    /// Same as the outcome of the last hook.
    Unchanged,
    Changed,
    /// Another outcome, but possibly a transient one.
    Transient,
    /// The probe failed for reasons outside the cluster.
    Failed,
}

/// What currently runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum InProgress {
    #[default]
    Idle,
    Probe,
    /// A hook began during the probe, so its result will be discarded.
    StaleProbe,
    Trigger,
}

#[derive(Debug, Default)]
pub struct Scheduler {
    /// The next probe, if something changed.
    next_probe: Option<Instant>,
    /// The end of the last probe.
    last_probe: Option<Instant>,
    /// The next trigger, if the last probe requires one.
    next_trigger: Option<Instant>,
    /// The number of running hooks. They observe the cluster themselves.
    hooks: usize,
    in_progress: InProgress,
    /// Whether the last outcome may be transient.
    was_transient: bool,
    /// The token bucket: when all triggers so far would be refilled.
    refilled: Option<Instant>,
    /// Consecutive failed triggers.
    failed: u32,
    /// The end of the pause after a failed trigger.
    backoff_until: Option<Instant>,
}

impl Scheduler {
    pub fn due(&self, now: Instant) -> Due {
        if self.hooks > 0 || self.in_progress != InProgress::Idle {
            return Due::Wait(None);
        }
        let is_due = |at: &Option<Instant>| at.is_some_and(|at| at <= now);
        if is_due(&self.next_probe) {
            Due::Probe
        } else if is_due(&self.next_trigger) {
            Due::Trigger
        } else {
            Due::Wait([self.next_probe, self.next_trigger].into_iter().flatten().min())
        }
    }

    /// An object in the cluster changed.
    pub fn changed(&mut self, now: Instant) {
        let spaced = self.last_probe.map(|at| at + PROBE_INTERVAL);
        let at = spaced.into_iter().fold(now + DEBOUNCE, Instant::max);
        self.probe_at(at);
    }

    /// The outcome may change at a time, without a change of any object.
    pub fn probe_at(&mut self, at: Instant) {
        self.next_probe = Some(self.next_probe.map_or(at, |next| next.min(at)));
    }

    pub fn probe_started(&mut self) {
        self.next_probe = None;
        self.in_progress = InProgress::Probe;
    }

    pub fn probe_finished(&mut self, now: Instant, result: ProbeResult) {
        self.last_probe = Some(now);
        // For changes during a slow probe the interval begins at its end.
        self.next_probe = self.next_probe.map(|at| at.max(now + PROBE_INTERVAL));
        if std::mem::take(&mut self.in_progress) == InProgress::StaleProbe {
            return self.changed(now);
        }
        self.next_trigger = None;
        match result {
            ProbeResult::Unchanged => {}
            ProbeResult::Transient if self.was_transient => self.next_trigger = Some(self.earliest(now)),
            ProbeResult::Changed => self.next_trigger = Some(self.earliest(now)),
            ProbeResult::Transient | ProbeResult::Failed => {
                self.next_probe.get_or_insert(now + RECHECK);
            }
        }
        self.was_transient = result == ProbeResult::Transient;
    }

    pub fn hook_began(&mut self) {
        self.hooks += 1;
        if self.in_progress == InProgress::Probe {
            self.in_progress = InProgress::StaleProbe;
        }
    }

    /// `reported` is whether the hook sent its outcome. If so, there is nothing left to trigger for.
    pub fn hook_ended(&mut self, reported: bool) {
        self.hooks = self.hooks.saturating_sub(1);
        if reported {
            self.next_trigger = None;
        }
    }

    pub fn trigger_started(&mut self, now: Instant) {
        self.next_trigger = None;
        self.in_progress = InProgress::Trigger;
        self.refilled = Some(self.refilled.map_or(now, |refilled| refilled.max(now)) + REFILL);
    }

    /// A probe follows, to find out whether the trigger was enough.
    pub fn trigger_finished(&mut self, now: Instant, succeeded: bool) {
        self.in_progress = InProgress::Idle;
        self.failed = if succeeded { 0 } else { self.failed.saturating_add(1) };
        let pause = Duration::from_secs(1).saturating_mul(2_u32.saturating_pow(self.failed));
        self.backoff_until = (!succeeded).then(|| now + pause.min(LONGEST_BACKOFF));
        self.changed(now);
    }

    /// When the next trigger is allowed.
    fn earliest(&self, now: Instant) -> Instant {
        let refilled = self
            .refilled
            .and_then(|refilled| refilled.checked_sub(REFILL * (BURST - 1)));
        [refilled, self.backoff_until]
            .into_iter()
            .flatten()
            .fold(now, Instant::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    /// Runs whatever is due between `now` and `until`. `outcome` gets the number of triggers so far. Returns the
    /// numbers of probes and triggers.
    fn run(scheduler: &mut Scheduler, now: Instant, until: Instant, result: impl Fn(u32) -> ProbeResult) -> (u32, u32) {
        run_with(scheduler, now, until, result, true)
    }

    fn run_with(
        scheduler: &mut Scheduler,
        mut now: Instant,
        until: Instant,
        result: impl Fn(u32) -> ProbeResult,
        succeeded: bool,
    ) -> (u32, u32) {
        let (mut probes, mut triggers) = (0, 0);
        loop {
            match scheduler.due(now) {
                Due::Probe => {
                    probes += 1;
                    scheduler.probe_started();
                    assert_eq!(scheduler.due(now), Due::Wait(None), "one probe at a time");
                    scheduler.probe_finished(now, result(triggers));
                }
                Due::Trigger => {
                    triggers += 1;
                    scheduler.trigger_started(now);
                    assert_eq!(scheduler.due(now), Due::Wait(None), "one trigger at a time");
                    scheduler.trigger_finished(now, succeeded);
                }
                Due::Wait(Some(at)) if at <= until => now = at,
                Due::Wait(_) => return (probes, triggers),
            }
        }
    }

    fn unchanged(_: u32) -> ProbeResult {
        ProbeResult::Unchanged
    }

    fn until_triggered(triggers: u32) -> ProbeResult {
        if triggers == 0 {
            ProbeResult::Changed
        } else {
            ProbeResult::Unchanged
        }
    }

    #[test]
    fn unchanged_outcome_triggers_no_hook() {
        let (mut scheduler, now) = (Scheduler::default(), Instant::now());
        assert_eq!(scheduler.due(now), Due::Wait(None));
        scheduler.changed(now);
        assert_eq!(run(&mut scheduler, now, now + MS(60_000), unchanged), (1, 0));
    }

    #[test]
    fn changed_outcome_triggers_within_quarter_second() {
        let (mut scheduler, now) = (Scheduler::default(), Instant::now());
        scheduler.changed(now);
        assert_eq!(run(&mut scheduler, now, now + MS(250), until_triggered), (1, 1));
        assert_eq!(
            run(&mut scheduler, now, now + MS(60_000), unchanged),
            (1, 0),
            "and once is enough"
        );
    }

    #[test]
    fn timed_probe_needs_no_change_and_delays_none() {
        let (mut scheduler, now) = (Scheduler::default(), Instant::now());
        scheduler.probe_at(now + MS(30_000));
        assert_eq!(run(&mut scheduler, now, now + MS(29_000), unchanged), (0, 0));
        assert_eq!(run(&mut scheduler, now, now + MS(31_000), unchanged), (1, 0));
        scheduler.probe_at(now + MS(61_000));
        scheduler.changed(now + MS(32_000));
        assert_eq!(run(&mut scheduler, now, now + MS(33_000), unchanged), (1, 0));
    }

    #[test]
    fn storm_of_changes_costs_two_probes_a_second() {
        let (mut scheduler, start) = (Scheduler::default(), Instant::now());
        let mut probes = 0;
        for n in 0..1000 {
            let now = start + MS(n * 10);
            scheduler.changed(now);
            probes += run(&mut scheduler, now, now, unchanged).0;
        }
        assert!((15..=22).contains(&probes), "{probes} in ten seconds");
    }

    #[test]
    fn slow_probes_keep_their_interval() {
        let (mut scheduler, start) = (Scheduler::default(), Instant::now());
        scheduler.changed(start);
        let (mut now, mut probes) = (start, 0);
        while now < start + MS(10_000) {
            now += MS(10);
            scheduler.changed(now);
            if scheduler.due(now) == Due::Probe {
                scheduler.probe_started();
                // The probe takes 300 ms while changes continue.
                for _ in 0..30 {
                    now += MS(10);
                    scheduler.changed(now);
                }
                scheduler.probe_finished(now, ProbeResult::Unchanged);
                probes += 1;
            }
        }
        assert!((10..=14).contains(&probes), "{probes} in ten seconds");
    }

    #[test]
    fn changes_during_a_hook_are_probed_afterwards() {
        let (mut scheduler, now) = (Scheduler::default(), Instant::now());
        scheduler.hook_began();
        scheduler.changed(now);
        assert_eq!(scheduler.due(now + MS(10_000)), Due::Wait(None));
        scheduler.hook_ended(true);
        assert_eq!(scheduler.due(now + MS(10_000)), Due::Probe);
        // A killed hook reports nothing, so its trigger stays due.
        scheduler.probe_started();
        scheduler.probe_finished(now, ProbeResult::Changed);
        scheduler.hook_began();
        scheduler.hook_ended(false);
        assert_eq!(scheduler.due(now), Due::Trigger);
        scheduler.hook_began();
        scheduler.hook_ended(true);
        assert_eq!(scheduler.due(now), Due::Wait(None));
    }

    #[test]
    fn transient_outcome_is_probed_twice_before_triggering() {
        let (mut scheduler, now) = (Scheduler::default(), Instant::now());
        scheduler.changed(now);
        assert_eq!(
            run(&mut scheduler, now, now + MS(1000), |_| ProbeResult::Transient),
            (1, 0)
        );
        let passing_until_triggered = |triggers| {
            if triggers == 0 {
                ProbeResult::Transient
            } else {
                ProbeResult::Unchanged
            }
        };
        assert_eq!(
            run(&mut scheduler, now, now + MS(5000), passing_until_triggered),
            (2, 1)
        );
    }

    #[test]
    fn probe_overtaken_by_a_hook_is_discarded() {
        let (mut scheduler, now) = (Scheduler::default(), Instant::now());
        scheduler.changed(now);
        scheduler.probe_started();
        scheduler.hook_began();
        scheduler.hook_ended(true);
        scheduler.probe_finished(now, ProbeResult::Changed);
        assert_eq!(run(&mut scheduler, now, now + MS(60_000), unchanged), (1, 0));
    }

    #[test]
    fn flapping_model_triggers_four_times_a_minute() {
        let (mut scheduler, start) = (Scheduler::default(), Instant::now());
        let mut triggers = Vec::new();
        for second in 0..3600 {
            let now = start + MS(second * 1000);
            scheduler.changed(now);
            triggers.push(run(&mut scheduler, now, now + MS(999), until_triggered).1);
        }
        let sum = |part: &[u32]| part.iter().sum::<u32>();
        assert!(sum(&triggers[..20]) >= 19, "{triggers:?}");
        assert!((3..6).contains(&sum(&triggers[1200..1260])), "{triggers:?}");
        // After an idle period it is fast again.
        let now = start + MS(3600 * 1000) + REFILL * BURST;
        scheduler.changed(now);
        assert_eq!(run(&mut scheduler, now, now + MS(250), until_triggered).1, 1);
    }

    #[test]
    fn failed_trigger_is_retried_with_backoff() {
        let (mut scheduler, now) = (Scheduler::default(), Instant::now());
        scheduler.changed(now);
        let always = |_| ProbeResult::Changed;
        let (_, triggers) = run_with(&mut scheduler, now, now + MS(600_000), always, false);
        assert!((12..20).contains(&triggers), "{triggers} in ten minutes");
        // Once one succeeds, the next is fast again.
        let later = now + MS(700_000);
        scheduler.changed(later);
        assert!(run(&mut scheduler, later, later + MS(60_000), until_triggered).1 == 1);
        scheduler.changed(later + MS(60_000));
        assert_eq!(
            run(&mut scheduler, later + MS(60_000), later + MS(60_250), until_triggered).1,
            1
        );
    }
}
