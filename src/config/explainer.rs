//! An explainer of a model's answers, deployed alongside the model.

use std::collections::BTreeMap;

use serde_yaml::Value;

use super::reader::Reader;
use super::value::{self, Image, Protocol, Resources, Violation, kubernetes};
use super::yaml::texts;

const EXAMPLE: &str = "{type: AnchorTabular, model-uri: \"gs://bucket/explainer\"}";

/// Explainers that Seldon knows (operator v1.17.1, `AlibiExplainerType`).
pub(super) const TYPES: [&str; 9] = [
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

/// A Deployment and a Service of its own, which sends requests to the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explainer {
    /// Alibi's name of the algorithm.
    pub kind: &'static str,
    pub model_uri: Option<String>,
    /// Seldon's own by default.
    pub image: Option<Image>,
    /// Its flags, with the protocols seldon and tensorflow.
    pub config: BTreeMap<String, String>,
    /// Its parameters as JSON, with protocol v2.
    pub init_parameters: Option<String>,
    pub resources: Option<Resources>,
    pub replicas: u16,
}

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
    let reader = Reader::new(value, &options, EXAMPLE)?;
    let kind = reader.one_of("type", &TYPES)?;
    let init_parameters = match reader.raw("init-parameters") {
        None => None,
        Some(map @ Value::Mapping(_)) => Some(kubernetes::json(map, "init-parameters", EXAMPLE)?.to_string()),
        Some(_) => return Err(reader.violation("init-parameters", "must be a map")),
    };
    let config = reader
        .yaml("config", |value| texts(value, EXAMPLE))?
        .unwrap_or_default();
    let is_v2 = protocol == Some(Protocol::V2);
    // The operator reads each of them with its own kind of explainer only (v1.17.1, `seldondeployment_explainers.go`).
    if is_v2 && !config.is_empty() {
        return Err(reader.violation("config", "not used with protocol v2, set init-parameters"));
    }
    if !is_v2 && init_parameters.is_some() {
        return Err(reader.violation("init-parameters", "used with protocol v2 only, set config"));
    }
    Ok(Explainer {
        kind: kind.ok_or_else(|| {
            reader
                .violation("type", "is not set")
                .with_detail(format!("expected {}", value::either(&TYPES)))
        })?,
        model_uri: reader.text("model-uri", value::model_uri)?,
        image: reader.text("image", value::image)?,
        config,
        init_parameters,
        resources: reader.yaml("resources", value::resources)?,
        replicas: reader.number("replicas", 1..=100)?.unwrap_or(1),
    })
}
