//! A model does not become ready, and the status says why.

use std::time::Duration;

use kube_box::images::{IRIS_1, IRIS_2};
use serde_json::Value;

use crate::fixture::{FLOWER, Model, SERVES, until};
use crate::load::{Load, assert_none_failed};
use crate::support::assert_contains;
use crate::support::kinds::pod;

/// How long the status may take to show what the kubelet reported.
const REPORTED: Duration = Duration::from_secs(60);

/// Whether a container of the pod was reported in that state, for that reason.
fn reason_is(pod: &Value, reason: &str) -> bool {
    let statuses = |kind: &str| pod["status"][kind].as_array().cloned().unwrap_or_default();
    [statuses("containerStatuses"), statuses("initContainerStatuses")]
        .iter()
        .flatten()
        .any(|container| {
            ["waiting", "terminated"]
                .iter()
                .any(|state| container["state"][state]["reason"] == reason)
                || container["lastState"]["terminated"]["reason"] == reason
        })
}

/// Waits for the kubelet's report.
#[track_caller]
fn until_kubelet_says(model: &Model, reason: &str) {
    until(SERVES, &format!("a pod is {reason}"), || {
        let pods = model.objects(&pod());
        if pods.iter().any(|pod| reason_is(pod, reason)) {
            Ok(())
        } else {
            Err(format!("{} pods are not", pods.len()))
        }
    });
}

pub fn bad_image_is_named_and_previous_version_serves() {
    const MISSING: &str = "site.local/iris:missing";
    let mut model = Model::serving("pulled");
    let load = Load::start(&model.predictions("pulled"), FLOWER, 3);
    let says = model.configure(&[("image", MISSING)]);
    assert!(!says.starts_with("active: "), "{says}");
    until_kubelet_says(&model, "ErrImagePull");
    let says = model.until_says(REPORTED, &["blocked: ", MISSING]);
    assert_contains(
        &says,
        &["iris: image cannot be pulled. Run: juju config iris image=… ("],
    );
    assert_eq!(model.predict().version(), "1");

    model.configure(&[("image", IRIS_1)]);
    model.until_says(SERVES, &["active: ", IRIS_1]);
    assert_none_failed(&load.stop(), 50.0);
}

pub fn crash_at_start_is_named() {
    let mut model = Model::new("crashing");
    model.configure(&[("env", "{FAIL_AT_START: no such flower}")]);
    until_kubelet_says(&model, "CrashLoopBackOff");
    let says = model.until_says(REPORTED, &["blocked: ", "crashes"]);
    assert_contains(&says, &["iris: container crashes. Run: "]);
    // It is restarted again and again, and runs between two crashes.
    let restarts = |model: &Model| -> u64 {
        let pods = model.objects(&pod());
        let containers = pods
            .iter()
            .filter_map(|pod| pod["status"]["containerStatuses"].as_array());
        containers
            .flatten()
            .filter(|container| container["name"] == "iris")
            .filter_map(|container| container["restartCount"].as_u64())
            .sum()
    };
    let before = restarts(&model);
    until(SERVES, "it is tried again", || {
        let says = model.update_status();
        assert_contains(&says, &["blocked: ", "crashes"]);
        let now = restarts(&model);
        if now > before + 1 {
            Ok(())
        } else {
            Err(format!("{now} restarts"))
        }
    });
    // Once fixed, it serves.
    model.configure(&[("env", "")]);
    model.until_says(SERVES, &["active: "]);
}

pub fn out_of_memory_model_is_named() {
    let mut model = Model::new("eating");
    model.configure(&[
        ("env", "{EAT_MEMORY_MIB: '600'}"),
        ("resources", "{limits: {memory: 400Mi}}"),
    ]);
    until_kubelet_says(&model, "OOMKilled");
    let says = model.until_says(REPORTED, &["blocked: ", "memory"]);
    assert_contains(&says, &["iris", "resources"]);
}

pub fn unschedulable_model_is_named() {
    let mut model = Model::new("large");
    let says = model.configure(&[("resources", "{requests: {memory: 900Gi}}")]);
    assert!(!says.starts_with("active: "), "{says}");
    let says = model.until_says(REPORTED, &["memory"]);
    assert_contains(&says, &["iris", "resources"]);
    assert!(!says.starts_with("active: "), "{says}");
    // An unschedulable version does not block the next one.
    model.configure(&[("resources", ""), ("image", IRIS_2)]);
    model.until_says(SERVES, &["active: "]);
}

pub fn missing_model_uri_is_named() {
    const NOWHERE: &str = "s3://models/no/such/flower";
    let mut model = Model::new("nowhere");
    model.configure(&[
        ("image", ""),
        ("implementation", "SKLEARN_SERVER"),
        ("protocol", "v2"),
        ("model-uri", NOWHERE),
    ]);
    until_kubelet_says(&model, "CrashLoopBackOff");
    let says = model.until_says(REPORTED, &["blocked: ", NOWHERE]);
    assert_contains(&says, &["iris", "model-uri"]);
}
