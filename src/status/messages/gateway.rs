//! The gateway that a model is reached by.

use crate::api::seldon;
use crate::config::Model;
use crate::gateway::listeners::Listeners;
use crate::gateway::route_condition::RouteCondition;
use crate::gateway::{GatewayKind, GatewayName};
use crate::inputs::gateway::{Provider, RelatedGateway};
use crate::plan::Unsupported;
use crate::shell::{Commands, juju_status};
use crate::status::{Problem, StatusInput, fix};

/// The gateway has a name, but does not exist.
pub fn no_gateway(input: &StatusInput, model: &Model, gateway: &GatewayName) -> Problem {
    match input.gateway {
        RelatedGateway::Known { by, .. } if model.gateway.is_none() => {
            Problem::waiting(format!("waiting for gateway {gateway}")).cause(format!("{} creates it", by.application))
        }
        _ => Problem::blocked("Istio Gateway not found")
            .fix(fix::set(input, model, "gateway", "…"), &gateway.to_string())
            .of_model(&model.name),
    }
}

/// The gateway exists, but takes no request with a host name of the model's.
pub fn other_hosts(input: &StatusInput, model: &Model, gateway: &GatewayName, listeners: &Listeners) -> Problem {
    let problem = match listeners.hosts.first() {
        Some(host) => Problem::blocked("hosts not served by gateway").fix(
            fix::set(input, model, "hosts", host),
            &format!(
                "gateway {gateway} serves {}, hosts is {}",
                listeners.hosts.join(", "),
                model.hosts.join(", ")
            ),
        ),
        None => Problem::blocked("gateway closed to its namespace").fix(
            fix::set(input, model, "gateway", "…"),
            &format!("gateway {gateway} takes routes of other namespaces only"),
        ),
    };
    problem.of_model(&model.name)
}

pub fn gateway_down(gateway: &GatewayName, application: &str) -> Problem {
    Problem::waiting(format!("waiting for gateway {gateway} to be up"))
        .cause(format!("see {}", juju_status(application)))
}

/// The gateway has no name.
pub fn unknown_gateway(input: &StatusInput, model: &Model) -> Problem {
    let commands = input.commands();
    if let (Some(gateway), Some(by)) = (&model.gateway, input.gateway.by_metadata()) {
        let cause = format!(
            "{gateway} is an Istio Gateway, that of {} a Gateway API one; or {}",
            by.application,
            remove_relation(&commands, by)
        );
        return Problem::blocked("gateway conflicts with a relation")
            .fix(fix::unset(input, model, "gateway"), &cause)
            .of_model(&model.name);
    }
    match input.gateway {
        RelatedGateway::Pending(by) => {
            let cause = match by.kind {
                GatewayKind::Istio => "it does within its update-status interval".to_owned(),
                GatewayKind::GatewayApi => {
                    format!("once it takes requests; see {}", juju_status(&by.application))
                }
            };
            Problem::waiting(format!("waiting for {} to name its gateway", by.application)).cause(cause)
        }
        RelatedGateway::Ambiguous(providers) => several_gateways(&commands, providers),
        RelatedGateway::None | RelatedGateway::Known { .. } => Problem::blocked("no gateway")
            .run(commands.integrate(&commands.endpoint(GatewayKind::Istio.endpoint()), "istio-pilot"))
            .cause(format!(
                "or {} istio-ingress-k8s, or {}",
                commands.endpoint(GatewayKind::GatewayApi.endpoint()),
                commands.config("gateway", "…")
            ))
            .of_model(&model.name),
    }
}

fn several_gateways(commands: &Commands, providers: &[Provider]) -> Problem {
    let removals: Vec<String> = providers
        .iter()
        .map(|provider| remove_relation(commands, provider))
        .collect();
    let mut removals = removals.into_iter();
    let run = removals.next().unwrap_or_default();
    let mut others: Vec<String> = removals.collect();
    if providers.iter().all(|provider| provider.kind == GatewayKind::Istio) {
        others.push(commands.config("gateway", "…"));
    }
    let count = match providers.len() {
        2 => "two".to_owned(),
        count => count.to_string(),
    };
    Problem::blocked(format!("{count} gateways are related, one is supported"))
        .run(run)
        .cause(format!("or {}", others.join(", or ")))
}

fn remove_relation(commands: &Commands, provider: &Provider) -> String {
    commands.remove_relation(provider.kind.endpoint(), &provider.application)
}

/// What the gateway's controller reports of a route that gets no requests yet.
pub fn not_accepted(
    input: &StatusInput,
    model: &str,
    gateway: &GatewayName,
    condition: &RouteCondition,
) -> Option<Problem> {
    let provider = input.gateway.by_metadata();
    let status = juju_status(provider.map(|by| by.application.as_str()).unwrap_or_default());
    let problem = match condition {
        RouteCondition::Accepted => return None,
        RouteCondition::Pending => Problem::waiting(format!("waiting for gateway {gateway} to accept its HTTPRoute"))
            .cause(format!("if it lasts: {status}")),
        RouteCondition::Rejected(why) => Problem::blocked("HTTPRoute rejected by its gateway")
            .run(status)
            .cause(format!("{gateway}: {why}")),
        RouteCondition::UnresolvedRefs(why) => {
            Problem::waiting("waiting for its Service").cause(format!("gateway {gateway}: {why}"))
        }
    };
    Some(problem.of_model(model))
}

/// An option that an HTTPRoute cannot express.
pub fn unsupported(input: &StatusInput, model: &Model, unsupported: Unsupported) -> Problem {
    let problem = match unsupported {
        Unsupported::Retries => Problem::blocked("gateway does not support `retries`").fix(
            fix::unset(input, model, "retries"),
            "Gateway API; Istio retries by its default",
        ),
        Unsupported::PartialMirroring => Problem::blocked("shadow gets no requests").fix(
            fix::set_of_predictor(input, model, seldon::SHADOW, "weight", "100"),
            "the Gateway API cannot mirror a part of them",
        ),
    };
    problem.of_model(&model.name)
}
