//! The state of the cluster, as [`crate::cluster`] observed it. Plain data.
//!
//! Deployments and pods are read only as far as decisions depend on them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::api::DynamicObject;
use serde::Deserialize as _;

use crate::api::pods::{Deployment, Pod};
use crate::api::seldon::{DEFAULT_GRPC_PORT, DEFAULT_HTTP_PORT, DeploymentState, ServiceState};
use crate::gateway::GatewayName;
use crate::gateway::claims::RouteClaim;
use crate::gateway::listeners::Listeners;
use crate::gateway::revision::Served;
use crate::gateway::workload::Workload;
use crate::labels::{self, ObjectKind};

/// A Secret whose `Debug` shows the name only.
#[derive(Clone, PartialEq)]
pub struct Secret(pub DynamicObject);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Secret").field(&self.0.name_any()).finish()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    pub http: u16,
    pub grpc: u16,
}

#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// All of our namespace, whatever their owner.
    pub seldon_deployments: Vec<DynamicObject>,
    /// The same.
    pub virtual_services: Vec<DynamicObject>,
    /// The same. Listed only where models are or were exposed by the Gateway API.
    pub http_routes: Vec<DynamicObject>,
    /// Routes of other namespaces, as far as they match requests of our models.
    pub other_routes: Vec<RouteClaim>,
    /// Ours. Listed only where some exist or are planned.
    pub secrets: Vec<Secret>,
    /// Those that are not ours but have a name that we need, without their content.
    pub foreign_secrets: Vec<Secret>,
    /// The gateways of the models, as far as they exist.
    pub gateways: BTreeMap<GatewayName, Listeners>,
    /// Those of them that have a ready pod although a relation reports them down. Looked for only then.
    pub ready_gateways: BTreeSet<GatewayName>,
    /// Those that Seldon created for our models.
    pub deployments: Vec<Deployment>,
    /// The pods of those Deployments. Listed only when a model is not ready or for metrics.
    pub pods: Vec<Pod>,
    /// The ports of predictor Services. Read only where the SeldonDeployment's status and the route differ.
    pub services: BTreeMap<String, Ports>,
    /// What the gateways serve of the models' routes, by model. Asked only where a route has changed lately; empty for a
    /// gateway that is not reached.
    pub served: BTreeMap<String, Served>,
    /// Where the pods of the gateways are whose models have `access`.
    pub workloads: BTreeMap<GatewayName, Workload>,
    /// Those with our labels, in the namespaces where some are planned or may be left over.
    pub request_authentications: Vec<DynamicObject>,
    /// The same.
    pub authorization_policies: Vec<DynamicObject>,
    /// Whether the gateways have the models' access policies, by model. Asked only where one has changed lately; empty for a
    /// gateway that is not reached.
    pub enforced: BTreeMap<String, Served>,
    /// By this machine's clock.
    pub now: Option<Timestamp>,
    /// The application's StatefulSet.
    pub owner: Option<OwnerReference>,
    pub capabilities: Capabilities,
}

/// What only newer versions of Seldon Core and Istio can do. Assumed where nothing depends on it or a CRD cannot be
/// read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Whether Seldon's CRD has `metricsv2`, as it does since 1.15.
    pub metrics_v2: bool,
    /// Whether Istio sorts catch-all routes behind all others, as it does since 1.15.
    pub catch_all_last: bool,
    /// Whether there are the kinds of Istio's access policies.
    pub access_policies: bool,
}

impl Default for Capabilities {
    fn default() -> Self {
        Self {
            metrics_v2: true,
            catch_all_last: true,
            access_policies: true,
        }
    }
}

impl Observed {
    pub fn seldon_deployment(&self, name: &str) -> Option<&DynamicObject> {
        self.seldon_deployments.iter().find(|object| object.name_any() == name)
    }

    pub fn secret(&self, name: &str) -> Option<&DynamicObject> {
        let mut secrets = self.secrets.iter().map(|secret| &secret.0);
        secrets.find(|object| object.name_any() == name)
    }

    pub fn foreign_secret(&self, name: &str) -> Option<&DynamicObject> {
        let mut secrets = self.foreign_secrets.iter().map(|secret| &secret.0);
        secrets.find(|object| object.name_any() == name)
    }

