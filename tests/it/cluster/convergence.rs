//! From any state, and killed at any point, the charm arrives where a fresh deployment would, and then writes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use juju_sim::juju::Life;
use kube::ResourceExt;
use kube::api::{ApiResource, ListParams};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde_json::{Value, json};

use super::fixture::{Live, takes};
use super::proxy::{ApiFault, Proxy, RequestFilter, WRITES};
use crate::support::kinds::{sdep, vs};
use crate::support::status;

/// The most hooks it may take until nothing is left to do.
const HOOKS: usize = 4;

/// Options by name.
type Options = BTreeMap<&'static str, String>;

/// A foreign VirtualService, which exists alongside ours in some tests.
const THEIRS: &str = "theirs";

/// The names of the objects of a kind, except that one.
fn names(live: &Live, resource: &ApiResource) -> Vec<String> {
    let list = live.wait(live.api(resource).list(&ListParams::default())).unwrap();
    list.iter()
        .map(ResourceExt::name_any)
        .filter(|name| name != THEIRS)
        .collect()
}

/// The objects in the namespace, without what tells one deployment from another: names of namespaces, UIDs, times.
fn objects(live: &Live) -> Vec<Value> {
    let mut all = Vec::new();
    for resource in [sdep(), vs()] {
        for name in names(live, &resource) {
            let mut object = live.get(&resource, &name).unwrap();
            // The hash covers the labels too, including the model's UUID.
            if let Some(digest) = object.pointer_mut("/spec/predictors/0/annotations/seldon-model~1spec-hash") {
                *digest = json!("<digest>");
            }
            // So does the revision of a route the namespace.
            if let Some(revision) = object.pointer_mut("/spec/http/0/redirect/uri") {
                *revision = json!("<revision>");
            }
            let mut metadata = object["metadata"].take();
            // What it served before is history, not part of the result.
            if let Some(annotations) = metadata["annotations"].as_object_mut() {
                annotations.remove("seldon-model/served-before");
            }
            let owners = metadata["ownerReferences"].as_array().cloned().unwrap_or_default();
            let owners: Vec<String> = owners.iter().map(|owner| owner["name"].to_string()).collect();
            let text = json!({
                "kind": resource.kind, "name": metadata["name"], "labels": metadata["labels"],
                "annotations": metadata["annotations"], "owners": owners, "spec": object["spec"],
            })
            .to_string()
            .replace(&live.world.model.uuid, "<uuid>");
            // The namespace as a name of its own, in hosts and gateways.
            let text = text
                .replace(&format!(".{}.svc", live.model()), ".<namespace>.svc")
                .replace(&format!("{}/gate", live.model()), "<namespace>/gate")
                .replace(&format!("/seldon/{}/", live.model()), "/seldon/<namespace>/")
                .replace(
                    &format!("{{\"exact\":\"{}\"}}", live.model()),
                    "{\"exact\":\"<namespace>\"}",
                );
            all.push(serde_json::from_str(&text).unwrap());
        }
    }
    all
}

fn set(live: &mut Live, options: &Options) {
    let pairs: Vec<(&str, &str)> = ALL_OPTIONS
        .iter()
        .map(|name| (*name, options.get(name).map_or("", String::as_str)))
        .collect();
    live.config(&pairs);
}

/// The options that these tests set.
const ALL_OPTIONS: [&str; 4] = ["image", "models", "resources", "prefix"];

/// Runs hooks, and Seldon's part between them, until nothing is written any more. Returns the status.
fn settle(live: &mut Live) -> Result<String, String> {
    let mut before = None;
    for _ in 0..=HOOKS {
        let says = status(&live.hook("config-changed"));
        let versions = live.versions();
        if before.as_ref() == Some(&versions) {
            return Ok(says);
        }
        for model in names(live, &sdep()) {
            live.seldon_serves(&model);
        }
        before = Some(live.versions());
    }
    Err(format!("it still writes after {HOOKS} hooks: {:#?}", objects(live)))
}

/// A namespace that no other test has.
fn fresh(name: &str) -> Live {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    Live::new(&format!("{name}-{}", NUMBER.fetch_add(1, Ordering::Relaxed)))
}

fn models(entries: &str) -> Options {
    [("models", entries.to_owned()), ("image", "iris:1".to_owned())].into()
}

/// The objects of a fresh deployment.
fn deployed(options: &Options) -> Vec<Value> {
    let mut live = fresh("whole");
    set(&mut live, options);
    let says = settle(&mut live).unwrap();
    assert!(says.starts_with("active: "), "{options:?}: {says}");
    objects(&live)
}

/// Kills the charm before its write of that number.
fn kills_before(proxy: &Proxy, write: usize) {
    let one = RequestFilter {
        after: write,
        times: 1,
        ..WRITES
    };
    proxy.inject(one, ApiFault::Kill);
}

