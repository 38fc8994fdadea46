use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::ResourceExt as _;
use kube::api::DynamicObject;
use serde_json::{Map, Value};

use crate::config::Model;
use crate::config::secret::{Purpose, SecretData};
use crate::config::value::{SecretUri, Tracing};
#[cfg(test)]
use crate::gateway::GatewayKind;
use crate::gateway::GatewayName;
use crate::gateway::claims::ModelRequests;
use crate::gateway::revision::RouteRevision;
use crate::gateway::workload::Workload;
use crate::identity::Identity;
#[cfg(test)]
use crate::inputs::gateway::Provider;
use crate::inputs::gateway::RelatedGateway;
use crate::labels::ObjectKind;

/// Options by name, as they were set.
pub type OptionMap = Map<String, Value>;

#[derive(Debug, Clone, PartialEq)]
pub struct Environment {
    pub identity: Identity,
    pub gateway: RelatedGateway,
    /// From the tracing relation. Options override it.
    pub tracing: Option<Tracing>,
    /// The application's StatefulSet. With it as owner, Kubernetes deletes our objects with it, also after a forced removal.
    pub owner: Option<OwnerReference>,
}

#[cfg(test)]
impl Environment {
    /// Of the application `iris` behind an Istio gateway.
    pub(crate) fn example() -> Self {
        let by = Provider::new("istio-pilot", GatewayKind::Istio);
        Self {
            identity: Identity {
                application: "iris".to_owned(),
                namespace: "edge".to_owned(),
                model_uuid: "0".to_owned(),
            },
            gateway: RelatedGateway::Known {
                gateway: GatewayName {
                    namespace: "istio".to_owned(),
                    name: "gate".to_owned(),
                },
                up: true,
                by,
            },
            tracing: None,
            owner: None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    pub models: Vec<PlannedModel>,
    /// Models whose objects stay as they are because their options are invalid.
    pub frozen: BTreeSet<String>,
    /// Whether to delete our objects that are not planned. Never while an option is invalid.
    pub prune: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct PlannedModel {
    pub model: Model,
    pub deployment: Value,
    /// Those that are made from Juju secrets.
    pub secrets: Vec<PlannedSecret>,
    pub predictors: Vec<PlannedPredictor>,
    /// The options to roll back to, if they are known.
    pub rollback_options: Option<OptionMap>,
    /// The option that this Seldon Core does not support.
    pub omitted: Option<&'static str>,
    pub unsupported: Vec<Unsupported>,
    /// `None` while it is not known.
    pub gateway: Option<GatewayName>,
    /// `None` where everyone may send requests.
    pub access: Option<PlannedAccess>,
    /// Applied only where the access policies do not withhold it.
    pub route: PlannedRoute,
    /// Of a route that is to be applied.
    pub revision: Option<RouteRevision>,
}

/// Who may send requests to a model, at its gateway.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedAccess {
    /// In the order in which they are applied. None while it is not known where.
    pub policies: Vec<PlannedPolicy>,
    pub enforcement: Enforcement,
    /// The path that the gateway denies to everybody once it has these policies.
    pub proof: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct PlannedPolicy {
    pub kind: ObjectKind,
    pub namespace: String,
    pub name: String,
    pub object: Value,
}

/// Whether the gateway denies what it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Enforcement {
    /// As far as it shows it; behind a login, after the time that it takes.
    Enforced,
    /// The policies are not applied, or only just.
    Yet,
    /// It did not in time.
    NotInTime,
    /// The namespace of the gateway's pods is not known.
    NoPlace(Workload),
    /// The cluster does not have Istio's policies.
    Unsupported,
}

impl PlannedAccess {
    /// Whether the route has to wait.
    pub fn withholds_route(&self) -> bool {
        self.enforcement != Enforcement::Enforced
    }

    pub fn is_planned(&self, kind: ObjectKind, object: &DynamicObject) -> bool {
        self.policies.iter().any(|policy| {
            policy.kind == kind
                && policy.name == object.name_any()
                && Some(&policy.namespace) == object.namespace().as_ref()
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedPredictor {
    pub name: String,
    pub service: String,
    /// The value of [`SPEC_HASH`](crate::labels::SPEC_HASH).
    pub hash: String,
    /// The number of Deployments that Seldon creates for it.
    pub deployments: usize,
    /// The possible replicas of its Deployments; `None` where an autoscaler sets them.
    pub replicas: Option<Vec<i64>>,
    pub shadow: bool,
    /// The Service and port of its explainer.
    pub explainer: Option<(String, u16)>,
    /// In percent; 0 where it is not configured. Of a shadow the part of the requests that is mirrored.
    pub traffic: u8,
}

impl PlannedPredictor {
    /// Whether it is scaled to zero on purpose.
    pub fn is_stopped(&self) -> bool {
        self.replicas
            .as_ref()
            .is_some_and(|counts| counts.iter().all(|count| *count == 0))
    }
}

impl PlannedModel {
    /// The requests that its route is for; `None` while its gateway is not known.
    pub fn requests(&self, namespace: &str) -> Option<ModelRequests> {
        Some(requests(&self.model, self.gateway.as_ref()?, namespace))
    }

    /// Whether its route waits for its access policies.
    pub fn withholds_route(&self) -> bool {
        self.access.as_ref().is_some_and(PlannedAccess::withholds_route)
    }

    /// Whether all its predictors are scaled to zero on purpose.
    pub fn is_stopped(&self) -> bool {
        self.predictors.iter().all(PlannedPredictor::is_stopped)
    }
}

/// The requests that the route of a model is for.
pub fn requests(model: &Model, gateway: &GatewayName, namespace: &str) -> ModelRequests {
    ModelRequests {
        model: model.name.clone(),
        namespace: namespace.to_owned(),
        gateway: gateway.clone(),
        hosts: model.hosts.clone(),
        prefix: model.prefix.clone(),
        grpc_host: model.grpc_host.clone(),
    }
}

/// What to do with a model's route.
#[derive(Debug, Clone, PartialEq)]
pub enum PlannedRoute {
    /// Apply this VirtualService at an Istio gateway.
    VirtualService(Value),
    /// Apply this HTTPRoute at a gateway of the Gateway API.
    HttpRoute(Value),
    /// Delete it: no gateway is related.
    Delete,
    /// Leave it unchanged: a gateway is related, but not known yet.
    Keep,
}

impl Plan {
    pub fn model(&self, name: &str) -> Option<&PlannedModel> {
        self.models.iter().find(|planned| planned.model.name == name)
    }
}

/// An option that an HTTPRoute cannot express.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsupported {
    Retries,
    /// Mirroring a part of the requests. None is mirrored instead.
    PartialMirroring,
}

#[derive(Debug, Clone, PartialEq)]
pub struct PlannedSecret {
    /// A guess for a storage secret that was not read, as the name depends on the content.
    pub name: String,
    pub uri: SecretUri,
    pub(super) purpose: Purpose,
    pub(super) metadata: ObjectMeta,
    /// `None` if the Juju secret was not read and the live Secret is not as it was applied.
    pub(super) data: Option<SecretData>,
}
