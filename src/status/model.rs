//! What keeps a model from serving what is configured.

use std::cmp::Ordering;

use super::problem::{GatewayProblem, Problem, Rollout};
use super::{StatusInput, messages, pod_failures};
use crate::api::pods::Deployment;
use crate::config::value::Scaler;
use crate::gateway::route_condition::{RouteCondition, route_condition};
use crate::gateway::workload::Workload;
use crate::identity::route_name;
use crate::inputs::gateway::RelatedGateway;
use crate::observed::Observed;
use crate::plan::readiness;
use crate::plan::served::{self, NotServed};
use crate::plan::types::Enforcement;
use crate::plan::{Plan, PlannedModel, PlannedRoute};

/// The first problem of a model; one that requires action before one that does not.
pub fn problem(input: &StatusInput, planned: &PlannedModel) -> Option<Problem> {
    let name = &planned.model.name;
    if let Some(conflict) = input.changes.conflicts.get(name) {
        return Some(Problem::Conflict(conflict.clone()));
    }
    if let Some(error) = input.rejected.get(name) {
        return Some(Problem::Rejected(error.clone()));
    }
    let pods = not_ready(input, planned);
    let not_applied = input.changes.has_pending(name).then_some(if input.wrote {
        Rollout::PartlyApplied
    } else {
        Rollout::NotApplied
    });
    let unsupported = planned.unsupported.first();
    // Among equals what is nearer to the operator comes first. While pods start they say more than their missing Service.
    let problems = [
        not_applied.map(Problem::Rollout),
        no_route(input, planned).map(Problem::Gateway),
        pods,
        unresolved_refs(input, planned).map(Problem::Gateway),
        not_enforced(planned).map(Problem::Gateway),
        not_served(input, planned).map(Problem::Gateway),
        is_not_scaled(input, planned).then_some(Problem::NotAutoscaled),
        unsupported.map(|unsupported| Problem::Unsupported(*unsupported)),
    ];
    let state = |problem: &Problem| messages::of_model(input, planned, problem).state;
    problems
        .into_iter()
        .flatten()
        .reduce(|first, next| match state(&next).cmp(&state(&first)) {
            Ordering::Greater => next,
            Ordering::Equal | Ordering::Less => first,
        })
}

/// Why no request gets to the model, its pods aside.
pub fn no_route(input: &StatusInput, planned: &PlannedModel) -> Option<GatewayProblem> {
    let model = &planned.model;
    let Some(gateway) = &planned.gateway else {
        return Some(unknown_gateway(input, planned));
    };
    let Some(listeners) = input.observed.gateways.get(gateway) else {
        return Some(GatewayProblem::Missing {
            gateway: gateway.clone(),
            provider: match input.gateway {
                RelatedGateway::Known { by, .. } if model.gateway.is_none() => Some(by.application.clone()),
                _ => None,
            },
        });
    };
    if !listeners.accepts(&model.hosts) {
        return Some(if listeners.hosts.is_empty() {
            GatewayProblem::ClosedToNamespace(gateway.clone())
        } else {
            GatewayProblem::HostsNotServed {
                gateway: gateway.clone(),
                served: listeners.hosts.clone(),
            }
        });
    }
    if let (None, RelatedGateway::Known { up, by, .. }) = (&model.gateway, input.gateway)
        && ((!up && !input.observed.ready_gateways.contains(gateway)) || listeners.down)
    {
        return Some(GatewayProblem::Down {
            gateway: gateway.clone(),
            provider: by.application.clone(),
        });
    }
    route_problem(input, planned).filter(|problem| !is_unresolved(problem))
}

/// Whether the gateway does not find the Service of the model's HTTPRoute, as before Seldon has created it.
fn unresolved_refs(input: &StatusInput, planned: &PlannedModel) -> Option<GatewayProblem> {
    route_problem(input, planned).filter(is_unresolved)
}

/// Why the gateway takes requests without a token, or may.
pub fn not_enforced(planned: &PlannedModel) -> Option<GatewayProblem> {
    let gateway = planned.gateway.clone()?;
    match planned.access.as_ref()?.enforcement.clone() {
        Enforcement::Enforced => None,
        Enforcement::Yet => Some(GatewayProblem::AccessNotEnforcedYet(gateway)),
        Enforcement::NotInTime => Some(GatewayProblem::AccessNotEnforced(gateway)),
        Enforcement::NoPlace(Workload::Ambiguous(namespaces)) => {
            Some(GatewayProblem::AccessAmbiguous { gateway, namespaces })
        }
        Enforcement::NoPlace(_) => Some(GatewayProblem::AccessWithoutPods(gateway)),
        Enforcement::Unsupported => Some(GatewayProblem::AccessUnsupported(gateway)),
    }
}

