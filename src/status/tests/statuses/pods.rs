//! Messages about models that run, start, and do not start.

use serde_json::{Value, json};

use super::{Entry, Scene};
use crate::api_error::ApiError;
use crate::config;
use crate::gateway::listeners::Listeners;
use crate::labels;
use crate::plan::PlannedModel;
use crate::status::Problem;
use crate::status::problem::Rollout;
use crate::status::tests::gateway_name;
use crate::status::tests::stalls::{not_made, wait};

fn options(options: Value) -> config::Config {
    config::parse("iris", options.as_object().unwrap())
}

/// A scene of valid options in which everything serves.
fn serves(options: Value) -> Scene {
    let scene = Scene::serving(options);
    assert!(scene.config.errors.is_empty(), "{:#?}", scene.config.errors);
    scene
}

/// Creates all of it again, now that the cluster is another.
fn again(scene: &mut Scene) {
    let models = scene.plan().models;
    scene.observed.virtual_services.clear();
    scene.observed.seldon_deployments.clear();
    scene.observed.deployments.clear();
    for planned in models {
        scene.add(&planned, 1);
    }
}

fn scene(change: impl FnOnce(&mut Scene)) -> Scene {
    let mut scene = Scene::iris();
    change(&mut scene);
    scene
}

pub fn serving() -> Vec<Entry> {
    let https = scene(|scene| {
        let gateway = Listeners {
            hosts: vec!["*".to_owned()],
            https: true,
            ..Listeners::default()
        };
        scene.observed.gateways.insert(gateway_name(), gateway);
    });
    let mut old_seldon = serves(json!({
        "image": "iris:1", "autoscale": "{max: 2, metrics: [{type: Resource, resource: {name: cpu}}]}",
    }));
    old_seldon.observed.capabilities.metrics_v2 = false;
    again(&mut old_seldon);
    let mut nothing = Scene::iris();
    nothing.config.models.clear();
    nothing.observed.seldon_deployments.clear();
    nothing.observed.virtual_services.clear();
    vec![
        Entry::from_scene(&Scene::iris(), ""),
        Entry::from_scene(
            &https,
            "The gateway has a certificate, so clients send requests by HTTPS.",
        ),
        Entry::from_scene(
            &serves(json!({
                "image": "iris:1",
                "pod": "{serviceAccountName: iris, containers: [{name: iris, securityContext: {privileged: true}}]}",
            })),
            "Nothing is wrong. A reviewer may want to know that `pod` or `manifest` gives the model these rights, see \
             [security](../explanation/security.md).",
        ),
        Entry::from_scene(
            &serves(json!({"image": "iris:1", "replicas": 0})),
            "Its objects stay, its pods are deleted until `juju config iris replicas=1`.",
        ),
        Entry::from_scene(&nothing, "`models` is an empty map."),
        Entry::from_scene(&old_seldon, "Seldon Core before 1.15 ignores `autoscale.metrics`."),
    ]
}

pub fn changing() -> Vec<Entry> {
    let starting = scene(|scene| {
        scene.deployment(json!({"availableReplicas": 0}));
    });
    let mut applied = Scene::iris();
    applied.config = options(json!({"image": "iris:2"}));
    let spec = applied.plan().models[0].deployment["spec"].clone();
    applied.observed.seldon_deployments[0].data["spec"] = spec;
    let mut stopping = serves(json!({"image": "iris:1", "replicas": 0}));
    stopping.deployment(json!({"replicas": 1, "availableReplicas": 1}));
    let untouched = scene(|scene| {
        scene.observed.deployments.clear();
        scene.seldon_reports(json!({}));
    });
    let missing = scene(|scene| {
        scene.observed.seldon_deployments.clear();
        scene.observed.virtual_services.clear();
        scene.observed.deployments.clear();
    });
    let deleting = scene(|scene| {
        let at = serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
        scene.observed.seldon_deployments[0].metadata.deletion_timestamp = Some(at);
    });
    let mut led = scene(|scene| scene.observed.virtual_services.clear());
    led.wrote = true;
    let mut retired = serves(json!({"image": "iris:1", "models": "{iris: {}, old: {}}"}));
    retired.config.models.retain(|model| model.name == "iris");
    vec![
        Entry::from_scene(
            &starting,
            "A model needs half a minute or more: its image is pulled and the model loaded, and the first readiness probe follows \
             after 20 seconds.",
        ),
        Entry::from_scene(&applied, ""),
        Entry::from_scene(&canary(false), "Its `weight` applies as soon as it is ready."),
        Entry::from_scene(
            &canary(true),
            "Its own previous version keeps its share of the requests.",
        ),
        Entry::from_scene(&stopping, ""),
        Entry::from_scene(
            &untouched,
            "Seldon Core's controller creates them within a second. If it does not, it is down or watches other namespaces.",
        ),
        Entry::from_scene(
            &missing,
            "Only the leader writes, at its next hook. Without a leader a unit waits until one is elected.",
        ),
        Entry::from_scene(&led, "The API server rejected a part of them."),
        Entry::from_scene(&deleting, ""),
        Entry::from_scene(&retired, ""),
        Entry::with_text(
            &inherited(),
            "replacement",
            "The model that takes over its prefix is starting; until then the old one answers there.",
        ),
        Entry::of_problem(
            &missing,
            Problem::Rollout(Rollout::NoSeldonDeployment),
            "It was deleted a moment ago.",
        ),
    ]
}

