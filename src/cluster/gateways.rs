//! Gateways of both kinds, and the routes of that which is not asked for in every hook.

use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use serde_json::Value;

use super::Cluster;
use crate::api::{gateway_api, istio};
use crate::api_error::ApiError;
use crate::gateway::GatewayKind;
use crate::gateway::GatewayName;
use crate::gateway::listeners::{self, Listeners};
use crate::labels::ObjectKind;
use crate::observed::Observed;
use crate::plan::route;

impl Cluster {
    /// What a gateway takes, if it is there.
    pub(super) async fn gateway(
        &self,
        gateway: &GatewayName,
        language: GatewayKind,
    ) -> Result<Option<Listeners>, ApiError> {
        let resource = match language {
            GatewayKind::Istio => ApiResource::erase::<istio::Gateway>(&()),
            GatewayKind::GatewayApi => ApiResource::erase::<gateway_api::Gateway>(&()),
        };
        let of: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &gateway.namespace, &resource);
        let found = match self.call(|| of.get(&gateway.name)).await {
            Ok(found) => found,
            Err(ApiError::NotFound) => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Some(match language {
            GatewayKind::Istio => {
                let spec = found.data.get("spec").unwrap_or(&Value::Null);
                Listeners::read(spec, &gateway.namespace, &self.identity.namespace)
            }
            GatewayKind::GatewayApi => Listeners {
                selector: gateway_api::pods_of(&gateway.name),
                ..listeners::of_gateway_api(&found.data)
            },
        }))
    }

    /// Whether there are HTTPRoutes of ours, or may be, by what our SeldonDeployments say.
    pub(super) fn has_http_routes(&self, observed: &Observed) -> bool {
        let mut all = observed.seldon_deployments.iter();
        all.any(|object| self.identity.labelled(object) && route::is_marked(object))
    }

    /// The HTTPRoutes of all namespaces: whoever shares the gateway may be anywhere.
    pub(super) async fn http_routes(&self) -> Result<Vec<DynamicObject>, ApiError> {
        let resource = ObjectKind::HttpRoute.resource();
        self.list(&resource, None, &ListParams::default()).await
    }
}
