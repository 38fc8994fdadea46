//! Rules between several values: a name and the Services Seldon derives from it, a server and its protocol, two prefixes.

use super::error::Location;
use super::manifest::Manifest;
use super::resolver::OptionResolver;
use super::value::{Autoscale, Implementation, Protocol, Resources, Scaler, Violation, either};
use super::{Config, Model, ServerOptions, Source};
use crate::api::seldon::PREDICTOR;
use crate::api::seldon::manifest::ISTIO_GATEWAY;
use crate::gateway::hosts::{host_specificity, hosts_overlap};
use crate::identity::route_name;

/// Longest name of a model, in characters. Seldon makes the label key `seldon-app-svc-<model>` of it (operator
/// v1.17.1, `controllers/seldondeployment_controller.go`) and Kubernetes ends a key at 63.
const LONGEST_NAME: usize = 48;

/// Longest name of a Service, in characters: Seldon makes a digest of what is longer.
const LONGEST_SERVICE: usize = 63;

/// The name becomes the name of Services: DNS-1035, or Seldon fails on it after having accepted it.
pub fn name(resolver: &mut OptionResolver) {
    let name = resolver.name;
    let (rule, detail) = if !is_service_name(name) {
        (
            "is not valid",
            "lowercase letters, digits and -, starting with a letter and not ending with -",
        )
    } else if name.len() > LONGEST_NAME {
        ("is too long", "at most 48 characters, as Seldon Core appends to it")
    } else {
        return;
    };
    if resolver.is_entry() {
        let rule = format!("the model's name {rule}");
        resolver.entry_error(Violation::new(rule, "").with_detail(detail));
    } else {
        let rule = format!("the application's name {rule}");
        let detail = format!("{detail}; give the model another name here, or redeploy under another name");
        let violation = Violation::with_value(name, rule, "{iris: {}}").with_detail(detail);
        resolver.error("models", violation);
    }
}

/// Whether a text is a DNS-1035 label, except for its length.
pub fn is_service_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// The names of the Services that a manifest's predictors get: Seldon shortens longer ones to a digest, and other names it fails
/// on after having accepted them.
pub fn services(resolver: &mut OptionResolver, manifest: &Manifest) {
    let services = manifest.services(resolver.name);
    for (index, service) in services.iter().enumerate() {
        let valid = is_service_name(service) && service.len() <= LONGEST_SERVICE;
        let twice = services.iter().take(index).any(|earlier| earlier == service);
        let (rule, detail) = if !valid {
            (
                "does not give a valid Service name",
                format!(
                    "{service}: at most {LONGEST_SERVICE} lowercase letters, digits and -, starting with a letter and not ending with -"
                ),
            )
        } else if twice {
            (
                "is used twice",
                format!("an earlier predictor has the Service {service} too"),
            )
        } else {
            continue;
        };
        let violation = Violation::new(rule, "@manifest.yaml").with_detail(detail);
        resolver.error("manifest", violation.in_part(&format!("predictors[{index}].name")));
    }
    for (index, service) in manifest.explainers(resolver.name) {
        if service.len() > LONGEST_SERVICE {
            let violation = Violation::new("its Service's name is too long", "@manifest.yaml")
                .with_detail(format!("{service}: at most {LONGEST_SERVICE} characters"))
                .in_part(&format!("predictors[{index}].explainer"));
            resolver.error("manifest", violation);
        }
    }
}

/// A model needs a server, which must support the protocol.
pub fn source(resolver: &mut OptionResolver, source: &Source, protocol: Option<Protocol>) {
    const IMAGE: &str = "seldonio/sklearn-iris:0.3";
    match (&source.image, &source.implementation, &source.model_uri) {
        (None, None, None) => resolver.model_error(
            "image",
            Violation::new("is not set", IMAGE).with_detail("nor is implementation: there is no model to serve"),
        ),
        (None, None, Some(_)) => resolver.model_error(
            "implementation",
            Violation::new("is not set, model-uri needs a server", "SKLEARN_SERVER"),
        ),
        (_, Some(server), None) if server.needs_files() => resolver.model_error(
            "model-uri",
            Violation::new(format!("is not set, {server} needs it"), "gs://bucket/model"),
        ),
        _ => {}
    }
    if let Some(server) = &source.implementation {
        protocols(resolver, server, protocol.unwrap_or(Protocol::Seldon));
    }
}

