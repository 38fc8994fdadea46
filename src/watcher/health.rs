//! Whether a watcher is well: what it reports to each hook, and what went wrong with it since the last one.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::cluster::{WatchNotice, Watched};

/// How long a look may take: its requests have the 25 s of a hook (`BUDGET` in `cluster`), and the rest is for a fleet's plan on a
/// slow processor.
pub const PROBE_LIMIT: Duration = Duration::from_secs(45);
/// How long `juju-exec` may take. It waits for whatever the agent runs, and commands go before all hooks but those of leadership and
/// secrets (juju/juju, internal/worker/uniter/resolver.go): so for a hook of at most three minutes, an action or two, and its own
/// hook. When it is killed, the agent still runs what it was given.
pub const TRIGGER_LIMIT: Duration = Duration::from_secs(600);
/// A watch begins again after 5.5 minutes at most ([`WatchLimits`](crate::cluster::WatchLimits)), or after one minute while the API
/// server refuses it. One that did not for twice as long is stuck.
const STUCK: Duration = Duration::from_secs(660);

/// Why a process that the watcher started gave no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChildError {
    /// It failed.
    Failed,
    /// It did not end in time, and was killed.
    TimedOut,
}

/// The watcher's own account.
#[derive(Debug, Default)]
pub struct Health {
    /// When each watch began last.
    began: BTreeMap<Watched, Instant>,
    /// What went wrong and was reported to no hook yet.
    wrong: HealthReport,
}

/// What a watcher reports to a hook, as soon as that takes the socket.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HealthReport {
    /// How long ago the watch began last that has gone longest without, in seconds.
    stalest: u64,
    /// How many connections of watches were dead.
    dead_connections: u32,
    /// How often `juju-exec` was killed.
    wakes_killed: u32,
    /// How often a look was killed.
    probes_killed: u32,
}

impl Health {
    /// Takes a notice of a watch.
    pub fn notice(&mut self, what: Watched, notice: WatchNotice, now: Instant) {
        match notice {
            WatchNotice::Started => {
                self.began.insert(what, now);
            }
            WatchNotice::Unusable => self.wrong.dead_connections += 1,
            WatchNotice::Changed => {}
        }
    }

    /// A call of `juju-exec` gave no result.
    pub fn trigger_failed(&mut self, error: ChildError) {
        self.wrong.wakes_killed += u32::from(error == ChildError::TimedOut);
    }

    /// A look gave no result.
    pub fn probe_failed(&mut self, error: ChildError) {
        self.wrong.probes_killed += u32::from(error == ChildError::TimedOut);
    }

    /// What to report to a hook now. What went wrong is reported once.
    pub fn report(&mut self, now: Instant) -> HealthReport {
        let oldest = self.began.values().min();
        HealthReport {
            stalest: oldest.map_or(0, |began| now.duration_since(*began).as_secs()),
            ..std::mem::take(&mut self.wrong)
        }
    }
}

impl HealthReport {
    /// Why the watcher is to be replaced, if it is.
    pub fn error(&self) -> Option<String> {
        (self.stalest > STUCK.as_secs()).then(|| format!("one of its watches is stuck since {} s", self.stalest))
    }

    /// What went wrong, a line each.
    pub fn warnings(&self) -> Vec<String> {
        let connections = format!(
            "watcher: {} connections to the Kubernetes API were dead and were replaced; changes may have been seen up to 5 minutes late",
            self.dead_connections
        );
        let triggers = format!(
            "watcher: juju-exec did not end within {} s and was killed, {} times; changes were seen late",
            TRIGGER_LIMIT.as_secs(),
            self.wakes_killed
        );
        let probes = format!(
            "watcher: looking at the cluster did not end within {} s and was killed, {} times",
            PROBE_LIMIT.as_secs(),
            self.probes_killed
        );
        [
            (self.dead_connections, connections),
            (self.wakes_killed, triggers),
            (self.probes_killed, probes),
        ]
        .into_iter()
        .filter_map(|(times, socket)| (times > 0).then_some(socket))
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watch_never_restarted_makes_watcher_unhealthy() {
        let (mut health, start) = (Health::default(), Instant::now());
        assert_eq!(health.report(start).error(), None);
        health.notice(Watched::Pods, WatchNotice::Started, start);
        health.notice(Watched::Gateways, WatchNotice::Started, start);
        let late = start + STUCK + Duration::from_secs(1);
        health.notice(Watched::Gateways, WatchNotice::Started, late);
        assert!(health.report(start + STUCK).error().is_none());
        assert!(health.report(late).error().is_some_and(|why| why.contains("661 s")));
        health.notice(Watched::Pods, WatchNotice::Started, late);
        assert_eq!(health.report(late).error(), None);
    }

    #[test]
    fn killed_process_is_reported_once() {
        let (mut health, now) = (Health::default(), Instant::now());
        assert!(health.report(now).warnings().is_empty());
        health.trigger_failed(ChildError::Failed);
        health.probe_failed(ChildError::Failed);
        assert!(
            health.report(now).warnings().is_empty(),
            "Juju's agent restarts, and that is no news"
        );
        health.trigger_failed(ChildError::TimedOut);
        health.probe_failed(ChildError::TimedOut);
        health.notice(Watched::Pods, WatchNotice::Unusable, now);
        let lines = health.report(now).warnings().join("\n");
        for part in [
            "1 connections",
            "juju-exec did not end within 600 s",
            "looking at the cluster",
        ] {
            assert!(lines.contains(part), "{lines}");
        }
        assert!(health.report(now).warnings().is_empty());
    }

    #[test]
    fn report_of_another_version_can_be_read() {
        let report: HealthReport = serde_json::from_str(r#"{"stalest": 5, "of_a_later_version": true}"#).unwrap();
        assert_eq!(report.error(), None);
        assert!(report.warnings().is_empty());
    }
}
