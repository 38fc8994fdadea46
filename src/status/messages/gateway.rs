//! The gateway that a model is reached by.

use std::collections::BTreeSet;

use crate::api::seldon;
use crate::config::Model;
use crate::gateway::GatewayKind;
use crate::inputs::gateway::Provider;
use crate::plan::Unsupported;
use crate::shell::{Commands, juju_status};
use crate::status::problem::GatewayProblem;
use crate::status::{Message, StatusInput, fix};

pub fn gateway(input: &StatusInput, model: &Model, problem: &GatewayProblem) -> Message {
    let commands = input.commands();
    let message = match problem {
        GatewayProblem::None => Message::blocked("no gateway")
            .run(commands.integrate(&commands.endpoint(GatewayKind::Istio.endpoint()), "istio-pilot"))
            .cause(format!(
                "or {} istio-ingress-k8s, or {}",
                commands.endpoint(GatewayKind::GatewayApi.endpoint()),
                commands.config("gateway", "…")
            )),
        GatewayProblem::OptionAndRelation { option, related } => {
            let cause = format!(
                "{option} is an Istio Gateway, that of {} a Gateway API one; or {}",
                related.application,
                remove_relation(&commands, related)
            );
            Message::blocked("gateway conflicts with a relation").fix(fix::unset(input, model, "gateway"), &cause)
        }
        GatewayProblem::Missing {
            gateway,
            provider: None,
        } => Message::blocked("Istio Gateway not found")
            .fix(fix::set(input, model, "gateway", "…"), &gateway.to_string()),
        GatewayProblem::HostsNotServed { gateway, served } => {
            let host = served.first().map_or("…", String::as_str);
            let cause = format!(
                "gateway {gateway} serves {}, hosts is {}",
                served.join(", "),
                model.hosts.join(", ")
            );
            Message::blocked("hosts not served by gateway").fix(fix::set(input, model, "hosts", host), &cause)
        }
        GatewayProblem::ClosedToNamespace(gateway) => Message::blocked("gateway closed to its namespace").fix(
            fix::set(input, model, "gateway", "…"),
            &format!("gateway {gateway} takes routes of other namespaces only"),
        ),
        GatewayProblem::RoutePending(gateway) => {
            Message::waiting(format!("waiting for gateway {gateway} to accept its HTTPRoute"))
                .cause(format!("if it lasts: {}", provider_status(input)))
        }
        GatewayProblem::RouteRejected { gateway, why } => Message::blocked("HTTPRoute rejected by its gateway")
            .run(provider_status(input))
            .cause(format!("{gateway}: {why}")),
        GatewayProblem::RouteNotServedYet(gateway) => {
            Message::waiting(format!("waiting for gateway {gateway} to serve its route"))
        }
        GatewayProblem::RouteNotServed(gateway) => Message::blocked("route not served by its gateway")
            .run(commands.diagnose())
            .cause(format!("{gateway}: Envoy may have rejected a route, whoever wrote it")),
        GatewayProblem::AccessNotEnforcedYet(gateway) => {
            Message::waiting(format!("waiting for gateway {gateway} to enforce its access"))
        }
        GatewayProblem::AccessNotEnforced(gateway) => Message::blocked("access not enforced by its gateway")
            .run(commands.diagnose())
            .cause(format!(
                "{gateway} does not have its AuthorizationPolicy; until then its route stays as it is"
            )),
        GatewayProblem::AccessWithoutPods(gateway) => {
            Message::waiting(format!("waiting for gateway {gateway} to have pods"))
                .cause("its access is enforced there")
        }
        GatewayProblem::AccessAmbiguous { gateway, namespaces } => {
            Message::blocked("gateway has pods in several namespaces")
                .run(commands.diagnose())
                .cause(format!(
                    "{gateway}: {}; its access is enforced in one",
                    join(namespaces)
                ))
        }
        GatewayProblem::AccessUnsupported(gateway) => Message::blocked("access needs Istio").fix(
            fix::unset(input, model, "access"),
            &format!("gateway {gateway}; CRD AuthorizationPolicy not found"),
        ),
        GatewayProblem::UnresolvedRefs { gateway, why } => {
            Message::waiting("waiting for its Service").cause(format!("gateway {gateway}: {why}"))
        }
        // These are about all models, and told once.
        GatewayProblem::NotNamed(provider) => return not_named(provider),
        GatewayProblem::Several(providers) => return several(&commands, providers),
        GatewayProblem::Missing {
            gateway,
            provider: Some(provider),
        } => {
            return Message::waiting(format!("waiting for gateway {gateway}")).cause(format!("{provider} creates it"));
        }
        GatewayProblem::Down { gateway, provider } => {
            return Message::waiting(format!("waiting for gateway {gateway} to be up"))
                .cause(format!("see {}", juju_status(provider)));
        }
    };
    message.of_model(&model.name)
}

fn join(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn not_named(provider: &Provider) -> Message {
    let cause = match provider.kind {
        GatewayKind::Istio => "it does within its update-status interval".to_owned(),
        GatewayKind::GatewayApi => {
            format!("once it takes requests; see {}", juju_status(&provider.application))
        }
    };
    Message::waiting(format!("waiting for {} to name its gateway", provider.application)).cause(cause)
}

fn several(commands: &Commands, providers: &[Provider]) -> Message {
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
    Message::blocked(format!("{count} gateways are related, one is supported"))
        .run(run)
        .cause(format!("or {}", others.join(", or ")))
}

fn remove_relation(commands: &Commands, provider: &Provider) -> String {
    commands.remove_relation(provider.kind.endpoint(), &provider.application)
}

/// The command that shows the application whose gateway takes HTTPRoutes.
fn provider_status(input: &StatusInput) -> String {
    let provider = input.gateway.by_metadata();
    juju_status(provider.map(|by| by.application.as_str()).unwrap_or_default())
}

/// An option that an HTTPRoute cannot express.
pub fn unsupported(input: &StatusInput, model: &Model, unsupported: Unsupported) -> Message {
    match unsupported {
        Unsupported::Retries => Message::blocked("gateway does not support `retries`").fix(
            fix::unset(input, model, "retries"),
            "Gateway API; Istio retries by its default",
        ),
        Unsupported::PartialMirroring => Message::blocked("shadow gets no requests").fix(
            fix::set_of_predictor(input, model, seldon::SHADOW, "weight", "100"),
            "the Gateway API cannot mirror a part of them",
        ),
    }
}
