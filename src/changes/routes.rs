//! When routes of ours may be deleted.

use std::collections::BTreeSet;

use kube::api::DynamicObject;

use super::model_of;
use crate::gateway::claims::{ClaimReader, ModelRequests, RequestKind, RouteClaim};
use crate::gateway::route_condition::{self, RouteCondition};
use crate::identity::{Identity, route_name};
use crate::labels::ObjectKind;
use crate::observed::Observed;
use crate::plan::readiness::is_ready;
use crate::plan::{Plan, PlannedModel, PlannedRoute};

/// Models that are no longer configured, but whose requests a planned model takes over that is not ready yet: they
/// are kept until it is.
pub fn deferred(plan: &Plan, observed: &Observed, identity: &Identity) -> BTreeSet<String> {
    let successors: Vec<&PlannedModel> = plan
        .models
        .iter()
        .filter(|successor| !is_ready(successor, observed))
        .collect();
    let requests: Vec<_> = successors
        .iter()
        .filter_map(|successor| successor.requests(&identity.namespace))
        .collect();
    let mut reader = ClaimReader::new(&requests, &observed.gateways);
    let mut is_taken_over = |kind, object: &DynamicObject| {
        let claim = reader.read_object(kind, object);
        successors.iter().any(|successor| {
            let of_kind = (kind == ObjectKind::HttpRoute) == matches!(successor.route, PlannedRoute::HttpRoute(_));
            of_kind && claim.overlaps(&successor.model.name, RequestKind::Http)
        })
    };
    let is_retired = |object: &DynamicObject| identity.owns(object) && plan.model(&model_of(object)).is_none();
    let retired = observed.routes().filter(|(_, object)| is_retired(object));
    let taken_over = retired.filter(|(kind, object)| is_taken_over(*kind, object));
    taken_over.map(|(_, object)| model_of(object)).collect()
}

/// Whether a VirtualService matches every path of an Istio gateway that a model uses. Ours never do.
pub fn has_catch_all(requests: &[ModelRequests], observed: &Observed, identity: &Identity) -> bool {
    let mut reader = ClaimReader::new(requests, &observed.gateways);
    let near = observed.virtual_services.iter();
    let mut near = near.filter(|object| !identity.has_our_labels(object));
    let is_one = |claim: &RouteClaim| claim.kind == ObjectKind::VirtualService && claim.has_catch_all();
    observed.other_routes.iter().any(is_one)
        || near.any(|object| reader.read_object(ObjectKind::VirtualService, object).has_catch_all())
}

/// Whether a route is kept while its model is. A route of the kind that is no longer planned is kept until the new
/// one works.
pub fn is_kept(kind: ObjectKind, planned: &PlannedModel, observed: &Observed) -> bool {
    match (&planned.route, kind) {
        (PlannedRoute::Delete, _) => false,
        (PlannedRoute::HttpRoute(_), ObjectKind::VirtualService) => !is_accepted(planned, observed),
        // A VirtualService has no status; it works once it and its gateway exist.
        (PlannedRoute::VirtualService(_), ObjectKind::HttpRoute) => {
            let gateway = planned.gateway.as_ref();
            let route = route_name(&planned.model.name);
            observed.virtual_service(&route).is_none()
                || gateway.is_none_or(|gateway| !observed.gateways.contains_key(gateway))
        }
        _ => true,
    }
}

fn is_accepted(planned: &PlannedModel, observed: &Observed) -> bool {
    route_condition(planned, observed) == Some(RouteCondition::Accepted)
}

/// Whether a gateway has yet to report whether it accepts one of our HTTPRoutes, which takes a second or two.
pub fn awaits_propagation(plan: &Plan, observed: &Observed) -> bool {
    let routes = plan
        .models
        .iter()
        .filter(|planned| matches!(planned.route, PlannedRoute::HttpRoute(_)));
    routes
        .map(|planned| route_condition(planned, observed))
        .any(|condition| condition == Some(RouteCondition::Pending))
}

fn route_condition(planned: &PlannedModel, observed: &Observed) -> Option<RouteCondition> {
    let route = observed.http_route(&route_name(&planned.model.name))?;
    Some(route_condition::route_condition(route, planned.gateway.as_ref()?))
}
