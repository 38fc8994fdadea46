//! A whole SeldonDeployment, as users have it from Seldon's documentation.

mod replicas;
pub mod rules;

use std::collections::BTreeMap;

use serde_json::Value as Json;
use serde_yaml::Value;

use super::value::kubernetes::{apply_defaults, json, schema_violation};
use super::value::{self, Violation};
use super::yaml::documents;
use crate::api::seldon::read::Spec;

/// What a message shows for a manifest that would do.
const EXAMPLE: &str = "@manifest.yaml";

/// The group of Seldon's kinds.
const GROUP: &str = "machinelearning.seldon.io";

/// Versions of one schema: the two older ones are other names of the first (operator v1.16.0,
/// `config/crd/bases`, which serves all three from one definition).
const VERSIONS: [&str; 3] = ["v1", "v1alpha3", "v1alpha2"];

/// A SeldonDeployment that Seldon's rules are kept in. Its name and namespace are not: a model is called as its
/// application or entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Labels of the SeldonDeployment itself.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the SeldonDeployment itself; those of `spec` are in there.
    pub annotations: BTreeMap<String, String>,
    /// `spec`, field for field.
    pub spec: Json,
}

impl Manifest {
    /// The names of its predictors' Services under a model of that name.
    #[must_use]
    pub fn services(&self, model: &str) -> Vec<String> {
        let spec = read(&self.spec).unwrap_or_default();
        spec.predictors
            .iter()
            .map(|predictor| predictor.service(model))
            .collect()
    }

    /// The names of its explainers' Services under a model of that name, with the places of their predictors.
    #[must_use]
    pub fn explainers(&self, model: &str) -> Vec<(usize, String)> {
        let spec = read(&self.spec).unwrap_or_default();
        let all = spec.predictors.iter().enumerate();
        all.filter_map(|(at, predictor)| Some((at, predictor.explainer_service(model)?.0)))
            .collect()
    }
}

/// Reads a manifest, YAML or JSON.
pub(crate) fn manifest(value: &Value) -> Result<Manifest, Violation> {
    let document = match value {
        Value::String(text) => one(documents(text)?)?,
        other => other.clone(),
    };
    let document = json(&document, "", EXAMPLE)?;
    kind(&document)?;
    let texts = |pointer: &str| texts(document.pointer(pointer), pointer);
    let mut spec = document
        .get("spec")
        .cloned()
        .ok_or_else(|| Violation::new("has no spec", EXAMPLE))?;
    apply_defaults(&mut spec);
    let read = read(&spec)?;
    replicas::apply_defaults(&mut spec, &read);
    match rules::violations(&read).into_iter().next() {
        Some(violation) => Err(Violation::new(
            format!("{} {}", violation.location, violation.rule),
            EXAMPLE,
        )),
        None => Ok(Manifest {
            labels: value::labels_as_written(texts("/metadata/labels")?)?,
            annotations: texts("/metadata/annotations")?,
            spec,
        }),
    }
}

/// The parts of a spec that rules rest on.
pub(crate) fn read(spec: &Json) -> Result<Spec, Violation> {
    serde_path_to_error::deserialize(spec).map_err(|error| schema_violation(&error, "", EXAMPLE))
}

/// A predictor of a SeldonDeployment that is in the cluster.
pub(crate) fn predictor(written: &Json) -> Option<crate::api::seldon::read::Predictor> {
    serde::Deserialize::deserialize(written).ok()
}

/// The one document that is not empty.
fn one(documents: Vec<Value>) -> Result<Value, Violation> {
    let mut full = documents.into_iter().filter(|document| *document != Value::Null);
    match (full.next(), full.count()) {
        (Some(one), 0) => Ok(one),
        (None, _) => Err(Violation::new("has nothing in it", EXAMPLE)),
        (Some(_), more) => {
            let rule = format!(
                "has {} documents, and a model is one SeldonDeployment; give each a model of its own in the option models",
                more + 1
            );
            Err(Violation::new(rule, EXAMPLE))
        }
    }
}

fn kind(document: &Json) -> Result<(), Violation> {
    let text = |key: &str| document.get(key).and_then(Json::as_str).unwrap_or_default();
    if !document.is_object() {
        return Err(Violation::new("is no SeldonDeployment, but text or a list", EXAMPLE));
    }
    let (version, kind) = (text("apiVersion"), text("kind"));
    if kind != "SeldonDeployment" {
        let found = if kind.is_empty() {
            "has no kind"
        } else {
            "is of another kind"
        };
        return Err(Violation::new(
            format!("{found}; it must be kind: SeldonDeployment"),
            EXAMPLE,
        ));
    }
    match version.split_once('/') {
        Some((GROUP, version)) if VERSIONS.contains(&version) => Ok(()),
        Some((GROUP, "v1alpha1")) => Err(Violation::new(
            "is of v1alpha1, whose componentSpec is the list componentSpecs today; write it anew for v1",
            EXAMPLE,
        )),
        _ => Err(Violation::new(
            format!("must be apiVersion: {GROUP}/v1, or one of its older names v1alpha2 and v1alpha3"),
            EXAMPLE,
        )),
    }
}

fn texts(map: Option<&Json>, pointer: &str) -> Result<BTreeMap<String, String>, Violation> {
    let location = pointer.trim_start_matches('/').replace('/', ".");
    let refuse = |what: &str| Violation::new(format!("{location}{what} must be text: put it in quotes"), EXAMPLE);
    match map {
        None => Ok(BTreeMap::new()),
        Some(Json::Object(map)) => map
            .iter()
            .map(|(key, value)| {
                let text = value.as_str().ok_or_else(|| refuse(&format!(".{key}")))?;
                Ok((key.clone(), text.to_owned()))
            })
            .collect(),
        Some(_) => Err(Violation::new(format!("{location} must be a map"), EXAMPLE)),
    }
}

/// In a few words what its predictors serve.
impl std::fmt::Display for Manifest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let spec = read(&self.spec).unwrap_or_default();
        let one = |predictor: &crate::api::seldon::read::Predictor| {
            let unit = &predictor.graph;
            let image = predictor
                .container(&unit.name)
                .map(|(_, container)| container.image.clone());
            let image = image.filter(|image| !image.is_empty());
            match (image, &unit.implementation, unit.children.len()) {
                (Some(image), _, 0) => image,
                (None, Some(server), 0) if unit.model_uri.is_empty() => server.clone(),
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
            [only] => f.write_str(&one(only)),
            several => {
                let named = |predictor: &crate::api::seldon::read::Predictor| {
                    format!("{} ({})", predictor.name, one(predictor))
                };
                f.write_str(&several.iter().map(named).collect::<Vec<_>>().join(" and "))
            }
        }
    }
}
