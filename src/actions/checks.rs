//! The way of a request to a model, link by link, and which of them is the first that is broken.

use kube::ResourceExt as _;

use super::gateway_endpoints::{GatewayEndpoints, Service};
use crate::api::pods::Deployment;
use crate::gateway::listeners::Listeners;
use crate::identity::route_name;
use crate::labels::ObjectKind;
use crate::plan::readiness;
use crate::plan::{PlannedModel, Route};
use crate::shell::command;
use crate::status::{StatusInput, messages, no_route, not_ready, not_scaled, pod_failures, stalled};

/// One link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Its name, as results have it.
    pub name: &'static str,
    /// How it is.
    pub state: CheckState,
    /// What was seen, or why it is broken and what to type.
    pub text: String,
}

/// How a link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckState {
    /// As it should be.
    Passed,
    /// Requests get no further, or not to what was asked for.
    Failed,
    /// It could not be looked at.
    Unknown,
}

/// What was found beside a case, for this alone.
#[derive(Debug, Clone, Copy)]
pub struct ClusterContext<'a> {
    /// The ways into the model's gateway, if there is one.
    pub endpoints: Option<&'a GatewayEndpoints>,
    /// The Services of our namespace, if they could be listed.
    pub services: Option<&'a [Service]>,
}

/// All links of a model, in the order in which a request takes them.
pub fn checks(input: &StatusInput, planned: &PlannedModel, around: ClusterContext) -> Vec<Check> {
    let deployments: Vec<&Deployment> = input.observed.deployments_of(&planned.model.name).collect();
    vec![
        check("route", route(input, planned)),
        gateway(input, planned, around.endpoints),
        route_object(input, planned),
        check("seldon-deployment", seldon_deployment(input, planned)),
        service(input, planned, around.services),
        check("deployment", deployment(input, planned)),
        check("pods", pods(input, planned, &deployments)),
        check("seldon", seldon(input, planned)),
    ]
}

/// The first that is broken.
pub fn first_failed(links: &[Check]) -> Option<&Check> {
    links.iter().find(|link| link.state == CheckState::Failed)
}

fn check(name: &'static str, found: Result<String, String>) -> Check {
    let (state, text) = match found {
        Ok(text) => (CheckState::Passed, text),
        Err(text) => (CheckState::Failed, text),
    };
    Check { name, state, text }
}

/// Whether a way in is known, and nobody else has it.
fn route(input: &StatusInput, planned: &PlannedModel) -> Result<String, String> {
    let model = &planned.model;
    if let Some(conflict) = input.changes.conflicts.get(&model.name) {
        return Err(messages::conflict(input, model, conflict).to_string());
    }
    match &planned.gateway {
        Some(gateway) => Ok(format!("{} of {} at {gateway}", model.prefix, model.hosts.join(", "))),
        None => Err(messages::unknown_gateway(input, model).to_string()),
    }
}

fn gateway(input: &StatusInput, planned: &PlannedModel, endpoints: Option<&GatewayEndpoints>) -> Check {
    const NAME: &str = "gateway";
    let fail = |text| check(NAME, Err(text));
    if let Some(problem) = no_route(input, planned) {
        return fail(problem.to_string());
    }
    let listeners = planned.gateway.as_ref().and_then(|of| input.observed.gateways.get(of));
    let (Some(name), Some(listeners)) = (&planned.gateway, listeners) else {
        return fail("it is not there".to_owned());
    };
    let Some(endpoints) = endpoints else {
        return check(NAME, Ok(accepted_hosts(listeners)));
    };
    if let Some(pods) = &endpoints.pods
        && !pods.iter().any(|pod| pod.ready)
    {
        let selector = listeners.selector.iter();
        let selector: Vec<String> = selector.map(|(key, value)| format!("{key}={value}")).collect();
        let selector = selector.join(",");
        return fail(match pods.first() {
            Some(pod) => format!(
                "none of the {} pods of the gateway {name} is ready: {}",
                pods.len(),
                command(&["kubectl", "-n", &pod.namespace, "get", "pods", "-l", &selector])
            ),
            None => format!(
                "the gateway {name} has no pods (none is labelled {selector}); look at juju status of its application"
            ),
        });
    }
    if endpoints.services.as_ref().is_some_and(Vec::is_empty) {
        return fail(format!(
            "no Service leads to the pods of the gateway {name}, so nobody reaches them; look at juju status of its application"
        ));
    }
    let mut seen = vec![accepted_hosts(listeners)];
    for service in endpoints.services.iter().flatten() {
        let kind = if service.kind.is_empty() {
            "Service"
        } else {
            &service.kind
        };
        seen.push(format!("{kind} {}/{}", service.namespace, service.name));
    }
    if let Some(pods) = &endpoints.pods {
        let ready = pods.iter().filter(|pod| pod.ready).count();
        seen.push(format!("{ready} of {} pods ready", pods.len()));
    }
    let is_seen = endpoints.pods.is_some() && endpoints.services.is_some();
    if !is_seen {
        seen.extend(endpoints.unknown.iter().cloned());
    }
    Check {
        name: NAME,
        state: if is_seen {
            CheckState::Passed
        } else {
            CheckState::Unknown
        },
        text: seen.join("; "),
    }
}

fn accepted_hosts(listeners: &Listeners) -> String {
    let by = match (listeners.http, listeners.https) {
        (true, true) => "http and https",
        (false, true) => "https",
        _ => "http",
    };
    if listeners.hosts.is_empty() {
        "there".to_owned()
    } else {
        format!("takes {} by {by}", listeners.hosts.join(", "))
    }
}