/// The options of pods must fit the containers that run in them.
pub fn pods(resolver: &mut OptionResolver, server: &ServerOptions, needed: bool) {
    if !needed || resolver.has_errors() {
        return;
    }
    let name = resolver.name;
    let nodes: Vec<(&str, Option<&Resources>)> = match &server.graph {
        Some(graph) => graph
            .all()
            .into_iter()
            .filter(|node| node.has_container())
            .map(|node| (node.name.as_str(), node.resources.as_ref()))
            .collect(),
        None => vec![(name, server.resources.as_ref())],
    };
    let names: Vec<&str> = nodes.iter().map(|(name, _)| *name).collect();
    if let Some(violation) = server.pod.as_ref().and_then(|pod| pod.schema_violation(&names)) {
        resolver.error("pod", violation);
    }
    let Some(Autoscale {
        by: Scaler::Load { cpu, memory, .. },
        ..
    }) = &server.autoscale
    else {
        return;
    };
    for (resource, part, example) in [("cpu", cpu, "100m"), ("memory", memory, "256Mi")] {
        let is_set = |resources: Option<&Resources>| {
            resources.is_some_and(|all| all.requests.contains_key(resource) || all.limits.contains_key(resource))
        };
        let Some(part) = part else {
            continue;
        };
        let example = format!("{{requests: {{{resource}: {example}}}}}");
        let violation = |example: &str| {
            Violation::new(format!("must request {resource}"), example).with_detail(format!(
                "{resource}: {part} in autoscale is a percentage of the request"
            ))
        };
        // Seldon sets a default for the executor, but none for a model's container.
        let executor = server.engine_resources.as_ref();
        match nodes.iter().find(|(_, resources)| !is_set(*resources)) {
            Some((node, _)) if server.graph.is_some() => {
                let violation = violation("@graph.yaml").in_part(&format!("{node}.resources"));
                resolver.error("graph", violation);
            }
            Some(_) => resolver.model_error("resources", violation(&example)),
            None if executor.is_some() && !is_set(executor) => {
                resolver.model_error("engine-resources", violation(&example));
            }
            None => {}
        }
    }
}

/// The Service of an explainer must get the name of the route's destination.
pub fn explainer(resolver: &mut OptionResolver) {
    let service = format!("{}-{PREDICTOR}-explainer", resolver.name);
    if service.len() > LONGEST_SERVICE {
        let over = service.len() - LONGEST_SERVICE;
        let violation = Violation::new("the model's name is too long for it", "")
            .with_detail(format!("its Service {service} would be {over} characters too long"));
        resolver.error("explainer", violation);
    }
}

fn protocols(resolver: &mut OptionResolver, server: &Implementation, protocol: Protocol) {
    let Some(known) = server.protocols() else {
        return;
    };
    if known.contains(&protocol) {
        return;
    }
    let names: Vec<_> = known.iter().map(|protocol| protocol.as_str()).collect();
    // The server determines it, so the error belongs to the model and not to the option.
    let rule = format!("must be {} with {server}", either(&names));
    let example = names.first().copied().unwrap_or_default();
    resolver.model_error("protocol", Violation::with_value(protocol.as_str(), rule, example));
}

/// If a model has hosts, the one for gRPC must be among them: its route matches no others.
pub fn grpc_host(resolver: &mut OptionResolver, host: &str, hosts: &[String]) {
    if host_specificity(hosts, host).is_none() {
        let hosts = hosts.join(",");
        let violation = Violation::with_value(hosts.clone(), "must include grpc-host", format!("{hosts},{host}"));
        resolver.error("hosts", violation);
    }
}

