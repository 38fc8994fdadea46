//! A complete SeldonDeployment, as in Seldon's documentation.

mod replicas;
pub mod rules;

use std::collections::BTreeMap;

use serde_json::Value as Json;
use serde_yaml::Value;

use super::value::kubernetes::{apply_defaults, json, schema_violation};
use super::value::{self, Violation};
use super::yaml::documents;
use crate::api::seldon::manifest::{ManifestPredictor, ManifestSpec};
use crate::text::clean;

const EXAMPLE: &str = "@manifest.yaml";

const KIND: &str = "SeldonDeployment";
const GROUP: &str = "machinelearning.seldon.io";

/// Versions of one schema: the two older ones are other names of the first (operator v1.16.0,
/// `config/crd/bases`, which serves all three from one definition).
const VERSIONS: [&str; 3] = ["v1", "v1alpha3", "v1alpha2"];

/// A valid SeldonDeployment without its name and namespace: a model is named after its application or entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Labels of the SeldonDeployment itself.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the SeldonDeployment itself; those of `spec` are in `spec`.
    pub annotations: BTreeMap<String, String>,
    pub spec: Json,
    /// Objects of the same text, which are not applied, each by its kind and name.
    pub left_out: Vec<String>,
}

impl Manifest {
    /// The names of its predictors' Services.
    pub fn services(&self, model: &str) -> Vec<String> {
        let spec = read(&self.spec).unwrap_or_default();
        spec.predictors
            .iter()
            .map(|predictor| predictor.service(model))
            .collect()
    }

    pub fn predictors(&self) -> Vec<ManifestPredictor> {
        read(&self.spec).unwrap_or_default().predictors
    }

    /// The names of its explainers' Services, with the indices of their predictors.
    pub fn explainers(&self, model: &str) -> Vec<(usize, String)> {
        let spec = read(&self.spec).unwrap_or_default();
        let all = spec.predictors.iter().enumerate();
        all.filter_map(|(index, predictor)| Some((index, predictor.explainer_service(model)?.0)))
            .collect()
    }
}

/// Reads a manifest, YAML or JSON.
pub(crate) fn manifest(value: &Value) -> Result<Manifest, Violation> {
    let (document, left_out) = match value {
        Value::String(text) => single_document(documents(text)?)?,
        other => (other.clone(), Vec::new()),
    };
    let document = json(&document, "", EXAMPLE)?;
    kind(&document)?;
    let metadata = |pointer: &str| texts(document.pointer(pointer), pointer);
    let mut spec = document
        .get("spec")
        .cloned()
        .ok_or_else(|| Violation::new("spec is not set", EXAMPLE))?;
    apply_defaults(&mut spec);
    if let Some(location) = list_for_a_map(&spec, "") {
        return Err(Violation::new("must be a map", EXAMPLE).in_part(&location));
    }
    let read = read(&spec)?;
    replicas::apply_defaults(&mut spec, &read);
    match rules::violations(&read).into_iter().next() {
        Some(violation) => Err(Violation::new(violation.rule, EXAMPLE)
            .with_detail(violation.detail)
            .in_part(&violation.location)),
        None => Ok(Manifest {
            labels: value::labels_as_written(metadata("/metadata/labels")?)?,
            annotations: metadata("/metadata/annotations")?,
            spec,
            left_out,
        }),
    }
}

/// Where a list stands in place of a map. Serde reads the items of such a list as the fields of a struct, in their order.
fn list_for_a_map(value: &Json, location: &str) -> Option<String> {
    const MAPS: [&str; 7] = ["", "graph", "endpoint", "logger", "spec", "svcOrchSpec", "explainer"];
    const LISTS_OF_MAPS: [&str; 6] = [
        "predictors",
        "componentSpecs",
        "containers",
        "children",
        "parameters",
        "env",
    ];
    let key = location.rsplit('.').next().unwrap_or_default();
    match value {
        Json::Array(_) if MAPS.contains(&key) => Some(location.to_owned()),
        Json::Array(list) => (0..).zip(list).find_map(|(index, item)| {
            let location = format!("{location}[{index}]");
            let is_map = LISTS_OF_MAPS.contains(&key);
            let wrong = is_map && item.is_array();
            if wrong {
                Some(location)
            } else {
                list_for_a_map(item, &location)
            }
        }),
        Json::Object(map) => {
            let below = |key: &str| {
                if location.is_empty() {
                    key.to_owned()
                } else {
                    format!("{location}.{key}")
                }
            };
            map.iter().find_map(|(key, value)| list_for_a_map(value, &below(key)))
        }
        _ => None,
    }
}

/// The parts of a spec that the rules are about.
pub(crate) fn read(spec: &Json) -> Result<ManifestSpec, Violation> {
    serde_path_to_error::deserialize(spec).map_err(|error| schema_violation(&error, "", EXAMPLE))
}

