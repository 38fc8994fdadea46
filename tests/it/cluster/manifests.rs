//! Every form of model that Seldon Core serves, accepted by the real API server with the real definitions.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::endpoints::{gateway, http};
use super::fixture::Live;
use crate::support::assert_contains;
use crate::support::kinds::{deployment, sdep};

/// All of `wanted` is in `live`, field for field; in maps there may be more.
fn assert_subset(live: &Value, wanted: &Value, place: &str) {
    match (live, wanted) {
        (Value::Object(live), Value::Object(wanted)) => {
            for (key, value) in wanted.iter().filter(|(_, value)| !value.is_null()) {
                assert_subset(live.get(key).unwrap_or(&Value::Null), value, &format!("{place}.{key}"));
            }
        }
        (Value::Array(live), Value::Array(wanted)) => {
            assert_eq!(live.len(), wanted.len(), "{place}");
            for (at, (live, wanted)) in live.iter().zip(wanted).enumerate() {
                assert_subset(live, wanted, &format!("{place}[{at}]"));
            }
        }
        (live, wanted) => assert_eq!(live, wanted, "{place}"),
    }
}

/// Deploys a manifest, has it served, and asserts that it is kept as written and then left alone.
fn deploys(live: &mut Live, name: &str, text: &str) {
    let manifest: Value = serde_yaml::from_str(text).unwrap();
    live.config(&[("image", ""), ("manifest", text)]);
    let said = live.says();
    assert!(!said.starts_with("blocked"), "{name}: {said}");
    let found = live.sdep("iris").unwrap_or_else(|| panic!("{name}: {said}"));
    assert_subset(&found["spec"], &manifest["spec"], name);
    live.seldon_serves("iris");
    let mut says = live.says();
    if says.starts_with("waiting") {
        // Now that its predictors answer, the route leads to all of them.
        says = live.says();
    }
    assert_contains(&says, &["active: iris serves ", " at /model/iris/"]);
    let route = live.requests("iris");
    let shares = route["route"].as_array().unwrap();
    if shares.len() > 1 {
        let sum: u64 = shares.iter().map(|share| share["weight"].as_u64().unwrap()).sum();
        assert_eq!(sum, 100, "{name}: {route}");
    }
    let before = live.versions();
    live.hook("update-status");
    assert_eq!(live.versions(), before, "{name}: a quiet hook wrote");
    // Clean up for the next one, including Seldon's part.
    live.config(&[("manifest", ""), ("models", "{other: {image: 'other:1', replicas: 0}}")]);
    live.hook("config-changed");
    let all = live
        .wait(live.api(&deployment()).list(&kube::api::ListParams::default()))
        .unwrap();
    for one in all {
        live.delete(&deployment(), &kube::ResourceExt::name_any(&one));
    }
    live.config(&[("models", "")]);
}

#[test]
fn documented_seldon_manifests_deploy_as_written() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/examples");
    let Ok(files) = fs::read_dir(&examples) else {
        eprintln!("there are no manifests beside this repository; those under examples/ stand for them");
        return;
    };
    let mut files: Vec<_> = files
        .map(|file| file.unwrap().path())
        .filter(|file| file.extension().is_some_and(|end| end == "yaml" || end == "json"))
        .collect();
    files.sort();
    let mut live = Live::new("documented");
    for file in &files {
        let name = file.file_name().unwrap().to_str().unwrap();
        let text = fs::read_to_string(file).unwrap();
        if name == "canary-without-traffic.json" {
            // Seldon's own webhook rejects this one.
            live.config(&[("image", ""), ("manifest", &text)]);
            let says = live.says();
            assert_contains(
                &says,
                &["blocked: option manifest: ", "predictors[].traffic: must add up to 100"],
            );
            continue;
        }
        deploys(&mut live, name, &text);
    }
    assert!(files.len() > 15, "{files:?}");
}

#[test]
fn every_example_deploys_and_serves() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/models");
    let mut live = Live::new("exemplary");
    gateway(&live, &http(), "NodePort");
    for file in fs::read_dir(folder).unwrap() {
        let file = file.unwrap().path();
        let text = fs::read_to_string(&file).unwrap();
        live.config(&[("image", ""), ("models", &text)]);
        let says = live.serves();
        let says = if says.starts_with("waiting") { live.says() } else { says };
        assert!(says.starts_with("active: "), "{}: {says}", file.display());
        let command = format!(
            "juju config iris models=@examples/models/{}",
            file.file_name().unwrap().display()
        );
        assert!(
            text.contains(&command),
            "{} does not say how it is used",
            file.display()
        );
        let before = live.versions();
        live.hook("update-status");
        assert_eq!(live.versions(), before, "{}", file.display());
    }
}

