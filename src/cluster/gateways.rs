//! Reads gateways of both kinds, and HTTPRoutes.

use std::collections::BTreeMap;

use kube::ResourceExt;
use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use kube::core::{GroupVersionKind, Object};
use serde::Deserialize;
use serde_json::Value;

use super::{Cluster, Readable};
use crate::api::pods::{Pod, is_ready};
use crate::api::{gateway_api, istio};
use crate::api_error::ApiError;
use crate::gateway::GatewayKind;
use crate::gateway::GatewayName;
use crate::gateway::listeners::{self, Listeners, Scope};
use crate::gateway::workload::Workload;
use crate::observed::Observed;
use crate::plan::route;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ServiceSpec {
    selector: BTreeMap<String, String>,
}

impl Cluster {
    /// The listeners of a gateway; `None` if it does not exist.
    pub(super) async fn gateway(
        &self,
        gateway: &GatewayName,
        kind: GatewayKind,
    ) -> Result<Option<Listeners>, ApiError> {
        let resource = match kind {
            GatewayKind::Istio => ApiResource::erase::<istio::Gateway>(&()),
            GatewayKind::GatewayApi => ApiResource::erase::<gateway_api::Gateway>(&()),
        };
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &gateway.namespace, &resource);
        let gateway_object = match self.call(|| api.get(&gateway.name)).await {
            Ok(gateway_object) => gateway_object,
            Err(ApiError::NotFound) => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Some(match kind {
            GatewayKind::Istio => {
                let spec = gateway_object.data.get("spec").unwrap_or(&Value::Null);
                Listeners::read(spec, &gateway.namespace, &self.identity.namespace)
            }
            GatewayKind::GatewayApi => Listeners {
                selector: gateway_api::pods_of(&gateway.name),
                scope: Scope::Namespace,
                ..listeners::read_gateway_api(&gateway_object.data)
            },
        }))
    }

    /// Whether a gateway has a ready pod, as far as that can be seen: where only its own namespace may be listed, its
    /// pods there count.
    pub async fn gateway_has_ready_pod(&self, gateway: &GatewayName, listeners: &Listeners) -> bool {
        let Some(selector) = listeners.label_selector() else {
            return false;
        };
        let parameters = ListParams::default().labels(&selector);
        let pods: Vec<Pod> = self
            .list_for_gateway("Pod", gateway, &parameters)
            .await
            .unwrap_or_default();
        let ready: Vec<String> = pods
            .iter()
            .filter(|pod| is_ready(pod))
            .filter_map(ResourceExt::namespace)
            .collect();
        if ready.is_empty() {
            return false;
        }
        let workload = self.workload(gateway, listeners, &pods).await.unwrap_or_default();
        ready.iter().any(|namespace| workload.is_in(namespace))
    }

    /// Where a gateway's workload is, by its pods.
    pub(super) async fn workload(
        &self,
        gateway: &GatewayName,
        listeners: &Listeners,
        pods: &[Pod],
    ) -> Result<Workload, ApiError> {
        let namespaces: Vec<String> = pods.iter().filter_map(ResourceExt::namespace).collect();
        let namespaces = namespaces.iter().map(String::as_str);
        let workload = Workload::find(gateway, listeners, namespaces.clone(), []);
        if workload.is_in(&gateway.namespace) {
            return Ok(workload);
        }
        let services: Vec<Object<ServiceSpec, Value>> = self
            .list_for_gateway("Service", gateway, &ListParams::default())
            .await?;
        let services = services.iter().filter_map(|service| {
            let namespace = service.metadata.namespace.as_deref()?;
            Some((namespace, &service.spec.selector))
        });
        Ok(Workload::find(gateway, listeners, namespaces, services))
    }

    /// Lists objects of all namespaces, as those of a gateway may be in any. Without that permission, those of the
    /// Gateway's own.
    pub async fn list_for_gateway<T: Readable>(
        &self,
        kind: &str,
        gateway: &GatewayName,
        parameters: &ListParams,
    ) -> Result<Vec<T>, ApiError> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", kind));
        let error = match self.list(&resource, None, parameters).await {
            Err(error @ ApiError::Forbidden { .. }) => error,
            list => return list,
        };
        let own = self.list(&resource, Some(&gateway.namespace), parameters).await;
        own.map_err(|_| error)
    }

    /// Whether HTTPRoutes of ours may exist, by the annotation on our SeldonDeployments.
    pub(super) fn has_http_routes(&self, observed: &Observed) -> bool {
        let mut all = observed.seldon_deployments.iter();
        all.any(|object| self.identity.has_our_labels(object) && route::is_marked(object))
    }
}
