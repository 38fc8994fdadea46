//! The checks of everything that a request to a model passes, in that order.

use std::fmt::Write as _;

use kube::ResourceExt as _;

use super::gateway_endpoints::{Ambiguity, GatewayEndpoints, Service};
use crate::api::pods::Deployment;
use crate::changes::ApplyMode;
use crate::gateway::listeners::Listeners;
use crate::gateway::revision::Served;
use crate::identity::route_name;
use crate::labels::ObjectKind;
use crate::plan::readiness;
use crate::plan::types::PlannedAccess;
use crate::plan::{PlannedModel, PlannedRoute};
use crate::shell::command;
use crate::status::model::{is_not_scaled, no_route, not_enforced, not_ready, unknown_gateway};
use crate::status::problem::{Problem, Rollout};
use crate::status::{StatusInput, messages, pod_failures, stalled};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The name in results.
    pub name: &'static str,
    pub state: CheckState,
    /// What was observed, or why it fails with the command to run.
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckState {
    Passed,
    /// Requests get no further, or not to what is configured.
    Failed,
    /// It could not be observed.
    Unknown,
}

/// What only the checks need of the cluster.
#[derive(Debug, Clone, Copy)]
pub struct ClusterContext<'a> {
    /// The endpoints of the model's gateway, if it has one.
    pub endpoints: Option<&'a GatewayEndpoints>,
    /// The Services of the namespace, if they could be listed.
    pub services: Option<&'a [Service]>,
}

/// All checks of a model, in the order in which a request passes what they check.
pub fn checks(input: &StatusInput, planned: &PlannedModel, context: ClusterContext) -> Vec<Check> {
    let deployments: Vec<&Deployment> = input.observed.deployments_of(&planned.model.name).collect();
    let access = planned
        .access
        .as_ref()
        .map(|planned_access| access(input, planned, planned_access));
    let before = [
        check("route", route(input, planned)),
        gateway(input, planned, context.endpoints),
    ];
    let behind = [
        route_object(input, planned),
        served(input, planned, context),
        check("seldon-deployment", seldon_deployment(input, planned)),
        service(input, planned, context.services),
        check("deployment", deployment(input, planned)),
        check("pods", pods(input, planned, &deployments)),
        check("seldon", seldon(input, planned)),
    ];
    before.into_iter().chain(access).chain(behind).collect()
}

pub fn first_failed(checks: &[Check]) -> Option<&Check> {
    checks.iter().find(|check| check.state == CheckState::Failed)
}

fn check(name: &'static str, outcome: Result<String, String>) -> Check {
    let (state, text) = match outcome {
        Ok(text) => (CheckState::Passed, text),
        Err(text) => (CheckState::Failed, text),
    };
    Check { name, state, text }
}

fn text(input: &StatusInput, planned: &PlannedModel, problem: &Problem) -> String {
    messages::of_model(input, planned, problem).to_string()
}

/// Whether the gateway is known, and the prefix is free.
fn route(input: &StatusInput, planned: &PlannedModel) -> Result<String, String> {
    let model = &planned.model;
    if let Some(conflict) = input.changes.conflicts.get(&model.name) {
        return Err(text(input, planned, &Problem::Conflict(conflict.clone())));
    }
    match &planned.gateway {
        Some(gateway) => Ok(format!(
            "{} of hosts {} at {gateway}",
            model.prefix,
            model.hosts.join(", ")
        )),
        None => Err(text(input, planned, &Problem::Gateway(unknown_gateway(input, planned)))),
    }
}

