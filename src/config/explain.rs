//! What explains a model's answers, beside it.

use std::collections::BTreeMap;

use serde_yaml::Value;

use super::reader::Reader;
use super::value::{self, Image, Protocol, Resources, Violation, kubernetes};
use super::yaml::scalars;

const EXAMPLE: &str = "{type: AnchorTabular, model-uri: \"gs://bucket/explainer\"}";

/// Explainers that Seldon knows (operator v1.17.1, `AlibiExplainerType`).
const TYPES: [&str; 9] = [
    "AnchorTabular",
    "AnchorImages",
    "AnchorText",
    "Counterfactuals",
    "Contrastive",
    "KernelShap",
    "IntegratedGradients",
    "ALE",
    "TreeShap",
];

/// An explainer: a Deployment and a Service of its own, which asks the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explainer {
    /// Which kind, in Alibi's words.
    pub kind: &'static str,
    /// Where its files are.
    pub model_uri: Option<String>,
    /// Its image; Seldon's own where none is said.
    pub image: Option<Image>,
    /// Flags for it, with the protocols seldon and tensorflow.
    pub config: BTreeMap<String, String>,
    /// What it is made with, as JSON, with protocol v2.
    pub init_parameters: Option<String>,
    /// What its container asks for and may take.
    pub resources: Option<Resources>,
    /// How many pods.
    pub replicas: u16,
}

/// Reads an explainer of a model that speaks that protocol.
pub(crate) fn explainer(value: &Value, protocol: Option<Protocol>) -> Result<Explainer, Violation> {
    let options = [
        "type",
        "model-uri",
        "image",
        "config",
        "init-parameters",
        "resources",
        "replicas",
    ];
    let read = Reader::of(value, &options, EXAMPLE)?;
    let kind = read.one_of("type", &TYPES)?;
    let init_parameters = match read.raw("init-parameters") {
        None => None,
        Some(map @ Value::Mapping(_)) => Some(kubernetes::json(map, "init-parameters", EXAMPLE)?.to_string()),
        Some(_) => return Err(read.refuse("init-parameters", "must be a map")),
    };
    let config = read
        .yaml("config", |value| scalars(value, EXAMPLE))?
        .unwrap_or_default();
    let is_v2 = protocol == Some(Protocol::V2);
    // The operator reads each of them with its own kind of explainer only (v1.17.1, `seldondeployment_explainers.go`).
    if is_v2 && !config.is_empty() {
        return Err(read.refuse("config", "is not read with protocol v2; say it in init-parameters"));
    }
    if !is_v2 && init_parameters.is_some() {
        return Err(read.refuse("init-parameters", "is read with protocol v2 only; say it in config"));
    }
    Ok(Explainer {
        kind: kind.ok_or_else(|| read.refuse("type", &format!("is not set: one of {}", TYPES.join(", "))))?,
        model_uri: read.text("model-uri", value::model_uri)?,
        image: read.text("image", value::image)?,
        config,
        init_parameters,
        resources: read.yaml("resources", value::resources)?,
        replicas: read.number("replicas", 1..=100)?.unwrap_or(1),
    })
}