/// A model's host for gRPC must identify that model. Of two models with the same one, neither is changed, as with prefixes; nor is one
/// whose calls would match the hosts of another.
pub fn grpc_hosts(application: &str, config: &mut Config) {
    let mut clashes = Vec::new();
    for (index, model) in config.models.iter().enumerate() {
        let Some(host) = &model.grpc_host else {
            continue;
        };
        let nearest = host_specificity(&model.hosts, host);
        for (other_index, other) in config.models.iter().enumerate() {
            if other_index == index || !may_share_gateway(model, other) {
                continue;
            }
            if other.grpc_host.as_ref() == Some(host) && other_index < index {
                let rule = format!("is used by {} already", other.name);
                clashes.push((model.name.clone(), host.clone(), rule, Some(other.name.clone())));
            } else if host_specificity(&other.hosts, host) > nearest {
                let rule = format!("is one of the hosts of {}", other.name);
                clashes.push((model.name.clone(), host.clone(), rule, None));
            }
        }
    }
    for (name, host, rule, other) in clashes {
        // One error for each model, however many it clashes with.
        if config.frozen.insert(name.clone()) {
            let violation = Violation::with_value(host, rule, format!("{name}.example.com"));
            config.push_error(application, &Location::EntryKey(name), "grpc-host", violation);
        }
        config.frozen.extend(other);
    }
    let Config { models, frozen, .. } = config;
    models.retain(|model| !frozen.contains(&model.name));
}

/// The related gateway is not known here: it may be the one that another model names.
fn may_share_gateway(model: &Model, other: &Model) -> bool {
    model.gateway.is_none() || other.gateway.is_none() || model.gateway == other.gateway
}

/// Two models must not match the same requests. Neither of them is changed, as only the operator knows which one is wrong.
pub fn overlaps(application: &str, config: &mut Config) {
    let mut clashes = Vec::new();
    for (index, earlier) in config.models.iter().enumerate() {
        for model in config.models.iter().skip(index + 1) {
            if may_share_gateway(earlier, model)
                && earlier.prefix.overlaps(&model.prefix)
                && hosts_overlap(&earlier.hosts, &model.hosts)
            {
                clashes.push((earlier.name.clone(), model.name.clone(), model.prefix.clone()));
            }
        }
    }
    for (earlier, name, prefix) in clashes {
        // One error for each model, however many it clashes with.
        if config.frozen.insert(name.clone()) {
            let violation = Violation::with_value(
                prefix.to_string(),
                format!("overlaps the prefix of {earlier}"),
                format!("/model/{name}/"),
            );
            config.push_error(application, &Location::EntryKey(name), "prefix", violation);
        }
        config.frozen.insert(earlier);
    }
    let Config { models, frozen, .. } = config;
    models.retain(|model| !frozen.contains(&model.name));
}

/// Seldon may create a VirtualService with a model's own name, and ours is named after the model with `-route`: a model
/// must not have the name of another one's route.
pub fn route_names(application: &str, config: &mut Config) {
    let routes: Vec<String> = config.models.iter().map(|model| route_name(&model.name)).collect();
    for route in routes {
        if config.models.iter().any(|model| model.name == route) {
            let violation =
                Violation::new("the name is used by another model's route", "").with_detail("rename the model");
            config.push_error(application, &Location::Entry(route.clone()), "", violation);
            config.models.retain(|model| model.name != route);
            config.frozen.insert(route);
        }
    }
}

/// Istio's policies cannot express a wildcard host on any port, and are at no other gateway that Seldon is to route at. `annotations` are
/// those of the SeldonDeployment's spec.
pub fn access<'a>(resolver: &mut OptionResolver, hosts: &[String], mut annotations: impl Iterator<Item = &'a String>) {
    if let Some(host) = hosts.iter().find(|host| host.starts_with("*.")) {
        let rule = "cannot be combined with a wildcard in hosts";
        let detail = format!("hosts has {host}; list the names, or *");
        resolver.error("access", Violation::new(rule, "").with_detail(detail));
    }
    if annotations.any(|key| key == ISTIO_GATEWAY) {
        let rule = format!("cannot be combined with the annotation {ISTIO_GATEWAY}");
        let detail = "Seldon's own route at that gateway takes requests without a token";
        resolver.error("access", Violation::new(rule, "").with_detail(detail));
    }
}
