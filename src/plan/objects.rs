//! Renders the SeldonDeployment of a model.

use std::collections::BTreeMap;

use kube::api::{DynamicObject, TypeMeta};
use serde::Deserialize as _;
use serde_json::{Map, Value, json};

use super::metadata::{metadata, model_labels};
use super::pod;
use super::secrets::SecretNames;
use super::types::{Environment, PlannedPredictor};
use crate::api::seldon::manifest::{ManifestSpec, NO_ENGINE};
use crate::api::seldon::{
    CANARY, ExplainerContainer, PREDICTOR, PredictiveUnit, Predictor, SHADOW, SeldonDeployment, SeldonDeploymentSpec,
    SeldonEndpoint, SeldonExplainer, SeldonLogger, SeldonParameter,
};
use crate::config::graph::{Kind, Node};
use crate::config::secret::Purpose;
use crate::config::{Model, ServerOptions};
use crate::labels;
use crate::text::short_digest;

/// The SeldonDeployment of a model, with this spec and these annotations besides those of a manifest.
pub fn seldon_deployment(
    model: &Model,
    environment: &Environment,
    spec: Value,
    annotations: impl Iterator<Item = (String, String)>,
) -> Result<Value, serde_json::Error> {
    let mut metadata = metadata(&model.name, model, environment);
    let mut all_annotations = BTreeMap::new();
    if let Some(manifest) = &model.manifest {
        all_annotations.extend(manifest.annotations.clone());
        let our_labels = metadata.labels.take().unwrap_or_default();
        metadata.labels = Some(manifest.labels.clone().into_iter().chain(our_labels).collect());
    }
    all_annotations.extend(annotations);
    metadata.annotations = Some(all_annotations).filter(|all| !all.is_empty());
    let object = DynamicObject {
        types: Some(TypeMeta::resource::<SeldonDeployment>()),
        metadata,
        data: Value::Object(Map::from_iter([("spec".to_owned(), spec)])),
    };
    serde_json::to_value(object)
}

/// The spec of a model's SeldonDeployment, and its predictors.
pub fn spec(
    model: &Model,
    environment: &Environment,
    secrets: &SecretNames,
    metrics_v2: bool,
) -> Result<(Value, Vec<PlannedPredictor>), serde_json::Error> {
    let mut spec = match &model.manifest {
        Some(manifest) => manifest.spec.clone(),
        None => from_options(model, environment, secrets, metrics_v2)?,
    };
    let predictors = predictors(model, environment, &mut spec)?;
    Ok((spec, predictors))
}

/// The spec of a model that is configured by options and not by a manifest.
fn from_options(
    model: &Model,
    environment: &Environment,
    secrets: &SecretNames,
    metrics_v2: bool,
) -> Result<Value, serde_json::Error> {
    let (predictor_annotations, spec_annotations): (BTreeMap<_, _>, BTreeMap<_, _>) = model
        .annotations
        .clone()
        .into_iter()
        .partition(|(key, _)| key == NO_ENGINE);
    let predictor = |name: &str, server: &ServerOptions| {
        let graph = nodes(&model.name, server);
        let server = &ServerOptions {
            tracing: server.tracing.clone().or_else(|| environment.tracing.clone()),
            ..server.clone()
        };
        Ok(Predictor {
            name: name.to_owned(),
            annotations: predictor_annotations.clone(),
            replicas: pod::replicas(server, metrics_v2),
            traffic: None,
            shadow: false,
            graph: PredictiveUnit {
                logger: server.logger.as_ref().map(|logger| SeldonLogger {
                    mode: logger.mode.to_owned(),
                    url: logger.url.clone(),
                }),
                ..unit(&graph, secrets.name(server, Purpose::Storage).as_ref())
            },
            component_specs: pod::pods(&graph, server, secrets.name(server, Purpose::ImagePull), metrics_v2)?,
            svc_orch_spec: pod::executor(&model.name, server),
            explainer: None,
        })
    };
    let mut predictors = vec![Predictor {
        traffic: model.canary.as_ref().map(|canary| 100 - canary.weight),
        explainer: explainer(model, secrets),
        ..predictor(PREDICTOR, &model.server)?
    }];
    if let Some(canary) = &model.canary {
        predictors.push(Predictor {
            traffic: Some(canary.weight),
            ..predictor(CANARY, &canary.server)?
        });
    }
    if let Some(shadow) = &model.shadow {
        predictors.push(Predictor {
            traffic: Some(shadow.weight),
            shadow: true,
            ..predictor(SHADOW, &shadow.server)?
        });
    }
    serde_json::to_value(SeldonDeploymentSpec {
        annotations: spec_annotations,
        protocol: model.protocol.map(|protocol| protocol.as_str().to_owned()),
        predictors,
    })
}

