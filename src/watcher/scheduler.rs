//! When the watcher looks, and when it wakes the charm. Pure: the clock is told.

use std::time::Duration;

use tokio::time::Instant;

/// Changes come in bursts, of which one look is enough.
const SETTLE: Duration = Duration::from_millis(150);
/// Between two looks while changes go on: a storm of them costs two looks a second.
const SPACING: Duration = Duration::from_millis(500);
/// How soon it is looked again where what was seen may pass, before anybody is told: an API server that restarts, and a leader
/// that is at work, are ready by then.
const RECHECK: Duration = Duration::from_secs(2);
/// How often the charm may be woken in the long run, for a model that comes and goes.
const REFILL: Duration = Duration::from_secs(15);
/// How many wakes may come at once: more than a person causes who tries things out.
const BURST: u32 = 20;
/// Longest pause after wakes that failed: the agent is away.
const LONGEST: Duration = Duration::from_secs(60);

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Look at the cluster.
    Probe,
    /// Wake the charm.
    Trigger,
    /// Wait until then, or for whatever happens.
    Wait(Option<Instant>),
}

/// What a look came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeResult {
    /// The charm would say what it said last.
    Unchanged,
    /// It would say or do something else.
    Otherwise,
    /// The same, for what may be over in a moment.
    Passing,
    /// It could not be looked, through no fault of the cluster.
    Nothing,
}

/// What has been begun and is not over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum InProgress {
    #[default]
    Nothing,
    Probe,
    /// A look that a hook has overtaken, so that it is of no account.
    StaleProbe,
    Trigger,
}

/// The watcher's sense of time.
#[derive(Debug, Default)]
pub struct Scheduler {
    /// When to look, if anything has changed.
    snapshot: Option<Instant>,
    /// When it was looked last.
    probed: Option<Instant>,
    /// When to wake, if the last look gave a reason.
    trigger: Option<Instant>,
    /// Hooks that run, which look for themselves.
    hooks: usize,
    /// What is on its way.
    in_progress: InProgress,
    /// Whether the last look came to what may pass.
    passing: bool,
    /// Until when the wakes so far would last, if each lasted as long as it should.
    spent: Option<Instant>,
    /// How many wakes in a row have failed.
    failed: u32,
    /// The earliest after those.
    rested: Option<Instant>,
}

impl Scheduler {
    /// What to do now.
    pub fn due(&self, now: Instant) -> Due {
        if self.hooks > 0 || self.in_progress != InProgress::Nothing {
            return Due::Wait(None);
        }
        let come = |at: &Option<Instant>| at.is_some_and(|at| at <= now);
        if come(&self.snapshot) {
            Due::Probe
        } else if come(&self.trigger) {
            Due::Trigger
        } else {
            Due::Wait([self.snapshot, self.trigger].into_iter().flatten().min())
        }
    }

    /// Something has changed in the cluster.
    pub fn changed(&mut self, now: Instant) {
        let spaced = self.probed.map(|at| at + SPACING);
        let at = spaced.into_iter().fold(now + SETTLE, Instant::max);
        self.snapshot.get_or_insert(at);
    }

    /// It is being looked.
    pub fn probe_started(&mut self) {
        self.snapshot = None;
        self.in_progress = InProgress::Probe;
    }

    /// It was looked.
    pub fn probe_finished(&mut self, now: Instant, came_to: ProbeResult) {
        self.probed = Some(now);
        // What has changed during the look keeps its distance from the end of it.
        self.snapshot = self.snapshot.map(|at| at.max(now + SPACING));
        if std::mem::take(&mut self.in_progress) == InProgress::StaleProbe {
            return self.changed(now);
        }
        self.trigger = None;
        match came_to {
            ProbeResult::Unchanged => {}
            ProbeResult::Passing if self.passing => self.trigger = Some(self.earliest(now)),
            ProbeResult::Otherwise => self.trigger = Some(self.earliest(now)),
            ProbeResult::Passing | ProbeResult::Nothing => {
                self.snapshot.get_or_insert(now + RECHECK);
            }
        }
        self.passing = came_to == ProbeResult::Passing;
    }

