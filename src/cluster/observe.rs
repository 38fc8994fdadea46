//! Observes everything that the plan and the status depend on.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::api::{Api, ApiResource, DynamicObject, ListParams, Object};
use kube::core::GroupVersionKind;
use serde::Deserialize;
use serde_json::Value;

use super::Cluster;
use super::routes::Routes;
use crate::api::gateway_api;
use crate::api::istio::ports;
use crate::api::seldon::DEFAULT_GRPC_PORT;
use crate::api_error::ApiError;
use crate::config::manifest;
use crate::gateway::GatewayKind;
use crate::gateway::GatewayName;
use crate::gateway::claims::{ClaimReader, ModelRequests};
use crate::identity::route_name;
use crate::labels::ObjectKind;
use crate::observed::{Observed, Ports};
use crate::permissions::Needs;

impl Cluster {
    /// Five requests in the usual case. They are lists, so a hundred models cost as much as one. Secrets and
    /// HTTPRoutes are listed only where they are needed or may be left over.
    pub async fn observe(
        &self,
        requests: &[ModelRequests],
        kind: GatewayKind,
        secrets: bool,
    ) -> Result<Observed, ApiError> {
        let seldon_deployments = self
            .list::<DynamicObject>(
                &ObjectKind::SeldonDeployment.resource(),
                Some(&self.identity.namespace),
                &ListParams::default(),
            )
            .await?;
        let mut observed = Observed {
            owner: self.stateful_set().await?,
            seldon_deployments,
            now: Some(Timestamp::now()),
            ..Observed::default()
        };
        let gateways: BTreeSet<&GatewayName> = requests.iter().map(|requests| &requests.gateway).collect();
        for gateway in gateways {
            if let Some(listeners) = self.gateway(gateway, kind).await? {
                observed.gateways.insert(gateway.clone(), listeners);
            }
        }
        let mut reader = ClaimReader::new(requests, &observed.gateways);
        let routes = match self.routes(ObjectKind::VirtualService, &mut reader).await {
            // A Gateway API implementation need not be Istio.
            Err(ApiError::CrdMissing { .. }) if kind == GatewayKind::GatewayApi => Routes::default(),
            found => found?,
        };
        let mut others = routes.others;
        if kind == GatewayKind::GatewayApi || self.has_http_routes(&observed) {
            let routes = self.routes(ObjectKind::HttpRoute, &mut reader).await?;
            observed.http_routes = routes.ours;
            others.extend(routes.others);
        }
        observed.virtual_services = routes.ours;
        observed.other_routes = others;
        observed.deployments = self.list_ours("apps", "Deployment").await?;
        if secrets || self.has_secrets(&observed) {
            observed.secrets = self.our_secrets().await?;
        }
        if self.ports_may_differ(&observed) {
            observed.services = self.ports().await?;
        }
        Ok(observed)
    }

    /// Lists the pods of our models, to explain why one is not ready.
    pub async fn observe_pods(&self, observed: &mut Observed) -> Result<(), ApiError> {
        observed.pods = self.list_ours("", "Pod").await?;
        Ok(())
    }

    /// Whether this Istio sorts catch-all routes last. It does since 1.15, which also brought the field
    /// `directResponse`.
    pub async fn sorts_catch_all_last(&self) -> Result<bool, ApiError> {
        self.crd_has_field("virtualservices.networking.istio.io", "directResponse")
            .await
    }

    /// Whether this Seldon takes autoscaling/v2 metrics. It does since 1.15, as the field `metricsv2`.
    pub async fn supports_metrics_v2(&self) -> Result<bool, ApiError> {
        self.crd_has_field("seldondeployments.machinelearning.seldon.io", "metricsv2")
            .await
    }