/// Adds our labels and the spec hash to each predictor of a spec.
fn predictors(
    model: &Model,
    environment: &Environment,
    spec: &mut Value,
) -> Result<Vec<PlannedPredictor>, serde_json::Error> {
    let parsed = ManifestSpec::deserialize(&*spec).unwrap_or_default();
    let shared_fields: Vec<Value> = ["annotations", "protocol", "transport", "serverType"]
        .iter()
        .map(|key| spec.get(*key).cloned().unwrap_or_default())
        .collect();
    let predictor_values = spec.get_mut("predictors").and_then(Value::as_array_mut);
    let mut planned = Vec::new();
    for (predictor, predictor_value) in parsed.predictors.iter().zip(predictor_values.into_iter().flatten()) {
        let mut our_labels = model_labels(model, environment);
        our_labels.insert(labels::PREDICTOR.to_owned(), predictor.name.clone());
        insert_texts(predictor_value, "labels", our_labels);
        let hash = hash(&shared_fields, predictor_value)?;
        insert_texts(
            predictor_value,
            "annotations",
            [(labels::SPEC_HASH.to_owned(), hash.clone())].into(),
        );
        planned.push(PlannedPredictor {
            name: predictor.name.clone(),
            service: predictor.service(&model.name),
            hash,
            deployments: predictor.deployments(&parsed),
            replicas: predictor.replicas(&parsed),
            shadow: predictor.shadow,
            explainer: predictor.explainer_service(&model.name),
            traffic: predictor.traffic.clamp(0, 100).try_into().unwrap_or_default(),
        });
    }
    Ok(planned)
}

fn insert_texts(to: &mut Value, map: &str, entries: BTreeMap<String, String>) {
    let Some(object) = to.as_object_mut() else {
        return;
    };
    let map = object.entry(map).or_insert_with(|| json!({}));
    if let Some(map) = map.as_object_mut() {
        map.extend(entries.into_iter().map(|(key, text)| (key, text.into())));
    }
}

/// A digest of what rolls a predictor's pods.
fn hash(shared_fields: &[Value], predictor: &Value) -> Result<String, serde_json::Error> {
    let mut predictor = predictor.clone();
    remove_scaling(&mut predictor);
    Ok(short_digest(&serde_json::to_vec(&(shared_fields, predictor))?))
}

/// Removes what rolls no pod when it changes: numbers of pods and shares of traffic.
fn remove_scaling(predictor: &mut Value) {
    let remove = |value: Option<&mut Value>, keys: &[&str]| {
        if let Some(map) = value.and_then(Value::as_object_mut) {
            map.retain(|key, _| !keys.contains(&key.as_str()));
        }
    };
    let pods = predictor.get_mut("componentSpecs").and_then(Value::as_array_mut);
    for pod in pods.into_iter().flatten() {
        remove(Some(pod), &["replicas", "hpaSpec", "kedaSpec", "pdbSpec"]);
    }
    for part in ["svcOrchSpec", "explainer"] {
        remove(predictor.get_mut(part), &["replicas"]);
    }
    remove(Some(predictor), &["replicas", "traffic"]);
}

/// The graph of a server. Without one it is a single node, named after the model in every predictor, because protocol
/// v2 has its name in the URL.
fn nodes(name: &str, server: &ServerOptions) -> Node {
    server.graph.clone().unwrap_or_else(|| Node {
        name: name.to_owned(),
        kind: Kind::Model,
        source: server.source.clone(),
        parameters: server.parameters.clone(),
        env: server.env.clone(),
        resources: server.resources.clone(),
        image_pull_policy: None,
        own_pod: false,
        children: Vec::new(),
    })
}

fn unit(node: &Node, secret: Option<&String>) -> PredictiveUnit {
    PredictiveUnit {
        name: node.name.clone(),
        // The executor would ask a node of type ROUTER for the branch to take, at an address that its built-in A/B
        // test does not have.
        kind: node.has_container().then(|| node.kind.as_str().to_owned()),
        endpoint: SeldonEndpoint {
            kind: "REST".to_owned(),
        },
        implementation: node.source.implementation.as_ref().map(ToString::to_string),
        model_uri: node.source.model_uri.clone(),
        env_secret_ref_name: secret.filter(|_| node.source.model_uri.is_some()).cloned(),
        parameters: node
            .parameters
            .iter()
            .map(|parameter| SeldonParameter {
                name: parameter.name.clone(),
                value: parameter.value.clone(),
                kind: parameter.kind.to_owned(),
            })
            .collect(),
        logger: None,
        children: node.children.iter().map(|child| unit(child, secret)).collect(),
    }
}

fn explainer(model: &Model, secrets: &SecretNames) -> Option<SeldonExplainer> {
    let explainer = model.explainer.as_ref()?;
    let container = ExplainerContainer {
        // The name that the operator would give it: protocol v2 has it in the URL.
        name: format!("{}-{PREDICTOR}-explainer", model.name),
        image: explainer.image.as_ref().map(ToString::to_string),
        resources: explainer.resources.as_ref().map(pod::requirements),
    };
    let is_customized = container.image.is_some() || container.resources.is_some();
    Some(SeldonExplainer {
        kind: explainer.kind.to_owned(),
        model_uri: explainer.model_uri.clone(),
        env_secret_ref_name: secrets.explainer_secret_name(model),
        container_spec: is_customized.then_some(container),
        config: explainer.config.clone(),
        init_parameters: explainer.init_parameters.clone(),
        replicas: explainer.replicas,
    })
}
