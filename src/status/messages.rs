//! What an operator reads when something is in the way: what it is, why, and what to type.

use std::collections::{BTreeMap, BTreeSet};

use super::StatusInput;
use super::problem::Problem;
use crate::api::seldon;
use crate::api_error::ApiError;
use crate::changes::{Conflict, Delete, Unmanaged};
use crate::config::Model;
use crate::gateway::GatewayKind;
use crate::gateway::GatewayName;
use crate::gateway::listeners::Listeners;
use crate::gateway::route_condition::RouteCondition;
use crate::inputs::gateway::{Provider, RelatedGateway};
use crate::labels::ObjectKind;
use crate::permissions::Permission;
use crate::plan::{PlannedModel, Unsupported};
use crate::shell::{command, juju_config, juju_trust};
use juju_hooks::State;

/// A refusal by the API server.
pub fn api_error(application: &str, namespace: &str, error: &ApiError) -> Problem {
    match error {
        ApiError::Unreachable { why } => Problem::waiting(format!(
            "the Kubernetes API cannot be reached ({why}); tried again at the next hook"
        )),
        ApiError::Untrusted { why, time: true } => Problem::blocked(format!(
            "the Kubernetes API's certificate is of another time ({why} by this machine's clock): set the clock, or sudo microk8s refresh-certs -e server.crt"
        )),
        ApiError::Untrusted { why, time: false } => Problem::waiting(format!(
            "the Kubernetes API's certificate is not of the cluster's authority ({why}); tried again at the next hook"
        )),
        ApiError::Throttled { .. } => Problem::waiting(
            "the Kubernetes API is overloaded and turns requests away; tried again at the next hook".to_owned(),
        ),
        ApiError::DeadlineExceeded => {
            Problem::waiting("the Kubernetes API takes too long to answer; tried again at the next hook".to_owned())
        }
        ApiError::ServerError { why } => Problem::waiting(format!(
            "the Kubernetes API is not well ({why}); tried again at the next hook"
        )),
        ApiError::Unauthorized => Problem::waiting(
            "the Kubernetes API does not accept this unit's token; tried again at the next hook".to_owned(),
        ),
        ApiError::Terminating => Problem::waiting(format!("the namespace {namespace} is being deleted")),
        ApiError::NotFound | ApiError::ConcurrentChange => {
            Problem::waiting("somebody else changed it at that moment; tried again at the next hook".to_owned())
        }
        ApiError::Forbidden { why, missing } => Problem::blocked(format!(
            "{}: {application} may not {}",
            juju_trust(application),
            if missing.is_empty() {
                format!("do this ({why})")
            } else {
                rights(missing)
            }
        )),
        ApiError::CrdMissing { kind } => Problem::blocked(if kind.starts_with("Seldon") {
            "Seldon Core is not installed (the cluster knows no SeldonDeployment): juju deploy seldon-core --trust"
                .to_owned()
        } else if kind == ObjectKind::HttpRoute.as_str() {
            format!("the Gateway API is not installed (the cluster knows no {kind}): juju deploy istio-k8s --trust")
        } else {
            format!("Istio is not installed (the cluster knows no {kind}): juju deploy istio-pilot --trust")
        }),
        ApiError::Conflict {
            object,
            manager,
            fields,
        } => Problem::blocked(format!(
            "{manager} has set {} of {object}; to have it made anew as asked: {}",
            fields.join(", "),
            {
                let (kind, name) = object.split_once(' ').unwrap_or((object, ""));
                kubectl(namespace, "delete", kind, name)
            }
        )),
        ApiError::WebhookDown { name, why } => Problem::waiting(format!(
            "the webhook {name} does not answer ({why}); {}",
            if name.contains("seldon") {
                "it does once juju status seldon-core is active"
            } else {
                "tried again at the next hook"
            }
        )),
        ApiError::Invalid { object, why } => Problem::blocked(format!("{object} is refused: {why}")),
        ApiError::Quota { why } => Problem::blocked(format!(
            "{why}: {} for less, or raise the quota",
            command(&["juju", "config", application])
        )),
    }
}

