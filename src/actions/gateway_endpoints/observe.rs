//! What leads to a gateway and to a model: Services, pods and nodes. Actions ask for them, hooks never do.

use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::core::GroupVersionKind;

use super::{GatewayEndpoints, Service, node, pod, service, services_of};
use crate::api_error::ApiError;
use crate::cluster::Cluster;
use crate::gateway::GatewayName;
use crate::gateway::listeners::Listeners;

/// Finds the ways into a gateway, as far as it may: what could not be found out is said in the answer.
pub async fn find(cluster: &Cluster, gateway: &GatewayName, listeners: &Listeners) -> GatewayEndpoints {
    let selector: Vec<String> = listeners
        .selector
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let of_gateway = ListParams::default().labels(&selector.join(","));
    let mut found = GatewayEndpoints::default();
    if selector.is_empty() {
        found.unknown.push(format!(
            "the Gateway {gateway} names no pods by a selector, so its Service is not known"
        ));
    } else {
        found.pods = list_everywhere(cluster, "Pod", "pods", gateway, &of_gateway, &mut found.unknown)
            .await
            .map(|pods| pods.iter().map(pod).collect());
        let every = ListParams::default();
        found.services = list_everywhere(cluster, "Service", "services", gateway, &every, &mut found.unknown)
            .await
            .map(|services| {
                let services = services.iter().map(service).collect();
                let pods = found.pods.as_deref();
                services_of(&gateway.namespace, &listeners.selector, services, pods)
            });
        if found.services.as_ref().is_some_and(Vec::is_empty) {
            found.unknown.push(format!(
                "no Service leads to the pods of the Gateway {gateway} ({})",
                selector.join(", ")
            ));
        }
    }
    match cluster
        .list::<DynamicObject>(&kind("Node"), None, &ListParams::default())
        .await
    {
        Ok(nodes) => found.nodes = Some(nodes.iter().map(node).collect()),
        Err(error) => found.unknown.push(unknown("nodes", &error)),
    }
    found
}

/// The Services of a namespace.
///
/// # Errors
/// When they cannot be listed.
pub async fn services(cluster: &Cluster, namespace: &str) -> Result<Vec<Service>, ApiError> {
    let services: Vec<DynamicObject> = cluster
        .list(&kind("Service"), Some(namespace), &ListParams::default())
        .await?;
    Ok(services.iter().map(service).collect())
}

/// Those of all namespaces: a Gateway's pods may be anywhere. Whoever may look into the Gateway's own only sees those.
async fn list_everywhere(
    cluster: &Cluster,
    of: &str,
    resource: &str,
    gateway: &GatewayName,
    parameters: &ListParams,
    unknown_so_far: &mut Vec<String>,
) -> Option<Vec<DynamicObject>> {
    let kind = kind(of);
    let error = match cluster.list(&kind, None, parameters).await {
        Ok(found) => return Some(found),
        Err(error) => error,
    };
    if let ApiError::Forbidden { .. } = error
        && let Ok(found) = cluster.list(&kind, Some(&gateway.namespace), parameters).await
    {
        return Some(found);
    }
    unknown_so_far.push(unknown(&format!("{resource} of all namespaces"), &error));
    None
}

fn kind(kind: &str) -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", kind))
}

fn unknown(what: &str, error: &ApiError) -> String {
    match error {
        ApiError::Forbidden { .. } => format!("there is no right to list {what}"),
        other => format!("{what} cannot be listed: {other}"),
    }
}
