//! What an operator reads when something is in the way: what it is, why, and what to type.

use std::collections::{BTreeMap, BTreeSet};

use super::Case;
use crate::cluster::{Refusal, Right};
use crate::config::Model;
use crate::config::value::GatewayName;
use crate::istio::listeners::Listeners;
use crate::juju::State;
use crate::render::{PlannedModel, RelatedGateway};
use crate::seldon;
use crate::steps::{Delete, Kind, Obstacle};

/// A refusal by the API server.
#[must_use]
pub fn refused(application: &str, namespace: &str, refusal: &Refusal) -> (State, String) {
    match refusal {
        Refusal::Unreachable { why } => waiting(format!(
            "the Kubernetes API cannot be reached ({why}); tried again at the next hook"
        )),
        Refusal::Untrusted { why, time: true } => blocked(format!(
            "the Kubernetes API's certificate is of another time ({why} by this machine's clock): set the clock, or sudo microk8s refresh-certs -e server.crt"
        )),
        Refusal::Untrusted { why, time: false } => waiting(format!(
            "the Kubernetes API's certificate is not of the cluster's authority ({why}); tried again at the next hook"
        )),
        Refusal::Busy { .. } => {
            waiting("the Kubernetes API is overloaded and turns requests away; tried again at the next hook".to_owned())
        }
        Refusal::OutOfTime => {
            waiting("the Kubernetes API takes too long to answer; tried again at the next hook".to_owned())
        }
        Refusal::Unwell { why } => waiting(format!(
            "the Kubernetes API is not well ({why}); tried again at the next hook"
        )),
        Refusal::Unauthorized => {
            waiting("the Kubernetes API does not accept this unit's token; tried again at the next hook".to_owned())
        }
        Refusal::Terminating => waiting(format!("the namespace {namespace} is being deleted")),
        Refusal::NotFound | Refusal::Changed => {
            waiting("somebody else changed it at that moment; tried again at the next hook".to_owned())
        }
        Refusal::Forbidden { why, missing } => blocked(format!(
            "juju trust {application} --scope=cluster, or apply rbac.yaml: {application} may not {}",
            if missing.is_empty() {
                format!("do this ({why})")
            } else {
                rights(missing)
            }
        )),
        Refusal::NoKind { kind } => blocked(if kind.starts_with("Seldon") {
            "Seldon Core is not installed (the cluster knows no SeldonDeployment): juju deploy seldon-core --trust"
                .to_owned()
        } else {
            format!("Istio is not installed (the cluster knows no {kind}): juju deploy istio-pilot --trust")
        }),
        Refusal::Conflict {
            object,
            manager,
            fields,
        } => blocked(format!(
            "{manager} has set {} of {object}; to have it made anew as asked: kubectl -n {namespace} delete {}",
            fields.join(", "),
            object.to_lowercase()
        )),
        Refusal::WebhookDown { name, why } => waiting(format!(
            "the webhook {name} does not answer ({why}); {}",
            if name.contains("seldon") {
                "it does once juju status seldon-core is active"
            } else {
                "tried again at the next hook"
            }
        )),
        Refusal::Invalid { object, why } => blocked(format!("{object} is refused: {why}")),
        Refusal::Quota { why } => blocked(format!("{why}: juju config {application} for less, or raise the quota")),
    }
}

/// Rights by kind: `list, create seldondeployments; get gateways`.
fn rights(missing: &[Right]) -> String {
    let mut by_kind: BTreeMap<(bool, &str), Vec<&str>> = BTreeMap::new();
    for right in missing {
        by_kind
            .entry((right.everywhere, right.resource))
            .or_default()
            .push(right.verb);
    }
    let mut parts: Vec<String> = by_kind
        .iter()
        .map(|((everywhere, kind), verbs)| {
            let scope = if *everywhere { " of all namespaces" } else { "" };
            format!("{} {kind}{scope}", verbs.join("/"))
        })
        .collect();
    // Seldon's and Istio's kinds say more to an operator than pods and services.
    parts.sort_by_key(|part| !(part.contains("seldon") || part.contains("virtual")));
    parts.join(", ")
}

pub fn obstacle(case: &Case, model: &Model, obstacle: &Obstacle) -> String {
    let namespace = case.namespace;
    let mend = model.set(case.application, "prefix", "/…/");
    let mend_host = model.set(case.application, "grpc-host", "…");
    let model = &model.name;
    match obstacle {
        Obstacle::Foreign {
            kind,
            name,
            application: owner,
        } => {
            let whose = owner
                .as_ref()
                .map_or("somebody else".to_owned(), |owner| format!("application {owner}"));
            let another = match kind {
                Kind::Secret => "",
                Kind::SeldonDeployment | Kind::VirtualService => "take another name, or ",
            };
            let kind = kind.word();
            format!(
                "{model}: there is a {kind} {name} of {whose}, which is left alone; {another}kubectl -n {namespace} delete {} {name}",
                kind.to_lowercase()
            )
        }
        Obstacle::GrpcRival { host, route } => {
            format!("{model}: grpc-host {host} is taken by VirtualService {route} on the same gateway: {mend_host}")
        }
        Obstacle::Rival { prefix, route } => {
            format!("{model}: prefix {prefix} is taken by VirtualService {route} on the same gateway: {mend}")
        }
        Obstacle::Hidden { route } => format!(
            "{model}: VirtualService {route} is older and takes every path, and Istio before 1.15 asks it first; it must be made anew after this one: kubectl delete virtualservice -n {}",
            route.replacen('/', " ", 1)
        ),
    }
}

