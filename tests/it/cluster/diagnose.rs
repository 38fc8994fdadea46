//! The action `diagnose`: the first check that fails, for each that can, and the command to run.

use serde_json::{Value, json};

use super::endpoints::{gateway, gateway_pod, http};
use super::fixture::{Live, start, takes};
use super::plan::act;
use crate::support::assert_contains;
use crate::support::kinds::{deployment, kind, pod, sdep, service, vs};

/// A model that serves, with all that Seldon and Istio would make.
fn serving(model: &str) -> Live {
    let mut live = Live::new(model);
    gateway(&live, &http(), "NodePort");
    assert!(live.serves().starts_with("active"));
    seldons_service(&live, "iris-default");
    live.says();
    live
}

fn seldons_service(live: &Live, name: &str) {
    let ports = json!([{"name": "http", "port": 8000}, {"name": "grpc", "port": 5001}]);
    let labels = json!({"seldon-deployment-id": "iris"});
    let spec = json!({"selector": {"seldon-app": name}, "ports": ports});
    let object = json!({"metadata": {"labels": labels}, "spec": spec});
    live.apply_as("seldon", &service(), name, &object);
}

/// The failed check, its reason, and the report.
#[track_caller]
fn diagnosis(live: &mut Live) -> (String, String, String) {
    let results = act(live, "diagnose", &json!({})).unwrap();
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let model = results.get("iris");
    (
        text(model.and_then(|model| model.get("broken"))),
        text(model.and_then(|model| model.get("why"))),
        text(results.get("report")),
    )
}

#[track_caller]
fn fails_at(live: &mut Live, check: &str, why: &[&str]) -> String {
    let (broken, said, report) = diagnosis(live);
    assert_eq!(broken, check, "{said}\n{report}");
    assert_contains(&said, why);
    let heading = match check {
        "nothing" => "Model iris: ok".to_owned(),
        check => format!("Model iris: fails at {check}"),
    };
    assert_contains(&report, &[&heading]);
    report
}

#[test]
fn serving_model_passes_every_check() {
    let mut live = serving("sound");
    let before = live.versions();
    let report = fails_at(&mut live, "nothing", &[]);
    assert_contains(
        &report,
        &[
            "iris in model sound: active: iris serves",
            "gateway-info: istio-pilot provides sound/gate",
            "required: granted",
            "ok       route: /model/iris/ of hosts * at sound/gate",
            "ok       gateway: accepts * over http; NodePort sound/gate; 1 of 1 pods ready",
            "?        served: gateway sound/gate does not show which route it serves",
            "ok       service: iris-default:8000",
            "ok       pods: 1 ready",
            "ok       seldon: reports Available",
        ],
    );
    // A younger route of the same prefix takes nothing, and is reported.
    live.create(&vs(), "younger", &takes("sound/gate", "/model/"));
    let report = fails_at(&mut live, "nothing", &[]);
    assert_contains(
        &report,
        &["other route: VirtualService sound/younger claims its requests too, and comes later"],
    );
    live.delete(&vs(), "younger");
    assert_eq!(live.versions(), before);
}

#[test]
fn first_failed_check_before_gateway_is_named() {
    let mut live = serving("wayin");
    live.create(&vs(), "theirs", &takes("wayin/gate", "/theirs/"));
    live.config(&[("prefix", "/theirs/iris/")]);
    fails_at(
        &mut live,
        "route",
        &[
            "iris: prefix taken by another route. Run: juju config iris prefix=… (",
            "VirtualService wayin/theirs",
        ],
    );
    live.config(&[("prefix", "")]);
    gateway_pod(&live, false);
    fails_at(
        &mut live,
        "gateway",
        &[
            "gateway wayin/gate has no ready pod. Run: kubectl -n wayin get pods -l gateway-of=wayin (0 of 1 pods ready)",
        ],
    );
    gateway_pod(&live, true);
    live.delete(&service(), "gate");
    fails_at(
        &mut live,
        "gateway",
        &["gateway wayin/gate has no Service. Run: juju status "],
    );
    let mut servers = http();
    servers[0]["hosts"] = json!(["x.example"]);
    gateway(&live, &servers, "NodePort");
    live.config(&[("hosts", "y.example")]);
    live.says();
    fails_at(
        &mut live,
        "gateway",
        &["hosts not served by gateway. Run: juju config iris hosts=x.example ("],
    );
    live.config(&[("hosts", "")]);
    live.delete(&kind("networking.istio.io", "v1beta1", "Gateway"), "gate");
    fails_at(
        &mut live,
        "gateway",
        &["waiting for gateway wayin/gate (istio-pilot creates it)"],
    );
    live.world
        .remove_relation("iris:gateway-info", "istio-pilot:gateway-info")
        .unwrap();
    let report = fails_at(
        &mut live,
        "route",
        &["iris: no gateway. Run: juju integrate iris:gateway-info istio-pilot ("],
    );
    assert_contains(&report, &["gateway-info: not related"]);
}

