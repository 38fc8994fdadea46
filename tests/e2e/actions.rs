//! Actions that send requests to a model, from the network of the charm's pod: through the gateway and directly.

use std::collections::BTreeMap;

use juju_sim::agent::ActionResult;
use kube_box::images::{IRIS_2, MLSERVER_IRIS};
use serde_json::{Value, json};

use crate::fixture::{FLOWER, Model, SERVES, full};
use crate::support::assert_contains;
use crate::support::kinds::service;

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[track_caller]
fn completed(ended: ActionResult) -> BTreeMap<String, Value> {
    assert_eq!(ended.status, "completed", "{ended:?}");
    ended.results
}

#[track_caller]
fn acted(model: &mut Model, action: &str, parameters: &Value) -> BTreeMap<String, Value> {
    completed(model.act(action, parameters).unwrap())
}

fn text<'a>(results: &'a BTreeMap<String, Value>, key: &str) -> &'a str {
    results.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The output of curl in the node: the response, then its status code.
fn curl(url: &str) -> String {
    let output = full()
        .enter()
        .unwrap()
        .args([
            "curl",
            "-s",
            "-w",
            " %{http_code}",
            "-H",
            "content-type: application/json",
            "-d",
            FLOWER,
            url,
        ])
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn cluster_address(model: &Model, name: &str) -> String {
    let mut services = model.objects(&service()).into_iter();
    let found = services.find(|one| one["metadata"]["name"] == name).unwrap();
    found["spec"]["clusterIP"].as_str().unwrap().to_owned()
}

pub fn predict_works_through_gateway_and_directly() {
    let mut model = Model::inside("asked");
    model.configure(&[("canary", &format!("{{image: '{IRIS_2}', weight: 0}}"))]);
    model.until_says(SERVES, &["active: "]);
    listed_urls_answer(&mut model);

    let flower = json_of(FLOWER);
    let prediction = acted(&mut model, "predict", &json!({"data": flower}));
    assert_eq!(text(&prediction, "status-code"), "200", "{prediction:?}");
    assert_contains(text(&prediction, "url"), &[":80/model/asked/api/v1.0/predictions"]);
    assert_contains(text(&prediction, "result"), &["\"ndarray\"", "\"version\":\"1\""]);
    assert!(text(&prediction, "latency-ms").parse::<u32>().unwrap() < 10_000);
    let direct = acted(&mut model, "predict", &json!({"data": flower, "direct": true}));
    assert_contains(text(&direct, "url"), &[":8000/api/v1.0/predictions"]);
    let canary = acted(&mut model, "predict", &json!({"data": flower, "predictor": "canary"}));
    assert_contains(text(&canary, "result"), &["\"version\":\"2\""]);

    let parameters = json!({"data": flower, "predictor": "shadow"});
    let failed = model.act("predict", &parameters).unwrap();
    assert_contains(
        &failed.message,
        &["parameter predictor: unknown predictor `shadow` of iris, expected default or canary"],
    );
    let parameters = json!({"data": {"data": {"ndarray": "x"}}});
    let failed = model.act("predict", &parameters).unwrap();
    assert_eq!(failed.status, "failed", "{failed:?}");
    assert_contains(&failed.message, &["iris: status code "]);
    assert!(failed.results.contains_key("result"), "{failed:?}");

    let worth = json!({"reward": 1.0, "request": flower, "response": json_of(text(&prediction, "result"))});
    let fed = acted(&mut model, "feedback", &worth);
    assert_eq!(text(&fed, "status-code"), "200", "{fed:?}");
    assert_contains(text(&fed, "url"), &["/model/asked/api/v1.0/feedback"]);
    let is_default = |pod: &Value| pod["metadata"]["labels"]["seldon-model/predictor"] == "default";
    assert_contains(&model.executor_counts(is_default), &["service=\"feedback\""]);
    let failed = model.act("feedback", &json!({"request": flower})).unwrap();
    assert_contains(
        &failed.message,
        &["parameter reward or truth: must be set, such as reward=1.0"],
    );

    let report = acted(&mut model, "diagnose", &json!({}));
    assert_contains(
        text(&report, "report"),
        &["Model iris: ok", "istio-system/istio-ingressgateway-workload"],
    );

    model.configure(&[("image", MLSERVER_IRIS), ("protocol", "v2"), ("canary", "")]);
    model.until_says(SERVES, &["active: "]);
    let request = json!({"inputs": [
        {"name": "flower", "shape": [1, 4], "datatype": "FP64", "data": [[5.1, 3.5, 1.4, 0.2]]},
    ]});
    let prediction = acted(&mut model, "predict", &json!({"data": request}));
    assert_contains(text(&prediction, "url"), &["/model/asked/v2/models/iris/infer"]);
    assert_contains(text(&prediction, "result"), &["outputs"]);
    let failed = model.act("feedback", &json!({"reward": 1})).unwrap();
    assert_contains(
        &failed.message,
        &["iris: Seldon Core does not forward feedback with protocol v2"],
    );
}

fn listed_urls_answer(model: &mut Model) {
    let results = acted(model, "endpoints", &json!({}));
    let iris = &results["iris"];
    assert_eq!(iris["http"], "http://192.0.2.1:31380/model/asked/", "{results:#?}");
    assert_eq!(iris.get("unknown"), None, "{results:#?}");
    // Cluster DNS is for pods; the node cannot resolve these names.
    let name = "iris-canary.asked.svc.cluster.local";
    let canary = iris["services"]["canary"].as_str().unwrap();
    let canary = canary.replace(name, &cluster_address(model, "iris-canary"));
    for url in [
        iris["predictions"].as_str().unwrap().to_owned(),
        format!("{}api/v1.0/predictions", iris["cluster"].as_str().unwrap()),
        format!("{canary}api/v1.0/predictions"),
    ] {
        assert_contains(&curl(&url), &["ndarray", " 200"]);
    }
}
