//! Reports of a change other than the status: the workload version, Kubernetes events, and security events.

use juju_sim::agent::{Fault, Hook, HookRun};
use kube::api::{Api, DynamicObject, ListParams};
use serde_json::Value;

use super::fixture::Live;
use crate::support::kinds::kind;

impl Live {
    /// The events of a SeldonDeployment, as `kubectl describe` finds them: by its UID.
    fn events(&self, model: &str) -> Vec<String> {
        let uid = self.sdep(model).unwrap()["metadata"]["uid"]
            .as_str()
            .unwrap()
            .to_owned();
        let of = ListParams::default().fields(&format!("involvedObject.uid={uid}"));
        let api: Api<DynamicObject> = self.api(&kind("", "v1", "Event"));
        let all = self.wait(api.list(&of)).unwrap();
        all.iter()
            .map(|event| event.data["message"].as_str().unwrap().to_owned())
            .collect()
    }
}

/// The security events in the log of a hook, each one JSON object at level TRACE.
fn security(run: &HookRun) -> Vec<String> {
    let read = |line: &str| {
        let event: Value = serde_json::from_str(line).unwrap();
        assert_eq!(event["type"], "security", "{line}");
        event["event"].as_str().unwrap().to_owned()
    };
    run.logged("TRACE").map(read).collect()
}

#[test]
fn workload_version_follows_the_serving_model() {
    let mut live = Live::new("versions");
    live.config(&[("image", "registry.example:5000/iris:0.3")]);
    assert!(live.says().starts_with("waiting"));
    assert_eq!(
        live.world.application("iris").unwrap().workload_version,
        "",
        "nothing serves yet"
    );
    live.serves();
    assert_eq!(live.world.application("iris").unwrap().workload_version, "0.3");
    let digest = format!("iris@sha256:{}", "5f".repeat(32));
    for (pairs, version) in [
        (vec![("image", digest.as_str())], "5f5f5f5f5f5f"),
        (vec![("image", "iris")], "latest"),
        (
            vec![
                ("image", ""),
                ("implementation", "SKLEARN_SERVER"),
                ("model-uri", "gs://bucket/iris/v7/"),
            ],
            "v7",
        ),
        (vec![("models", "{a: {prefix: /a/}, b: {prefix: /b/}}")], "2 models"),
    ] {
        live.config(&pairs);
        assert!(live.serves().starts_with("active"), "{version}");
        assert_eq!(live.world.application("iris").unwrap().workload_version, version);
    }
    assert_eq!(
        live.hook("update-status").calls_of("application-version-set").count(),
        0
    );
}

#[test]
fn kubernetes_events_name_change_unit_and_hook() {
    let mut live = Live::new("events");
    live.serves();
    live.config(&[
        ("image", "seldonio/sklearn-iris:0.4"),
        ("replicas", "2"),
        ("env", "{TOKEN: hunter2}"),
    ]);
    live.serves();
    let events = live.events("iris");
    assert_eq!(events.len(), 2, "one for each hook that changed something: {events:#?}");
    let first = events.iter().find(|note| note.contains("new object")).unwrap();
    assert!(
        first.contains("applied SeldonDeployment iris") && first.contains("VirtualService iris-route"),
        "{first}"
    );
    let second = events.iter().find(|note| note.contains("image")).unwrap();
    for part in [
        "image seldonio/sklearn-iris:0.3 -> seldonio/sklearn-iris:0.4",
        "replicas 1 -> 2",
        "(juju: iris/0, config-changed)",
    ] {
        assert!(second.contains(part), "{part} is not in {second}");
    }
    assert!(!events.iter().any(|note| note.contains("hunter2")), "{events:#?}");
    live.hook("update-status");
    assert_eq!(live.events("iris").len(), 2, "a quiet hook has none");
}

#[test]
fn each_change_is_logged_once() {
    let mut live = Live::new("once");
    live.serves();
    live.config(&[("image", "seldonio/sklearn-iris:0.4")]);
    let run = live.hook("config-changed");
    let lines: Vec<&str> = run.logged("INFO").collect();
    assert_eq!(
        lines,
        ["applied SeldonDeployment iris: image seldonio/sklearn-iris:0.3 -> seldonio/sklearn-iris:0.4"]
    );
    live.seldon_serves("iris");
    live.hook("update-status");
    let quiet = live.hook("update-status");
    assert!(quiet.calls_of("juju-log").next().is_none(), "{quiet:#?}");
}

#[test]
fn denied_access_is_one_security_event() {
    let mut live = Live::untrusted("denied");
    assert_eq!(
        security(&live.hook("config-changed")),
        ["authz_fail:iris/0,list seldondeployments"]
    );
    assert!(security(&live.hook("update-status")).is_empty(), "it is no news");
    live.wait(live.cluster.apply_gateway("denied", "gate")).unwrap();
    live.trust(true);
    assert!(security(&live.hook("config-changed")).is_empty());
    let uri = live.world.add_secret("registry", &[("username", "u")]).unwrap();
    live.config(&[("image-pull-secret", &uri)]);
    assert_eq!(security(&live.hook("config-changed")), ["authz_fail:iris/0,secret"]);
}

#[test]
fn actions_crashes_and_disabled_watcher_are_security_events() {
    let mut live = Live::new("security");
    live.agent.listen().unwrap();
    live.serves();
    let run = live.run(Hook::action("list-models", std::collections::BTreeMap::new()));
    assert_eq!(security(&run), ["authz_admin:iris/0,list-models"]);
    live.config(&[("watch", "false")]);
    assert_eq!(
        security(&live.hook("config-changed")),
        ["sys_monitor_disabled:iris/0,watcher"]
    );
    live.config(&[("image", "seldonio/sklearn-iris:0.4")]);
    live.error("status-set", Fault::Exit(1, "ERROR the agent is away".into()));
    let run = live.run("config-changed");
    assert_eq!(run.exit, 1);
    assert_eq!(security(&run), ["sys_crash:iris/0"]);
}
