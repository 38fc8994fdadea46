//! What the watcher costs, and how soon it reacts: `cargo test --test bench -- watcher [minutes]`. Memory and CPU time are the
//! operating system's figures, over that many quiet minutes and over a thousand changes of a pod.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use juju_sim::juju::World;
use serde_json::json;

use crate::fixture::{Live, audit};
use crate::support::Edge;
use crate::support::kinds::{pod, vs};
use crate::{FLEETS, fleet};

/// The argument that selects this measurement.
pub const WORD: &str = "watcher";
const TIMES: usize = 10;
const STORM: usize = 1000;
const PATIENCE: Duration = Duration::from_secs(60);

/// The operating system's figures for a process.
#[derive(Clone, Copy)]
struct Account {
    /// Peak memory, in KiB.
    peak: u64,
    /// Memory now, in KiB.
    now: u64,
    /// CPU time in milliseconds, including its probes, which are processes of their own.
    cpu: u64,
}

pub fn run(dispatch: &Path, minutes: u64) {
    println!("| models | memory at rest | most, with the storm | storm: looks, CPU | quiet: minutes, looks, CPU |");
    println!("|---|---|---|---|---|");
    let mut lives: Vec<Live> = FLEETS.iter().map(|models| watched(dispatch, *models)).collect();
    let after_storm: Vec<String> = lives.iter_mut().map(storm).collect();
    let before: Vec<(Account, usize)> = lives.iter().map(|live| (account(live), probes(live))).collect();
    std::thread::sleep(Duration::from_secs(minutes * 60));
    for ((live, storm), (models, (was, probed))) in lives.iter().zip(after_storm).zip(FLEETS.iter().zip(before)) {
        let is = account(live);
        println!(
            "| {models} | {:.1} MB | {:.1} MB | {storm} | {minutes}, {}, {} ms |",
            megabytes(is.now),
            megabytes(is.peak),
            probes(live) - probed,
            is.cpu - was.cpu,
        );
    }
    latencies(&mut lives[0]);
}

/// A serving fleet and its watcher.
fn watched(dispatch: &Path, models: usize) -> Live {
    let mut live = Live::new(&format!("watched-{models}"));
    dispatch.clone_into(&mut live.agent.dispatch);
    live.agent.listen().unwrap();
    live.config(&[("image", ""), ("models", &fleet(models, "iris:1"))]);
    assert!(live.serves().starts_with("active"));
    settled(&mut live);
    live
}

/// Runs the hooks that the watcher triggers, until there has been none for a while.
fn settled(live: &mut Live) {
    while !answer(live, Duration::from_secs(2), |_, ran| ran > 0).is_empty() {}
}

fn answer(live: &mut Live, limit: Duration, enough: impl Fn(&World, usize) -> bool) -> Vec<juju_sim::agent::HookRun> {
    let edge: &mut Edge = live;
    edge.agent
        .answer(&mut edge.world, limit, |world, runs| enough(world, runs.len()))
        .unwrap()
}

fn probes(live: &Live) -> usize {
    audit(&live.user())
        .iter()
        .filter(|request| *request == "list seldondeployments")
        .count()
}

fn account(live: &Live) -> Account {
    let process = live.agent.left_behind("iris/0")[0];
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let kib = |key: &str| {
        let value = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        value.trim().trim_end_matches(" kB").parse().unwrap()
    };
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // Behind the name, which may hold anything: utime, stime, cutime and cstime, in hundredths of a second (`proc_pid_stat(5)`).
    let fields = stat.rsplit(')').next().unwrap().split_whitespace().skip(11).take(4);
    let ticks: u64 = fields.map(|field| field.parse::<u64>().unwrap()).sum();
    Account {
        peak: kib("VmHWM:"),
        now: kib("VmRSS:"),
        cpu: ticks * 10,
    }
}

fn storm(live: &mut Live) -> String {
    let labels = json!({"seldon-model/application": "iris", "seldon-model/model-uuid": live.world.model.uuid});
    let spec = json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "x", "image": "x"}]}});
    live.create(&pod(), "noise", &spec);
    let (was, probed, start) = (account(live), probes(live), Instant::now());
    for n in 0..STORM {
        live.merge(
            &pod(),
            "noise",
            &json!({"metadata": {"annotations": {"n": n.to_string()}}}),
        );
    }
    let took = start.elapsed();
    let triggered = answer(live, Duration::from_secs(2), |_, _| false);
    assert!(triggered.is_empty(), "{triggered:#?}");
    format!(
        "{STORM} changes in {:.1} s, {} looks, {} ms",
        took.as_secs_f64(),
        probes(live) - probed,
        account(live).cpu - was.cpu
    )
}

fn latencies(live: &mut Live) {
    let mut back = Vec::new();
    for _ in 0..TIMES {
        live.delete(&vs(), "model-0-route");
        let start = Instant::now();
        answer(live, PATIENCE, |_, ran| ran > 0);
        assert!(live.route("model-0").is_some());
        back.push(start.elapsed());
        settled(live);
    }
    println!("\nA route deleted by hand is back after: {}", list(&back));
    let mut active = Vec::new();
    for time in 0..TIMES {
        live.config(&[("models", &fleet(1, &format!("iris:{}", 2 + time)))]);
        assert!(live.says().starts_with("waiting"));
        settled(live);
        live.seldon_serves("model-0");
        let start = Instant::now();
        answer(live, PATIENCE, |world, _| {
            world.unit("iris/0").unwrap().status.status == "active"
        });
        active.push(start.elapsed());
        settled(live);
    }
    println!("A model that is ready is active after: {}", list(&active));
}

fn list(times: &[Duration]) -> String {
    let all: Vec<String> = times.iter().map(|time| format!("{:.2}", time.as_secs_f64())).collect();
    format!("{} s", all.join(", "))
}

fn megabytes(kib: u64) -> f64 {
    kib as f64 * 1024.0 / 1e6
}
