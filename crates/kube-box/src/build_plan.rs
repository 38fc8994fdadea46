//! What has to be made before a site can start: parts, each with the parts it needs, made alongside each other where they
//! can be, with one line of progress now and then.

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};

/// Receives one line at a time of what goes on.
pub type Progress<'a> = &'a (dyn Fn(&str) + Sync);

/// How often it is reported which parts are being made.
const REPORT: Duration = Duration::from_secs(20);

/// What a part keeps busy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// All processors, as a compiler does.
    Processors,
    /// The network or the disk.
    Network,
}

/// One part.
pub struct Part<'a> {
    name: &'static str,
    needs: &'static [&'static str],
    load: Load,
    make: Box<dyn FnOnce() -> Result<()> + Send + 'a>,
}

impl<'a> Part<'a> {
    /// A part that can be made once `needs` are; those that are not in the plan exist already.
    pub fn new(
        name: &'static str,
        needs: &'static [&'static str],
        load: Load,
        make: impl FnOnce() -> Result<()> + Send + 'a,
    ) -> Self {
        Self {
            name,
            needs,
            load,
            make: Box::new(make),
        }
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    pub fn needs(&self) -> &'static [&'static str] {
        self.needs
    }
}

/// How many parts are made at once.
#[derive(Debug, Clone, Copy)]
struct Limits {
    processors: usize,
    network: usize,
}

impl Limits {
    /// A compiler uses every processor except where it links, so half as many compilers as processors keep all of them busy.
    /// Two downloads at once hide that each waits for its server.
    fn of_this_machine() -> Self {
        let processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self {
            processors: processors.div_euclid(2).max(1),
            network: 2,
        }
    }

    fn of(self, load: Load) -> usize {
        match load {
            Load::Processors => self.processors,
            Load::Network => self.network,
        }
    }
}

struct Running {
    number: usize,
    name: &'static str,
    load: Load,
    since: Instant,
}

struct State<'a> {
    waiting: Vec<Part<'a>>,
    running: Vec<Running>,
    limits: Limits,
    started: usize,
    total: usize,
    failed: Option<anyhow::Error>,
}

impl<'a> State<'a> {
    fn new(parts: Vec<Part<'a>>, limits: Limits) -> Self {
        Self {
            total: parts.len(),
            waiting: parts,
            running: Vec::new(),
            limits,
            started: 0,
            failed: None,
        }
    }

    /// The first part whose needs are met and whose load there is room for.
    fn startable(&self) -> Option<usize> {
        if self.failed.is_some() {
            return None;
        }
        self.waiting.iter().position(|part| {
            let same_load = self.running.iter().filter(|running| running.load == part.load);
            same_load.count() < self.limits.of(part.load) && part.needs.iter().all(|need| !self.is_pending(need))
        })
    }

    fn is_pending(&self, name: &str) -> bool {
        self.waiting.iter().any(|part| part.name == name) || self.running.iter().any(|running| running.name == name)
    }

    fn start(&mut self, index: usize, since: Instant) -> (Part<'a>, usize) {
        let part = self.waiting.remove(index);
        self.started += 1;
        self.running.push(Running {
            number: self.started,
            name: part.name,
            load: part.load,
            since,
        });
        (part, self.started)
    }

    /// `part 3 of 11: kube-apiserver, 2 min 10 s so far; next: kubelet`
    fn line(&self, now: Instant) -> String {
        let parts = self.running.iter().map(|running| {
            let elapsed = minutes(now.saturating_duration_since(running.since));
            (running.number, format!("{}, {elapsed} so far", running.name))
        });
        let parts: Vec<String> = parts
            .enumerate()
            .map(|(index, (number, text))| match index {
                0 => format!("part {number} of {}: {text}", self.total),
                _ => format!("part {number}: {text}"),
            })
            .collect();
        parts.join("; ") + &self.next()
    }

    fn next(&self) -> String {
        self.waiting
            .first()
            .map(|part| format!("; next: {}", part.name))
            .unwrap_or_default()
    }
}

/// Makes the parts, in their order where nothing else decides.
///
/// # Errors
/// The first error of a part. Those that are being made then are finished, so that the next attempt finds them.
pub fn run(parts: Vec<Part<'_>>, progress: Progress<'_>) -> Result<()> {
    if parts.is_empty() {
        return Ok(());
    }
    let begun = Instant::now();
    let state = Mutex::new(State::new(parts, Limits::of_this_machine()));
    let changed = Condvar::new();
    thread::scope(|scope| {
        let mut report = begun + REPORT;
        let mut now = lock(&state);
        loop {
            while let Some(index) = now.startable() {
                let (part, number) = now.start(index, Instant::now());
                progress(&format!("part {number} of {}: {}{}", now.total, part.name, now.next()));
                let (state, changed) = (&state, &changed);
                scope.spawn(move || finish(part, number, state, changed, progress));
            }
            if now.running.is_empty() {
                break;
            }
            let rest = report.saturating_duration_since(Instant::now());
            now = changed
                .wait_timeout(now, rest)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
            if Instant::now() >= report {
                progress(&now.line(Instant::now()));
                report = Instant::now() + REPORT;
            }
        }
    });
    let state = state.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(error) = state.failed {
        return Err(error);
    }
    if let Some(part) = state.waiting.first() {
        bail!("{} needs a part that needs it: {}", part.name, part.needs.join(", "));
    }
    progress(&format!("{} parts made in {}", state.total, minutes(begun.elapsed())));
    Ok(())
}

