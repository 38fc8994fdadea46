//! When routes of ours may be deleted.

use std::collections::BTreeSet;

use kube::api::DynamicObject;

use super::claims::{HttpRouteClaim, RouteClaim};
use super::model_of;
use crate::config::Model;
use crate::gateway::route_condition::{self, RouteCondition};
use crate::gateway::{GatewayKind, GatewayName};
use crate::identity::{Identity, route_name};
use crate::inputs::gateway::RelatedGateway;
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
    let is_taken_over = |overlaps: &dyn Fn(&GatewayName, &Model) -> bool, is_virtual_service: bool| {
        successors.iter().any(|successor| {
            let gateway = successor.gateway.as_ref();
            is_virtual_service != matches!(successor.route, PlannedRoute::HttpRoute(_))
                && gateway.is_some_and(|gateway| overlaps(gateway, &successor.model))
        })
    };
    let is_retired = |object: &&DynamicObject| identity.owns(object) && plan.model(&model_of(object)).is_none();
    let virtual_services = observed.virtual_services.iter().filter(is_retired).filter(|object| {
        let claim = RouteClaim::from_object(object);
        is_taken_over(
            &|gateway, model| claim.overlaps(gateway, &model.hosts, &model.prefix),
            true,
        )
    });
    let http_routes = observed.http_routes.iter().filter(is_retired).filter(|object| {
        let claim = HttpRouteClaim::read(object);
        let overlaps = |gateway: &GatewayName, model: &Model| {
            let (hosts, prefix) = (&model.hosts, &model.prefix);
            claim.claims_prefix(gateway, hosts, prefix) || claim.claims_below(gateway, hosts, prefix)
        };
        is_taken_over(&overlaps, false)
    });
    virtual_services.chain(http_routes).map(model_of).collect()
}

/// Whether a VirtualService matches every path of an Istio gateway that a model uses. Ours never do.
pub fn has_catch_all(models: &[Model], related: &RelatedGateway, observed: &Observed, identity: &Identity) -> bool {
    let exposed: Vec<(&GatewayName, &Model)> = models
        .iter()
        .filter(|_| related.kind() == GatewayKind::Istio)
        .filter_map(|model| Some((related.for_model(model)?, model)))
        .collect();
    let others = observed
        .virtual_services
        .iter()
        .filter(|object| !identity.has_our_labels(object));
    others.map(RouteClaim::from_object).any(|claim| {
        exposed
            .iter()
            .any(|(gateway, model)| claim.is_catch_all(gateway, &model.hosts))
    })
}

/// Whether a route is kept while its model is. A route of the kind that is no longer planned is kept until the new
/// one works.
pub fn is_kept(kind: ObjectKind, planned: &PlannedModel, observed: &Observed, identity: &Identity) -> bool {
    match (&planned.route, kind) {
        (PlannedRoute::Delete, _) => false,
        (PlannedRoute::HttpRoute(_), ObjectKind::VirtualService) => !is_accepted(planned, observed, identity),
        // A VirtualService has no status; it works once it and its gateway exist.
        (PlannedRoute::VirtualService(_), ObjectKind::HttpRoute) => {
            let gateway = planned.gateway.as_ref();
            let route = route_name(&planned.model.name);
            observed.virtual_service(identity, &route).is_none()
                || gateway.is_none_or(|gateway| !observed.gateways.contains_key(gateway))
        }
        _ => true,
    }
}

fn is_accepted(planned: &PlannedModel, observed: &Observed, identity: &Identity) -> bool {
    route_condition(planned, observed, identity) == Some(RouteCondition::Accepted)
}

/// Whether a gateway has yet to report whether it accepts one of our HTTPRoutes, which takes a second or two.
pub fn awaits_propagation(plan: &Plan, observed: &Observed, identity: &Identity) -> bool {
    let routes = plan
        .models
        .iter()
        .filter(|planned| matches!(planned.route, PlannedRoute::HttpRoute(_)));
    routes
        .map(|planned| route_condition(planned, observed, identity))
        .any(|condition| condition == Some(RouteCondition::Pending))
}

fn route_condition(planned: &PlannedModel, observed: &Observed, identity: &Identity) -> Option<RouteCondition> {
    let route = observed.http_route_in(&identity.namespace, &route_name(&planned.model.name))?;
    Some(route_condition::route_condition(route, planned.gateway.as_ref()?))
}
