//! Why a model does not serve: the cause in Kubernetes, and the command.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use serde_json::json;

use super::{Scene, assert_contains};
use crate::config;

#[test]
fn image_pull_failure_names_the_cause() {
    let mut scene = Scene::iris();
    let says = scene
        .pod(json!({"containerStatuses": [{"name": "iris", "image": "iris:1", "state": {"waiting": {
            "reason": "ErrImagePull",
            "message": "rpc error: code = NotFound desc = failed to pull and unpack image: docker.io/library/iris:1: not found",
        }}}]}))
        .says();
    assert_contains(
        &says,
        &["blocked: iris: image cannot be pulled. Run: juju config iris image=… (iris:1: ErrImagePull: not found)"],
    );
    let mut scene = Scene::iris();
    let says = scene
        .pod(
            json!({"containerStatuses": [{"name": "iris", "image": "iris:1", "state": {"waiting": {
                "reason": "ImagePullBackOff", "message": "Back-off pulling image \"iris:1\"",
            }}}]}),
        )
        .deployment(json!({"availableReplicas": 1, "replicas": 2}))
        .says();
    assert_contains(
        &says,
        &["(iris:1: ImagePullBackOff); the previous version keeps serving"],
    );
}

#[test]
fn registry_without_credentials_names_image_pull_secret() {
    let mut scene = Scene::iris();
    let says = scene
        .pod(json!({"containerStatuses": [{"name": "iris", "image": "r.example/iris:1", "state": {"waiting": {
            "reason": "ErrImagePull",
            "message": "failed to resolve reference \"r.example/iris:1\": failed to authorize: failed to fetch anonymous token: unexpected status: 401 Unauthorized",
        }}}]}))
        .says();
    assert_contains(
        &says,
        &[
            "blocked: iris: image cannot be pulled. Run: juju config iris image-pull-secret=… (",
            "(r.example/iris:1: ErrImagePull: 401 Unauthorized)",
        ],
    );
}

#[test]
fn crash_names_last_exit_and_log_command() {
    let mut scene = Scene::iris();
    let says = scene
        .pod(json!({"containerStatuses": [{
            "name": "iris",
            "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}},
            "lastState": {"terminated": {"reason": "Error", "exitCode": 3, "message": "Traceback\nModuleNotFoundError: sklearn"}},
        }]}))
        .says();
    assert_contains(
        &says,
        &[
            "blocked: iris: container crashes. Run: kubectl -n edge logs iris-default-0-iris-7d9f-x2x -c iris --previous (",
            "(container iris: exit 3, ModuleNotFoundError: sklearn)",
        ],
    );
}

#[test]
fn text_of_a_container_cannot_forge_lines_or_hide() {
    let mut scene = Scene::iris();
    scene.pod(json!({"containerStatuses": [{
        "name": "iris", "image": "iris:1\u{202e}\n2026-01-01 INFO all is well",
        "state": {"waiting": {"reason": "CrashLoopBackOff\n", "message": "back-off\u{0}"}},
        "lastState": {"terminated": {
            "reason": "Error", "exitCode": 3, "message": "one\u{0}\n\u{1b}[2J\u{200b}2026-01-01 INFO all is well\r",
        }},
    }]}));
    let logged = scene.logged();
    assert_contains(&logged, &["container crashes", "exit 3"]);
    let hidden = |c: char| c.is_control() || ['\u{202e}', '\u{200b}'].contains(&c);
    assert!(!logged.contains(hidden), "{logged:?}");
    assert!(!scene.says().contains(hidden));
}

#[test]
fn container_between_crashes_still_counts_as_crashing() {
    let with = |ended| {
        let mut scene = Scene::iris();
        let status = json!({"containerStatuses": [{
            "name": "iris", "ready": false, "state": {"running": {}}, "lastState": {"terminated": ended},
        }]});
        scene.pod(status).says()
    };
    let says = with(json!({"reason": "Error", "exitCode": 3}));
    assert_contains(
        &says,
        &[
            "blocked: iris: container crashes. Run: kubectl ",
            "(container iris: exit 3)",
        ],
    );
    // Ended from outside: by a probe, or with its node.
    for code in [137, 143] {
        let says = with(json!({"reason": "Error", "exitCode": code}));
        assert_eq!(says, "waiting: iris: starting iris:1");
    }
}

#[test]
fn out_of_memory_names_limit_and_option() {
    let mut scene = Scene::iris();
    let ended = json!({"terminated": {"reason": "OOMKilled", "exitCode": 137}});
    let says = scene
        .pod(json!({"containerStatuses": [{"name": "iris", "lastState": ended}]}))
        .says();
    assert_contains(
        &says,
        &["iris: out of memory. Run: juju config iris resources=… (container iris: OOMKilled at its limit of 64Mi)"],
    );
    let mut scene = Scene::iris();
    let says = scene
        .pod(json!({"containerStatuses": [{"name": "seldon-container-engine", "state": ended}]}))
        .says();
    assert_contains(&says, &["juju config iris engine-resources=… ("]);
}

#[test]
fn recovered_container_is_no_problem() {
    let mut scene = Scene::iris();
    let says = scene
        .pod(json!({"containerStatuses": [{
            "name": "iris", "ready": true,
            "lastState": {"terminated": {"reason": "Error", "exitCode": 1}},
        }]}))
        .says();
    assert_eq!(says, "waiting: iris: starting iris:1");
}

