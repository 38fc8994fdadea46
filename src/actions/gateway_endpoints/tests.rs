#![allow(clippy::needless_pass_by_value, reason = "data is taken as it is written")]

use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::*;

fn object(value: Value) -> DynamicObject {
    serde_json::from_value(value).unwrap()
}

/// The Service that istio-pilot creates, with that type.
fn gateway_service(kind: &str) -> Service {
    service(&object(json!({
        "metadata": {"name": "istio-ingressgateway-workload", "namespace": "istio-system"},
        "spec": {
            "type": kind,
            "clusterIP": "10.152.183.9",
            "selector": {"istio": "ingressgateway"},
            "ports": [
                {"port": 80, "targetPort": 8080, "nodePort": 31380},
                {"port": 443, "targetPort": 8443, "nodePort": 31390},
                {"port": 15021},
            ],
        },
        "status": {"loadBalancer": {"ingress": [{"ip": "198.51.100.7"}]}},
    })))
}

fn gateway_pod() -> Pod {
    pod(&object(json!({
        "metadata": {"name": "gate-1", "namespace": "istio-system", "labels": {"istio": "ingressgateway", "app": "gate"}},
        "spec": {"nodeName": "edge", "containers": [{"ports": [{"containerPort": 8080, "hostPort": 80}]}]},
        "status": {"hostIP": "192.0.2.1", "conditions": [{"type": "Ready", "status": "True"}]},
    })))
}

