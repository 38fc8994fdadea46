//! Renders the pods of a predictor: one container for each node of the graph, and the configured pod fields.

use serde_json::{Map, Value, json};

use crate::api::seldon::{
    ComponentSpec, Container, EnvVar, ResourceRequirements, SecretName, SeldonPodSpec, SvcOrchSpec,
};
use crate::config::ServerOptions;
use crate::config::graph::Node;
use crate::config::value::{Autoscale, Collector, DisruptionBudget, PodFields, Resources, Scaler, Tracing};

/// All nodes share one pod, which also gets the executor; a node with `own_pod` gets a pod of its own. `metrics_v2`
/// is whether Seldon's CRD knows autoscaling/v2. `secret` is the image pull secret.
pub fn pods(
    graph: &Node,
    server: &ServerOptions,
    secret: Option<String>,
    metrics_v2: bool,
) -> Result<Vec<ComponentSpec>, serde_json::Error> {
    let secrets: Vec<SecretName> = secret.into_iter().map(|name| SecretName { name }).collect();
    let (own, shared): (Vec<&Node>, Vec<&Node>) = graph
        .all()
        .into_iter()
        .filter(|node| node.has_container())
        .partition(|node| node.own_pod);
    let shared = Some(shared).filter(|shared| !shared.is_empty());
    let groups = shared.into_iter().chain(own.into_iter().map(|node| vec![node]));
    let names: Vec<&str> = graph.all().iter().map(|node| node.name.as_str()).collect();
    groups
        .enumerate()
        .map(|(index, nodes)| {
            let spec = SeldonPodSpec {
                image_pull_secrets: secrets.clone(),
                containers: nodes.into_iter().map(|node| container(node, server)).collect(),
            };
            let mut spec = serde_json::to_value(spec)?;
            if let Some(fields) = &server.pod {
                merge_pod_fields(&mut spec, fields, |name| index == 0 && !names.contains(&name));
            }
            Ok(ComponentSpec {
                spec,
                hpa_spec: scaled(server).and_then(|autoscale| hpa(autoscale, metrics_v2)),
                keda_spec: scaled(server).and_then(keda),
                pdb_spec: server.disruption_budget.as_ref().map(pdb),
            })
        })
        .collect()
}

/// `None` where an autoscaler sets the number of pods.
pub fn replicas(server: &ServerOptions, metrics_v2: bool) -> Option<u16> {
    match scaled(server) {
        Some(autoscale) if hpa(autoscale, metrics_v2).is_none() && keda(autoscale).is_none() => Some(autoscale.min),
        Some(_) => None,
        None => Some(server.replicas),
    }
}

/// The autoscaler; `None` for a predictor that is scaled to zero on purpose.
fn scaled(server: &ServerOptions) -> Option<&Autoscale> {
    server.autoscale.as_ref().filter(|_| server.replicas > 0)
}

fn container(node: &Node, server: &ServerOptions) -> Container {
    let traced = server.tracing.as_ref().map(wrapper_tracing).unwrap_or_default();
    let env = node.env.iter().map(|(name, value)| variable(name, value));
    Container {
        name: node.name.clone(),
        image: node.source.image.as_ref().map(ToString::to_string),
        image_pull_policy: node
            .image_pull_policy
            .unwrap_or(server.image_pull_policy)
            .as_str()
            .to_owned(),
        env: traced
            .into_iter()
            .filter(|variable| !node.env.contains_key(&variable.name))
            .chain(env)
            .collect(),
        resources: node.resources.as_ref().map(requirements),
    }
}

/// The executor is Seldon's orchestrator container in front of the model.
pub fn executor(name: &str, server: &ServerOptions) -> Option<SvcOrchSpec> {
    let mut env = Vec::new();
    if let Some(topic) = server.logger.as_ref().and_then(|logger| logger.kafka.as_ref()) {
        env.push(variable("LOGGER_KAFKA_BROKER", &topic.broker));
        env.push(variable("LOGGER_KAFKA_TOPIC", &topic.topic));
    }
    if let Some(tracing) = &server.tracing {
        env.extend(executor_tracing(name, tracing));
    }
    let resources = server.engine_resources.as_ref().map(requirements);
    (resources.is_some() || !env.is_empty()).then_some(SvcOrchSpec { resources, env })
}

fn variable(name: &str, value: &str) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value: value.to_owned(),
    }
}

pub fn requirements(resources: &Resources) -> ResourceRequirements {
    ResourceRequirements {
        requests: resources.requests.clone(),
        limits: resources.limits.clone(),
    }
}

