//! Reasons are found where the cluster has them. Their messages are tested in `src/status/tests.rs`; here, that they
//! are read from the right place.

use serde_json::json;

use super::fixture::Live;
use crate::support::assert_contains;
use crate::support::kinds::{deployment, pod, sdep};

#[test]
fn image_pull_error_blocks_and_keeps_serving() {
    let mut live = Live::new("pulling");
    live.serves();
    live.config(&[("image", "seldonio/none:1")]);
    live.hook("config-changed");
    let predictor = live.sdep("iris").unwrap()["spec"]["predictors"][0].clone();
    let metadata = json!({"labels": predictor["labels"], "annotations": predictor["annotations"]});
    live.create(
        &pod(),
        "iris-new",
        &json!({"metadata": metadata, "spec": {"containers": [{"name": "iris", "image": "seldonio/none:1"}]}}),
    );
    live.merge_status(
        &pod(),
        "iris-new",
        &json!({"containerStatuses": [{"name": "iris", "image": "seldonio/none:1", "imageID": "", "ready": false,
            "restartCount": 0, "state": {"waiting": {"reason": "ErrImagePull", "message": "docker.io/seldonio/none:1: not found"}}}]}),
    );
    assert_contains(
        &live.says(),
        &[
            "blocked: iris: image cannot be pulled. Run: juju config iris image=… (seldonio/none:1: ErrImagePull: not found)",
            "; the previous version keeps serving",
        ],
    );
    live.config(&[("image", "seldonio/sklearn-iris:0.3")]);
    live.hook("config-changed");
    live.seldon_serves("iris");
    assert!(live.says().starts_with("active"));
}

#[test]
fn failed_rollout_is_reported_from_deployment_and_seldon() {
    let mut live = Live::new("failing");
    live.serves();
    live.merge_status(
        &deployment(),
        "iris-default-0-iris",
        &json!({"availableReplicas": 0, "conditions": [{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate",
            "message": "pods is forbidden: exceeded quota: small"}]}),
    );
    assert_contains(
        &live.says(),
        &["blocked: iris: pods cannot be created. Run: juju config iris resources=… (exceeded quota: small; "],
    );
    live.merge_status(&deployment(), "iris-default-0-iris", &json!({"conditions": []}));
    live.merge_status(&sdep(), "iris", &json!({"state": "Failed", "description": "no image"}));
    assert_contains(
        &live.says(),
        &["blocked: iris: Seldon Core reports Failed. Run: juju run iris/leader diagnose (no image)"],
    );
}