/// A model that serves with a canary that is rolling out; `answers` says whether its previous version answers.
fn canary(answers: bool) -> Scene {
    let mut scene = serves(json!({"image": "iris:1", "canary": "{image: 'iris:2', weight: 10}"}));
    let planned: PlannedModel = scene.plan().models.remove(0);
    let mut deployment = serde_json::to_value(&scene.observed.deployments[0]).unwrap();
    deployment["metadata"]["name"] = json!("iris-canary-0-iris");
    deployment["metadata"]["labels"][labels::PREDICTOR] = json!("canary");
    let hash = if answers {
        "of-an-older-spec"
    } else {
        &planned.predictors[1].hash
    };
    deployment["metadata"]["annotations"][labels::SPEC_HASH] = json!(hash);
    deployment["status"]["availableReplicas"] = json!(u8::from(answers));
    scene
        .observed
        .deployments
        .push(serde_json::from_value(deployment).unwrap());
    // The route follows from this cluster.
    let deployments = scene.observed.deployments.clone();
    // The record of what serves is written on an object of the first round.
    for _ in 0..2 {
        again(&mut scene);
        scene.observed.deployments.clone_from(&deployments);
    }
    scene.seldon_reports(json!({"state": "Creating"}));
    scene
}

/// A model whose prefix another one takes over.
fn inherited() -> Scene {
    let mut scene = serves(json!({"image": "iris:1", "models": "{old: {prefix: /model/iris/}}"}));
    scene.config = options(json!({"image": "iris:1", "models": "{iris: {}}"}));
    let successor = scene.plan().models.remove(0);
    scene.add(&successor, 1);
    let name = "iris-default-0-iris";
    let mut all = scene.observed.deployments.iter_mut();
    let deployment = all.find(|of| of.metadata.name.as_deref() == Some(name)).unwrap();
    deployment.status.as_mut().unwrap().available_replicas = 0;
    scene
}

pub fn failing() -> Vec<Entry> {
    let mut entries = containers();
    entries.extend(files());
    entries.extend(nodes());
    entries.extend(stalls());
    entries
}

/// Rollouts without progress for eleven minutes.
fn stalls() -> Vec<Entry> {
    let resources = "{requests: {cpu: 100m}}";
    let autoscaled = json!({"image": "iris:2", "autoscale": "{max: 3, cpu: 80}", "resources": resources});
    let entry = "{iris: {image: 'iris:2', autoscale: {max: 3, cpu: 80}, resources: {requests: {cpu: 100m}}}}";
    let manifest = "{apiVersion: machinelearning.seldon.io/v1, kind: SeldonDeployment, spec: {predictors: [{name: default, \
                    graph: {name: iris, type: MODEL}, componentSpecs: [{hpaSpec: {maxReplicas: 2}, \
                    spec: {containers: [{name: iris, image: 'iris:2'}]}}]}]}}";
    let pods = |change: Value| {
        scene(|scene| {
            scene.deployment(change);
        })
    };
    let exceeded = json!({
        "type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded",
        "message": "ReplicaSet \"iris-default-0-iris-7d9f\" has timed out progressing.",
    });
    let unavailable = scene(|scene| {
        scene.seldon_reports(json!({"state": "Creating"}));
    });
    let hangs =
        "Seldon Core 1.17 and later change such a model too. Set `autoscale` again when the new version serves.";
    [
        (not_made(autoscaled), hangs),
        (not_made(json!({"models": entry})), ""),
        (not_made(json!({"manifest": manifest})), ""),
        (not_made(json!({"image": "iris:2"})), ""),
        (
            pods(json!({"availableReplicas": 0, "conditions": [exceeded]})),
            "Kubernetes allows ten minutes between two steps of a rollout.",
        ),
        (pods(json!({"availableReplicas": 0})), ""),
        (unavailable, ""),
    ]
    .map(|(mut scene, behind)| Entry::from_scene(wait(&mut scene, 11), behind))
    .into()
}