    pub fn virtual_service(&self, name: &str) -> Option<&DynamicObject> {
        self.virtual_services.iter().find(|object| object.name_any() == name)
    }

    pub fn http_route(&self, name: &str) -> Option<&DynamicObject> {
        self.http_routes.iter().find(|object| object.name_any() == name)
    }

    pub fn access_policies(&self, kind: ObjectKind) -> impl Iterator<Item = &DynamicObject> {
        let all = match kind {
            ObjectKind::RequestAuthentication => self.request_authentications.as_slice(),
            ObjectKind::AuthorizationPolicy => self.authorization_policies.as_slice(),
            _ => &[],
        };
        all.iter()
    }

    pub fn access_policy(&self, kind: ObjectKind, namespace: &str, name: &str) -> Option<&DynamicObject> {
        self.access_policies(kind)
            .find(|object| object.name_any() == name && object.namespace().as_deref() == Some(namespace))
    }

    /// Of our namespace.
    pub fn routes(&self) -> impl Iterator<Item = (ObjectKind, &DynamicObject)> {
        let virtual_services = self.virtual_services.iter();
        let http_routes = self.http_routes.iter();
        virtual_services
            .map(|object| (ObjectKind::VirtualService, object))
            .chain(http_routes.map(|object| (ObjectKind::HttpRoute, object)))
    }

    /// The status that Seldon wrote.
    pub fn state(&self, model: &str) -> DeploymentState {
        self.seldon_deployment(model)
            .and_then(|object| object.data.get("status"))
            .and_then(|status| DeploymentState::deserialize(status).ok())
            .unwrap_or_default()
    }

    /// The ports of the predictor's Service if that was read, else those that Seldon reports, else Seldon's defaults.
    pub fn ports(&self, model: &str, service: &str) -> Ports {
        let found = self.services.get(service).copied();
        found.unwrap_or_else(|| {
            let (http, grpc) = self.reported_ports(model, service);
            Ports {
                http: http.unwrap_or(DEFAULT_HTTP_PORT),
                grpc: grpc.unwrap_or(DEFAULT_GRPC_PORT),
            }
        })
    }

    /// The HTTP and gRPC ports that Seldon reports for a Service. For HTTP it reports the first predictor's only.
    pub fn reported_ports(&self, model: &str, service: &str) -> (Option<u16>, Option<u16>) {
        let state = self.state(model);
        let grpc = state.services.get(service).and_then(ServiceState::grpc_port);
        (state.address.port(), grpc)
    }

    /// The Deployments of a model. Those of a deleted SeldonDeployment are left out: Kubernetes removes them some
    /// time later, and until then Seldon may report a new one as Available because of them.
    pub fn deployments_of(&self, model: &str) -> impl Iterator<Item = &Deployment> {
        let owner = self.seldon_deployment(model).and_then(ResourceExt::uid);
        self.deployments
            .iter()
            .filter(move |deployment| {
                deployment
                    .labels()
                    .get(labels::MODEL)
                    .is_some_and(|found| found == model)
            })
            .filter(move |deployment| {
                deployment
                    .owner_references()
                    .iter()
                    .any(|reference| Some(&reference.uid) == owner.as_ref())
            })
    }

    pub fn deployments_of_predictor(&self, model: &str, predictor: &str) -> impl Iterator<Item = &Deployment> {
        self.deployments_of(model).filter(move |deployment| {
            deployment
                .labels()
                .get(labels::PREDICTOR)
                .is_some_and(|found| found == predictor)
        })
    }

    /// The pods of a predictor with this spec hash, without those that are being deleted: their containers are killed, and end
    /// like crashed ones.
    pub fn pods_of<'a>(&'a self, model: &'a str, predictor: &'a str, digest: &'a str) -> impl Iterator<Item = &'a Pod> {
        let matches = |marks: &BTreeMap<String, String>, key: &str, value: &str| {
            marks.get(key).is_some_and(|found| found == value)
        };
        let pods = self.pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
        pods.filter(move |pod| {
            matches(pod.labels(), labels::MODEL, model)
                && matches(pod.labels(), labels::PREDICTOR, predictor)
                && matches(pod.annotations(), labels::SPEC_HASH, digest)
        })
    }
}
