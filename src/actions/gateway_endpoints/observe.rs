//! Lists Services, pods and nodes, for actions only: hooks never need them.

use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::core::GroupVersionKind;

use super::{Ambiguity, GatewayEndpoints, Service, node, pod, service};
use crate::api_error::ApiError;
use crate::cluster::Cluster;
use crate::gateway::GatewayName;
use crate::gateway::listeners::Listeners;

/// Lists what determines the endpoints of a gateway, and records what it may not list.
pub async fn find(cluster: &Cluster, gateway: &GatewayName, listeners: &Listeners) -> GatewayEndpoints {
    let mut endpoints = GatewayEndpoints::default();
    if let Some(selector) = listeners.label_selector() {
        let unknown = &mut endpoints.unknown;
        let labels = ListParams::default().labels(&selector);
        let pods = listed(cluster.list_for_gateway("Pod", gateway, &labels).await, "pods", unknown);
        let all = ListParams::default();
        let services = listed(
            cluster.list_for_gateway("Service", gateway, &all).await,
            "services",
            unknown,
        );
        endpoints.pods = pods.map(|pods| pods.iter().map(pod).collect());
        endpoints.services = services.map(|services| services.iter().map(service).collect());
        endpoints.keep_workload(gateway, listeners);
        if let Some(ambiguity) = endpoints.ambiguity(gateway, listeners) {
            let Ambiguity { cause, command } = ambiguity;
            endpoints.unknown.push(format!("{cause}. Run: {command}"));
        } else if endpoints.services.as_ref().is_some_and(Vec::is_empty) {
            endpoints
                .unknown
                .push(format!("Gateway {gateway}: no Service selects its pods ({selector})"));
        }
    } else {
        endpoints
            .unknown
            .push(format!("Gateway {gateway}: Service unknown, as it has no selector"));
    }
    match cluster
        .list::<DynamicObject>(&kind("Node"), None, &ListParams::default())
        .await
    {
        Ok(nodes) => endpoints.nodes = Some(nodes.iter().map(node).collect()),
        Err(error) => endpoints.unknown.push(not_listed("nodes", &error)),
    }
    endpoints
}

pub async fn services(cluster: &Cluster, namespace: &str) -> Result<Vec<Service>, ApiError> {
    let services: Vec<DynamicObject> = cluster
        .list(&kind("Service"), Some(namespace), &ListParams::default())
        .await?;
    Ok(services.iter().map(service).collect())
}

fn listed(
    list: Result<Vec<DynamicObject>, ApiError>,
    resource: &str,
    unknown: &mut Vec<String>,
) -> Option<Vec<DynamicObject>> {
    list.map_err(|error| unknown.push(not_listed(&format!("{resource} of all namespaces"), &error)))
        .ok()
}

fn kind(kind: &str) -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", kind))
}

fn not_listed(what: &str, error: &ApiError) -> String {
    match error {
        ApiError::Forbidden { .. } => format!("no permission to list {what}"),
        other => format!("{what} cannot be listed: {other}"),
    }
}
