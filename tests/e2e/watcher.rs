//! Between hooks, on a real cluster: how soon the status follows a model, and a refresh of the charm under load.

use std::thread;
use std::time::{Duration, Instant};

use juju_sim::juju::World;
use kube_box::images::IRIS_2;

use crate::fixture::{FLOWER, Model, SERVES, SOON};
use crate::load::{Load, assert_none_failed, send};
use crate::support::kinds::{pod, vs};
use crate::support::{Edge, previous, status};

/// The promise of the README.
const PROMISED: Duration = Duration::from_secs(3);

impl Model {
    /// Runs the hooks that the watcher triggers until the condition holds. Returns how long that took.
    #[track_caller]
    pub fn awaits(&mut self, limit: Duration, is_so: impl Fn(&World) -> bool) -> Duration {
        let edge: &mut Edge = self;
        let start = Instant::now();
        edge.agent
            .answer(&mut edge.world, limit, |world, _| is_so(world))
            .unwrap();
        assert!(is_so(&edge.world), "{:?}", edge.world.unit("iris/0").unwrap().status);
        start.elapsed()
    }

    pub fn runs_for(&mut self, limit: Duration) {
        let edge: &mut Edge = self;
        edge.agent.answer(&mut edge.world, limit, |_, _| false).unwrap();
    }
}

pub fn is(word: &'static str) -> impl Fn(&World) -> bool {
    move |world| world.unit("iris/0").unwrap().status.status == word
}

/// Sends requests until the first correct response. Returns its time, which is when the model is ready.
fn first_answer(url: String, version: &'static str) -> thread::JoinHandle<Instant> {
    thread::spawn(move || {
        let start = Instant::now();
        while start.elapsed() < SERVES {
            let answer = send(&url, FLOWER);
            if answer.status == 200 && answer.version() == version {
                return answer.at;
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("no answer of version {version}");
    })
}

pub fn status_follows_a_model_within_three_seconds() {
    let mut model = Model::new("soon");
    model.agent.listen().unwrap();
    let first = first_answer(model.predictions("soon"), "1");
    assert!(model.says().starts_with("waiting: "));
    model.awaits(SERVES, is("active"));
    let (active, ready) = (Instant::now(), first.join().unwrap());
    let late = active.saturating_duration_since(ready);
    assert!(late < PROMISED, "active {late:?} after the first answer");

    model.delete(&vs(), "iris-route");
    let start = Instant::now();
    while !model.names(&vs()).contains(&"iris-route".to_owned()) {
        assert!(start.elapsed() < PROMISED, "the route is not back");
        model.runs_for(Duration::from_millis(50));
    }

    // Failures are reported as well: the only pod is deleted, and comes back.
    model.awaits(SOON, is("active"));
    let only = model
        .names(&pod())
        .into_iter()
        .find(|name| name.starts_with("iris-default"))
        .unwrap();
    model.delete(&pod(), &only);
    let start = Instant::now();
    model.awaits(SOON, is("waiting"));
    assert!(
        start.elapsed() < PROMISED + PROMISED,
        "waiting after {:?}",
        start.elapsed()
    );
    model.awaits(SERVES, is("active"));
}

pub fn refresh_loses_no_request_and_rolls_no_pod() {
    let mut model = Model::new("refresh");
    let new = std::mem::replace(&mut model.agent.dispatch, previous::dispatch().to_owned());
    model.says();
    model.until_says(SERVES, &["active: "]);
    let pods = model.names(&pod());
    let load = Load::start(&model.predictions("refresh"), FLOWER, 2);
    model.agent.dispatch = new;
    for hook in ["stop", "upgrade-charm", "config-changed", "start", "update-status"] {
        let run = model.hook(hook);
        assert!(status(&run).starts_with("active: "), "{hook}: {}", status(&run));
    }
    thread::sleep(Duration::from_secs(5));
    assert_none_failed(&load.stop(), 20.0);
    assert_eq!(model.names(&pod()), pods);
    // The new version applies changes.
    model.configure(&[("image", IRIS_2)]);
    model.until_says(SERVES, &["active: ", IRIS_2]);
}