fn gateway(input: &StatusInput, planned: &PlannedModel, endpoints: Option<&GatewayEndpoints>) -> Check {
    const NAME: &str = "gateway";
    let fail = |text| check(NAME, Err(text));
    if let Some(problem) = no_route(input, planned) {
        return fail(text(input, planned, &Problem::Gateway(problem)));
    }
    let Some(name) = &planned.gateway else {
        return fail("the model has no gateway".to_owned());
    };
    let Some(listeners) = input.observed.gateways.get(name) else {
        return fail(format!("gateway {name} does not exist"));
    };
    let Some(endpoints) = endpoints else {
        return check(NAME, Ok(accepted_hosts(listeners)));
    };
    if let Some(Ambiguity { cause, command }) = endpoints.ambiguity(name, listeners) {
        // Traffic may well flow: Istio configures all of them.
        return Check {
            name: NAME,
            state: CheckState::Unknown,
            text: format!("{cause}. Run: {command}"),
        };
    }
    if let Some(pods) = &endpoints.pods
        && !pods.iter().any(|pod| pod.ready)
    {
        let selector = listeners.label_selector().unwrap_or_default();
        return fail(match pods.first() {
            Some(pod) => format!(
                "gateway {name} has no ready pod. Run: {} (0 of {} pods ready)",
                command(&["kubectl", "-n", &pod.namespace, "get", "pods", "-l", &selector]),
                pods.len()
            ),
            None => format!(
                "gateway {name} has no pods. Run: {} (no pod has the labels {selector})",
                command(&["juju", "status"])
            ),
        });
    }
    if endpoints.services.as_ref().is_some_and(Vec::is_empty) {
        return fail(format!(
            "gateway {name} has no Service. Run: {} (no Service selects its pods)",
            command(&["juju", "status"])
        ));
    }
    let mut observed = vec![accepted_hosts(listeners)];
    for service in endpoints.services.iter().flatten() {
        let kind = if service.kind.is_empty() {
            "Service"
        } else {
            &service.kind
        };
        observed.push(format!("{kind} {}/{}", service.namespace, service.name));
    }
    if let Some(pods) = &endpoints.pods {
        let ready = pods.iter().filter(|pod| pod.ready).count();
        observed.push(format!("{ready} of {} pods ready", pods.len()));
    }
    let is_complete = endpoints.pods.is_some() && endpoints.services.is_some();
    if !is_complete {
        observed.extend(endpoints.unknown.iter().cloned());
    }
    Check {
        name: NAME,
        state: if is_complete {
            CheckState::Passed
        } else {
            CheckState::Unknown
        },
        text: observed.join("; "),
    }
}

/// Whether the gateway takes requests with a token only.
fn access(input: &StatusInput, planned: &PlannedModel, access: &PlannedAccess) -> Check {
    const NAME: &str = "access";
    if let Some(problem) = not_enforced(planned) {
        return check(NAME, Err(text(input, planned, &Problem::Gateway(problem))));
    }
    let model = &planned.model;
    let gateway = planned.gateway.as_ref().map(ToString::to_string).unwrap_or_default();
    let mut text = model.access.as_ref().map(ToString::to_string).unwrap_or_default();
    if model.access.as_ref().is_some_and(|access| access.header.is_none()) {
        let _ = write!(
            text,
            "; a bearer token of any other issuer is answered by 401 on every path of gateway {gateway}, unless header names \
             another header"
        );
    }
    let is_shown = input.observed.enforced.get(&model.name) == Some(&Served::Current);
    if !is_shown {
        let urls = format!("skip-auth-urls={}", model.prefix);
        let _ = write!(
            text,
            "; gateway {gateway} does not show whether it enforces that. With a login in front of it, let the path through: {} \
             (add what it has already)",
            command(&["juju", "config", "oidc-gatekeeper", &urls])
        );
    }
    let _ = write!(text, "; policies {}", policy_names(access));
    Check {
        name: NAME,
        state: if is_shown {
            CheckState::Passed
        } else {
            CheckState::Unknown
        },
        text,
    }
}

/// Both policies have one name.
fn policy_names(access: &PlannedAccess) -> String {
    let policy = access.policies.first();
    policy.map_or_else(String::new, |policy| format!("{}/{}", policy.namespace, policy.name))
}