/// The executor uses Jaeger's Go client (v1.17.1, `executor/api/tracing`). B3 is the propagation format of Istio's
/// gateway.
fn executor_tracing(name: &str, tracing: &Tracing) -> Vec<EnvVar> {
    let mut env = match &tracing.to {
        Collector::Agent { host, port } => vec![
            variable("JAEGER_AGENT_HOST", host),
            variable("JAEGER_AGENT_PORT", &port.to_string()),
        ],
        Collector::Endpoint(url) => vec![variable("JAEGER_ENDPOINT", url)],
    };
    env.extend([
        variable("JAEGER_SAMPLER_TYPE", tracing.sampler),
        variable("JAEGER_SAMPLER_PARAM", &tracing.parameter),
        variable("JAEGER_SERVICE_NAME", name),
        variable("JAEGER_TRACE_PROPAGATION_TYPE", "b3"),
    ]);
    env
}

/// Seldon's Python wrapper (v1.17.1, `python/seldon_core/utils.py`) supports a Jaeger agent only.
fn wrapper_tracing(tracing: &Tracing) -> Vec<EnvVar> {
    match &tracing.to {
        Collector::Agent { host, port } => vec![
            variable("TRACING", "1"),
            variable("JAEGER_AGENT_HOST", host),
            variable("JAEGER_AGENT_PORT", &port.to_string()),
        ],
        Collector::Endpoint(_) => Vec::new(),
    }
}

/// Merges the configured pod fields into a pod spec. Containers are matched by name; `is_added` decides whether an
/// unknown one is added.
fn merge_pod_fields(spec: &mut Value, fields: &PodFields, is_added: impl Fn(&str) -> bool) {
    let Some(spec) = spec.as_object_mut() else {
        return;
    };
    merge(spec, &fields.general);
    let Some(containers) = spec.get_mut("containers").and_then(Value::as_array_mut) else {
        return;
    };
    for additions in &fields.containers {
        let name = PodFields::name(additions);
        let has_name = |item: &&mut Value| item.get("name").and_then(Value::as_str) == Some(name);
        match containers.iter_mut().find(has_name).and_then(Value::as_object_mut) {
            Some(existing) => merge(existing, additions),
            None if is_added(name) => containers.push(Value::Object(additions.clone())),
            None => {}
        }
    }
}

/// Sets fields; two lists are joined without repeats.
fn merge(existing: &mut Map<String, Value>, additions: &Map<String, Value>) {
    for (key, value) in additions {
        match (existing.get_mut(key), value) {
            (Some(Value::Array(existing)), Value::Array(additions)) => {
                let new: Vec<Value> = additions
                    .iter()
                    .filter(|item| !existing.contains(item))
                    .cloned()
                    .collect();
                existing.extend(new);
            }
            _ => {
                existing.insert(key.clone(), value.clone());
            }
        }
    }
}

/// The `HorizontalPodAutoscaler` spec as Seldon takes it: `metrics` (autoscaling/v2beta1), which every Seldon knows,
/// unless the model needs `metricsv2`, which came with 1.15. Seldon uses only one of the two lists.
fn hpa(autoscale: &Autoscale, metrics_v2: bool) -> Option<Value> {
    let Scaler::Load { cpu, memory, metrics } = &autoscale.by else {
        return None;
    };
    let targets = [("cpu", cpu), ("memory", memory)];
    let targets = targets.into_iter().filter_map(|(name, part)| Some((name, (*part)?)));
    let mut spec = json!({"minReplicas": autoscale.min, "maxReplicas": autoscale.max});
    if metrics.is_empty() || !metrics_v2 {
        let v1_metrics: Vec<Value> = targets
            .map(|(name, part)| {
                json!({"type": "Resource", "resource": {"name": name, "targetAverageUtilization": part}})
            })
            .collect();
        if v1_metrics.is_empty() {
            return None;
        }
        set(&mut spec, "metrics", v1_metrics.into());
    } else {
        let metrics_list: Vec<Value> = targets
            .map(|(name, part)| {
                let target = json!({"type": "Utilization", "averageUtilization": part});
                json!({"type": "Resource", "resource": {"name": name, "target": target}})
            })
            .chain(metrics.iter().cloned())
            .collect();
        set(&mut spec, "metricsv2", metrics_list.into());
    }
    Some(spec)
}

fn keda(autoscale: &Autoscale) -> Option<Value> {
    let Scaler::Keda(fields) = &autoscale.by else {
        return None;
    };
    let mut spec = fields.clone();
    spec.insert("minReplicaCount".to_owned(), autoscale.min.into());
    spec.insert("maxReplicaCount".to_owned(), autoscale.max.into());
    Some(Value::Object(spec))
}

fn pdb(budget: &DisruptionBudget) -> Value {
    match budget {
        DisruptionBudget::MinAvailable(amount) => json!({"minAvailable": amount}),
        DisruptionBudget::MaxUnavailable(amount) => json!({"maxUnavailable": amount}),
    }
}

fn set(object: &mut Value, key: &str, value: Value) {
    if let Some(map) = object.as_object_mut() {
        map.insert(key.to_owned(), value);
    }
}
