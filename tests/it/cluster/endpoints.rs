//! The action `endpoints`: the URLs of models, and what is unknown.

use std::collections::BTreeMap;

use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};

use super::fixture::Live;
use super::plan::act;
use crate::support::assert_contains;
use crate::support::kinds::{kind, pod, service};

/// The address of the one node of the shared API server.
const NODE: &str = "192.0.2.1";

/// A Gateway with these servers and pods of its own, and a Service of that type for them.
pub fn gateway(live: &Live, servers: &Value, service_type: &str) {
    let labels = json!({"gateway-of": live.model()});
    let gateway = kind("networking.istio.io", "v1beta1", "Gateway");
    let spec = json!({"selector": labels, "servers": servers});
    live.apply_as("juju", &gateway, "gate", &json!({"spec": spec}));
    let ports = json!([
        {"name": "http", "port": 80, "targetPort": 8080},
        {"name": "https", "port": 443, "targetPort": 8443},
    ]);
    let spec = json!({"type": service_type, "selector": labels, "ports": ports});
    live.apply_as("juju", &service(), "gate", &json!({"spec": spec}));
    gateway_pod(live, true);
}

/// The pod of that gateway.
pub fn gateway_pod(live: &Live, ready: bool) {
    let labels = json!({"gateway-of": live.model()});
    let spec = json!({"nodeName": "edge", "containers": [{"name": "istio-proxy", "image": "proxy"}]});
    let object = json!({"metadata": {"labels": labels}, "spec": spec});
    live.apply_as("juju", &pod(), "gate", &object);
    let word = if ready { "True" } else { "False" };
    let status = json!({"hostIP": NODE, "conditions": [{"type": "Ready", "status": word}]});
    live.merge_status(&pod(), "gate", &status);
}

/// The node that all tests share.
fn node(live: &Live) {
    let nodes: Api<kube::api::DynamicObject> = Api::all_with(live.client.clone(), &kind("", "v1", "Node"));
    let object = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "edge"}});
    let parameters = PatchParams::apply("kubelet").force();
    live.wait(nodes.patch("edge", &parameters, &Patch::Apply(&object)))
        .unwrap();
    let time = "2026-01-01T00:00:00Z";
    let ready = json!({
        "type": "Ready", "status": "True", "reason": "x", "message": "x",
        "lastHeartbeatTime": time, "lastTransitionTime": time,
    });
    let address = json!({"type": "InternalIP", "address": NODE});
    let status = json!({"status": {"addresses": [address], "conditions": [ready]}});
    live.wait(nodes.patch_status("edge", &PatchParams::default(), &Patch::Merge(&status)))
        .unwrap();
}