/// Whether the gateway serves another route than the current one, as far as a query showed.
fn not_served(input: &StatusInput, planned: &PlannedModel) -> Option<GatewayProblem> {
    let gateway = planned.gateway.clone()?;
    Some(match served::not_served(planned, input.observed, input.manager)? {
        NotServed::Yet => GatewayProblem::RouteNotServedYet(gateway),
        NotServed::InTime => GatewayProblem::RouteNotServed(gateway),
    })
}

fn is_unresolved(problem: &GatewayProblem) -> bool {
    matches!(problem, GatewayProblem::UnresolvedRefs { .. })
}

/// The problem that a gateway reports of a model's HTTPRoute.
fn route_problem(input: &StatusInput, planned: &PlannedModel) -> Option<GatewayProblem> {
    let gateway = planned.gateway.clone()?;
    let PlannedRoute::HttpRoute(_) = &planned.route else {
        return None;
    };
    // A missing HTTPRoute is pending, which is a problem of its own.
    let name = route_name(&planned.model.name);
    let live = input.observed.http_route(&name)?;
    match route_condition(live, &gateway) {
        RouteCondition::Accepted => None,
        RouteCondition::Pending => Some(GatewayProblem::RoutePending(gateway)),
        RouteCondition::Rejected(why) => Some(GatewayProblem::RouteRejected { gateway, why }),
        RouteCondition::UnresolvedRefs(why) => Some(GatewayProblem::UnresolvedRefs { gateway, why }),
    }
}

/// Why the gateway of a model has no name.
pub fn unknown_gateway(input: &StatusInput, planned: &PlannedModel) -> GatewayProblem {
    match (&planned.model.gateway, input.gateway) {
        (Some(option), related) if related.by_metadata().is_some() => {
            related
                .by_metadata()
                .map_or(GatewayProblem::None, |related| GatewayProblem::OptionAndRelation {
                    option: option.clone(),
                    related: related.clone(),
                })
        }
        (_, RelatedGateway::Pending(provider)) => GatewayProblem::NotNamed(provider.clone()),
        (_, RelatedGateway::Ambiguous(providers)) => GatewayProblem::Several(providers.clone()),
        (_, RelatedGateway::None | RelatedGateway::Known { .. }) => GatewayProblem::None,
    }
}

/// Why the pods do not serve what is configured.
pub fn not_ready(input: &StatusInput, planned: &PlannedModel) -> Option<Problem> {
    let name = &planned.model.name;
    match input.observed.seldon_deployment(name) {
        None => return Some(Problem::Rollout(Rollout::NoSeldonDeployment)),
        Some(object) if object.metadata.deletion_timestamp.is_some() => {
            return Some(Problem::Rollout(Rollout::BeingDeleted));
        }
        Some(_) => {}
    }
    if readiness::is_ready(planned, input.observed) {
        return None;
    }
    let deployments: Vec<&Deployment> = input.observed.deployments_of(name).collect();
    pod_failures::find(input, planned, &deployments)
        .or_else(|| Some(Problem::Rollout(rollout(input, planned, deployments.is_empty()))))
}

/// How far a model is that just takes its time.
fn rollout(input: &StatusInput, planned: &PlannedModel, has_no_deployments: bool) -> Rollout {
    let name = &planned.model.name;
    let previous_serves = input.previous_serves(planned);
    let late = planned
        .predictors
        .iter()
        .find(|predictor| !readiness::predictor_is_rolled_out(name, predictor, input.observed))
        // The first predictor is the model itself.
        .filter(|late| planned.predictors.first().is_some_and(|first| first.name != late.name));
    if let (Some(late), true) = (late, previous_serves) {
        let predictor = late.name.clone();
        return if readiness::predictor_is_available(name, late, input.observed) {
            Rollout::PredictorRollingOut(predictor)
        } else {
            Rollout::PredictorStarting(predictor)
        };
    }
    if has_no_deployments && input.observed.state(name).state.is_empty() {
        Rollout::NoPods
    } else if planned.is_stopped() {
        Rollout::Stopping
    } else if previous_serves {
        Rollout::RollingOut
    } else {
        Rollout::Starting
    }
}

/// Whether a model that KEDA is to scale is not: it gets one pod and no condition from a Seldon Core without KEDA.
pub fn is_not_scaled(input: &StatusInput, planned: &PlannedModel) -> bool {
    let model = &planned.model;
    let by = model.server.autoscale.as_ref().map(|autoscale| &autoscale.by);
    let state = input.observed.state(&model.name);
    let runs = state
        .conditions
        .iter()
        .any(|condition| condition.kind == "KedaReady" && condition.status == "True");
    let is_known = state.state == "Available" && !planned.is_stopped();
    is_known && !runs && matches!(by, Some(Scaler::Keda(_)))
}

/// Whether a model does not serve for a reason that its pods may know.
pub fn needs_pods(plan: &Plan, observed: &Observed) -> bool {
    !observed.deployments.is_empty()
        && plan
            .models
            .iter()
            .any(|planned| !readiness::is_ready(planned, observed))
}
