//! Claims of other routes on hosts and paths.

mod http_route;
mod virtual_service;

use kube::ResourceExt as _;
use kube::api::DynamicObject;

use super::model_of;
use crate::identity::{Identity, route_name};
use crate::observed::Observed;
use crate::plan::Plan;

pub use http_route::HttpRouteClaim;
pub use virtual_service::RouteClaim;

pub struct Claims {
    /// Of VirtualServices.
    pub istio: Vec<RouteClaim>,
    /// Of HTTPRoutes.
    pub gateway: Vec<HttpRouteClaim>,
}

impl Claims {
    /// Leaves out planned routes, by namespace and name, and those of ours that are about to be deleted.
    pub fn other_routes(plan: &Plan, observed: &Observed, identity: &Identity) -> Self {
        let is_other = |object: &&DynamicObject| {
            let is_deleted = plan.prune && identity.owns(object) && !plan.frozen.contains(&model_of(object));
            !is_planned(object, plan, identity) && !is_deleted
        };
        Self {
            istio: observed
                .virtual_services
                .iter()
                .filter(is_other)
                .map(RouteClaim::from_object)
                .collect(),
            gateway: observed
                .http_routes
                .iter()
                .filter(is_other)
                .map(HttpRouteClaim::read)
                .collect(),
        }
    }
}

/// Whether a route belongs to a planned model, be it of the planned kind or of the other one, which is about to be
/// deleted.
pub fn is_planned(object: &DynamicObject, plan: &Plan, identity: &Identity) -> bool {
    let name = object.name_any();
    identity.has_our_labels(object)
        && plan
            .models
            .iter()
            .any(|planned| name == route_name(&planned.model.name))
}
