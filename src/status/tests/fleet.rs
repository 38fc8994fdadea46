//! Many models in one line of `juju status`.

use serde_json::json;

use super::{Scene, assert_contains};
use crate::api_error::ApiError;
use crate::gateway::GatewayKind;
use crate::inputs::gateway::{Provider, RelatedGateway};

const FLEET: &str = "{a: {}, b: {}, c: {}}";

#[test]
fn many_models_are_counted_naming_the_worst() {
    let scene = Scene::serving(json!({"image": "iris:1", "models": FLEET}));
    assert_eq!(scene.says(), "active: 3 models serve: a, b, c");

    let mut scene = Scene::serving(json!({"image": "iris:1", "models": "{a: {}, b: {replicas: 0}, c: {}}"}));
    assert_eq!(scene.says(), "active: 2 of 3 serve; b is stopped (replicas=0)");

    scene.deployment(json!({"availableReplicas": 0}));
    assert_eq!(scene.says(), "waiting: 1 of 3 serve; a: starting iris:1");

    scene.rejected.insert(
        "c".into(),
        ApiError::Quota {
            why: "exceeded quota: x".into(),
        },
    );
    let says = scene.says();
    assert_contains(
        &says,
        &[
            "blocked: 0 of 3 serve; c: quota exceeded. Run: juju config iris models=@models.yaml (",
            "; 1 more in juju debug-log",
        ],
    );
}

#[test]
fn common_problem_is_reported_once() {
    let mut scene = Scene::serving(json!({"image": "iris:1", "models": FLEET}));
    scene.gateway = RelatedGateway::Pending(Provider::new("istio-pilot", GatewayKind::Istio));
    let report = scene.report();
    assert_eq!(report.problems.len(), 1, "{:#?}", report.problems);
}

#[test]
fn long_message_is_cut_and_logged_whole() {
    let mut scene = Scene::serving(json!({"image": "iris:1", "models": FLEET}));
    let long = format!("first line\n{}", "ü".repeat(2000));
    for model in ["a", "b"] {
        scene.rejected.insert(
            model.into(),
            ApiError::Invalid {
                object: String::new(),
                why: long.clone(),
            },
        );
    }
    let report = scene.report();
    let message = report.status.message;
    assert_eq!(message.chars().count(), 240);
    assert!(
        message.ends_with("ü); 1 more in juju debug-log") && !message.contains('\n'),
        "{message}"
    );
    assert_contains(&report.problems[0].to_string(), &[&long]);
}

#[test]
fn command_survives_the_cut() {
    let mut scene = Scene::iris();
    let why = format!("exceeded quota: {}", "x".repeat(2000));
    scene.rejected.insert("iris".into(), ApiError::Quota { why });
    assert_contains(
        &scene.says(),
        &[
            "blocked: iris: quota exceeded. Run: juju config iris resources=… (exceeded quota: x",
            "x…x",
        ],
    );
}
