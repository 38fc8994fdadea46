//! The way of a request to a model, link by link, and which of them is the first that is broken.

use kube::ResourceExt as _;

use super::{Case, no_route, not_ready, not_scaled, reason, stalled, words};
use crate::entrance::{Entrance, Service};
use crate::identity::route_name;
use crate::istio::listeners::Listeners;
use crate::labels::ObjectKind;
use crate::observed::Deployment;
use crate::plan::readiness;
use crate::plan::{PlannedModel, Route};
use crate::shell::command;

/// One link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its name, as results have it.
    pub name: &'static str,
    /// How it is.
    pub state: LinkState,
    /// What was seen, or why it is broken and what to type.
    pub text: String,
}

/// How a link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkState {
    /// As it should be.
    Sound,
    /// Requests get no further, or not to what was asked for.
    Broken,
    /// It could not be looked at.
    Unknown,
}

/// What was found beside a case, for this alone.
#[derive(Debug, Clone, Copy)]
pub struct Around<'a> {
    /// The ways into the model's gateway, if there is one.
    pub entrance: Option<&'a Entrance>,
    /// The Services of our namespace, if they could be listed.
    pub services: Option<&'a [Service]>,
}

/// All links of a model, in the order in which a request takes them.
#[must_use]
pub fn chain(case: &Case, planned: &PlannedModel, around: Around) -> Vec<Link> {
    let deployments: Vec<&Deployment> = case.observed.deployments_of(&planned.model.name).collect();
    vec![
        link("route", route(case, planned)),
        gateway(case, planned, around.entrance),
        route_object(case, planned),
        link("seldon-deployment", seldon_deployment(case, planned)),
        service(case, planned, around.services),
        link("deployment", deployment(case, planned)),
        link("pods", pods(case, planned, &deployments)),
        link("seldon", seldon(case, planned)),
    ]
}

/// The first that is broken.
#[must_use]
pub fn broken(links: &[Link]) -> Option<&Link> {
    links.iter().find(|link| link.state == LinkState::Broken)
}

fn link(name: &'static str, found: Result<String, String>) -> Link {
    let (state, text) = match found {
        Ok(text) => (LinkState::Sound, text),
        Err(text) => (LinkState::Broken, text),
    };
    Link { name, state, text }
}

/// Whether a way in is known, and nobody else has it.
fn route(case: &Case, planned: &PlannedModel) -> Result<String, String> {
    let model = &planned.model;
    if let Some(conflict) = case.changes.conflicts.get(&model.name) {
        return Err(words::conflict(case, model, conflict));
    }
    match &planned.gateway {
        Some(gateway) => Ok(format!("{} of {} at {gateway}", model.prefix, model.hosts.join(", "))),
        None => Err(words::unknown_gateway(case, model).1),
    }
}

