//! The Gateway API, as used by istio-ingress-k8s: the site's gateway under another name, on the same port.

use std::thread;
use std::time::Duration;

use juju_sim::agent::provide_ingresses;
use juju_sim::juju::Charm;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube_box::images::IRIS_2;
use serde_json::{Value, json};

use crate::fixture::{FLOWER, Model, SERVES, SOON};
use crate::load::{Load, assert_none_failed, revision, send, send_as};
use crate::support::assert_contains;
use crate::support::kinds::{gateway_of_gateway_api, http_route, vs};

/// The namespace of the gateway.
const NAMESPACE: &str = "istio-system";
const OURS: &str = "iris:gateway-metadata";

/// Deploys an istio-ingress-k8s alongside istio-pilot and relates it. Returns its name, also that of the model's own gateway.
fn integrate(model: &mut Model) -> String {
    let name = format!("ingress-{}", model.model());
    let charm = Charm::fake("istio-ingress-k8s", "2/stable");
    model.world.add_application(&name, charm, 1).unwrap();
    model
        .world
        .integrate(OURS, &format!("{name}:gateway-metadata"))
        .unwrap();
    provide_ingresses(&mut model.world, NAMESPACE);
    model.wait(model.cluster.apply_ingress(NAMESPACE, &name)).unwrap();
    name
}

fn remove_istio_pilot(model: &mut Model) {
    model
        .world
        .remove_relation("iris:gateway-info", "istio-pilot:gateway-info")
        .unwrap();
}

/// Puts a model behind istio-ingress-k8s alone.
pub fn behind_ingress(model: &mut Model) {
    integrate(model);
    remove_istio_pilot(model);
}

pub fn http_route_serves_model_and_canary_share() {
    let mut model = Model::new("httproute");
    behind_ingress(&mut model);
    model.configure(&[
        (
            "canary",
            &format!("{{image: '{IRIS_2}', weight: 30, match: {{x-canary: 'yes'}}}}"),
        ),
        ("headers", "{response: {set: {x-served-by: iris}}}"),
    ]);
    assert_contains(&model.until_says(SERVES, &["active: "]), &["/model/httproute/"]);
    assert!(model.names(&vs()).is_empty(), "no VirtualService");
    let answers: Vec<_> = (0..100).map(|_| model.predict()).collect();
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    let of_2 = answers.iter().filter(|answer| answer.version() == "2").count();
    // Of a hundred; outside of this range once in ten thousand times.
    assert!((13..=48).contains(&of_2), "{of_2} of 100");
    let url = model.predictions("httproute");
    for _ in 0..10 {
        assert_eq!(send_as(&url, FLOWER, &[("x-canary", "yes")]).version(), "2");
    }
    let (code, location) = revision(&model.url("/model/httproute/"));
    let shown = location.split("/model/httproute/").nth(1).unwrap_or_default();
    assert_eq!((code.as_str(), shown.len()), ("302", 16), "{location}");
    // Paths below the prefix, which is stripped, and paths outside of it.
    let bare = send(&model.url("/model/httproute"), FLOWER);
    assert!(bare.status == 404 && !bare.body.is_empty(), "{bare:?}");
    let other = send(&model.url("/model/httproutex/api/v0.1/predictions"), FLOWER);
    assert!(other.status == 404 && other.body.is_empty(), "{other:?}");
}

pub fn changing_gateways_and_back_loses_no_request() {
    let mut model = Model::serving("change");
    let load = Load::start(&model.predictions("change"), FLOWER, 2);
    let ingress = integrate(&mut model);
    assert_contains(&model.says(), &["blocked: two gateways are related, one is supported"]);
    remove_istio_pilot(&mut model);
    model.says();
    model.until_says(SOON, &["active: "]);
    assert_eq!((model.names(&vs()).len(), model.names(&http_route()).len()), (0, 1));
    thread::sleep(Duration::from_secs(5));

    model.gateway_info = model
        .world
        .integrate("iris:gateway-info", "istio-pilot:gateway-info")
        .unwrap();
    model.publish_gateway(&[("gateway_namespace", "istio-system"), ("gateway_name", "gate")]);
    assert_contains(&model.says(), &["blocked: two gateways are related, one is supported"]);
    model
        .world
        .remove_relation(OURS, &format!("{ingress}:gateway-metadata"))
        .unwrap();
    model.says();
    model.until_says(SOON, &["active: "]);
    assert_eq!((model.names(&vs()).len(), model.names(&http_route()).len()), (1, 0));
    thread::sleep(Duration::from_secs(5));
    let answers = load.stop();
    assert_none_failed(&answers, 10.0);
    eprintln!("{} requests while gateways were changed, none failed", answers.len());
}

pub fn rejected_route_is_reported_with_istiods_reason() {
    let mut model = Model::serving("refused");
    let ingress = integrate(&mut model);
    let listens = |model: &Model, hostname: &Value, from: &str| {
        let listener = json!({
            "name": "http-80", "port": 80, "protocol": "HTTP", "hostname": hostname,
            "allowedRoutes": {"namespaces": {"from": from}},
        });
        let change = json!({"spec": {"listeners": [listener]}});
        let api: Api<DynamicObject> = Api::namespaced_with(model.client.clone(), NAMESPACE, &gateway_of_gateway_api());
        let change = Patch::Merge(&change);
        model
            .wait(api.patch(&ingress, &PatchParams::default(), &change))
            .unwrap();
    };
    listens(&model, &Value::Null, "Same");
    remove_istio_pilot(&mut model);
    model.says();
    let parts = [
        "blocked: iris: HTTPRoute rejected by its gateway. Run: juju status ingress-refused (",
        "is not allowed by the parent",
        "istio-system/ingress-refused: ",
    ];
    model.until_says(SOON, &parts);
    assert_eq!(model.names(&vs()), ["iris-route"]);
    assert_eq!(model.predict().status, 200, "the way by istio-pilot is still there");
    listens(&model, &json!("plant.example"), "All");
    model.configure(&[("hosts", "other.example")]);
    model.until_says(SOON, &["hosts not served by gateway", "serves plant.example"]);
    listens(&model, &Value::Null, "All");
    model.configure(&[("hosts", "*")]);
    model.until_says(SOON, &["active: "]);
    assert_eq!(model.predict().status, 200);
}
