//! Reads Services, pods and nodes. Lenient: a missing field is unset.

use std::collections::BTreeMap;

use kube::ResourceExt as _;
use kube::api::DynamicObject;
use serde_json::Value;

use super::{Node, Pod, Port, Service};

/// The container of Istio's proxy (istio/istio, manifests/charts/gateways/istio-ingress/templates/deployment.yaml).
const PROXY: &str = "istio-proxy";

fn list<'a>(object: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    object.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

fn text(object: &Value, pointer: &str) -> Option<String> {
    let text = object.pointer(pointer)?.as_str()?;
    (!text.is_empty()).then(|| text.to_owned())
}

fn number(value: &Value, key: &str) -> Option<u16> {
    value.get(key)?.as_u64()?.try_into().ok()
}

fn has_condition(object: &Value, condition: &str) -> bool {
    list(object, "/status/conditions").any(|entry| {
        let text = |key: &str| entry.get(key).and_then(Value::as_str);
        text("type") == Some(condition) && text("status") == Some("True")
    })
}

pub fn service(object: &DynamicObject) -> Service {
    let data = &object.data;
    let selector: Option<BTreeMap<String, String>> = data
        .pointer("/spec/selector")
        .and_then(|selector| serde::Deserialize::deserialize(selector).ok());
    let kind = text(data, "/spec/type").unwrap_or_default();
    let load_balancer = list(data, "/status/loadBalancer/ingress")
        .filter_map(|ingress| text(ingress, "/ip").or_else(|| text(ingress, "/hostname")));
    let external_ips = list(data, "/spec/externalIPs").filter_map(|ip| ip.as_str().map(ToOwned::to_owned));
    let ports = list(data, "/spec/ports").filter_map(|port| {
        let own_number = number(port, "port")?;
        let target = match port.get("targetPort") {
            // The default is the same port.
            None => Some(own_number),
            Some(_) => number(port, "targetPort"),
        };
        Some(Port {
            number: own_number,
            target,
            node: number(port, "nodePort").filter(|port| *port > 0),
        })
    });
    Service {
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
        selector: selector.unwrap_or_default(),
        cluster_address: text(data, "/spec/clusterIP").filter(|address| address != "None"),
        external: load_balancer.chain(external_ips).collect(),
        is_local: text(data, "/spec/externalTrafficPolicy").is_some_and(|policy| policy == "Local"),
        ports: ports.collect(),
        kind,
    }
}

pub fn pod(object: &DynamicObject) -> Pod {
    let data = &object.data;
    let is_proxy = |container: &&Value| text(container, "/name").as_deref() == Some(PROXY);
    let containers = list(data, "/spec/containers").flat_map(|container| list(container, "/ports"));
    Pod {
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
        labels: object.labels().clone(),
        node: text(data, "/spec/nodeName").unwrap_or_default(),
        host: text(data, "/status/hostIP"),
        ready: has_condition(data, "Ready"),
        host_ports: containers
            .filter_map(|port| Some((number(port, "containerPort")?, number(port, "hostPort")?)))
            .filter(|(_, port)| *port > 0)
            .collect(),
        proxy_image: list(data, "/spec/containers")
            .find(is_proxy)
            .and_then(|container| text(container, "/image")),
        has_host_network: data.pointer("/spec/hostNetwork").and_then(Value::as_bool) == Some(true),
    }
}

pub fn node(object: &DynamicObject) -> Node {
    let data = &object.data;
    let address = |kind: &str| {
        let mut all = list(data, "/status/addresses");
        all.find(|entry| text(entry, "/type").is_some_and(|text| text == kind))
            .and_then(|entry| text(entry, "/address"))
    };
    Node {
        name: object.name_any(),
        address: address("ExternalIP").or_else(|| address("InternalIP")),
        ready: has_condition(data, "Ready"),
    }
}