fn gateway(case: &Case, planned: &PlannedModel, entrance: Option<&Entrance>) -> Link {
    const NAME: &str = "gateway";
    let broken = |text| link(NAME, Err(text));
    if let Some((_, text)) = no_route(case, planned) {
        return broken(text);
    }
    let listeners = planned.gateway.as_ref().and_then(|of| case.observed.gateways.get(of));
    let (Some(name), Some(listeners)) = (&planned.gateway, listeners) else {
        return broken("it is not there".to_owned());
    };
    let Some(entrance) = entrance else {
        return link(NAME, Ok(takes(listeners)));
    };
    if let Some(pods) = &entrance.pods
        && !pods.iter().any(|pod| pod.ready)
    {
        let selector = listeners.selector.iter();
        let selector: Vec<String> = selector.map(|(key, value)| format!("{key}={value}")).collect();
        let selector = selector.join(",");
        return broken(match pods.first() {
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
    if entrance.services.as_ref().is_some_and(Vec::is_empty) {
        return broken(format!(
            "no Service leads to the pods of the gateway {name}, so nobody reaches them; look at juju status of its application"
        ));
    }
    let mut seen = vec![takes(listeners)];
    for service in entrance.services.iter().flatten() {
        let kind = if service.kind.is_empty() {
            "Service"
        } else {
            &service.kind
        };
        seen.push(format!("{kind} {}/{}", service.namespace, service.name));
    }
    if let Some(pods) = &entrance.pods {
        let ready = pods.iter().filter(|pod| pod.ready).count();
        seen.push(format!("{ready} of {} pods ready", pods.len()));
    }
    let is_seen = entrance.pods.is_some() && entrance.services.is_some();
    if !is_seen {
        seen.extend(entrance.unknown.iter().cloned());
    }
    Link {
        name: NAME,
        state: if is_seen { LinkState::Sound } else { LinkState::Unknown },
        text: seen.join("; "),
    }
}

fn takes(listeners: &Listeners) -> String {
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
fn due(case: &Case, planned: &PlannedModel, kind: ObjectKind) -> Option<String> {
    let mut applies = case.changes.applies.iter().filter(|apply| !apply.is_record);
    let due = applies.find(|apply| apply.model == planned.model.name && apply.kind == kind)?;
    Some(format!(
        "{} {} is not as asked ({}): the leader applies it in its next hook, within five minutes",
        kind.as_str(),
        due.name,
        due.because
    ))
}

/// What leads from the gateway to the model: a VirtualService, or an HTTPRoute at a gateway of the Gateway API.
fn route_object(case: &Case, planned: &PlannedModel) -> Link {
    let name = route_name(&planned.model.name);
    let (word, kind, live) = match planned.route {
        Route::SetHttp(_) => (
            "http-route",
            ObjectKind::HttpRoute,
            case.observed.http_route_in(case.namespace, &name),
        ),
        _ => (
            "virtual-service",
            ObjectKind::VirtualService,
            case.observed.virtual_service_in(case.namespace, &name),
        ),
    };
    let found = match (due(case, planned, kind), live) {
        (Some(due), _) => Err(due),
        (None, Some(_)) => Ok(format!("{name} is as asked")),
        (None, None) => Err(format!("there is no {} {name}", kind.as_str())),
    };
    link(word, found)
}

fn seldon_deployment(case: &Case, planned: &PlannedModel) -> Result<String, String> {
    let name = &planned.model.name;
    if let Some(due) = due(case, planned, ObjectKind::SeldonDeployment) {
        return Err(due);
    }
    match case.observed.seldon_deployment(name) {
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

fn service(case: &Case, planned: &PlannedModel, services: Option<&[Service]>) -> Link {
    const NAME: &str = "service";
    let Some(services) = services else {
        return Link {
            name: NAME,
            state: LinkState::Unknown,
            text: "the Services of the namespace cannot be listed".to_owned(),
        };
    };
    let mut predictors = planned.predictors.iter();
    let is_missing = |service: &str| !services.iter().any(|one| one.name == service);
    if let Some(predictor) = predictors.find(|predictor| is_missing(&predictor.service)) {
        let what = format!("Service {}", predictor.service);
        return link(NAME, Err(not_taken_up(planned, &what)));
    }
    let shown = planned.predictors.iter().map(|predictor| {
        let ports = case.observed.ports(&planned.model.name, &predictor.service);
        format!("{}:{}", predictor.service, ports.http)
    });
    link(NAME, Ok(shown.collect::<Vec<_>>().join(", ")))
}

/// Whether Seldon has made what was asked for, whatever has become of it.
fn deployment(case: &Case, planned: &PlannedModel) -> Result<String, String> {
    let mut names = Vec::new();
    for predictor in &planned.predictors {
        let model = &planned.model.name;
        let all = case.observed.deployments_of_predictor(model, &predictor.name);
        let all: Vec<&Deployment> = all.collect();
        if all.is_empty() {
            return Err(not_taken_up(planned, "Deployment"));
        }
        let of_this_spec = all
            .iter()
            .filter(|deployment| readiness::carries(deployment, &predictor.hash));
        if of_this_spec.count() < predictor.deployments {
            if let Some(stalled) = stalled::find(case, planned, &all) {
                return Err(stalled);
            }
            return Err(format!(
                "Seldon Core has not made what is asked for now of {} yet; if this stays, look at juju status seldon-core",
                words::of_predictor(planned, &predictor.name)
            ));
        }
        names.extend(all.iter().map(|deployment| deployment.name_any()));
    }
    Ok(names.join(", "))
}

fn pods(case: &Case, planned: &PlannedModel, deployments: &[&Deployment]) -> Result<String, String> {
    if !readiness::is_rolled_out(planned, case.observed) {
        let known = reason::find(case, planned, deployments);
        let why = known.or_else(|| not_ready(case, planned).map(|(_, text)| text));
        return Err(why.unwrap_or_else(|| format!("{} is starting", planned.model.name)));
    }
    let available = |deployment: &&Deployment| {
        let status = deployment.status.as_ref();
        status.map_or(0, |status| status.available_replicas)
    };
    Ok(format!("{} ready", deployments.iter().map(available).sum::<i64>()))
}

fn seldon(case: &Case, planned: &PlannedModel) -> Result<String, String> {
    if let Some((_, text)) = not_scaled(case, planned) {
        return Err(text);
    }
    let state = case.observed.state(&planned.model.name);
    if readiness::is_ready(planned, case.observed) {
        return Ok(format!("says {}", state.state));
    }
    let why = if state.description.is_empty() {
        String::new()
    } else {
        format!(" ({})", state.description)
    };
    Err(match state.state.as_str() {
        "" => not_taken_up(planned, "state"),
        word => format!("Seldon Core calls {} {word}{why}, not Available", planned.model.name),
    })
}