/// A predictor as a message calls it: by its model, and by its own name where that is told apart.
pub fn of_predictor(planned: &PlannedModel, predictor: &str) -> String {
    let name = &planned.model.name;
    if planned.predictors.len() > 1 && predictor != seldon::PREDICTOR {
        format!("{name} ({predictor})")
    } else {
        name.clone()
    }
}

/// Models that are no longer asked for and still there.
pub fn retired(case: &Case) -> Vec<(State, String)> {
    let named = |deletes: &[Delete], why: &str| {
        let models: BTreeSet<String> = deletes
            .iter()
            // A planned model whose route goes is told of by itself.
            .filter(|delete| case.plan.model(&delete.model).is_none())
            .map(|delete| format!("{} is no longer asked for and {why}", delete.model))
            .collect();
        models.into_iter().map(waiting).collect::<Vec<_>>()
    };
    let mut all = named(&case.steps.deletes, "not removed yet");
    all.extend(named(&case.steps.inherited, "serves on until its successor is ready"));
    all
}

/// There is a name for the gateway, but no gateway.
pub fn no_gateway(case: &Case, model: &Model, gateway: &GatewayName) -> (State, String) {
    match case.gateway {
        RelatedGateway::Named { application, .. } if model.gateway.is_none() => waiting(format!(
            "the gateway {gateway} does not exist yet; {application} makes it"
        )),
        _ => blocked(format!(
            "there is no Istio Gateway {gateway}: {}",
            model.set(case.application, "gateway", "namespace/name")
        )),
    }
}

/// The gateway is there, but takes no request with a host name of the model's.
pub fn other_hosts(case: &Case, model: &Model, gateway: &GatewayName, listeners: &Listeners) -> (State, String) {
    let hosts = listeners.hosts.first().map_or("none", String::as_str);
    blocked(format!(
        "the gateway {gateway} takes requests for {} only, and none for {}: {}",
        if listeners.hosts.is_empty() {
            "other namespaces".to_owned()
        } else {
            listeners.hosts.join(", ")
        },
        model.hosts.join(", "),
        model.set(case.application, "hosts", hosts)
    ))
}

/// KEDA is to scale a model, and Seldon has nothing to do with KEDA.
pub fn no_keda(case: &Case, model: &Model) -> (State, String) {
    blocked(format!(
        "{} serves, but nobody scales it: Seldon Core runs without KEDA; juju integrate seldon-core:keda keda, or {}",
        model.name,
        model.set(case.application, "autoscale", "'{max: 3, cpu: 80}'")
    ))
}

pub fn gateway_down(gateway: &GatewayName, application: &str) -> (State, String) {
    waiting(format!(
        "the gateway {gateway} is not up, says {application}; look at juju status {application}"
    ))
}

/// There is no name for the gateway.
pub fn unknown_gateway(case: &Case, model: &str) -> (State, String) {
    let application = case.application;
    match case.gateway {
        RelatedGateway::Silent(other) => waiting(format!(
            "{other} has not said which gateway to use; it does within its update-status"
        )),
        RelatedGateway::Several(others) => blocked(format!(
            "gateway-info is related to {}; juju remove-relation {application}:gateway-info {}, or juju config {application} gateway=namespace/name",
            others.join(" and "),
            others.last().map(String::as_str).unwrap_or_default()
        )),
        RelatedGateway::Missing | RelatedGateway::Named { .. } => blocked(format!(
            "{model} has no gateway, so nobody reaches it: juju relate {application}:gateway-info istio-pilot, or juju config {application} gateway=namespace/name"
        )),
    }
}

/// A hook tool failed, so what is asked for is not known.
#[must_use]
pub fn not_asked(error: &crate::juju::ToolError) -> (State, String) {
    waiting(format!("{error}; tried again at the next hook"))
}

/// Seldon was deployed by Juju and is not there yet.
#[must_use]
pub fn seldon_is_coming() -> (State, String) {
    waiting(
        "Seldon Core is related but not installed yet (the cluster knows no SeldonDeployment); look at juju status seldon-core"
            .to_owned(),
    )
}

/// For the log, when the time of the `remove` hook is over.
#[must_use]
pub fn removal_incomplete(left: &[String]) -> String {
    format!(
        "asked Kubernetes to delete {}, which it has not done yet; it goes on by itself",
        left.join(", ")
    )
}

fn waiting(text: String) -> (State, String) {
    (State::Waiting, text)
}

fn blocked(text: String) -> (State, String) {
    (State::Blocked, text)
}