fn accepted_hosts(listeners: &Listeners) -> String {
    let protocols = match (listeners.http, listeners.https) {
        (true, true) => "http and https",
        (false, true) => "https",
        _ => "http",
    };
    if listeners.hosts.is_empty() {
        "exists".to_owned()
    } else {
        format!("accepts {} over {protocols}", listeners.hosts.join(", "))
    }
}

/// A change of the object that is not applied yet.
fn pending(input: &StatusInput, planned: &PlannedModel, kind: ObjectKind) -> Option<String> {
    let mut applies = input
        .changes
        .applies
        .iter()
        .filter(|apply| apply.mode != ApplyMode::Record);
    let pending = applies.find(|apply| apply.model == planned.model.name && apply.kind == kind)?;
    if let Some(error) = input.rejected.get(&planned.model.name) {
        return Some(text(input, planned, &Problem::Rejected(error.clone())));
    }
    Some(format!(
        "{} {}: waiting for the leader unit to apply it, within five minutes ({})",
        kind.as_str(),
        pending.name,
        pending.reason
    ))
}

/// The VirtualService, or the HTTPRoute of a gateway of the Gateway API.
fn route_object(input: &StatusInput, planned: &PlannedModel) -> Check {
    let name = route_name(&planned.model.name);
    let (check_name, kind, live) = match planned.route {
        PlannedRoute::HttpRoute(_) => ("http-route", ObjectKind::HttpRoute, input.observed.http_route(&name)),
        _ => (
            "virtual-service",
            ObjectKind::VirtualService,
            input.observed.virtual_service(&name),
        ),
    };
    let outcome = match (pending(input, planned, kind), live) {
        (Some(pending), _) => Err(pending),
        (None, Some(_)) => Ok(format!("{name} is up to date")),
        (None, None) => Err(format!("{} {name} does not exist", kind.as_str())),
    };
    check(check_name, outcome)
}

/// Whether the gateway serves the current route.
fn served(input: &StatusInput, planned: &PlannedModel, context: ClusterContext) -> Check {
    const NAME: &str = "served";
    let gateway = planned.gateway.as_ref();
    let name = gateway.map_or_else(|| "the gateway".to_owned(), |gateway| format!("gateway {gateway}"));
    let answer = input.observed.served.get(&planned.model.name).copied();
    match answer.unwrap_or(Served::Unknown) {
        Served::Current => check(NAME, Ok(format!("{name} serves its current route"))),
        Served::Unknown => Check {
            name: NAME,
            state: CheckState::Unknown,
            text: format!("{name} does not show which route it serves"),
        },
        Served::Stale => {
            let listeners = gateway.and_then(|gateway| input.observed.gateways.get(gateway));
            let selector = listeners.and_then(Listeners::label_selector).unwrap_or_default();
            let pods = context.endpoints.and_then(|endpoints| endpoints.pods.as_ref());
            let pod = pods.and_then(|pods| pods.first()).map(|pod| pod.namespace.as_str());
            let namespace = pod.or(gateway.map(|gateway| gateway.namespace.as_str()));
            let namespace = namespace.unwrap_or_default();
            let logs = command(&["kubectl", "-n", namespace, "logs", "-l", &selector, "--tail=-1"]);
            let text = format!(
                "{}: {name} does not serve its current route. Run: {logs} (look for `rejected`: a single route that Envoy \
                 rejects, whoever wrote it, keeps it from serving new ones)",
                planned.model.name
            );
            check(NAME, Err(text))
        }
    }
}

fn seldon_deployment(input: &StatusInput, planned: &PlannedModel) -> Result<String, String> {
    let name = &planned.model.name;
    if let Some(pending) = pending(input, planned, ObjectKind::SeldonDeployment) {
        return Err(pending);
    }
    match input.observed.seldon_deployment(name) {
        None => Err(format!("SeldonDeployment {name} does not exist")),
        Some(object) if object.metadata.deletion_timestamp.is_some() => {
            Err(text(input, planned, &Problem::Rollout(Rollout::BeingDeleted)))
        }
        Some(_) => Ok(format!("{name} is up to date")),
    }
}