fn edge() -> Node {
    node(&object(json!({
        "metadata": {"name": "edge"},
        "status": {
            "addresses": [{"type": "InternalIP", "address": "192.0.2.1"}, {"type": "Hostname", "address": "edge"}],
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    })))
}

fn listeners(servers: Value) -> Listeners {
    let spec = json!({"selector": {"istio": "ingressgateway"}, "servers": servers});
    Listeners::read(&spec, "istio-system", "edge")
}

fn http() -> Value {
    json!([{"port": {"number": 8080, "protocol": "HTTP"}, "hosts": ["*"]}])
}

fn shown(endpoints: &GatewayEndpoints, listeners: &Listeners) -> Vec<String> {
    let endpoints = endpoints.endpoints(listeners).into_iter();
    endpoints
        .map(|endpoint| {
            let how = if endpoint.tls { "tls" } else { "plain" };
            format!("{:?} {how} {}:{}", endpoint.exposure, endpoint.address, endpoint.port)
        })
        .collect()
}

#[test]
fn endpoints_are_found_widest_reach_first() {
    let mut pod = gateway_pod();
    pod.host_ports.clear();
    let mut endpoints = GatewayEndpoints {
        services: Some(vec![gateway_service("LoadBalancer")]),
        pods: Some(vec![pod]),
        nodes: Some(vec![edge()]),
        ..GatewayEndpoints::default()
    };
    assert_eq!(
        shown(&endpoints, &listeners(http())),
        [
            "LoadBalancer plain 198.51.100.7:80",
            "NodePort plain 192.0.2.1:31380",
            "Cluster plain 10.152.183.9:80",
        ]
    );
    // With the port of the Service in place of the pods' one, and with TLS.
    let tls = listeners(json!([{"port": {"number": 443, "protocol": "HTTPS"}, "hosts": ["*"]}]));
    assert_eq!(shown(&endpoints, &tls)[1], "NodePort tls 192.0.2.1:31390");
    endpoints.pods = Some(vec![gateway_pod()]);
    assert!(shown(&endpoints, &listeners(http())).contains(&"HostPort plain 192.0.2.1:80".to_owned()));
}

#[test]
fn unserved_ports_and_redirects_give_no_endpoint() {
    let endpoints = GatewayEndpoints {
        services: Some(vec![gateway_service("NodePort")]),
        ..GatewayEndpoints::default()
    };
    let other = listeners(json!([{"port": {"number": 9999, "protocol": "HTTP"}, "hosts": ["*"]}]));
    assert!(endpoints.endpoints(&other).is_empty());
    let redirect = listeners(json!([
        {"port": {"number": 80, "protocol": "HTTP"}, "hosts": ["*"], "tls": {"httpsRedirect": true}},
    ]));
    assert!(endpoints.endpoints(&redirect).is_empty());
}

#[test]
fn node_is_a_placeholder_only_if_unknown() {
    let mut endpoints = GatewayEndpoints {
        services: Some(vec![gateway_service("NodePort")]),
        ..GatewayEndpoints::default()
    };
    let port = |endpoints: &GatewayEndpoints| {
        let endpoints = shown(endpoints, &listeners(http()));
        endpoints
            .into_iter()
            .find(|endpoint| endpoint.starts_with("NodePort"))
            .unwrap()
    };
    assert_eq!(port(&endpoints), "NodePort plain <node>:31380");
    // The pods know the address of their node.
    endpoints.pods = Some(vec![gateway_pod()]);
    assert_eq!(port(&endpoints), "NodePort plain 192.0.2.1:31380");
    endpoints.pods = None;
    endpoints.nodes = Some(vec![edge()]);
    assert_eq!(port(&endpoints), "NodePort plain 192.0.2.1:31380");
}

#[test]
fn local_traffic_policy_limits_the_nodes() {
    let mut local = gateway_service("NodePort");
    local.is_local = true;
    let far = Node {
        name: "far".into(),
        address: Some("192.0.2.9".into()),
        ready: true,
    };
    let endpoints = GatewayEndpoints {
        services: Some(vec![local]),
        pods: Some(vec![gateway_pod()]),
        nodes: Some(vec![far, edge()]),
        ..GatewayEndpoints::default()
    };
    let endpoints = shown(&endpoints, &listeners(http()));
    assert!(endpoints.contains(&"NodePort plain 192.0.2.1:31380".to_owned()));
    assert!(
        !endpoints.iter().any(|endpoint| endpoint.contains("192.0.2.9")),
        "{endpoints:?}"
    );
}

#[test]
fn gateway_services_are_found_by_pods_or_labels() {
    let by_other_labels = Service {
        namespace: "istio-system".into(),
        name: "by-app".into(),
        selector: [("app".to_owned(), "gate".to_owned())].into(),
        ..Service::default()
    };
    let all = vec![gateway_service("NodePort"), by_other_labels, Service::default()];
    assert_eq!(
        found("models", Some(vec![gateway_pod()]), all.clone()),
        ["istio-system/istio-ingressgateway-workload", "istio-system/by-app"]
    );
    assert_eq!(
        found("models", None, all.clone()),
        ["istio-system/istio-ingressgateway-workload"]
    );
    assert_eq!(
        found("istio-system", Some(Vec::new()), all),
        ["istio-system/istio-ingressgateway-workload"]
    );
}

/// The Services that are found for a gateway of that namespace.
fn found(namespace: &str, pods: Option<Vec<Pod>>, services: Vec<Service>) -> Vec<String> {
    let (endpoints, _) = workload(namespace, pods, Some(services));
    let found = endpoints.services.into_iter().flatten();
    found
        .map(|service| format!("{}/{}", service.namespace, service.name))
        .collect()
}

fn workload(
    namespace: &str,
    pods: Option<Vec<Pod>>,
    services: Option<Vec<Service>>,
) -> (GatewayEndpoints, Option<Ambiguity>) {
    let gateway = GatewayName::parse(&format!("{namespace}/gate")).unwrap();
    let mut endpoints = GatewayEndpoints {
        services,
        pods,
        ..GatewayEndpoints::default()
    };
    endpoints.keep_workload(&gateway, &listeners(http()));
    let ambiguity = endpoints.ambiguity(&gateway, &listeners(http()));
    (endpoints, ambiguity)
}

#[test]
fn strangers_pod_and_service_are_never_followed() {
    let evil_service = Service {
        namespace: "evil".into(),
        ..gateway_service("LoadBalancer")
    };
    let evil_pod = Pod {
        namespace: "evil".into(),
        ..gateway_pod()
    };
    let pods = vec![evil_pod.clone(), gateway_pod()];
    let services = vec![evil_service.clone(), gateway_service("NodePort")];
    let own = ["istio-system/istio-ingressgateway-workload"];
    assert_eq!(found("istio-system", Some(pods.clone()), services.clone()), own);
    assert_eq!(
        found("istio-system", Some(vec![evil_pod.clone()]), services.clone()),
        own,
        "its pods are gone"
    );
    assert_eq!(found("istio-system", None, services.clone()), own);

    let (endpoints, ambiguity) = workload("models", Some(pods), Some(services));
    assert_eq!(shown(&endpoints, &listeners(http())), [""; 0]);
    let ambiguity = ambiguity.unwrap();
    assert!(
        ambiguity.cause.contains("several namespaces, evil, istio-system;"),
        "{ambiguity:?}"
    );
    assert_eq!(
        ambiguity.command,
        "kubectl get pods,services -A -l istio=ingressgateway"
    );

    let (endpoints, _) = workload("models", Some(vec![evil_pod]), None);
    assert_eq!(shown(&endpoints, &listeners(http())), [""; 0], "its host ports");
}

#[test]
fn malformed_objects_give_no_endpoint() {
    for data in [
        json!({}),
        json!({"spec": [], "status": 1}),
        json!({"spec": {"ports": {}, "selector": 1}}),
    ] {
        let mut value = data.clone();
        value["metadata"] = json!({"name": "x"});
        let object = object(value);
        assert_eq!(service(&object).ports, []);
        assert!(!pod(&object).ready);
        assert_eq!(node(&object).address, None);
    }
}

#[test]
fn common_hosts_fit_model_and_gateway() {
    let hosts = |ours: &[&str], theirs: &[&str]| {
        let owned = |all: &[&str]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
        let found = common_hosts(&owned(ours), &owned(theirs)).into_iter();
        found.map(Option::unwrap_or_default).collect::<Vec<_>>()
    };
    assert_eq!(hosts(&["*"], &["*"]), [""]);
    assert_eq!(
        hosts(&["a.example", "b.example"], &["*.example"]),
        ["a.example", "b.example"]
    );
    assert_eq!(hosts(&["*.plant.example"], &["*.example"]), ["*.plant.example"]);
    assert_eq!(hosts(&["*"], &["iris.example"]), ["iris.example"]);
    assert!(hosts(&["a.example"], &["b.example"]).is_empty());
}
