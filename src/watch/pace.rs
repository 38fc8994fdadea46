//! When the watcher looks, and when it wakes the charm. Pure: the clock is told.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// Changes come in bursts, of which one look is enough.
const SETTLE: Duration = Duration::from_millis(150);
/// Between two looks while changes go on: a storm of them costs two looks a second.
const SPACING: Duration = Duration::from_millis(500);
/// How soon it is looked again where what was seen may pass, before anybody is told: an API server that restarts, and a leader
/// that is at work, are ready by then.
const ONCE_MORE: Duration = Duration::from_secs(2);
/// How many wakes are free. A release takes no more.
const FREE: u32 = 5;
/// Longest pause between two wakes, of a model that comes and goes.
const LONGEST: Duration = Duration::from_secs(60);
/// How long a wake counts.
const MEMORY: Duration = Duration::from_secs(300);

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
    /// Whether a wake is on its way.
    waking: bool,
    /// Whether the last look came to what may pass.
    passing: bool,
    /// The wakes that count yet.
    wakes: VecDeque<Instant>,
}

impl Pace {
    /// What to do now.
    #[must_use]
    pub fn due(&self, now: Instant) -> Due {
        if self.hooks > 0 || self.waking {
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

    /// It was looked.
    pub fn looked(&mut self, now: Instant, came_to: Looked) {
        self.look = None;
        self.looked = Some(now);
        let passing = came_to == Looked::Passing;
        if passing && !self.passing {
            self.look = Some(now + ONCE_MORE);
            self.wake = None;
        } else if came_to == Looked::AsTold {
            self.wake = None;
        } else {
            self.wake = Some(self.earliest(now));
        }
        self.passing = passing;
    }

    /// A hook has begun.
    pub fn hook_began(&mut self) {
        self.hooks += 1;
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
        self.waking = true;
        self.wakes.push_back(now);
    }

    /// It was woken, or could not be: it is looked once more whether that was all.
    pub fn woke(&mut self, now: Instant) {
        self.waking = false;
        self.changed(now);
    }

    /// When the next wake may be: at once for the first few, then less and less often.
    fn earliest(&mut self, now: Instant) -> Instant {
        while self.wakes.front().is_some_and(|at| now.duration_since(*at) > MEMORY) {
            self.wakes.pop_front();
        }
        let (Ok(count), Some(last)) = (u32::try_from(self.wakes.len()), self.wakes.back()) else {
            return now;
        };
        let Some(doubled) = count.checked_sub(FREE) else {
            return now;
        };
        let pause = Duration::from_secs(1).saturating_mul(2_u32.saturating_pow(doubled));
        now.max(*last + pause.min(LONGEST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    /// Does whatever is due from `now` on until `until`. What a look comes to depends on how often it was woken. Gives how
    /// often it looked and woke.
    fn run(pace: &mut Pace, mut now: Instant, until: Instant, came_to: impl Fn(u32) -> Looked) -> (u32, u32) {
        let (mut looks, mut wakes) = (0, 0);
        loop {
            match pace.due(now) {
                Due::Look => {
                    looks += 1;
                    pace.looked(now, came_to(wakes));
                }
                Due::Wake => {
                    wakes += 1;
                    pace.wakes(now);
                    assert_eq!(pace.due(now), Due::Wait(None), "one wake at a time");
                    pace.woke(now);
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
    fn while_a_hook_runs_nothing_is_done_and_what_changed_is_looked_at_after_it() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        pace.hook_began();
        pace.changed(now);
        assert_eq!(pace.due(now + MS(10_000)), Due::Wait(None));
        pace.hook_ended(true);
        assert_eq!(pace.due(now + MS(10_000)), Due::Look);
        // One that was killed said nothing: what was to be woken for is still to be.
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
    fn a_model_that_comes_and_goes_wakes_less_and_less_often() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        let mut wakes = 0;
        for second in 0..3600 {
            let now = start + MS(second * 1000);
            pace.changed(now);
            wakes += run(&mut pace, now, now + MS(999), until_woken).1;
        }
        assert!((30..120).contains(&wakes), "{wakes} in an hour");
        // And after a time of rest it is as quick as ever.
        let now = start + MS(3600 * 1000) + MEMORY + LONGEST;
        pace.changed(now);
        assert_eq!(run(&mut pace, now, now + MS(250), until_woken).1, 1);
    }

    #[test]
    fn a_wake_that_mends_nothing_is_tried_again_less_and_less_often() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        pace.changed(now);
        let (_, wakes) = run(&mut pace, now, now + MS(600_000), |_| Looked::Otherwise);
        assert!((12..25).contains(&wakes), "{wakes} in ten minutes");
    }
}
