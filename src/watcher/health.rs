//! The health of a watcher, which it reports to each hook.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::cluster::{WatchNotice, Watched};

/// A probe's requests share the 25 s of a hook (`BUDGET` in `cluster`); the rest is for planning a large fleet on a
/// slow processor.
pub const PROBE_LIMIT: Duration = Duration::from_secs(45);
/// `juju-exec` waits for whatever the agent runs, and commands have priority over all hooks except those of
/// leadership and secrets (juju/juju, internal/worker/uniter/resolver.go). So it can take one hook of at most three
/// minutes, an action or two, and its own hook. If it is killed, the agent still runs the command.
pub const TRIGGER_LIMIT: Duration = Duration::from_secs(600);
/// A watch restarts after at most 5.5 minutes ([`WatchLimits`](crate::cluster::WatchLimits)), or after one minute if
/// the API server rejects it. One that takes twice as long is stuck.
const STUCK_AFTER: Duration = Duration::from_secs(660);

/// Why a child process gave no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChildError {
    Failed,
    /// It was killed at its time limit.
    TimedOut,
}

#[derive(Debug, Default)]
pub struct Health {
    /// The last start of each watch.
    started: BTreeMap<Watched, Instant>,
    /// Problems that were not reported to a hook yet.
    unreported: HealthReport,
}

/// Sent to each hook as soon as it connects.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HealthReport {
    /// Seconds since the last start of the watch that started longest ago.
    stalest: u64,
    dead_connections: u32,
    /// Of `juju-exec`.
    triggers_killed: u32,
    probes_killed: u32,
}

impl Health {
    pub fn notice(&mut self, what: Watched, notice: WatchNotice, now: Instant) {
        match notice {
            WatchNotice::Started => {
                self.started.insert(what, now);
            }
            WatchNotice::Unusable => self.unreported.dead_connections += 1,
            WatchNotice::Changed => {}
        }
    }

    pub fn trigger_failed(&mut self, error: ChildError) {
        self.unreported.triggers_killed += u32::from(error == ChildError::TimedOut);
    }

    pub fn probe_failed(&mut self, error: ChildError) {
        self.unreported.probes_killed += u32::from(error == ChildError::TimedOut);
    }

    /// The report for a hook. Each problem is reported once.
    pub fn report(&mut self, now: Instant) -> HealthReport {
        let oldest = self.started.values().min();
        HealthReport {
            stalest: oldest.map_or(0, |started| now.duration_since(*started).as_secs()),
            ..std::mem::take(&mut self.unreported)
        }
    }
}

impl HealthReport {
    /// Why the watcher has to be replaced.
    pub fn error(&self) -> Option<String> {
        (self.stalest > STUCK_AFTER.as_secs()).then(|| format!("has had a stuck watch for {} s", self.stalest))
    }

    pub fn warnings(&self) -> Vec<String> {
        let connections = format!(
            "watcher: {} dead connections to the Kubernetes API were replaced; changes may have been noticed up to 5 minutes late",
            self.dead_connections
        );
        let triggers = format!(
            "watcher: juju-exec was killed after {} s, {} times; changes were noticed late",
            TRIGGER_LIMIT.as_secs(),
            self.triggers_killed
        );
        let probes = format!(
            "watcher: a probe of the cluster was killed after {} s, {} times",
            PROBE_LIMIT.as_secs(),
            self.probes_killed
        );
        [
            (self.dead_connections, connections),
            (self.triggers_killed, triggers),
            (self.probes_killed, probes),
        ]
        .into_iter()
        .filter_map(|(times, warning)| (times > 0).then_some(warning))
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
        let late = start + STUCK_AFTER + Duration::from_secs(1);
        health.notice(Watched::Gateways, WatchNotice::Started, late);
        assert!(health.report(start + STUCK_AFTER).error().is_none());
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
            "a restart of Juju's agent is no problem"
        );
        health.trigger_failed(ChildError::TimedOut);
        health.probe_failed(ChildError::TimedOut);
        health.notice(Watched::Pods, WatchNotice::Unusable, now);
        let lines = health.report(now).warnings().join("\n");
        for part in [
            "1 dead connections",
            "juju-exec was killed after 600 s",
            "a probe of the cluster",
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
