//! Rollouts that make no progress: a problem after their deadline, and not before.

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{Scene, assert_contains};
use crate::config;

/// The status that long after the last apply.
fn after(scene: &mut Scene, minutes: i64) -> String {
    wait(scene, minutes).says()
}

pub fn wait(scene: &mut Scene, minutes: i64) -> &Scene {
    let applied: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    scene.observed.now = Some(applied + SignedDuration::from_mins(minutes));
    scene
}

/// Options that are applied and that Seldon has created nothing from: the Deployment is still that of the previous version.
pub fn not_made(options: Value) -> Scene {
    let scene = Scene::serving(json!({"image": "iris:1"}));
    let (deployments, wrote) = (scene.observed.deployments.clone(), scene.wrote);
    let mut new = Scene::serving(options);
    new.observed.deployments = deployments;
    new.wrote = wrote;
    new.seldon_reports(json!({"state": "Creating"}));
    new
}

#[test]
fn autoscaled_model_seldon_cannot_change_names_fix() {
    let mut scene = not_made(json!({
        "image": "iris:2", "autoscale": "{max: 3, cpu: 80}", "resources": "{requests: {cpu: 100m}}",
    }));
    assert_eq!(
        after(&mut scene, 10),
        "waiting: iris: rolling out iris:2; the previous version keeps serving"
    );
    assert_contains(
        &after(&mut scene, 11),
        &[
            "blocked: iris: no rollout in 10 minutes. Run: juju config iris autoscale= (",
            "; the previous version keeps serving",
        ],
    );
    // Of conditions that change all the while nothing is to be seen.
    scene.deployment(
        json!({"conditions": [{"type": "Progressing", "status": "True", "lastUpdateTime": "2026-01-01T00:10:59Z"}]}),
    );
    assert!(after(&mut scene, 11).starts_with("blocked: "));
    let models = "{iris: {image: 'iris:2', autoscale: {max: 3, cpu: 80}, resources: {requests: {cpu: 100m}}}}";
    let mut entry = not_made(json!({"models": models}));
    assert_contains(
        &after(&mut entry, 11),
        &["Run: juju config iris models=@models.yaml (without autoscale of iris; "],
    );
}

#[test]
fn change_ignored_by_seldon_is_a_problem() {
    let mut scene = not_made(json!({"image": "iris:2"}));
    assert!(after(&mut scene, 9).starts_with("waiting: "));
    assert_contains(
        &after(&mut scene, 11),
        &["blocked: iris: no rollout in 10 minutes. Run: juju status seldon-core ("],
    );
    // Pending changes are the leader's to apply, however long ago it applied something.
    scene.config = config::parse("iris", json!({"image": "iris:3"}).as_object().unwrap());
    assert_contains(&after(&mut scene, 11), &["waiting: iris: waiting for the leader unit"]);
    // A clock that is behind measures nothing.
    let mut scene = not_made(json!({"image": "iris:2"}));
    assert!(after(&mut scene, -11).starts_with("waiting: "));
}

#[test]
fn pods_not_ready_by_deadline_are_a_problem() {
    let mut scene = Scene::iris();
    scene.deployment(json!({"availableReplicas": 0}));
    assert!(after(&mut scene, 9).starts_with("waiting: "));
    assert_contains(
        &after(&mut scene, 11),
        &[
            "blocked: iris: no progress in 10 minutes. Run: juju run iris/leader diagnose (",
            "0 of 1 pods available",
        ],
    );
    // Kubernetes has its own opinion of progress.
    let progressing = |status: &str, reason: &str, updated: &str| {
        json!({"conditions": [{
            "type": "Progressing", "status": status, "reason": reason, "lastUpdateTime": updated, "message": "what Kubernetes says",
        }]})
    };
    scene.deployment(progressing("True", "ReplicaSetUpdated", "2026-01-01T00:05:00Z"));
    assert!(after(&mut scene, 11).starts_with("waiting: "));
    scene.deployment(progressing("False", "ProgressDeadlineExceeded", "2026-01-01T00:10:00Z"));
    assert_contains(
        &after(&mut scene, 11),
        &["blocked: iris: no progress in", "(what Kubernetes says)"],
    );
    // A status that changed with the time would be a new one at each look.
    assert_eq!(after(&mut scene, 11), after(&mut scene, 600));
    // A longer deadline counts.
    let mut patient = Scene::iris();
    patient.deployment(json!({"availableReplicas": 0}));
    patient.observed.deployments[0].spec.progress_deadline_seconds = Some(3600);
    assert!(after(&mut patient, 59).starts_with("waiting: "));
    assert!(after(&mut patient, 61).starts_with("blocked: "));
}

#[test]
fn model_never_available_is_a_problem() {
    let mut scene = Scene::iris();
    scene.seldon_reports(json!({"state": "Creating", "description": "HPAs are not ready"}));
    assert!(after(&mut scene, 9).starts_with("waiting: "));
    assert_contains(
        &after(&mut scene, 11),
        &[
            "blocked: iris: no progress in 10 minutes",
            "Creating",
            "HPAs are not ready",
        ],
    );
}

#[test]
fn serving_model_is_never_stalled() {
    assert!(after(&mut Scene::iris(), 60 * 24 * 365).starts_with("active: "));
}
