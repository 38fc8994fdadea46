//! Where the models' metrics are.
//!
//! What there is was read from Seldon Core v1.17.1. Each pod has an executor that counts requests on its HTTP port
//! (`executor/api/rest/server.go`). Each container of a graph has a port named `metrics` (`operator/apis/…/v1/defaults.go`), on which
//! Seldon's Python wrapper and `MLServer` serve what a model counts itself; no Service leads there. Both are at one path.
//!
//! A Service leads each new connection to another pod. So the counts of a predictor that may have several pods are scraped pod
//! by pod, and those of one with a single pod through its Service, which finds the next pod without being told. Every Service is
//! scraped for whether it answers: it leads to no pod that is not ready.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use kube::ResourceExt as _;
use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::api::pods::Pod;
use crate::api::seldon::read::Spec;
use crate::identity::Identity;
use crate::labels;
use crate::observed::Observed;

/// Where metrics are on an executor and on a container of a graph, unless Seldon's operator is told otherwise
/// (`operator/controllers/seldondeployment_engine.go`, `getPrometheusPath`).
const PATH: &str = "/prometheus";
/// The container of the executor (`EngineContainerName`).
const EXECUTOR: &str = "seldon-container-engine";
/// What a port for metrics is called, unless the operator is told otherwise.
const PORT: &str = "metrics";

/// The names of the labels that tell targets apart. `instance` does not: Canonical's Prometheus writes the same into it for all
/// targets of an application.
pub mod target {
    /// The model.
    pub const MODEL: &str = "seldon_model";
    /// Its predictor.
    pub const PREDICTOR: &str = "seldon_predictor";
    /// What is asked: one of the next three.
    pub const ENDPOINT: &str = "seldon_endpoint";
    /// A predictor's Service.
    pub const SERVICE: &str = "service";
    /// The executor in a pod.
    pub const POD: &str = "pod";
    /// A container of a graph, for what it counts itself.
    pub const CUSTOM: &str = "custom";
}

/// One thing to scrape.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct ScrapeTarget {
    labels: BTreeMap<&'static str, String>,
    /// Host and port.
    address: String,
}

/// The jobs that scrape all of ours that is there, whether or not an option is faulty now. A predictor that is stopped on purpose
/// has nothing to scrape.
#[must_use]
pub fn scrape_jobs(observed: &Observed, identity: &Identity) -> Vec<Value> {
    let (mut counting, mut answering, mut custom) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let ours = observed
        .seldon_deployments
        .iter()
        .filter(|object| identity.owns(object));
    for object in ours.filter(|object| object.metadata.deletion_timestamp.is_none()) {
        let model = object.name_any();
        let spec = object.data.get("spec").map(Spec::deserialize).and_then(Result::ok);
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
                let of_service = ScrapeTarget {
                    labels: labels(target::SERVICE),
                    address: format!("{service}.{}.svc.cluster.local:{port}", identity.namespace),
                };
                if all_are(1) {
                    counting.insert(of_service);
                } else {
                    answering.insert(of_service);
                    counting
                        .extend(pods().flat_map(|pod| pod_targets(pod, &labels(target::POD), |name| name == EXECUTOR)));
                }
            }
            custom.extend(pods().flat_map(|pod| pod_targets(pod, &labels(target::CUSTOM), |name| name != EXECUTOR)));
        }
    }
    // Nothing but whether it answers, which no relabelling takes away.
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
    let has = |key: &str, value: &str| pod.labels().get(key).is_some_and(|of| of == value);
    has(labels::MODEL, model) && has(labels::PREDICTOR, predictor)
}

/// The ports for metrics of those containers of a pod, while it runs.
fn pod_targets(pod: &Pod, labels: &BTreeMap<&'static str, String>, meant: impl Fn(&str) -> bool) -> Vec<ScrapeTarget> {
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
    let containers = pod.spec.containers.iter().filter(|container| meant(&container.name));
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

/// One job, unless there is nothing to scrape. Its name never changes: it is a label of all that is scraped.
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