/// Containers that do not start, crash or run out of memory.
fn containers() -> Vec<Entry> {
    let with = |container: Value| {
        scene(|scene| {
            scene.pod(json!({"containerStatuses": [container]}));
        })
    };
    let waiting = |image: &str, reason: &str, message: &str| {
        let waiting = json!({"reason": reason, "message": message});
        with(json!({"name": "iris", "image": image, "state": {"waiting": waiting}}))
    };
    let outgrown = |container: &str| {
        let ended = json!({"reason": "OOMKilled", "exitCode": 137});
        with(json!({"name": container, "state": {"terminated": ended}}))
    };
    let not_found = "failed to pull and unpack image: docker.io/library/iris:9: not found";
    let not_allowed = "failed to authorize: unexpected status: 401 Unauthorized";
    vec![
        Entry::from_scene(
            &waiting("iris:9", "ErrImagePull", not_found),
            "Its name or tag has a typo, or the registry cannot be reached.",
        ),
        Entry::from_scene(
            &waiting("r.example/iris:1", "ErrImagePull", not_allowed),
            "The value is the `secret:` URI of the registry's credentials, see [a private registry](../how-to/private-registry.md).",
        ),
        Entry::from_scene(
            &waiting(
                "iris:1",
                "CreateContainerConfigError",
                "secret \"key\" not found. Retrying.",
            ),
            "Something that `pod` or `env` refers to is missing.",
        ),
        Entry::from_scene(
            &with(json!({
                "name": "iris", "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": {"exitCode": 3, "message": "ModuleNotFoundError: sklearn"}},
            })),
            "The command prints the last lines of the model's log.",
        ),
        Entry::from_scene(&outgrown("iris"), "The limit is `limits.memory` of `resources`."),
        Entry::from_scene(
            &outgrown("seldon-container-engine"),
            "Seldon's executor in front of the model, which needs more memory for requests and answers of many megabytes.",
        ),
    ]
}

/// A model's files.
fn files() -> Vec<Entry> {
    let fetched = |name: &str| {
        json!({"initContainerStatuses": [{
            "name": name, "state": {"terminated": {"reason": "Error", "exitCode": 1, "message": "directory not found"}},
        }]})
    };
    let mut one = serves(json!({"implementation": "SKLEARN_SERVER", "model-uri": "gs://bucket/iris"}));
    one.pod(fetched("iris-model-initializer"));
    let graph = "{combiner: average, image: 'average:1', children: [{model: a, implementation: SKLEARN_SERVER, model-uri: 'gs://b/a'}]}";
    let mut of_a_graph = serves(json!({"graph": graph}));
    of_a_graph.pod(fetched("a-model-initializer"));
    vec![
        Entry::from_scene(
            &one,
            "Exit code and message are those of rclone, which fetches the files.",
        ),
        Entry::from_scene(&of_a_graph, "The same of a node of a `graph`."),
    ]
}

/// Nodes, quotas and Seldon.
fn nodes() -> Vec<Entry> {
    let unscheduled = |message: &str| {
        scene(|scene| {
            scene.pod(json!({"conditions": [
                {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message},
            ]}));
        })
    };
    let quota = scene(|scene| {
        scene.deployment(json!({"availableReplicas": 0, "conditions": [{
            "type": "ReplicaFailure", "status": "True", "reason": "FailedCreate",
            "message": "pods \"iris-x\" is forbidden: exceeded quota: small, requested: memory=1Gi, used: memory=0, limited: memory=512Mi",
        }]}));
    });
    let fails = |description: &str| {
        scene(|scene| {
            scene.seldon_reports(json!({"state": "Failed", "description": description}));
        })
    };
    let autoscale = "{max: 3, keda: {triggers: [{type: cron, metadata: {start: 0 8 * * *}}]}}";
    let mut keda = serves(json!({"image": "iris:1", "autoscale": autoscale}));
    keda.seldon_reports(json!({"state": "Available"}));
    vec![
        Entry::from_scene(
            &unscheduled("0/1 nodes are available: 1 Insufficient memory. preemption: none."),
            "All pods together request more than the node has. Lower `resources` or `engine-resources`.",
        ),
        Entry::from_scene(
            &unscheduled("persistentvolumeclaim \"models\" not found"),
            "A volume, a node label or a taint.",
        ),
        Entry::from_scene(
            &quota,
            "`kubectl -n edge describe quota` shows the quota of the namespace.",
        ),
        Entry::from_scene(
            &fails("no image compatible with kfserving protocol"),
            "The cause is Seldon Core's. `kubectl -n edge describe seldondeployment iris` has more.",
        ),
        Entry::from_scene(&fails(""), "See the log of Seldon Core's controller."),
        Entry::from_scene(&keda, ""),
    ]
}

pub fn fleets() -> Vec<Entry> {
    let fleet = |models: &str| serves(json!({"image": "iris:1", "models": models}));
    let mut two = fleet("{a: {}, b: {}, c: {}}");
    let error = |name: &str| ApiError::Quota {
        why: format!("exceeded quota: {name}"),
    };
    two.rejected.insert("b".into(), error("memory"));
    two.rejected.insert("c".into(), error("cpu"));
    let mut frozen = Scene::iris();
    frozen.config = options(json!({"image": "iris:1", "replicas": -1}));
    let mut new = Scene::iris();
    new.observed.seldon_deployments.clear();
    new.config = options(json!({"image": "iris:1", "replicas": -1}));
    let model_status = |scene: &Scene, details: &str| {
        let model_status = scene.report().models.remove(0);
        Entry::of_state(model_status.state, model_status.message, details)
    };
    vec![
        Entry::in_status(&fleet("{a: {}, b: {}, c: {}}"), ""),
        Entry::in_status(&fleet("{a: {}, b: {replicas: 0}}"), ""),
        Entry::in_status(&two, ""),
        model_status(
            &frozen,
            "In `juju run iris/0 list-models`. The error is in `juju status iris`.",
        ),
        model_status(&new, "The same of a model that was never deployed."),
    ]
}
