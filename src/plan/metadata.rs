//! Metadata of a model's objects: name, labels and owner.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::types::Environment;
use crate::config::Model;
use crate::labels;

pub fn metadata(name: &str, model: &Model, environment: &Environment) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(environment.identity.namespace.clone()),
        labels: Some(model_labels(model, environment)),
        owner_references: environment.owner.clone().map(|owner| vec![owner]),
        ..ObjectMeta::default()
    }
}

/// The labels of a model's objects, and of the Deployments and pods that Seldon creates for it.
pub fn model_labels(model: &Model, environment: &Environment) -> BTreeMap<String, String> {
    let ours = [
        (labels::APPLICATION, &environment.identity.application),
        (labels::MODEL_UUID, &environment.identity.model_uuid),
        (labels::MODEL, &model.name),
    ];
    let mut labels = model.labels.clone();
    labels.extend(ours.map(|(key, value)| (key.to_owned(), value.clone())));
    labels
}
