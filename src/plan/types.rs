//! The types of a plan.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use serde_json::{Map, Value};

use crate::api::gateway_api::HTTPRoute;
use crate::api::istio::VirtualService;
use crate::config::Model;
use crate::config::secret::{Purpose, SecretData};
use crate::config::value::{SecretUri, Tracing};
use crate::gateway::GatewayName;
use crate::identity::Identity;
use crate::inputs::gateway::RelatedGateway;

/// Words by name, as they were set.
pub type OptionMap = Map<String, Value>;

/// The site that the models go to.
#[derive(Debug, Clone, PartialEq)]
pub struct Site {
    /// The namespace of the Juju model.
    pub namespace: String,
    /// The Juju application.
    pub application: String,
    /// The UUID of the Juju model.
    pub model_uuid: String,
    /// The gateway of the relation.
    pub gateway: RelatedGateway,
    /// Where traces go that no option sends elsewhere: what the tracing relation says.
    pub tracing: Option<Tracing>,
    /// The application's own StatefulSet: with it Kubernetes removes our objects after a forced removal.
    pub owner: Option<OwnerReference>,
}

impl Site {
    /// Whose objects are ours.
    #[must_use]
    pub fn identity(&self) -> Identity {
        Identity {
            application: self.application.clone(),
            model_uuid: self.model_uuid.clone(),
            namespace: self.namespace.clone(),
        }
    }
}

/// What the site should have of ours.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// The models, by name.
    pub models: Vec<PlannedModel>,
    /// Models whose objects stay as they are, faulty as their options may be.
    pub frozen: BTreeSet<String>,
    /// Whether what is ours and not in the plan goes. Never while an option is faulty.
    pub prune: bool,
}

/// The objects of one model.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedModel {
    /// The model as it was asked for.
    pub model: Model,
    /// Its SeldonDeployment.
    pub deployment: Value,
    /// The Secrets that it refers to, as far as they are made of Juju's.
    pub secrets: Vec<PlannedSecret>,
    /// The predictors that were asked for, in their order.
    pub predictors: Vec<PlannedPredictor>,
    /// What else it served last, if that is known.
    pub last: Option<OptionMap>,
    /// What is asked for and this Seldon cannot do, to be said behind what it serves.
    pub omitted: Option<&'static str>,
    /// What is asked for of its route and the gateway's language has no word for.
    pub unsupported: Vec<Unsupported>,
    /// The gateway it is to be reached by, if one is known.
    pub gateway: Option<GatewayName>,
    /// Its route.
    pub route: Route,
}

/// Pods that serve one graph behind one Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedPredictor {
    /// Its name.
    pub name: String,
    /// Its Service.
    pub service: String,
    /// Its digest, as [`SPEC_HASH`](crate::labels::SPEC_HASH).
    pub hash: String,
    /// How many Deployments Seldon makes of it.
    pub deployments: usize,
    /// How many pods each of them may have; `None` where that is not ours to say.
    pub replicas: Option<Vec<i64>>,
    /// Whether it gets copies of requests.
    pub shadow: bool,
    /// The Service of its explainer and that one's port, if it has one.
    pub explainer: Option<(String, u16)>,
    /// Its part of the requests in percent, or of a shadow the part that is copied; 0 where it was not said.
    pub traffic: u8,
}

impl PlannedPredictor {
    /// Whether it has no pods on purpose.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.replicas
            .as_ref()
            .is_some_and(|counts| counts.iter().all(|count| *count == 0))
    }
}

impl PlannedModel {
    /// Whether nothing of it runs, on purpose.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.predictors.iter().all(PlannedPredictor::is_stopped)
    }
}

/// What becomes of a model's route.
#[derive(Debug, Clone, PartialEq)]
pub enum Route {
    /// It is to be this, at an Istio Gateway.
    VirtualService(Box<VirtualService>),
    /// It is to be this, at a gateway of the Gateway API.
    HttpRoute(Box<HTTPRoute>),
    /// It goes: there is no gateway any more.
    Delete,
    /// It stays as it is: there is a gateway, but which one is not known at the moment.
    Keep,
}

impl Plan {
    /// The planned model of that name.
    #[must_use]
    pub fn model(&self, name: &str) -> Option<&PlannedModel> {
        self.models.iter().find(|planned| planned.model.name == name)
    }
}

/// What is asked for and has no place in an HTTPRoute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsupported {
    /// A number of retries.
    Retries,
    /// That a part of the requests is copied. None is.
    PartialMirroring,
}

/// A Secret that a model needs.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedSecret {
    /// Its name. Of one for files that was not read it is a guess, as it depends on the content.
    pub name: String,
    /// The secret of Juju's that it is made of.
    pub uri: SecretUri,
    pub(super) purpose: Purpose,
    pub(super) metadata: ObjectMeta,
    /// `None` if the secret was not read, and what is there is not what was made of it.
    pub(super) data: Option<SecretData>,
}