    /// Whether a CRD contains a field name; true if the CRD cannot be read.
    async fn crd_has_field(&self, name: &str, field: &str) -> Result<bool, ApiError> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(
            "apiextensions.k8s.io",
            "v1",
            "CustomResourceDefinition",
        ));
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &resource);
        match self.call(|| api.get(name)).await {
            Ok(definition) => Ok(definition.data.to_string().contains(field)),
            Err(ApiError::Forbidden { .. } | ApiError::NotFound) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Observes our objects for their removal. Secrets and HTTPRoutes are listed only where some may exist. A kind
    /// without a CRD has no objects.
    pub async fn observe_ours(&self, needs: &Needs) -> Result<Observed, ApiError> {
        let mut observed = Observed {
            virtual_services: self.list_ours_of_kind(ObjectKind::VirtualService).await?,
            seldon_deployments: self.list_ours_of_kind(ObjectKind::SeldonDeployment).await?,
            ..Observed::default()
        };
        if needs.http_routes || self.has_http_routes(&observed) {
            observed.http_routes = self.list_ours_of_kind(ObjectKind::HttpRoute).await?;
        }
        if needs.secrets || self.has_secrets(&observed) {
            observed.secrets = self.our_secrets().await?;
        }
        self.observe_access(&mut observed, &needs.policies, []).await?;
        Ok(observed)
    }

    async fn list_ours_of_kind(&self, kind: ObjectKind) -> Result<Vec<DynamicObject>, ApiError> {
        let parameters = ListParams::default().labels(&self.identity.selector());
        let namespace = Some(self.identity.namespace.as_str());
        match self.list(&kind.resource(), namespace, &parameters).await {
            Err(ApiError::CrdMissing { .. }) => Ok(Vec::new()),
            list => list,
        }
    }

    /// Whether the ports that Seldon reports for a model's Service are missing or differ from our route.
    fn ports_may_differ(&self, observed: &Observed) -> bool {
        observed
            .seldon_deployments
            .iter()
            .filter(|object| self.identity.has_our_labels(object))
            .any(|object| {
                let name = object.name_any();
                // Seldon reports the HTTP port of the first predictor only.
                let predictors = object.data.pointer("/spec/predictors").and_then(Value::as_array);
                if predictors.is_some_and(|all| all.len() > 1) {
                    return true;
                }
                let service = predictors
                    .and_then(|all| manifest::predictor(all.first()?))
                    .map(|predictor| predictor.service(&name));
                let reported = match service.map(|service| observed.reported_ports(&name, &service)) {
                    Some((Some(http), Some(grpc))) => Some(BTreeSet::from([http, grpc].map(u64::from))),
                    _ => None,
                };
                let route = route_name(&name);
                let virtual_service = observed.virtual_service(&route);
                let http_route = observed.http_route(&route);
                let routed: Vec<BTreeSet<u64>> = [
                    virtual_service.map(|route| ports(&route.data)),
                    http_route.map(|route| gateway_api::ports(&route.data)),
                ]
                .into_iter()
                .flatten()
                .collect();
                // The route of an explainer adds another port.
                let agree = reported.is_some_and(|reported| routed.iter().all(|routed| reported.is_subset(routed)));
                let agree = agree && !routed.is_empty();
                !observed.state(&name).state.is_empty() && !agree
            })
    }

    async fn ports(&self) -> Result<BTreeMap<String, Ports>, ApiError> {
        #[derive(Clone, Debug, Default, Deserialize)]
        struct ServiceSpec {
            #[serde(default)]
            ports: Vec<ServicePort>,
        }
        #[derive(Clone, Debug, Deserialize)]
        struct ServicePort {
            #[serde(default)]
            name: String,
            port: u16,
        }
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Service"));
        let services: Vec<Object<ServiceSpec, Value>> = self
            .list(
                &resource,
                Some(&self.identity.namespace),
                &ListParams::default().labels("seldon-deployment-id"),
            )
            .await?;
        let ports = |service: &Object<ServiceSpec, Value>| {
            let ports = &service.spec.ports;
            let named = |name: &str| ports.iter().find(|port| port.name.starts_with(name));
            Some(Ports {
                http: named("http").or(ports.first())?.port,
                grpc: named("grpc").map_or(DEFAULT_GRPC_PORT, |port| port.port),
            })
        };
        Ok(services
            .iter()
            .filter_map(|service| Some((service.name_any(), ports(service)?)))
            .collect())
    }

    /// The application's StatefulSet, which has the application's name. It is read in every hook instead of copied
    /// from another object's owners: those can be forged, and Kubernetes deletes objects whose owner does not exist.
    async fn stateful_set(&self) -> Result<Option<OwnerReference>, ApiError> {
        let gvk = GroupVersionKind::gvk("apps", "v1", "StatefulSet");
        let api = self.namespaced(&ApiResource::from_gvk(&gvk));
        match self.call(|| api.get_metadata(&self.identity.application)).await {
            Ok(found) => Ok(found.uid().map(|uid| OwnerReference {
                api_version: "apps/v1".to_owned(),
                kind: "StatefulSet".to_owned(),
                name: self.identity.application.clone(),
                uid,
                controller: None,
                block_owner_deletion: None,
            })),
            Err(ApiError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
