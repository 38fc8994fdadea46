//! Rules between values: a name and what Seldon makes of it, a server and its protocol, a prefix and the next one.

use std::collections::BTreeMap;

use super::error::{ConfigError, Location};
use super::manifest::Manifest;
use super::resolver::OptionResolver;
use super::value::{Autoscale, Implementation, Protocol, Resources, Scaler, Violation};
use super::{Config, ServerOptions, Source};
use crate::api::seldon::PREDICTOR;
use crate::gateway::hosts::{hosts_overlap, nearest_host};
use crate::identity::route_name;

/// Longest name of a model, in characters. Seldon makes the label key `seldon-app-svc-<model>` of it (operator
/// v1.17.1, `controllers/seldondeployment_controller.go`) and Kubernetes ends a key at 63.
const LONGEST_NAME: usize = 48;

/// Longest name of a Service, in characters: Seldon makes a digest of what is longer.
const LONGEST_SERVICE: usize = 63;

/// The name becomes the name of Services: DNS-1035, or Seldon fails on it after having accepted it.
pub fn name(resolver: &mut OptionResolver) {
    let name = resolver.name;
    let rule = if !is_service_name(name) {
        "must be small letters, digits and -, beginning with a letter and ending with none of -"
    } else if name.len() > LONGEST_NAME {
        "has over 48 characters, and Seldon appends to it"
    } else {
        return;
    };
    let (rule, example) = if resolver.is_entry() {
        (format!("the name of the model {rule}"), "")
    } else {
        (
            format!(
                "the name of the application {rule}; give the model another one in this option, or deploy anew under one"
            ),
            "{iris: {}}",
        )
    };
    resolver.model_error(
        "models",
        Violation {
            value: Some(name.to_owned()),
            rule,
            example: example.to_owned(),
        },
    );
}

/// Whether a text is a label of DNS-1035, but for its length.
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
    for (at, service) in services.iter().enumerate() {
        let valid = is_service_name(service) && service.len() <= LONGEST_SERVICE;
        let twice = services.iter().take(at).any(|earlier| earlier == service);
        let rule = if !valid {
            "which must be at most 63 small letters, digits and -, beginning with a letter and ending with none of -"
        } else if twice {
            "which an earlier predictor has already"
        } else {
            continue;
        };
        let rule = format!("predictors[{at}].name makes the Service {service:?}, {rule}");
        resolver.error("manifest", Violation::new(rule, "@manifest.yaml"));
    }
    for (at, service) in manifest.explainers(resolver.name) {
        if service.len() > LONGEST_SERVICE {
            let rule = format!(
                "predictors[{at}].explainer gets the Service {service:?}, which must be at most 63 characters; take a shorter name"
            );
            resolver.error("manifest", Violation::new(rule, "@manifest.yaml"));
        }
    }
}

/// What is served must be named, and the server must speak the protocol.
pub fn source(resolver: &mut OptionResolver, source: &Source, protocol: Option<Protocol>) {
    const IMAGE: &str = "seldonio/sklearn-iris:0.3";
    match (&source.image, &source.implementation, &source.model_uri) {
        (None, None, None) => resolver.model_error(
            "image",
            Violation::new("is not set, nor is implementation: there is no model to serve", IMAGE),
        ),
        (None, None, Some(_)) => resolver.model_error(
            "implementation",
            Violation::new(
                "is not set, so nothing can serve the files at model-uri",
                "SKLEARN_SERVER",
            ),
        ),
        (_, Some(server), None) if server.needs_files() => resolver.model_error(
            "model-uri",
            Violation::new(
                format!("is not set, and {server} serves the files it names"),
                "gs://bucket/model",
            ),
        ),
        _ => {}
    }
    if let Some(server) = &source.implementation {
        protocols(resolver, server, protocol.unwrap_or(Protocol::Seldon));
    }
}

/// What is said of pods must suit what runs in them.
pub fn pods(resolver: &mut OptionResolver, server: &ServerOptions, needed: bool) {
    if !needed || resolver.is_faulty() {
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
        let says = |resources: Option<&Resources>| {
            resources.is_some_and(|all| all.requests.contains_key(resource) || all.limits.contains_key(resource))
        };
        let Some(part) = part else {
            continue;
        };
        let of = format!("no {resource}, of which {resource}: {part} in autoscale is a percentage");
        let example = format!("{{requests: {{{resource}: {example}}}}}");
        // Where nothing is said of the executor, Seldon does; of a model's container nobody does.
        let executor = server.engine_resources.as_ref();
        match nodes.iter().find(|(_, resources)| !says(*resources)) {
            Some((node, _)) if server.graph.is_some() => {
                let rule = format!("{node} has resources that request {of}, such as {example}");
                resolver.error("graph", Violation::new(rule, "@graph.yaml"));
            }
            Some(_) => resolver.model_error("resources", Violation::new(format!("requests {of}"), example)),
            None if executor.is_some() && !says(executor) => {
                resolver.model_error("engine-resources", Violation::new(format!("requests {of}"), example));
            }
            None => {}
        }
    }
}