#[test]
fn killed_before_any_write_it_converges() {
    let from = models("{a: {}, b: {}, c: {}}");
    let to = models("{a: {image: 'iris:2'}, b: {prefix: /elsewhere/}, d: {}}");
    let whole = deployed(&to);
    // From nothing, and from another fleet.
    for start in [None, Some(&from)] {
        let mut writes = 0;
        loop {
            let mut live = fresh("killed");
            if let Some(start) = start {
                set(&mut live, start);
                settle(&mut live).unwrap();
            }
            let proxy = Proxy::in_front_of(&mut live, 2000..2100);
            set(&mut live, &to);
            kills_before(&proxy, writes);
            let run = live.run("config-changed");
            proxy.clear();
            settle(&mut live).unwrap();
            same(&objects(&live), &whole).unwrap_or_else(|error| panic!("killed before write {writes}: {error}"));
            if run.exit == 0 {
                break;
            }
            writes += 1;
        }
        // Each of three models has two objects. From the other fleet, one model is removed and one object stays unchanged.
        assert!(writes >= 6, "{writes} writes");
    }
}

#[test]
fn killed_during_removal_it_leaves_nothing() {
    let mut writes = 0;
    loop {
        let mut live = fresh("leaving");
        set(&mut live, &models("{a: {}, b: {}}"));
        settle(&mut live).unwrap();
        let proxy = Proxy::in_front_of(&mut live, 2000..2100);
        kills_before(&proxy, writes);
        live.world.unit_mut("iris/0").unwrap().life = Life::Dying;
        let run = live.run("remove");
        proxy.clear();
        if run.exit == 0 {
            break;
        }
        live.hook("remove");
        assert_eq!(objects(&live), Vec::<Value>::new(), "killed before write {writes}");
        writes += 1;
    }
    assert_eq!(writes, 4);
}

/// More options of an entry.
const MORE: [&str; 5] = [
    "",
    ", env: {TRACE: 'on'}",
    ", explainer: {type: ALE, model-uri: 'pvc://files/e'}",
    ", autoscale: {max: 3, keda: {triggers: [{type: cron, metadata: {timezone: UTC}}]}}",
    ", pod: {nodeSelector: {a: b}}, logger: 'http://broker', tracing: 'jaeger:6831', headers: {request: {set: {a: b}}}",
];

/// A fleet of up to three models in some version, one of them perhaps at a prefix that another had before.
fn fleet() -> impl Strategy<Value = Options> {
    let entry = (1..3_u8, 0..3_u8, prop::sample::select(&MORE[..]));
    (prop::collection::btree_map(0..3_usize, entry, 1..=3), 0..4_usize).prop_map(|(entries, shared)| {
        let entries: Vec<String> = entries
            .into_iter()
            .map(|(at, (version, replicas, more))| {
                let prefix = if at == shared { ", prefix: /shared/" } else { "" };
                let name = ["a", "b", "c"][at];
                format!("{name}: {{image: 'iris:{version}', replicas: {replicas}{prefix}{more}}}")
            })
            .collect();
        models(&format!("{{{}}}", entries.join(", ")))
    })
}

#[derive(Clone, Copy, Debug)]
enum Mistake {
    /// No entry can be parsed.
    Yaml,
    /// A default of all entries is invalid.
    Default,
    /// One entry is invalid.
    Entry,
}

fn break_options(options: &mut Options, mistake: Mistake) {
    match mistake {
        Mistake::Yaml => options.insert("models", "{a: {image".to_owned()),
        Mistake::Default => options.insert("resources", "no map".to_owned()),
        Mistake::Entry => {
            let entries = options["models"].replacen("image: 'iris", "image: 'IRIS IRIS", 1);
            options.insert("models", entries)
        }
    };
}

/// What happened to the objects behind the charm's back.
#[derive(Clone, Debug)]
enum Accident {
    Deleted,
    Edited,
    Labelled,
    /// A field of an older version of the charm, which it no longer sets.
    Older,
}

/// Does it to one object of each kind.
fn cause(live: &Live, accident: &Accident, which: prop::sample::Index) {
    for resource in [sdep(), vs()] {
        let names = names(live, &resource);
        if names.is_empty() {
            continue;
        }
        let name = which.get(&names);
        let label = |value: &str| json!({"metadata": {"labels": {"seldon-model/model": value}}});
        match accident {
            Accident::Deleted => live.delete(&resource, name),
            Accident::Edited if resource.kind == "VirtualService" => {
                live.merge_as("kubectl-edit", &resource, name, &takes("elsewhere/gate", "/mine/"));
            }
            Accident::Edited => {
                live.merge_as("kubectl-edit", &resource, name, &json!({"spec": {"protocol": "v2"}}));
            }
            Accident::Labelled => live.merge_as("kubectl-label", &resource, name, &label("mine")),
            Accident::Older => {
                let uuid = live.world.model.uuid.chars().take(8).collect::<String>();
                let mut object = live.get(&resource, name).unwrap();
                object["metadata"] = json!({
                    "labels": object["metadata"]["labels"],
                    "annotations": {"seldon-model/of-an-older-version": "yes"},
                });
                object.as_object_mut().unwrap().remove("status");
                live.apply_as(&format!("seldon-model-iris-{uuid}"), &resource, name, &object);
            }
        }
    }
}

