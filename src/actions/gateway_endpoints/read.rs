//! Services, pods and nodes, as far as they say how something is reached. Lenient: what is not there says nothing.

use std::collections::BTreeMap;

use kube::ResourceExt as _;
use kube::api::DynamicObject;
use serde_json::Value;

use super::{Node, Pod, Port, Service};

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

fn is_so(object: &Value, condition: &str) -> bool {
    list(object, "/status/conditions").any(|one| {
        let said = |key: &str| one.get(key).and_then(Value::as_str);
        said("type") == Some(condition) && said("status") == Some("True")
    })
}

/// Reads a Service.
pub fn service(object: &DynamicObject) -> Service {
    let data = &object.data;
    let selector: Option<BTreeMap<String, String>> = data
        .pointer("/spec/selector")
        .and_then(|selector| serde::Deserialize::deserialize(selector).ok());
    let kind = text(data, "/spec/type").unwrap_or_default();
    let balanced = list(data, "/status/loadBalancer/ingress")
        .filter_map(|one| text(one, "/ip").or_else(|| text(one, "/hostname")));
    let led = list(data, "/spec/externalIPs").filter_map(|one| one.as_str().map(ToOwned::to_owned));
    let ports = list(data, "/spec/ports").filter_map(|port| {
        let number_of = number(port, "port")?;
        let target = match port.get("targetPort") {
            // Left out, it is the same.
            None => Some(number_of),
            Some(_) => number(port, "targetPort"),
        };
        Some(Port {
            number: number_of,
            target,
            node: number(port, "nodePort").filter(|port| *port > 0),
        })
    });
    Service {
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
        selector: selector.unwrap_or_default(),
        cluster_address: text(data, "/spec/clusterIP").filter(|address| address != "None"),
        outside: balanced.chain(led).collect(),
        own_pods_only: text(data, "/spec/externalTrafficPolicy").is_some_and(|policy| policy == "Local"),
        ports: ports.collect(),
        kind,
    }
}

/// Reads a pod.
pub fn pod(object: &DynamicObject) -> Pod {
    let data = &object.data;
    let containers = list(data, "/spec/containers").flat_map(|container| list(container, "/ports"));
    Pod {
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
        labels: object.labels().clone(),
        node: text(data, "/spec/nodeName").unwrap_or_default(),
        host: text(data, "/status/hostIP"),
        ready: is_so(data, "Ready"),
        host_ports: containers
            .filter_map(|port| Some((number(port, "containerPort")?, number(port, "hostPort")?)))
            .filter(|(_, port)| *port > 0)
            .collect(),
        on_host: data.pointer("/spec/hostNetwork").and_then(Value::as_bool) == Some(true),
    }
}

/// Reads a node.
pub fn node(object: &DynamicObject) -> Node {
    let data = &object.data;
    let address = |kind: &str| {
        let mut all = list(data, "/status/addresses");
        all.find(|one| text(one, "/type").is_some_and(|of| of == kind))
            .and_then(|one| text(one, "/address"))
    };
    Node {
        name: object.name_any(),
        address: address("ExternalIP").or_else(|| address("InternalIP")),
        ready: is_so(data, "Ready"),
    }
}
