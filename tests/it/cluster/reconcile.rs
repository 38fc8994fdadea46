//! Options in, objects and a true status out.

use juju_sim::agent::HookRun;
use serde_json::{Value, json};

use super::fixture::Live;
use crate::support::kinds::{deployment, sdep, service, stateful_set};
use crate::support::{assert_contains, rules, status};

#[test]
fn deployed_model_is_active_once_it_serves() {
    let mut live = Live::new("deployed");
    let run = live.hook("config-changed");
    assert_contains(
        &status(&run),
        &["waiting: iris: waiting for Seldon Core to create its pods"],
    );
    let applied: Vec<&str> = run.logged("INFO").collect();
    assert_eq!(
        applied,
        [
            "applied SeldonDeployment iris: new object",
            "applied VirtualService iris-route: new object"
        ]
    );
    live.merge_status(&sdep(), "iris", &json!({"state": "Creating"}));
    assert_eq!(live.says(), "waiting: iris: starting seldonio/sklearn-iris:0.3");
    live.seldon_serves("iris");
    assert_eq!(
        live.says(),
        "active: iris serves seldonio/sklearn-iris:0.3 at /model/iris/"
    );
}

#[test]
fn executor_requests_less_than_seldons_default() {
    let mut live = Live::new("frugal");
    live.hook("config-changed");
    let resources = live.sdep("iris").unwrap()["spec"]["predictors"][0]["svcOrchSpec"]["resources"].clone();
    assert_eq!(
        resources,
        json!({"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}})
    );
}

#[test]
fn objects_carry_labels_owner_and_manager() {
    let mut live = Live::new("whose");
    live.hook("config-changed");
    let set = live.get(&stateful_set(), "iris").unwrap();
    for object in [live.sdep("iris").unwrap(), live.route("iris").unwrap()] {
        let metadata = &object["metadata"];
        assert_eq!(metadata["labels"]["seldon-model/application"], "iris");
        assert_eq!(
            metadata["labels"]["seldon-model/model-uuid"],
            live.world.model.uuid.as_str()
        );
        assert_eq!(metadata["ownerReferences"][0]["uid"], set["metadata"]["uid"]);
        assert_eq!(metadata["ownerReferences"][0]["kind"], "StatefulSet");
        let manager = metadata["managedFields"][0]["manager"].as_str().unwrap();
        assert!(manager.starts_with("seldon-model-iris-"), "{manager}");
    }
}

#[test]
fn quiet_hook_costs_nine_calls_five_requests() {
    let mut live = Live::new("quiet");
    assert!(live.serves().starts_with("active"));
    let before = live.versions();
    let (run, requests) = live.audited("update-status");
    assert_eq!(
        requests,
        [
            "list seldondeployments",
            "get statefulsets",
            "get gateways",
            "list virtualservices",
            "list deployments"
        ]
    );
    let tools: Vec<&str> = run.calls.iter().map(juju_sim::agent::Call::tool).collect();
    assert_eq!(
        tools,
        [
            "config-get",
            "relation-ids",
            "relation-ids",
            "relation-ids",
            "relation-ids",
            "relation-ids",
            "relation-list",
            "relation-get",
            "status-get"
        ]
    );
    assert_eq!(live.versions(), before);
}

/// The hooks that Juju's agent runs on its own.
fn pending_hooks(live: &mut Live) -> Vec<HookRun> {
    let edge = &mut **live;
    let runs = edge.agent.wake_all(&mut edge.world).unwrap();
    assert!(runs.iter().all(|run| run.exit == 0), "{runs:#?}");
    runs
}

#[track_caller]
fn assert_ran(runs: &[HookRun], hooks: &[&str]) {
    assert_eq!(runs.iter().map(|run| run.hook.as_str()).collect::<Vec<_>>(), hooks);
}

/// Juju 4 runs config-changed twice for one command.
#[test]
fn repeated_config_changed_changes_nothing() {
    let mut live = Live::new("repeated");
    pending_hooks(&mut live);
    live.seldon_serves("iris");
    pending_hooks(&mut live);
    for image in ["seldonio/sklearn-iris:0.4", "not an image"] {
        live.config(&[("image", image)]);
        let runs = pending_hooks(&mut live);
        assert_ran(&runs, &["config-changed", "config-changed"]);
        let [first, second] = runs.as_slice() else {
            panic!("{runs:#?}");
        };
        assert_eq!(first.calls_of("status-set").count(), 1, "{image}: {first:#?}");
        assert_eq!(second.calls_of("status-set").count(), 0, "{image}: {second:#?}");
        assert_eq!(status(second), status(first));
        let applied = |run: &HookRun| run.logged("INFO").filter(|line| line.starts_with("applied")).count();
        assert_eq!(applied(second), 0, "{image}: {second:#?}");
    }
    let before = live.versions();
    live.world.application_mut("iris").unwrap().trust = true;
    assert_ran(&pending_hooks(&mut live), &["config-changed", "config-changed"]);
    assert_eq!(live.versions(), before);
}

#[test]
fn replaced_pod_and_restarted_agent_change_nothing() {
    let mut live = Live::new("churned");
    pending_hooks(&mut live);
    live.seldon_serves("iris");
    assert!(live.says().starts_with("active"));
    let before = live.versions();
    let edge = &mut *live;
    let runs = edge.agent.churn(&mut edge.world, "iris/0").unwrap();
    assert_ran(&runs, &["stop", "upgrade-charm", "config-changed", "start"]);
    assert!(status(&runs[3]).starts_with("active"), "{runs:#?}");
    let runs = edge.agent.restart(&mut edge.world, "iris/0").unwrap();
    assert_ran(&runs, &["start"]);
    assert!(status(&runs[0]).starts_with("active"), "{runs:#?}");
    assert_eq!(live.versions(), before);
}

#[test]
fn many_models_cost_no_more_requests() {
    let mut live = Live::new("fleet");
    let entries: Vec<String> = (0..30).map(|n| format!("m{n}: {{}}")).collect();
    live.config(&[("models", &entries.join("\n"))]);
    assert_contains(&live.serves(), &["active: 30 models serve: m0, m1, m10"]);
    let (run, requests) = live.audited("update-status");
    assert_eq!(requests.len(), 5, "{requests:?}");
    assert_eq!(run.calls.len(), 9);
}

#[test]
fn new_image_is_active_once_it_serves() {
    let mut live = Live::new("changed");
    assert!(live.serves().starts_with("active"));
    let route = live.route("iris").unwrap();
    live.config(&[("image", "seldonio/sklearn-iris:0.4")]);
    let run = live.hook("config-changed");
    assert_eq!(
        status(&run),
        "waiting: iris: rolling out seldonio/sklearn-iris:0.4; the previous version keeps serving"
    );
    assert_eq!(
        live.sdep("iris").unwrap()["status"]["state"],
        "Available",
        "which Seldon said of the old one"
    );
    assert_eq!(live.route("iris").unwrap(), route, "the same object, not written to");
    live.seldon_serves("iris");
    assert_eq!(
        live.says(),
        "active: iris serves seldonio/sklearn-iris:0.4 at /model/iris/"
    );
}

#[test]
fn every_option_is_accepted_and_applied_once() {
    let mut live = Live::new("options");
    live.config(&[(
        "models",
        "
plain: {image: 'iris:1'}
full:
  image: localhost:32000/iris:1
  implementation: SKLEARN_SERVER
  model-uri: gs://bucket/model
  protocol: v2
  parameters: {method: predict, n: 3, r: 0.5, b: true, v: {type: DOUBLE, value: 1}}
  env: {A: 1, B: two, C: ''}
  resources: {requests: {cpu: 0.25, memory: 100Mi}, limits: {memory: 1Gi, nvidia.com/gpu: 1}}
  replicas: 2
  image-pull-policy: Always
  prefix: /ml/full/
  hosts: [a.example, '*.b.example']
  timeout: 1500ms
  retries: 3
  labels: {team: vision}
  annotations: {seldon.io/rest-timeout: '5000', seldon.io/no-engine: 'true'}
",
    )]);
    assert_contains(&live.serves(), &["active: 2 models serve: full, plain"]);
    let (_, requests) = live.audited("update-status");
    let writes: Vec<_> = requests
        .iter()
        .filter(|r| r.starts_with("patch") || r.starts_with("delete"))
        .collect();
    assert_eq!(writes, Vec::<&String>::new(), "what was applied is what is asked for");
}

#[test]
fn unset_options_are_removed_from_the_objects() {
    let mut live = Live::new("fewer");
    live.config(&[("labels", "{team: vision}"), ("timeout", "3s"), ("protocol", "v2")]);
    live.hook("config-changed");
    assert_eq!(live.sdep("iris").unwrap()["metadata"]["labels"]["team"], "vision");
    live.config(&[("labels", ""), ("timeout", ""), ("protocol", "")]);
    live.hook("config-changed");
    let sdep = live.sdep("iris").unwrap();
    assert!(sdep["metadata"]["labels"].get("team").is_none());
    assert!(sdep["spec"].get("protocol").is_none());
    assert!(live.requests("iris").get("timeout").is_none());
}

#[test]
fn removed_entry_deletes_only_its_own_objects() {
    let mut live = Live::new("entries");
    live.config(&[("models", "{a: {}, b: {}}")]);
    live.hook("config-changed");
    live.config(&[("models", "{b: {}, c: {}}")]);
    let run = live.hook("config-changed");
    assert!(live.sdep("a").is_none() && live.route("a").is_none());
    for model in ["b", "c"] {
        assert!(live.sdep(model).is_some() && live.route(model).is_some(), "{model}");
    }
    let log: Vec<&str> = run.logged("INFO").collect();
    let deleted = log.iter().position(|line| line.starts_with("deleted")).unwrap();
    let applied = log.iter().rposition(|line| line.starts_with("applied")).unwrap();
    assert!(applied < deleted, "what is new comes before what is old goes: {log:#?}");
}

#[test]
fn model_takes_over_a_prefix_once_ready() {
    let mut live = Live::new("heir");
    live.config(&[("models", "{old: {prefix: /x/}}")]);
    assert!(live.serves().starts_with("active"));
    live.config(&[("models", "{new: {prefix: /x/, image: 'iris:2'}}")]);
    live.hook("config-changed");
    let says = live.says();
    assert_contains(&says, &["waiting: "]);
    assert!(
        live.sdep("old").is_some() && live.route("old").is_some(),
        "it serves on"
    );
    live.seldon_serves("new");
    assert_eq!(live.says(), "active: new serves iris:2 at /x/");
    assert!(live.sdep("old").is_none() && live.route("old").is_none());
}

#[test]
fn frozen_model_keeps_its_prefix() {
    let mut live = Live::new("held");
    live.config(&[("models", "{a: {prefix: /x/}, b: {prefix: /y/}}")]);
    assert!(live.serves().starts_with("active"));
    live.config(&[("models", "{a: {prefix: /y/, image: 'BAD'}, b: {prefix: /x/}}")]);
    let says = live.says();
    assert_contains(&says, &["blocked: 0 of 2 serve", "a: image: must be lowercase"]);
    assert_eq!(
        live.requests("b")["match"][0]["uri"]["prefix"],
        "/y/",
        "it serves where it served"
    );
}

#[test]
fn invalid_option_keeps_previous_models_serving() {
    let mut live = Live::new("faulty");
    live.config(&[("models", "{a: {}, b: {}, gone: {}}")]);
    assert!(live.serves().starts_with("active"));
    let before = live.sdep("a").unwrap();
    // One entry invalid, one new, one removed.
    live.config(&[("models", "{a: {replicas: -1, image: 'iris:9'}, b: {}, c: {}}")]);
    let says = live.says();
    assert_contains(&says, &["blocked: 1 of 3 serve; models: a: replicas: "]);
    assert_eq!(live.sdep("a").unwrap(), before, "the faulty one is as it was");
    assert!(live.route("a").is_some());
    assert!(live.sdep("c").is_some(), "the sound one is there");
    assert!(live.sdep("gone").is_some(), "nothing is removed while a fault stands");
    live.config(&[("models", "{a: {}, b: {}, c: {}}")]);
    live.hook("config-changed");
    assert!(live.sdep("gone").is_none());
}

#[test]
fn route_follows_port_of_the_live_service() {
    let mut live = Live::new("ports");
    assert!(live.serves().starts_with("active"));
    let ports = json!({"spec": {"ports": [{"name": "http", "port": 9000}, {"name": "grpc", "port": 9500}]},
        "metadata": {"labels": {"seldon-deployment-id": "iris"}}});
    live.create(&service(), "iris-default", &ports);
    // Seldon reports another port than the route has, so the Service is read.
    live.merge_status(
        &sdep(),
        "iris",
        &json!({"address": {"url": "http://iris-default.ports.svc.cluster.local:9000/"}}),
    );
    live.hook("update-status");
    let port = |route: &Value| route["route"][0]["destination"]["port"]["number"].clone();
    assert_eq!(port(&live.requests("iris")), 9000);
    assert_eq!(port(&rules(&live.route("iris").unwrap())[0]), 9500, "for gRPC");
    // Seldon does not renew the gRPC port, so the Service is read again.
    let (_, requests) = live.audited("update-status");
    assert_eq!(requests.len(), 6, "{requests:?}");
    live.merge_status(
        &sdep(),
        "iris",
        &json!({"serviceStatus": {"iris-default": {"grpcEndpoint": "iris-default.ports:9500"}}}),
    );
    let (_, requests) = live.audited("update-status");
    assert_eq!(requests.len(), 5, "{requests:?}");
}

#[test]
fn stopped_model_is_active_and_keeps_route() {
    let mut live = Live::new("stopped");
    live.serves();
    live.config(&[("replicas", "0")]);
    assert_contains(&live.says(), &["waiting: iris: stopping (replicas=0)"]);
    live.seldon_serves("iris");
    live.merge_status(&sdep(), "iris", &json!({"state": "Creating"}));
    assert_eq!(live.says(), "active: iris is stopped (replicas=0)");
    assert!(live.route("iris").is_some());
    let replicas = live.get(&deployment(), "iris-default-0-iris").unwrap()["spec"]["replicas"].clone();
    assert_eq!(replicas, 0);
}

#[test]
fn follower_writes_nothing_and_reports_status() {
    let mut live = Live::new("follower");
    live.world.application_mut("iris").unwrap().add_unit();
    let run = live.run_on("iris/1", "config-changed");
    assert_contains(&status(&run), &["waiting", "waiting for the leader unit to apply"]);
    assert!(live.sdep("iris").is_none());
    assert!(live.serves().starts_with("active"));
    let run = live.run_on("iris/1", "update-status");
    assert!(status(&run).starts_with("active: iris serves"), "{}", status(&run));
}

#[test]
fn list_models_reports_every_model() {
    let mut live = Live::new("listed");
    live.config(&[("models", "{a: {}, b: {image: 'iris:2'}, c: {replicas: -1}}")]);
    live.serves();
    let run = live.hook(juju_sim::agent::Hook::action(
        "list-models",
        std::collections::BTreeMap::new(),
    ));
    let results = run.action.unwrap().results;
    assert_eq!(results["a"]["state"], "active");
    assert_eq!(results["a"]["url"], "/model/a/");
    assert_eq!(results["b"]["serves"], "iris:2");
    assert_eq!(results["c"]["state"], "blocked");
    assert!(results["c"].get("url").is_none());
}
