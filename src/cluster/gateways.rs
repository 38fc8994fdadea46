//! Reads gateways of both kinds, and HTTPRoutes.

use std::collections::BTreeMap;

use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use kube::core::GroupVersionKind;
use serde_json::Value;

use super::Cluster;
use crate::api::pods::{Pod, is_ready};
use crate::api::{gateway_api, istio};
use crate::api_error::ApiError;
use crate::gateway::GatewayKind;
use crate::gateway::GatewayName;
use crate::gateway::listeners::{self, Listeners};
use crate::observed::Observed;
use crate::plan::route;

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
                ..listeners::read_gateway_api(&gateway_object.data)
            },
        }))
    }

    /// Whether a gateway has a ready pod, as far as that can be seen. Istio looks for a Gateway's pods in all namespaces
    /// (`PILOT_SCOPE_GATEWAY_TO_NAMESPACE` is off by default); where only its own may be listed, those count.
    pub async fn gateway_has_ready_pod(&self, gateway: &GatewayName, selector: &BTreeMap<String, String>) -> bool {
        let labels: Vec<String> = selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
        if labels.is_empty() {
            return false;
        }
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Pod"));
        let parameters = ListParams::default().labels(&labels.join(","));
        let mut pods: Result<Vec<Pod>, ApiError> = self.list(&resource, None, &parameters).await;
        if let Err(ApiError::Forbidden { .. }) = pods {
            pods = self.list(&resource, Some(&gateway.namespace), &parameters).await;
        }
        pods.unwrap_or_default().iter().any(is_ready)
    }

    /// Whether HTTPRoutes of ours may exist, by the annotation on our SeldonDeployments.
    pub(super) fn has_http_routes(&self, observed: &Observed) -> bool {
        let mut all = observed.seldon_deployments.iter();
        all.any(|object| self.identity.has_our_labels(object) && route::is_marked(object))
    }
}
