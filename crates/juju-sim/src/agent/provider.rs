//! The other end of `gateway-info` and of `gateway-metadata`: what istio-pilot and istio-ingress-k8s would write.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::juju::World;

/// Writes the application bag of each fake istio-pilot's `gateway-info` relation and returns the gateways so named,
/// as (namespace, name). The name is the option `default-gateway`; the namespace is where `namespaces` says a gateway of
/// that name is, else the model.
///
/// Tracks 1.11 to 1.15 write no `gateway_up` (canonical/istio-operators, track/1.11).
pub fn provide_gateways(world: &mut World, namespaces: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let mut gateways = Vec::new();
    for application in world.applications.values() {
        if !application.charm.fake || application.charm.name != "istio-pilot" {
            continue;
        }
        let config = application.effective_config();
        let name = config
            .get("default-gateway")
            .and_then(Value::as_str)
            .unwrap_or("istio-gateway")
            .to_owned();
        let namespace = namespaces.get(&name).unwrap_or(&world.model.name).clone();
        let early = ["1.11", "1.12", "1.13", "1.14", "1.15"]
            .iter()
            .any(|track| application.charm.channel.split('/').next() == Some(track));
        for relation in world.relations.values_mut() {
            let provides = relation
                .local(&application.name)
                .is_some_and(|side| side.endpoint == "gateway-info");
            if !provides {
                continue;
            }
            let pairs = [
                ("gateway_name", name.as_str()),
                ("gateway_namespace", namespace.as_str()),
            ];
            relation.write(&application.name, pairs);
            if !early {
                relation.write(&application.name, [("gateway_up", "true")]);
            }
        }
        gateways.push((namespace, name));
    }
    gateways
}

/// Writes the application bag of each fake istio-ingress-k8s's `gateway-metadata` relation and returns the gateways so named, as
/// (namespace, name): one of the application's name (`canonical/charmlibs`, `interfaces/gateway-metadata`), in the namespace of the model
/// that the charm would be in.
pub fn provide_ingresses(world: &mut World, namespace: &str) -> Vec<(String, String)> {
    let mut gateways = Vec::new();
    for application in world.applications.values() {
        if !application.charm.fake || application.charm.name != "istio-ingress-k8s" {
            continue;
        }
        let name = &application.name;
        let workload = format!("{name}-istio");
        let metadata = json!({
            "namespace": namespace, "gateway_name": name, "deployment_name": workload, "service_account": workload,
        });
        for relation in world.relations.values_mut() {
            if relation
                .local(name)
                .is_some_and(|side| side.endpoint == "gateway-metadata")
            {
                relation.write(name, [("metadata", metadata.to_string().as_str())]);
            }
        }
        gateways.push((namespace.to_owned(), name.clone()));
    }
    gateways
}
