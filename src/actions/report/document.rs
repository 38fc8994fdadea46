//! The document, in pages. Pure.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use serde::Serialize;

use crate::api::pods::{Pod, is_ready};
use crate::config::Model;
use crate::labels;
use crate::observed::Observed;
use crate::plan::{PlannedModel, readiness};
use crate::status::pod_failures::EXECUTOR;
use crate::status::{Line, ModelStatus};
use juju_hooks::Status;

/// Longest entry of a model with what is configured and what serves, in bytes. Only a manifest of many predictors is longer.
const LONGEST_ENTRY: usize = 16 * 1024;
/// The page, the number of pages and the punctuation of the document.
const ROOM: usize = 200;

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Document<'a> {
    #[serde(flatten)]
    pub header: Header<'a>,
    pub page: u32,
    pub pages: usize,
    #[serde(rename = "models")]
    pub entries: &'a [&'a Entry],
}

/// What every page has.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Header<'a> {
    pub format: u32,
    pub application: &'a str,
    pub juju_model: &'a str,
    pub juju_model_uuid: &'a str,
    pub unit: &'a str,
    /// By the unit's clock.
    pub time: Timestamp,
    pub status: StatusText,
    pub versions: Versions,
    /// On all pages, whatever the parameter `model`.
    #[serde(rename = "models-total")]
    pub models: usize,
    /// `None` if the cluster could not be observed.
    #[serde(rename = "models-serving")]
    pub serving: Option<usize>,
}

#[derive(Debug, Serialize)]
pub struct StatusText {
    state: &'static str,
    message: String,
}

impl From<&Status> for StatusText {
    fn from(status: &Status) -> Self {
        Self {
            state: status.state.as_str(),
            message: status.message.clone(),
        }
    }
}

/// `None` is unknown.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Versions {
    pub charm: Option<String>,
    pub juju: Option<String>,
    pub seldon_core: Option<String>,
    pub istio: Option<String>,
}

/// A model. Everything that is unknown is `None`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Entry {
    pub name: String,
    pub state: Option<&'static str>,
    pub message: Option<String>,
    /// Whether what is configured answers requests.
    pub serves: Option<bool>,
    /// Since when, by the cluster's clock.
    pub since: Option<Timestamp>,
    /// `None` if an option is invalid.
    pub desired: Option<Desired>,
    pub serving: Option<Vec<Serving>>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Desired {
    /// All of it in one line, also a graph, a canary and a shadow.
    serves: String,
    image: Option<String>,
    implementation: Option<String>,
    model_uri: Option<String>,
    prefix: String,
    /// By predictor, of everything that rolls its pods.
    digests: Option<BTreeMap<String, String>>,
}

/// The ready pods of a predictor.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Serving {
    predictor: String,
    ready_pods: usize,
    /// Several during a rollout.
    digests: BTreeSet<String>,
    /// With the digests of their contents, without Seldon's executor.
    images: BTreeSet<String>,
}

impl Entry {
    /// A model of a cluster that cannot be observed.
    pub fn unobserved(model: &Model) -> Self {
        Self {
            name: model.name.clone(),
            state: None,
            message: None,
            serves: None,
            since: None,
            desired: Some(Desired::new(model)),
            serving: None,
        }
    }

    pub fn observed(
        status: &ModelStatus,
        planned: Option<&PlannedModel>,
        observed: &Observed,
        serving: Option<Vec<Serving>>,
    ) -> Self {
        let digests = |planned: &PlannedModel| {
            let predictors = planned.predictors.iter();
            predictors
                .map(|predictor| (predictor.name.clone(), predictor.hash.clone()))
                .collect()
        };
        let entry = Self {
            name: status.model.clone(),
            state: Some(status.state.as_str()),
            message: Some(Line::plain(&status.message).to_string()),
            serves: Some(status.serves),
            // While another version answers, the conditions are about the rollout.
            since: status
                .serves
                .then(|| readiness::last_change_of(&status.model, observed))
                .flatten(),
            desired: planned.map(|planned| Desired {
                digests: Some(digests(planned)),
                ..Desired::new(&planned.model)
            }),
            serving,
        };
        if length(&entry) <= LONGEST_ENTRY {
            return entry;
        }
        Self {
            desired: None,
            serving: None,
            ..entry
        }
    }
}

impl Desired {
    fn new(model: &Model) -> Self {
        let source = &model.server.source;
        Self {
            serves: model.serves(),
            image: source.image.as_ref().map(ToString::to_string),
            implementation: source.implementation.as_ref().map(ToString::to_string),
            model_uri: source.model_uri.clone(),
            prefix: model.prefix.to_string(),
            digests: None,
        }
    }
}

/// What the ready pods of a model run, by predictor.
pub fn serving(model: &str, observed: &Observed) -> Vec<Serving> {
    let label = |pod: &Pod, key: &str| pod.labels().get(key).cloned();
    let mut by_predictor: BTreeMap<String, Serving> = BTreeMap::new();
    let ready = observed.pods.iter().filter(|pod| is_ready(pod));
    for pod in ready.filter(|pod| label(pod, labels::MODEL).as_deref() == Some(model)) {
        let predictor = label(pod, labels::PREDICTOR).unwrap_or_default();
        let serving = by_predictor.entry(predictor.clone()).or_insert_with(|| Serving {
            predictor,
            ready_pods: 0,
            digests: BTreeSet::new(),
            images: BTreeSet::new(),
        });
        serving.ready_pods += 1;
        serving
            .digests
            .extend(pod.annotations().get(labels::SPEC_HASH).cloned());
        let statuses = pod.status.iter().flat_map(|status| &status.container_statuses);
        let images = statuses.filter(|status| status.name != EXECUTOR);
        let images = images.map(|status| status.image_id.clone());
        serving.images.extend(images.filter(|image| !image.is_empty()));
    }
    by_predictor.into_values().collect()
}

fn length(value: &impl Serialize) -> usize {
    serde_json::to_vec(value).map_or(usize::MAX, |text| text.len())
}

/// The entries of each page, of which there is at least one. A document of this header and a page fits into `limit` bytes.
pub fn pages<'a>(header: &Header, entries: &'a [Entry], limit: usize) -> Vec<Vec<&'a Entry>> {
    let room = limit.saturating_sub(length(header) + ROOM);
    let mut pages = vec![Vec::new()];
    let mut used = 0;
    for entry in entries {
        let length = length(entry) + ",".len();
        if used + length > room && used > 0 {
            pages.push(Vec::new());
            used = 0;
        }
        used += length;
        if let Some(page) = pages.last_mut() {
            page.push(entry);
        }
    }
    pages
}
