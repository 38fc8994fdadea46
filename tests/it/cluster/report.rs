//! The action `report`: what programs read of an application, whose format is stable.

use juju_sim::agent::Hook;
use serde_json::{Value, json};

use super::endpoints::{gateway, http};
use super::fixture::{Live, start};
use super::plan::act;
use crate::support::assert_contains;
use crate::support::kinds::{deployment, pod};

fn page(live: &mut Live, parameters: &Value) -> Value {
    let results = act(live, "report", parameters).unwrap();
    let text = results["report"].as_str().unwrap();
    assert!(text.len() <= 60 * 1024, "{} bytes", text.len());
    serde_json::from_str(text).unwrap()
}

fn report(live: &mut Live) -> Value {
    page(live, &json!({}))
}

/// A ready pod of a model's predictor as it is configured now.
fn ready_pod(live: &Live, model: &str, image_id: &str) {
    let predictor = live.sdep(model).unwrap()["spec"]["predictors"][0].clone();
    let mut labels = predictor["labels"].clone();
    // As Seldon copies them from the SeldonDeployment.
    let own = live.sdep(model).unwrap()["metadata"]["labels"].clone();
    for (key, value) in own.as_object().unwrap() {
        labels[key] = value.clone();
    }
    let metadata = json!({"labels": labels, "annotations": predictor["annotations"]});
    let containers = json!([
        {"name": model, "image": "x"},
        {"name": "seldon-container-engine", "image": "registry.site:5000/seldonio/executor:1.17.1"},
    ]);
    let name = format!("{model}-pod");
    live.create(
        &pod(),
        &name,
        &json!({"metadata": metadata, "spec": {"containers": containers}}),
    );
    let status =
        |name: &str, id: &str| json!({"name": name, "image": "x", "imageID": id, "ready": true, "restartCount": 0});
    let statuses = json!([
        status(model, image_id),
        status("seldon-container-engine", "executor@sha256:ee")
    ]);
    let ready = json!([{"type": "Ready", "status": "True"}]);
    live.merge_status(
        &pod(),
        &name,
        &json!({"conditions": ready, "containerStatuses": statuses}),
    );
}

fn condition(kind: &str, reason: &str, time: &str) -> Value {
    json!({"type": kind, "status": "True", "reason": reason, "message": "", "lastUpdateTime": time, "lastTransitionTime": time})
}

#[test]
fn report_has_configuration_what_serves_and_versions() {
    let mut live = Live::new("reported");
    gateway(&live, &http(), "NodePort");
    let containers = json!([{"name": "istio-proxy", "image": "docker.io/istio/proxyv2:1.24.2"}]);
    let labels = json!({"gateway-of": live.model()});
    let object = json!({"metadata": {"labels": labels}, "spec": {"nodeName": "edge", "containers": containers}});
    live.apply_as("juju", &pod(), "gate", &object);
    live.config(&[(
        "models",
        "{a: {}, b: {implementation: SKLEARN_SERVER, model-uri: 'gs://bucket/b/v7', image: ''}, c: {replicas: -1}}",
    )]);
    live.serves();
    ready_pod(&live, "a", "docker.io/seldonio/sklearn-iris@sha256:aa");
    let conditions = json!([
        condition("Available", "MinimumReplicasAvailable", "2026-01-02T03:04:05Z"),
        condition("Progressing", "NewReplicaSetAvailable", "2026-01-02T03:04:06Z"),
    ]);
    live.merge_status(&deployment(), "a-default-0-a", &json!({"conditions": conditions}));
    let report = report(&mut live);
    for (key, value) in [
        ("format", json!(1)),
        ("application", json!("iris")),
        ("juju-model", json!("reported")),
        ("unit", json!("iris/0")),
        ("page", json!(1)),
        ("pages", json!(1)),
        ("models-total", json!(3)),
        ("models-serving", json!(2)),
    ] {
        assert_eq!(report[key], value, "{key}");
    }
    assert_eq!(report["status"]["state"], "blocked");
    assert_contains(report["status"]["message"].as_str().unwrap(), &["models: c: replicas"]);
    let versions = json!({
        "charm": null, "juju": live.world.version.to_string(), "seldon-core": "1.17.1", "istio": "1.24.2",
    });
    assert_eq!(report["versions"], versions);

    let digest = &live.sdep("a").unwrap()["spec"]["predictors"][0]["annotations"]["seldon-model/spec-hash"];
    let expected = json!({
        "name": "a", "state": "active", "serves": true, "since": "2026-01-02T03:04:06Z",
        "message": report["models"][0]["message"],
        "desired": {
            "serves": "seldonio/sklearn-iris:0.3", "image": "seldonio/sklearn-iris:0.3", "implementation": null,
            "model-uri": null, "prefix": "/model/a/", "digests": {"default": digest},
        },
        "serving": [{
            "predictor": "default", "ready-pods": 1, "digests": [digest],
            "images": ["docker.io/seldonio/sklearn-iris@sha256:aa"],
        }],
    });
    assert_eq!(report["models"][0], expected);
    let b = &report["models"][1];
    assert_eq!(b["desired"]["implementation"], "SKLEARN_SERVER");
    assert_eq!(b["desired"]["model-uri"], "gs://bucket/b/v7");
    assert_eq!(b["since"], Value::Null, "its Deployment has no conditions");
    let c = &report["models"][2];
    assert_eq!(
        (&c["state"], &c["serves"], &c["desired"]),
        (&json!("blocked"), &json!(false), &Value::Null)
    );

    // A new image: the previous version answers, and since when that did is not known any more.
    live.config(&[("models", "{a: {image: 'iris:2'}}")]);
    live.hook("config-changed");
    let report = self::report(&mut live);
    let a = &report["models"][0];
    assert_eq!(
        (&a["state"], &a["serves"], &a["since"]),
        (&json!("waiting"), &json!(false), &Value::Null)
    );
    assert_eq!(a["serving"][0]["digests"], json!([digest]));
    assert_ne!(a["desired"]["digests"]["default"], *digest);
}