/// A predictor of a SeldonDeployment in the cluster.
pub(crate) fn predictor(written: &Json) -> Option<ManifestPredictor> {
    serde::Deserialize::deserialize(written).ok()
}

/// The only document, or the only SeldonDeployment of several, and the others.
fn single_document(mut documents: Vec<Value>) -> Result<(Value, Vec<String>), Violation> {
    if documents.len() <= 1 {
        let only = documents.pop().ok_or_else(|| Violation::new("is empty", EXAMPLE))?;
        return Ok((only, Vec::new()));
    }
    let is_model = |document: &Value| document.get("kind").and_then(Value::as_str) == Some(KIND);
    let (mut models, others): (Vec<Value>, Vec<Value>) = documents.into_iter().partition(is_model);
    match (models.pop(), models.len()) {
        (Some(model), 0) => Ok((model, others.iter().map(kind_and_name).collect())),
        (_, more) => {
            let count = if more == 0 { 0 } else { more + 1 };
            let rule = format!("has {count} SeldonDeployments, must be one");
            Err(Violation::new(rule, EXAMPLE).with_detail("for several SeldonDeployments use option models"))
        }
    }
}

/// How a message names a document.
fn kind_and_name(document: &Value) -> String {
    let text = |value: Option<&Value>| clean(value.and_then(Value::as_str).unwrap_or_default());
    let name = document.get("metadata").and_then(|metadata| metadata.get("name"));
    format!("{} {}", text(document.get("kind")), text(name))
        .trim()
        .to_owned()
}

fn kind(document: &Json) -> Result<(), Violation> {
    let text = |key: &str| document.get(key).and_then(Json::as_str).unwrap_or_default();
    if !document.is_object() {
        return Err(Violation::new("is not a valid SeldonDeployment", EXAMPLE).with_detail("text or a list"));
    }
    let (version, kind) = (text("apiVersion"), text("kind"));
    if kind != KIND {
        return Err(Violation {
            value: Some(kind.to_owned()).filter(|kind| !kind.is_empty()),
            ..Violation::new("kind: must be SeldonDeployment", EXAMPLE)
        });
    }
    match version.split_once('/') {
        Some((GROUP, version)) if VERSIONS.contains(&version) => Ok(()),
        Some((GROUP, "v1alpha1")) => Err(Violation::new("apiVersion: v1alpha1 is not supported", EXAMPLE)
            .with_detail("in v1 its componentSpec is the list componentSpecs")),
        _ => {
            Err(Violation::new(format!("apiVersion: must be {GROUP}/v1"), EXAMPLE).with_detail("or v1alpha2, v1alpha3"))
        }
    }
}

fn texts(map: Option<&Json>, pointer: &str) -> Result<BTreeMap<String, String>, Violation> {
    let location = pointer.trim_start_matches('/').replace('/', ".");
    let not_text =
        |key: &str| Violation::new("must be text, put it in quotes", EXAMPLE).in_part(&format!("{location}.{key}"));
    match map {
        None => Ok(BTreeMap::new()),
        Some(Json::Object(map)) => map
            .iter()
            .map(|(key, value)| {
                let text = value.as_str().ok_or_else(|| not_text(key))?;
                Ok((key.clone(), text.to_owned()))
            })
            .collect(),
        Some(_) => Err(Violation::new("must be a map", EXAMPLE).in_part(&location)),
    }
}

/// What its predictors serve, in short.
impl std::fmt::Display for Manifest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let spec = read(&self.spec).unwrap_or_default();
        let served = |predictor: &ManifestPredictor| {
            let unit = &predictor.graph;
            let image = predictor
                .container(&unit.name)
                .map(|(_, container)| container.image.clone());
            let image = image.filter(|image| !image.is_empty());
            match (image, &unit.implementation, unit.children.len()) {
                (Some(image), _, 0) => image,
                (None, Some(server), 0) if unit.model_uri.is_empty() => server.clone(),
                (None, Some(server), 0) if value::has_credentials(&unit.model_uri) => {
                    format!("its files with {server}")
                }
                (None, Some(server), 0) => format!("{} with {server}", unit.model_uri),
                _ => format!(
                    "the graph {}",
                    unit.all()
                        .iter()
                        .map(|unit| unit.name.as_str())
                        .collect::<Vec<_>>()
                        .join(" > ")
                ),
            }
        };
        match spec.predictors.as_slice() {
            [only] => f.write_str(&served(only)),
            several => {
                let named = |predictor: &ManifestPredictor| format!("{} ({})", predictor.name, served(predictor));
                f.write_str(&several.iter().map(named).collect::<Vec<_>>().join(" and "))
            }
        }
    }
}