/// What is still to be applied, if anything.
fn due(input: &StatusInput, planned: &PlannedModel, kind: ObjectKind) -> Option<String> {
    let mut applies = input.changes.applies.iter().filter(|apply| !apply.is_record);
    let due = applies.find(|apply| apply.model == planned.model.name && apply.kind == kind)?;
    if let Some(error) = input.rejected.get(&planned.model.name) {
        return Some(messages::rejected(input, &planned.model, error).to_string());
    }
    Some(format!(
        "{} {} is not as asked ({}): the leader applies it in its next hook, within five minutes",
        kind.as_str(),
        due.name,
        due.because
    ))
}

/// What leads from the gateway to the model: a VirtualService, or an HTTPRoute at a gateway of the Gateway API.
fn route_object(input: &StatusInput, planned: &PlannedModel) -> Check {
    let name = route_name(&planned.model.name);
    let (option, kind, live) = match planned.route {
        Route::HttpRoute(_) => (
            "http-route",
            ObjectKind::HttpRoute,
            input.observed.http_route_in(input.namespace, &name),
        ),
        _ => (
            "virtual-service",
            ObjectKind::VirtualService,
            input.observed.virtual_service_in(input.namespace, &name),
        ),
    };
    let found = match (due(input, planned, kind), live) {
        (Some(due), _) => Err(due),
        (None, Some(_)) => Ok(format!("{name} is as asked")),
        (None, None) => Err(format!("there is no {} {name}", kind.as_str())),
    };
    check(option, found)
}

fn seldon_deployment(input: &StatusInput, planned: &PlannedModel) -> Result<String, String> {
    let name = &planned.model.name;
    if let Some(due) = due(input, planned, ObjectKind::SeldonDeployment) {
        return Err(due);
    }
    match input.observed.seldon_deployment(name) {
        None => Err(format!("there is no SeldonDeployment {name}")),
        Some(object) if object.metadata.deletion_timestamp.is_some() => {
            Err(format!("somebody is deleting {name}; it is made anew once it is gone"))
        }
        Some(_) => Ok(format!("{name} is as asked")),
    }
}

/// That Seldon has made nothing yet. One that takes its time is not told from one that does not run.
fn not_taken_up(planned: &PlannedModel, what: &str) -> String {
    format!(
        "Seldon Core has made no {what} of {} yet; if this stays, look at juju status seldon-core",
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
    let is_missing = |service: &str| !services.iter().any(|one| one.name == service);
    if let Some(predictor) = predictors.find(|predictor| is_missing(&predictor.service)) {
        let what = format!("Service {}", predictor.service);
        return check(NAME, Err(not_taken_up(planned, &what)));
    }
    let shown = planned.predictors.iter().map(|predictor| {
        let ports = input.observed.ports(&planned.model.name, &predictor.service);
        format!("{}:{}", predictor.service, ports.http)
    });
    check(NAME, Ok(shown.collect::<Vec<_>>().join(", ")))
}

/// Whether Seldon has made what was asked for, whatever has become of it.
fn deployment(input: &StatusInput, planned: &PlannedModel) -> Result<String, String> {
    let mut names = Vec::new();
    for predictor in &planned.predictors {
        let model = &planned.model.name;
        let all = input.observed.deployments_of_predictor(model, &predictor.name);
        let all: Vec<&Deployment> = all.collect();
        if all.is_empty() {
            return Err(not_taken_up(planned, "Deployment"));
        }
        let of_this_spec = all
            .iter()
            .filter(|deployment| readiness::has_spec_hash(deployment, &predictor.hash));
        if of_this_spec.count() < predictor.deployments {
            if let Some(stalled) = stalled::find(input, planned, &all) {
                return Err(stalled.to_string());
            }
            return Err(format!(
                "Seldon Core has not made what is asked for now of {} yet; if this stays, look at juju status seldon-core",
                messages::predictor_prefix(planned, &predictor.name)
            ));
        }
        names.extend(all.iter().map(|deployment| deployment.name_any()));
    }
    Ok(names.join(", "))
}

fn pods(input: &StatusInput, planned: &PlannedModel, deployments: &[&Deployment]) -> Result<String, String> {
    if !readiness::is_rolled_out(planned, input.observed) {
        let known = pod_failures::find(input, planned, deployments);
        let why = known.or_else(|| not_ready(input, planned));
        return Err(why.map_or_else(
            || format!("{} is starting", planned.model.name),
            |problem| problem.to_string(),
        ));
    }
    let available = |deployment: &&Deployment| {
        let status = deployment.status.as_ref();
        status.map_or(0, |status| status.available_replicas)
    };
    Ok(format!("{} ready", deployments.iter().map(available).sum::<i64>()))
}

fn seldon(input: &StatusInput, planned: &PlannedModel) -> Result<String, String> {
    if let Some(problem) = not_scaled(input, planned) {
        return Err(problem.to_string());
    }
    let state = input.observed.state(&planned.model.name);
    if readiness::is_ready(planned, input.observed) {
        return Ok(format!("says {}", state.state));
    }
    let why = if state.description.is_empty() {
        String::new()
    } else {
        format!(" ({})", state.description)
    };
    Err(match state.state.as_str() {
        "" => not_taken_up(planned, "state"),
        option => format!("Seldon Core calls {} {option}{why}, not Available", planned.model.name),
    })
}
