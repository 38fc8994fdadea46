//! What one look at the cluster found. Plain data: [`crate::cluster`] fills it in, steps and verdicts are drawn from it.
//!
//! Of Deployments and pods only the fields that a verdict rests on are read.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::api::DynamicObject;
use serde::Deserialize as _;

use crate::api::pods::{Deployment, Pod};
use crate::api::seldon::{DEFAULT_GRPC_PORT, DEFAULT_HTTP_PORT, DeploymentState, ServiceState};
use crate::gateway::GatewayName;
use crate::gateway::listeners::Listeners;
use crate::identity::Identity;
use crate::labels;

/// A Secret, of which nothing but the name is shown.
#[derive(Clone, PartialEq)]
pub struct Secret(pub DynamicObject);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Secret").field(&self.0.name_any()).finish()
    }
}

/// The ports of a predictor's Service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// For HTTP.
    pub http: u16,
    /// For gRPC.
    pub grpc: u16,
}

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// The SeldonDeployments of our namespace, whoever's.
    pub seldon_deployments: Vec<DynamicObject>,
    /// The VirtualServices of all namespaces, whoever's.
    pub virtual_services: Vec<DynamicObject>,
    /// The HTTPRoutes of all namespaces, whoever's; looked for only where models are reached by the Gateway API, or were.
    pub http_routes: Vec<DynamicObject>,
    /// Our Secrets, and those of others whose names we need; looked for only where there are or should be any.
    pub secrets: Vec<Secret>,
    /// The gateways that were asked for and are there, with what they take.
    pub gateways: BTreeMap<GatewayName, Listeners>,
    /// The Deployments that Seldon made for us.
    pub deployments: Vec<Deployment>,
    /// The pods of those; looked for only when something is not as it should be, or metrics are asked for.
    pub pods: Vec<Pod>,
    /// The ports of predictor Services, by Service; looked for only where Seldon's word and the route differ.
    pub services: BTreeMap<String, Ports>,
    /// When it was found, by this machine's clock.
    pub now: Option<Timestamp>,
    /// Our application's StatefulSet.
    pub owner: Option<OwnerReference>,
    /// Whether this Seldon takes no metrics in the words of autoscaling/v2, as before 1.15.
    pub lacks_metrics_v2: bool,
    /// Whether this Istio puts routes for every path behind all others, as it does from 1.15 on.
    pub catch_all_goes_last: bool,
}

impl Observed {
    /// The SeldonDeployment of that name in our namespace.
    #[must_use]
    pub fn seldon_deployment(&self, name: &str) -> Option<&DynamicObject> {
        self.seldon_deployments.iter().find(|object| object.name_any() == name)
    }

    /// The Secret of that name in our namespace.
    #[must_use]
    pub fn secret(&self, name: &str) -> Option<&DynamicObject> {
        let mut all = self.secrets.iter().map(|secret| &secret.0);
        all.find(|object| object.name_any() == name)
    }

    /// The VirtualService of that name in our namespace.
    #[must_use]
    pub fn virtual_service(&self, identity: &Identity, name: &str) -> Option<&DynamicObject> {
        self.virtual_service_in(&identity.namespace, name)
    }

    /// The VirtualService of that name in that namespace.
    #[must_use]
    pub fn virtual_service_in(&self, namespace: &str, name: &str) -> Option<&DynamicObject> {
        self.virtual_services
            .iter()
            .find(|object| object.name_any() == name && object.namespace().as_deref() == Some(namespace))
    }

    /// The HTTPRoute of that name in that namespace.
    #[must_use]
    pub fn http_route_in(&self, namespace: &str, name: &str) -> Option<&DynamicObject> {
        self.http_routes
            .iter()
            .find(|object| object.name_any() == name && object.namespace().as_deref() == Some(namespace))
    }

    /// What Seldon says of a model.
    #[must_use]
    pub fn state(&self, model: &str) -> DeploymentState {
        self.seldon_deployment(model)
            .and_then(|object| object.data.get("status"))
            .and_then(|status| DeploymentState::deserialize(status).ok())
            .unwrap_or_default()
    }

    /// The ports of a predictor's Service: the Service's own where it was looked up, else as Seldon tells them, else its defaults.
    #[must_use]
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

    /// The ports that Seldon tells of a predictor's Service: for HTTP, which is that of the first one, and for gRPC.
    #[must_use]
    pub fn reported_ports(&self, model: &str, service: &str) -> (Option<u16>, Option<u16>) {
        let state = self.state(model);
        let grpc = state.services.get(service).and_then(ServiceState::grpc_port);
        (state.address.port(), grpc)
    }

    /// The Deployments of a model, without those of a SeldonDeployment that was deleted: Kubernetes takes them away in its
    /// own time, and Seldon may call a new one available over them.
    pub fn deployments_of(&self, model: &str) -> impl Iterator<Item = &Deployment> {
        let owner = self.seldon_deployment(model).and_then(ResourceExt::uid);
        self.deployments
            .iter()
            .filter(move |d| d.labels().get(labels::MODEL).is_some_and(|m| m == model))
            .filter(move |d| d.owner_references().iter().any(|of| Some(&of.uid) == owner.as_ref()))
    }

    /// Those of one of its predictors.
    pub fn deployments_of_predictor(&self, model: &str, predictor: &str) -> impl Iterator<Item = &Deployment> {
        self.deployments_of(model)
            .filter(move |d| d.labels().get(labels::PREDICTOR).is_some_and(|p| p == predictor))
    }

    /// The pods of a model's predictor that are of the spec with this digest.
    pub fn pods_of<'a>(&'a self, model: &'a str, predictor: &'a str, digest: &'a str) -> impl Iterator<Item = &'a Pod> {
        let has =
            |marks: &BTreeMap<String, String>, key: &str, value: &str| marks.get(key).is_some_and(|of| of == value);
        self.pods.iter().filter(move |pod| {
            has(pod.labels(), labels::MODEL, model)
                && has(pod.labels(), labels::PREDICTOR, predictor)
                && has(pod.annotations(), labels::SPEC_HASH, digest)
        })
    }
}
