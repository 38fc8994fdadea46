//! Lists Services, pods and nodes, for actions only: hooks never need them.

use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::core::GroupVersionKind;

use super::{GatewayEndpoints, Service, node, pod, service, services_of};
use crate::api_error::ApiError;
use crate::cluster::Cluster;
use crate::gateway::GatewayName;
use crate::gateway::listeners::Listeners;

/// Lists what determines the endpoints of a gateway, and records what it may not list.
pub async fn find(cluster: &Cluster, gateway: &GatewayName, listeners: &Listeners) -> GatewayEndpoints {
    let selector: Vec<String> = listeners
        .selector
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let labels = ListParams::default().labels(&selector.join(","));
    let mut endpoints = GatewayEndpoints::default();
    if selector.is_empty() {
        endpoints
            .unknown
            .push(format!("Gateway {gateway}: Service unknown, as it has no selector"));
    } else {
        endpoints.pods = list_all_namespaces(cluster, "Pod", "pods", gateway, &labels, &mut endpoints.unknown)
            .await
            .map(|pods| pods.iter().map(pod).collect());
        let all = ListParams::default();
        endpoints.services = list_all_namespaces(cluster, "Service", "services", gateway, &all, &mut endpoints.unknown)
            .await
            .map(|services| {
                let services = services.iter().map(service).collect();
                let pods = endpoints.pods.as_deref();
                services_of(&gateway.namespace, &listeners.selector, services, pods)
            });
        if endpoints.services.as_ref().is_some_and(Vec::is_empty) {
            endpoints.unknown.push(format!(
                "Gateway {gateway}: no Service selects its pods ({})",
                selector.join(", ")
            ));
        }
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

/// Lists all namespaces, as a Gateway's pods may be in any of them. Without that permission, the Gateway's own namespace.
async fn list_all_namespaces(
    cluster: &Cluster,
    kind_name: &str,
    resource: &str,
    gateway: &GatewayName,
    parameters: &ListParams,
    unknown: &mut Vec<String>,
) -> Option<Vec<DynamicObject>> {
    let kind = kind(kind_name);
    let error = match cluster.list(&kind, None, parameters).await {
        Ok(objects) => return Some(objects),
        Err(error) => error,
    };
    if let ApiError::Forbidden { .. } = error
        && let Ok(objects) = cluster.list(&kind, Some(&gateway.namespace), parameters).await
    {
        return Some(objects);
    }
    unknown.push(not_listed(&format!("{resource} of all namespaces"), &error));
    None
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