/// The Service of an explainer must get the name that the route leads to.
pub fn explainer(resolver: &mut OptionResolver) {
    let service = format!("{}-{PREDICTOR}-explainer", resolver.name);
    if service.len() > LONGEST_SERVICE {
        let over = service.len() - LONGEST_SERVICE;
        let rule = format!(
            "makes the Service {service}, {over} characters longer than Kubernetes takes; give the model a shorter name"
        );
        resolver.error("explainer", Violation::new(rule, ""));
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
    // The server is what asks for it, so the fault is where the model is described.
    resolver.model_error(
        "protocol",
        Violation {
            value: Some(protocol.as_str().to_owned()),
            rule: format!("{server} speaks {} only", names.join(" and ")),
            example: names.first().copied().unwrap_or_default().to_owned(),
        },
    );
}

/// Where the hosts of a model are named, that for gRPC must be among them: no others lead to its route.
pub fn grpc_host(resolver: &mut OptionResolver, host: &str, hosts: &[String]) {
    if nearest_host(hosts, host).is_none() {
        let hosts = hosts.join(",");
        let rule = format!("lacks {host}, which is the grpc-host");
        let violation = Violation::with_value(hosts.clone(), rule, format!("{hosts},{host}"));
        resolver.error("hosts", violation);
    }
}

/// A model's host for gRPC must lead to that model. Of two that have the same, neither is touched, as with prefixes; one whose calls
/// would go to the hosts of another is not touched either.
pub fn grpc_hosts(application: &str, config: &mut Config) {
    let mut clashes = Vec::new();
    for (at, one) in config.models.iter().enumerate() {
        let Some(host) = &one.grpc_host else {
            continue;
        };
        let near = nearest_host(&one.hosts, host);
        for (of, other) in config.models.iter().enumerate() {
            let gateways_meet = one.gateway.is_none() || other.gateway.is_none() || one.gateway == other.gateway;
            if of == at || !gateways_meet {
                continue;
            }
            if other.grpc_host.as_ref() == Some(host) && of < at {
                let rule = format!("is that of {} already; each model needs its own", other.name);
                clashes.push((one.name.clone(), host.clone(), rule, Some(other.name.clone())));
            } else if nearest_host(&other.hosts, host) > near {
                let rule = format!(
                    "is one of the hosts of {}, so that its calls go there; take another name",
                    other.name
                );
                clashes.push((one.name.clone(), host.clone(), rule, None));
            }
        }
    }
    for (name, host, rule, other) in clashes {
        // One fault for each model, however many it clashes with.
        if config.frozen.insert(name.clone()) {
            let violation = Violation::with_value(host, rule, format!("{name}.example.com"));
            config.errors.push(ConfigError::new(
                application,
                &Location::Entry(name),
                "grpc-host",
                violation,
            ));
        }
        config.frozen.extend(other);
    }
    let Config { models, frozen, .. } = config;
    models.retain(|model| !frozen.contains(&model.name));
}

/// Two models may not claim the same requests. Neither of the two is touched: which one is wrong, only a person
/// knows.
pub fn overlaps(application: &str, config: &mut Config) {
    let mut clashes = Vec::new();
    for (at, one) in config.models.iter().enumerate() {
        for other in config.models.iter().skip(at + 1) {
            // Which gateway is related is not known here: it may be the one that the other names.
            let gateways_meet = one.gateway.is_none() || other.gateway.is_none() || one.gateway == other.gateway;
            if gateways_meet && one.prefix.overlaps(&other.prefix) && hosts_overlap(&one.hosts, &other.hosts) {
                clashes.push((one.name.clone(), other.name.clone(), other.prefix.clone()));
            }
        }
    }
    for (one, other, prefix) in clashes {
        // One fault for each model, however many it clashes with.
        if config.frozen.insert(other.clone()) {
            let violation = Violation {
                value: Some(prefix.to_string()),
                rule: format!("overlaps the prefix of {one}; each model needs its own"),
                example: format!("/model/{other}/"),
            };
            config.errors.push(ConfigError::new(
                application,
                &Location::Entry(other),
                "prefix",
                violation,
            ));
        }
        config.frozen.insert(one);
    }
    let Config { models, frozen, .. } = config;
    models.retain(|model| !frozen.contains(&model.name));
}

/// Two models must not get one Service: that of `a-b` with predictor `c` would be that of `a` with predictor `b-c`.
pub fn service_names(application: &str, config: &mut Config) {
    let mut owners: BTreeMap<String, String> = BTreeMap::new();
    let mut clashes = Vec::new();
    for model in &config.models {
        for service in model.services() {
            match owners.get(&service) {
                Some(owner) if *owner != model.name => clashes.push((model.name.clone(), owner.clone(), service)),
                _ => {
                    owners.insert(service, model.name.clone());
                }
            }
        }
    }
    for (name, owner, service) in clashes {
        if config.frozen.insert(name.clone()) {
            let rule = Violation::new(
                format!("gets the Service {service}, which {owner} has already; give the predictor another name"),
                "",
            );
            config.errors.push(ConfigError::new(
                application,
                &Location::Entry(name.clone()),
                "manifest",
                rule,
            ));
        }
        config.models.retain(|model| model.name != name);
    }
}

/// Seldon may make a VirtualService with a model's own name, and ours is named after the model with `-route`: one model
/// must not be called as the route of another.
pub fn route_names(application: &str, config: &mut Config) {
    let routes: Vec<String> = config.models.iter().map(|model| route_name(&model.name)).collect();
    for route in routes {
        if config.models.iter().any(|model| model.name == route) {
            let rule = Violation::new(
                "the name of the model is that of another one's route; take another name",
                "",
            );
            config.errors.push(ConfigError::new(
                application,
                &Location::Entry(route.clone()),
                "models",
                rule,
            ));
            config.models.retain(|model| model.name != route);
            config.frozen.insert(route);
        }
    }
}