fn accident() -> impl Strategy<Value = Accident> {
    prop_oneof![
        Just(Accident::Deleted),
        Just(Accident::Edited),
        Just(Accident::Labelled),
        Just(Accident::Older),
    ]
}

fn mistake() -> impl Strategy<Value = Option<Mistake>> {
    prop_oneof![
        3 => Just(None),
        1 => prop_oneof![Just(Mistake::Yaml), Just(Mistake::Default), Just(Mistake::Entry)].prop_map(Some),
    ]
}

/// How many cases run at once: most of a case is waiting.
const LANES: u32 = 4;

/// Checks a property in as many cases as `CASES` says: a hundred by default, thousands in `just nightly`.
fn check_property<S: Strategy>(
    cases: impl Fn() -> S + Sync,
    law: impl Fn(S::Value, &Fresh) -> Result<(), TestCaseError> + Sync,
) {
    let count = std::env::var("CASES").map_or(100, |count| count.parse().unwrap());
    let config = Config {
        cases: u32::div_ceil(count, LANES),
        failure_persistence: None,
        max_shrink_iters: 50,
        ..Config::default()
    };
    thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                let fresh = Fresh::default();
                TestRunner::new(config.clone())
                    .run(&cases(), |input| law(input, &fresh))
                    .unwrap();
            });
        }
    });
}

/// The objects of fresh deployments; each is deployed once.
#[derive(Default)]
struct Fresh(std::cell::RefCell<BTreeMap<Options, Vec<Value>>>);

impl Fresh {
    fn objects(&self, options: &Options) -> Vec<Value> {
        let known = self.0.borrow().get(options).cloned();
        known.unwrap_or_else(|| {
            let objects = deployed(options);
            self.0.borrow_mut().insert(options.clone(), objects.clone());
            objects
        })
    }
}

/// The same objects, or else the first that differs.
fn same(found: &[Value], expected: &[Value]) -> Result<(), TestCaseError> {
    let names = |objects: &[Value]| -> Vec<String> {
        let name = |object: &Value| format!("{} {}", object["kind"], object["name"]);
        objects.iter().map(name).collect()
    };
    prop_assert_eq!(names(found), names(expected));
    for (found, expected) in found.iter().zip(expected) {
        prop_assert_eq!(found.to_string(), expected.to_string());
    }
    Ok(())
}

#[test]
fn any_cluster_state_converges_to_the_plan() {
    let accidents = || prop::collection::vec((accident(), any::<prop::sample::Index>()), 0..4);
    check_property(
        || (fleet(), accidents(), fleet()),
        |(before, accidents, to), fresh_ones| {
            let mut live = fresh("found");
            // A foreign route, which must stay as it is.
            live.create(&vs(), THEIRS, &takes(&format!("{}/gate", live.model()), "/theirs/"));
            let theirs = live.get(&vs(), THEIRS);
            set(&mut live, &before);
            settle(&mut live).map_err(TestCaseError::fail)?;
            for (accident, which) in &accidents {
                cause(&live, accident, *which);
            }
            set(&mut live, &to);
            settle(&mut live).map_err(TestCaseError::fail)?;
            same(&objects(&live), &fresh_ones.objects(&to))?;
            prop_assert_eq!(live.get(&vs(), THEIRS), theirs);
            Ok(())
        },
    );
}

#[test]
fn invalid_options_cost_nothing_and_leave_nothing() {
    check_property(
        || prop::collection::vec((fleet(), mistake()), 2..6),
        |sequence, fresh_ones| {
            let mut live = fresh("mistaken");
            let mut served: BTreeSet<String> = BTreeSet::new();
            for (mut options, mistake) in sequence {
                let existing =
                    |live: &Live| -> BTreeSet<String> { live.versions().into_iter().map(|(name, _)| name).collect() };
                if let Some(mistake) = mistake {
                    let before = live.versions();
                    break_options(&mut options, mistake);
                    set(&mut live, &options);
                    let says = status(&live.hook("config-changed"));
                    prop_assert!(says.starts_with("blocked: "), "{:?}: {}", options, says);
                    prop_assert!(served.is_subset(&existing(&live)), "{:?} took something away", options);
                    if !matches!(mistake, Mistake::Entry) {
                        prop_assert_eq!(live.versions(), before, "{:?} changed something", options);
                    }
                } else {
                    set(&mut live, &options);
                    let says = settle(&mut live).map_err(TestCaseError::fail)?;
                    prop_assert!(says.starts_with("active: "), "{:?}: {}", options, says);
                    same(&objects(&live), &fresh_ones.objects(&options))?;
                }
                served = existing(&live);
            }
            Ok(())
        },
    );
}