#[test]
fn any_unit_reports_and_without_optional_rights() {
    let mut live = Live::untrusted("plainly");
    live.wait(live.cluster.apply_gateway("plainly", "gate")).unwrap();
    super::permissions::grant(&live, |rule| !rule["resources"].to_string().contains("nodes"));
    live.serves();
    live.world.application_mut("iris").unwrap().add_unit();
    let run = live.run_on("iris/1", Hook::action("report", [].into()));
    let results = run.action.unwrap().results;
    let report: Value = serde_json::from_str(results["report"].as_str().unwrap()).unwrap();
    assert_eq!(
        (&report["unit"], &report["status"]["state"]),
        (&json!("iris/1"), &json!("active"))
    );
    assert_eq!(
        (&report["versions"]["istio"], &report["versions"]["seldon-core"]),
        (&Value::Null, &Value::Null)
    );
}

#[test]
fn two_hundred_models_fit_into_pages() {
    let mut live = Live::new("hundreds");
    let name = |index: usize| format!("model-of-the-line-number-{index:03}");
    let source = format!(
        "{{implementation: SKLEARN_SERVER, model-uri: 's3://{}'}}",
        "bucket/".repeat(20)
    );
    let models: Vec<String> = (0..200).map(|index| format!("{}: {source}", name(index))).collect();
    live.config(&[("image", ""), ("models", &format!("{{{}}}", models.join(", ")))]);
    let first = report(&mut live);
    let pages = first["pages"].as_u64().unwrap();
    assert!((2..=4).contains(&pages), "{pages}");
    let mut names = Vec::new();
    for number in 1..=pages {
        let page = page(&mut live, &json!({"page": number}));
        assert_eq!((&page["page"], &page["models-total"]), (&json!(number), &json!(200)));
        assert_eq!(page["status"], first["status"]);
        let models = page["models"].as_array().unwrap();
        names.extend(models.iter().map(|model| model["name"].as_str().unwrap().to_owned()));
    }
    assert_eq!(names, (0..200).map(name).collect::<Vec<_>>());
    let error = act(&mut live, "report", &json!({"page": pages + 1})).unwrap_err();
    assert_eq!(
        error,
        format!("parameter page: must be at most {pages}, such as page=1")
    );
    let one = page(&mut live, &json!({"model": name(7)}));
    assert_eq!(
        (one["models"].as_array().unwrap().len(), &one["models-total"]),
        (1, &json!(200))
    );
}

#[test]
fn cluster_without_seldon_is_reported_with_unknowns() {
    let server = start("report", false);
    let mut live = Live::on(&server, "bare");
    live.trust(true);
    let report = report(&mut live);
    assert_eq!(report["status"]["state"], "blocked", "{report}");
    assert_contains(
        report["status"]["message"].as_str().unwrap(),
        &["Seldon Core is not installed"],
    );
    assert_eq!(
        (&report["models-total"], &report["models-serving"]),
        (&json!(1), &Value::Null)
    );
    let model = &report["models"][0];
    assert_eq!(model["desired"]["image"], "seldonio/sklearn-iris:0.3");
    assert_eq!(model["desired"]["digests"], Value::Null);
    for unknown in ["state", "message", "serves", "since", "serving"] {
        assert_eq!(model[unknown], Value::Null, "{unknown}");
    }
}
