//! The two objects of a model.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use ring::digest::{SHA256, digest};

use super::{Site, label, route_name, service_name};
use crate::config::Model;
use crate::config::value::{GatewayName, Resources};
use crate::istio::{
    Destination, HttpMatch, HttpRoute, Port, Retries, Rewrite, Service, Uri, VirtualService, VirtualServiceSpec,
};
use crate::seldon::{
    ComponentSpec, Container, DEFAULT_HTTP_PORT, Endpoint, EnvVar, PREDICTOR, Parameter, PodSpec, PredictiveUnit,
    Predictor, ResourceRequirements, SeldonDeployment, SeldonDeploymentSpec, SvcOrchSpec,
};

/// Read by the operator from the predictor, not from the spec as the others are.
const NO_ENGINE: &str = "seldon.io/no-engine";

/// The SeldonDeployment of a model and its digest.
pub fn seldon_deployment(model: &Model, site: &Site) -> (SeldonDeployment, String) {
    let (of_predictor, of_spec) = model
        .annotations
        .clone()
        .into_iter()
        .partition(|(key, _)| key == NO_ENGINE);
    let mut predictor = Predictor {
        name: PREDICTOR.to_owned(),
        annotations: of_predictor,
        labels: labels(model, site),
        // Set last, for a change of it rolls no pod.
        replicas: 0,
        graph: graph(model),
        component_specs: vec![ComponentSpec {
            spec: PodSpec {
                containers: vec![container(model)],
            },
        }],
        svc_orch_spec: model.engine_resources.as_ref().map(|resources| SvcOrchSpec {
            resources: requirements(resources),
        }),
    };
    let mut spec = SeldonDeploymentSpec {
        annotations: of_spec,
        protocol: model.protocol.map(|protocol| protocol.word().to_owned()),
        predictors: vec![predictor.clone()],
    };
    let hash = hash(&spec);
    predictor.annotations.insert(label::SPEC_HASH.to_owned(), hash.clone());
    predictor.replicas = model.replicas;
    spec.predictors = vec![predictor];
    let object = SeldonDeployment {
        metadata: metadata(&model.name, model, site),
        spec,
    };
    (object, hash)
}

/// Sixteen hexadecimal digits of SHA-256 over the spec: enough to tell any two specs of one model apart.
fn hash(spec: &SeldonDeploymentSpec) -> String {
    // Text keys and plain values: there is nothing in it that JSON cannot say.
    let bytes = serde_json::to_vec(spec).unwrap_or_default();
    digest(&SHA256, &bytes)
        .as_ref()
        .iter()
        .take(8)
        .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

fn graph(model: &Model) -> PredictiveUnit {
    PredictiveUnit {
        name: model.name.clone(),
        kind: "MODEL".to_owned(),
        endpoint: Endpoint {
            kind: "REST".to_owned(),
        },
        implementation: model.source.implementation.as_ref().map(ToString::to_string),
        model_uri: model.source.model_uri.clone(),
        parameters: model
            .parameters
            .iter()
            .map(|parameter| Parameter {
                name: parameter.name.clone(),
                value: parameter.value.clone(),
                kind: parameter.kind.to_owned(),
            })
            .collect(),
    }
}

fn container(model: &Model) -> Container {
    Container {
        name: model.name.clone(),
        image: model.source.image.as_ref().map(ToString::to_string),
        image_pull_policy: model.image_pull_policy.word().to_owned(),
        env: model
            .env
            .iter()
            .map(|(name, value)| EnvVar {
                name: name.clone(),
                value: value.clone(),
            })
            .collect(),
        resources: model.resources.as_ref().map(requirements),
    }
}

fn requirements(resources: &Resources) -> ResourceRequirements {
    ResourceRequirements {
        requests: resources.requests.clone(),
        limits: resources.limits.clone(),
    }
}

/// The VirtualService of a model: its prefix, with and without the last slash, to its predictor.
pub fn virtual_service(model: &Model, site: &Site, gateway: &GatewayName) -> VirtualService {
    let port = site.ports.get(&model.name).copied().unwrap_or(DEFAULT_HTTP_PORT);
    let route = HttpRoute {
        // Not one prefix without its slash: that would take `/model/irisx` too, and leave `//` after the rewrite.
        matches: [
            Uri::Prefix(model.prefix.to_string()),
            Uri::Exact(model.prefix.bare().to_owned()),
        ]
        .map(|uri| HttpMatch { uri })
        .into(),
        rewrite: Rewrite { uri: "/".to_owned() },
        route: vec![Destination {
            destination: Service {
                host: format!("{}.{}.svc.cluster.local", service_name(&model.name), site.namespace),
                port: Port { number: port },
            },
        }],
        timeout: model.timeout.map(|timeout| timeout.to_string()),
        retries: Some(
            model
                .retries
                .map_or_else(Retries::of_lost_connections, |attempts| Retries {
                    attempts,
                    retry_on: None,
                }),
        ),
    };
    VirtualService {
        metadata: metadata(&route_name(&model.name), model, site),
        spec: VirtualServiceSpec {
            hosts: model.hosts.clone(),
            gateways: vec![gateway.to_string()],
            http: vec![route],
        },
    }
}

fn metadata(name: &str, model: &Model, site: &Site) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(site.namespace.clone()),
        labels: Some(labels(model, site)),
        owner_references: site.owner.clone().map(|owner| vec![owner]),
        ..ObjectMeta::default()
    }
}

/// The labels of an object, of the Deployment that Seldon makes and of its pods.
fn labels(model: &Model, site: &Site) -> BTreeMap<String, String> {
    let ours = [
        (label::APPLICATION, &site.application),
        (label::MODEL_UUID, &site.model_uuid),
        (label::MODEL, &model.name),
    ];
    let mut labels = model.labels.clone();
    labels.extend(ours.map(|(key, value)| (key.to_owned(), value.clone())));
    labels
}
