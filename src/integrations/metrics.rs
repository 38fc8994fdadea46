//! The scrape targets of the models.
//!
//! The facts are from Seldon Core v1.17.1. Each pod has an executor that counts requests on its HTTP port
//! (`executor/api/rest/server.go`). Each container of a graph has a port named `metrics` (`operator/apis/…/v1/defaults.go`), on which
//! Seldon's Python wrapper and `MLServer` serve a model's own metrics; no Service leads there. Both are at one path.
//!
//! A Service leads each new connection to another pod. So a predictor that may have several pods is scraped pod by pod, and one
//! with a single pod through its Service, which follows the pod when it is replaced. Every Service is scraped for whether it
//! answers: it leads to ready pods only.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use kube::ResourceExt as _;
use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::api::pods::Pod;
use crate::api::seldon::manifest::ManifestSpec;
use crate::identity::Identity;
use crate::labels;
use crate::observed::Observed;

/// The path of metrics on an executor and on a container of a graph, unless Seldon's operator is configured otherwise
/// (`operator/controllers/seldondeployment_engine.go`, `getPrometheusPath`).
const PATH: &str = "/prometheus";
/// The container of the executor (`EngineContainerName`).
const EXECUTOR: &str = "seldon-container-engine";
/// The name of a port for metrics, unless the operator is configured otherwise.
const PORT: &str = "metrics";

/// The labels that distinguish targets. `instance` does not: Canonical's Prometheus writes the same into it for all
/// targets of an application.
pub mod target {
    pub const MODEL: &str = "seldon_model";
    pub const PREDICTOR: &str = "seldon_predictor";
    /// The kind of target: one of the next three.
    pub const ENDPOINT: &str = "seldon_endpoint";
    /// A predictor's Service.
    pub const SERVICE: &str = "service";
    /// The executor in a pod.
    pub const POD: &str = "pod";
    /// A container of a graph, for a model's own metrics.
    pub const CUSTOM: &str = "custom";
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct ScrapeTarget {
    labels: BTreeMap<&'static str, String>,
    /// Host and port.
    address: String,
}

/// The jobs of all our objects in the cluster, whether or not an option is invalid now. A stopped predictor has no targets.
pub fn scrape_jobs(observed: &Observed, identity: &Identity) -> Vec<Value> {
    let (mut counting, mut answering, mut custom) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let ours = observed
        .seldon_deployments
        .iter()
        .filter(|object| identity.owns(object));
    for object in ours.filter(|object| object.metadata.deletion_timestamp.is_none()) {
        let model = object.name_any();
        let spec = object
            .data
            .get("spec")
            .map(ManifestSpec::deserialize)
            .and_then(Result::ok);
        let spec = spec.unwrap_or_default();
        for predictor in &spec.predictors {
            let labels = |endpoint: &str| {
                BTreeMap::from([
                    (target::MODEL, model.clone()),
                    (target::PREDICTOR, predictor.name.clone()),
                    (target::ENDPOINT, endpoint.to_owned()),
                ])
            };
            let replicas = predictor.replicas(&spec);
            let all_are = |count: i64| replicas.iter().flatten().all(|each| *each == count) && replicas.is_some();
            if all_are(0) {
                continue;
            }
            let pods = || observed.pods.iter().filter(|pod| is_of(pod, &model, &predictor.name));
            if predictor.has_engine() {
                let service = predictor.service(&model);
                let port = observed.ports(&model, &service).http;
                let service_target = ScrapeTarget {
                    labels: labels(target::SERVICE),
                    address: format!("{service}.{}.svc.cluster.local:{port}", identity.namespace),
                };
                if all_are(1) {
                    counting.insert(service_target);
                } else {
                    answering.insert(service_target);
                    counting
                        .extend(pods().flat_map(|pod| pod_targets(pod, &labels(target::POD), |name| name == EXECUTOR)));
                }
            }
            custom.extend(pods().flat_map(|pod| pod_targets(pod, &labels(target::CUSTOM), |name| name != EXECUTOR)));
        }
    }
    // Drops all samples; `up` remains, as relabelling does not apply to it.
    let drop_all = json!([{"source_labels": ["__name__"], "regex": ".+", "action": "drop"}]);
    [
        job("executor", &counting, None),
        job("service", &answering, Some(drop_all)),
        job("custom", &custom, None),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn is_of(pod: &Pod, model: &str, predictor: &str) -> bool {
    let has = |key: &str, value: &str| pod.labels().get(key).is_some_and(|found| found == value);
    has(labels::MODEL, model) && has(labels::PREDICTOR, predictor)
}

/// The metrics ports of the selected containers of a pod, while it runs.
fn pod_targets(
    pod: &Pod,
    labels: &BTreeMap<&'static str, String>,
    is_selected: impl Fn(&str) -> bool,
) -> Vec<ScrapeTarget> {
    let status = pod.status.clone().unwrap_or_default();
    let Ok(address) = status.address.parse::<IpAddr>() else {
        return Vec::new();
    };
    if pod.metadata.deletion_timestamp.is_some() || !matches!(status.phase.as_str(), "Pending" | "Running") {
        return Vec::new();
    }
    let host = match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    };
    let containers = pod
        .spec
        .containers
        .iter()
        .filter(|container| is_selected(&container.name));
    containers
        .filter_map(|container| {
            let port = container.ports.iter().find(|port| port.name == PORT)?;
            let mut labels = labels.clone();
            labels.extend([("pod", pod.name_any()), ("container", container.name.clone())]);
            Some(ScrapeTarget {
                labels,
                address: format!("{host}:{}", port.container_port),
            })
        })
        .collect()
}

/// A job, if it has targets. Its name must not change: it is a label of all its metrics.
fn job(name: &str, targets: &BTreeSet<ScrapeTarget>, relabel: Option<Value>) -> Option<Value> {
    if targets.is_empty() {
        return None;
    }
    let configs: Vec<Value> = targets
        .iter()
        .map(|target| json!({"targets": [target.address], "labels": target.labels}))
        .collect();
    let mut job = json!({"job_name": name, "metrics_path": PATH, "static_configs": configs});
    if let (Some(relabel), Some(job)) = (relabel, job.as_object_mut()) {
        job.insert("metric_relabel_configs".to_owned(), relabel);
    }
    Some(job)
}