#[test]
fn first_failed_check_behind_gateway_is_named() {
    let mut live = serving("behind");
    live.delete(&vs(), "iris-route");
    fails_at(
        &mut live,
        "virtual-service",
        &["waiting for the leader unit to apply it"],
    );
    live.says();
    live.config(&[("image", "iris:2")]);
    fails_at(
        &mut live,
        "seldon-deployment",
        &["SeldonDeployment iris: waiting for the leader unit to apply it"],
    );
    live.says();
    fails_at(
        &mut live,
        "deployment",
        &["iris: waiting for Seldon Core to update its Deployment"],
    );
    live.delete(&service(), "iris-default");
    fails_at(
        &mut live,
        "service",
        &["iris: waiting for Seldon Core to create its Service iris-default"],
    );
    seldons_service(&live, "iris-default");
    live.delete(&deployment(), "iris-default-0-iris");
    fails_at(
        &mut live,
        "deployment",
        &[
            "iris: waiting for Seldon Core to create its Deployment",
            "juju status seldon-core",
        ],
    );
    live.seldon_serves("iris");
    let failed = json!({"state": "Failed", "description": "too bad"});
    live.merge_status(&sdep(), "iris", &failed);
    fails_at(
        &mut live,
        "seldon",
        &["iris: Seldon Core reports Failed (too bad), not Available"],
    );
}

#[test]
fn image_pull_failure_fails_the_pods_check() {
    let mut live = serving("pulled");
    let away = json!({"availableReplicas": 0, "readyReplicas": 0});
    live.merge_status(&deployment(), "iris-default-0-iris", &away);
    fails_at(&mut live, "pods", &["iris: starting seldonio/sklearn-iris:0.3"]);
    let of = live.get(&deployment(), "iris-default-0-iris").unwrap();
    let metadata = json!({"labels": of["metadata"]["labels"], "annotations": of["metadata"]["annotations"]});
    let image = "seldonio/sklearn-iris:0.3";
    let spec = json!({"containers": [{"name": "iris", "image": image}]});
    live.apply_as(
        "kubelet",
        &pod(),
        "iris-0",
        &json!({"metadata": metadata, "spec": spec}),
    );
    let container = json!({
        "name": "iris", "image": image, "imageID": "", "ready": false, "restartCount": 0,
        "state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off"}},
    });
    live.merge_status(&pod(), "iris-0", &json!({"containerStatuses": [container]}));
    fails_at(
        &mut live,
        "pods",
        &["iris: image cannot be pulled. Run: juju config iris image=… (seldonio/sklearn-iris:0.3: ImagePullBackOff)"],
    );
}

#[test]
fn missing_permissions_and_invalid_options_come_first() {
    let mut live = Live::untrusted("rightless");
    let report = fails_at(&mut live, "rights", &["juju trust iris --scope=cluster"]);
    assert_contains(
        &report,
        &["required: may not list/create/patch/delete seldondeployments"],
    );
    live.config(&[("models", "{iris: {replicas: -1}, b: {}}")]);
    fails_at(&mut live, "options", &["models: iris: replicas: "]);
    live.config(&[("models", "")]);
    super::permissions::grant(&live, |rule| !rule.to_string().contains("nodes"));
    gateway(&live, &http(), "NodePort");
    live.serves();
    let report = fails_at(&mut live, "service", &["waiting for Seldon Core to create its Service"]);
    assert_contains(
        &report,
        &[
            "required: granted",
            "for diagnose, endpoints and predict: may not list nodes in all namespaces, list pods in all namespaces",
        ],
    );
}

#[test]
fn missing_seldon_or_unreachable_api_is_reported() {
    let server = start("bare-of-seldon", false);
    let mut live = Live::on(&server, "bare");
    live.trust(true);
    fails_at(
        &mut live,
        "seldon-core",
        &["Seldon Core is not installed", "juju deploy seldon-core --trust"],
    );
    live.world
        .integrate("iris:seldon-core", "seldon-core:juju-info")
        .unwrap();
    fails_at(&mut live, "seldon-core", &["waiting for seldon-core to be installed"]);
    live.agent.kubeconfig = None;
    fails_at(&mut live, "kubernetes", &["Kubernetes API unreachable"]);
}
