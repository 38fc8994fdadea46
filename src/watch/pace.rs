//! When the watcher looks, and when it wakes the charm. Pure: the clock is told.

use std::time::Duration;

use tokio::time::Instant;

/// Changes come in bursts, of which one look is enough.
const SETTLE: Duration = Duration::from_millis(150);
/// Between two looks while changes go on: a storm of them costs two looks a second.
const SPACING: Duration = Duration::from_millis(500);
/// How soon it is looked again where what was seen may pass, before anybody is told: an API server that restarts, and a leader
/// that is at work, are ready by then.
const ONCE_MORE: Duration = Duration::from_secs(2);
/// How often the charm may be woken in the long run, for a model that comes and goes.
const EACH: Duration = Duration::from_secs(15);
/// How many wakes may come at once: more than a person causes who tries things out.
const AT_ONCE: u32 = 20;
/// Longest pause after wakes that failed: the agent is away.
const LONGEST: Duration = Duration::from_secs(60);

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Look at the cluster.
    Look,
    /// Wake the charm.
    Wake,
    /// Wait until then, or for whatever happens.
    Wait(Option<Instant>),
}

/// What a look came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Looked {
    /// The charm would say what it said last.
    AsTold,
    /// It would say or do something else.
    Otherwise,
    /// The same, for what may be over in a moment.
    Passing,
    /// It could not be looked, through no fault of the cluster.
    Nothing,
}

/// What has been begun and is not over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum UnderWay {
    #[default]
    Nothing,
    Look,
    /// A look that a hook has overtaken, so that it is of no account.
    OldLook,
    Wake,
}

/// The watcher's sense of time.
#[derive(Debug, Default)]
pub struct Pace {
    /// When to look, if anything has changed.
    look: Option<Instant>,
    /// When it was looked last.
    looked: Option<Instant>,
    /// When to wake, if the last look gave a reason.
    wake: Option<Instant>,
    /// Hooks that run, which look for themselves.
    hooks: usize,
    /// What is on its way.
    under_way: UnderWay,
    /// Whether the last look came to what may pass.
    passing: bool,
    /// Until when the wakes so far would last, if each lasted as long as it should.
    spent: Option<Instant>,
    /// How many wakes in a row have failed.
    failed: u32,
    /// The earliest after those.
    rested: Option<Instant>,
}

impl Pace {
    /// What to do now.
    #[must_use]
    pub fn due(&self, now: Instant) -> Due {
        if self.hooks > 0 || self.under_way != UnderWay::Nothing {
            return Due::Wait(None);
        }
        let come = |at: &Option<Instant>| at.is_some_and(|at| at <= now);
        if come(&self.look) {
            Due::Look
        } else if come(&self.wake) {
            Due::Wake
        } else {
            Due::Wait([self.look, self.wake].into_iter().flatten().min())
        }
    }

    /// Something has changed in the cluster.
    pub fn changed(&mut self, now: Instant) {
        let spaced = self.looked.map(|at| at + SPACING);
        let at = spaced.into_iter().fold(now + SETTLE, Instant::max);
        self.look.get_or_insert(at);
    }

    /// It is being looked.
    pub fn looks(&mut self) {
        self.look = None;
        self.under_way = UnderWay::Look;
    }

    /// It was looked.
    pub fn looked(&mut self, now: Instant, came_to: Looked) {
        self.looked = Some(now);
        // What has changed during the look keeps its distance from the end of it.
        self.look = self.look.map(|at| at.max(now + SPACING));
        if std::mem::take(&mut self.under_way) == UnderWay::OldLook {
            return self.changed(now);
        }
        self.wake = None;
        match came_to {
            Looked::AsTold => {}
            Looked::Passing if self.passing => self.wake = Some(self.earliest(now)),
            Looked::Otherwise => self.wake = Some(self.earliest(now)),
            Looked::Passing | Looked::Nothing => {
                self.look.get_or_insert(now + ONCE_MORE);
            }
        }
        self.passing = came_to == Looked::Passing;
    }

    /// A hook has begun.
    pub fn hook_began(&mut self) {
        self.hooks += 1;
        if self.under_way == UnderWay::Look {
            self.under_way = UnderWay::OldLook;
        }
    }

    /// A hook has ended. One that told its outcome leaves nothing to be woken for.
    pub fn hook_ended(&mut self, told: bool) {
        self.hooks = self.hooks.saturating_sub(1);
        if told {
            self.wake = None;
        }
    }

    /// The charm is being woken.
    pub fn wakes(&mut self, now: Instant) {
        self.wake = None;
        self.under_way = UnderWay::Wake;
        self.spent = Some(self.spent.map_or(now, |spent| spent.max(now)) + EACH);
    }

    /// It was woken, or could not be: it is looked once more whether that was all.
    pub fn woke(&mut self, now: Instant, well: bool) {
        self.under_way = UnderWay::Nothing;
        self.failed = if well { 0 } else { self.failed.saturating_add(1) };
        let pause = Duration::from_secs(1).saturating_mul(2_u32.saturating_pow(self.failed));
        self.rested = (!well).then(|| now + pause.min(LONGEST));
        self.changed(now);
    }