const TWO: &str = "
apiVersion: machinelearning.seldon.io/v1
kind: SeldonDeployment
spec:
  predictors:
  - name: blue
    traffic: 75
    replicas: 1
    componentSpecs:
    - spec: {containers: [{name: classifier, image: 'iris:1'}]}
    graph: {name: classifier, type: MODEL}
  - name: green
    traffic: 25
    replicas: 1
    componentSpecs:
    - spec: {containers: [{name: classifier, image: 'iris:2'}]}
    graph: {name: classifier, type: MODEL}
";

#[test]
fn predictor_gets_no_requests_before_it_answers() {
    let mut live = Live::new("weights");
    live.config(&[("image", ""), ("manifest", TWO)]);
    assert_contains(&live.says(), &["waiting: iris"]);
    // Neither answers: the configured weights apply.
    assert_eq!(live.shares("iris"), ["blue 75", "green 25"]);
    let all = live.sdep("iris").unwrap()["spec"]["predictors"].clone();
    live.predictor_serves("iris", &all[0]);
    assert_contains(&live.says(), &["waiting: iris"]);
    assert_eq!(live.shares("iris"), ["blue 100"]);
    live.seldon_serves("iris");
    assert_contains(&live.says(), &["active: iris serves blue (iris:1) and green (iris:2)"]);
    assert_eq!(live.shares("iris"), ["blue 75", "green 25"]);
    // A failing predictor gets none, and the status is not active.
    live.merge_status(&deployment(), "iris-green-0-iris", &json!({"availableReplicas": 0}));
    assert_contains(
        &live.says(),
        &["waiting: iris: green is starting; no traffic until it is ready"],
    );
    assert_eq!(live.shares("iris"), ["blue 100"]);
}

#[test]
fn previous_predictor_stays_until_successor_answers() {
    let mut live = Live::new("successors");
    assert!(live.serves().starts_with("active"));
    live.config(&[("image", ""), ("manifest", TWO)]);
    assert_contains(&live.says(), &["waiting: iris: rolling out blue"]);
    assert_eq!(live.predictors("iris"), ["blue", "green", "default"]);
    assert_eq!(live.shares("iris"), ["default 100"]);
    let all = live.sdep("iris").unwrap()["spec"]["predictors"].clone();
    live.predictor_serves("iris", &all[0]);
    live.predictor_serves("iris", &all[1]);
    live.merge_status(&sdep(), "iris", &json!({"state": "Available"}));
    assert_contains(&live.says(), &["active: iris serves blue"]);
    assert_eq!(live.shares("iris"), ["blue 75", "green 25"]);
    assert_eq!(live.predictors("iris"), ["blue", "green"]);
    // Back to one at once, as it is one of those that answer.
    let one = TWO
        .split("  - name: green")
        .next()
        .unwrap()
        .replace("traffic: 75", "traffic: 100");
    live.config(&[("manifest", &one)]);
    assert_contains(&live.says(), &["active: iris serves iris:1"]);
    assert_eq!(live.shares("iris"), ["blue 100"]);
    assert_eq!(live.predictors("iris"), ["blue"]);
}

#[test]
fn shadow_gets_copies_once_it_answers() {
    let mut live = Live::new("shadowed");
    let shadowed = TWO
        .replace("traffic: 75", "traffic: 100")
        .replace("traffic: 25", "traffic: 20\n    shadow: true");
    live.config(&[("image", ""), ("manifest", &shadowed)]);
    live.hook("config-changed");
    assert!(live.requests("iris").get("mirror").is_none());
    live.seldon_serves("iris");
    assert_contains(&live.says(), &["active"]);
    let route = live.requests("iris");
    assert_eq!(live.shares("iris"), ["blue 100"]);
    assert_eq!(route["mirror"]["host"], "iris-green.shadowed.svc.cluster.local");
    assert_eq!(route["mirrorPercentage"]["value"], 20);
}
