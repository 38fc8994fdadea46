//! Between hooks: the watcher triggers a hook when its outcome would differ, and only then.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use juju_sim::agent::{Agent, HookRun};
use juju_sim::juju::World;
use serde_json::json;

use super::fixture::{Live, audit, audit_answers, takes};
use super::gateway_api::{self, behind_ingress, route_of};
use super::permissions::{grant, grant_with};
use crate::support::kinds::{deployment, http_route, pod, vs};
use crate::support::{Edge, limit};

/// Long enough for anything that is not asserted to be quick.
const PATIENCE: Duration = Duration::from_secs(20);
/// For how long a test asserts that nothing happens.
const A_WHILE: Duration = Duration::from_millis(1500);

/// The promise of the README.
fn soon() -> Duration {
    limit(Duration::from_secs(3))
}

/// The process that started another, by `proc_pid_stat(5)`; `None` if that has ended.
fn parent(process: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // Behind the name, which may hold anything: the state, then the parent.
    stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()
}

impl Live {
    /// A serving model on a Juju that lets the watcher run hooks.
    pub fn watched(name: &str) -> Self {
        let mut live = Self::new(name);
        live.agent.listen().unwrap();
        assert_eq!(live.serves().split(':').next(), Some("active"));
        live
    }

    /// Runs the hooks that the watcher triggers, until the status begins like this.
    #[track_caller]
    fn becomes(&mut self, limit: Duration, wanted: &str) -> Vec<HookRun> {
        let is_so = |world: &World| {
            let status = &world.unit("iris/0").unwrap().status;
            format!("{}: {}", status.status, status.message).starts_with(wanted)
        };
        let (agent, world) = self.parts();
        let runs = agent.answer(world, limit, |world, _| is_so(world)).unwrap();
        assert!(is_so(&self.world), "{:?}", self.world.unit("iris/0").unwrap().status);
        runs
    }

    fn parts(&mut self) -> (&Agent, &mut World) {
        let edge: &mut Edge = self;
        (&edge.agent, &mut edge.world)
    }

    /// Deletes the route, and runs the hooks that the watcher triggers until it is back.
    #[track_caller]
    pub fn restores_route(&mut self) -> Vec<HookRun> {
        self.delete(&vs(), "iris-route");
        let start = Instant::now();
        let (agent, world) = self.parts();
        let runs = agent.answer(world, soon(), |_, runs| !runs.is_empty()).unwrap();
        assert!(self.route("iris").is_some(), "after {:?}: {runs:#?}", start.elapsed());
        runs
    }

    /// Runs the hooks that the watcher triggers for a while.
    pub fn runs_for_a_while(&mut self) -> Vec<HookRun> {
        let (agent, world) = self.parts();
        agent.answer(world, A_WHILE, |_, _| false).unwrap()
    }

    /// The one process that the charm left running; its probe is a child of it, and on a busy machine there is always one.
    #[track_caller]
    pub fn watcher(&self, unit: &str) -> u32 {
        let start = Instant::now();
        loop {
            let all = self.agent.left_behind(unit);
            let is_child = |process: &u32| parent(*process).is_some_and(|parent| all.contains(&parent));
            // An ending process may take a moment.
            match all.iter().filter(|process| !is_child(process)).collect::<Vec<_>>()[..] {
                [one] => return *one,
                _ => assert!(start.elapsed() < PATIENCE, "{all:?}"),
            }
        }
    }

    #[track_caller]
    pub fn no_watcher(&self, unit: &str) {
        let start = Instant::now();
        while !self.agent.left_behind(unit).is_empty() {
            assert!(start.elapsed() < PATIENCE, "{:?}", self.agent.left_behind(unit));
        }
    }

    /// How often the charm has observed the cluster so far.
    fn probes(&self) -> usize {
        audit(&self.user())
            .iter()
            .filter(|request| *request == "list seldondeployments")
            .count()
    }

    #[track_caller]
    fn waits_for_probe(&self, before: usize) {
        let start = Instant::now();
        while self.probes() == before {
            assert!(start.elapsed() < PATIENCE, "nobody looks");
        }
    }
}

#[test]
fn ready_model_is_active_within_three_seconds() {
    let mut live = Live::new("soon-ready");
    live.agent.listen().unwrap();
    assert!(live.says().starts_with("waiting: "));
    live.seldon_serves("iris");
    let start = Instant::now();
    let runs = live.becomes(soon(), "active: iris serves");
    assert!(start.elapsed() < soon());
    assert_eq!(runs.len(), 1, "one wake is enough: {runs:#?}");
    assert!(live.runs_for_a_while().is_empty());
}