/// Seldon has not created something yet. A slow operator cannot be distinguished from one that does not run.
fn not_created(planned: &PlannedModel, what: &str) -> String {
    format!(
        "{}: waiting for Seldon Core to create its {what}. Run: juju status seldon-core (if this lasts)",
        planned.model.name
    )
}

fn service(input: &StatusInput, planned: &PlannedModel, services: Option<&[Service]>) -> Check {
    const NAME: &str = "service";
    let Some(services) = services else {
        return Check {
            name: NAME,
            state: CheckState::Unknown,
            text: "the Services of the namespace cannot be listed".to_owned(),
        };
    };
    let mut predictors = planned.predictors.iter();
    let is_missing = |service: &str| !services.iter().any(|known| known.name == service);
    if let Some(predictor) = predictors.find(|predictor| is_missing(&predictor.service)) {
        let what = format!("Service {}", predictor.service);
        return check(NAME, Err(not_created(planned, &what)));
    }
    let shown = planned.predictors.iter().map(|predictor| {
        let ports = input.observed.ports(&planned.model.name, &predictor.service);
        format!("{}:{}", predictor.service, ports.http)
    });
    check(NAME, Ok(shown.collect::<Vec<_>>().join(", ")))
}

/// Whether Seldon has created every Deployment of the current spec, ready or not.
fn deployment(input: &StatusInput, planned: &PlannedModel) -> Result<String, String> {
    let mut names = Vec::new();
    for predictor in &planned.predictors {
        let model = &planned.model.name;
        let all = input.observed.deployments_of_predictor(model, &predictor.name);
        let all: Vec<&Deployment> = all.collect();
        if all.is_empty() {
            return Err(not_created(planned, "Deployment"));
        }
        let up_to_date = all
            .iter()
            .filter(|deployment| readiness::has_spec_hash(deployment, &predictor.hash));
        if up_to_date.count() < predictor.deployments {
            if let Some(stalled) = stalled::find(input, planned, &all) {
                return Err(text(input, planned, &Problem::Stalled(stalled)));
            }
            return Err(format!(
                "{}: waiting for Seldon Core to update its Deployment. Run: juju status seldon-core (if this lasts)",
                messages::predictor_prefix(planned, &predictor.name)
            ));
        }
        names.extend(all.iter().map(|deployment| deployment.name_any()));
    }
    Ok(names.join(", "))
}

fn pods(input: &StatusInput, planned: &PlannedModel, deployments: &[&Deployment]) -> Result<String, String> {
    if !readiness::is_rolled_out(planned, input.observed) {
        let failure = pod_failures::find(input, planned, deployments);
        let why = failure.or_else(|| not_ready(input, planned));
        return Err(why.map_or_else(
            || format!("{}: starting", planned.model.name),
            |problem| text(input, planned, &problem),
        ));
    }
    let available = |deployment: &&Deployment| {
        let status = deployment.status.as_ref();
        status.map_or(0, |status| status.available_replicas)
    };
    Ok(format!("{} ready", deployments.iter().map(available).sum::<i64>()))
}

fn seldon(input: &StatusInput, planned: &PlannedModel) -> Result<String, String> {
    if is_not_scaled(input, planned) {
        return Err(text(input, planned, &Problem::NotAutoscaled));
    }
    let state = input.observed.state(&planned.model.name);
    if readiness::is_ready(planned, input.observed) {
        return Ok(format!("reports {}", state.state));
    }
    let why = if state.description.is_empty() {
        String::new()
    } else {
        format!(" ({})", state.description)
    };
    Err(match state.state.as_str() {
        "" => not_created(planned, "state"),
        state => format!(
            "{}: Seldon Core reports {state}{why}, not Available",
            planned.model.name
        ),
    })
}