    /// A hook has begun.
    pub fn hook_began(&mut self) {
        self.hooks += 1;
        if self.in_progress == InProgress::Probe {
            self.in_progress = InProgress::StaleProbe;
        }
    }

    /// A hook has ended. One that told its outcome leaves nothing to be woken for.
    pub fn hook_ended(&mut self, told: bool) {
        self.hooks = self.hooks.saturating_sub(1);
        if told {
            self.trigger = None;
        }
    }

    /// The charm is being woken.
    pub fn trigger_started(&mut self, now: Instant) {
        self.trigger = None;
        self.in_progress = InProgress::Trigger;
        self.spent = Some(self.spent.map_or(now, |spent| spent.max(now)) + REFILL);
    }

    /// It was woken, or could not be: it is looked once more whether that was all.
    pub fn trigger_finished(&mut self, now: Instant, well: bool) {
        self.in_progress = InProgress::Nothing;
        self.failed = if well { 0 } else { self.failed.saturating_add(1) };
        let pause = Duration::from_secs(1).saturating_mul(2_u32.saturating_pow(self.failed));
        self.rested = (!well).then(|| now + pause.min(LONGEST));
        self.changed(now);
    }

    /// When the next wake may be.
    fn earliest(&self, now: Instant) -> Instant {
        let spent = self.spent.and_then(|spent| spent.checked_sub(REFILL * (BURST - 1)));
        [spent, self.rested].into_iter().flatten().fold(now, Instant::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    /// Does whatever is due from `now` on until `until`. What a look comes to depends on how often it was woken. Gives how
    /// often it looked and woke.
    fn run(
        scheduler: &mut Scheduler,
        now: Instant,
        until: Instant,
        came_to: impl Fn(u32) -> ProbeResult,
    ) -> (u32, u32) {
        run_with(scheduler, now, until, came_to, true)
    }

    fn run_with(
        scheduler: &mut Scheduler,
        mut now: Instant,
        until: Instant,
        came_to: impl Fn(u32) -> ProbeResult,
        well: bool,
    ) -> (u32, u32) {
        let (mut probes, mut triggers) = (0, 0);
        loop {
            match scheduler.due(now) {
                Due::Probe => {
                    probes += 1;
                    scheduler.probe_started();
                    assert_eq!(scheduler.due(now), Due::Wait(None), "one look at a time");
                    scheduler.probe_finished(now, came_to(triggers));
                }
                Due::Trigger => {
                    triggers += 1;
                    scheduler.trigger_started(now);
                    assert_eq!(scheduler.due(now), Due::Wait(None), "one wake at a time");
                    scheduler.trigger_finished(now, well);
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
            ProbeResult::Otherwise
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
                // It takes 300 ms, and changes go on.
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
        // One that was killed said nothing: what was to be woken for is still to be.
        scheduler.probe_started();
        scheduler.probe_finished(now, ProbeResult::Otherwise);
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
            run(&mut scheduler, now, now + MS(1000), |_| ProbeResult::Passing),
            (1, 0)
        );
        let passing_until_triggered = |triggers| {
            if triggers == 0 {
                ProbeResult::Passing
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
        scheduler.probe_finished(now, ProbeResult::Otherwise);
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
        // And after a time of rest it is as quick as ever.
        let now = start + MS(3600 * 1000) + REFILL * BURST;
        scheduler.changed(now);
        assert_eq!(run(&mut scheduler, now, now + MS(250), until_triggered).1, 1);
    }

    #[test]
    fn failed_trigger_is_retried_with_backoff() {
        let (mut scheduler, now) = (Scheduler::default(), Instant::now());
        scheduler.changed(now);
        let always = |_| ProbeResult::Otherwise;
        let (_, triggers) = run_with(&mut scheduler, now, now + MS(600_000), always, false);
        assert!((12..20).contains(&triggers), "{triggers} in ten minutes");
        // Once it gets through, the next is as quick as ever.
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