/// The servers of a Gateway that accepts plain HTTP for every host.
pub fn http() -> Value {
    json!([{"port": {"number": 8080, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}])
}

fn node_port(live: &Live, name: &str) -> u64 {
    let service = live.get(&service(), "gate").unwrap();
    let ports = service["spec"]["ports"].as_array().unwrap().clone();
    let port = ports.iter().find(|port| port["name"] == name).unwrap();
    port["nodePort"].as_u64().unwrap()
}

fn endpoints(live: &mut Live) -> BTreeMap<String, Value> {
    act(live, "endpoints", &json!({})).unwrap()
}

#[test]
fn every_url_of_a_model_is_listed() {
    let mut live = Live::new("reached");
    node(&live);
    gateway(&live, &http(), "LoadBalancer");
    live.config(&[(
        "models",
        "{iris: {}, v: {protocol: v2, image: 'v:1', canary: {image: 'v:2'}}}",
    )]);
    live.serves();
    let results = endpoints(&mut live);
    let port = node_port(&live, "http");
    let address = live.get(&service(), "gate").unwrap()["spec"]["clusterIP"].clone();
    let address = address.as_str().unwrap();
    assert_eq!(results["iris"]["http"], format!("http://{NODE}:{port}/model/iris/"));
    assert_eq!(
        results["iris"]["predictions"],
        format!("http://{NODE}:{port}/model/iris/api/v1.0/predictions")
    );
    assert_eq!(results["iris"]["grpc"], format!("{NODE}:{port}"));
    assert_eq!(results["iris"]["grpc-metadata"], "seldon=iris namespace=reached");
    assert_eq!(results["iris"]["cluster"], format!("http://{address}:80/model/iris/"));
    assert_eq!(results["iris"]["gateway"], "reached/gate");
    assert_eq!(results["iris"]["state"], "active");
    assert_eq!(
        results["iris"]["services"]["default"],
        "http://iris-default.reached.svc.cluster.local:8000/"
    );
    assert_eq!(
        results["v"]["services-grpc"]["canary"],
        "v-canary.reached.svc.cluster.local:5001"
    );
    assert_eq!(
        results["v"]["predictions"],
        format!("http://{NODE}:{port}/model/v/v2/models/v/infer")
    );
    for absent in ["https", "addresses", "unknown", "grpc-host"] {
        assert_eq!(results["iris"].get(absent), None, "{results:#?}");
    }
    // A load balancer comes before the port of a node.
    let balancer = json!({"loadBalancer": {"ingress": [{"ip": "198.51.100.7"}]}});
    live.merge_status(&service(), "gate", &balancer);
    let results = endpoints(&mut live);
    assert_eq!(
        results["iris"]["http"],
        format!("http://198.51.100.7/model/iris/\nhttp://{NODE}:{port}/model/iris/")
    );
    let only = act(&mut live, "endpoints", &json!({"model": "v"})).unwrap();
    assert!(only.contains_key("v") && !only.contains_key("iris"));
}

#[test]
fn urls_use_hosts_and_tls_of_gateway() {
    let mut live = Live::new("by-name");
    node(&live);
    let servers = json!([
        {"port": {"number": 8443, "name": "https", "protocol": "HTTPS"}, "hosts": ["*.plant.example"],
            "tls": {"mode": "SIMPLE", "credentialName": "c"}},
        {"port": {"number": 8080, "name": "http", "protocol": "HTTP"}, "hosts": ["*.plant.example"],
            "tls": {"httpsRedirect": true}},
    ]);
    gateway(&live, &servers, "NodePort");
    live.config(&[("hosts", "iris.plant.example"), ("grpc-host", "iris.plant.example")]);
    live.serves();
    let results = endpoints(&mut live);
    let port = node_port(&live, "https");
    assert_eq!(
        results["iris"]["https"],
        format!("https://iris.plant.example:{port}/model/iris/"),
        "{results:#?}"
    );
    assert_eq!(results["iris"]["grpcs"], format!("iris.plant.example:{port}"));
    assert_eq!(results["iris"]["addresses"], format!("{NODE}:{port}"));
    assert_eq!(results["iris"]["grpc-host"], "iris.plant.example");
    assert_eq!(results["iris"].get("http"), None, "it only sends clients on");
}

#[test]
fn missing_permissions_are_listed_with_remaining_urls() {
    let mut live = Live::untrusted("blinkered");
    gateway(&live, &http(), "NodePort");
    super::permissions::grant(&live, |rule| !rule.to_string().contains("nodes"));
    assert!(live.serves().starts_with("active"), "{}", live.says());
    let (_, requests) = live.audited("update-status");
    assert_eq!(requests.len(), 5, "{requests:?}");
    let results = endpoints(&mut live);
    // In its own namespace the charm may list pods, and the gateway's pod has the node's address.
    let port = node_port(&live, "http");
    assert_eq!(results["iris"]["http"], format!("http://{NODE}:{port}/model/iris/"));
    assert_contains(
        results["iris"]["unknown"].as_str().unwrap(),
        &[
            "no permission to list nodes",
            "Run: juju trust iris --scope=cluster (or apply rbac.yaml)",
        ],
    );

    let other = Live::new("blinkered-gate");
    gateway(&other, &http(), "NodePort");
    live.config(&[("gateway", "blinkered-gate/gate")]);
    live.hook("config-changed");
    let results = endpoints(&mut live);
    assert_contains(
        results["iris"]["unknown"].as_str().unwrap(),
        &[
            "no permission to list pods of all namespaces",
            "no permission to list services of all namespaces",
        ],
    );
    assert_eq!(results["iris"].get("http"), None);
    assert_eq!(results["iris"]["prefix"], "/model/iris/");
    assert_eq!(
        results["iris"]["services"]["default"],
        "http://iris-default.blinkered.svc.cluster.local:8000/"
    );
    // A prediction needs the gateway's address too.
    let why = act(&mut live, "predict", &json!({"data": {}})).unwrap_err();
    assert_contains(
        &why,
        &[
            "iris: gateway address unknown. Run: juju trust iris --scope=cluster (",
            "no permission to list services",
            "juju trust iris",
            "direct=true",
        ],
    );
}

#[test]
fn missing_gateway_or_invalid_option_is_reported() {
    let mut live = Live::new("gateless");
    live.world
        .remove_relation("iris:gateway-info", "istio-pilot:gateway-info")
        .unwrap();
    let results = endpoints(&mut live);
    assert_eq!(results["iris"]["unknown"], "the model has no gateway");
    assert_contains(
        results["iris"]["message"].as_str().unwrap(),
        &["iris: no gateway. Run: "],
    );
    let why = act(&mut live, "predict", &json!({"data": {}})).unwrap_err();
    assert_contains(
        &why,
        &["iris: no gateway. Run: juju run iris/leader diagnose (direct=true bypasses the gateway)"],
    );
    live.config(&[("models", "{iris: {}, b: {replicas: -1}}")]);
    let results = endpoints(&mut live);
    assert_eq!(results["b"]["state"], "blocked");
    let why = act(&mut live, "endpoints", &json!({"model": "b"})).unwrap_err();
    assert_contains(&why, &["models: b: replicas: "]);
    live.config(&[("models", "[]")]);
    assert_contains(
        &act(&mut live, "endpoints", &json!({})).unwrap_err(),
        &["option models"],
    );
}

/// A pod and a Service that somebody in that namespace gives the labels of a gateway.
fn with_labels(live: &Live, labels: &Value, address: &str) {
    let ports = json!([{"name": "http", "port": 80, "targetPort": 8080}]);
    let spec = json!({"type": "NodePort", "selector": labels, "ports": ports, "externalIPs": [address]});
    live.apply_as("mallory", &service(), "gate", &json!({"spec": spec}));
    let containers = json!([{"name": "x", "image": "x", "ports": [{"containerPort": 8080, "hostPort": 8088}]}]);
    let spec = json!({"nodeName": "edge", "containers": containers});
    let object = json!({"metadata": {"labels": labels}, "spec": spec});
    live.apply_as("mallory", &pod(), "gate", &object);
    let status = json!({"hostIP": NODE, "conditions": [{"type": "Ready", "status": "True"}]});
    live.merge_status(&pod(), "gate", &status);
}

#[test]
fn stranger_with_the_gateways_labels_is_not_followed() {
    let mut live = Live::new("impersonated");
    node(&live);
    gateway(&live, &http(), "NodePort");
    let labels = json!({"gateway-of": live.model()});
    let mallory = Live::new("impersonator");
    with_labels(&mallory, &labels, "203.0.113.66");
    live.serves();
    let port = node_port(&live, "http");
    let address = live.get(&service(), "gate").unwrap()["spec"]["clusterIP"].clone();
    let address = address.as_str().unwrap().to_owned();
    for _ in ["with pods", "without"] {
        let results = endpoints(&mut live);
        assert_eq!(results["iris"]["http"], format!("http://{NODE}:{port}/model/iris/"));
        assert_eq!(results["iris"]["cluster"], format!("http://{address}:80/model/iris/"));
        live.delete(&pod(), "gate");
    }
}

#[test]
fn ambiguous_gateway_gets_no_request() {
    let mut live = Live::new("ambiguous");
    node(&live);
    gateway(&live, &http(), "NodePort");
    let labels = json!({"istio": "ambiguous-gate"});
    let gateway = kind("networking.istio.io", "v1beta1", "Gateway");
    let spec = json!({"selector": labels, "servers": http()});
    live.apply_as("juju", &gateway, "gate", &json!({"spec": spec}));
    let system = Live::new("ambiguous-system");
    with_labels(&system, &labels, "203.0.113.1");
    live.serves();
    assert_contains(
        endpoints(&mut live)["iris"]["http"].as_str().unwrap(),
        &["http://203.0.113.1/model/iris/"],
    );
    let mallory = Live::new("ambiguous-mallory");
    with_labels(&mallory, &labels, "203.0.113.66");
    let results = endpoints(&mut live);
    assert_eq!(results["iris"].get("http"), None, "{results:#?}");
    assert_eq!(results["iris"].get("cluster"), None, "{results:#?}");
    let cause =
        "istio=ambiguous-gate selects pods or Services of several namespaces, ambiguous-mallory, ambiguous-system";
    assert_contains(results["iris"]["unknown"].as_str().unwrap(), &[cause]);
    let why = act(&mut live, "predict", &json!({"data": {}})).unwrap_err();
    let run = "gateway address unknown. Run: kubectl get pods,services -A -l istio=ambiguous-gate (";
    assert_contains(&why, &[run, cause, "direct=true bypasses the gateway"]);
    let report = act(&mut live, "diagnose", &json!({})).unwrap();
    assert_contains(&serde_json::to_string(&report).unwrap(), &[cause]);
}
