//! Removal: nothing is left behind, and nothing is deleted too early.

use std::thread;

use kube::api::{DynamicObject, ListParams, Patch, PatchParams};
use serde_json::json;

use super::fixture::{Live, api_server, audit, runtime};
use crate::support::assert_contains;
use crate::support::kinds::{sdep, secret};

fn dying(live: &mut Live) {
    live.world.unit_mut("iris/0").unwrap().life = juju_sim::juju::Life::Dying;
}

#[test]
fn last_unit_deletes_everything_idempotently() {
    let mut live = Live::new("removed");
    live.config(&[("models", "{a: {}, b: {}}")]);
    live.serves();
    let theirs = json!({"spec": {"predictors": [{"name": "x", "graph": {"name": "x"}}]}});
    live.create(&sdep(), "theirs", &theirs);
    dying(&mut live);
    let run = live.hook("remove");
    assert_contains(run.logged("INFO").last().unwrap(), &["deleted 4 objects"]);
    let left: Vec<String> = live.versions().into_iter().map(|(name, _)| name).collect();
    assert_eq!(left, ["theirs"]);
    live.hook("remove");
}

#[test]
fn secrets_are_deleted_last() {
    let mut live = Live::new("removed-secrets");
    let uri = live.secret("store", &[("access-key-id", "a"), ("secret-access-key", "b")]);
    let models = format!("{{a: {{model-uri: 's3://m/a', storage-secret: '{uri}'}}, b: {{}}}}");
    live.config(&[("image", "iris:1"), ("models", &models)]);
    live.serves();
    dying(&mut live);
    let (run, requests) = live.audited("remove");
    assert_contains(run.logged("INFO").last().unwrap(), &["deleted 5 objects"]);
    let deletes: Vec<&str> = requests
        .iter()
        .filter_map(|request| request.strip_prefix("delete "))
        .collect();
    assert_eq!(deletes.last(), Some(&"secrets"), "{deletes:?}");
    let left = live.wait(live.api(&secret()).list(&ListParams::default())).unwrap();
    assert_eq!(left.items.len(), 0);
    let (_, requests) = live.audited("remove");
    assert_eq!(requests, ["list virtualservices", "list seldondeployments"]);
}

#[test]
fn restart_and_scale_down_delete_nothing() {
    let mut live = Live::new("restarted");
    live.serves();
    let before = live.versions();
    live.hook("stop");
    live.world.application_mut("iris").unwrap().add_unit();
    live.world.unit_mut("iris/1").unwrap().life = juju_sim::juju::Life::Dying;
    let run = live.run_on("iris/1", "remove");
    assert_eq!(run.exit, 0);
    assert_eq!(live.versions(), before);
}

#[test]
fn removal_waits_until_objects_are_gone() {
    let mut live = Live::new("lingering");
    live.hook("config-changed");
    live.merge(
        &sdep(),
        "iris",
        &json!({"metadata": {"finalizers": ["example.com/slow"]}}),
    );
    dying(&mut live);
    let user = live.user();
    let release = thread::spawn(move || {
        // As a controller would: it drops its finalizer once its work is done, here when the charm has listed after its delete.
        let looked = || {
            let requests = audit(&user);
            let deleted = requests.iter().position(|r| r == "delete seldondeployments");
            deleted.is_some_and(|at| requests[at..].iter().filter(|r| *r == "list seldondeployments").count() >= 2)
        };
        while !looked() {
            thread::yield_now();
        }
        runtime().block_on(async {
            let client = api_server().client().unwrap();
            let api: kube::Api<DynamicObject> = kube::Api::namespaced_with(client, "lingering", &sdep());
            let patch = Patch::Merge(json!({"metadata": {"finalizers": null}}));
            api.patch("iris", &PatchParams::default(), &patch).await.unwrap();
        });
    });
    live.hook("remove");
    assert!(live.sdep("iris").is_none(), "it is gone when the hook ends");
    release.join().unwrap();
}

#[test]
fn removed_application_leaves_an_empty_namespace() {
    let mut live = Live::new("whole-life");
    let live_edge = &mut *live;
    let runs = live_edge.agent.wake_all(&mut live_edge.world).unwrap();
    let hooks: Vec<&str> = runs.iter().map(|run| run.hook.as_str()).collect();
    assert!(hooks.starts_with(&["install"]), "{hooks:?}");
    assert!(live.sdep("iris").is_some() && live.route("iris").is_some());
    let live_edge = &mut *live;
    let runs = live_edge
        .agent
        .remove_application(&mut live_edge.world, "iris")
        .unwrap();
    assert!(runs.iter().all(|run| run.exit == 0), "{runs:#?}");
    assert_eq!(runs.last().unwrap().hook, "remove");
    assert_eq!(live.versions(), []);
}
