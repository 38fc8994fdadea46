//! What a hook costs, compared with the same job in Python: `cargo test --test bench`, or `just bench`.
//!
//! Both charms use the same API server and hook tools, in turn, each in its own namespaces. The figures are the operating system's
//! for the charm's process.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "whatever goes wrong ends it"
)]

#[path = "../it/cluster/fixture.rs"]
#[allow(dead_code, reason = "the tests of the cluster use the rest")]
mod fixture;
mod hostile;
#[path = "../support/packed.rs"]
#[allow(dead_code, reason = "the test of the packed charm uses the rest")]
mod packed;
mod peer;
mod stopwatch;
#[path = "../support/mod.rs"]
mod support;
mod table;
mod watcher;

use std::path::PathBuf;

use fixture::{Live, api_server};
use stopwatch::Stopwatch;
use table::{Figures, Table};

/// One of the two charms.
struct Subject {
    name: &'static str,
    /// The program that Juju would start.
    dispatch: PathBuf,
    /// In bytes.
    packed: u64,
    /// In bytes.
    unpacked: u64,
}

/// How many models one application has.
const FLEETS: [usize; 3] = [1, 10, 100];

fn main() {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some(stopwatch::WORD) => stopwatch::run(arguments),
        Some(watcher::WORD) => {
            let minutes = arguments.next().map_or(1, |minutes| minutes.parse().unwrap());
            return watcher::run(&ours().dispatch, minutes);
        }
        Some(hostile::WORD) => return hostile::run(&ours().dispatch),
        _ => {}
    }
    let subjects = [ours(), peer::made()];
    api_server();
    let mut table = Table::new(&subjects);
    for models in FLEETS {
        for (hook, times) in [("first", 3), ("changed", 5), ("quiet", 20)] {
            // A hook of the slower charm takes some ten seconds for the largest fleet.
            let times = if models < 100 { times } else { times.min(5) };
            table.add(
                models,
                hook,
                &subjects.each_ref().map(|subject| measure(subject, models, hook, times)),
            );
        }
    }
    println!("{table}");
}

fn ours() -> Subject {
    let folder = packed::folder("charm");
    let charm = packed::charm(packed::NATIVE, &folder);
    let dispatch = folder.join("dispatch");
    Subject {
        name: "seldon-model",
        packed: charm.size,
        unpacked: dispatch.metadata().unwrap().len(),
        dispatch,
    }
}

/// The option `models`, its first entry with this image.
fn fleet(models: usize, image: &str) -> String {
    let entry = |at: usize| format!("model-{at}: {{image: '{}'}}\n", if at == 0 { image } else { "iris:1" });
    (0..models).map(entry).collect()
}

fn measure(subject: &Subject, models: usize, hook: &str, times: usize) -> Vec<Figures> {
    let stopwatch = Stopwatch::before(&subject.dispatch);
    let name = format!("{}-{models}-{hook}", subject.name);
    if hook == "first" {
        // Each application has one.
        let first = |time| {
            let mut live = application(&format!("{name}-{time}"), &stopwatch, models);
            run(&mut live, &stopwatch, "config-changed")
        };
        return (0..times).map(first).collect();
    }
    let mut live = application(&name, &stopwatch, models);
    live.serves();
    let again = |time| {
        if hook == "quiet" {
            return run(&mut live, &stopwatch, "update-status");
        }
        live.config(&[("models", &fleet(models, &format!("iris:{}", 2 + time)))]);
        let figures = run(&mut live, &stopwatch, "config-changed");
        live.seldon_serves("model-0");
        live.hook("update-status");
        figures
    };
    (0..times).map(again).collect()
}

fn application(name: &str, stopwatch: &Stopwatch, models: usize) -> Live {
    let mut live = Live::new(name);
    live.agent.dispatch = stopwatch.dispatch();
    live.config(&[("image", ""), ("models", &fleet(models, "iris:1"))]);
    live
}

/// Runs a hook and returns what it cost.
fn run(live: &mut Live, stopwatch: &Stopwatch, hook: &str) -> Figures {
    let (run, requests) = live.audited(hook);
    assert_eq!(run.exit, 0, "{run:#?}");
    let writes = requests.iter().filter(|request| {
        ["create", "patch", "update", "delete"]
            .iter()
            .any(|verb| request.starts_with(verb))
            && !request.contains("selfsubject")
    });
    Figures {
        spent: stopwatch.read(),
        calls: run.calls.len(),
        requests: requests.len(),
        writes: writes.count(),
    }
}