/// Rights by kind: `list/create seldondeployments, get gateways of all namespaces`.
#[must_use]
pub fn rights(missing: &[Permission]) -> String {
    let mut by_kind: BTreeMap<(bool, String), Vec<&str>> = BTreeMap::new();
    for right in missing {
        by_kind
            .entry((right.cluster_wide, right.kind()))
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
    parts.sort_by_key(|part| !(part.contains("seldon") || part.contains("virtual") || part.contains("httproutes")));
    parts.join(", ")
}

pub fn conflict(input: &StatusInput, model: &Model, conflict: &Conflict) -> String {
    let namespace = input.namespace;
    let fix = model.config_command(input.application, "prefix", "/…/");
    let mend_host = model.config_command(input.application, "grpc-host", "…");
    let model = &model.name;
    match conflict {
        Conflict::NameTaken {
            kind,
            name,
            application: owner,
        } => {
            let whose = owner
                .as_ref()
                .map_or("somebody else".to_owned(), |owner| format!("application {owner}"));
            let another = match kind {
                ObjectKind::Secret => "",
                ObjectKind::SeldonDeployment | ObjectKind::VirtualService | ObjectKind::HttpRoute => {
                    "take another name, or "
                }
            };
            let kind = kind.as_str();
            format!(
                "{model}: there is a {kind} {name} of {whose}, which is left alone; {another}{}",
                kubectl(namespace, "delete", kind, name)
            )
        }
        Conflict::ForeignOwner { kind, name, owner } => {
            let kind = kind.as_str();
            format!(
                "{model}: {kind} {name} is owned by another object too. Run: {} (take {owner} out of metadata.ownerReferences: with it Kubernetes deletes the {kind})",
                kubectl(namespace, "edit", kind, name)
            )
        }
        Conflict::ForeignFinalizer { kind, name, finalizer } => {
            let kind = kind.as_str();
            format!(
                "{model}: {kind} {name} has a foreign finalizer. Run: {} (take {finalizer} out of metadata.finalizers: it keeps the {kind} from being deleted)",
                kubectl(namespace, "edit", kind, name)
            )
        }
        Conflict::GrpcHostTaken { host, kind, route } => {
            let kind = kind.as_str();
            format!("{model}: grpc-host {host} is taken by {kind} {route} on the same gateway: {mend_host}")
        }
        Conflict::PrefixTaken { prefix, kind, route } => {
            let kind = kind.as_str();
            format!("{model}: prefix {prefix} is taken by {kind} {route} on the same gateway: {fix}")
        }
        Conflict::ShadowedByCatchAll { route } => {
            let (of, name) = route.split_once('/').unwrap_or((namespace, route));
            format!(
                "{model}: VirtualService {route} is older and takes every path, and Istio before 1.15 asks it first; it must be made anew after this one: {}",
                kubectl(of, "delete", "VirtualService", name)
            )
        }
    }
}

/// A predictor as a message calls it: by its model, and by its own name where that is told apart.
pub fn predictor_prefix(planned: &PlannedModel, predictor: &str) -> String {
    let name = &planned.model.name;
    if planned.predictors.len() > 1 && predictor != seldon::PREDICTOR {
        format!("{name} ({predictor})")
    } else {
        name.clone()
    }
}

/// An object with our labels that is not ours.
#[must_use]
pub fn unmanaged(namespace: &str, copy: &Unmanaged) -> String {
    let (kind, name) = (copy.kind.as_str(), &copy.name);
    format!(
        "{kind} {name} has this application's labels but was not applied by it, and is left alone. If nothing needs it, run: {}",
        kubectl(namespace, "delete", kind, name)
    )
}

/// All of those, to stand behind an active status: there they are noticed, and gone from it as soon as they are gone.
pub fn unmanaged_summary(input: &StatusInput) -> Option<String> {
    let (first, others) = input.changes.unmanaged.split_first()?;
    let (kind, name) = (first.kind.as_str(), &first.name);
    let more = match others.len() {
        0 => String::new(),
        more => format!(" (+{more} more)"),
    };
    let application = input.application;
    let diagnose = command(&["juju", "run", &format!("{application}/leader"), "diagnose"]);
    Some(format!("; left alone: {kind} {name}{more}. Run: {diagnose}"))
}

/// Models that are no longer asked for and still there.
pub fn retired(input: &StatusInput) -> Vec<Problem> {
    let named = |deletes: &[Delete], why: &str| {
        let models: BTreeSet<String> = deletes
            .iter()
            // A planned model whose route goes is told of by itself.
            .filter(|delete| input.plan.model(&delete.model).is_none())
            .map(|delete| format!("{} is no longer asked for and {why}", delete.model))
            .collect();
        models.into_iter().map(Problem::waiting).collect::<Vec<_>>()
    };
    let mut all = named(&input.changes.deletes, "not removed yet");
    all.extend(named(
        &input.changes.inherited,
        "serves on until its successor is ready",
    ));
    all
}

/// There is a name for the gateway, but no gateway.
pub fn no_gateway(input: &StatusInput, model: &Model, gateway: &GatewayName) -> Problem {
    match input.gateway {
        RelatedGateway::Known { by, .. } if model.gateway.is_none() => Problem::waiting(format!(
            "the gateway {gateway} does not exist yet; {} makes it",
            by.application
        )),
        _ => Problem::blocked(format!(
            "there is no Istio Gateway {gateway}: {}",
            model.config_command(input.application, "gateway", "namespace/name")
        )),
    }
}

/// The gateway is there, but takes no request with a host name of the model's.
pub fn other_hosts(input: &StatusInput, model: &Model, gateway: &GatewayName, listeners: &Listeners) -> Problem {
    let fix = match listeners.hosts.first() {
        Some(host) => model.config_command(input.application, "hosts", host),
        None => model.config_command(input.application, "gateway", "namespace/name"),
    };
    Problem::blocked(format!(
        "the gateway {gateway} takes requests for {} only, and none for {}: {fix}",
        if listeners.hosts.is_empty() {
            "other namespaces".to_owned()
        } else {
            listeners.hosts.join(", ")
        },
        model.hosts.join(", "),
    ))
}

/// KEDA is to scale a model, and Seldon has nothing to do with KEDA.
pub fn no_keda(input: &StatusInput, model: &Model) -> Problem {
    Problem::blocked(format!(
        "{} serves, but nobody scales it: Seldon Core runs without KEDA; {}, or {}",
        model.name,
        command(&["juju", "integrate", "seldon-core:keda", "keda"]),
        model.config_command(input.application, "autoscale", "{max: 3, cpu: 80}")
    ))
}

pub fn gateway_down(gateway: &GatewayName, application: &str) -> Problem {
    Problem::waiting(format!(
        "the gateway {gateway} is not up, says {application}; look at {}",
        juju_status(application)
    ))
}

/// There is no name for the gateway.
pub fn unknown_gateway(input: &StatusInput, model: &Model) -> Problem {
    let application = input.application;
    if let (Some(named), Some(by)) = (&model.gateway, input.gateway.by_metadata()) {
        return Problem::blocked(two_gateways(input, model, named, by));
    }
    match input.gateway {
        RelatedGateway::Pending(by) => Problem::waiting(match by.kind {
            GatewayKind::Istio => format!(
                "{} has not said which gateway to use; it does within its update-status",
                by.application
            ),
            GatewayKind::GatewayApi => format!(
                "{} has not said which gateway to use; it does once its gateway takes requests: look at {}",
                by.application,
                juju_status(&by.application)
            ),
        }),
        RelatedGateway::Ambiguous(all) => Problem::blocked(several_gateways(input, all)),
        RelatedGateway::None | RelatedGateway::Known { .. } => Problem::blocked(format!(
            "{} has no gateway, so nobody reaches it: {}, or {application}:gateway-metadata istio-ingress-k8s, or {}",
            model.name,
            command(&["juju", "relate", &format!("{application}:gateway-info"), "istio-pilot"]),
            juju_config(application, "gateway", "namespace/name")
        )),
    }
}

/// An option names an Istio Gateway, and a relation one of the Gateway API.
fn two_gateways(input: &StatusInput, model: &Model, named: &GatewayName, by: &Provider) -> String {
    let (name, application) = (&model.name, input.application);
    let without = if model.is_entry {
        format!(
            "take gateway out and {}",
            juju_config(application, "models", "@models.yaml")
        )
    } else {
        command(&["juju", "config", application, "--reset", "gateway"])
    };
    format!(
        "{name}: gateway={named} is an Istio Gateway, and {} is related for another, of the Gateway API; for that: {without}; for this: {}",
        by.application,
        remove_relation(application, by)
    )
}

fn several_gateways(input: &StatusInput, all: &[Provider]) -> String {
    let application = input.application;
    let last = all
        .last()
        .map(|last| remove_relation(application, last))
        .unwrap_or_default();
    if all.iter().all(|provider| provider.kind == GatewayKind::Istio) {
        let names: Vec<&str> = all.iter().map(|provider| provider.application.as_str()).collect();
        return format!(
            "gateway-info is related to {}; {last}, or {}",
            names.join(" and "),
            juju_config(application, "gateway", "namespace/name")
        );
    }
    let related = |provider: &Provider| format!("{} to {}", provider.kind.endpoint(), provider.application);
    let names: Vec<String> = all.iter().map(related).collect();
    let endpoints: Vec<String> = all
        .iter()
        .map(|provider| remove_relation(application, provider))
        .collect();
    format!(
        "there is to be one gateway, but related are {}: {}",
        names.join(" and "),
        endpoints.join(", or ")
    )
}

fn remove_relation(application: &str, provider: &Provider) -> String {
    let ours = format!("{application}:{}", provider.kind.endpoint());
    command(&["juju", "remove-relation", &ours, &provider.application])
}

/// What the controller of a gateway says of a route that requests do not take yet.
pub fn not_accepted(
    input: &StatusInput,
    model: &str,
    gateway: &GatewayName,
    acceptance: &RouteCondition,
) -> Option<Problem> {
    let by = input
        .gateway
        .by_metadata()
        .map(|by| by.application.as_str())
        .unwrap_or_default();
    match acceptance {
        RouteCondition::Accepted => None,
        RouteCondition::Pending => Some(Problem::waiting(format!(
            "{model}: the gateway {gateway} has not taken up its HTTPRoute yet; if this stays, look at {}",
            juju_status(by)
        ))),
        RouteCondition::Rejected(why) => Some(Problem::blocked(format!(
            "{model}: the gateway {gateway} does not take its HTTPRoute ({why}): look at {}",
            juju_status(by)
        ))),
        RouteCondition::UnresolvedRefs(why) => Some(Problem::waiting(format!(
            "{model}: the gateway {gateway} finds no way to it ({why})"
        ))),
    }
}

/// Something was asked for that an HTTPRoute cannot say.
pub fn unsupported(input: &StatusInput, model: &Model, unsupported: Unsupported) -> Problem {
    let (name, application) = (&model.name, input.application);
    Problem::blocked(match unsupported {
        Unsupported::Retries => {
            let without = if model.is_entry {
                format!(
                    "take retries out and {}",
                    juju_config(application, "models", "@models.yaml")
                )
            } else {
                command(&["juju", "config", application, "--reset", "retries"])
            };
            format!(
                "{name}: retries is left out, as the Gateway API has no word for it, and Istio tries again as it likes: {without}"
            )
        }
        Unsupported::PartialMirroring => format!(
            "{name}: shadow gets no copies, as the Gateway API has no word for a part of them: {}",
            model.predictor_config_command(application, crate::api::seldon::SHADOW, "weight", "100")
        ),
    })
}

/// A hook tool failed, so what is asked for is not known.
pub fn tool_failure(error: &juju_hooks::ToolError) -> Problem {
    Problem::waiting(format!("{error}; tried again at the next hook"))
}

/// Whether a status is that of a hook that ended on a failed tool of Juju's.
#[must_use]
pub fn is_tool_failure(status: &juju_hooks::Status) -> bool {
    // What every such error begins with.
    status.state == State::Waiting && status.message.starts_with("Juju's ")
}

/// Seldon was deployed by Juju and is not there yet.
pub fn seldon_is_deploying() -> Problem {
    Problem::waiting(
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

fn juju_status(application: &str) -> String {
    command(&["juju", "status", application])
}

/// What kubectl does with an object.
fn kubectl(namespace: &str, verb: &str, kind: &str, name: &str) -> String {
    command(&["kubectl", "-n", namespace, verb, &kind.to_lowercase(), name])
}
