//! Models to a plan: the objects that a site should have. Pure, total, and the same bytes for the same input.

mod gateway;
pub mod history;
mod http_route;
mod objects;
mod pod;
pub(crate) mod route;
pub mod secrets;
mod traffic;

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde_json::Value;

use crate::config::value::{GatewayName, Scaler, Tracing};
use crate::config::{Config, Model};
use crate::gateway_api::HTTPRoute;
use crate::identity::Identity;
use crate::istio::VirtualService;
use crate::observed::Observed;
pub use gateway::{Language, Provider, RelatedGateway};
use history::Words;
pub use http_route::Unsaid;
use secrets::{PlannedSecret, Wanted};

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
    pub held: BTreeSet<String>,
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
    pub last: Option<Words>,
    /// What is asked for and this Seldon cannot do, to be said behind what it serves.
    pub left_out: Option<&'static str>,
    /// What is asked for of its route and the gateway's language has no word for.
    pub unsaid: Vec<Unsaid>,
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
    Set(Box<VirtualService>),
    /// It is to be this, at a gateway of the Gateway API.
    SetHttp(Box<HTTPRoute>),
    /// It goes: there is no gateway any more.
    Gone,
    /// It stays as it is: there is a gateway, but which one is not known at the moment.
    Kept,
}

impl Plan {
    /// The planned model of that name.
    #[must_use]
    pub fn model(&self, name: &str) -> Option<&PlannedModel> {
        self.models.iter().find(|planned| planned.model.name == name)
    }
}

/// The gateways of those models.
pub fn gateways<'a>(models: impl Iterator<Item = &'a Model>, related: &RelatedGateway) -> BTreeSet<GatewayName> {
    models.filter_map(|model| related.of(model).cloned()).collect()
}

/// The plan for a configuration on a site as it is: no requests go to what does not answer yet, and what answers is not taken
/// away before its successor does.
#[must_use]
pub fn plan(config: &Config, site: &Site, observed: &Observed) -> Plan {
    Plan {
        models: config
            .models
            .iter()
            .map(|model| planned(model, config, site, observed))
            .collect(),
        held: config.held.clone(),
        prune: config.faults.is_empty(),
    }
}

fn planned(model: &Model, config: &Config, site: &Site, observed: &Observed) -> PlannedModel {
    let wanted = Wanted::new(model, site, &config.secrets, observed);
    let (deployment, predictors) = objects::seldon_deployment(model, site, &wanted, !observed.lacks_metrics_v2);
    let gateway = site.gateway.of(model).cloned();
    let mut planned = PlannedModel {
        model: model.clone(),
        deployment,
        secrets: wanted.secrets,
        predictors,
        last: None,
        left_out: (observed.lacks_metrics_v2 && asks_metrics_v2(model)).then_some(NO_METRICS_V2),
        unsaid: Vec::new(),
        gateway,
        route: Route::Kept,
    };
    let live = traffic::Live::read(model, site, observed);
    let traffic = traffic::traffic(&planned, &live, observed);
    traffic::keep(&mut planned.deployment, traffic.leaving.clone());
    history::keep(&mut planned, observed, &site.identity().manager());
    secrets::mark(&mut planned, observed);
    // What somebody has asked for goes before what nobody has.
    let seldons = route::seldons_prefix(model, site)
        .filter(|prefix| !config.models.iter().any(|other| other.prefix.overlaps(prefix)));
    planned.route = match (&planned.gateway, &site.gateway) {
        (Some(gateway), related) => {
            let route = route::virtual_service(&planned, site, gateway, &traffic, seldons.as_ref());
            if related.language() == Language::GatewayApi {
                planned.unsaid = http_route::unsaid(model);
                Route::SetHttp(Box::new(http_route::http_route(&route, model, gateway)))
            } else {
                Route::Set(Box::new(route))
            }
        }
        (None, RelatedGateway::Missing) => Route::Gone,
        (None, _) => Route::Kept,
    };
    route::mark(&mut planned, site, observed);
    planned
}

/// What a Seldon before 1.15 leaves out.
const NO_METRICS_V2: &str = "but autoscale.metrics is left out, as this Seldon Core is older than 1.15: juju refresh seldon-core, or say cpu and memory";

/// Whether a model is to be scaled by metrics that only the words of autoscaling/v2 can say.
#[must_use]
pub fn asks_metrics_v2(model: &Model) -> bool {
    let servers = [Some(&model.server), model.canary.as_ref().map(|canary| &canary.server)];
    let shadow = model.shadow.as_ref().map(|shadow| &shadow.server);
    servers.into_iter().chain([shadow]).flatten().any(|server| {
        let by = server.autoscale.as_ref().map(|autoscale| &autoscale.by);
        matches!(by, Some(Scaler::Load { metrics, .. }) if !metrics.is_empty())
    })
}