    /// When the next wake may be.
    fn earliest(&self, now: Instant) -> Instant {
        let spent = self.spent.and_then(|spent| spent.checked_sub(EACH * (AT_ONCE - 1)));
        [spent, self.rested].into_iter().flatten().fold(now, Instant::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    /// Does whatever is due from `now` on until `until`. What a look comes to depends on how often it was woken. Gives how
    /// often it looked and woke.
    fn run(pace: &mut Pace, now: Instant, until: Instant, came_to: impl Fn(u32) -> Looked) -> (u32, u32) {
        run_with(pace, now, until, came_to, true)
    }

    fn run_with(
        pace: &mut Pace,
        mut now: Instant,
        until: Instant,
        came_to: impl Fn(u32) -> Looked,
        well: bool,
    ) -> (u32, u32) {
        let (mut looks, mut wakes) = (0, 0);
        loop {
            match pace.due(now) {
                Due::Look => {
                    looks += 1;
                    pace.looks();
                    assert_eq!(pace.due(now), Due::Wait(None), "one look at a time");
                    pace.looked(now, came_to(wakes));
                }
                Due::Wake => {
                    wakes += 1;
                    pace.wakes(now);
                    assert_eq!(pace.due(now), Due::Wait(None), "one wake at a time");
                    pace.woke(now, well);
                }
                Due::Wait(Some(at)) if at <= until => now = at,
                Due::Wait(_) => return (looks, wakes),
            }
        }
    }

    fn as_told(_: u32) -> Looked {
        Looked::AsTold
    }

    fn until_woken(wakes: u32) -> Looked {
        if wakes == 0 { Looked::Otherwise } else { Looked::AsTold }
    }

    #[test]
    fn a_change_that_changes_nothing_of_the_verdict_wakes_nobody() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        assert_eq!(pace.due(now), Due::Wait(None));
        pace.changed(now);
        assert_eq!(run(&mut pace, now, now + MS(60_000), as_told), (1, 0));
    }

    #[test]
    fn a_change_of_the_verdict_wakes_within_a_quarter_of_a_second() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        pace.changed(now);
        assert_eq!(run(&mut pace, now, now + MS(250), until_woken), (1, 1));
        assert_eq!(
            run(&mut pace, now, now + MS(60_000), as_told),
            (1, 0),
            "and once is enough"
        );
    }

    #[test]
    fn a_storm_of_changes_costs_two_looks_a_second() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        let mut looks = 0;
        for n in 0..1000 {
            let now = start + MS(n * 10);
            pace.changed(now);
            looks += run(&mut pace, now, now, as_told).0;
        }
        assert!((15..=22).contains(&looks), "{looks} in ten seconds");
    }

    #[test]
    fn looks_that_take_long_keep_their_distance_too() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        pace.changed(start);
        let (mut now, mut looks) = (start, 0);
        while now < start + MS(10_000) {
            now += MS(10);
            pace.changed(now);
            if pace.due(now) == Due::Look {
                pace.looks();
                // It takes 300 ms, and changes go on.
                for _ in 0..30 {
                    now += MS(10);
                    pace.changed(now);
                }
                pace.looked(now, Looked::AsTold);
                looks += 1;
            }
        }
        assert!((10..=14).contains(&looks), "{looks} in ten seconds");
    }

    #[test]
    fn while_a_hook_runs_nothing_is_done_and_what_changed_is_looked_at_after_it() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        pace.hook_began();
        pace.changed(now);
        assert_eq!(pace.due(now + MS(10_000)), Due::Wait(None));
        pace.hook_ended(true);
        assert_eq!(pace.due(now + MS(10_000)), Due::Look);
        // One that was killed said nothing: what was to be woken for is still to be.
        pace.looks();
        pace.looked(now, Looked::Otherwise);
        pace.hook_began();
        pace.hook_ended(false);
        assert_eq!(pace.due(now), Due::Wake);
        pace.hook_began();
        pace.hook_ended(true);
        assert_eq!(pace.due(now), Due::Wait(None));
    }

    #[test]
    fn what_may_pass_is_looked_at_twice_before_anybody_is_told() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        pace.changed(now);
        assert_eq!(run(&mut pace, now, now + MS(1000), |_| Looked::Passing), (1, 0));
        let passing_until_woken = |wakes| if wakes == 0 { Looked::Passing } else { Looked::AsTold };
        assert_eq!(run(&mut pace, now, now + MS(5000), passing_until_woken), (2, 1));
    }

    #[test]
    fn a_look_that_a_hook_overtakes_is_of_no_account() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        pace.changed(now);
        pace.looks();
        pace.hook_began();
        pace.hook_ended(true);
        pace.looked(now, Looked::Otherwise);
        assert_eq!(run(&mut pace, now, now + MS(60_000), as_told), (1, 0));
    }

    #[test]
    fn a_model_that_comes_and_goes_wakes_at_once_at_first_and_four_times_a_minute_in_the_end() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        let mut wakes = Vec::new();
        for second in 0..3600 {
            let now = start + MS(second * 1000);
            pace.changed(now);
            wakes.push(run(&mut pace, now, now + MS(999), until_woken).1);
        }
        let sum = |part: &[u32]| part.iter().sum::<u32>();
        assert!(sum(&wakes[..20]) >= 19, "{wakes:?}");
        assert!((3..6).contains(&sum(&wakes[1200..1260])), "{wakes:?}");
        // And after a time of rest it is as quick as ever.
        let now = start + MS(3600 * 1000) + EACH * AT_ONCE;
        pace.changed(now);
        assert_eq!(run(&mut pace, now, now + MS(250), until_woken).1, 1);
    }

    #[test]
    fn a_wake_that_fails_is_tried_again_less_and_less_often() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        pace.changed(now);
        let always = |_| Looked::Otherwise;
        let (_, wakes) = run_with(&mut pace, now, now + MS(600_000), always, false);
        assert!((12..20).contains(&wakes), "{wakes} in ten minutes");
        // Once it gets through, the next is as quick as ever.
        let later = now + MS(700_000);
        pace.changed(later);
        assert!(run(&mut pace, later, later + MS(60_000), until_woken).1 == 1);
        pace.changed(later + MS(60_000));
        assert_eq!(run(&mut pace, later + MS(60_000), later + MS(60_250), until_woken).1, 1);
    }
}