#[test]
fn unfetchable_model_files_are_named() {
    let mut scene = Scene::serving(json!({"implementation": "SKLEARN_SERVER", "model-uri": "gs://bucket/none"}));
    let says = scene
        .pod(json!({"initContainerStatuses": [{
            "name": "iris-model-initializer",
            "state": {"terminated": {"reason": "Error", "exitCode": 1, "message": "directory not found"}},
        }]}))
        .says();
    assert_contains(
        &says,
        &[
            "iris: files cannot be fetched. Run: juju config iris model-uri=… (",
            "(gs://bucket/none: exit 1, directory not found; kubectl ",
        ],
    );
}

#[test]
fn unschedulable_pod_names_what_does_not_fit() {
    let mut scene = Scene::iris();
    let says = scene
        .pod(json!({"conditions": [{
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": "0/1 nodes are available: 1 Insufficient memory. preemption: 0/1 nodes are available.",
        }]}))
        .says();
    assert_contains(
        &says,
        &[
            "blocked: iris: no node has room for it. Run: juju config iris resources=… (",
            "0/1 nodes are available: 1 Insufficient memory)",
        ],
    );
}

#[test]
fn exceeded_quota_is_read_from_the_deployment() {
    let mut scene = Scene::iris();
    let says = scene
        .deployment(json!({"availableReplicas": 0, "conditions": [{
            "type": "ReplicaFailure", "status": "True", "reason": "FailedCreate",
            "message": "pods \"iris-x\" is forbidden: exceeded quota: small, requested: memory=1Gi, used: memory=0, limited: memory=512Mi",
        }]}))
        .says();
    assert_contains(
        &says,
        &[
            "blocked: iris: pods cannot be created. Run: juju config iris resources=… (exceeded quota: small, requested: memory=1Gi",
        ],
    );
}

#[test]
fn seldons_reason_is_the_last_resort() {
    let mut scene = Scene::iris();
    let says = scene
        .seldon_reports(json!({"state": "Failed", "description": "no image compatible with kfserving protocol"}))
        .says();
    assert_eq!(
        says,
        "blocked: iris: Seldon Core reports Failed. Run: juju run iris/leader diagnose (no image compatible with kfserving protocol); the previous version keeps serving"
    );
}

#[test]
fn pods_of_an_older_spec_are_ignored() {
    let mut scene = Scene::iris();
    scene.pod(json!({"containerStatuses": [{"name": "iris", "state": {"waiting": {"reason": "ErrImagePull"}}}]}));
    scene.config = config::parse("iris", json!({"image": "iris:2"}).as_object().unwrap());
    assert!(scene.says().starts_with("waiting"), "{}", scene.says());
}

/// Its containers are killed with it.
#[test]
fn pod_being_deleted_is_no_crash() {
    let mut scene = Scene::iris();
    scene.pod(json!({"containerStatuses": [{"name": "iris", "state": {"terminated": {"exitCode": 137}}}]}));
    assert_contains(&scene.says(), &["blocked: iris: "]);
    scene.observed.pods[0].metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
    assert_eq!(scene.says(), "waiting: iris: starting iris:1");
}

#[test]
fn restarted_node_is_no_crash() {
    let mut scene = Scene::iris();
    let says = scene
        .pod(json!({"containerStatuses": [{
            "name": "iris", "ready": false, "state": {"running": {}},
            "lastState": {"terminated": {"reason": "Unknown", "exitCode": 255}},
        }]}))
        .says();
    assert_eq!(says, "waiting: iris: starting iris:1");
}

#[test]
fn fix_names_option_or_models_entry() {
    let mut scene = Scene::serving(json!({"models": "{iris: {image: 'iris:1'}}"}));
    let says = scene
        .pod(json!({"containerStatuses": [{"name": "iris", "image": "iris:1", "state": {"waiting": {"reason": "ErrImagePull"}}}]}))
        .says();
    assert_contains(
        &says,
        &["Run: juju config iris models=@models.yaml (set image of iris; "],
    );
}

#[test]
fn scheduling_for_other_reasons_suggests_no_resources() {
    let mut scene = Scene::iris();
    let says = scene
        .pod(
            json!({"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": "persistentvolumeclaim \"models\" not found"}]}),
        )
        .says();
    assert_contains(
        &says,
        &[
            "persistentvolumeclaim \"models\" not found",
            "kubectl -n edge describe pod iris-default-0-iris-7d9f-x2x",
        ],
    );
}

#[test]
fn seldons_state_of_an_older_spec_is_ignored() {
    let mut scene = Scene::iris();
    scene.seldon_reports(json!({"state": "Failed", "description": "of the old one"}));
    scene.config = config::parse("iris", json!({"image": "iris:2"}).as_object().unwrap());
    assert!(!scene.says().contains("of the old one"), "{}", scene.says());
}

#[test]
fn seldons_state_before_our_write_is_ignored() {
    let mut scene = Scene::iris();
    scene.observed.deployments.clear();
    scene.seldon_reports(json!({"state": "Failed", "description": "of the old one"}));
    assert_contains(
        &scene.says(),
        &["blocked: iris: Seldon Core reports Failed. Run: juju run iris/leader diagnose (of the old one)"],
    );
    scene.wrote = true;
    assert_eq!(scene.says(), "waiting: iris: starting iris:1");
}