#[test]
fn deleted_route_is_back_within_three_seconds() {
    let mut live = Live::watched("soon-back");
    live.restores_route();
    live.becomes(soon(), "active: ");
}

#[test]
fn rbac_yaml_suffices_for_every_watch() {
    let mut live = Live::untrusted("watch-rights");
    live.wait(live.cluster.apply_gateway("watch-rights", "gate")).unwrap();
    grant(&live, |_| true);
    live.agent.listen().unwrap();
    live.serves();
    live.restores_route();
    let wanted = [
        "deployments",
        "gateways",
        "pods",
        "seldondeployments",
        "virtualservices",
    ];
    let start = Instant::now();
    loop {
        let watched: BTreeSet<String> = audit_answers(&live.user())
            .into_iter()
            .filter_map(|(request, code)| (code == 200).then(|| request.strip_prefix("watch ").map(str::to_owned))?)
            .collect();
        if watched.iter().eq(wanted) {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "{watched:?}");
    }
}

#[test]
fn missing_watch_permission_leaves_hooks_working() {
    let mut live = Live::untrusted("no-watch");
    live.wait(live.cluster.apply_gateway("no-watch", "gate")).unwrap();
    grant_with(&live, |rule| {
        let verbs = rule["verbs"].as_array_mut().unwrap();
        verbs.retain(|verb| verb != "watch");
    });
    live.agent.listen().unwrap();
    assert_eq!(live.serves().split(':').next(), Some("active"));
    live.watcher("iris/0");
    assert!(live.runs_for_a_while().is_empty());
}

#[test]
fn broken_model_is_reported_within_three_seconds() {
    let mut live = Live::watched("soon-broken");
    live.delete(&deployment(), "iris-default-0-iris");
    live.becomes(soon(), "waiting: iris: ");
    live.seldon_serves("iris");
    live.becomes(soon(), "active: ");
}

#[test]
fn deleted_and_restored_gateway_is_noticed() {
    let mut live = Live::watched("gone-gateway");
    live.wait(live.cluster.remove_gateway("gone-gateway", "gate")).unwrap();
    live.becomes(soon(), "waiting: ");
    live.wait(live.cluster.apply_gateway("gone-gateway", "gate")).unwrap();
    live.becomes(soon(), "active: ");
}

#[test]
fn deleted_http_route_is_back_within_three_seconds() {
    let mut live = behind_ingress("soon-back-http");
    live.agent.listen().unwrap();
    assert!(gateway_api::serves(&mut live).starts_with("active"));
    live.delete(&http_route(), "iris-route");
    let (agent, world) = live.parts();
    let runs = agent.answer(world, soon(), |_, runs| !runs.is_empty()).unwrap();
    assert!(route_of(&live, "iris").is_some(), "{runs:#?}");
    gateway_api::set_route_conditions(&live, true, true);
    live.becomes(PATIENCE, "active: ");
}

#[test]
fn change_without_new_status_triggers_no_hook() {
    let mut live = Live::watched("calm");
    live.runs_for_a_while();
    let before = live.probes();
    live.merge(
        &vs(),
        "iris-route",
        &json!({"metadata": {"annotations": {"seen-by": "somebody"}}}),
    );
    live.waits_for_probe(before);
    assert!(live.runs_for_a_while().is_empty());
}

#[test]
fn route_that_comes_later_is_noted() {
    let mut live = Live::watched("shared");
    let neighbour = Live::new("shared-neighbour");
    neighbour.create(&vs(), "theirs", &takes("shared/gate", "/theirs/"));
    live.runs_for_a_while();
    neighbour.merge(&vs(), "theirs", &takes("shared/gate", "/model/iris/"));
    live.becomes(PATIENCE, "active: iris serves; shares requests with other routes");
    neighbour.delete(&vs(), "theirs");
    live.becomes(PATIENCE, "active: iris serves seldonio/sklearn-iris:0.3 at ");
}

#[test]
fn thousand_pod_changes_cost_few_probes() {
    let mut live = Live::watched("storm");
    live.runs_for_a_while();
    let labels =
        json!({"labels": {"seldon-model/application": "iris", "seldon-model/model-uuid": live.world.model.uuid}});
    let spec = json!({"metadata": labels, "spec": {"containers": [{"name": "x", "image": "x"}]}});
    live.create(&pod(), "noise", &spec);
    let (before, start) = (live.probes(), Instant::now());
    for n in 0..1000 {
        live.merge(
            &pod(),
            "noise",
            &json!({"metadata": {"annotations": {"n": n.to_string()}}}),
        );
    }
    assert!(live.runs_for_a_while().is_empty());
    let (probes, halves) = (live.probes() - before, start.elapsed().as_millis() / 500);
    assert!(
        (1..halves + 4).contains(&(probes as u128)),
        "{probes} probes in {halves} half seconds"
    );
}