fn finish(part: Part<'_>, number: usize, state: &Mutex<State<'_>>, changed: &Condvar, progress: Progress<'_>) {
    let Part { name, make, .. } = part;
    let begun = Instant::now();
    // The thread that waits for all of them would wait for ever.
    let made = catch_unwind(AssertUnwindSafe(make)).unwrap_or_else(|_| Err(anyhow!("{name} cannot be made")));
    let mut now = lock(state);
    now.running.retain(|running| running.number != number);
    match made {
        Ok(()) => progress(&format!(
            "part {number} of {}: {name} done in {}",
            now.total,
            minutes(begun.elapsed())
        )),
        Err(error) => {
            progress(&format!("part {number} of {}: {name} failed", now.total));
            if !now.running.is_empty() {
                progress("finishing the parts that are being made, so that the next attempt has them");
            }
            now.failed.get_or_insert(error);
        }
    }
    drop(now);
    changed.notify_one();
}

fn lock<'s, 'a>(state: &'s Mutex<State<'a>>) -> MutexGuard<'s, State<'a>> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `2 min 10 s`, or `40 s`.
fn minutes(time: Duration) -> String {
    match (time.as_secs() / 60, time.as_secs() % 60) {
        (0, seconds) => format!("{seconds} s"),
        (minutes, seconds) => format!("{minutes} min {seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        processors: 1,
        network: 2,
    };

    fn part(name: &'static str, needs: &'static [&'static str], load: Load) -> Part<'static> {
        Part::new(name, needs, load, || Ok(()))
    }

    fn start_all(state: &mut State<'_>) -> Vec<&'static str> {
        let mut started = Vec::new();
        while let Some(index) = state.startable() {
            started.push(state.start(index, Instant::now()).0.name);
        }
        started
    }

    #[test]
    fn downloads_run_alongside_one_compiler() {
        let mut state = State::new(
            vec![
                part("sources", &[], Load::Network),
                part("etcd", &[], Load::Processors),
                part("kubelet", &["sources"], Load::Processors),
                part("base", &[], Load::Network),
                part("wrapper", &["base"], Load::Network),
            ],
            LIMITS,
        );
        assert_eq!(start_all(&mut state), ["sources", "etcd", "base"]);
        state.running.retain(|running| running.name != "sources");
        // The compiler still has its processors, and the wrapper its base to wait for.
        assert_eq!(start_all(&mut state), [""; 0]);
        state.running.retain(|running| running.name != "etcd");
        assert_eq!(start_all(&mut state), ["kubelet"]);
        state.running.retain(|running| running.name != "base");
        assert_eq!(start_all(&mut state), ["wrapper"]);
    }

    #[test]
    fn progress_names_the_part_its_time_and_the_next() {
        let mut state = State::new(
            vec![
                part("kube-apiserver", &[], Load::Processors),
                part("base image", &[], Load::Network),
                part("kubelet", &[], Load::Processors),
            ],
            LIMITS,
        );
        let start = Instant::now();
        state.start(0, start);
        let later = start + Duration::from_secs(130);
        assert_eq!(
            state.line(later),
            "part 1 of 3: kube-apiserver, 2 min 10 s so far; next: base image"
        );
        state.start(0, start + Duration::from_secs(90));
        assert_eq!(
            state.line(later),
            "part 1 of 3: kube-apiserver, 2 min 10 s so far; part 2: base image, 40 s so far; next: kubelet"
        );
    }

    #[test]
    fn a_failed_part_ends_the_plan_with_its_error() {
        let made = Mutex::new(Vec::new());
        let finish = |name: &'static str| {
            let made = &made;
            move || {
                made.lock().unwrap().push(name);
                Ok(())
            }
        };
        let parts = vec![
            Part::new("first", &[], Load::Processors, finish("first")),
            Part::new("second", &["first"], Load::Processors, || bail!("no space left")),
            Part::new("third", &["second"], Load::Processors, finish("third")),
        ];
        let lines = Mutex::new(Vec::new());
        let error = run(parts, &|line| lines.lock().unwrap().push(line.to_owned())).unwrap_err();
        assert_eq!(error.to_string(), "no space left");
        assert_eq!(*made.lock().unwrap(), ["first"]);
        let lines = lines.lock().unwrap();
        assert_eq!(lines[0], "part 1 of 3: first; next: second");
        assert!(lines.contains(&"part 2 of 3: second failed".to_owned()), "{lines:?}");
    }

    #[test]
    fn parts_that_need_each_other_are_an_error() {
        let parts = vec![
            part("hen", &["egg"], Load::Network),
            part("egg", &["hen"], Load::Network),
        ];
        let error = run(parts, &|_| ()).unwrap_err();
        assert_eq!(error.to_string(), "hen needs a part that needs it: egg");
    }
}