#[test]
fn dead_watcher_is_replaced_by_one_other() {
    let mut live = Live::watched("only-one");
    let first = live.watcher("iris/0");
    let stat = fs::read_to_string(format!("/proc/{first}/stat")).unwrap();
    let session = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .nth(3)
        .unwrap()
        .to_owned();
    assert_eq!(session, first.to_string(), "it leads its session: {stat}");
    for descriptor in 0..3 {
        let open = fs::read_link(format!("/proc/{first}/fd/{descriptor}")).unwrap();
        let held = open.to_string_lossy().into_owned();
        assert!(
            held == "/dev/null" || descriptor == 0 && held.starts_with("pipe:"),
            "{held} is a hook's"
        );
    }
    live.hook("update-status");
    assert_eq!(live.watcher("iris/0"), first);
    live.agent.end_left_behind("iris/0");
    live.no_watcher("iris/0");
    live.hook("update-status");
    let second = live.watcher("iris/0");
    assert_ne!(second, first);
    live.restores_route();
}

#[test]
fn option_stop_and_removal_end_the_watcher() {
    let mut live = Live::watched("ends");
    live.watcher("iris/0");
    live.config(&[("watch", "false")]);
    live.says();
    live.no_watcher("iris/0");
    live.config(&[("watch", "true")]);
    live.says();
    live.watcher("iris/0");
    live.hook("stop");
    live.no_watcher("iris/0");
    live.hook("start");
    live.watcher("iris/0");
    live.world.unit_mut("iris/0").unwrap().life = juju_sim::juju::Life::Dying;
    live.hook("remove");
    live.no_watcher("iris/0");
}

#[test]
fn stop_ends_a_watcher_just_started() {
    let mut live = Live::watched("just-started");
    for _ in 0..10 {
        live.hook("stop");
        live.no_watcher("iris/0");
        live.hook("start");
    }
}

#[test]
fn refreshed_charm_starts_its_own_watcher() {
    let mut live = Live::watched("new-version");
    let old = live.watcher("iris/0");
    let new = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("dispatch-{}", std::process::id()));
    fs::copy(&live.agent.dispatch, &new).unwrap();
    live.agent.dispatch.clone_from(&new);
    live.hook("upgrade-charm");
    let start = Instant::now();
    let watcher = loop {
        let watcher = live.watcher("iris/0");
        if watcher != old {
            break watcher;
        }
        assert!(start.elapsed() < PATIENCE, "the old one stays");
    };
    assert_eq!(fs::read_link(format!("/proc/{watcher}/exe")).unwrap(), new);
    live.restores_route();
    fs::remove_file(new).unwrap();
}

#[test]
fn leader_is_triggered_for_changes_units_for_status() {
    let mut live = Live::new("followers");
    live.agent.listen().unwrap();
    live.world.application_mut("iris").unwrap().add_unit();
    live.serves();
    live.run_on("iris/1", "config-changed");
    live.watcher("iris/1");
    live.delete(&vs(), "iris-route");
    let (agent, world) = live.parts();
    let by_leader = |runs: &[HookRun]| runs.iter().any(|run| run.unit == "iris/0");
    let runs = agent.answer(world, PATIENCE, |_, runs| by_leader(runs)).unwrap();
    assert!(live.route("iris").is_some(), "{runs:#?}");
    live.delete(&deployment(), "iris-default-0-iris");
    let (agent, world) = live.parts();
    let all = |world: &World, word: &str| {
        let mut units = world.application("iris").unwrap().units.values();
        units.all(|unit| unit.status.status == word)
    };
    agent.answer(world, PATIENCE, |world, _| all(world, "waiting")).unwrap();
    assert!(
        all(&live.world, "waiting"),
        "{:#?}",
        live.world.application("iris").unwrap().units
    );
}

#[test]
fn juju_2_9_runs_the_watchers_trigger() {
    let mut live = Live::new("old-juju");
    live.world.version = "2.9.42".parse().unwrap();
    live.agent.listen().unwrap();
    assert!(live.says().starts_with("waiting: "));
    live.seldon_serves("iris");
    live.becomes(soon(), "active: iris serves");
}
